#include "connections.h"

#include "bindings.h"
#include "pluto.h"

#include <stdlib.h>

static bool list_add(struct connection ***list, size_t *count, struct connection *c)
{
	struct connection **more = reallocarray(*list, *count + 2, sizeof(*more));

	if (!more)
		return false;
	more[(*count)++] = c;
	more[*count] = NULL;
	*list = more;
	return true;
}

struct connection **connections_by_name(struct pluto *p, const char *name, bool *by_alias)
{
	struct connection **list = NULL, *c = catalogue_by_name(p->catalogue, name);
	size_t count = 0;

	*by_alias = !c;
	if (c) {
		if (!list_add(&list, &count, c))
			connection_unref(c);
		return list;
	}
	for (size_t i = 0; (c = catalogue_by_alias(p->catalogue, name, i)); i++)
		if (!list_add(&list, &count, c)) {
			connection_unref(c);
			break;
		}
	return list;
}

void connections_release(struct connection **list)
{
	for (struct connection **c = list; c && *c; c++)
		connection_unref(*c);
	free(list);
}

/* False when memory is out. One that lacks what it is tied to stays as it was, unoriented. */
static bool replace(struct pluto *p, struct connection *changed)
{
	char error[256];

	if (bindings_attach(p, changed, error, sizeof(error))) {
		if (catalogue_replace(p->catalogue, changed) != 0)
			return false;
		connection_reroute(p, changed);
		return true;
	}
	log_line(LOG_LINE_ERROR, "\"%s\": not oriented: %s", changed->name, error);
	return true;
}

void connections_orient(struct pluto *p)
{
	struct connection *c, *changed;
	uint64_t after = 0;
	size_t lost = 0;

	while ((c = catalogue_after(p->catalogue, after))) {
		after = c->serial;
		switch (connection_orient(c, &p->ours, &changed)) {
		case ORIENT_SAME:
			break;
		case ORIENT_CHANGED:
			lost += !replace(p, changed);
			connection_unref(changed);
			break;
		case ORIENT_NO_MEMORY:
			lost++;
			break;
		}
		connection_unref(c);
	}
	if (lost)
		log_line(LOG_LINE_ERROR, "out of memory: %zu connections could not be oriented",
			lost);
}

void connection_remove(struct pluto *p, struct connection *c, ike_watcher watcher)
{
	catalogue_remove(p->catalogue, c->name);
	bindings_detach(p, c);
	shard_set_terminate(p->shards, c, true, watcher);
}
