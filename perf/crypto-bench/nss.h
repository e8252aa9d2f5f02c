/* What the parts of crypto_bench that measure NSS share. */
#ifndef CRYPTO_BENCH_NSS_H
#define CRYPTO_BENCH_NSS_H

#include <stddef.h>
#include <stdint.h>

#include <keyhi.h>
#include <pk11pub.h>
#include <secoid.h>

/* ECParameters that name a curve (RFC 5480), in `room`, for as long as that lives; the item's data
 * is NULL when NSS does not know the curve. */
struct nss_curve_room {
	uint8_t data[32];
};
SECItem nss_curve_params(SECOidTag curve, struct nss_curve_room *room);

#endif
