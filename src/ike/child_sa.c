/* Child SAs. */
#include "child_sa.h"

#include "engine_state.h"
#include "keymat.h"
#include "negotiation_rules.h"
#include "route.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct child_sa *child_sa_new(struct ike_sa *sa)
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
	child->reqid = connection_is_template(sa->connection)
			       ? engine->host->new_reqid(engine->host)
			       : sa->connection->reqid;
	child->mode = sa->connection->mode;
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

static void describe_sa(
	const struct child_sa *child, enum ipsec_direction direction, struct ipsec_sa *out)
{
	const struct ike_sa *sa = child->ike_sa;
	const struct connection *c = sa->connection;

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
		.local_ts = child_local_ts(child),
		.local_ts_count = child->local_ts_count,
		.remote_ts = child_remote_ts(child),
		.remote_ts_count = child->remote_ts_count,
	};
	if (child->udp_encapsulation) {
		out->local.port = sa->path.local.port;
		out->remote.port = sa->path.remote.port;
	}
}

static void describe_policy(const struct child_sa *child, struct ipsec_policy *out)
{
	const struct ike_sa *sa = child->ike_sa;

	*out = (struct ipsec_policy){
		.reqid = child->reqid,
		.action = IPSEC_PROTECT,
		.mode = child->mode,
		.priority = sa->connection->priority,
		.local = sa->path.local.address,
		.remote = sa->path.remote.address,
		.local_ts = child_local_ts(child),
		.local_ts_count = child->local_ts_count,
		.remote_ts = child_remote_ts(child),
		.remote_ts_count = child->remote_ts_count,
	};
}

static void ask(struct child_sa *child, struct ipsec_request *request)
{
	struct ike_engine *engine = child->ike_sa->engine;

	request->token = ipsec_token(child, TOKEN_OTHER);
	child->ipsec_pending++;
	engine->host->ipsec(engine->host, request);
}

bool child_sa_install(struct child_sa *child, bool initiator)
{
	struct ike_sa *sa = child->ike_sa;
	struct ipsec_request in = {.op = IPSEC_SA_ADD}, out = {.op = IPSEC_SA_ADD},
			     policy = {.op = IPSEC_POLICY_ADD};
	bool ok;

	describe_sa(child, IPSEC_INBOUND, &in.sa);
	describe_sa(child, IPSEC_OUTBOUND, &out.sa);
	ok = keymat_child(sa, &child->chosen, initiator, &in.sa, &out.sa);
	if (ok) {
		describe_policy(child, &policy.policy);
		child->in_kernel = true;
		child->state = CHILD_INSTALLING;
		ask(child, &in);
		ask(child, &out);
		ask(child, &policy);
		/* From now on, not only when the kernel has agreed to all of it: a policy that
		 * nobody remembers stays for ever. */
		if (!connection_is_template(sa->connection))
			route_remember(sa->engine, child);
	}
	secret_wipe(&in, sizeof(in));
	secret_wipe(&out, sizeof(out));
	return ok;
}

bool child_sa_answer(struct child_sa *child, const struct ipsec_answer *answer)
{
	if (answer->error && !child->ipsec_error)
		child->ipsec_error = answer->error;
	return child->ipsec_pending && --child->ipsec_pending == 0;
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

void child_sa_established(struct child_sa *child)
{
	struct ike_sa *sa = child->ike_sa;
	struct ike_engine *engine = sa->engine;
	char selectors[400], chosen[CHOSEN_TEXT_MAX],
		nat[IP_RANGE_TEXT_MAX + 8] = "", peer[IP_RANGE_TEXT_MAX];

	child->state = CHILD_ESTABLISHED;
	child->newest = true;
	engine_count(engine, COUNT_CHILD_ESTABLISHED);
	engine_count(engine, COUNT_STATES_IPSEC);
	engine_count(engine, COUNT_STATES_ALL);
	engine_count(engine, COUNT_STATE_CHILD);
	engine_count(engine, child->chosen.protocol == PROTOCOL_AH ? COUNT_AH : COUNT_ESP);
	engine_count(engine, child->udp_encapsulation ? COUNT_ENCAP : COUNT_NON_ENCAP);
	if (child->chosen.esn)
		engine_count(engine, COUNT_ESN);
	count_child_algorithms(engine, &child->chosen);
	if (child->udp_encapsulation)
		snprintf(nat, sizeof(nat), " NATD=%s", ip_endpoint_text(&sa->path.remote, peer));
	child_sa_log(child, LOG_LINE_INFO, RC_OK,
		"%s established Child SA using #%llu; IPsec %s [%s] {%s%s=>0x%08x <0x%08x "
		"xfrm=%s%s DPD=%s}",
		sa->initiator ? "initiator" : "responder", (unsigned long long)sa->serial,
		child->mode == IPSEC_TUNNEL ? "tunnel" : "transport",
		child_sa_selectors_text(child, selectors, sizeof(selectors)),
		encapsulated_protocol(child), child->chosen.esn ? "/ESN" : "", child->out_spi,
		child->in_spi, chosen_child_text(&child->chosen, chosen), nat,
		sa->connection->dpd_delay_s ? "active" : "passive");
}

void child_sa_uninstall(struct child_sa *child)
{
	struct ike_engine *engine = child->ike_sa->engine;
	struct ipsec_request request = {
		.op = IPSEC_SA_DELETE, .token = ipsec_token(child, TOKEN_OUTBOUND)};

	if (child->ike_sa->negotiation && child->ike_sa->negotiation->child == child)
		child->ike_sa->negotiation->child = NULL;
	if (!child->in_kernel) {
		if (child->in_spi && child->state == CHILD_NEGOTIATING) {
			engine->host->release_spi(engine->host, child->in_spi);
			child->state = CHILD_DELETING;
		}
		return;
	}
	if (child->state == CHILD_ESTABLISHED) {
		counter_sub(engine->config.counters, COUNT_STATES_IPSEC, 1);
		counter_sub(engine->config.counters, COUNT_STATES_ALL, 1);
		counter_sub(engine->config.counters, COUNT_STATE_CHILD, 1);
	}
	/* The outbound SA first: nothing may leave that the peer can no longer answer. */
	describe_sa(child, IPSEC_OUTBOUND, &request.sa);
	engine->host->ipsec(engine->host, &request);
	request.token = ipsec_token(child, TOKEN_INBOUND);
	describe_sa(child, IPSEC_INBOUND, &request.sa);
	engine->host->ipsec(engine->host, &request);
	if (connection_is_template(child->ike_sa->connection)) {
		request = (struct ipsec_request){
			.op = IPSEC_POLICY_DELETE, .token = ipsec_token(child, TOKEN_OTHER)};
		describe_policy(child, &request.policy);
		engine->host->ipsec(engine->host, &request);
	}
	child->in_kernel = false;
	child->state = CHILD_DELETING;
}

void child_sa_free(struct child_sa *child, enum finish_reason reason)
{
	struct ike_engine *engine = child->ike_sa->engine;
	struct child_sa **link = &child->ike_sa->children;

	child_sa_uninstall(child);
	while (*link != child)
		link = &(*link)->next;
	*link = child->next;
	engine_count(engine, COUNT_CHILD_FINISHED + reason);
	engine_count(engine, COUNT_CHILD_FINISHED_ALL);
	drop_selectors(child);
	table_remove(engine->children, &child->by_serial);
	slab_free(engine->child_pool, child);
}

void child_sa_end(struct child_sa *child, enum finish_reason reason)
{
	bool installed = child->in_kernel;

	child_sa_uninstall(child);
	if (!installed) {
		child_sa_free(child, reason);
		return;
	}
	child->gone = true;
	child->finish_reason = reason;
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
		child_sa_free(child, child->finish_reason);
}

void child_sa_moved(struct child_sa *child)
{
	struct ike_engine *engine = child->ike_sa->engine;
	struct ipsec_request request = {
		.op = IPSEC_SA_MOVE, .token = ipsec_token(child, TOKEN_OTHER)};

	if (!child->in_kernel)
		return;
	describe_sa(child, IPSEC_INBOUND, &request.sa);
	engine->host->ipsec(engine->host, &request);
	describe_sa(child, IPSEC_OUTBOUND, &request.sa);
	engine->host->ipsec(engine->host, &request);
}
