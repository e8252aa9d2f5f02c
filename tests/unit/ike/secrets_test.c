/* Preshared keys: every rule by which one entry goes before another. */
#include "connection_maker.h"
#include "ike/secrets.h"

#include <urcu/urcu-qsbr.h>

#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct secret_store *store;
static struct secret_vault *vault;

/* `ids` is separated by blanks. */
static int add(const char *ids, const char *psk)
{
	const struct identity *list[SECRET_IDENTITIES_MAX + 1];
	char *copy = strdup(ids), *rest = copy;
	size_t count = 0;
	int error;

	assert_non_null(copy);
	for (char *id; (id = strsep(&rest, " ")) != NULL;)
		if (*id != '\0')
			list[count++] = make_identity(id);
	error = secret_store_add_psk(store, list, count, bytes_of(psk, strlen(psk)));
	while (count > 0)
		identity_unref(list[--count]);
	free(copy);
	return error;
}

static void added(const char *ids, const char *psk)
{
	assert_int_equal(add(ids, psk), 0);
}

/* Publishes what was added and looks for the secret between the two. */
static const char *found(const char *local, const char *remote)
{
	static char text[64];
	struct identity *l = make_identity(local), *r = make_identity(remote);
	struct bytes psk;

	if (store != NULL)
		secret_vault_replace(vault, store);
	store = NULL;
	if (secret_vault_find_psk(vault, l, r, &psk))
		snprintf(text, sizeof(text), "%.*s", (int)psk.len, (const char *)psk.data);
	else
		snprintf(text, sizeof(text), "(none)");
	identity_unref(l);
	identity_unref(r);
	return text;
}

static int setup(void **state)
{
	(void)state;
	store = secret_store_new();
	vault = secret_vault_new();
	return store == NULL || vault == NULL;
}

static int teardown(void **state)
{
	(void)state;
	secret_store_free(store);
	secret_vault_free(vault);
	return 0;
}

static void pairs(void **state)
{
	(void)state;
	added("@west @east", "pair");
	added("192.0.2.1 192.0.2.2", "addresses");
	added("a@x.test 2001:db8::1 @[key] east", "four");
	assert_string_equal(found("@west", "@east"), "pair");
	assert_string_equal(found("@east", "@west"), "pair");
	assert_string_equal(found("@West", "@EAST"), "pair");
	assert_string_equal(found("192.0.2.2", "192.0.2.1"), "addresses");
	assert_string_equal(found("a@x.test", "2001:db8::1"), "four");
	assert_string_equal(found("@[key]", "@east"), "four");
	/* The kind of an identity counts. */
	assert_string_equal(found("@[west]", "@east"), "(none)");
	assert_string_equal(found("192.0.2.1", "@192.0.2.2"), "(none)");
}

/* A secret between us and somebody else is not one between us and this peer. */
static void one_of_several(void **state)
{
	(void)state;
	added("@west @east", "pair");
	assert_string_equal(found("@west", "@north"), "(none)");
	assert_string_equal(found("@north", "@west"), "(none)");
	assert_string_equal(found("@west", "@west"), "(none)");
}

static void each_is_weaker_than_the_one_before(void **state)
{
	static const struct {
		const char *ids, *psk;
	} order[] = {
		{"@we @peer", "pair"},
		{"@we %any", "ours-any"},
		{"@we", "ours"},
		{"@peer %any", "peer-any"},
		{"@peer", "peer"},
		{"%any", "any"},
		{"", "none"},
	};
	const size_t count = sizeof(order) / sizeof(order[0]);

	(void)state;
	for (size_t from = 0; from <= count; from++) {
		/* The order in the file does not count. */
		for (size_t i = count; i-- > from;)
			added(order[i].ids, order[i].psk);
		assert_int_equal(secret_store_count(store), count - from);
		assert_string_equal(
			found("@we", "@peer"), from < count ? order[from].psk : "(none)");
		store = secret_store_new();
		assert_non_null(store);
	}
}

static void any_matches_every_peer(void **state)
{
	(void)state;
	added("192.0.2.1 %any", "road warriors");
	added("%any", "the rest");
	assert_string_equal(found("192.0.2.1", "198.51.100.9"), "road warriors");
	assert_string_equal(found("192.0.2.1", "@warrior"), "road warriors");
	assert_string_equal(found("192.0.2.2", "@warrior"), "the rest");
	/* The same line at the warrior's end. */
	assert_string_equal(found("198.51.100.9", "192.0.2.1"), "road warriors");
	/* We do not know yet who the peer is. */
	assert_string_equal(found("192.0.2.1", "%any"), "road warriors");
}

static void any_in_a_pair(void **state)
{
	(void)state;
	added("@we @peer %any", "three");
	added("@we @other", "pair");
	assert_string_equal(found("@we", "@peer"), "three");
	assert_string_equal(found("@we", "@other"), "pair");
	assert_string_equal(found("@we", "@stranger"), "three");
	assert_string_equal(found("@stranger", "@peer"), "three");
	assert_string_equal(found("@stranger", "@stranger2"), "(none)");
}

static void old_ways_to_write_any(void **state)
{
	(void)state;
	added("@a 0.0.0.0", "four");
	added("@b ::", "six");
	added("@c %any 0::0 0.0.0.0", "all");
	assert_string_equal(found("@a", "@x"), "four");
	assert_string_equal(found("@b", "192.0.2.1"), "six");
	assert_string_equal(found("@c", "@x"), "all");
}

static void equally_good_entries_agree(void **state)
{
	(void)state;
	added("@a @b", "one");
	assert_int_equal(add("@b @a", "two"), EEXIST);
	assert_int_equal(add("@b @a", "on"), EEXIST);
	assert_int_equal(add("@a @b @c", "two"), EEXIST);
	added("@b @a", "one");
	added("@a", "single");
	assert_int_equal(add("@A", "two"), EEXIST);
	assert_int_equal(add("@a @a", "two"), EEXIST);
	added("@a %any", "any");
	assert_int_equal(add("@z @a %any", "two"), EEXIST);
	added("%any", "all");
	assert_int_equal(add("0.0.0.0", "two"), EEXIST);
	added("", "none");
	assert_int_equal(add("", "two"), EEXIST);
	assert_int_equal(secret_store_count(store), 6);
	/* What was refused left nothing behind. */
	assert_string_equal(found("@c", "@b"), "all");
	assert_string_equal(found("@z", "@q"), "all");
	assert_string_equal(found("@b", "@a"), "one");
}

static void bounds(void **state)
{
	char ids[1024] = "";
	size_t used = 0;

	(void)state;
	for (unsigned i = 0; i < SECRET_IDENTITIES_MAX; i++)
		used += (size_t)snprintf(ids + used, sizeof(ids) - used, "@h%u ", i);
	added(ids, "many");
	snprintf(ids + used, sizeof(ids) - used, "@more");
	assert_int_equal(add(ids, "more"), E2BIG);
	assert_string_equal(found("@h0", "@h63"), "many");
	assert_string_equal(found("@h17", "@h16"), "many");
}

static void a_vault_forgets(void **state)
{
	(void)state;
	assert_string_equal(found("@a", "@b"), "(none)");
	store = secret_store_new();
	added("", "all");
	assert_string_equal(found("@a", "@b"), "all");
	secret_vault_replace(vault, NULL);
	assert_string_equal(found("@a", "@b"), "(none)");
}

static void a_hundred_thousand(void **state)
{
	char text[32];

	(void)state;
	struct identity *gateway = make_identity("@gateway");
	for (unsigned i = 0; i < 100000; i++) {
		int len = snprintf(text, sizeof(text), "peer-%u", i);
		struct identity *peer = identity_new(ID_FQDN, bytes_of(text, (size_t)len));
		const struct identity *ids[] = {gateway, peer};

		assert_int_equal(
			secret_store_add_psk(store, ids, 2, bytes_of(text, (size_t)len)), 0);
		identity_unref(peer);
	}
	identity_unref(gateway);
	assert_string_equal(found("@gateway", "@peer-0"), "peer-0");
	assert_string_equal(found("@gateway", "@peer-99999"), "peer-99999");
	assert_string_equal(found("@gateway", "@peer-100000"), "(none)");
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		CASE(pairs),
		CASE(one_of_several),
		CASE(each_is_weaker_than_the_one_before),
		CASE(any_matches_every_peer),
		CASE(any_in_a_pair),
		CASE(old_ways_to_write_any),
		CASE(equally_good_entries_agree),
		CASE(bounds),
		CASE(a_vault_forgets),
		CASE(a_hundred_thousand),
	};
	int failed;

	urcu_qsbr_register_thread();
	failed = cmocka_run_group_tests_name("secrets", tests, NULL, NULL);
	urcu_qsbr_unregister_thread();
	return failed;
}
