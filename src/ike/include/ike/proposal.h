/* SA proposals (RFC 7296, sections 2.7 and 3.3): as a connection configures them, as they are on
 * the wire, and what is chosen. */
#ifndef IKE_PROPOSAL_H
#define IKE_PROPOSAL_H

#include "base/bytes.h"
#include "crypto/algorithm.h"

enum security_protocol { /* IANA "IKEv2 Security Protocol Identifiers" */
	PROTOCOL_NONE = 0,
	PROTOCOL_IKE = 1,
	PROTOCOL_AH = 2,
	PROTOCOL_ESP = 3,
};

/* Bounds against hostile messages; a longer list is malformed. */
#define PROPOSALS_MAX  32
#define TRANSFORMS_MAX 64 /* in one proposal */

struct transform {
	uint8_t type; /* enum transform_type, or what the peer sent */
	uint16_t id;
	uint16_t key_bits;      /* 0: no attribute */
	bool unknown_attribute; /* RFC 7296, section 3.3.6: such a transform is not chosen */
};

struct proposal {
	uint8_t number;
	uint8_t protocol; /* enum security_protocol, or what the peer sent */
	uint8_t spi_len;  /* 0, 4, 8 */
	uint64_t spi;     /* host order */
	uint16_t transform_count;
	struct transform transforms[TRANSFORMS_MAX];
};

/* Configured or received. Big: on the heap, or in a negotiation's scratch memory. */
struct proposal_list {
	uint32_t references; /* atomic; only the shared, configured ones count */
	uint16_t count;
	struct proposal proposals[];
};

/* What was agreed on: one transform a type. NULL where the type has no place. */
struct chosen_proposal {
	uint8_t number, protocol;
	const struct algorithm *encr, *prf, *integ, *ke;
	uint16_t encr_key_bits;
	bool esn;
	uint8_t spi_len;
	uint64_t spi; /* the peer's */
};

/* Parses ike= or esp= ("aes_gcm256-sha2_256;dh19,aes256-sha2") for IKEv2; `text` NULL gives the
 * defaults. For ESP, `ke` transforms appear only if named; sequence numbers are not written here
 * but come from esn=. NULL with a reason in `error` that quotes the offending part. The list has
 * one reference. */
struct proposal_list *proposal_parse_ike(const char *text, char *error, size_t error_size);
/* esn: 0 no, 1 yes, 2 either. `ah`: ah= instead of esp=. */
struct proposal_list *proposal_parse_child(
	const char *text, bool ah, int esn, char *error, size_t error_size);
struct proposal_list *proposal_list_ref(struct proposal_list *list);
void proposal_list_unref(struct proposal_list *list);
/* A copy, with one reference, in which proposals that name no key exchange method have `ke`: for
 * PFS in CREATE_CHILD_SA. NULL when memory is out. */
struct proposal_list *proposal_list_with_ke(
	const struct proposal_list *list, const struct algorithm *ke);
/* A copy, with one reference, without key exchange methods: for CREATE_CHILD_SA without PFS. NULL
 * when memory is out. */
struct proposal_list *proposal_list_without_ke(const struct proposal_list *list);
bool proposal_list_equal(const struct proposal_list *a, const struct proposal_list *b);
/* ipsec status form: "AES_GCM_16_256-HMAC_SHA2_512+HMAC_SHA2_256-DH19+DH31, ..." cut at `size`.
 * Returns `out`. */
const char *proposal_list_text(const struct proposal_list *list, char *out, size_t size);
/* First key exchange method that the list would send; NULL: none. */
const struct algorithm *proposal_list_first_ke(const struct proposal_list *list);
/* Does any proposal allow this group? */
bool proposal_list_has_ke(const struct proposal_list *list, uint16_t ke_id);

/* "cipher=AES_GCM_16_256 integ=n/a prf=HMAC_SHA2_512 ke=DH19" */
#define CHOSEN_TEXT_MAX 160
const char *chosen_ike_text(const struct chosen_proposal *chosen, char out[CHOSEN_TEXT_MAX]);
/* "AES_GCM_16_256", "AES_CBC_128-HMAC_SHA2_256_128", with "-DH19" where it has a key exchange. */
const char *chosen_child_text(const struct chosen_proposal *chosen, char out[CHOSEN_TEXT_MAX]);

#endif
