/* SAs come up, are rekeyed and go down: initiate, terminate, rekey-*, delete-*, down-*,
 * deletestate. */
#include "commands.h"

#include "connections.h"
#include "pluto.h"

#include "config/conf_file.h"

#include <string.h>

static bool may_initiate(struct pluto *p, struct client *client, const struct connection *c,
	const struct ip_address *remote)
{
	char why[ORIENT_TEXT_MAX];

	if (!c->oriented) {
		client_line(client, RC_ORIENT, "\"%s\": cannot initiate: %s", c->name,
			connection_unoriented_text(c, &p->ours, why));
		return false;
	}
	if (connection_is_template(c) && ip_is_unset(remote)) {
		client_line(client, RC_PEER_UNKNOWN,
			"\"%s\": cannot initiate connection without knowing peer IP address",
			c->name);
		return false;
	}
	if (!ip_is_unset(remote) && remote->family != c->local.host.family) {
		client_line(client, RC_PEER_UNKNOWN,
			"\"%s\": cannot initiate: --remote-host is of another address family",
			c->name);
		return false;
	}
	return true;
}

static bool judge_sharing(const struct connection *other, void *arg)
{
	const struct connection *c = arg;

	return other->serial != c->serial && ike_connections_can_share(other, c);
}

static bool may_share(struct pluto *p, struct connection *c)
{
	struct connection *other = catalogue_find_by_identity(p->catalogue, &c->local.host,
		&c->remote.host, c->local.id, c->remote.id, judge_sharing, c);

	connection_unref(other);
	return other;
}

static void initiate(struct pluto *p, struct connection *c, const struct ip_address *remote,
	ike_watcher watcher)
{
	uint64_t group = identity_hash(c->local.id) * 31 + identity_hash(c->remote.id);

	if (may_share(p, c))
		shard_set_initiate_shared(p->shards, c, group, watcher);
	else
		shard_set_initiate(p->shards, c, remote, watcher);
}

void command_initiate(struct pluto *p, struct client *client)
{
	const char *name = command_argument(client, "name"),
		   *text = command_argument(client, "remote-host");
	bool wait = !command_is_yes(client, "asynchronous"), by_alias;
	struct ip_address remote = {0};
	struct connection **list;

	if (!p->listening) {
		client_line(client, RC_DEAF, "need --listen before --initiate");
		return;
	}
	if (text && (!ip_parse(text, &remote) || ip_is_any(&remote))) {
		client_line(
			client, RC_PEER_UNKNOWN, "--remote-host %.64s is not an IP address", text);
		return;
	}
	list = name ? connections_by_name(p, name, &by_alias) : NULL;
	if (!list) {
		command_unknown_name(client, name ? name : "");
		return;
	}
	if (by_alias)
		client_line(client, RC_OK, "initiating all conns with alias='%.255s'", name);
	for (struct connection **c = list; *c; c++) {
		if (!may_initiate(p, client, *c, &remote))
			continue;
		if (wait)
			client_expects_release(client);
		initiate(p, *c, &remote, wait ? client->watcher : 0);
	}
	connections_release(list);
}

static void rekey(struct pluto *p, struct client *client, struct connection *c, bool wait)
{
	shard_set_rekey(p->shards, c, command_sa_kind(client), command_watcher(client, wait));
}

void command_rekey(struct pluto *p, struct client *client)
{
	command_each_connection(p, client, rekey);
}

static void delete_sa(struct pluto *p, struct client *client, struct connection *c, bool wait)
{
	bool unwant = strncmp(client->request.command, "down-", 5) == 0;

	shard_set_delete(
		p->shards, c, command_sa_kind(client), unwant, command_watcher(client, wait));
}

void command_delete_sa(struct pluto *p, struct client *client)
{
	command_each_connection(p, client, delete_sa);
}

static void terminate(struct pluto *p, struct client *client, struct connection *c, bool wait)
{
	/* The policy stays and drops: what is protected never leaves in clear (--delete opens it).
	 */
	shard_set_terminate(p->shards, c, false, command_watcher(client, wait));
}

void command_terminate(struct pluto *p, struct client *client)
{
	command_each_connection(p, client, terminate);
}

void command_deletestate(struct pluto *p, struct client *client)
{
	const char *text = command_argument(client, "value");
	unsigned long long serial;

	if (!text || !conf_count(text[0] == '#' ? text + 1 : text, &serial) || serial == 0) {
		client_line(
			client, RC_UNKNOWN_NAME, "'%.32s' is not a state number", text ? text : "");
		return;
	}
	client_expects_done(client);
	shard_set_delete_serial(p->shards, serial, client->watcher);
}
