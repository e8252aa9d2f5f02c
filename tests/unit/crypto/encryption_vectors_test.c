/* Published vectors of ciphers. */
#include "symmetric_fixture.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

struct cipher_vector {
	const char *source;
	uint16_t id, key_bits;
	const char *key, *salt, *iv, *aad, *clear, *sealed, *icv;
};

#define SINGLE_BLOCK "'Single block msg"
#define CBC_64                                                                                     \
	"a0a1a2a3a4a5a6a7a8a9aaabacadaeafb0b1b2b3b4b5b6b7b8b9babbbcbdbebfc0c1c2c3c4c5c6c7c8c9"     \
	"cacbcccdcecfd0d1d2d3d4d5d6d7d8d9dadbdcdddedf"
#define SP800_38A                                                                                  \
	"6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e5130c81c46a35ce411e5fb"     \
	"c1191a0a52eff69f2445df4f9b17ad2b417be66c3710"
#define COUNTING_16 "000102030405060708090a0b0c0d0e0f"
#define COUNTING_32 COUNTING_16 "101112131415161718191a1b1c1d1e1f"
#define GCM_KEY     "feffe9928665731c6d6a8f9467308308"
#define GCM_CLEAR                                                                                  \
	"d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e"   \
	"2449a6b525b16aedf5aa0de657ba637b39"
#define GCM_AAD    "feedfacedeadbeeffeedfacedeadbeefabaddad2"
#define CHACHA_KEY "808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f"
#define SUNSCREEN                                                                                  \
	"'Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the "    \
	"future, sunscreen would be it."

static const struct cipher_vector vectors[] = {
	{"RFC 3602 1", ENCR_AES_CBC, 128, "06a9214036b8a15b512e03d534120006", "",
		"3dafba429d9eb430b422da802c9fac41", "", SINGLE_BLOCK,
		"e353779c1079aeb82708942dbe77181a", NULL},
	{"RFC 3602 2", ENCR_AES_CBC, 128, "c286696d887c9aa0611bbb3e2025a45a", "",
		"562e17996d093d28ddb3ba695a2e6f58", "", COUNTING_32,
		"d296cd94c2cccf8a3a863028b5e1dc0a7586602d253cfff91b8266bea6d61ab1", NULL},
	{"RFC 3602 4", ENCR_AES_CBC, 128, "56e47a38c5598974bc46903dba290349", "",
		"8ce82eefbea0da3c44699ed7db51b7d9", "", CBC_64,
		"c30e32ffedc0774e6aff6af0869f71aa0f3af07a9a31a9c684db207eb0ef8e4e"
		"35907aa632c3ffdf868bb7b29d3d46ad83ce9f9a102ee99d49a53e87f4c3da55",
		NULL},
	{"SP 800-38A F.2.3", ENCR_AES_CBC, 192, "8e73b0f7da0e6452c810f32b809079e562f8ead2522c6b7b",
		"", COUNTING_16, "", SP800_38A,
		"4f021db243bc633d7178183a9fa071e8b4d9ada9ad7dedf4e5e738763f69145a"
		"571b242012fb7ae07fa9baac3df102e008b0e27988598881d920a9e64f5615cd",
		NULL},
	{"SP 800-38A F.2.5", ENCR_AES_CBC, 256,
		"603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4", "", COUNTING_16,
		"", SP800_38A,
		"f58c4c04d6e5f1ba779eabfb5f7bfbd69cfc4e967edb808d679f777bc6702c7d"
		"39f23369a9d9bacfa530e26304231461b2eb05e2c39be9fcda6c19078c6a9d1b",
		NULL},
	{"RFC 3686 1", ENCR_AES_CTR, 128, "ae6852f8121067cc4bf7a5765577f39e", "00000030",
		"0000000000000000", "", SINGLE_BLOCK, "e4095d4fb7a7b3792d6175a3261311b8", NULL},
	{"RFC 3686 2", ENCR_AES_CTR, 128, "7e24067817fae0d743d6ce1f32539163", "006cb6db",
		"c0543b59da48d90b", "", COUNTING_32,
		"5104a106168a72d9790d41ee8edad388eb2e1efc46da57c8fce630df9141be28", NULL},
	{"RFC 3686 3", ENCR_AES_CTR, 128, "7691be035e5020a8ac6e618529f9a0dc", "00e0017b",
		"27777f3f4a1786f0", "", COUNTING_32 "20212223",
		"c1cf48a89f2ffdd9cf4652e9efdb72d74540a42bde6d7836d59a5ceaaef3105325b2072f", NULL},
	{"RFC 3686 4", ENCR_AES_CTR, 192, "16af5b145fc9f579c175f93e3bfb0eed863d06ccfdb78515",
		"00000048", "36733c147d6d93cb", "", SINGLE_BLOCK,
		"4b55384fe259c9c84e7935a003cbe928", NULL},
	{"RFC 3686 5", ENCR_AES_CTR, 192, "7c5cb2401b3dc33c19e7340819e0f69c678c3db8e6f6a91a",
		"0096b03b", "020c6eadc2cb500d", "", COUNTING_32,
		"453243fc609b23327edfaafa7131cd9f8490701c5ad4a79cfc1fe0ff42f4fb00", NULL},
	{"RFC 3686 7", ENCR_AES_CTR, 256,
		"776beff2851db06f4c8a0542c8696f6c6a81af1eec96b4d37fc1d689e6c1c104", "00000060",
		"db5672c97aa8f0b2", "", SINGLE_BLOCK, "145ad01dbf824ec7560863dc71e3e0c0", NULL},
	{"RFC 3686 8", ENCR_AES_CTR, 256,
		"f6d66d6bd52d59bb0796365879eff886c66dd51a5b6a99744b50590c87a23884", "00faac24",
		"c1585ef15a43d875", "", COUNTING_32,
		"f05e231b3894612c49ee000b804eb2a9b8306b508f839d6a5530831d9344af1c", NULL},
	/* SP 800-67's example is of single blocks, here each under an IV of zero. */
	{"SP 800-67 1", ENCR_3DES, 0, "0123456789abcdef23456789abcdef01456789abcdef0123", "",
		"0000000000000000", "", "'The qufc", "a826fd8ce53b855f", NULL},
	{"SP 800-67 2", ENCR_3DES, 0, "0123456789abcdef23456789abcdef01456789abcdef0123", "",
		"0000000000000000", "", "'k brown ", "cce21c8112256fe6", NULL},
	{"SP 800-67 3", ENCR_3DES, 0, "0123456789abcdef23456789abcdef01456789abcdef0123", "",
		"0000000000000000", "", "'fox jump", "68d5c05dd9b6b900", NULL},
	{"RFC 2410", ENCR_NULL, 0, "", "", "", "", "'Network Security People Have A Strange Sense",
		"4e6574776f726b2053656375726974792050656f706c652048617665204120537472616e6765205365"
		"6e7365",
		NULL},
	{"McGrew and Viega 1", ENCR_AES_GCM_16, 128, "00*16", "00*4", "00*8", "", "", "",
		"58e2fccefa7e3061367f1d57a4e7455a"},
	{"McGrew and Viega 2", ENCR_AES_GCM_16, 128, "00*16", "00*4", "00*8", "", "00*16",
		"0388dace60b6a392f328c2b971b2fe78", "ab6e47d42cec13bdf53a67b21257bddf"},
	{"McGrew and Viega 4", ENCR_AES_GCM_16, 128, GCM_KEY, "cafebabe", "facedbaddecaf888",
		GCM_AAD, GCM_CLEAR,
		"42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e"
		"21d514b25466931c7d8f6a5aac84aa051ba30b396a0aac973d58e091",
		"5bc94fbc3221a5db94fae95ae7121a47"},
	{"McGrew and Viega 4, cut", ENCR_AES_GCM_12, 128, GCM_KEY, "cafebabe", "facedbaddecaf888",
		GCM_AAD, GCM_CLEAR,
		"42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e"
		"21d514b25466931c7d8f6a5aac84aa051ba30b396a0aac973d58e091",
		"5bc94fbc3221a5db94fae95a"},
	{"McGrew and Viega 10", ENCR_AES_GCM_16, 192, GCM_KEY "feffe9928665731c", "cafebabe",
		"facedbaddecaf888", GCM_AAD, GCM_CLEAR,
		"3980ca0b3c00e841eb06fac4872a2757859e1ceaa6efd984628593b40ca1e19c"
		"7d773d00c144c525ac619d18c84a3f4718e2448b2fe324d9ccda2710",
		"2519498e80f1478f37ba55bd6d27618c"},
	{"McGrew and Viega 16", ENCR_AES_GCM_16, 256, GCM_KEY GCM_KEY, "cafebabe",
		"facedbaddecaf888", GCM_AAD, GCM_CLEAR,
		"522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
		"8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662",
		"76fc6ece0f4e1768cddf8853bb2d551b"},
	{"McGrew and Viega 16, cut", ENCR_AES_GCM_8, 256, GCM_KEY GCM_KEY, "cafebabe",
		"facedbaddecaf888", GCM_AAD, GCM_CLEAR,
		"522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
		"8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662",
		"76fc6ece0f4e1768"},
	/* NIST's variable nonce tests of SP 800-38C: those of 11 bytes, as RFC 4309 has it */
	{"VNT128 1", ENCR_AES_CCM_16, 128, "e6ab9e70a4fb51b01c2e262233e64c0d", "74e689",
		"eb5af9441dd690a6",
		"42f6518ee0fbe42f28e13b4bb2eb60517b37c9744394d9143393a879c3e107c7",
		"ba15916733550d7aa82b2f6b117cd3f54c83ddc16cd0288a",
		"dcc151443288f35d39ed8fae6f0ce1d1eb656f4f7fd65c0b",
		"16f322ce85d7c54e71ac560fd4da9651"},
	{"VNT128 2", ENCR_AES_CCM_16, 128, "e6ab9e70a4fb51b01c2e262233e64c0d", "eb118f",
		"b41284bfcb1bc338",
		"b5a6067fbac46578cfc8d3fe04108588c9de077eb009249374f205553bba9d02",
		"863da00c7accf45418d47c1eda72338734dcc49cd599f328",
		"d64de7a56146b971e21bf5784d67bab32dd837cfb81591da",
		"4a0177883346dc896eb39e8a32bc1393"},
	{"VNT192 1", ENCR_AES_CCM_16, 192, "af84c6f302c59aeee6d5728ed5da2e3c64a5a781c52c4d1b",
		"df990c", "42a268950677c433",
		"a6ab5d78427f297a4b7e21f1091ff3a5b20caa3fe1cbcb09459d9df596a6c8e1",
		"6db41aeb5f7c24df8929dbc30483b3c7934b3bd1cdce5bb9",
		"8c9328258bf71970d33e23a3ff81cc1c9cbe196a1294264b",
		"fd6a7255e4801963bb30a63de3fc5b82"},
	{"VNT256 1", ENCR_AES_CCM_16, 256,
		"97bc7482a87ba005475dfa3448f59d4b3f9c4c969d08b39b1b21ef965c0f5125", "0bcf78",
		"103ec52d6df28887",
		"049c10f0cb37ae08eae2d0766563b7c5a8454f841c2061a4f71a0a2158ae6ce5",
		"b99bf4dc781795fc4d3a8467b06e1665d4e543657f23129f",
		"0d3891fa0caac1f7ebe41b480920ffd34d4155064c24f3b1",
		"7a483163dd8f228d1f20cd4f86cf38fd"},
	{"RFC 8439 2.8.2", ENCR_CHACHA20_POLY1305, 0, CHACHA_KEY, "07000000", "4041424344454647",
		"50515253c0c1c2c3c4c5c6c7", SUNSCREEN,
		"d31a8d34648e60db7b86afbc53ef7ec2a4aded51296e08fea9e2b5a736ee62d6"
		"3dbea45e8ca9671282fafb69da92728b1a71de0a9e060b2905d6a5b67ecd3b36"
		"92ddbd7f2d778b8c9803aee328091b58fab324e4fad675945585808b4831d7bc"
		"3ff4def08e4b7a9de576d26586cec64b6116",
		"1ae10b594f09e26a7e902ecbd0600691"},
	{"RFC 7634 B", ENCR_CHACHA20_POLY1305, 0, CHACHA_KEY, "a0a1a2a3", "1011121314151617",
		"c0c1c2c3c4c5c6c7d0d1d2d3d4d5d6d72e202500000000090000004529000029",
		"0000000c000040010000000a00", "610394701f8d017f7c12924889",
		"6b71bfe25236efd7cdc67066906315b2"},
};

static void run_vector(struct crypto_context *context, const struct cipher_vector *v)
{
	struct vector keymat, salt, iv, aad, data, clear, sealed, icv;
	struct encr_request request = {
		.encr = known(TRANSFORM_ENCR, v->id), .key_bits = v->key_bits, .data = data.data};

	vector_read(v->key, &keymat);
	vector_read(v->salt, &salt);
	memcpy(keymat.data + keymat.len, salt.data, salt.len);
	keymat.len += salt.len;
	vector_read(v->iv, &iv);
	vector_read(v->aad, &aad);
	vector_read(v->clear, &clear);
	vector_read(v->sealed, &sealed);
	vector_read(v->icv ? v->icv : "", &icv);
	data = clear;
	request.keymat = vector_bytes(&keymat);
	request.iv = vector_bytes(&iv);
	request.aad = vector_bytes(&aad);
	request.len = clear.len;
	if (v->icv) {
		assert_int_equal(icv.len, request.encr->icv_len);
		request.icv = data.data + data.len;
	}
	if (!encr_seal(context, &request))
		fail_msg("%s: refused", v->source);
	if (sealed.len != clear.len || memcmp(data.data, sealed.data, sealed.len) != 0)
		fail_msg("%s: sealed data", v->source);
	if (memcmp(data.data + data.len, icv.data, icv.len) != 0)
		fail_msg("%s: ICV", v->source);
	assert_true(encr_open(context, &request));
	assert_memory_equal(data.data, clear.data, clear.len);
}

static void run_vectors(struct crypto_context *context)
{
	for (size_t i = 0; i < COUNT(vectors); i++)
		run_vector(context, &vectors[i]);
}

static void published_vectors(void **state)
{
	(void)state;
	for_each_context(run_vectors);
}

/* Nobody adds an algorithm to the table without a vector here. */
static void every_cipher_of_the_table_has_a_vector_or_is_a_shorter_icv(void **state)
{
	(void)state;
	for (size_t i = 0; algorithm_at(TRANSFORM_ENCR, i); i++) {
		const struct algorithm *encr = algorithm_at(TRANSFORM_ENCR, i);
		bool found = encr->id == ENCR_AES_CCM_8 || encr->id == ENCR_AES_CCM_12;

		for (size_t j = 0; j < COUNT(vectors); j++)
			found |= vectors[j].id == encr->id;
		if (!found)
			fail_msg("%s has no vector", encr->name);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(published_vectors),
		cmocka_unit_test(every_cipher_of_the_table_has_a_vector_or_is_a_shorter_icv),
	};

	return cmocka_run_group_tests_name("encryption vectors", tests, NULL, NULL);
}
