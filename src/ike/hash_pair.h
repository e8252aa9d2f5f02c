/* PRFs and the integrity algorithms that are made of the same hash or cipher: who names one of the
 * two in ike= means both. */
#ifndef IKE_HASH_PAIR_H
#define IKE_HASH_PAIR_H

#include "crypto/algorithm.h"

/* INTEG_NONE: there is none. */
uint16_t integ_of_prf(uint16_t prf);
/* 0: there is none. */
uint16_t prf_of_integ(uint16_t integ);

#endif
