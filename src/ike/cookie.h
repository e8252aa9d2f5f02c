/* Stateless cookies against floods of IKE_SA_INIT requests (RFC 7296, section 2.6). Private. */
#ifndef IKE_COOKIE_H
#define IKE_COOKIE_H

#include "ike_sa.h"

#define COOKIE_LEN 36 /* the secret's number, and an HMAC-SHA2-256 */

void cookie_make(struct ike_engine *engine, const struct ike_path *path, uint64_t spi_i,
	struct bytes nonce, uint8_t out[COOKIE_LEN]);
/* Is it ours, for this initiator, and not older than two periods of the secret? */
bool cookie_valid(struct ike_engine *engine, const struct ike_path *path, uint64_t spi_i,
	struct bytes nonce, struct bytes cookie);

#endif
