/* INFORMATIONAL exchanges. */
#include "informational.h"

#include "child_sa.h"
#include "configuration.h"
#include "create_child.h"
#include "deadlines.h"
#include "engine_state.h"
#include "exchange.h"
#include "failure.h"
#include "ike_auth.h"

/* Deleted SPIs that one response can name; a peer has no more Child SAs with us anyhow. */
#define DELETED_MAX CHILDREN_MAX

struct deletions {
	bool ike;
	uint8_t protocol; /* of the SPIs */
	unsigned count;
	uint32_t in_spis[DELETED_MAX]; /* ours, of the pairs that the peer deletes */
};

static struct child_sa *find_by_out_spi(struct ike_sa *sa, uint8_t protocol, uint32_t spi)
{
	struct child_sa *child = sa->children;

	while (child &&
		(child->out_spi != spi || child->gone || child->chosen.protocol != protocol))
		child = child->next;
	return child;
}

static void delete_children(
	struct ike_sa *sa, const struct delete_payload *del, struct deletions *out)
{
	for (unsigned i = 0; i < del->spi_count && out->count < DELETED_MAX; i++) {
		struct child_sa *child =
			find_by_out_spi(sa, del->protocol, delete_payload_spi(del, i));
		struct connection *c;
		uint64_t lived_ms;

		if (!child)
			continue;
		/* A pair that we are deleting too is not answered (RFC 7296, section 1.4.1). */
		if (child->state != CHILD_DELETING)
			out->in_spis[out->count++] = child->in_spi;
		out->protocol = del->protocol;
		child_sa_log(child, LOG_LINE_INFO, RC_OK, "peer deleted Child SA <0x%08x",
			child->in_spi);
		c = connection_ref(child->connection);
		lived_ms = child_sa_lived_ms(child);
		child_sa_end(child, FINISHED_DELETED);
		create_child_revive(sa, c, lived_ms);
		connection_unref(c);
		if (sa->state == STATE_ESTABLISHED_IKE_SA && sa->negotiation &&
			!sa->negotiation->child)
			auth_finish(sa); /* the kernel had not answered for it yet */
	}
}

static void log_error(struct ike_sa *sa, uint16_t type)
{
	const char *name = notify_name(type);

	if (NOTIFY_IS_ERROR(type))
		ike_sa_log(sa, LOG_LINE_WARNING, RC_OK, "peer reports %s",
			name ? name : "an unknown error");
}

static void read_payloads(struct ike_sa *sa, const struct incoming *in, struct deletions *out)
{
	struct delete_payload del;
	struct notify notify;

	for (unsigned i = 0; i < in->payloads.count; i++) {
		const struct payload *p = &in->payloads.payloads[i];

		if (p->type == PAYLOAD_DELETE && delete_payload_decode(p->body, &del)) {
			if (del.protocol == PROTOCOL_IKE)
				out->ike = true;
			else if (del.protocol == PROTOCOL_ESP || del.protocol == PROTOCOL_AH)
				delete_children(sa, &del, out);
		} else if (p->type == PAYLOAD_NOTIFY && notify_payload_decode(p->body, &notify)) {
			count_notify(sa->engine, false, notify.type);
			log_error(sa, notify.type);
		}
	}
}

static void respond(struct ike_sa *sa, const struct incoming *in, const struct deletions *done)
{
	struct message_writer m;

	sealed_response_begin(sa, &m, EXCHANGE_INFORMATIONAL, in->header.message_id);
	if (done->count && !done->ike)
		delete_payload_encode(&m, done->protocol, done->in_spis, done->count);
	if (!done->ike)
		configuration_answer(sa, &in->payloads, &m);
	if (sealed_end(sa, &m))
		response_send(sa, writer_bytes(&m.w));
}

/* A responder that has just believed us does not believe us after all, or the initiator does not
 * believe us: the SA cannot live (RFC 7296, section 2.21.2). */
static bool authentication_revoked(const struct incoming *in)
{
	return first_error_notify(&in->payloads) == N_AUTHENTICATION_FAILED;
}

void informational_request(struct ike_sa *sa, struct incoming *in)
{
	struct deletions done = {0};
	bool revoked = authentication_revoked(in);

	if (sa->state != STATE_ESTABLISHED_IKE_SA && sa->state != STATE_ZOMBIE)
		return; /* nothing but IKE_AUTH may come before */
	if (!in->payloads.count) {
		engine_count(sa->engine, COUNT_DPD_RECEIVED);
		engine_count(sa->engine, COUNT_DPD_REPLIED);
	}
	read_payloads(sa, in, &done);
	respond(sa, in, &done);
	if (done.ike || revoked) {
		ike_sa_log(sa, LOG_LINE_INFO, RC_OK, "peer deleted the IKE SA");
		ike_sa_retire(sa, FINISHED_DELETED);
	}
}

static void child_deleted(struct ike_sa *sa, uint64_t serial)
{
	struct child_sa *child = engine_find_child(sa->engine, serial);

	if (child && child->ike_sa == sa)
		child_sa_end(child, FINISHED_COMPLETED);
	ike_sa_release_watcher(sa);
}

void informational_response(struct ike_sa *sa, struct incoming *in)
{
	enum exchange_purpose purpose = sa->exchange->purpose;
	uint64_t child_serial = sa->exchange->child_serial;
	struct deletions ignored = {0};

	exchange_end(sa);
	if (purpose == FOR_DELETE_IKE) {
		ike_sa_log(sa, LOG_LINE_INFO, RC_OK, "deleting IKE SA (established IKE SA)");
		ike_sa_free(sa, sa->finish_reason);
		return;
	}
	if (has_notify(&in->payloads, N_INVALID_SYNTAX)) {
		/* Fatal to both ends, without a Delete (RFC 7296, section 2.21.3). */
		ike_sa_log(sa, LOG_LINE_ERROR, RC_OK,
			"peer takes our request for malformed; deleting IKE SA");
		ike_sa_free(sa, FINISHED_OTHER);
		return;
	}
	if (purpose == FOR_DELETE_CHILD)
		child_deleted(sa, child_serial);
	read_payloads(sa, in, &ignored);
	exchange_next(sa);
}
