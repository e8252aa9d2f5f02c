/* CRLs as distribution points may deliver them: what is believed, and where a certificate says that its CRL is. */
#include "certificate_maker.h"
#include "crl_points.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/x509v3.h>

#include <cmocka.h>

static struct made ca, other, leaf;

static bool good(struct bytes der, const struct made *authority)
{
	struct crl_content content;
	char why[256] = "";
	bool ok = crl_check(der, authority->der, (int64_t)time(NULL), &content, why, sizeof(why));

	assert_true(ok == (why[0] == '\0'));
	return ok;
}

static struct bytes crl_of_leaf(void)
{
	const struct made *revoked[] = {&leaf, NULL};

	return make_crl(&ca, revoked);
}

static void only_its_authoritys_is_believed(void **state)
{
	struct bytes crl = crl_of_leaf();
	struct crl_content content;
	char why[256];

	(void)state;
	assert_true(crl_check(crl, ca.der, (int64_t)time(NULL), &content, why, sizeof(why)));
	assert_int_equal(content.revoked, 1);
	assert_true(content.next_update_s > (int64_t)time(NULL) + 80000);
	assert_false(good(crl, &other));
	assert_false(crl_check(crl, ca.der, (int64_t)time(NULL) + 90000, &content, why, sizeof(why)));
	assert_string_equal(why, "it is out of date");
	assert_false(crl_check(crl, ca.der, (int64_t)time(NULL) - 3600, &content, why, sizeof(why)));
	assert_string_equal(why, "it is not valid yet");
	free((void *)(uintptr_t)crl.data);
}

/* Every byte that is changed makes it another one: nothing but the original is believed. */
static void no_changed_byte_is_believed(void **state)
{
	struct bytes crl = crl_of_leaf();
	uint8_t *changed = malloc(crl.len);

	(void)state;
	for (size_t i = 0; i < crl.len; i++) {
		memcpy(changed, crl.data, crl.len);
		changed[i] ^= (uint8_t)(1u << (i % 8));
		assert_false(good(bytes_of(changed, crl.len), &ca));
		assert_false(good(bytes_of(crl.data, i), &ca));
	}
	assert_true(good(crl, &ca));
	free(changed);
	free((void *)(uintptr_t)crl.data);
}

static struct bytes certificate_with_points(const char *value)
{
	X509 *x509 = X509_dup(leaf.x509);
	X509_EXTENSION *extension =
		X509V3_EXT_nconf_nid(NULL, NULL, NID_crl_distribution_points, value);
	unsigned char *der = NULL;
	int len;

	assert_non_null(extension);
	assert_int_equal(X509_add_ext(x509, extension, -1), 1);
	X509_EXTENSION_free(extension);
	assert_int_not_equal(X509_sign(x509, ca.key, EVP_sha256()), 0);
	len = i2d_X509(x509, &der);
	X509_free(x509);
	return bytes_of(der, (size_t)len);
}

static void urls_are_of_http_and_few(void **state)
{
	struct bytes der = certificate_with_points(
		"URI:ldap://x/y,URI:http://a/1,URI:file:///etc/passwd,URI:HTTPS://b/2,URI:http://c/3,"
		"URI:http://d/4,URI:http://e/5");
	char *urls[CRL_URLS_MAX];

	(void)state;
	assert_int_equal(crl_urls(leaf.der, urls), 0);
	assert_int_equal(crl_urls(bytes_of((const uint8_t *)"no", 2), urls), 0);
	assert_int_equal(crl_urls(der, urls), CRL_URLS_MAX);
	assert_string_equal(urls[0], "http://a/1");
	assert_string_equal(urls[1], "HTTPS://b/2");
	for (unsigned i = 0; i < CRL_URLS_MAX; i++)
		free(urls[i]);
	OPENSSL_free((void *)(uintptr_t)der.data);
}

static void points_are_tried_in_turn_and_kept(void **state)
{
	struct crl_points *points = crl_points_new(100);
	struct bytes der = certificate_with_points("URI:http://a/1,URI:http://b/2");
	struct bytes crl = crl_of_leaf(), none = {0};
	struct fetched_crl *before, *fetched;
	int64_t now_s = (int64_t)time(NULL);
	char *url;

	(void)state;
	assert_true(crl_points_note(points, der, ca.der));
	assert_int_equal(crl_points_take(points, now_s, &url), 1);
	assert_string_equal(url, "http://a/1");
	free(url);
	assert_int_equal(crl_points_take(points, now_s, &url), 0); /* under way */
	assert_null(crl_points_finish(points, 1, now_s, none, "no answer", &before));
	assert_int_equal(crl_points_take(points, now_s, &url), 1); /* the next one at once */
	assert_string_equal(url, "http://b/2");
	free(url);
	fetched = crl_points_finish(points, 1, now_s, crl, NULL, &before);
	assert_non_null(fetched);
	assert_null(before);
	assert_int_equal(crl_points_due(points), fetched->content.next_update_s - 200);
	crl_points_hurry(points);
	assert_int_equal(crl_points_take(points, now_s, &url), 1);
	free(url);
	/* The same again changes nothing. */
	assert_null(crl_points_finish(points, 1, now_s, crl, NULL, &before));
	fetched_crl_unref(fetched);
	free((void *)(uintptr_t)crl.data);
	OPENSSL_free((void *)(uintptr_t)der.data);
	crl_points_free(points);
}

static int set_up(void **state)
{
	(void)state;
	ca = make(&(struct making){
		.name = "ca", .constraints = "critical,CA:TRUE", .usage = "critical,keyCertSign,cRLSign"});
	other = make(&(struct making){
		.name = "ca", .constraints = "critical,CA:TRUE", .usage = "critical,keyCertSign,cRLSign"});
	leaf = make(&(struct making){.name = "leaf", .issuer = &ca});
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	made_release(&ca);
	made_release(&other);
	made_release(&leaf);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_its_authoritys_is_believed),
		cmocka_unit_test(no_changed_byte_is_believed),
		cmocka_unit_test(urls_are_of_http_and_few),
		cmocka_unit_test(points_are_tried_in_turn_and_kept),
	};

	return cmocka_run_group_tests_name("crypto crl", tests, set_up, tear_down);
}
