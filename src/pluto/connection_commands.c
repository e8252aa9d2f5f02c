/* Connections come and go: add, delete. */
#include "commands.h"

#include "bindings.h"
#include "connection_compile.h"
#include "connections.h"
#include "pluto.h"
#include "tell.h"

#include "config/conf_file.h"

#include <errno.h>
#include <string.h>

struct naming {
	struct client *client;
	const char *name;
};

static void say_warning(void *arg, const char *text)
{
	const struct naming *naming = arg;

	tell(naming->client, RC_OK, "\"%.255s\": warning: %s", naming->name, text);
}

/* Ours begin where those that an operator may give end. */
static uint32_t next_reqid(struct pluto *p)
{
	if (p->last_reqid < REQID_GIVEN_MAX || p->last_reqid + 1 >= SHARD_REQID_FIRST)
		p->last_reqid = REQID_GIVEN_MAX;
	for (;;) {
		struct connection *other = catalogue_by_reqid(p->catalogue, ++p->last_reqid);

		if (!other)
			return p->last_reqid;
		connection_unref(other);
	}
}

static bool reqid_is_free(struct pluto *p, const struct connection *c)
{
	struct connection *other = catalogue_by_reqid(p->catalogue, c->reqid);

	connection_unref(other);
	return !other;
}

/* As oriented as it can be now; NULL when memory is out. Takes `c`. */
static struct connection *orient(struct pluto *p, struct connection *c)
{
	struct connection *oriented;

	switch (connection_orient(c, &p->ours, &oriented)) {
	case ORIENT_CHANGED:
		connection_unref(c);
		return oriented;
	case ORIENT_NO_MEMORY:
		connection_unref(c);
		return NULL;
	case ORIENT_SAME:
		break;
	}
	return c;
}

static void say_added(struct pluto *p, struct client *client, const struct connection *c)
{
	const char *kind = c->shunt == IPSEC_PROTECT ? "IKEv2" : "never-negotiate";
	char why[ORIENT_TEXT_MAX];

	if (c->oriented)
		tell(client, RC_OK, "\"%s\": added oriented %s connection", c->name, kind);
	else
		tell(client, RC_OK, "\"%s\": added unoriented %s connection (%s)", c->name, kind,
			connection_unoriented_text(c, &p->ours, why));
	if (c->oriented && c->local.ike_port && c->local.ike_port != p->options.ike_port)
		tell(client, RC_OK,
			"\"%s\": warning: %sikeport=%u has no effect: pluto listens on port %u",
			c->name, c->local_is_left ? "left" : "right", c->local.ike_port,
			p->options.ike_port);
}

static void failed(struct client *client, const char *name, const char *why)
{
	tell(client, RC_FATAL, "\"%.255s\": failed to add connection: %s", name, why);
}

/* --initiateontraffic: it is not only loaded, but waits for traffic. */
static bool initiates_on_traffic(const struct client *client)
{
	const char *value = keyvalues_get(&client->request.connection, "initiateontraffic");
	bool yes;

	return value && conf_bool(value, &yes) && yes;
}

static void add_compiled(struct pluto *p, struct client *client, struct connection *c)
{
	char why[256];
	int error;

	if (c->reqid == 0)
		c->reqid = next_reqid(p);
	else if (!reqid_is_free(p, c)) {
		failed(client, c->name, "its reqid= is in use by another connection");
		connection_unref(c);
		return;
	}
	c->serial = p->last_serial + 1;
	bindings_number(p, c);
	c = orient(p, c);
	if (!c) {
		failed(client, command_argument(client, "name"), "out of memory");
		return;
	}
	if (bindings_attach(p, c, why, sizeof(why))) {
		error = catalogue_add(p->catalogue, c);
		if (error == 0) {
			p->last_serial++;
			say_added(p, client, c);
			if (initiates_on_traffic(client))
				connection_route(p, client, c, true);
		} else {
			bindings_detach(p, c);
			failed(client, c->name,
				error == EEXIST ? "its name or an alias is in use by another connection"
						: strerror(error));
		}
	} else {
		failed(client, c->name, why);
	}
	connection_unref(c);
}

void command_add(struct pluto *p, struct client *client)
{
	const char *name = command_argument(client, "name");
	struct naming naming = {.client = client, .name = name};
	struct compile_context context = {.kernel = p->kernel,
		.proposals = p->proposals,
		.credentials = p->credentials,
		.pools = p->pools,
		.warn = say_warning,
		.arg = &naming};
	struct connection *old, *c;
	char error[512];

	if (!name) {
		client_line(client, RC_BAD_MESSAGE, "the request names no connection");
		return;
	}
	old = catalogue_by_name(p->catalogue, name);
	if (old && !command_is_yes(client, "replace")) {
		tell(client, RC_DUPLICATE, "attempt to redefine connection \"%.255s\"", name);
		connection_unref(old);
		return;
	}
	c = connection_compile(name, &client->request.connection, &context, error, sizeof(error));
	if (!c) {
		failed(client, name, error);
		connection_unref(old);
		return;
	}
	/* Only a good description replaces one that works. */
	if (old) {
		client_expects_done(client);
		connection_remove(p, old, client->watcher);
		connection_unref(old);
	}
	add_compiled(p, client, c);
}

static void delete(struct pluto *p, struct client *client, struct connection *c, bool wait)
{
	log_line(LOG_LINE_INFO, "\"%s\": deleting connection", c->name);
	connection_remove(p, c, command_watcher(client, wait));
}

void command_delete(struct pluto *p, struct client *client)
{
	command_each_connection(p, client, delete);
}
