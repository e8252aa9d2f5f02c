/* The IKE_AUTH exchange (RFC 7296, sections 1.2 and 2.15), with its one Child SA. Private. */
#ifndef IKE_IKE_AUTH_H
#define IKE_IKE_AUTH_H

#include "ike_sa_init.h"

/* Initiator; the keys are there. The SA may be gone afterwards. */
void auth_request_send(struct ike_sa *sa);
void auth_response(struct ike_sa *sa, struct incoming *in);
/* Responder. */
void auth_request(struct ike_sa *sa, struct incoming *in);
/* The kernel has answered for the Child SA of IKE_AUTH. */
void auth_child_installed(struct child_sa *child);

/* ---- what both halves share ---------------------------------------------- */
/* Finds the SA's shared secret and computes the AUTH value of one side. False: there is none,
 * logged. */
bool auth_compute(struct ike_sa *sa, bool of_initiator, enum auth_method method,
	const struct identity *signer, uint8_t *out);
/* Compares the peer's AUTH payload in constant time. */
bool auth_verify(struct ike_sa *sa, bool of_initiator, enum auth_method method,
	const struct identity *signer, struct bytes value);
/* Authentication Method numbers (IANA): 2 shared key, 13 NULL. */
uint8_t auth_wire_method(enum auth_method method);
/* "authby=secret", "authby=null" */
const char *auth_method_text(enum auth_method method);
/* The identity of one ID payload, or NULL with a reason. */
struct identity *auth_take_identity(
	const struct incoming *in, uint8_t payload_type, char *error, size_t error_size);
bool has_notify(const struct payload_list *payloads, uint16_t type);
/* The first error notify, 0: none. */
uint16_t first_error_notify(const struct payload_list *payloads);
/* After the last of it: scratch memory goes, older SAs of the peer go, the watcher goes. */
void auth_finish(struct ike_sa *sa);

#endif
