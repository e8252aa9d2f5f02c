/* Diffie-Hellman in the multiplicative groups. EVP's DH is not used: its set_peer validates
 * a safe prime's value by an exponentiation with a full-size exponent, 1.8 ms for 2048 bits. */
#include "key_exchange.h"
#include "modp_group.h"

#include <string.h>

enum { MODP_WORDS_MAX = 8192 / 64 };

static enum crypto_job_result modp_accept_peer(
	const struct key_exchange *ke, struct ke_scratch *s, const uint8_t *peer)
{
	const struct modp_group *group = modp_group_get(ke->index);

	if (!group || !BN_bin2bn(peer, ke->public_len, s->peer))
		return CRYPTO_JOB_FAILED;
	/* RFC 6989, section 2.1: 1 < y < p - 1 */
	if (BN_is_zero(s->peer) || BN_is_one(s->peer) || BN_cmp(s->peer, group->p_minus_1) >= 0)
		return CRYPTO_JOB_BAD_PEER_VALUE;
	if (!group->q)
		return CRYPTO_JOB_OK;
	/* RFC 6989, section 2.2: y^q = 1; all numbers here are public */
	if (!BN_mod_exp_mont(s->spare, s->peer, group->q, group->p, s->bn, group->mont))
		return CRYPTO_JOB_FAILED;
	return BN_is_one(s->spare) ? CRYPTO_JOB_OK : CRYPTO_JOB_BAD_PEER_VALUE;
}

/* Uniform below q, or below 2^exponent_bits, but never with a leading zero byte (one of 256 is drawn
 * again): how long a number is shows when it is read. */
static bool pick_private(
	const struct key_exchange *ke, const struct modp_group *group, struct ke_scratch *s)
{
	do {
		bool ok = group->q ? BN_priv_rand_range_ex(s->private_key, group->q, 0, s->bn)
				   : BN_priv_rand_ex(s->private_key, (int)group->exponent_bits,
					     BN_RAND_TOP_ANY, BN_RAND_BOTTOM_ANY, 0, s->bn);
		if (!ok)
			return false;
	} while (BN_num_bytes(s->private_key) < ke->private_len);
	return true;
}

/* result = g^private_key: one multiplication for each four bits of the exponent. */
static bool power_of_generator(const struct modp_group *group, struct ke_scratch *s)
{
	uint8_t exponent[KE_PRIVATE_LEN_MAX];
	uint64_t entry[MODP_WORDS_MAX];
	int exponent_len = (int)(group->windows + 1) / 2;
	int entry_len = (int)(group->words * sizeof(uint64_t));
	bool ok = BN_bn2lebinpad(s->private_key, exponent, exponent_len) == exponent_len &&
		  BN_copy(s->result, group->start);

	for (unsigned window = 0; ok && window < group->windows; window++) {
		unsigned digit = (exponent[window / 2] >> (window % 2 * 4)) & 15;

		modp_group_select(group, window, digit, entry);
		ok = BN_lebin2bn((const uint8_t *)entry, entry_len, s->spare) &&
		     BN_mod_mul_montgomery(s->result, s->result, s->spare, group->mont, s->bn);
	}
	secret_wipe(exponent, sizeof(exponent));
	secret_wipe(entry, (size_t)entry_len);
	return ok && BN_from_montgomery(s->result, s->result, group->mont, s->bn);
}

static bool modp_generate(
	const struct key_exchange *ke, struct ke_scratch *s, uint8_t *public_value)
{
	const struct modp_group *group = modp_group_get(ke->index);

	return group && pick_private(ke, group, s) && power_of_generator(group, s) &&
	       BN_bn2binpad(s->result, public_value, ke->public_len) == ke->public_len;
}

static bool modp_export_private(
	const struct key_exchange *ke, struct ke_scratch *s, uint8_t *private_key)
{
	return BN_bn2binpad(s->private_key, private_key, ke->private_len) == ke->private_len;
}

static bool modp_import_private(
	const struct key_exchange *ke, struct ke_scratch *s, const uint8_t *private_key)
{
	return BN_bin2bn(private_key, ke->private_len, s->private_key) &&
	       !BN_is_zero(s->private_key);
}

static enum crypto_job_result modp_agree(
	const struct key_exchange *ke, struct ke_scratch *s, uint8_t *shared)
{
	const struct modp_group *group = modp_group_get(ke->index);

	if (!group ||
		!BN_mod_exp_mont_consttime(
			s->result, s->peer, s->private_key, group->p, s->bn, group->mont) ||
		BN_bn2binpad(s->result, shared, ke->shared_len) != ke->shared_len)
		return CRYPTO_JOB_FAILED;
	return CRYPTO_JOB_OK;
}

static void modp_forget(const struct key_exchange *ke, struct ke_scratch *s)
{
	(void)ke;
	BN_clear(s->private_key);
	BN_clear(s->result);
	BN_clear(s->spare);
}

const struct ke_method modp_method = {
	.accept_peer = modp_accept_peer,
	.generate = modp_generate,
	.export_private = modp_export_private,
	.import_private = modp_import_private,
	.agree = modp_agree,
	.forget = modp_forget,
};
