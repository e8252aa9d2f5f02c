/* Our requests and their responses: message IDs, window, retransmission (RFC 7296, sections 2.1
 * to 2.4). */
#ifndef IKE_EXCHANGE_H
#define IKE_EXCHANGE_H

#include "ike_sa.h"

/* Sends the request, keeps it for retransmission and takes the next message ID. The window must be
 * free. False: no memory; nothing was sent. */
bool exchange_start(struct ike_sa *sa, enum exchange_purpose purpose, enum exchange_type type,
	struct bytes message);
/* The window is free again. */
void exchange_end(struct ike_sa *sa);
/* Sends what the SA wants sent, one thing at a time, if the window is free. */
void exchange_next(struct ike_sa *sa);
/* A retransmission or the end of patience is due. The SA may be gone when this returns false. */
bool exchange_timer(struct ike_sa *sa, uint64_t now);

/* Opens a message of ours in the engine's buffer: a request, or the response to `message_id`. */
void request_begin(struct ike_sa *sa, struct message_writer *m, enum exchange_type type);
void response_begin(
	struct ike_sa *sa, struct message_writer *m, enum exchange_type type, uint32_t message_id);
/* The same with an SK payload opened. */
void sealed_request_begin(struct ike_sa *sa, struct message_writer *m, enum exchange_type type);
void sealed_response_begin(
	struct ike_sa *sa, struct message_writer *m, enum exchange_type type, uint32_t message_id);
/* `m` then holds one message, or its fragments back to back. */
bool sealed_end(struct ike_sa *sa, struct message_writer *m);

/* Sends a response and keeps it for retransmitted requests; the peer's next message ID is expected
 * from here on. */
void response_send(struct ike_sa *sa, struct bytes message);
/* The same for IKE_SA_INIT, whose response the negotiation keeps as its message_r. */
void response_send_kept(struct ike_sa *sa);
/* Forgets the last response. */
void response_drop(struct ike_sa *sa);
/* A protected response that holds one notify. */
void response_notify(struct ike_sa *sa, enum exchange_type type, uint32_t message_id,
	uint16_t notify, struct bytes data);
/* A one-way answer to a request that belongs to no SA: a single notify, unprotected (RFC 7296,
 * sections 1.5 and 2.21.1). */
void stray_notify(struct ike_engine *engine, const struct ike_path *path,
	const struct ike_header *request, uint16_t notify, struct bytes data);
/* Adds a notify payload without SPI, and counts it. */
void add_notify(
	struct ike_engine *engine, struct message_writer *m, uint16_t type, struct bytes data);

#endif
