/* PF_KEY's numbers of algorithms. Private to the room. */
#ifndef KERNEL_PFKEY_ALGORITHM_H
#define KERNEL_PFKEY_ALGORITHM_H

#include "base/bytes.h"
#include "crypto/algorithm.h"

/* 0: there is none. */
uint8_t pfkey_encryption_number(uint16_t encr);
uint8_t pfkey_integrity_number(uint16_t integ);

/* What a kernel said it has (SADB_REGISTER), as sets: bit n is IKEv2's number n. Key lengths are
 * those of struct algorithm that it takes, in the order of its list. */
struct pfkey_algorithms {
	uint64_t encrs, integs;
	uint8_t key_bits[64]; /* by number; bit i: key_bits[i] of the algorithm (bit 0: fixed) */
};
/* Arrays of struct sadb_alg; what is none, or is not known here, is passed over. */
void pfkey_algorithms_read(
	struct pfkey_algorithms *out, struct bytes auth_algs, struct bytes encr_algs);
bool pfkey_algorithms_have(
	const struct pfkey_algorithms *have, uint16_t encr, uint16_t key_bits, uint16_t integ);

#endif
