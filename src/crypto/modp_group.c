#include "modp_group.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* RFC 5114, section 2: prime, generator, order of the subgroup. */
static const char modp1024_160_p[] =
	"B10B8F96A080E01DDE92DE5EAE5D54EC52C99FBCFB06A3C69A6A9DCA52D23B616073E28675A23D18"
	"9838EF1E2EE652C013ECB4AEA906112324975C3CD49B83BFACCBDD7D90C4BD7098488E9C219A7372"
	"4EFFD6FAE5644738FAA31A4FF55BCCC0A151AF5F0DC8B4BD45BF37DF365C1A65E68CFDA76D4DA708"
	"DF1FB2BC2E4A4371";
static const char modp1024_160_g[] =
	"A4D1CBD5C3FD34126765A442EFB99905F8104DD258AC507FD6406CFF14266D31266FEA1E5C41564B"
	"777E690F5504F213160217B4B01B886A5E91547F9E2749F4D7FBD7D3B9A92EE1909D0D2263F80A76"
	"A6A24C087A091F531DBF0A0169B6A28AD662A4D18E73AFA32D779D5918D08BC8858F4DCEF97C2A24"
	"855E6EEB22B3B2E5";
static const char modp1024_160_q[] = "F518AA8781A8DF278ABA4E7D64B7CB9D49462353";
static const char modp2048_224_p[] =
	"AD107E1E9123A9D0D660FAA79559C51FA20D64E5683B9FD1B54B1597B61D0A75E6FA141DF95A56DB"
	"AF9A3C407BA1DF15EB3D688A309C180E1DE6B85A1274A0A66D3F8152AD6AC2129037C9EDEFDA4DF8"
	"D91E8FEF55B7394B7AD5B7D0B6C12207C9F98D11ED34DBF6C6BA0B2C8BBC27BE6A00E0A0B9C49708"
	"B3BF8A317091883681286130BC8985DB1602E714415D9330278273C7DE31EFDC7310F7121FD5A074"
	"15987D9ADC0A486DCDF93ACC44328387315D75E198C641A480CD86A1B9E587E8BE60E69CC928B2B9"
	"C52172E413042E9B23F10B0E16E79763C9B53DCF4BA80A29E3FB73C16B8E75B97EF363E2FFA31F71"
	"CF9DE5384E71B81C0AC4DFFE0C10E64F";
static const char modp2048_224_g[] =
	"AC4032EF4F2D9AE39DF30B5C8FFDAC506CDEBE7B89998CAF74866A08CFE4FFE3A6824A4E10B9A6F0"
	"DD921F01A70C4AFAAB739D7700C29F52C57DB17C620A8652BE5E9001A8D66AD7C17669101999024A"
	"F4D027275AC1348BB8A762D0521BC98AE247150422EA1ED409939D54DA7460CDB5F6C6B250717CBE"
	"F180EB34118E98D119529A45D6F834566E3025E316A330EFBB77A86F0C1AB15B051AE3D428C8F8AC"
	"B70A8137150B8EEB10E183EDD19963DDD9E263E4770589EF6AA21E7F5F2FF381B539CCE3409D13CD"
	"566AFBB48D6C019181E1BCFE94B30269EDFE72FE9B6AA4BD7B5A0F1C71CFFF4C19C418E1F6EC0179"
	"81BC087F2A7065B384B890D3191F2BFA";
static const char modp2048_224_q[] = "801C0D34C58D93FE997177101F80535A4738CEBCBF389A99B36371EB";
static const char modp2048_256_p[] =
	"87A8E61DB4B6663CFFBBD19C651959998CEEF608660DD0F25D2CEED4435E3B00E00DF8F1D61957D4"
	"FAF7DF4561B2AA3016C3D91134096FAA3BF4296D830E9A7C209E0C6497517ABD5A8A9D306BCF67ED"
	"91F9E6725B4758C022E0B1EF4275BF7B6C5BFC11D45F9088B941F54EB1E59BB8BC39A0BF12307F5C"
	"4FDB70C581B23F76B63ACAE1CAA6B7902D52526735488A0EF13C6D9A51BFA4AB3AD8347796524D8E"
	"F6A167B5A41825D967E144E5140564251CCACB83E6B486F6B3CA3F7971506026C0B857F689962856"
	"DED4010ABD0BE621C3A3960A54E710C375F26375D7014103A4B54330C198AF126116D2276E11715F"
	"693877FAD7EF09CADB094AE91E1A1597";
static const char modp2048_256_g[] =
	"3FB32C9B73134D0B2E77506660EDBD484CA7B18F21EF205407F4793A1A0BA12510DBC15077BE463F"
	"FF4FED4AAC0BB555BE3A6C1B0C6B47B1BC3773BF7E8C6F62901228F8C28CBB18A55AE31341000A65"
	"0196F931C77A57F2DDF463E5E9EC144B777DE62AAAB8A8628AC376D282D6ED3864E67982428EBC83"
	"1D14348F6F2F9193B5045AF2767164E1DFC967C1FB3F2E55A4BD1BFFE83B9C80D052B985D182EA0A"
	"DB2A3B7313D3FE14C8484B1E052588B9B7D2BBD2DF016199ECD06E1557CD0915B3353BBB64E0EC37"
	"7FD028370DF92B52C7891428CDC67EB6184B523D1DB246C32F63078490F00EF8D647D148D4795451"
	"5E2327CFEF98C582664B4C0F6CC41659";
static const char modp2048_256_q[] =
	"8CF83642A709A097B447997640129DA299B1A47D1EB3750BA308B0FE64F5FBD3";

/* Exponents: for the safe primes of RFC 2409 and 3526 twice the group's strength (RFC 3526,
 * section 8, first estimate; RFC 7919, appendix A, where that is more), rounded up to whole words
 * because the constant-time exponentiation works through whole words anyway. */
static const struct modp_constants {
	BIGNUM *(*prime)(BIGNUM *);
	const char *p, *g, *q;
	unsigned exponent_bits;
} constants[MODP_GROUPS] = {
	{.prime = BN_get_rfc2409_prime_1024, .exponent_bits = 192},
	{.prime = BN_get_rfc3526_prime_1536, .exponent_bits = 192},
	{.prime = BN_get_rfc3526_prime_2048, .exponent_bits = 256},
	{.prime = BN_get_rfc3526_prime_3072, .exponent_bits = 320},
	{.prime = BN_get_rfc3526_prime_4096, .exponent_bits = 384},
	{.prime = BN_get_rfc3526_prime_6144, .exponent_bits = 384},
	{.prime = BN_get_rfc3526_prime_8192, .exponent_bits = 448},
	{.p = modp1024_160_p, .g = modp1024_160_g, .q = modp1024_160_q, .exponent_bits = 160},
	{.p = modp2048_224_p, .g = modp2048_224_g, .q = modp2048_224_q, .exponent_bits = 224},
	{.p = modp2048_256_p, .g = modp2048_256_g, .q = modp2048_256_q, .exponent_bits = 256},
};

enum { WINDOW_BITS = 4, WINDOW_SIZE = 1 << WINDOW_BITS, WINDOWS_MAX = 448 / WINDOW_BITS };

static pthread_mutex_t build_lock = PTHREAD_MUTEX_INITIALIZER;
static _Atomic(struct modp_group *) groups[MODP_GROUPS];

static void modp_group_free(struct modp_group *group)
{
	if (!group)
		return;
	BN_free(group->p);
	BN_free(group->p_minus_1);
	BN_free(group->generator);
	BN_free(group->q);
	BN_free(group->start);
	BN_MONT_CTX_free(group->mont);
	free(group->powers);
	free(group);
}

static uint64_t *power_at(const struct modp_group *group, unsigned window, unsigned digit)
{
	return group->powers + ((size_t)window * WINDOW_SIZE + digit) * group->words;
}

/* Where a run of powers without a leading zero byte begins: nine of ten times at once, but for the
 * first window, whose powers of 2 are short in Montgomery form. */
enum { OFFSET_MAX = 4096 };

/* One window: powers base^offset ... base^(offset + 15), the first that are all of full length. 0 when
 * memory is out. */
static unsigned fill_window(struct modp_group *group, unsigned window, const BIGNUM *base,
	BIGNUM *power, BN_CTX *bn)
{
	int size = (int)(group->words * sizeof(uint64_t));
	unsigned run = 0;

	if (!BN_copy(power, base))
		return 0;
	for (unsigned n = 1; n < OFFSET_MAX; n++) {
		uint8_t *entry = (uint8_t *)power_at(group, window, run);

		if (BN_bn2lebinpad(power, entry, size) != size)
			return 0;
		run = entry[size - 1] ? run + 1 : 0;
		if (run == WINDOW_SIZE)
			return n + 1 - WINDOW_SIZE;
		if (!BN_mod_mul_montgomery(power, power, base, group->mont, bn))
			return 0;
	}
	return 0;
}

/* `base` is the generator in Montgomery form, and is used up; `sum` becomes that of offset * 16^i. */
static bool fill_powers(
	struct modp_group *group, BIGNUM *base, BIGNUM *power, BIGNUM *sum, BN_CTX *bn)
{
	unsigned offsets[WINDOWS_MAX];

	if (group->windows > WINDOWS_MAX)
		return false;
	for (unsigned window = 0; window < group->windows; window++) {
		offsets[window] = fill_window(group, window, base, power, bn);
		if (offsets[window] == 0)
			return false;
		for (unsigned i = 0; i < WINDOW_BITS; i++) {
			if (!BN_mod_mul_montgomery(base, base, base, group->mont, bn))
				return false;
		}
	}
	BN_zero(sum);
	for (unsigned window = group->windows; window-- > 0;) {
		if (!BN_lshift(sum, sum, WINDOW_BITS) || !BN_add_word(sum, offsets[window]))
			return false;
	}
	return true;
}

/* start = g^-sum, in Montgomery form. */
static bool fill_start(struct modp_group *group, const BIGNUM *sum, BN_CTX *bn)
{
	group->start = BN_new();
	return group->start &&
	       BN_mod_exp_mont(group->start, group->generator, sum, group->p, bn, group->mont) &&
	       BN_mod_inverse(group->start, group->start, group->p, bn) &&
	       BN_to_montgomery(group->start, group->start, group->mont, bn);
}

static bool fill_table(struct modp_group *group, BN_CTX *bn)
{
	BIGNUM *base, *power, *sum;
	size_t size;
	bool ok;

	group->words = ((size_t)BN_num_bits(group->p) + 63) / 64;
	group->windows = (group->exponent_bits + WINDOW_BITS - 1) / WINDOW_BITS;
	size = (size_t)group->windows * WINDOW_SIZE * group->words * sizeof(uint64_t);
	group->powers = aligned_alloc(64, size);
	if (!group->powers)
		return false;
	BN_CTX_start(bn);
	base = BN_CTX_get(bn);
	power = BN_CTX_get(bn);
	sum = BN_CTX_get(bn);
	ok = sum && BN_to_montgomery(base, group->generator, group->mont, bn) &&
	     fill_powers(group, base, power, sum, bn) && fill_start(group, sum, bn);
	BN_CTX_end(bn);
	return ok;
}

static bool read_constants(struct modp_group *group, const struct modp_constants *from)
{
	group->exponent_bits = from->exponent_bits;
	if (from->prime) {
		group->p = from->prime(NULL);
		group->generator = BN_new();
		return group->p && group->generator && BN_set_word(group->generator, 2);
	}
	return BN_hex2bn(&group->p, from->p) && BN_hex2bn(&group->generator, from->g) &&
	       BN_hex2bn(&group->q, from->q);
}

static struct modp_group *modp_group_build(const struct modp_constants *from)
{
	struct modp_group *group = calloc(1, sizeof(*group));
	BN_CTX *bn = BN_CTX_new();
	bool ok = false;

	if (group && bn && read_constants(group, from)) {
		group->p_minus_1 = BN_dup(group->p);
		group->mont = BN_MONT_CTX_new();
		ok = group->p_minus_1 && BN_sub_word(group->p_minus_1, 1) && group->mont &&
		     BN_MONT_CTX_set(group->mont, group->p, bn) && fill_table(group, bn);
	}
	BN_CTX_free(bn);
	if (!ok) {
		modp_group_free(group);
		return NULL;
	}
	return group;
}

const struct modp_group *modp_group_get(unsigned index)
{
	struct modp_group *group = atomic_load_explicit(&groups[index], memory_order_acquire);

	if (group)
		return group;
	pthread_mutex_lock(&build_lock);
	group = atomic_load_explicit(&groups[index], memory_order_relaxed);
	if (!group) {
		group = modp_group_build(&constants[index]);
		atomic_store_explicit(&groups[index], group, memory_order_release);
	}
	pthread_mutex_unlock(&build_lock);
	return group;
}

void modp_group_select(
	const struct modp_group *group, unsigned window, unsigned digit, uint64_t *out)
{
	memset(out, 0, group->words * sizeof(*out));
	for (unsigned d = 0; d < WINDOW_SIZE; d++) {
		const uint64_t *entry = power_at(group, window, d);
		uint64_t mask = 0 - (((uint64_t)(d ^ digit) - 1) >> 63);

		/* so that no compiler finds out that the mask is a condition */
		__asm__("" : "+r"(mask));
		for (size_t w = 0; w < group->words; w++)
			out[w] |= entry[w] & mask;
	}
}
