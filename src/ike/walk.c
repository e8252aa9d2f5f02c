/* Reports: views of SAs, and walks that survive what happens between their steps. */
#include "child_sa.h"
#include "configuration.h"
#include "engine_state.h"

static uint64_t seconds_until(uint64_t now, uint64_t at)
{
	if (!at)
		return UINT64_MAX;
	return at > now ? (at - now) / 1000 : 0;
}

static void view_child(const struct child_sa *child, struct child_view *view)
{
	const struct ike_sa *sa = child->ike_sa;
	uint64_t now = engine_now(sa->engine);

	*view = (struct child_view){
		.serial = child->serial,
		.connection = child->connection,
		.in_spi = child->in_spi,
		.out_spi = child->out_spi,
		.state = child_state_name(child->state),
		.story = child->state == CHILD_ESTABLISHED ? "established Child SA"
							   : "deleted state",
		.established = child->state == CHILD_ESTABLISHED,
		.newest = child->newest,
		.outbound_waits = child->outbound_waits,
		.protocol = child->chosen.protocol == PROTOCOL_AH ? IPSEC_AH : IPSEC_ESP,
		.mode = child->mode,
		.udp_encapsulation = child->udp_encapsulation,
		.esn = child->chosen.esn,
		.in_cpi = child->out_cpi ? child->in_cpi : 0,
		.out_cpi = child->out_cpi,
		.reqid = child->reqid,
		.chosen = child->chosen,
		.local_ts = child_local_ts(child),
		.remote_ts = child_remote_ts(child),
		.local_ts_count = child->local_ts_count,
		.remote_ts_count = child->remote_ts_count,
		.replace_in_s = seconds_until(now, child->replace_s * 1000ull),
		.expire_in_s = seconds_until(now, child->expire_s * 1000ull),
	};
}

static void view_configuration(const struct peer_configuration *p, struct ike_sa_view *view)
{
	for (unsigned i = 0; i < 2; i++) {
		view->lent[i] = p->leases[i].address;
		view->given[i] = p->given[i];
	}
	view->peer_dns = p->dns;
	view->peer_domains = p->domains;
	view->peer_banner = p->banner;
}

static void view_sa(const struct ike_sa *sa, struct ike_sa_view *view)
{
	uint64_t now = engine_now(sa->engine);

	*view = (struct ike_sa_view){
		.serial = sa->serial,
		.spi_i = sa->spi_i,
		.spi_r = sa->spi_r,
		.connection = sa->connection,
		.instance = sa->instance,
		.local_id = sa->local_id,
		.remote_id = sa->remote_id,
		.path = sa->path,
		.initiator = sa->initiator,
		.established = sa->state == STATE_ESTABLISHED_IKE_SA,
		.newest = sa->state == STATE_ESTABLISHED_IKE_SA && !sa->rekeyed,
		.behind_nat = sa->behind_nat,
		.peer_behind_nat = sa->peer_behind_nat,
		.state = ike_state_name(sa->state),
		.story = ike_state_story(sa),
		.chosen = sa->chosen,
		.replace_in_s = seconds_until(now, sa->replace_at),
		.expire_in_s = seconds_until(now, sa->expire_at),
		.retransmit_in_s =
			seconds_until(now, sa->exchange ? sa->exchange->retransmit_at : 0),
		.liveness_in_s = seconds_until(now, sa->liveness_at),
		.timeout_in_s =
			seconds_until(now, sa->negotiation ? sa->negotiation->give_up_at : 0),
		.crypto_pending = sa->negotiation && sa->negotiation->job,
		.established_ago_s = sa->established_ms ? (now - sa->established_ms) / 1000 : 0,
	};
	if (sa->configuration)
		view_configuration(sa->configuration, view);
	for (const struct child_sa *child = sa->children; child; child = child->next)
		view->child_count++;
	if (sa->children)
		view_child(sa->children, &view->child);
}

void ike_walk_start(struct ike_engine *engine, struct ike_walk *walk)
{
	*walk = (struct ike_walk){
		.engine = engine, .position = engine->oldest, .next = engine->walks};
	engine->walks = walk;
}

bool ike_walk_next(struct ike_walk *walk, struct ike_sa_view *view)
{
	if (!walk->position) {
		ike_walk_end(walk);
		return false;
	}
	view_sa(walk->position, view);
	walk->position = walk->position->newer;
	return true;
}

void ike_walk_end(struct ike_walk *walk)
{
	struct ike_walk **link;

	if (!walk->engine)
		return;
	for (link = &walk->engine->walks; *link; link = &(*link)->next) {
		if (*link == walk) {
			*link = walk->next;
			break;
		}
	}
	walk->engine = NULL;
}

bool ike_engine_child_at(
	struct ike_engine *engine, uint64_t ike_serial, unsigned i, struct child_view *view)
{
	struct ike_sa *sa = engine_find_serial(engine, ike_serial);
	struct child_sa *child = sa ? sa->children : NULL;

	while (child && i--)
		child = child->next;
	if (child)
		view_child(child, view);
	return child;
}

static uint64_t taken(const struct slab_pool *pool)
{
	struct slab_stats stats = slab_pool_stats(pool);

	return stats.in_use * stats.object_size;
}

static uint64_t slack(const struct slab_pool *pool)
{
	return slab_pool_stats(pool).bytes - taken(pool);
}

struct ike_memory ike_engine_memory(const struct ike_engine *e)
{
	return (struct ike_memory){
		.ike_sas = taken(e->sas),
		.child_sas = taken(e->child_pool) + taken(e->guest_pool),
		.selectors = e->selector_bytes,
		.keys = e->key_bytes,
		.responses = e->response_bytes,
		.identities = e->identity_bytes,
		.requests = e->request_bytes,
		.negotiations = taken(e->negotiations) + taken(e->creations) + e->message_bytes,
		.fragments = e->reassembly_bytes,
		.configurations = e->configuration_bytes,
		.tables = table_bytes(e->by_spi) + table_bytes(e->by_serial) +
			  table_bytes(e->by_identity) + table_bytes(e->by_connection) +
			  table_bytes(e->requests) + table_bytes(e->children) +
			  table_bytes(e->routes) + table_bytes(e->wanted) +
			  table_bytes(e->guests) + table_bytes(e->updown_leavers),
		.updown = e->updown_bytes,
		.slack = slack(e->sas) + slack(e->child_pool) + slack(e->negotiations) +
			 slack(e->creations) + slack(e->guest_pool),
	};
}

bool ike_memory_at(const struct ike_memory *memory, size_t i, const char **name, uint64_t *value)
{
	static const char *const names[] = {"ike_sas", "child_sas", "selectors", "keys",
		"responses", "identities", "requests", "negotiations", "fragments",
		"configurations", "tables", "updown", "slack"};

	_Static_assert(sizeof(names) / sizeof(names[0]) == sizeof(*memory) / sizeof(uint64_t),
		"a name for each kind");
	if (i >= sizeof(names) / sizeof(names[0]))
		return false;
	*name = names[i];
	*value = (&memory->ike_sas)[i];
	return true;
}

uint64_t ike_memory_total(const struct ike_memory *memory)
{
	uint64_t total = 0, value;
	const char *name;

	for (size_t i = 0; ike_memory_at(memory, i, &name, &value); i++)
		total += value;
	return total;
}
