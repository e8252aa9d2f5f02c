#include "connection_maker.h"

#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

struct ip_address make_address(const char *text)
{
	struct ip_address address = {0};

	if (strcmp(text, "%any") != 0)
		assert_true(ip_parse(text, &address));
	return address;
}

struct identity *make_identity(const char *text)
{
	char error[200];
	struct identity *id = identity_parse(text, error, sizeof(error));

	if (id == NULL)
		fail_msg("%s", error);
	return id;
}

struct connection *make_connection(const char *name, const char *local, const char *remote,
	const char *local_id, const char *remote_id)
{
	struct connection *c = connection_new(name);

	assert_non_null(c);
	c->oriented = true;
	c->local.host = make_address(local);
	c->remote.host = make_address(remote);
	c->local.id = make_identity(local_id != NULL ? local_id : local);
	c->remote.id = make_identity(remote_id != NULL ? remote_id : remote);
	return c;
}

void set_aliases(struct connection *c, const char *names)
{
	char *copy = strdup(names), *rest = copy;
	size_t count = 0;

	assert_non_null(copy);
	for (char *name; (name = strsep(&rest, " ")) != NULL;) {
		c->aliases = reallocarray(c->aliases, count + 2, sizeof(char *));
		assert_non_null(c->aliases);
		c->aliases[count++] = strdup(name);
		c->aliases[count] = NULL;
	}
	free(copy);
}

struct proposal_list *make_proposals(uint16_t encr)
{
	struct proposal_list *list = calloc(1, sizeof(*list) + sizeof(list->proposals[0]));

	assert_non_null(list);
	list->references = 1;
	list->count = 1;
	list->proposals[0] = (struct proposal){.number = 1,
		.protocol = PROTOCOL_IKE,
		.transform_count = 1,
		.transforms = {{.type = 1, .id = encr}}};
	return list;
}
