/* Rekeying of the IKE SA by CREATE_CHILD_SA (RFC 7296, sections 1.3.2, 2.8 and 2.18): the new SA,
 * what it inherits, and the initiator. */
#include "child_sa.h"
#include "configuration.h"
#include "create_child.h"
#include "deadlines.h"
#include "engine_state.h"
#include "exchange.h"
#include "negotiation_rules.h"
#include "sharing.h"

#include <string.h>

/* The peer, whose part it is to delete the old SA, has so long for it. */
#define REKEYED_MS 120000
/* As long it has for a new one that is not needed. */
#define REDUNDANT_MS 30000

/* ---- the new SA --------------------------------------------------------------- */

static bool derive_keys(struct ike_sa *sa, const struct create_child *x)
{
	struct negotiation *n = sa->negotiation;

	memcpy(n->ni, x->ni, x->ni_len);
	memcpy(n->nr, x->nr, x->nr_len);
	n->ni_len = x->ni_len;
	n->nr_len = x->nr_len;
	return keymat_ike_rekeyed(sa, x->ike_sa, secret_bytes(&x->job->shared));
}

struct ike_sa *rekey_ike_make(struct create_child *x)
{
	struct ike_sa *sa = ike_sa_new_rekeyed(x->ike_sa, x->initiator, x->own_spi);

	if (!sa)
		return NULL;
	sa->chosen = x->chosen;
	*(x->initiator ? &sa->spi_r : &sa->spi_i) = x->chosen.spi;
	if (!derive_keys(sa, x) || !ike_sa_established(sa)) {
		ike_sa_free(sa, FINISHED_CRYPTO_FAILED);
		return NULL;
	}
	ike_sa_end_negotiation(sa);
	return sa;
}

static void move_children(struct ike_sa *from, struct ike_sa *to)
{
	struct child_sa **end = &to->children;

	while (*end)
		end = &(*end)->next;
	*end = from->children;
	from->children = NULL;
	for (struct child_sa *child = *end; child; child = child->next)
		child->ike_sa = to;
}

/* What waits in the queue waits at the new SA now; a rekeying of the old one that has not begun
 * never will. */
static void move_queue(struct ike_sa *from, struct ike_sa *to)
{
	struct create_child *x, *next, **end = &to->creating;

	while (*end)
		end = &(*end)->next;
	for (x = from->creating; x; x = next) {
		struct create_child **link = &from->creating;

		next = x->next;
		if (!x->initiator || create_is_under_way(x))
			continue;
		if (x->purpose == CREATE_REKEY_IKE) {
			create_free(x);
			continue;
		}
		while (*link != x)
			link = &(*link)->next;
		*link = next;
		x->next = NULL;
		x->ike_sa = to;
		*end = x;
		end = &x->next;
	}
}

/* From now on it only waits for the peer's Delete. */
static void let_go(struct ike_sa *sa, uint64_t ms)
{
	sa->rekeyed = true;
	sa->replaces = 0;
	sa->wants = 0;
	deadlines_stop(sa);
	sa->expire_at = engine_now(sa->engine) + ms;
	ike_sa_schedule(sa);
}

void rekey_ike_inherit(struct ike_sa *from, struct ike_sa *to)
{
	char text[CHOSEN_TEXT_MAX];

	move_children(from, to);
	move_queue(from, to);
	sharing_move(from, to);
	configuration_inherit(from, to);
	if (!to->watcher) {
		to->watcher = from->watcher;
		from->watcher = 0;
	}
	to->wants |= from->wants & WANT_DELETE_CHILD;
	let_go(from, REKEYED_MS);
	to->replaces = 0;
	ike_sa_log(to, LOG_LINE_INFO, RC_OK, "%s rekeyed IKE SA #%llu {%s}",
		to->initiator ? "initiator" : "responder", (unsigned long long)from->serial,
		chosen_ike_text(&to->chosen, text));
	ike_sa_release_watcher(to);
	exchange_next(to);
	ike_sa_schedule(to);
}

void rekey_ike_settle(struct ike_sa *old)
{
	struct create_child *x = old->creating;
	struct ike_sa *to;

	while (x && !x->successor)
		x = x->next;
	if (!x)
		return;
	to = engine_find_serial(old->engine, x->successor);
	create_free(x);
	if (to && to->state == STATE_ESTABLISHED_IKE_SA && !to->rekeyed)
		rekey_ike_inherit(old, to);
}

void rekey_ike_is_used(struct ike_sa *to)
{
	struct ike_sa *old = engine_find_serial(to->engine, to->replaces);

	if (old)
		rekey_ike_settle(old);
}

/* ---- initiator ------------------------------------------------------------------ */

bool rekey_ike_build(struct create_child *x, struct message_writer *m, struct bytes public_value)
{
	struct ike_sa *sa = x->ike_sa;

	x->own_spi = ike_sa_choose_spi(sa->engine);
	sealed_request_begin(sa, m, EXCHANGE_CREATE_CHILD_SA);
	sa_payload_encode(m, x->offered, 8, x->own_spi);
	nonce_payload_encode(m, bytes_of(x->ni, x->ni_len));
	ke_payload_encode(m, x->group->id, public_value);
	return sealed_end(sa, m);
}

/* The peer has a new SA that we cannot use, and perhaps all Child SAs with it: nothing is left to
 * agree about. */
static void reject(struct create_child *x, const char *why)
{
	struct ike_sa *sa = x->ike_sa;

	ike_sa_log(sa, LOG_LINE_ERROR, RC_FATAL, "rekeying of the IKE SA failed: %s; deleting it",
		why);
	create_free(x);
	ike_sa_delete(sa, FINISHED_OTHER);
}

static const char *take_proposal(struct create_child *x, const struct incoming *in)
{
	const struct payload *p = payload_find(&in->payloads, PAYLOAD_SA);
	struct proposal_list *received = x->ike_sa->engine->received;
	static _Thread_local char error[160];

	if (!p)
		return "the response lacks a SA payload";
	if (!sa_payload_decode(p->body, received, PROPOSALS_MAX, error, sizeof(error)))
		return error;
	if (!proposal_accept(x->offered, received, PROTOCOL_IKE, true, &x->chosen) ||
		x->chosen.spi_len != 8 || !x->chosen.spi)
		return "the chosen proposal is none of those offered, or has no SPI";
	return NULL;
}

void rekey_ike_response(struct create_child *x, const struct incoming *in)
{
	const struct payload *p = payload_find(&in->payloads, PAYLOAD_KE);
	const char *wrong = take_proposal(x, in);
	struct bytes value;
	uint16_t group;

	if (!wrong)
		wrong = create_take_nonce(x, in);
	if (!wrong && (x->chosen.ke != x->group || !p ||
			      !ke_payload_decode(p->body, &group, &value) || group != x->group->id))
		wrong = "its KE payload is missing, malformed or of another method";
	if (!wrong)
		wrong = create_derive(x, value);
	if (wrong)
		reject(x, wrong);
}

/* Both ends have rekeyed it at one time, and the peer's stays: ours is closed. */
static void lose(struct create_child *x, struct ike_sa *ours)
{
	ike_sa_log(ours, LOG_LINE_INFO, RC_OK,
		"the peer has rekeyed IKE SA #%llu at the same time; closing ours",
		(unsigned long long)x->ike_sa->serial);
	create_give_up(x);
	ours->rekeyed = true; /* it has never served */
	ike_sa_delete(ours, FINISHED_SUPERSEDED);
}

/* Ours stays. What of the peer's is not answered yet never will be; if it is, the peer closes its
 * own, and needs the old SA until then: a Delete that overtook the answer would leave it without
 * the keys of a new SA that only we have. True: the old SA goes with that one. */
static bool abandon(struct create_child *theirs)
{
	struct ike_sa *old = theirs->ike_sa,
		      *sa = engine_find_serial(old->engine, theirs->successor);

	create_free(theirs);
	if (!sa || sa->state != STATE_ESTABLISHED_IKE_SA)
		return false;
	let_go(sa, REDUNDANT_MS);
	sa->replaces = old->serial;
	return true;
}

void rekey_ike_redundant_gone(struct ike_sa *sa)
{
	struct ike_sa *old = engine_find_serial(sa->engine, sa->replaces);

	sa->replaces = 0;
	if (old)
		ike_sa_delete(old, FINISHED_SUPERSEDED);
}

void rekey_ike_derived(struct create_child *x)
{
	struct ike_sa *old = x->ike_sa, *sa = NULL;
	struct create_child *theirs = rekey_collision_find(x);
	bool old_is_needed;

	if (x->job->result == CRYPTO_JOB_OK)
		sa = rekey_ike_make(x);
	if (!sa) {
		reject(x, x->job->result == CRYPTO_JOB_BAD_PEER_VALUE
				  ? "the peer's public value is invalid"
				  : "its keys cannot be derived");
		return;
	}
	if (old->rekeyed || (theirs && rekey_collision_lost(x, theirs))) {
		lose(x, sa);
		return;
	}
	old_is_needed = theirs && abandon(theirs);
	rekey_ike_inherit(old, sa);
	create_free(x);
	if (!old_is_needed)
		ike_sa_delete(old, FINISHED_SUPERSEDED);
}
