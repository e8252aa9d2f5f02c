/* Which proposal is chosen, which answer is accepted. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "negotiation_rules.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static struct proposal_list *ike(const char *text)
{
	char error[200] = "";
	struct proposal_list *list = proposal_parse_ike(text, error, sizeof(error));

	if (list == NULL)
		fail_msg("%s", error);
	return list;
}

static struct proposal_list *esp(const char *text, int esn)
{
	char error[200] = "";
	struct proposal_list *list = proposal_parse_child(text, false, esn, error, sizeof(error));

	if (list == NULL)
		fail_msg("%s", error);
	return list;
}

static void chooses_for_ike(void **state)
{
	static const struct {
		const char *local, *remote;
		uint16_t want_ke;
		const char *chosen; /* NULL: none */
		int number;
	} cases[] = {
		/* the peer's first acceptable proposal, within it our order */
		{NULL, NULL, 0, "cipher=AES_GCM_16_256 integ=n/a prf=HMAC_SHA2_512 ke=DH19", 1},
		{NULL, "aes128-sha2-dh14,aes_gcm256-sha2-dh19", 0,
			"cipher=AES_CBC_128 integ=HMAC_SHA2_256_128 prf=HMAC_SHA2_256 ke=MODP2048",
			1},
		{"aes_gcm256-sha2_512-dh19", "aes128-sha2-dh14,aes_gcm256-sha2_512-dh19", 0,
			"cipher=AES_GCM_16_256 integ=n/a prf=HMAC_SHA2_512 ke=DH19", 2},
		{"aes256+aes128-sha1+sha2-dh14+dh19", "aes128+aes256-sha2+sha1-dh19+dh14", 0,
			"cipher=AES_CBC_256 integ=HMAC_SHA1_96 prf=HMAC_SHA1 ke=MODP2048", 1},
		/* the group that was sent, if both have it */
		{"aes_gcm256-sha2-dh19+dh31", "aes_gcm256-sha2-dh31+dh19", 31,
			"cipher=AES_GCM_16_256 integ=n/a prf=HMAC_SHA2_256 ke=DH31", 1},
		{"aes_gcm256-sha2-dh19", "aes_gcm256-sha2-dh31+dh19", 31,
			"cipher=AES_GCM_16_256 integ=n/a prf=HMAC_SHA2_256 ke=DH19", 1},
		/* a group sent but not proposed is not chosen */
		{"aes_gcm256-sha2-dh19+dh31", "aes_gcm256-sha2-dh19", 31,
			"cipher=AES_GCM_16_256 integ=n/a prf=HMAC_SHA2_256 ke=DH19", 1},
		{"aes_gcm256-sha2-dh19", "aes_gcm128-sha2-dh19", 0, NULL, 0},
		{"aes_gcm256-sha2-dh19", "aes_gcm256-sha1-dh19", 0, NULL, 0},
		{"aes_gcm256-sha2-dh19", "aes_gcm256-sha2-dh14", 0, NULL, 0},
		{"aes256-sha2-dh19", "aes256-sha1-sha2-dh19", 0, NULL, 0},
		{NULL, "3des-md5-modp1024", 0, NULL, 0},
		{"3des-md5-modp1024", "3des-md5-modp1024", 0,
			"cipher=3DES_CBC integ=HMAC_MD5_96 prf=HMAC_MD5 ke=MODP1024", 1},
	};
	(void)state;

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct proposal_list *local = ike(cases[i].local), *remote = ike(cases[i].remote);
		struct chosen_proposal chosen, accepted;
		char text[CHOSEN_TEXT_MAX];
		bool ok = proposal_choose(
			local, remote, PROTOCOL_IKE, true, cases[i].want_ke, &chosen);
		assert_int_equal(ok, cases[i].chosen != NULL);
		assert_int_equal(chosen.number, cases[i].number);
		if (ok)
			assert_string_equal(chosen_ike_text(&chosen, text), cases[i].chosen);
		assert_false(proposal_accept(
			remote, local, PROTOCOL_ESP, true, &accepted)); /* not this protocol */
		proposal_list_unref(local);
		proposal_list_unref(remote);
	}
}

static void chooses_for_esp(void **state)
{
	static const struct {
		const char *local, *remote;
		int local_esn, remote_esn;
		bool ke_required;
		const char *chosen;
		bool esn;
	} cases[] = {
		{NULL, NULL, 2, 2, false, "AES_GCM_16_256", true},
		{NULL, NULL, 0, 2, false, "AES_GCM_16_256", false},
		{NULL, NULL, 2, 0, false, "AES_GCM_16_256", false},
		{NULL, NULL, 1, 0, false, NULL, false},
		{NULL, "aes128-sha2", 2, 2, false, "AES_CBC_128-HMAC_SHA2_256_128", true},
		{NULL, "aes128-sha1", 2, 2, false, NULL, false},
		/* in IKE_AUTH key exchange methods do not count */
		{"aes_gcm;dh19", "aes_gcm", 2, 2, false, "AES_GCM_16_256", true},
		{"aes_gcm", "aes_gcm;dh19", 2, 2, false, "AES_GCM_16_256", true},
		/* in CREATE_CHILD_SA they do */
		{"aes_gcm;dh19", "aes_gcm;dh14+dh19", 2, 2, true, "AES_GCM_16_256-DH19", true},
		{"aes_gcm;dh19", "aes_gcm", 2, 2, true, NULL, false},
		{"aes_gcm", "aes_gcm;dh19", 2, 2, true, NULL, false},
		{"aes_gcm", "aes_gcm;dh19+none", 2, 2, true, "AES_GCM_16_256", true},
		{"aes_gcm;dh19+none", "aes_gcm", 2, 2, true, "AES_GCM_16_256", true},
		{"aes_gcm", "aes_gcm", 2, 2, true, "AES_GCM_16_256", true},
	};
	(void)state;

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct proposal_list *local = esp(cases[i].local, cases[i].local_esn);
		struct proposal_list *remote = esp(cases[i].remote, cases[i].remote_esn);
		struct chosen_proposal chosen;
		char text[CHOSEN_TEXT_MAX];
		bool ok = proposal_choose(
			local, remote, PROTOCOL_ESP, cases[i].ke_required, 0, &chosen);
		if (ok != (cases[i].chosen != NULL))
			fail_msg("case %zu", i);
		if (ok) {
			assert_string_equal(chosen_child_text(&chosen, text), cases[i].chosen);
			assert_int_equal(chosen.esn, cases[i].esn);
		}
		assert_false(proposal_choose(local, remote, PROTOCOL_AH, false, 0, &chosen));
		proposal_list_unref(local);
		proposal_list_unref(remote);
	}
}

static void add(struct proposal *p, uint8_t type, uint16_t id, uint16_t bits)
{
	p->transforms[p->transform_count++] =
		(struct transform){.type = type, .id = id, .key_bits = bits};
}

/* What no parser of ours writes, but peers do. */
static void judges_strange_offers(void **state)
{
	struct proposal_list *local = esp("aes_gcm256,aes128-sha1", 2);
	struct proposal_list *remote = calloc(1, sizeof(*remote) + 2 * sizeof(struct proposal));
	struct proposal *p = &remote->proposals[0];
	struct chosen_proposal chosen;
	(void)state;

	remote->count = 1;
	*p = (struct proposal){.number = 1, .protocol = PROTOCOL_ESP, .spi_len = 4, .spi = 0x1234};
	add(p, TRANSFORM_ENCR, ENCR_AES_GCM_16, 256);
	add(p, TRANSFORM_SN, SN_32BIT, 0);
	assert_true(proposal_choose(local, remote, PROTOCOL_ESP, false, 0, &chosen));
	assert_int_equal(chosen.spi, 0x1234);
	assert_int_equal(chosen.spi_len, 4);

	/* integrity NONE beside AEAD is as good as nothing; any other is not */
	add(p, TRANSFORM_INTEG, INTEG_NONE, 0);
	assert_true(proposal_choose(local, remote, PROTOCOL_ESP, false, 0, &chosen));
	assert_null(chosen.integ);
	p->transforms[2].id = INTEG_HMAC_SHA1_96;
	assert_false(proposal_choose(local, remote, PROTOCOL_ESP, false, 0, &chosen));
	assert_null(chosen.encr);
	/* AEAD and CBC in one proposal: only the pair that makes sense */
	add(p, TRANSFORM_ENCR, ENCR_AES_CBC, 128);
	assert_true(proposal_choose(local, remote, PROTOCOL_ESP, false, 0, &chosen));
	assert_int_equal(chosen.encr->id, ENCR_AES_CBC);
	assert_int_equal(chosen.integ->id, INTEG_HMAC_SHA1_96);
	/* an attribute that we do not know */
	p->transforms[3].unknown_attribute = true;
	assert_false(proposal_choose(local, remote, PROTOCOL_ESP, false, 0, &chosen));
	p->transforms[3].unknown_attribute = false;
	/* a cipher that we do not know beside one that we know */
	add(p, TRANSFORM_ENCR, 999, 0);
	assert_true(proposal_choose(local, remote, PROTOCOL_ESP, false, 0, &chosen));
	/* a PRF has no place in ESP, an unknown type nowhere; the next proposal may be better */
	p->transforms[4].type = TRANSFORM_PRF;
	assert_false(proposal_choose(local, remote, PROTOCOL_ESP, false, 0, &chosen));
	p->transforms[4].type = 77;
	assert_false(proposal_choose(local, remote, PROTOCOL_ESP, false, 0, &chosen));
	p->transforms[4].type = 0;
	assert_false(proposal_choose(local, remote, PROTOCOL_ESP, false, 0, &chosen));
	remote->proposals[1] = remote->proposals[0];
	remote->proposals[1].transform_count = 4;
	remote->proposals[1].number = 9;
	remote->count = 2;
	assert_true(proposal_choose(local, remote, PROTOCOL_ESP, false, 0, &chosen));
	assert_int_equal(chosen.number, 9);
	/* CBC without integrity, and no sequence number type */
	remote->count = 1;
	p->transform_count = 0;
	add(p, TRANSFORM_ENCR, ENCR_AES_CBC, 128);
	add(p, TRANSFORM_INTEG, INTEG_NONE, 0);
	add(p, TRANSFORM_SN, SN_32BIT, 0);
	assert_false(proposal_choose(local, remote, PROTOCOL_ESP, false, 0, &chosen));
	p->transforms[1].id = INTEG_HMAC_SHA1_96;
	assert_true(proposal_choose(local, remote, PROTOCOL_ESP, false, 0, &chosen));
	p->transform_count = 2;
	assert_false(proposal_choose(local, remote, PROTOCOL_ESP, false, 0, &chosen));
	p->transform_count = 0;
	assert_false(proposal_choose(local, remote, PROTOCOL_ESP, false, 0, &chosen));
	remote->count = 0;
	assert_false(proposal_choose(local, remote, PROTOCOL_ESP, false, 0, &chosen));
	free(remote);
	proposal_list_unref(local);
}

static void a_cipher_without_its_key_length_is_not_ours(void **state)
{
	struct proposal_list *local = ike("aes256-sha2-dh19"), *remote = ike("aes256-sha2-dh19");
	struct chosen_proposal chosen;
	(void)state;

	assert_int_equal(remote->proposals[0].transforms[0].type, TRANSFORM_ENCR);
	remote->proposals[0].transforms[0].key_bits = 0;
	assert_false(proposal_choose(local, remote, PROTOCOL_IKE, true, 0, &chosen));
	proposal_list_unref(local);
	proposal_list_unref(remote);
}

static void accepts_only_what_was_offered(void **state)
{
	static const struct {
		const char *offered, *answer;
		int number;
		bool ok;
	} cases[] = {
		{NULL, "aes_gcm256-sha2_512-dh19", 1, true},
		{NULL, "aes_gcm128-sha2-modp8192", 1, true},
		{NULL, "aes256-sha2_512-dh31", 2, true},
		{NULL, "aes256-sha2_512-dh31", 1, false}, /* the number of another */
		{NULL, "aes256-sha2_512-dh31", 3, false},
		{NULL, "aes_gcm192-sha2_512-dh19", 1, false},
		{NULL, "aes_gcm256-sha1-dh19", 1, false},
		{NULL, "aes_gcm256-sha2-dh5", 1, false},
		{NULL, "3des-sha1-dh5", 1, false},
		/* more than one of a type is no choice */
		{NULL, "aes_gcm-sha2_512-dh19", 1, false},
		{NULL, "aes_gcm256-sha2_512+sha2-dh19", 1, false},
		{NULL, "aes_gcm256-sha2_512-dh19+dh31", 1, false},
		{NULL, "aes_gcm256-sha2_512-dh19,aes_gcm256-sha2_512-dh19", 1, false},
		/* a hash of another proposal */
		{"aes256-sha2-dh14,aes128-sha1-dh14", "aes256-sha1-dh14", 1, false},
	};
	(void)state;

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct proposal_list *offered = ike(cases[i].offered),
				     *answer = ike(cases[i].answer);
		struct chosen_proposal chosen;
		answer->proposals[0].number = (uint8_t)cases[i].number;
		if (proposal_accept(offered, answer, PROTOCOL_IKE, true, &chosen) != cases[i].ok)
			fail_msg("case %zu", i);
		assert_int_equal(chosen.encr != NULL, cases[i].ok);
		/* an empty answer */
		answer->count = 0;
		assert_false(proposal_accept(offered, answer, PROTOCOL_IKE, true, &chosen));
		proposal_list_unref(offered);
		proposal_list_unref(answer);
	}
}

static void accepts_child_answers(void **state)
{
	struct proposal_list *offered = esp("aes_gcm;dh19", 2);
	struct proposal_list *answer = esp("aes_gcm128;dh19", 0);
	struct proposal_list *without = esp("aes_gcm128", 0);
	struct proposal_list *both = esp("aes_gcm128;dh19", 2);
	struct chosen_proposal chosen;
	(void)state;

	assert_true(proposal_accept(offered, answer, PROTOCOL_ESP, true, &chosen));
	assert_int_equal(chosen.ke->id, 19);
	assert_int_equal(chosen.encr_key_bits, 128);
	assert_false(chosen.esn);
	assert_false(proposal_accept(offered, without, PROTOCOL_ESP, true, &chosen));
	assert_true(proposal_accept(offered, without, PROTOCOL_ESP, false, &chosen));
	assert_null(chosen.ke);
	assert_false(proposal_accept(offered, both, PROTOCOL_ESP, true, &chosen)); /* ESN and not */
	assert_false(proposal_accept(without, answer, PROTOCOL_ESP, true, &chosen));
	proposal_list_unref(offered);
	proposal_list_unref(answer);
	proposal_list_unref(without);
	proposal_list_unref(both);
}

static void ah_has_no_cipher(void **state)
{
	char error[100];
	struct proposal_list *local = proposal_parse_child("sha2", true, 2, error, sizeof(error));
	struct proposal_list *remote =
		proposal_parse_child("sha1+sha2", true, 2, error, sizeof(error));
	struct chosen_proposal chosen;
	(void)state;

	assert_true(proposal_choose(local, remote, PROTOCOL_AH, false, 0, &chosen));
	assert_null(chosen.encr);
	assert_int_equal(chosen.integ->id, INTEG_HMAC_SHA2_256_128);
	add(&remote->proposals[0], TRANSFORM_ENCR, ENCR_AES_CBC, 128);
	assert_false(proposal_choose(local, remote, PROTOCOL_AH, false, 0, &chosen));
	proposal_list_unref(local);
	proposal_list_unref(remote);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(chooses_for_ike),
		cmocka_unit_test(chooses_for_esp),
		cmocka_unit_test(judges_strange_offers),
		cmocka_unit_test(a_cipher_without_its_key_length_is_not_ours),
		cmocka_unit_test(accepts_only_what_was_offered),
		cmocka_unit_test(accepts_child_answers),
		cmocka_unit_test(ah_has_no_cipher),
	};

	return cmocka_run_group_tests_name("proposal_choice", tests, NULL, NULL);
}
