/* Keying material (RFC 7296, sections 2.13 to 2.17). */
#ifndef IKE_KEYMAT_H
#define IKE_KEYMAT_H

#include "ike_sa.h"

/* SKEYSEED and the SK_ keys from the negotiation's nonces and `shared`. False: memory, or an
 * algorithm that no proposal can have let through. */
bool keymat_ike(struct ike_sa *sa, struct bytes shared);
/* The same for an SA that rekeys `old`: SKEYSEED = prf(SK_d (old), shared | Ni | Nr) by the old PRF
 * (RFC 7296, section 2.18). */
bool keymat_ike_rekeyed(struct ike_sa *sa, const struct ike_sa *old, struct bytes shared);
/* Our sending and receiving keys, borrowed from the SA. */
struct sk_keys keymat_sending(const struct ike_sa *sa);
struct sk_keys keymat_receiving(const struct ike_sa *sa);
/* A fresh IV for one message, encr->iv_len bytes: a counter, or random for CBC. */
void keymat_iv(struct ike_sa *sa, uint8_t *iv);
/* What Child SA keys are made of beside SK_d (RFC 7296, section 2.17); borrowed. */
struct child_seed {
	struct bytes shared; /* empty: no key exchange of its own */
	struct bytes ni, nr;
};
/* Child keys for both directions; `initiator`: of the exchange that creates it. */
bool keymat_child(struct ike_sa *sa, const struct chosen_proposal *chosen, bool initiator,
	const struct child_seed *seed, struct ipsec_sa *in, struct ipsec_sa *out);
/* AUTH by shared key of the side whose `id` it is: the initiator's, if `of_initiator`. `out` takes
 * prf->output_len bytes. */
bool keymat_auth_psk(struct ike_sa *sa, bool of_initiator, const struct identity *id,
	struct bytes psk, uint8_t *out);
/* The octets that this side signs (RFC 7296, section 2.15): the caller frees them. NULL: memory, or
 * the PRF. */
uint8_t *keymat_signed_octets(
	struct ike_sa *sa, bool of_initiator, const struct identity *id, size_t *len);
/* With AUTH_NULL SK_pi or SK_pr take the shared key's place (RFC 7619, section 2.1). */
bool keymat_auth_null(
	struct ike_sa *sa, bool of_initiator, const struct identity *id, uint8_t *out);

#endif
