/* The kernel's names of algorithms. Private to the room. */
#ifndef KERNEL_XFRM_ALGORITHM_H
#define KERNEL_XFRM_ALGORITHM_H

#include "crypto/algorithm.h"

/* NULL: the kernel has none. */
const char *xfrm_encryption_name(uint16_t encr);
const char *xfrm_integrity_name(uint16_t integ);

#endif
