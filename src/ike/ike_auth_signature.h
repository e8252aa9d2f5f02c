/* Authentication by signatures and certificates within IKE_AUTH (RFC 7296, section 2.15; RFC 7427;
 * RFC 4754), both roles. Private. */
#ifndef IKE_IKE_AUTH_SIGNATURE_H
#define IKE_IKE_AUTH_SIGNATURE_H

#include "ike_auth.h"

/* A message whose AUTH payload is being verified, copied. */
struct held_message {
	struct incoming in; /* its payloads; `path` is the SA's, there is no `message` */
	uint8_t bytes[];
};

/* May this end authenticate by the wire's method, with this AUTH data? */
bool signature_is_allowed(const struct connection_end *end, uint8_t method, struct bytes data);

/* Begins our signature: auth_signed goes on with it. NULL, or why it cannot be made. */
const char *signature_begin(struct ike_sa *sa, bool of_initiator);
/* Begins the verification of the peer's: what the role's continuation goes on with. NULL, or what
 * is wrong with it already. */
const char *verification_begin(
	struct ike_sa *sa, const struct incoming *in, bool of_initiator, char *why, size_t size);
/* The job of either is done; takes it over. The SA may be gone afterwards. */
void signature_job_done(struct ike_sa *sa, struct crypto_job *job);

/* Our certificate with those above it, as the connection has them sent; then whose certificates we
 * would like. */
void certificates_encode(struct ike_sa *sa, struct message_writer *m);
void certificate_request_encode(struct ike_sa *sa, struct message_writer *m);
void certificate_request_note(struct ike_sa *sa, const struct payload_list *payloads);
/* SIGNATURE_HASH_ALGORITHMS in IKE_SA_INIT. */
void hash_algorithms_encode(struct ike_sa *sa, struct message_writer *m);
void hash_algorithms_note(struct ike_sa *sa, const struct payload_list *payloads);

#endif
