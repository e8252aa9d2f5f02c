/* Several connections on one IKE SA. */
#include "sharing.h"

#include "child_sa.h"
#include "create_child.h"
#include "engine_state.h"
#include "exchange.h"
#include "unique.h"

#include <string.h>

/* Kept apart from Child SAs and IKE SAs, so that who shares nothing pays nothing. */
struct guest {
	struct table_node by_connection;
	struct guest *next; /* of the same IKE SA */
	struct ike_sa *sa;
	struct connection *connection;
};

static bool is_own(const struct ike_sa *sa, const struct connection *c)
{
	return sa->connection && sa->connection->serial == c->serial;
}

struct slab_pool *sharing_pool_new(void)
{
	return slab_pool_new("guest", sizeof(struct guest));
}

/* ---- guests ------------------------------------------------------------------------ */

static struct guest **find_link(struct ike_sa *sa, const struct connection *c)
{
	struct guest **link = &sa->guests;

	while (*link && (*link)->connection->serial != c->serial)
		link = &(*link)->next;
	return link;
}

static void drop(struct guest **link)
{
	struct guest *guest = *link;
	struct ike_engine *engine = guest->sa->engine;

	*link = guest->next;
	table_remove(engine->guests, &guest->by_connection);
	connection_unref(guest->connection);
	slab_free(engine->guest_pool, guest);
}

bool sharing_enter(struct ike_sa *sa, struct connection *c)
{
	struct guest *guest;

	if (is_own(sa, c) || *find_link(sa, c))
		return true;
	guest = slab_alloc(sa->engine->guest_pool);
	if (!guest)
		return false;
	if (!table_insert(sa->engine->guests, &guest->by_connection, table_hash_u64(c->serial))) {
		slab_free(sa->engine->guest_pool, guest);
		return false;
	}
	guest->sa = sa;
	guest->connection = connection_ref(c);
	guest->next = sa->guests;
	sa->guests = guest;
	return true;
}

static bool has_anything(const struct ike_sa *sa, const struct connection *c)
{
	for (const struct child_sa *child = sa->children; child; child = child->next) {
		if (child->connection->serial == c->serial)
			return true;
	}
	for (const struct create_child *x = sa->creating; x; x = x->next) {
		if (x->connection && x->connection->serial == c->serial)
			return true;
	}
	return false;
}

void sharing_prune(struct ike_sa *sa)
{
	struct guest **link = &sa->guests;

	while (*link) {
		if (has_anything(sa, (*link)->connection))
			link = &(*link)->next;
		else
			drop(link);
	}
}

void sharing_forget(struct ike_sa *sa)
{
	while (sa->guests)
		drop(&sa->guests);
}

void sharing_move(struct ike_sa *from, struct ike_sa *to)
{
	struct guest *guest, **end = &to->guests;

	/* It may have been handed over while its successor was under way. */
	if (!is_own(to, from->connection))
		ike_sa_change_connection(to, from->connection);
	while (*end)
		end = &(*end)->next;
	*end = from->guests;
	from->guests = NULL;
	for (guest = *end; guest; guest = guest->next)
		guest->sa = to;
}

struct connection *sharing_guest(const struct ike_sa *sa, unsigned i)
{
	const struct guest *guest = sa->guests;

	while (guest && i--)
		guest = guest->next;
	return guest ? guest->connection : NULL;
}

/* ---- what the SA carries -------------------------------------------------------------- */

static bool is_alive(const struct child_sa *child)
{
	return child->state == CHILD_ESTABLISHED || child->state == CHILD_INSTALLING;
}

/* Of this connection, or of any but it. */
static bool carries(const struct ike_sa *sa, const struct connection *c, bool others)
{
	for (const struct child_sa *child = sa->children; child; child = child->next) {
		if (is_alive(child) && (child->connection->serial == c->serial) != others)
			return true;
	}
	for (const struct create_child *x = sa->creating; x; x = x->next) {
		if (x->purpose == CREATE_NEW_CHILD && x->stage != CREATE_DONE && x->connection &&
			!x->unwanted && (x->connection->serial == c->serial) != others)
			return true;
	}
	return false;
}

bool sharing_carries(const struct ike_sa *sa, const struct connection *c)
{
	return carries(sa, c, false);
}

bool sharing_carries_others(const struct ike_sa *sa, const struct connection *c)
{
	return carries(sa, c, true);
}

bool sharing_hand_over(struct ike_sa *sa, const struct connection *c)
{
	struct connection *former = connection_ref(sa->connection);
	struct guest **link = &sa->guests;

	while (*link && !sharing_carries(sa, (*link)->connection))
		link = &(*link)->next;
	if (*link && is_own(sa, c)) {
		ike_sa_change_connection(sa, (*link)->connection);
		drop(link);
		ike_sa_log(sa, LOG_LINE_INFO, RC_OK, "taken over from \"%s\", which has left it",
			former->name);
		if (has_anything(sa, former))
			sharing_enter(sa, former);
	}
	connection_unref(former);
	return !is_own(sa, c);
}

/* What has been sent can only be taken back when it has been answered. */
static void leave_queue(struct ike_sa *sa, const struct connection *c)
{
	struct create_child *x, *next;

	for (x = sa->creating; x; x = next) {
		next = x->next;
		if (!x->initiator || x->purpose != CREATE_NEW_CHILD ||
			x->connection->serial != c->serial)
			continue;
		if (create_is_under_way(x))
			x->unwanted = true;
		else
			create_free(x);
	}
}

void sharing_leave(struct ike_sa *sa, const struct connection *c)
{
	leave_queue(sa, c);
	for (struct child_sa *child = sa->children; child; child = child->next) {
		if (child->connection->serial == c->serial && is_alive(child) && !child->gone) {
			child_sa_close(child);
			sa->wants |= WANT_DELETE_CHILD;
		}
	}
	sharing_prune(sa);
	exchange_next(sa);
}

/* ---- which SA ---------------------------------------------------------------------------- */

static bool same_identity(const struct identity *a, const struct identity *b)
{
	return a == b || (a && b && identity_equal(a, b));
}

static bool same_certificate(const struct own_certificate *a, const struct own_certificate *b)
{
	return a == b || (a && b && !strcmp(a->nickname, b->nickname));
}

static bool same_end(const struct connection_end *a, const struct connection_end *b)
{
	return ip_equal(&a->host, &b->host) && a->ike_port == b->ike_port &&
	       identity_equal(a->id, b->id) && a->auth == b->auth && a->schemes == b->schemes &&
	       same_certificate(a->certificate, b->certificate) &&
	       a->modecfg_client == b->modecfg_client && a->pools[0] == b->pools[0] &&
	       a->pools[1] == b->pools[1] && /* an IKE SA brings one address of a family */
	       same_identity(a->authority, b->authority);
}

bool sharing_is_possible(const struct connection *a, const struct connection *b)
{
	return a->shunt == IPSEC_PROTECT && b->shunt == IPSEC_PROTECT && a->ikev1 == b->ikev1 &&
	       same_end(&a->local, &b->local) && same_end(&a->remote, &b->remote) &&
	       a->encapsulation == b->encapsulation &&
	       proposal_list_equal(a->ike_proposals, b->ike_proposals);
}

bool ike_connections_can_share(const struct connection *a, const struct connection *b)
{
	return sharing_is_possible(a, b) && !connection_is_template(a) &&
	       a->remote.id->kind != ID_ANY;
}

static unsigned count_children(const struct ike_sa *sa)
{
	unsigned count = sa->negotiation && !sa->negotiation->child; /* that IKE_AUTH will make */

	for (const struct child_sa *child = sa->children; child; child = child->next)
		count++;
	for (const struct create_child *x = sa->creating; x; x = x->next)
		count += x->purpose == CREATE_NEW_CHILD && !x->child;
	return count;
}

/* Established, or about to be by our doing. */
static bool takes_guests(const struct ike_sa *sa)
{
	if (sa->state == STATE_ZOMBIE || sa->rekeyed || sa->replacing ||
		sa->wants & WANT_DELETE_IKE || !sa->connection)
		return false;
	return sa->state == STATE_ESTABLISHED_IKE_SA ? !sa->replaces : sa->initiator;
}

/* The connection's own SA is meant only when its Child SA is missing: it is set up anew otherwise,
 * as the operator wishes. */
static bool suits(
	const struct ike_sa *sa, const struct connection *c, const struct ip_address *remote)
{
	if (!takes_guests(sa) || !ip_equal(&sa->path.remote.address, remote) ||
		count_children(sa) >= CHILDREN_MAX)
		return false;
	if (is_own(sa, c))
		return sa->state == STATE_ESTABLISHED_IKE_SA && !sa->negotiation &&
		       !sharing_carries(sa, c);
	return sharing_is_possible(sa->connection, c);
}

struct ike_sa *sharing_find(
	struct ike_engine *engine, const struct connection *c, const struct ip_address *remote)
{
	struct table_node *node =
		table_first(engine->by_identity, unique_hash(c->local.id, c->remote.id));
	struct ike_sa *found = NULL;

	if (connection_is_template(c) || c->remote.id->kind == ID_ANY)
		return NULL;
	for (; node; node = table_next(node)) {
		struct ike_sa *sa = container_of(node, struct ike_sa, by_identity);

		if (suits(sa, c, remote) && (!found || sa->serial > found->serial))
			found = sa;
	}
	return found;
}

/* ---- all of a connection's ------------------------------------------------------------------ */

void sharing_walk_start(
	struct sharing_walk *walk, const struct ike_engine *engine, const struct connection *c)
{
	*walk = (struct sharing_walk){.engine = engine,
		.connection_serial = c->serial,
		.next = table_first(engine->by_connection, table_hash_u64(c->serial))};
}

static struct ike_sa *sa_at(struct table_node *node, bool guests, uint64_t connection_serial)
{
	const struct guest *guest;
	struct ike_sa *sa;

	if (guests) {
		guest = container_of(node, struct guest, by_connection);
		return guest->connection->serial == connection_serial ? guest->sa : NULL;
	}
	sa = container_of(node, struct ike_sa, by_connection);
	return sa->connection->serial == connection_serial ? sa : NULL;
}

struct ike_sa *sharing_walk_next(struct sharing_walk *walk)
{
	for (;;) {
		struct table_node *node = walk->next;
		struct ike_sa *sa;

		if (node) {
			walk->next = table_next(node);
			sa = sa_at(node, walk->guests, walk->connection_serial);
			if (sa)
				return sa;
		} else if (!walk->guests) {
			walk->guests = true;
			walk->next = table_first(
				walk->engine->guests, table_hash_u64(walk->connection_serial));
		} else {
			return NULL;
		}
	}
}
