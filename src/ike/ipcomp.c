#include "ipcomp.h"

#include "engine_state.h"
#include "exchange.h"
#include "nat_detection.h"

#define TRANSFORM_DEFLATE 2 /* IANA "IKEv2 Notification IPCOMP Transform IDs" */
/* RFC 3173, section 3.3: what is negotiated. */
#define CPI_FIRST 256
#define CPI_LAST  61439

struct ipcomp_offer ipcomp_offer_take(const struct payload_list *payloads)
{
	struct ipcomp_offer offer = {0};
	struct notify notify;

	for (unsigned i = 0; i < payloads->count; i++) {
		const struct payload *p = &payloads->payloads[i];

		if (p->type != PAYLOAD_NOTIFY || !notify_payload_decode(p->body, &notify) ||
			notify.type != N_IPCOMP_SUPPORTED)
			continue;
		struct reader r = reader_of(notify.data);
		uint16_t cpi = read_u16(&r);
		uint8_t transform = read_u8(&r);

		offer.any = true;
		/* No attributes are defined for it: one that has some is not ours to understand. */
		if (reader_done(&r) && transform == TRANSFORM_DEFLATE && cpi >= CPI_FIRST &&
			cpi <= CPI_LAST && !offer.deflate)
			offer.deflate = cpi;
	}
	return offer;
}

static void take_cpi(struct child_sa *child)
{
	struct ike_sa *sa = child->ike_sa;
	struct ike_host *host = sa->engine->host;

	if (!child->connection->compress)
		return;
	if (nat_is_between(sa)) {
		child_sa_log(child, LOG_LINE_INFO, RC_OK,
			"compress=yes: not with a NAT in between; nothing is compressed");
		return;
	}
	child->in_cpi = host->allocate_cpi ? host->allocate_cpi(host) : 0;
	if (!child->in_cpi)
		child_sa_log(child, LOG_LINE_WARNING, RC_OK,
			"compress=yes: the kernel interface has no IPComp, or no CPI is free; "
			"nothing is compressed");
}

void ipcomp_propose(struct child_sa *child)
{
	take_cpi(child);
}

const char *ipcomp_take_answer(struct child_sa *child, const struct ipcomp_offer *answer)
{
	if (!answer->any) {
		if (child->in_cpi)
			child_sa_log(child, LOG_LINE_INFO, RC_OK,
				"the peer does not compress: without IPComp");
		ipcomp_release(child);
		return NULL;
	}
	if (!child->in_cpi)
		return "the peer chose compression unasked";
	if (!answer->deflate)
		return "the peer chose a compression that was not offered";
	child->out_cpi = answer->deflate;
	return NULL;
}

void ipcomp_choose(struct child_sa *child, const struct ipcomp_offer *offer)
{
	if (!offer->deflate)
		return;
	take_cpi(child);
	if (child->in_cpi)
		child->out_cpi = offer->deflate;
}

void ipcomp_encode(const struct child_sa *child, struct message_writer *m)
{
	uint8_t data[3];
	struct writer w = writer_of(data, sizeof(data));

	if (!child->in_cpi)
		return;
	write_u16(&w, child->in_cpi);
	write_u8(&w, TRANSFORM_DEFLATE);
	add_notify(child->ike_sa->engine, m, N_IPCOMP_SUPPORTED, writer_bytes(&w));
}

void ipcomp_release(struct child_sa *child)
{
	struct ike_host *host = child->ike_sa->engine->host;

	if (child->in_cpi)
		host->release_cpi(host, child->in_cpi);
	child->in_cpi = child->out_cpi = 0;
}
