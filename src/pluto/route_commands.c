/* Connections are routed and unrouted: route, unroute; what a reorientation does about it; suspend.
 */
#include "commands.h"

#include "connections.h"
#include "pluto.h"
#include "tell.h"

static const char *not_routable(
	struct pluto *p, const struct connection *c, char why[ORIENT_TEXT_MAX])
{
	if (!c->oriented)
		return connection_unoriented_text(c, &p->ours, why);
	if (c->shunt == IPSEC_PROTECT && connection_is_template(c))
		return "the peer's IP address is not known (a template)";
	if (!c->remote.selector_count && connection_is_template(c))
		return "the other end has neither an address nor a subnet";
	return NULL;
}

void connection_route(struct pluto *p, struct client *client, struct connection *c, bool wait)
{
	char text[ORIENT_TEXT_MAX];
	const char *why = not_routable(p, c, text);

	if (why && c->oriented) {
		tell(client, RC_ROUTE, "\"%s\": cannot route: %s", c->name, why);
		return;
	}
	/* What is not oriented now is routed when it is. */
	routing_want(c->routing, true);
	if (why) {
		tell(client, RC_ORIENT, "\"%s\": cannot route yet: %s", c->name, why);
		return;
	}
	if (wait)
		client_expects_release(client);
	shard_set_route(p->shards, c, wait ? client->watcher : 0);
}

void connection_reroute(struct pluto *p, struct connection *c)
{
	if (!routing_is_wanted(c->routing))
		return;
	if (c->oriented)
		shard_set_route(p->shards, c, 0);
	else
		shard_set_unroute(p->shards, c, true, 0);
}

void command_route(struct pluto *p, struct client *client)
{
	command_each_connection(p, client, connection_route);
}

static void unroute(struct pluto *p, struct client *client, struct connection *c, bool wait)
{
	if (routing_tunnels(c->routing)) {
		tell(client, RC_UNROUTE,
			"\"%s\": cannot unroute: an IPsec SA is using it (--terminate first)",
			c->name);
		return;
	}
	routing_want(c->routing, false);
	shard_set_unroute(p->shards, c, false, command_watcher(client, wait));
}

void command_unroute(struct pluto *p, struct client *client)
{
	command_each_connection(p, client, unroute);
}

/* It would need a ticket (RFC 5723), and none is ever asked for: session-resumption= is not built.
 */
static void suspend(struct pluto *p, struct client *client, struct connection *c, bool wait)
{
	(void)p, (void)wait;
	client_line(client, RC_FATAL, "\"%s\": no stored ticket, cannot suspend connection", c->name);
}

void command_suspend(struct pluto *p, struct client *client)
{
	command_each_connection(p, client, suspend);
}
