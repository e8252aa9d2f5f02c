/* Fragmentation of IKE messages. */
#include "fragment.h"

#include "engine_state.h"
#include "keymat.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define IPV4_HEADER_LEN    20
#define IPV6_HEADER_LEN    40
#define UDP_HEADER_LEN     8
#define NON_ESP_MARKER_LEN 4
/* Unfinished messages of all SAs; beyond that the oldest is forgotten. */
#define UNFINISHED_MAX (4u << 20)

/* ---- sending ------------------------------------------------------------------------------- */

static size_t message_limit(const struct ike_sa *sa)
{
	size_t datagram = sa->engine->config.fragment_datagram;
	size_t headers = UDP_HEADER_LEN;

	headers += sa->path.remote.address.family == AF_INET6 ? IPV6_HEADER_LEN : IPV4_HEADER_LEN;
	if (sa->path.non_esp_marker)
		headers += NON_ESP_MARKER_LEN;
	return (datagram ? datagram : FRAGMENT_DATAGRAM) - headers;
}

bool fragment_needed(const struct ike_sa *sa, const struct message_writer *m)
{
	struct sk_keys keys = keymat_sending(sa);

	return sa->fragmentation && writer_len(&m->w) + sk_tail_max(&keys) > message_limit(sa);
}

struct cut {
	struct ike_header header;
	uint8_t first_type;
	struct bytes inner;
	size_t chunk; /* bytes of `inner` in each fragment */
	unsigned total;
};

static bool seal_fragment(
	struct ike_sa *sa, const struct cut *cut, unsigned number, struct writer *out)
{
	size_t at = (number - 1) * cut->chunk, left = cut->inner.len - at;
	struct sk_keys keys = keymat_sending(sa);
	struct message_writer m;
	uint8_t iv[16];

	keymat_iv(sa, iv);
	message_begin(&m, out->at, (size_t)(out->end - out->at), &cut->header);
	skf_begin(&m, &keys, iv, number == 1 ? cut->first_type : PAYLOAD_NONE, number, cut->total);
	write_copy(&m.w, cut->inner.data + at, left < cut->chunk ? left : cut->chunk);
	return message_end_sealed(&m, sa->engine->config.crypto, &keys) &&
	       write_space(out, writer_len(&m.w));
}

bool fragment_seal(struct ike_sa *sa, struct message_writer *m)
{
	struct ike_engine *engine = sa->engine;
	struct sk_keys keys = keymat_sending(sa);
	size_t data_at = sk_data_at(m, &keys), limit = message_limit(sa);
	size_t overhead = IKE_HEADER_LEN + SKF_HEADER_LEN + keys.encr->iv_len + sk_tail_max(&keys);
	struct writer out = writer_of(engine->fragments, sizeof(engine->fragments));
	struct cut cut;
	bool ok;

	/* Nothing of ours stands in front of an SK payload. */
	if (m->w.failed || m->sk_at != IKE_HEADER_LEN || limit <= overhead ||
		!ike_header_decode(writer_bytes(&m->w), &cut.header))
		return false;
	cut.first_type = m->w.start[m->sk_at];
	cut.inner = bytes_of(m->w.start + data_at, writer_len(&m->w) - data_at);
	cut.chunk = limit - overhead;
	cut.total = (cut.inner.len + cut.chunk - 1) / cut.chunk;
	ok = cut.total <= FRAGMENTS_MAX;
	for (unsigned i = 1; ok && i <= cut.total; i++)
		ok = seal_fragment(sa, &cut, i, &out);
	secret_wipe(m->w.start + data_at, cut.inner.len);
	m->w = out;
	return ok;
}

/* ---- receiving ----------------------------------------------------------------------------- */

struct part {
	uint8_t *bytes;
	uint16_t len;
};

/* An unfinished message; an SA has one of each direction at most. */
struct reassembly {
	struct reassembly *next;            /* of the same SA */
	struct reassembly *older, *younger; /* all of the engine */
	struct ike_sa *sa;
	uint32_t message_id;
	bool response;
	uint8_t first_type;
	unsigned total, count;
	size_t len, size; /* bytes inside, and memory in all */
	uint64_t first_digest;
	struct part parts[];
};

static void reassembly_free(struct reassembly *r)
{
	struct ike_engine *engine = r->sa->engine;
	struct reassembly **link = &r->sa->reassembly;

	while (*link != r)
		link = &(*link)->next;
	*link = r->next;
	*(r->older ? &r->older->younger : &engine->oldest_reassembly) = r->younger;
	*(r->younger ? &r->younger->older : &engine->youngest_reassembly) = r->older;
	engine->reassembly_bytes -= r->size;
	for (unsigned i = 0; i < r->total; i++) {
		if (r->parts[i].bytes)
			secret_wipe(r->parts[i].bytes, r->parts[i].len);
		free(r->parts[i].bytes);
	}
	free(r);
}

static struct reassembly *reassembly_new(
	struct ike_sa *sa, const struct ike_header *header, unsigned total)
{
	struct ike_engine *engine = sa->engine;
	size_t size = sizeof(struct reassembly) + total * sizeof(struct part);
	struct reassembly *r = calloc(1, size);

	if (!r)
		return NULL;
	*r = (struct reassembly){.sa = sa,
		.message_id = header->message_id,
		.response = header->flags & FLAG_RESPONSE,
		.total = total,
		.size = size,
		.next = sa->reassembly,
		.older = engine->youngest_reassembly};
	sa->reassembly = r;
	*(r->older ? &r->older->younger : &engine->oldest_reassembly) = r;
	engine->youngest_reassembly = r;
	engine->reassembly_bytes += size;
	return r;
}

/* The message that the fragment belongs to; NULL: none, and it begins none. A set of more fragments
 * takes the place of one of fewer: the sender has found a smaller path MTU (section 2.6). */
static struct reassembly *reassembly_for(
	struct ike_sa *sa, const struct ike_header *header, unsigned total)
{
	bool response = header->flags & FLAG_RESPONSE;
	struct reassembly *r = sa->reassembly;

	while (r && r->response != response)
		r = r->next;
	if (r && r->message_id == header->message_id) {
		if (total == r->total)
			return r;
		if (total < r->total)
			return NULL;
	}
	if (r)
		reassembly_free(r);
	return reassembly_new(sa, header, total);
}

static bool reassembly_keep(struct reassembly *r, unsigned number, struct bytes inner)
{
	struct part *part = &r->parts[number - 1];

	if (part->bytes || r->len + inner.len > UINT16_MAX)
		return false;
	part->bytes = malloc(inner.len ? inner.len : 1);
	if (!part->bytes)
		return false;
	memcpy(part->bytes, inner.data, inner.len);
	part->len = inner.len;
	r->len += inner.len;
	r->size += inner.len;
	r->sa->engine->reassembly_bytes += inner.len;
	r->count++;
	return true;
}

static bool reassembly_join(struct reassembly *r, struct reassembled *whole)
{
	uint8_t *at = malloc(r->len ? r->len : 1);

	*whole = (struct reassembled){.first_type = r->first_type,
		.bytes = at,
		.len = r->len,
		.fragments = r->total,
		.first_digest = r->first_digest};
	for (unsigned i = 0; at && i < r->total; i++) {
		memcpy(at, r->parts[i].bytes, r->parts[i].len);
		at += r->parts[i].len;
	}
	reassembly_free(r);
	return whole->bytes != NULL;
}

static void forget_oldest(struct ike_engine *engine, const struct reassembly *but)
{
	while (engine->reassembly_bytes > UNFINISHED_MAX && engine->oldest_reassembly != but)
		reassembly_free(engine->oldest_reassembly);
}

enum fragment_result fragment_take(struct ike_sa *sa, const struct ike_header *header,
	uint8_t *message, size_t len, const struct payload_list *list, uint64_t digest,
	struct reassembled *whole)
{
	struct sk_keys keys = keymat_receiving(sa);
	unsigned number, total;
	struct reassembly *r;
	struct bytes inner;

	if (!sa->fragmentation || !skf_numbers(list, &number, &total) || !number ||
		number > total || total > FRAGMENTS_MAX ||
		!sk_open(sa->engine->config.crypto, &keys, message, len, list, &inner))
		return FRAGMENT_REFUSED;
	r = reassembly_for(sa, header, total);
	if (!r || !reassembly_keep(r, number, inner))
		return FRAGMENT_KEPT; /* of an older set, or there already */
	if (number == 1) {
		r->first_type = list->after;
		r->first_digest = digest;
	}
	if (r->count == r->total)
		return reassembly_join(r, whole) ? FRAGMENT_LAST : FRAGMENT_KEPT;
	forget_oldest(sa->engine, r);
	return FRAGMENT_KEPT;
}

const char *reassembled_text(const struct reassembled *whole, char out[40])
{
	out[0] = 0;
	if (whole->bytes)
		snprintf(out, 40, " reassembled from %u fragments", whole->fragments);
	return out;
}

void fragment_forget(struct ike_sa *sa)
{
	while (sa->reassembly)
		reassembly_free(sa->reassembly);
}
