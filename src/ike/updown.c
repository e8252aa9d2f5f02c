/* Uses of what goes with Child SAs. */
#include "updown.h"

#include "child_sa.h"
#include "configuration.h"
#include "create_child.h"
#include "engine_state.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct updown_use {
	unsigned users; /* Child SAs, and such as are gone but for their last figures */
	uint64_t token; /* the first Child SA's serial */
	uint64_t bytes_in, bytes_out;
};

/* A Child SA that was freed before the kernel has told what it carried. */
struct updown_leaver {
	struct table_node node;
	struct updown_leaver *next, **link;
	uint64_t child_serial;
	struct updown_use *use;
};

static bool is_concerned(const struct ike_engine *engine, const struct connection *c)
{
	return engine->host->updown && !c->local.updown_none;
}

/* ---- uses --------------------------------------------------------------------------- */

static struct updown_use *use_new(struct ike_engine *engine, uint64_t token)
{
	struct updown_use *use = calloc(1, sizeof(*use));

	if (!use)
		return NULL;
	use->users = 1;
	use->token = token;
	engine->updown_bytes += sizeof(*use);
	return use;
}

static void use_free(struct ike_engine *engine, struct updown_use *use)
{
	engine->updown_bytes -= sizeof(*use);
	free(use);
}

static void use_leave(struct ike_engine *engine, struct updown_use *use)
{
	struct ike_updown request = {.op = IKE_UPDOWN_DOWN,
		.token = use->token,
		.bytes_in = use->bytes_in,
		.bytes_out = use->bytes_out};

	if (--use->users)
		return;
	if (!engine->forgetting)
		engine->host->updown(engine->host, &request);
	use_free(engine, use);
}

static bool is_initiator(const struct child_sa *child)
{
	const struct ike_sa *sa = child->ike_sa;
	const struct create_child *x = sa->creating;

	while (x && x->child != child)
		x = x->next;
	return x ? x->initiator : sa->initiator;
}

static void add_configuration(struct ike_updown *request, const struct ike_sa *sa)
{
	const struct peer_configuration *got = sa->configuration;

	request->gives_address = configuration_serves(request->connection);
	if (!got || request->gives_address)
		return;
	memcpy(request->given, got->given, sizeof(request->given));
	request->dns = got->dns;
	request->domains = got->domains;
	request->banner = got->banner;
}

bool updown_begin(struct child_sa *child)
{
	const struct ike_sa *sa = child->ike_sa;
	struct ike_engine *engine = sa->engine;
	struct ike_updown request = {.op = IKE_UPDOWN_UP,
		.token = child->serial,
		.connection = child->connection,
		.serial = child->serial,
		.ike_serial = sa->serial,
		.instance = sa->instance,
		.initiator = is_initiator(child),
		.local_id = sa->local_id,
		.remote_id = sa->remote_id,
		.local = sa->path.local.address,
		.remote = sa->path.remote.address,
		.in_spi = child->in_spi,
		.out_spi = child->out_spi,
		.reqid = child->reqid,
		.mode = child->mode,
		.protocol = child->chosen.protocol == PROTOCOL_AH ? IPSEC_AH : IPSEC_ESP,
		.local_ts = child_local_ts(child),
		.remote_ts = child_remote_ts(child),
		.local_ts_count = child->local_ts_count,
		.remote_ts_count = child->remote_ts_count};

	if (child->updown || !is_concerned(engine, child->connection))
		return false;
	add_configuration(&request, sa);
	child->updown = use_new(engine, child->serial);
	if (!child->updown) {
		child->ipsec_error = ENOMEM;
		return false;
	}
	switch (engine->host->updown(engine->host, &request)) {
	case IKE_UPDOWN_ASKED:
		return true;
	case IKE_UPDOWN_FAILED:
		child->ipsec_error = ENOMEM;
		break;
	default:
		break;
	}
	use_free(engine, child->updown);
	child->updown = NULL;
	return false;
}

struct child_sa *updown_answer(struct ike_engine *engine, uint64_t token,
	enum ike_updown_result result, const char *why)
{
	struct child_sa *child = engine_find_child(engine, token);

	if (!child || !child->updown || child->updown->token != token ||
		child->state != CHILD_INSTALLING)
		return NULL;
	if (result == IKE_UPDOWN_DONE)
		return child;
	use_free(engine, child->updown); /* nobody shares it before it is established */
	child->updown = NULL;
	if (result == IKE_UPDOWN_NOTHING)
		return child;
	child->updown_failed = true;
	child->ipsec_error = ECANCELED;
	child_sa_log(child, LOG_LINE_ERROR, RC_ROUTE, "Child SA refused: %s", why);
	return child;
}

void updown_share(const struct child_sa *old, struct child_sa *child)
{
	child->updown = old->updown;
	if (child->updown)
		child->updown->users++;
}

/* ---- the last figures ---------------------------------------------------------------- */

static struct updown_leaver *find_leaver(struct ike_engine *engine, uint64_t child_serial)
{
	struct table_node *node =
		table_first(engine->updown_leavers, table_hash_u64(child_serial));

	for (; node; node = table_next(node)) {
		struct updown_leaver *leaver = container_of(node, struct updown_leaver, node);

		if (leaver->child_serial == child_serial)
			return leaver;
	}
	return NULL;
}

static void forget_leaver(struct ike_engine *engine, struct updown_leaver *leaver)
{
	table_remove(engine->updown_leavers, &leaver->node);
	*leaver->link = leaver->next;
	if (leaver->next)
		leaver->next->link = leaver->link;
	use_leave(engine, leaver->use);
	engine->updown_bytes -= sizeof(*leaver);
	free(leaver);
}

static void count(struct updown_use *use, const struct ipsec_answer *answer)
{
	if (ipsec_token_kind(answer->token) == TOKEN_INBOUND)
		use->bytes_in += answer->counters.bytes;
	else
		use->bytes_out += answer->counters.bytes;
}

void updown_removed(
	struct ike_engine *engine, struct child_sa *child, const struct ipsec_answer *answer)
{
	bool last = ipsec_token_kind(answer->token) == TOKEN_INBOUND;
	struct updown_leaver *leaver =
		child ? NULL : find_leaver(engine, ipsec_token_serial(answer->token));
	struct updown_use *use = leaver ? leaver->use : child ? child->updown : NULL;

	if (child && last)
		child->removing = false;
	if (!use)
		return;
	count(use, answer);
	if (!last)
		return;
	if (leaver) {
		forget_leaver(engine, leaver);
	} else {
		child->updown = NULL;
		use_leave(engine, use);
	}
}

/* False: no memory. The figures are missing then, no more. */
static bool wait_for_figures(struct child_sa *child)
{
	struct ike_engine *engine = child->ike_sa->engine;
	struct updown_leaver *leaver = calloc(1, sizeof(*leaver));

	if (!leaver)
		return false;
	leaver->child_serial = child->serial;
	leaver->use = child->updown;
	if (!table_insert(
		    engine->updown_leavers, &leaver->node, table_hash_u64(child->serial))) {
		free(leaver);
		return false;
	}
	leaver->link = &engine->first_leaver;
	leaver->next = engine->first_leaver;
	if (leaver->next)
		leaver->next->link = &leaver->next;
	engine->first_leaver = leaver;
	engine->updown_bytes += sizeof(*leaver);
	return true;
}

void updown_leave(struct child_sa *child)
{
	struct ike_engine *engine = child->ike_sa->engine;

	if (!child->updown)
		return;
	if (engine->forgetting || !child->removing || !wait_for_figures(child))
		use_leave(engine, child->updown);
	child->updown = NULL;
}

void updown_forget_leavers(struct ike_engine *engine)
{
	while (engine->first_leaver)
		forget_leaver(engine, engine->first_leaver);
}

/* ---- policies ------------------------------------------------------------------------- */

void updown_route(struct ike_engine *engine, const struct connection *c,
	const struct traffic_selector *local_ts, unsigned local_ts_count,
	const struct traffic_selector *remote_ts, unsigned remote_ts_count)
{
	struct ike_updown request = {.op = IKE_UPDOWN_ROUTE,
		.connection = c,
		.local_id = c->local.id,
		.remote_id = c->remote.id,
		.local = c->local.host,
		.remote = c->remote.host,
		.reqid = c->reqid,
		.mode = c->mode,
		.protocol = c->protocol,
		.local_ts = local_ts,
		.remote_ts = remote_ts,
		.local_ts_count = local_ts_count,
		.remote_ts_count = remote_ts_count};

	if (!is_concerned(engine, c))
		return;
	request.token = engine->host->new_serial(engine->host);
	engine->host->updown(engine->host, &request);
}

void updown_unroute(struct ike_engine *engine, const struct connection *c)
{
	struct ike_updown request = {.op = IKE_UPDOWN_UNROUTE, .connection = c};

	if (!engine->forgetting && is_concerned(engine, c))
		engine->host->updown(engine->host, &request);
}
