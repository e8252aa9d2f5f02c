/* The IKE_AUTH exchange (RFC 7296, sections 1.2 and 2.15), with its one Child SA. Private. */
#ifndef IKE_IKE_AUTH_H
#define IKE_IKE_AUTH_H

#include "ike_sa_init.h"

/* Initiator; the keys are there. The SA may be gone afterwards. */
void auth_request_send(struct ike_sa *sa);
void auth_response(struct ike_sa *sa, struct incoming *in);
/* Responder. */
void auth_request(struct ike_sa *sa, struct incoming *in);
/* Jobs of ours are done: our signature is in the negotiation (or was not made), the peer's was
 * verified (NULL) or refused. The SA may be gone afterwards. */
void auth_initiator_signed(struct ike_sa *sa, bool ok);
void auth_initiator_verified(struct ike_sa *sa, struct incoming *in, const char *fault);
/* The kernel has answered for the Child SA of IKE_AUTH. */
void auth_child_installed(struct child_sa *child);

/* ---- what both halves share ---------------------------------------------- */
/* Compares the peer's AUTH payload in constant time. */
bool auth_verify(struct ike_sa *sa, bool of_initiator, enum auth_method method,
	const struct identity *signer, struct bytes value);
/* May this end authenticate by the method on the wire, with this AUTH data? */
bool auth_is_allowed(const struct connection_end *end, uint8_t method, struct bytes data);
/* The AUTH payload by our shared key, or with the signature that was made before. False: there is
 * no shared key, logged. */
bool auth_encode(struct ike_sa *sa, bool of_initiator, struct message_writer *m);
/* "authby=secret and FQDN '@a'", or what the peer's certificate and signature are. */
#define AUTHENTICATED_TEXT_MAX (PEER_TEXT_MAX + IDENTITY_TEXT_MAX)
const char *auth_peer_text(const struct ike_sa *sa, char out[AUTHENTICATED_TEXT_MAX]);
/* The identity of one ID payload, or NULL with a reason. */
struct identity *auth_take_identity(
	const struct incoming *in, uint8_t payload_type, char *error, size_t error_size);
bool has_notify(const struct payload_list *payloads, uint16_t type);
/* The first error notify, 0: none. */
uint16_t first_error_notify(const struct payload_list *payloads);
/* After the last of it: scratch memory goes, older SAs of the peer go, the watcher goes. */
void auth_finish(struct ike_sa *sa);

#endif
