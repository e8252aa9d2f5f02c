/* Child SAs. */
#include "child_sa.h"

#include "create_child.h"
#include "deadlines.h"
#include "engine_state.h"
#include "exchange.h"
#include "ipcomp.h"
#include "negotiation_rules.h"
#include "route.h"
#include "routing.h"
#include "sharing.h"
#include "trap.h"
#include "wanted.h"
#include "updown.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct child_sa *new_child(struct ike_sa *sa, struct connection *c, uint32_t reqid)
{
	struct ike_engine *engine = sa->engine;
	struct child_sa *child = slab_alloc(engine->child_pool);

	if (!child)
		return NULL;
	child->ike_sa = sa;
	child->serial = engine->host->new_serial(engine->host);
	child->in_spi = engine->host->allocate_spi(engine->host);
	if (!child->in_spi ||
		!table_insert(engine->children, &child->by_serial, table_hash_u64(child->serial))) {
		if (child->in_spi)
			engine->host->release_spi(engine->host, child->in_spi);
		slab_free(engine->child_pool, child);
		return NULL;
	}
	child->connection = connection_ref(c);
	child->reqid = reqid;
	child->mode = c->mode;
	child->next = sa->children;
	sa->children = child;
	engine_count(engine, COUNT_CHILD_STARTED);
	return child;
}

static void drop_selectors(struct child_sa *child)
{
	if (child->ts && child->ts != child->own_ts) {
		child->ike_sa->engine->selector_bytes -=
			(child->local_ts_count + child->remote_ts_count) * sizeof(*child->ts);
		free(child->ts);
	}
	child->ts = NULL;
}

struct child_sa *child_sa_new(struct ike_sa *sa, struct connection *c)
{
	struct ike_host *host = sa->engine->host;

	return new_child(sa, c, connection_is_template(c) ? host->new_reqid(host) : c->reqid);
}

struct child_sa *child_sa_new_rekeyed(struct child_sa *old)
{
	struct child_sa *child = new_child(old->ike_sa, old->connection, old->reqid);

	if (child) {
		child->mode = old->mode;
		updown_share(old, child);
	}
	return child;
}

bool child_sa_set_selectors(struct child_sa *child, const struct traffic_selector *local,
	unsigned local_count, const struct traffic_selector *remote, unsigned remote_count)
{
	struct ike_engine *engine = child->ike_sa->engine;
	size_t size = (local_count + remote_count) * sizeof(*child->ts);
	struct traffic_selector *ts = child->own_ts;

	if (local_count + remote_count > 2)
		ts = malloc(size);
	if (!ts)
		return false;
	drop_selectors(child);
	memcpy(ts, local, local_count * sizeof(*ts));
	memcpy(ts + local_count, remote, remote_count * sizeof(*ts));
	engine->selector_bytes += ts == child->own_ts ? 0 : size;
	child->ts = ts;
	child->local_ts_count = local_count;
	child->remote_ts_count = remote_count;
	return true;
}

/* ---- requests to the kernel ------------------------------------------------ */

/* Beneath IPComp an SA is in transport mode, where there is no such padding. */
static bool pads(const struct child_sa *child)
{
	return child->chosen.protocol == PROTOCOL_ESP && child->mode == IPSEC_TUNNEL &&
	       !child->no_tfc && !child->in_cpi;
}

static void describe_sa(
	const struct child_sa *child, enum ipsec_direction direction, struct ipsec_sa *out)
{
	const struct ike_sa *sa = child->ike_sa;
	const struct connection *c = child->connection;

	*out = (struct ipsec_sa){
		.id = child->serial,
		.spi = direction == IPSEC_INBOUND ? child->in_spi : child->out_spi,
		.direction = direction,
		.protocol = child->chosen.protocol == PROTOCOL_AH ? IPSEC_AH : IPSEC_ESP,
		.mode = child->mode,
		.local = {.address = sa->path.local.address},
		.remote = {.address = sa->path.remote.address},
		.udp_encapsulation = child->udp_encapsulation,
		.esn = child->chosen.esn,
		.replay_window = direction == IPSEC_INBOUND ? c->replay_window : 0,
		.encr = child->chosen.encr ? child->chosen.encr->id : 0,
		.integ = child->chosen.integ ? child->chosen.integ->id : 0,
		.reqid = child->reqid,
		.limits = c->limits,
		.decap_dscp = c->decap_dscp,
		.no_pmtu_discovery = c->no_pmtu_discovery,
		.ipcomp_cpi = direction == IPSEC_INBOUND ? child->in_cpi : child->out_cpi,
		.tfc_padding = direction == IPSEC_OUTBOUND && pads(child) ? c->tfc_padding : 0,
		.local_ts = child_local_ts(child),
		.local_ts_count = child->local_ts_count,
		.remote_ts = child_remote_ts(child),
		.remote_ts_count = child->remote_ts_count,
	};
	if (child->udp_encapsulation) {
		out->local.port = sa->path.local.port;
		out->remote.port = sa->path.remote.port;
	}
	binding_of_sa(c, child->reqid, out);
}

static void describe_policy(const struct child_sa *child, struct ipsec_policy *out)
{
	const struct ike_sa *sa = child->ike_sa;

	*out = (struct ipsec_policy){
		.reqid = child->reqid,
		.action = IPSEC_PROTECT,
		/* What stays of it without an SA asks as a trap would; the answer is the trap's. */
		.trap = !connection_is_template(child->connection),
		.mode = child->mode,
		.protocol = child->chosen.protocol == PROTOCOL_AH ? IPSEC_AH : IPSEC_ESP,
		.ipcomp = child->out_cpi != 0,
		.priority = child->connection->priority,
		.local = sa->path.local.address,
		.remote = sa->path.remote.address,
		.local_ts = child_local_ts(child),
		.local_ts_count = child->local_ts_count,
		.remote_ts = child_remote_ts(child),
		.remote_ts_count = child->remote_ts_count,
	};
	binding_of_policy(child->connection, child->reqid, out);
}

static void ask(struct child_sa *child, struct ipsec_request *request, enum token_kind kind)
{
	struct ike_engine *engine = child->ike_sa->engine;

	request->token = ipsec_token(child, kind);
	child->ipsec_pending++;
	engine->host->ipsec(engine->host, request);
}

static bool keep_outbound(struct child_sa *child, const struct ipsec_sa *out, uint64_t replaces)
{
	struct outbound_keys *keys = malloc(sizeof(*keys));

	if (!keys)
		return false;
	*keys = (struct outbound_keys){.replaced = replaces,
		.encr_key_len = out->encr_key_len,
		.integ_key_len = out->integ_key_len};
	memcpy(keys->encr_key, out->encr_key, sizeof(keys->encr_key));
	memcpy(keys->integ_key, out->integ_key, sizeof(keys->integ_key));
	child->waiting = keys;
	child->outbound_waits = true;
	return true;
}

static void forget_outbound(struct child_sa *child)
{
	if (!child->outbound_waits)
		return;
	secret_wipe(child->waiting, sizeof(*child->waiting));
	free(child->waiting);
	child->waiting = NULL;
	child->outbound_waits = false;
}

static void install_waiting(struct child_sa *child)
{
	struct ipsec_request out = {.op = IPSEC_SA_ADD};
	const struct outbound_keys *keys = child->waiting;

	describe_sa(child, IPSEC_OUTBOUND, &out.sa);
	out.sa.encr_key_len = keys->encr_key_len;
	out.sa.integ_key_len = keys->integ_key_len;
	memcpy(out.sa.encr_key, keys->encr_key, sizeof(keys->encr_key));
	memcpy(out.sa.integ_key, keys->integ_key, sizeof(keys->integ_key));
	forget_outbound(child);
	child->out_kernel = true;
	ask(child, &out, TOKEN_OUTBOUND);
	secret_wipe(&out, sizeof(out));
}

/* The SA goes: what was to follow it follows now. */
static void install_successors(struct child_sa *old)
{
	for (struct child_sa *child = old->ike_sa->children; child; child = child->next) {
		if (child->outbound_waits && child->waiting->replaced == old->serial)
			install_waiting(child);
	}
}

static void ask_for_all(struct child_sa *child, struct ipsec_request *in, struct ipsec_request *out)
{
	struct ipsec_request policy = {.op = IPSEC_POLICY_ADD};

	describe_policy(child, &policy.policy);
	child->in_kernel = true;
	child->state = CHILD_INSTALLING;
	ask(child, in, TOKEN_OTHER);
	if (!child->outbound_waits) {
		child->out_kernel = true;
		ask(child, out, TOKEN_OTHER);
	}
	ask(child, &policy, TOKEN_OTHER);
	/* From now on, not only when the kernel has agreed to all of it: a policy that nobody
	 * remembers stays for ever. */
	if (!connection_is_template(child->connection))
		route_remember(child->ike_sa->engine, child);
}

bool child_sa_install_created(struct child_sa *child, bool initiator,
	const struct child_seed *seed, uint64_t replaces)
{
	struct ipsec_request in = {.op = IPSEC_SA_ADD}, out = {.op = IPSEC_SA_ADD};
	bool ok;

	describe_sa(child, IPSEC_INBOUND, &in.sa);
	describe_sa(child, IPSEC_OUTBOUND, &out.sa);
	ok = keymat_child(child->ike_sa, &child->chosen, initiator, seed, &in.sa, &out.sa) &&
	     (!replaces || keep_outbound(child, &out.sa, replaces));
	if (ok)
		ask_for_all(child, &in, &out);
	secret_wipe(&in, sizeof(in));
	secret_wipe(&out, sizeof(out));
	return ok;
}

bool child_sa_install(struct child_sa *child, bool initiator)
{
	const struct negotiation *n = child->ike_sa->negotiation;
	struct child_seed seed = {
		.ni = bytes_of(n->ni, n->ni_len), .nr = bytes_of(n->nr, n->nr_len)};

	return child_sa_install_created(child, initiator, &seed, 0);
}

bool child_sa_answer(struct child_sa *child, const struct ipsec_answer *answer)
{
	if (answer->error && !child->ipsec_error)
		child->ipsec_error = answer->error;
	return child->ipsec_pending && --child->ipsec_pending == 0;
}

void child_sa_log_refused(const struct child_sa *child)
{
	if (!child->updown_failed)
		child_sa_log(child, LOG_LINE_ERROR, RC_OK,
			"the kernel refused the Child SA: %s (errno %d)",
			strerror(child->ipsec_error), child->ipsec_error);
}

const char *child_sa_selectors_text(const struct child_sa *child, char *out, size_t size)
{
	return selectors_pair_text(child_local_ts(child), child->local_ts_count,
		child_remote_ts(child), child->remote_ts_count, out, size);
}

static const char *encapsulated_protocol(const struct child_sa *child)
{
	if (child->chosen.protocol == PROTOCOL_AH)
		return "AH";
	return child->udp_encapsulation ? "ESPinUDP" : "ESP";
}

static void count_established_child(struct child_sa *child)
{
	struct ike_engine *engine = child->ike_sa->engine;

	engine_count(engine, COUNT_CHILD_ESTABLISHED);
	engine_count(engine, COUNT_STATES_IPSEC);
	engine_count(engine, COUNT_STATES_ALL);
	engine_count(engine, COUNT_STATE_CHILD);
	engine_count(engine, child->chosen.protocol == PROTOCOL_AH ? COUNT_AH : COUNT_ESP);
	engine_count(engine, child->udp_encapsulation ? COUNT_ENCAP : COUNT_NON_ENCAP);
	if (child->chosen.esn)
		engine_count(engine, COUNT_ESN);
	if (child->out_cpi)
		engine_count(engine, COUNT_IPCOMP);
	if (child->connection->tfc_padding && pads(child))
		engine_count(engine, COUNT_TFC);
	count_child_algorithms(engine, &child->chosen);
}

static void log_established(struct child_sa *child, bool initiator, uint64_t replaced)
{
	struct ike_sa *sa = child->ike_sa;
	char what[48] = "established Child SA", selectors[400], chosen[CHOSEN_TEXT_MAX],
	     nat[IP_RANGE_TEXT_MAX + 8] = "", ipcomp[40] = "", peer[IP_RANGE_TEXT_MAX];

	if (replaced)
		snprintf(what, sizeof(what), "rekeyed Child SA #%llu",
			(unsigned long long)replaced);
	if (child->udp_encapsulation)
		snprintf(nat, sizeof(nat), " NATD=%s", ip_endpoint_text(&sa->path.remote, peer));
	if (child->out_cpi)
		snprintf(ipcomp, sizeof(ipcomp), " IPCOMP=>0x%08x <0x%08x", child->out_cpi,
			child->in_cpi);
	child_sa_log(child, LOG_LINE_INFO, RC_OK,
		"%s %s using #%llu; IPsec %s [%s] {%s%s=>0x%08x <0x%08x xfrm=%s%s%s DPD=%s}",
		initiator ? "initiator" : "responder", what, (unsigned long long)sa->serial,
		child->mode == IPSEC_TUNNEL ? "tunnel" : "transport",
		child_sa_selectors_text(child, selectors, sizeof(selectors)),
		encapsulated_protocol(child), child->chosen.esn ? "/ESN" : "", child->out_spi,
		child->in_spi, chosen_child_text(&child->chosen, chosen), nat, ipcomp,
		child->connection->dpd_delay_s ? "active" : "passive");
}

/* auto=keep: from now on as if the operator had initiated it. */
static void keep_up(struct child_sa *child)
{
	struct ike_engine *engine = child->ike_sa->engine;
	struct connection *c = child->connection;

	if (c->keep && !connection_is_template(c) &&
		!connection_is_wanted(engine, c, &c->remote.host))
		wanted_add(engine, c, &c->remote.host);
}

void child_sa_established(struct child_sa *child, bool initiator, uint64_t replaced)
{
	child->state = CHILD_ESTABLISHED;
	child->newest = true;
	count_established_child(child);
	deadlines_child_begin(child, initiator);
	log_established(child, initiator, replaced);
	routing_tunnel(child, true);
	keep_up(child);
	trap_review(child->ike_sa->engine, child->connection);
}

void child_sa_outbound_answer(struct child_sa *child, const struct ipsec_answer *answer)
{
	if (!answer->error || child->state != CHILD_ESTABLISHED)
		return;
	child_sa_log(child, LOG_LINE_ERROR, RC_OK,
		"the kernel refused the outbound SA: %s (errno %d); deleting the Child SA",
		strerror(answer->error), answer->error);
	child_sa_delete(child);
}

/* ---- out of the kernel ------------------------------------------------------- */

static void leave_negotiation(struct child_sa *child)
{
	struct ike_sa *sa = child->ike_sa;

	if (sa->negotiation && sa->negotiation->child == child)
		sa->negotiation->child = NULL;
	create_child_forget(child);
}

static void remove_sa(struct child_sa *child, enum ipsec_direction direction)
{
	struct ike_engine *engine = child->ike_sa->engine;
	struct ipsec_request request = {.op = IPSEC_SA_DELETE,
		.token = ipsec_token(
			child, direction == IPSEC_INBOUND ? TOKEN_INBOUND : TOKEN_OUTBOUND)};

	describe_sa(child, direction, &request.sa);
	engine->host->ipsec(engine->host, &request);
}

/* An instance's policy is shared by the pairs that follow each other by rekeying. */
static bool policy_is_shared(const struct child_sa *child)
{
	size_t size = (child->local_ts_count + child->remote_ts_count) * sizeof(*child->ts);

	for (const struct child_sa *other = child->ike_sa->children; other; other = other->next) {
		if (other != child && other->in_kernel && other->reqid == child->reqid &&
			other->local_ts_count == child->local_ts_count &&
			other->remote_ts_count == child->remote_ts_count &&
			!memcmp(other->ts, child->ts, size))
			return true;
	}
	return false;
}

static void remove_policy(struct child_sa *child)
{
	struct ike_engine *engine = child->ike_sa->engine;
	struct ipsec_request request = {
		.op = IPSEC_POLICY_DELETE, .token = ipsec_token(child, TOKEN_OTHER)};

	describe_policy(child, &request.policy);
	engine->host->ipsec(engine->host, &request);
}

void child_sa_never_send(struct child_sa *child)
{
	if (child->outbound_waits)
		child->waiting->replaced = 0;
	child->newest = false;
	child->replace_s = 0;
}

void child_sa_close(struct child_sa *child)
{
	struct ike_engine *engine = child->ike_sa->engine;

	install_successors(child);
	leave_negotiation(child);
	if (child->state == CHILD_ESTABLISHED) {
		counter_sub(engine->config.counters, COUNT_STATES_IPSEC, 1);
		counter_sub(engine->config.counters, COUNT_STATES_ALL, 1);
		counter_sub(engine->config.counters, COUNT_STATE_CHILD, 1);
		routing_tunnel(child, false);
	}
	child->replace_s = child->expire_s = 0;
	child->newest = false;
	forget_outbound(child);
	if (child->out_kernel)
		remove_sa(child, IPSEC_OUTBOUND);
	child->out_kernel = false;
	child->state = CHILD_DELETING;
	trap_review(engine, child->connection);
}

void child_sa_uninstall(struct child_sa *child)
{
	struct ike_engine *engine = child->ike_sa->engine;
	bool unused_spi = child->state == CHILD_NEGOTIATING;

	/* The outbound SA first: nothing may leave that the peer can no longer answer. */
	child_sa_close(child);
	if (unused_spi) {
		engine->host->release_spi(engine->host, child->in_spi);
		ipcomp_release(child);
	}
	if (!child->in_kernel)
		return;
	remove_sa(child, IPSEC_INBOUND);
	child->in_kernel = false;
	child->removing = true;
	if (connection_is_template(child->connection) && !policy_is_shared(child))
		remove_policy(child);
}

void child_sa_free(struct child_sa *child, enum finish_reason reason)
{
	struct ike_engine *engine = child->ike_sa->engine;
	struct child_sa **link = &child->ike_sa->children;
	struct connection *c = child->connection;

	child_sa_uninstall(child);
	updown_leave(child);
	while (*link != child)
		link = &(*link)->next;
	*link = child->next;
	engine_count(engine, COUNT_CHILD_FINISHED + reason);
	engine_count(engine, COUNT_CHILD_FINISHED_ALL);
	drop_selectors(child);
	table_remove(engine->children, &child->by_serial);
	slab_free(engine->child_pool, child);
	trap_review(engine, c);
	connection_unref(c);
}

/* Not because its IKE SA goes. */
static void free_alone(struct child_sa *child, enum finish_reason reason)
{
	struct ike_sa *sa = child->ike_sa;

	child_sa_free(child, reason);
	sharing_prune(sa);
}

void child_sa_end(struct child_sa *child, enum finish_reason reason)
{
	bool installed = child->in_kernel;

	child_sa_uninstall(child);
	if (!installed) {
		free_alone(child, reason);
		return;
	}
	child->gone = true;
	child->finish_reason = reason;
}

void child_sa_delete(struct child_sa *child)
{
	struct ike_sa *sa = child->ike_sa;
	uint64_t lived_ms = child_sa_lived_ms(child);

	child_sa_uninstall(child);
	sa->wants |= WANT_DELETE_CHILD;
	exchange_next(sa);
	create_child_revive(sa, child->connection, lived_ms);
}

uint64_t child_sa_lived_ms(const struct child_sa *child)
{
	uint64_t end_ms = child->expire_s * 1000ull, life_ms = child->connection->child_life_s * 1000ull,
		 now = engine_now(child->ike_sa->engine);

	return child->state == CHILD_ESTABLISHED && now + life_ms > end_ms
		       ? now + life_ms - end_ms
		       : 0;
}

/* "17B", "3KB", "20MB": as reports have always scaled it. */
static const char *traffic_text(uint64_t bytes, char out[32])
{
	if (bytes >= 10 << 20)
		snprintf(out, 32, "%lluMB", (unsigned long long)(bytes >> 20));
	else if (bytes >= 10 << 10)
		snprintf(out, 32, "%lluKB", (unsigned long long)(bytes >> 10));
	else
		snprintf(out, 32, "%lluB", (unsigned long long)bytes);
	return out;
}

void child_sa_removed(struct child_sa *child, const struct ipsec_answer *answer)
{
	char in[32], out[32];

	if (child->state != CHILD_DELETING)
		return;
	if (ipsec_token_kind(answer->token) == TOKEN_OUTBOUND) {
		child->bytes_out = answer->counters.bytes;
		return;
	}
	child_sa_log(child, LOG_LINE_INFO, RC_OK, "%s traffic information: in=%s out=%s",
		child->chosen.protocol == PROTOCOL_AH ? "AH" : "ESP",
		traffic_text(answer->counters.bytes, in), traffic_text(child->bytes_out, out));
	if (child->gone)
		free_alone(child, child->finish_reason);
}

void child_sa_moved(struct child_sa *child)
{
	struct ike_engine *engine = child->ike_sa->engine;
	struct ipsec_request request = {
		.op = IPSEC_SA_MOVE, .token = ipsec_token(child, TOKEN_OTHER)};

	if (child->in_kernel) {
		describe_sa(child, IPSEC_INBOUND, &request.sa);
		engine->host->ipsec(engine->host, &request);
	}
	if (child->out_kernel) {
		describe_sa(child, IPSEC_OUTBOUND, &request.sa);
		engine->host->ipsec(engine->host, &request);
	}
}

void child_sa_not_moved(struct child_sa *child, const struct ipsec_answer *answer)
{
	if (child->state != CHILD_ESTABLISHED)
		return;
	child_sa_log(child, LOG_LINE_ERROR, RC_OK,
		"the kernel could not move the SA to the peer's new address: %s (errno %d); deleting "
		"the Child SA",
		strerror(answer->error), answer->error);
	child_sa_delete(child);
}
