/* Keying material. The five keys that an established IKE SA keeps lie in one block:
 * SK_d | SK_ai | SK_ar | SK_ei | SK_er, in the order of RFC 7296, section 2.14; SK_pi and SK_pr,
 * which only IKE_AUTH needs, are in the negotiation. */
#include "keymat.h"

#include "engine_state.h"

#include <stdlib.h>
#include <string.h>

/* Two 64-byte PRF outputs, two 64-byte integrity keys, two 40-byte cipher keys, SK_d. */
#define IKE_KEYS_MAX (3 * PRF_OUTPUT_MAX + 2 * 64 + 2 * ENCR_KEYMAT_MAX)
static const char key_pad[] = "Key Pad for IKEv2"; /* RFC 7296, section 2.15: without its NUL */

struct key_lengths {
	size_t d, a, e, p;
};

static struct key_lengths key_lengths(const struct chosen_proposal *chosen)
{
	return (struct key_lengths){
		.d = chosen->prf->key_len,
		.a = chosen->integ ? chosen->integ->key_len : 0,
		.e = algorithm_encr_keymat_len(chosen->encr, chosen->encr_key_bits),
		.p = chosen->prf->key_len,
	};
}

static void spi_bytes(uint8_t out[16], const struct ike_sa *sa)
{
	struct writer w = writer_of(out, 16);

	write_u64(&w, sa->spi_i);
	write_u64(&w, sa->spi_r);
}

/* A PRF with a fixed-size key (XCBC, CMAC) takes half of its key from each nonce (RFC 7296,
 * section 2.14). */
static size_t nonce_share(const struct algorithm *prf_alg, size_t nonce_len, size_t half)
{
	if (prf_alg->id != PRF_AES128_XCBC && prf_alg->id != PRF_AES128_CMAC)
		return nonce_len;
	return nonce_len < half ? nonce_len : half;
}

static bool skeyseed(struct ike_sa *sa, struct bytes shared, uint8_t *out)
{
	const struct negotiation *n = sa->negotiation;
	const struct algorithm *prf_alg = sa->chosen.prf;
	uint8_t key[2 * NONCE_MAX];
	size_t ni = nonce_share(prf_alg, n->ni_len, 8), nr = nonce_share(prf_alg, n->nr_len, 8);
	bool ok;

	memcpy(key, n->ni, ni);
	memcpy(key + ni, n->nr, nr);
	ok = prf(sa->engine->config.crypto, prf_alg, bytes_of(key, ni + nr), &shared, 1, out);
	secret_wipe(key, sizeof(key));
	return ok;
}

static bool skeyseed_rekeyed(
	struct ike_sa *sa, const struct ike_sa *old, struct bytes shared, uint8_t *out)
{
	const struct negotiation *n = sa->negotiation;
	struct bytes parts[] = {
		shared, bytes_of(n->ni, n->ni_len), bytes_of(n->nr, n->nr_len)};

	return prf(sa->engine->config.crypto, old->chosen.prf,
		bytes_of(old->keys, old->chosen.prf->key_len), parts, 3, out);
}

/* All SK_ keys out of SKEYSEED. */
static bool expand_keys(struct ike_sa *sa, const uint8_t *seed, size_t seed_len)
{
	struct negotiation *n = sa->negotiation;
	struct key_lengths len = key_lengths(&sa->chosen);
	size_t kept = len.d + 2 * len.a + 2 * len.e, all = kept + 2 * len.p;
	uint8_t spis[16], block[IKE_KEYS_MAX + 2 * PRF_OUTPUT_MAX];
	struct bytes parts[] = {bytes_of(n->ni, n->ni_len), bytes_of(n->nr, n->nr_len),
		bytes_of(spis, sizeof(spis))};
	bool ok;

	if (all > sizeof(block) || len.p > sizeof(n->sk_pi))
		return false;
	spi_bytes(spis, sa);
	sa->keys = malloc(kept);
	ok = sa->keys && prf_plus(sa->engine->config.crypto, sa->chosen.prf,
				 bytes_of(seed, seed_len), parts, 3, block, all);
	if (ok) {
		memcpy(sa->keys, block, kept);
		memcpy(n->sk_pi, block + kept, len.p);
		memcpy(n->sk_pr, block + kept + len.p, len.p);
		sa->keys_len = kept;
		sa->engine->key_bytes += kept;
	} else {
		free(sa->keys);
		sa->keys = NULL;
	}
	secret_wipe(block, sizeof(block));
	return ok;
}

bool keymat_ike(struct ike_sa *sa, struct bytes shared)
{
	uint8_t seed[PRF_OUTPUT_MAX];
	bool ok = skeyseed(sa, shared, seed) &&
		  expand_keys(sa, seed, sa->chosen.prf->output_len);

	secret_wipe(seed, sizeof(seed));
	return ok;
}

bool keymat_ike_rekeyed(struct ike_sa *sa, const struct ike_sa *old, struct bytes shared)
{
	uint8_t seed[PRF_OUTPUT_MAX];
	bool ok = skeyseed_rekeyed(sa, old, shared, seed) &&
		  expand_keys(sa, seed, old->chosen.prf->output_len);

	secret_wipe(seed, sizeof(seed));
	return ok;
}

static struct sk_keys direction_keys(const struct ike_sa *sa, bool of_initiator)
{
	struct key_lengths len = key_lengths(&sa->chosen);
	const uint8_t *a = sa->keys + len.d, *e = a + 2 * len.a;

	return (struct sk_keys){
		.encr = sa->chosen.encr,
		.integ = sa->chosen.integ,
		.encr_key_bits = sa->chosen.encr_key_bits,
		.integ_key = bytes_of(a + (of_initiator ? 0 : len.a), len.a),
		.encr_keymat = bytes_of(e + (of_initiator ? 0 : len.e), len.e),
	};
}

struct sk_keys keymat_sending(const struct ike_sa *sa)
{
	return direction_keys(sa, sa->initiator);
}

struct sk_keys keymat_receiving(const struct ike_sa *sa)
{
	return direction_keys(sa, !sa->initiator);
}

void keymat_iv(struct ike_sa *sa, uint8_t *iv)
{
	size_t len = sa->chosen.encr->iv_len;
	struct writer w = writer_of(iv, len);

	if (sa->chosen.encr->block_len > 8 || sa->chosen.encr->id == ENCR_3DES) {
		sa->engine->host->random(sa->engine->host, iv, len);
		return;
	}
	if (len >= 8) {
		write_zeros(&w, len - 8);
		write_u64(&w, ++sa->iv_counter);
	}
}

bool keymat_child(struct ike_sa *sa, const struct chosen_proposal *chosen, bool initiator,
	const struct child_seed *seed, struct ipsec_sa *in, struct ipsec_sa *out)
{
	struct ipsec_sa *first = initiator ? out : in, *second = initiator ? in : out;
	size_t e =
		chosen->encr ? algorithm_encr_keymat_len(chosen->encr, chosen->encr_key_bits) : 0;
	size_t a = chosen->integ ? chosen->integ->key_len : 0;
	uint8_t block[4 * IPSEC_KEY_MAX];
	struct bytes parts[] = {seed->shared, seed->ni, seed->nr};

	if (e > IPSEC_KEY_MAX || a > IPSEC_KEY_MAX)
		return false;
	if (!prf_plus(sa->engine->config.crypto, sa->chosen.prf,
		    bytes_of(sa->keys, key_lengths(&sa->chosen).d), parts, 3, block, 2 * (e + a))) {
		secret_wipe(block, sizeof(block));
		return false;
	}
	memcpy(first->encr_key, block, e);
	memcpy(first->integ_key, block + e, a);
	memcpy(second->encr_key, block + e + a, e);
	memcpy(second->integ_key, block + 2 * e + a, a);
	first->encr_key_len = second->encr_key_len = e;
	first->integ_key_len = second->integ_key_len = a;
	secret_wipe(block, sizeof(block));
	return true;
}

/* <SignedOctets>: message | other side's nonce | prf(SK_p, ID payload's body). */
static bool signed_octets(struct ike_sa *sa, bool of_initiator, const struct identity *id,
	uint8_t id_mac[PRF_OUTPUT_MAX], struct bytes parts[3])
{
	const struct negotiation *n = sa->negotiation;
	const struct algorithm *prf_alg = sa->chosen.prf;
	const uint8_t id_header[4] = {id->kind};
	struct bytes id_parts[] = {bytes_of(id_header, 4), bytes_of(id->data, id->len)};

	parts[0] = of_initiator ? bytes_of(n->message_i, n->message_i_len)
				: bytes_of(n->message_r, n->message_r_len);
	parts[1] = of_initiator ? bytes_of(n->nr, n->nr_len) : bytes_of(n->ni, n->ni_len);
	parts[2] = bytes_of(id_mac, prf_alg->output_len);
	return prf(sa->engine->config.crypto, prf_alg,
		bytes_of(of_initiator ? n->sk_pi : n->sk_pr, prf_alg->key_len), id_parts, 2,
		id_mac);
}

static bool auth_over_signed_octets(struct ike_sa *sa, bool of_initiator, const struct identity *id,
	struct bytes key, uint8_t *out)
{
	uint8_t id_mac[PRF_OUTPUT_MAX];
	struct bytes parts[3];

	return signed_octets(sa, of_initiator, id, id_mac, parts) &&
	       prf(sa->engine->config.crypto, sa->chosen.prf, key, parts, 3, out);
}

uint8_t *keymat_signed_octets(
	struct ike_sa *sa, bool of_initiator, const struct identity *id, size_t *len)
{
	uint8_t id_mac[PRF_OUTPUT_MAX], *octets;
	struct bytes parts[3];

	if (!signed_octets(sa, of_initiator, id, id_mac, parts))
		return NULL;
	*len = parts[0].len + parts[1].len + parts[2].len;
	octets = malloc(*len);
	if (octets) {
		memcpy(octets, parts[0].data, parts[0].len);
		memcpy(octets + parts[0].len, parts[1].data, parts[1].len);
		memcpy(octets + parts[0].len + parts[1].len, parts[2].data, parts[2].len);
	}
	return octets;
}

bool keymat_auth_psk(struct ike_sa *sa, bool of_initiator, const struct identity *id,
	struct bytes psk, uint8_t *out)
{
	struct bytes pad = bytes_of(key_pad, sizeof(key_pad) - 1);
	uint8_t padded[PRF_OUTPUT_MAX];
	bool ok = prf(sa->engine->config.crypto, sa->chosen.prf, psk, &pad, 1, padded) &&
		  auth_over_signed_octets(
			  sa, of_initiator, id, bytes_of(padded, sa->chosen.prf->output_len), out);

	secret_wipe(padded, sizeof(padded));
	return ok;
}

bool keymat_auth_null(struct ike_sa *sa, bool of_initiator, const struct identity *id, uint8_t *out)
{
	const uint8_t *sk_p = of_initiator ? sa->negotiation->sk_pi : sa->negotiation->sk_pr;
	struct bytes key = bytes_of(sk_p, sa->chosen.prf->key_len);

	return keymat_auth_psk(sa, of_initiator, id, key, out);
}
