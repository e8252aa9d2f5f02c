/* Elliptic curve groups modulo a prime (RFC 5903). A value is x | y without the 0x04 of SEC 1, the
 * shared secret is x alone. EVP's ECDH is not used: it makes a key object and checks it again for
 * each operation, half as much again as a P-256 derivation itself. */
#include "key_exchange.h"

#include <pthread.h>
#include <stdatomic.h>

#include <openssl/ecerr.h>
#include <openssl/err.h>
#include <openssl/obj_mac.h>

static const int curve_nids[ECP_CURVES] = {NID_X9_62_prime256v1, NID_secp384r1, NID_secp521r1};

static pthread_mutex_t build_lock = PTHREAD_MUTEX_INITIALIZER;
static _Atomic(EC_GROUP *) curves[ECP_CURVES];

/* Read-only once it is made, for all threads. */
static const EC_GROUP *curve_get(unsigned index)
{
	EC_GROUP *curve = atomic_load_explicit(&curves[index], memory_order_acquire);

	if (curve)
		return curve;
	pthread_mutex_lock(&build_lock);
	curve = atomic_load_explicit(&curves[index], memory_order_relaxed);
	if (!curve) {
		curve = EC_GROUP_new_by_curve_name(curve_nids[index]);
		atomic_store_explicit(&curves[index], curve, memory_order_release);
	}
	pthread_mutex_unlock(&build_lock);
	return curve;
}

static EC_POINT *point_get(const EC_GROUP *curve, EC_POINT **point)
{
	if (!*point)
		*point = EC_POINT_new(curve);
	return *point;
}

static enum crypto_job_result ecp_accept_peer(
	const struct key_exchange *ke, struct ke_scratch *s, const uint8_t *peer)
{
	const EC_GROUP *curve = curve_get(ke->index);
	int len = ke->public_len / 2;
	EC_POINT *point;
	const BIGNUM *p;

	if (!curve || !BN_bin2bn(peer, len, s->peer) || !BN_bin2bn(peer + len, len, s->spare))
		return CRYPTO_JOB_FAILED;
	point = point_get(curve, &s->peer_point[ke->index]);
	if (!point)
		return CRYPTO_JOB_FAILED;
	/* RFC 6989, section 2.3: coordinates in range, and on the curve, whose cofactor is 1. The
	 * point at infinity has no form in the payload. */
	p = EC_GROUP_get0_field(curve);
	if (BN_cmp(s->peer, p) >= 0 || BN_cmp(s->spare, p) >= 0)
		return CRYPTO_JOB_BAD_PEER_VALUE;
	if (EC_POINT_set_affine_coordinates(curve, point, s->peer, s->spare, s->bn))
		return CRYPTO_JOB_OK;
	return ERR_GET_REASON(ERR_peek_last_error()) == EC_R_POINT_IS_NOT_ON_CURVE
		       ? CRYPTO_JOB_BAD_PEER_VALUE
		       : CRYPTO_JOB_FAILED;
}

static bool ecp_generate(const struct key_exchange *ke, struct ke_scratch *s, uint8_t *public_value)
{
	const EC_GROUP *curve = curve_get(ke->index);
	int len = ke->public_len / 2;
	EC_POINT *point;

	if (!curve)
		return false;
	point = point_get(curve, &s->result_point[ke->index]);
	if (!point)
		return false;
	do {
		if (!BN_priv_rand_range_ex(s->private_key, EC_GROUP_get0_order(curve), 0, s->bn))
			return false;
	} while (BN_is_zero(s->private_key));
	return EC_POINT_mul(curve, point, s->private_key, NULL, NULL, s->bn) &&
	       EC_POINT_get_affine_coordinates(curve, point, s->result, s->spare, s->bn) &&
	       BN_bn2binpad(s->result, public_value, len) == len &&
	       BN_bn2binpad(s->spare, public_value + len, len) == len;
}

static bool ecp_export_private(
	const struct key_exchange *ke, struct ke_scratch *s, uint8_t *private_key)
{
	return BN_bn2binpad(s->private_key, private_key, ke->private_len) == ke->private_len;
}

static bool ecp_import_private(
	const struct key_exchange *ke, struct ke_scratch *s, const uint8_t *private_key)
{
	const EC_GROUP *curve = curve_get(ke->index);

	return curve && BN_bin2bn(private_key, ke->private_len, s->private_key) &&
	       !BN_is_zero(s->private_key) &&
	       BN_cmp(s->private_key, EC_GROUP_get0_order(curve)) < 0;
}

static enum crypto_job_result ecp_agree(
	const struct key_exchange *ke, struct ke_scratch *s, uint8_t *shared)
{
	const EC_GROUP *curve = curve_get(ke->index);
	EC_POINT *point;

	if (!curve)
		return CRYPTO_JOB_FAILED;
	point = point_get(curve, &s->result_point[ke->index]);
	if (!point ||
		!EC_POINT_mul(
			curve, point, NULL, s->peer_point[ke->index], s->private_key, s->bn) ||
		!EC_POINT_get_affine_coordinates(curve, point, s->result, NULL, s->bn) ||
		BN_bn2binpad(s->result, shared, ke->shared_len) != ke->shared_len)
		return CRYPTO_JOB_FAILED;
	return CRYPTO_JOB_OK;
}

static void ecp_forget(const struct key_exchange *ke, struct ke_scratch *s)
{
	BN_clear(s->private_key);
	BN_clear(s->result);
	BN_clear(s->spare);
	/* its coordinates are the shared secret's, so it goes; the peer's point is public */
	EC_POINT_clear_free(s->result_point[ke->index]);
	s->result_point[ke->index] = NULL;
}

const struct ke_method ecp_method = {
	.accept_peer = ecp_accept_peer,
	.generate = ecp_generate,
	.export_private = ecp_export_private,
	.import_private = ecp_import_private,
	.agree = ecp_agree,
	.forget = ecp_forget,
	.run_lanes = ecp_run_lanes,
};
