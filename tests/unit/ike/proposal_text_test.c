/* ike=, esp= and ah=: what is read, what is refused, how it is shown. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "ike/proposal.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define KE       "DH19+DH31+DH20+DH21+MODP2048+MODP3072+MODP4096+MODP8192"
#define HASHES   "HMAC_SHA2_512+HMAC_SHA2_256"
#define INTEGS   "HMAC_SHA2_512_256+HMAC_SHA2_256_128"

enum what { IKE, ESP, AH };

static struct proposal_list *parse(enum what what, const char *text, char *error, size_t size)
{
	return what == IKE ? proposal_parse_ike(text, error, size)
			   : proposal_parse_child(text, what == AH, 2, error, size);
}

/* What is shown is read back to the same list. */
static void check_round_trip(enum what what, const struct proposal_list *list, const char *shown)
{
	char error[200] = "";
	struct proposal_list *again = parse(what, shown, error, sizeof(error));

	if (again == NULL)
		fail_msg("%s", error);
	if (!proposal_list_equal(list, again))
		fail_msg("not read back: %s", shown);
	proposal_list_unref(again);
}

static void reads(void **state)
{
	static const struct {
		enum what what;
		const char *text, *shown;
	} cases[] = {
		{IKE, NULL,
			"AES_GCM_16_256+AES_GCM_16_128-" HASHES "-" KE
			", AES_CBC_256+AES_CBC_128-" HASHES "-" KE},
		{ESP, NULL,
			"AES_GCM_16_256+AES_GCM_16_128+CHACHA20_POLY1305, "
			"AES_CBC_256+AES_CBC_128-" INTEGS},
		{AH, NULL, INTEGS},
		{IKE, "aes_gcm256-sha2_256;dh19,aes256-sha2",
			"AES_GCM_16_256-HMAC_SHA2_256-DH19, AES_CBC_256-HMAC_SHA2_256-" KE},
		{IKE, "aes", "AES_CBC_256+AES_CBC_128-" HASHES "-" KE},
		{IKE, "aes192", "AES_CBC_192-" HASHES "-" KE},
		{IKE, "AES_GCM", "AES_GCM_16_256+AES_GCM_16_128-" HASHES "-" KE},
		{IKE, "aes_gcm;dh31", "AES_GCM_16_256+AES_GCM_16_128-" HASHES "-DH31"},
		{IKE, "aes_gcm_c128-sha1-modp2048", "AES_GCM_16_128-HMAC_SHA1-MODP2048"},
		{IKE, "aes_gcm_8_128-sha2-dh14", "AES_GCM_8_128-HMAC_SHA2_256-MODP2048"},
		{IKE, "aes_gcm_a-128-sha2-dh14", "AES_GCM_8_128-HMAC_SHA2_256-MODP2048"},
		{IKE, "aes-128-sha1-dh14", "AES_CBC_128-HMAC_SHA1-MODP2048"},
		{IKE, "aes_cbc_128-sha1-dh14", "AES_CBC_128-HMAC_SHA1-MODP2048"},
		{IKE, "aes-128+aes-256-sha1-dh14", "AES_CBC_128+AES_CBC_256-HMAC_SHA1-MODP2048"},
		{IKE, "aes128+aes256-sha2+sha1-modp2048+dh19",
			"AES_CBC_128+AES_CBC_256-HMAC_SHA2_256+HMAC_SHA1-MODP2048+DH19"},
		{IKE, "aes256+aes-sha1-dh14+modp2048",
			"AES_CBC_256+AES_CBC_128-HMAC_SHA1-MODP2048"},
		{IKE, "aes256-dh19-sha2", "AES_CBC_256-HMAC_SHA2_256-DH19"},
		{IKE, "aes256-sha1-sha2_512-dh14",
			"AES_CBC_256-HMAC_SHA1_96-HMAC_SHA2_512-MODP2048"},
		{IKE, "aes256-sha2_256_128-dh14", "AES_CBC_256-HMAC_SHA2_256-MODP2048"},
		{IKE, "aes256-aes_xcbc-dh14", "AES_CBC_256-AES_XCBC-MODP2048"},
		{IKE, "aes256-aes_cmac_96-dh14", "AES_CBC_256-AES_CMAC-MODP2048"},
		{IKE, "aes_gcm256-none-sha2_512-dh20", "AES_GCM_16_256-HMAC_SHA2_512-DH20"},
		{IKE, "aes_gcm256-null;dh20", "AES_GCM_16_256-" HASHES "-DH20"},
		{IKE, "chacha20_poly1305-sha2_512-curve25519",
			"CHACHA20_POLY1305-HMAC_SHA2_512-DH31"},
		{IKE, "encrypt=aes256;prf=sha2_512;integ=sha1;ke=dh19",
			"AES_CBC_256-HMAC_SHA1_96-HMAC_SHA2_512-DH19"},
		{IKE, "aes256;integ=sha1;ke=dh19", "AES_CBC_256-HMAC_SHA1-DH19"},
		{IKE, "aes_gcm256;prf=sha2;ke=dh19", "AES_GCM_16_256-HMAC_SHA2_256-DH19"},
		{IKE, " aes256-sha2;dh14 , aes_gcm-sha2;dh19 ",
			"AES_CBC_256-HMAC_SHA2_256-MODP2048, "
			"AES_GCM_16_256+AES_GCM_16_128-HMAC_SHA2_256-DH19"},
		/* weak ones, when named */
		{IKE, "3des-md5-modp1024", "3DES_CBC-HMAC_MD5-MODP1024"},
		{IKE, "3des-sha1;dh5", "3DES_CBC-HMAC_SHA1-MODP1536"},
		{ESP, "aes_gcm256", "AES_GCM_16_256"},
		{ESP, "aes_gcm256-none", "AES_GCM_16_256"},
		{ESP, "aes_gcm256-null;dh19", "AES_GCM_16_256-DH19"},
		{ESP, "aes_gcm256-dh19", "AES_GCM_16_256-DH19"},
		{ESP, "aes_gcm256-none-none", "AES_GCM_16_256"},
		{ESP, "aes128-sha1", "AES_CBC_128-HMAC_SHA1_96"},
		{ESP, "aes128-sha2", "AES_CBC_128-HMAC_SHA2_256_128"},
		{ESP, "aes256-hmac_sha2_512;modp3072+none",
			"AES_CBC_256-HMAC_SHA2_512_256-MODP3072+NONE"},
		{ESP, "aes256", "AES_CBC_256-" INTEGS},
		{ESP, "aes;none", "AES_CBC_256+AES_CBC_128-" INTEGS},
		{ESP, "null-sha1", "NULL-HMAC_SHA1_96"},
		{ESP, "3des-md5", "3DES_CBC-HMAC_MD5_96"},
		{ESP, "chacha20_poly1305", "CHACHA20_POLY1305"},
		{ESP, "aes_ctr256-sha2_384", "AES_CTR_256-HMAC_SHA2_384_192"},
		{ESP, "aes_ccm128", "AES_CCM_16_128"},
		{ESP, "encrypt=aes128;integ=sha1", "AES_CBC_128-HMAC_SHA1_96"},
		{AH, "sha1", "HMAC_SHA1_96"},
		{AH, "sha2_512+sha1;dh19", "HMAC_SHA2_512_256+HMAC_SHA1_96-DH19"},
	};
	(void)state;

	for (size_t i = 0; i < COUNT(cases); i++) {
		char error[200] = "", shown[600];
		struct proposal_list *list =
			parse(cases[i].what, cases[i].text, error, sizeof(error));
		if (list == NULL)
			fail_msg("case %zu: %s", i, error);
		assert_int_equal(list->references, 1);
		proposal_list_text(list, shown, sizeof(shown));
		assert_string_equal(shown, cases[i].shown);
		for (unsigned p = 0; p < list->count; p++) {
			assert_int_equal(list->proposals[p].number, p + 1);
			assert_int_equal(list->proposals[p].spi_len, 0);
		}
		check_round_trip(cases[i].what, list, shown);
		proposal_list_unref(list);
	}
}

static void refuses_and_quotes(void **state)
{
	static const struct {
		enum what what;
		const char *text, *error;
	} cases[] = {
		{IKE, "foo", "ike=foo: encryption algorithm 'foo' is not recognized"},
		{ESP, "foo-sha1", "esp=foo-sha1: encryption algorithm 'foo' is not recognized"},
		{AH, "foo", "ah=foo: integrity algorithm 'foo' is not recognized"},
		{IKE, "aes256-foo",
			"ike=aes256-foo: PRF or integrity algorithm 'foo' is not recognized"},
		{ESP, "aes256-foo", "esp=aes256-foo: integrity algorithm 'foo' is not recognized"},
		{IKE, "aes256-sha2;dh99",
			"ike=aes256-sha2;dh99: key exchange method 'dh99' is not recognized"},
		{IKE, "aes256-sha2-modp1",
			"ike=aes256-sha2-modp1: key exchange method 'modp1' is not recognized"},
		{IKE, "aes256-sha2;dh14+foo",
			"ike=aes256-sha2;dh14+foo: key exchange method 'foo' is not recognized"},
		{IKE, "", "ike=: a proposal is empty"},
		{IKE, "aes,", "ike=aes,: a proposal is empty"},
		{IKE, ",aes", "ike=,aes: a proposal is empty"},
		{IKE, "aes, ,aes", "ike=aes, ,aes: a proposal is empty"},
		{IKE, "aes;", "ike=aes;: proposal 'aes;' has an empty part"},
		{IKE, ";dh19", "ike=;dh19: a proposal names no encryption algorithm"},
		{IKE, "-sha2", "ike=-sha2: proposal '-sha2' has an empty field"},
		{IKE, "aes-", "ike=aes-: proposal 'aes-' has an empty field"},
		{IKE, "aes--sha2", "ike=aes--sha2: proposal 'aes--sha2' has an empty field"},
		{IKE, "aes++3des",
			"ike=aes++3des: encryption algorithm 'aes++3des' has an empty alternative"},
		{IKE, "aes129", "ike=aes129: encryption algorithm 'aes129' has no such key length"},
		{IKE, "aes0", "ike=aes0: encryption algorithm 'aes0' has no such key length"},
		{IKE, "aes65664",
			"ike=aes65664: encryption algorithm 'aes65664' has no such key length"},
		{IKE, "aes99999999999999999999",
			"ike=aes99999999999999999999: encryption algorithm "
			"'aes99999999999999999999' "
			"has no such key length"},
		{IKE, "256", "ike=256: encryption algorithm '256' is not recognized"},
		{IKE, "aes128-256",
			"ike=aes128-256: encryption algorithm 'aes128-256' is not "
			"recognized"},
		{IKE, "3des192", "ike=3des192: encryption algorithm '3des192' takes no key length"},
		{IKE, "null-sha1", "ike=null-sha1: encryption algorithm 'null' is not for IKE"},
		{IKE, "aes_gcm256+aes256",
			"ike=aes_gcm256+aes256: encryption 'aes_gcm256+aes256' mixes AEAD and "
			"other "
			"algorithms: write them as two proposals"},
		{IKE, "aes_gcm-sha1-sha2",
			"ike=aes_gcm-sha1-sha2: integrity algorithm 'sha1' does not go with AEAD "
			"encryption"},
		{ESP, "aes_gcm256-sha1",
			"esp=aes_gcm256-sha1: integrity algorithm 'sha1' does not go with AEAD "
			"encryption"},
		{ESP, "aes256-none",
			"esp=aes256-none: integrity algorithm 'none' goes only with AEAD "
			"encryption"},
		{IKE, "aes256-none",
			"ike=aes256-none: integrity algorithm 'none' goes only with AEAD "
			"encryption"},
		{IKE, "aes256-sha2+none",
			"ike=aes256-sha2+none: integrity algorithm 'none' goes only with AEAD "
			"encryption"},
		{AH, "none", "ah=none: integrity algorithm 'none' goes only with AEAD encryption"},
		{IKE, "aes_gcm256-sha2_256_128",
			"ike=aes_gcm256-sha2_256_128: PRF 'sha2_256_128' is not recognized"},
		{IKE, "aes256-sha2;none",
			"ike=aes256-sha2;none: key exchange method 'none' is not for "
			"IKE"},
		{IKE, "aes256-sha2;dh14;dh15",
			"ike=aes256-sha2;dh14;dh15: key exchange method 'dh15' comes when others "
			"were "
			"given before"},
		{IKE, "aes256-sha2-dh14-dh15",
			"ike=aes256-sha2-dh14-dh15: key exchange method 'dh15' comes when others "
			"were "
			"given before"},
		{IKE, "aes256-sha2-sha1-sha1",
			"ike=aes256-sha2-sha1-sha1: PRF 'sha1' comes when others were given "
			"before"},
		{IKE, "aes256-sha2-sha1-dh14-dh15",
			"ike=aes256-sha2-sha1-dh14-dh15: field 'dh15' is "
			"one too many"},
		{ESP, "aes256-sha2-sha1",
			"esp=aes256-sha2-sha1: integrity algorithm 'sha1' comes when others were "
			"given "
			"before"},
		{IKE, "aes256-sha2;prf=sha1",
			"ike=aes256-sha2;prf=sha1: hash 'sha2' comes beside integ= or prf="},
		{IKE, "aes;addke1=ml_kem_768",
			"ike=aes;addke1=ml_kem_768: additional key exchange 'addke1=ml_kem_768' is "
			"not "
			"supported"},
		{ESP, "aes;sn=yes",
			"esp=aes;sn=yes: sequence number type 'sn=yes' is set by esn= "
			"instead"},
		{ESP, "aes;prf=sha1", "esp=aes;prf=sha1: part 'prf=sha1' is not recognized"},
		{IKE, "aes;ke=", "ike=aes;ke=: key exchange method '' has an empty alternative"},
		{IKE, "aes;=dh19", "ike=aes;=dh19: part '=dh19' is not recognized"},
		{IKE, "aes\n256", "ike=aes?256: encryption algorithm 'aes?256' is not recognized"},
		{IKE, "%s%n%s", "ike=%s%n%s: encryption algorithm '%s%n%s' is not recognized"},
	};
	(void)state;

	for (size_t i = 0; i < COUNT(cases); i++) {
		char error[300] = "";
		struct proposal_list *list =
			parse(cases[i].what, cases[i].text, error, sizeof(error));
		if (list != NULL)
			fail_msg("accepted: %s", cases[i].text);
		assert_string_equal(error, cases[i].error);
	}
}

static void too_many_proposals(void **state)
{
	char text[5 * PROPOSALS_MAX + 8] = "aes", error[200];
	(void)state;

	for (int i = 1; i < PROPOSALS_MAX; i++)
		strcat(text, ",aes");
	struct proposal_list *list = proposal_parse_ike(text, error, sizeof(error));
	assert_non_null(list);
	assert_int_equal(list->count, PROPOSALS_MAX);
	proposal_list_unref(list);
	strcat(text, ",aes");
	assert_null(proposal_parse_ike(text, error, sizeof(error)));
	assert_non_null(strstr(error, "more than 32 proposals"));
}

static void a_very_long_text_is_quoted_short(void **state)
{
	char *text = malloc(1000001), error[200];
	(void)state;

	memset(text, 'x', 1000000);
	text[1000000] = '\0';
	assert_null(proposal_parse_ike(text, error, sizeof(error)));
	assert_non_null(strstr(error, "xxx...: encryption algorithm 'xxx"));
	memset(text, '+', 1000000);
	assert_null(proposal_parse_ike(text, error, sizeof(error)));
	memset(text, '-', 1000000);
	assert_null(proposal_parse_ike(text, error, 10));
	assert_true(strlen(error) < 10);
	memset(text, ';', 1000000);
	assert_null(proposal_parse_ike(text, NULL, 0));
	memset(text, ',', 1000000);
	assert_null(proposal_parse_child(text, false, 2, error, sizeof(error)));
	free(text);
}

/* Words of the grammar thrown together: read back what is accepted, never fall over. */
static void random_texts(void **state)
{
	static const char *const words[] = {"aes", "aes128", "256", "aes_gcm", "3des", "sha1",
		"sha2", "sha2_512_256", "none", "dh19", "modp2048",
		"ke=", "prf=", "integ=", "encrypt=", "-", "-", "-", "+", "+", ";", ";", ",", ",",
		" ", "_", "=", "\t", "\x80", "addke1=", "null"};
	unsigned accepted = 0;
	(void)state;

	srand(7);
	for (int round = 0; round < 100000; round++) {
		char text[200] = "", error[200] = "", shown[2000];
		int count = 1 + rand() % 9;
		enum what what = (enum what)(rand() % 3);
		for (int i = 0; i < count; i++)
			strcat(text, words[(size_t)rand() % COUNT(words)]);
		struct proposal_list *list = parse(what, text, error, sizeof(error));
		if (list == NULL) {
			assert_true(strlen(error) > 0);
			continue;
		}
		accepted++;
		check_round_trip(what, list, proposal_list_text(list, shown, sizeof(shown)));
		proposal_list_unref(list);
	}
	assert_true(accepted > 1000);
}

static unsigned count_type(const struct proposal *p, uint8_t type, uint16_t *first)
{
	unsigned count = 0;

	for (unsigned i = 0; i < p->transform_count; i++)
		if (p->transforms[i].type == type && count++ == 0)
			*first = p->transforms[i].id;
	return count;
}

static void sequence_numbers_come_from_esn(void **state)
{
	static const struct {
		int esn;
		unsigned count, first;
	} cases[] = {{0, 1, SN_32BIT}, {1, 1, SN_EXTENDED}, {2, 2, SN_EXTENDED}};
	char error[100];
	(void)state;

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct proposal_list *list =
			proposal_parse_child("aes_gcm", false, cases[i].esn, error, sizeof(error));
		uint16_t first = 99;
		assert_int_equal(
			count_type(&list->proposals[0], TRANSFORM_SN, &first), cases[i].count);
		assert_int_equal(first, cases[i].first);
		assert_int_equal(list->proposals[0].protocol, PROTOCOL_ESP);
		proposal_list_unref(list);
	}
}

static void defaults_are_never_weak(void **state)
{
	char error[100];
	struct proposal_list *lists[3] = {
		proposal_parse_ike(NULL, error, sizeof(error)),
		proposal_parse_child(NULL, false, 2, error, sizeof(error)),
		proposal_parse_child(NULL, true, 2, error, sizeof(error)),
	};
	(void)state;

	for (size_t i = 0; i < COUNT(lists); i++) {
		for (unsigned p = 0; p < lists[i]->count; p++) {
			const struct proposal *proposal = &lists[i]->proposals[p];
			for (unsigned t = 0; t < proposal->transform_count; t++) {
				const struct algorithm *alg = algorithm_by_id(
					proposal->transforms[t].type, proposal->transforms[t].id);
				assert_non_null(alg);
				assert_false(alg->weak);
			}
		}
		proposal_list_unref(lists[i]);
	}
}

static void key_exchanges_of_a_list(void **state)
{
	char error[100], shown[300];
	struct proposal_list *esp =
		proposal_parse_child("aes_gcm256,aes128-sha1;dh14", false, 0, error, sizeof(error));
	struct proposal_list *ike = proposal_parse_ike(NULL, error, sizeof(error));
	(void)state;

	assert_int_equal(proposal_list_first_ke(ike)->id, KE_ECP_256);
	assert_true(proposal_list_has_ke(ike, KE_CURVE25519));
	assert_false(proposal_list_has_ke(ike, KE_MODP1536));
	assert_int_equal(proposal_list_first_ke(esp)->id, KE_MODP2048);

	struct proposal_list *pfs =
		proposal_list_with_ke(esp, algorithm_by_id(TRANSFORM_KE, KE_CURVE25519));
	assert_string_equal(proposal_list_text(pfs, shown, sizeof(shown)),
		"AES_GCM_16_256-DH31, AES_CBC_128-HMAC_SHA1_96-MODP2048");
	assert_false(proposal_list_equal(pfs, esp));
	proposal_list_unref(proposal_list_ref(pfs));
	proposal_list_unref(pfs);
	proposal_list_unref(esp);
	proposal_list_unref(ike);
	proposal_list_unref(NULL);
}

static void text_is_cut_at_the_size(void **state)
{
	char error[100], shown[300], small[300];
	struct proposal_list *ike = proposal_parse_ike(NULL, error, sizeof(error));
	(void)state;

	proposal_list_text(ike, shown, sizeof(shown));
	for (size_t size = 1; size < sizeof(shown); size++) {
		memset(small, 'Z', sizeof(small));
		proposal_list_text(ike, small, size);
		assert_int_equal(
			strnlen(small, size), strlen(shown) < size ? strlen(shown) : size - 1);
		assert_memory_equal(small, shown, strlen(small));
		if (size < sizeof(small))
			assert_int_equal(small[size], 'Z');
	}
	small[0] = 'Z';
	proposal_list_text(ike, small, 0);
	assert_int_equal(small[0], 'Z');
	proposal_list_unref(ike);
}

static void shows_what_was_chosen(void **state)
{
	char text[CHOSEN_TEXT_MAX];
	struct chosen_proposal chosen = {
		.encr = algorithm_by_id(TRANSFORM_ENCR, ENCR_AES_GCM_16),
		.encr_key_bits = 256,
		.prf = algorithm_by_id(TRANSFORM_PRF, PRF_HMAC_SHA2_512),
		.ke = algorithm_by_id(TRANSFORM_KE, KE_ECP_256),
	};
	(void)state;

	assert_string_equal(chosen_ike_text(&chosen, text),
		"cipher=AES_GCM_16_256 integ=n/a prf=HMAC_SHA2_512 ke=DH19");
	assert_string_equal(chosen_child_text(&chosen, text), "AES_GCM_16_256-DH19");
	chosen.ke = NULL;
	assert_string_equal(chosen_child_text(&chosen, text), "AES_GCM_16_256");
	chosen.encr = algorithm_by_id(TRANSFORM_ENCR, ENCR_AES_CBC);
	chosen.encr_key_bits = 128;
	chosen.integ = algorithm_by_id(TRANSFORM_INTEG, INTEG_HMAC_SHA2_256_128);
	assert_string_equal(chosen_child_text(&chosen, text), "AES_CBC_128-HMAC_SHA2_256_128");
	chosen.encr = NULL;
	assert_string_equal(chosen_child_text(&chosen, text), "HMAC_SHA2_256_128");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads),
		cmocka_unit_test(refuses_and_quotes),
		cmocka_unit_test(too_many_proposals),
		cmocka_unit_test(a_very_long_text_is_quoted_short),
		cmocka_unit_test(random_texts),
		cmocka_unit_test(sequence_numbers_come_from_esn),
		cmocka_unit_test(defaults_are_never_weak),
		cmocka_unit_test(key_exchanges_of_a_list),
		cmocka_unit_test(text_is_cut_at_the_size),
		cmocka_unit_test(shows_what_was_chosen),
	};

	return cmocka_run_group_tests_name("proposal_text", tests, NULL, NULL);
}
