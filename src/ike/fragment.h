/* Fragmentation of IKE messages (RFC 7383): protected messages that are too long for one datagram
 * are sent as several, each encrypted and authenticated by itself. Private. */
#ifndef IKE_FRAGMENT_H
#define IKE_FRAGMENT_H

#include "ike_sa.h"

/* Of one IP datagram, headers included: what any IPv6 link carries. */
#define FRAGMENT_DATAGRAM 1280
/* No message of 64 KB needs more of FRAGMENT_DATAGRAM. */
#define FRAGMENTS_MAX 64

/* Is the open message, sealed, too long for one datagram, and may it be cut? */
bool fragment_needed(const struct ike_sa *sa, const struct message_writer *m);
/* Cuts and seals the open message of the engine's buffer; `m` then writes to engine->fragments,
 * which hold the messages back to back. False: it does not fit. */
bool fragment_seal(struct ike_sa *sa, struct message_writer *m);

enum fragment_result {
	FRAGMENT_REFUSED, /* not authentic, or makes no sense */
	FRAGMENT_KEPT,    /* authentic, others are to come */
	FRAGMENT_LAST,    /* `whole` has all that was inside */
};

/* What the fragments of one message held. */
struct reassembled {
	uint8_t first_type; /* of the inner payload chain */
	uint8_t *bytes;     /* the caller's to wipe and free */
	size_t len;
	unsigned fragments;
	uint64_t first_digest; /* of fragment 1 as it came in: it alone asks for the response again
				  (section 2.6.1) */
};

/* Opens the fragment that `list` ends with and keeps what is inside until all are there. `digest`
 * is of the datagram's bytes as they came in. What a peer leaves unfinished is bounded for each SA
 * and for the engine. */
enum fragment_result fragment_take(struct ike_sa *sa, const struct ike_header *header,
	uint8_t *message, size_t len, const struct payload_list *list, uint64_t digest,
	struct reassembled *whole);
/* " reassembled from N fragments", or "" for a message that came whole. Returns `out`. */
const char *reassembled_text(const struct reassembled *whole, char out[40]);
/* Forgets what is unfinished. */
void fragment_forget(struct ike_sa *sa);

#endif
