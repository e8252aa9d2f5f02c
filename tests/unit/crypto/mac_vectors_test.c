/* Published vectors of hashes, PRFs, prf+ and integrity algorithms. */
#include "symmetric_fixture.h"

struct mac_vector {
	const char *source;
	uint16_t id;
	const char *key, *message, *output;
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define JEFE         "'what do ya want for nothing?"
#define KEY_FIRST    "'Test Using Larger Than Block-Size Key - Hash Key First"
#define LONG_1       "'Test Using Larger Than Block-Size Key and Larger Than One Block-Size Data"
#define LONG_2                                                                                     \
	"'This is a test using a larger than block-size key and a larger than block-size data. "   \
	"The key needs to be hashed before being used by the HMAC algorithm."
#define COUNTING_16 "000102030405060708090a0b0c0d0e0f"
#define COUNTING_20 COUNTING_16 "10111213"
#define COUNTING_25 "0102030405060708090a0b0c0d0e0f10111213141516171819"
#define CMAC_KEY    "2b7e151628aed2a6abf7158809cf4f3c"
#define CMAC_16     "6bc1bee22e409f96e93d7e117393172a"
#define CMAC_40     CMAC_16 "ae2d8a571e03ac9c9eb76fac45af8e5130c81c46a35ce411"
#define CMAC_64     CMAC_40 "e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710"

static const struct mac_vector prf_vectors[] = {
	{"RFC 2202 MD5 1", PRF_HMAC_MD5, "0b*16", "'Hi There", "9294727a3638bb1c13f48ef8158bfc9d"},
	{"RFC 2202 MD5 2", PRF_HMAC_MD5, "'Jefe", JEFE, "750c783e6ab0b503eaa86e310a5db738"},
	{"RFC 2202 MD5 3", PRF_HMAC_MD5, "aa*16", "dd*50", "56be34521d144c88dbb8c733f0e8b3f6"},
	{"RFC 2202 MD5 4", PRF_HMAC_MD5, COUNTING_25, "cd*50", "697eaf0aca3a3aea3a75164746ffaa79"},
	{"RFC 2202 MD5 5", PRF_HMAC_MD5, "0c*16", "'Test With Truncation",
		"56461ef2342edc00f9bab995690efd4c"},
	{"RFC 2202 MD5 6", PRF_HMAC_MD5, "aa*80", KEY_FIRST, "6b1ab7fe4bd7bf8f0b62e6ce61b9d0cd"},
	{"RFC 2202 MD5 7", PRF_HMAC_MD5, "aa*80", LONG_1, "6f630fad67cda0ee1fb1f562db3aa53e"},
	{"RFC 2202 SHA1 1", PRF_HMAC_SHA1, "0b*20", "'Hi There",
		"b617318655057264e28bc0b6fb378c8ef146be00"},
	{"RFC 2202 SHA1 2", PRF_HMAC_SHA1, "'Jefe", JEFE,
		"effcdf6ae5eb2fa2d27416d5f184df9c259a7c79"},
	{"RFC 2202 SHA1 3", PRF_HMAC_SHA1, "aa*20", "dd*50",
		"125d7342b9ac11cd91a39af48aa17b4f63f175d3"},
	{"RFC 2202 SHA1 4", PRF_HMAC_SHA1, COUNTING_25, "cd*50",
		"4c9007f4026250c6bc8414f9bf50c86c2d7235da"},
	{"RFC 2202 SHA1 5", PRF_HMAC_SHA1, "0c*20", "'Test With Truncation",
		"4c1a03424b55e07fe7f27be1d58bb9324a9a5a04"},
	{"RFC 2202 SHA1 6", PRF_HMAC_SHA1, "aa*80", KEY_FIRST,
		"aa4ae5e15272d00e95705637ce8a3b55ed402112"},
	{"RFC 2202 SHA1 7", PRF_HMAC_SHA1, "aa*80", LONG_1,
		"e8e99d0f45237d786d6bbaa7965c7808bbff1a91"},
	{"RFC 4231 1", PRF_HMAC_SHA2_256, "0b*20", "'Hi There",
		"b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"},
	{"RFC 4231 1", PRF_HMAC_SHA2_384, "0b*20", "'Hi There",
		"afd03944d84895626b0825f4ab46907f15f9dadbe4101ec682aa034c7cebc59c"
		"faea9ea9076ede7f4af152e8b2fa9cb6"},
	{"RFC 4231 1", PRF_HMAC_SHA2_512, "0b*20", "'Hi There",
		"87aa7cdea5ef619d4ff0b4241a1d6cb02379f4e2ce4ec2787ad0b30545e17cde"
		"daa833b7d6b8a702038b274eaea3f4e4be9d914eeb61f1702e696c203a126854"},
	{"RFC 4231 2", PRF_HMAC_SHA2_256, "'Jefe", JEFE,
		"5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"},
	{"RFC 4231 2", PRF_HMAC_SHA2_384, "'Jefe", JEFE,
		"af45d2e376484031617f78d2b58a6b1b9c7ef464f5a01b47e42ec3736322445e"
		"8e2240ca5e69e2c78b3239ecfab21649"},
	{"RFC 4231 2", PRF_HMAC_SHA2_512, "'Jefe", JEFE,
		"164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea250554"
		"9758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737"},
	{"RFC 4231 3", PRF_HMAC_SHA2_256, "aa*20", "dd*50",
		"773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"},
	{"RFC 4231 3", PRF_HMAC_SHA2_384, "aa*20", "dd*50",
		"88062608d3e6ad8a0aa2ace014c8a86f0aa635d947ac9febe83ef4e55966144b"
		"2a5ab39dc13814b94e3ab6e101a34f27"},
	{"RFC 4231 3", PRF_HMAC_SHA2_512, "aa*20", "dd*50",
		"fa73b0089d56a284efb0f0756c890be9b1b5dbdd8ee81a3655f83e33b2279d39"
		"bf3e848279a722c806b485a47e67c807b946a337bee8942674278859e13292fb"},
	{"RFC 4231 4", PRF_HMAC_SHA2_256, COUNTING_25, "cd*50",
		"82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b"},
	{"RFC 4231 4", PRF_HMAC_SHA2_384, COUNTING_25, "cd*50",
		"3e8a69b7783c25851933ab6290af6ca77a9981480850009cc5577c6e1f573b4e"
		"6801dd23c4a7d679ccf8a386c674cffb"},
	{"RFC 4231 4", PRF_HMAC_SHA2_512, COUNTING_25, "cd*50",
		"b0ba465637458c6990e5a8c5f61d4af7e576d97ff94b872de76f8050361ee3db"
		"a91ca5c11aa25eb4d679275cc5788063a5f19741120c4f2de2adebeb10a298dd"},
	{"RFC 4231 6", PRF_HMAC_SHA2_256, "aa*131", KEY_FIRST,
		"60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"},
	{"RFC 4231 6", PRF_HMAC_SHA2_384, "aa*131", KEY_FIRST,
		"4ece084485813e9088d2c63a041bc5b44f9ef1012a2b588f3cd11f05033ac4c6"
		"0c2ef6ab4030fe8296248df163f44952"},
	{"RFC 4231 6", PRF_HMAC_SHA2_512, "aa*131", KEY_FIRST,
		"80b24263c7c1a3ebb71493c1dd7be8b49b46d1f41b4aeec1121b013783f8f352"
		"6b56d037e05f2598bd0fd2215d6a1e5295e64f73f63f0aec8b915a985d786598"},
	{"RFC 4231 7", PRF_HMAC_SHA2_256, "aa*131", LONG_2,
		"9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2"},
	{"RFC 4231 7", PRF_HMAC_SHA2_384, "aa*131", LONG_2,
		"6617178e941f020d351e2f254e8fd32c602420feb0b8fb9adccebb82461e99c5"
		"a678cc31e799176d3860e6110c46523e"},
	{"RFC 4231 7", PRF_HMAC_SHA2_512, "aa*131", LONG_2,
		"e37b6a775dc87dbaa4dfa9f96e5e3ffddebd71f8867289865df5a32d20cdc944"
		"b6022cac3c4982b10d5eeb55c3e4de15134676fb6de0446065c97440fa8c6a58"},
	{"RFC 3566 1", PRF_AES128_XCBC, COUNTING_16, "", "75f0251d528ac01c4573dfd584d79f29"},
	{"RFC 3566 2", PRF_AES128_XCBC, COUNTING_16, "000102", "5b376580ae2f19afe7219ceef172756f"},
	{"RFC 3566 3", PRF_AES128_XCBC, COUNTING_16, COUNTING_16,
		"d2a246fa349b68a79998a4394ff7a263"},
	{"RFC 3566 4", PRF_AES128_XCBC, COUNTING_16, COUNTING_20,
		"47f51b4564966215b8985c63055ed308"},
	{"RFC 3566 5", PRF_AES128_XCBC, COUNTING_16, COUNTING_20 "1415161718191a1b1c1d1e1f",
		"f54f0ec8d2b9f3d36807734bd5283fd4"},
	{"RFC 3566 6", PRF_AES128_XCBC, COUNTING_16, COUNTING_20 "1415161718191a1b1c1d1e1f2021",
		"becbb3bccdb518a30677d5481fb6b4d8"},
	{"RFC 3566 7", PRF_AES128_XCBC, COUNTING_16, "00*1000", "f0dafee895db30253761103b5d84528f"},
	{"RFC 4434 short key", PRF_AES128_XCBC, "00010203040506070809", COUNTING_20,
		"0fa087af7d866e7653434e602fdde835"},
	{"RFC 4434 long key", PRF_AES128_XCBC, COUNTING_16 "edcb", COUNTING_20,
		"8cd3c93ae598a9803006ffb67c40e9e4"},
	{"RFC 4493 1", PRF_AES128_CMAC, CMAC_KEY, "", "bb1d6929e95937287fa37d129b756746"},
	{"RFC 4493 2", PRF_AES128_CMAC, CMAC_KEY, CMAC_16, "070a16b46b4d4144f79bdd9dd04a287c"},
	{"RFC 4493 3", PRF_AES128_CMAC, CMAC_KEY, CMAC_40, "dfa66747de9ae63030ca32611497c827"},
	{"RFC 4493 4", PRF_AES128_CMAC, CMAC_KEY, CMAC_64, "51f0bebf7e3b9d92fc49741779363cfe"},
	{"RFC 4615 long key", PRF_AES128_CMAC, COUNTING_16 "edcb", COUNTING_20,
		"84a348a4a45d235babfffc0d2b4da09a"},
	{"RFC 4615 right key", PRF_AES128_CMAC, COUNTING_16, COUNTING_20,
		"980ae87b5f4c9c5214f5b6a8455e4c2d"},
	{"RFC 4615 short key", PRF_AES128_CMAC, "00010203040506070809", COUNTING_20,
		"290d9e112edb09ee141fcf64c0b72f3d"},
};

static const struct mac_vector integ_vectors[] = {
	{"RFC 2403", INTEG_HMAC_MD5_96, "0c*16", "'Test With Truncation",
		"56461ef2342edc00f9bab995"},
	{"RFC 2404", INTEG_HMAC_SHA1_96, "0c*20", "'Test With Truncation",
		"4c1a03424b55e07fe7f27be1"},
	{"RFC 3566 1", INTEG_AES_XCBC_96, COUNTING_16, "", "75f0251d528ac01c4573dfd5"},
	{"RFC 3566 4", INTEG_AES_XCBC_96, COUNTING_16, COUNTING_20, "47f51b4564966215b8985c63"},
	{"RFC 3566 7", INTEG_AES_XCBC_96, COUNTING_16, "00*1000", "f0dafee895db30253761103b"},
	{"RFC 4494 1", INTEG_AES_CMAC_96, CMAC_KEY, "", "bb1d6929e95937287fa37d12"},
	{"RFC 4494 3", INTEG_AES_CMAC_96, CMAC_KEY, CMAC_40, "dfa66747de9ae63030ca3261"},
	{"RFC 4868 AUTH256-1", INTEG_HMAC_SHA2_256_128, "0b*32", "'Hi There",
		"198a607eb44bfbc69903a0f1cf2bbdc5"},
	{"RFC 4868 AUTH384-1", INTEG_HMAC_SHA2_384_192, "0b*48", "'Hi There",
		"b6a8d5636f5c6a7224f9977dcf7ee6c7fb6d0c48cbdee973"},
	{"RFC 4868 AUTH512-1", INTEG_HMAC_SHA2_512_256, "0b*64", "'Hi There",
		"637edc6e01dce7e6742a99451aae82df23da3e92439e590e43e761b33e910fb8"},
};

static void run_prfs(struct crypto_context *context)
{
	for (size_t i = 0; i < COUNT(prf_vectors); i++) {
		const struct mac_vector *v = &prf_vectors[i];
		const struct algorithm *alg = known(TRANSFORM_PRF, v->id);
		struct vector key, message, output;
		struct bytes part;
		uint8_t out[PRF_OUTPUT_MAX];

		vector_read(v->key, &key);
		vector_read(v->message, &message);
		vector_read(v->output, &output);
		assert_int_equal(output.len, alg->output_len);
		part = vector_bytes(&message);
		assert_true(prf(context, alg, vector_bytes(&key), &part, 1, out));
		if (memcmp(out, output.data, output.len) != 0)
			fail_msg("%s %s", v->source, alg->name);
	}
}

static void prfs(void **state)
{
	(void)state;
	for_each_context(run_prfs);
}

static void run_integs(struct crypto_context *context)
{
	for (size_t i = 0; i < COUNT(integ_vectors); i++) {
		const struct mac_vector *v = &integ_vectors[i];
		const struct algorithm *alg = known(TRANSFORM_INTEG, v->id);
		struct vector key, message, output;
		struct bytes part;
		uint8_t icv[ICV_MAX + 1];

		vector_read(v->key, &key);
		vector_read(v->message, &message);
		vector_read(v->output, &output);
		assert_int_equal(output.len, alg->icv_len);
		part = vector_bytes(&message);
		icv[alg->icv_len] = 0x5a;
		assert_true(integ_compute(context, alg, vector_bytes(&key), &part, 1, icv));
		if (memcmp(icv, output.data, output.len) != 0)
			fail_msg("%s %s", v->source, alg->name);
		/* Not a byte more than the ICV is written. */
		assert_int_equal(icv[alg->icv_len], 0x5a);
	}
}

static void integs(void **state)
{
	(void)state;
	for_each_context(run_integs);
}

/* FIPS 180-4's examples */
static const struct {
	const char *message, *sha1, *sha256;
} hash_vectors[] = {
	{"", "da39a3ee5e6b4b0d3255bfef95601890afd80709",
		"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
	{"'abc", "a9993e364706816aba3e25717850c26c9cd0d89d",
		"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
	{"'abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
		"84983e441c3bd26ebaae4aa1f95129e5e54670f1",
		"248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
};

static void run_hashes(struct crypto_context *context)
{
	for (size_t i = 0; i < COUNT(hash_vectors); i++) {
		struct vector message, expected;
		struct bytes part;
		uint8_t out[32];

		vector_read(hash_vectors[i].message, &message);
		part = vector_bytes(&message);
		vector_read(hash_vectors[i].sha1, &expected);
		assert_true(hash_sha1(context, &part, 1, out));
		assert_memory_equal(out, expected.data, 20);
		vector_read(hash_vectors[i].sha256, &expected);
		assert_true(hash_sha2_256(context, &part, 1, out));
		assert_memory_equal(out, expected.data, 32);
	}
}

static void hashes(void **state)
{
	(void)state;
	for_each_context(run_hashes);
}

/* NIST's CAVP for SP 800-135: IKEv2's key derivation with HMAC-SHA1 */
static void run_key_schedule(struct crypto_context *context)
{
	const struct algorithm *alg = known(TRANSFORM_PRF, PRF_HMAC_SHA1);
	struct vector nonces, g_ir, spis, expected;
	struct bytes seed[2], part;
	uint8_t skeyseed[20], dkm[132];

	vector_read("32b50d5f4a3763f39206a04b26564cb1", &nonces);
	vector_read("4b2c1f971981a8ad8d0abeafabf38cf75fc8349c148142465ed9c8b516b8be52", &g_ir);
	vector_read("34c9e7c1888687853ff77d760d2b2199", &spis);
	part = vector_bytes(&g_ir);
	assert_true(prf(context, alg, vector_bytes(&nonces), &part, 1, skeyseed));
	vector_read("a9a7b222b59f8f48645f28a1db5b5f5d7479cba7", &expected);
	assert_memory_equal(skeyseed, expected.data, sizeof(skeyseed));
	seed[0] = vector_bytes(&nonces);
	seed[1] = vector_bytes(&spis);
	assert_true(prf_plus(
		context, alg, bytes_of(skeyseed, sizeof(skeyseed)), seed, 2, dkm, sizeof(dkm)));
	vector_read("a14293677cc80ff8f9cc0eee30d895da9d8f405666e30ef0dfcb63c634a46002"
		    "a2a63080e514a062768b76606f9fa5e992204fc5a670bde3f10d6b027113936a"
		    "5c55b648a194ae587b0088d52204b702c979fa280870d2ed41efa9c549fd1119"
		    "8af1670b143d384bd275c5f594cf266b05ebadca855e4249520a441a81157435a7a56cc4",
		&expected);
	assert_int_equal(expected.len, sizeof(dkm));
	assert_memory_equal(dkm, expected.data, sizeof(dkm));
}

static void key_schedule(void **state)
{
	(void)state;
	for_each_context(run_key_schedule);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(prfs),
		cmocka_unit_test(integs),
		cmocka_unit_test(hashes),
		cmocka_unit_test(key_schedule),
	};

	return cmocka_run_group_tests_name("mac vectors", tests, NULL, NULL);
}
