#include "ike/catalogue.h"
#include "connection_maker.h"

#include <urcu/urcu-qsbr.h>

#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct catalogue *catalogue;
/* The names that the judge saw, with a blank behind each. */
static char judged[8192];
static size_t judged_count;

static bool judge_takes(const struct connection *c, void *arg)
{
	const char *name = arg;

	judged_count++;
	if (strlen(judged) + strlen(c->name) + 2 < sizeof(judged)) {
		strcat(judged, c->name);
		strcat(judged, " ");
	}
	return name != NULL && (*name == '\0' || strcmp(name, c->name) == 0);
}

static char take_any[] = "";

static void add(struct connection *c)
{
	assert_int_equal(catalogue_add(catalogue, c), 0);
	connection_unref(c);
}

static void replace(struct connection *c)
{
	assert_int_equal(catalogue_replace(catalogue, c), 0);
	connection_unref(c);
}

/* Drops the reference at once: the catalogue has its own. */
static const char *name_of(struct connection *c)
{
	static char name[64];

	snprintf(name, sizeof(name), "%s", c != NULL ? c->name : "(none)");
	connection_unref(c);
	return name;
}

static const char *by_hosts(const char *local, const char *remote, char *taken)
{
	struct ip_address l = make_address(local), r = make_address(remote);

	judged[0] = '\0';
	judged_count = 0;
	return name_of(catalogue_find_by_hosts(catalogue, &l, &r, judge_takes, taken));
}

static const char *by_identity(const char *local, const char *remote, const char *local_id,
	const char *remote_id, char *taken)
{
	struct ip_address l = make_address(local), r = make_address(remote);
	struct identity *lid = local_id != NULL ? make_identity(local_id) : NULL;
	struct identity *rid = make_identity(remote_id);
	const char *name;

	judged[0] = '\0';
	judged_count = 0;
	name = name_of(catalogue_find_by_identity(catalogue, &l, &r, lid, rid, judge_takes, taken));
	identity_unref(lid);
	identity_unref(rid);
	return name;
}

static int setup(void **state)
{
	(void)state;
	catalogue = catalogue_new();
	assert_non_null(catalogue);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	catalogue_free(catalogue);
	return 0;
}

static void names(void **state)
{
	struct connection *c;

	(void)state;
	assert_string_equal(name_of(catalogue_by_name(catalogue, "a")), "(none)");
	add(make_connection("a", "192.0.2.1", "192.0.2.2", NULL, NULL));
	add(make_connection("b", "192.0.2.1", "192.0.2.3", NULL, NULL));
	assert_string_equal(name_of(catalogue_by_name(catalogue, "a")), "a");
	assert_int_equal(catalogue_count(catalogue), 2);
	c = make_connection("a", "192.0.2.1", "192.0.2.4", NULL, NULL);
	assert_int_equal(catalogue_add(catalogue, c), EEXIST);
	assert_int_equal(c->references, 1);
	connection_unref(c);
	assert_int_equal(catalogue_remove(catalogue, "c"), ENOENT);
	assert_int_equal(catalogue_remove(catalogue, "a"), 0);
	assert_string_equal(name_of(catalogue_by_name(catalogue, "a")), "(none)");
	assert_int_equal(catalogue_remove(catalogue, "a"), ENOENT);
	assert_int_equal(catalogue_count(catalogue), 1);
	c = make_connection("x", "192.0.2.1", "192.0.2.4", NULL, NULL);
	assert_int_equal(catalogue_replace(catalogue, c), ENOENT);
	identity_unref(c->remote.id);
	c->remote.id = NULL;
	assert_int_equal(catalogue_add(catalogue, c), EINVAL);
	connection_unref(c);
}

static void references(void **state)
{
	struct connection *c = make_connection("a", "192.0.2.1", "192.0.2.2", NULL, NULL), *found;

	(void)state;
	assert_int_equal(catalogue_add(catalogue, c), 0);
	assert_int_equal(c->references, 2);
	found = catalogue_by_name(catalogue, "a");
	assert_ptr_equal(found, c);
	assert_int_equal(c->references, 3);
	connection_unref(found);
	assert_int_equal(catalogue_remove(catalogue, "a"), 0);
	urcu_qsbr_barrier();
	assert_int_equal(__atomic_load_n(&c->references, __ATOMIC_ACQUIRE), 1);
	connection_unref(c);
}

static void aliases(void **state)
{
	struct connection *c;

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		char name[8];

		snprintf(name, sizeof(name), "site/%u", i);
		c = make_connection(name, "192.0.2.1", "192.0.2.2", NULL, NULL);
		set_aliases(c, i == 1 ? "site other site site/1" : "site");
		add(c);
	}
	assert_string_equal(name_of(catalogue_by_alias(catalogue, "site", 0)), "site/0");
	assert_string_equal(name_of(catalogue_by_alias(catalogue, "site", 1)), "site/1");
	assert_string_equal(name_of(catalogue_by_alias(catalogue, "site", 2)), "site/2");
	assert_string_equal(name_of(catalogue_by_alias(catalogue, "site", 3)), "(none)");
	assert_string_equal(name_of(catalogue_by_alias(catalogue, "other", 0)), "site/1");
	assert_string_equal(name_of(catalogue_by_alias(catalogue, "site/1", 0)), "site/1");
	assert_string_equal(name_of(catalogue_by_alias(catalogue, "site/1", 1)), "(none)");
	assert_string_equal(name_of(catalogue_by_alias(catalogue, "none", 0)), "(none)");
	/* An alias is no name, but no name may be another's alias afterwards. */
	c = make_connection("x", "192.0.2.1", "192.0.2.2", NULL, NULL);
	set_aliases(c, "site/2");
	assert_int_equal(catalogue_add(catalogue, c), EEXIST);
	connection_unref(c);
	add(make_connection("site", "192.0.2.1", "192.0.2.2", NULL, NULL));
	assert_string_equal(name_of(catalogue_by_alias(catalogue, "site", 0)), "site");
	assert_string_equal(name_of(catalogue_by_alias(catalogue, "site", 3)), "site/2");

	c = make_connection("site/1", "192.0.2.1", "192.0.2.2", NULL, NULL);
	set_aliases(c, "fresh");
	replace(c);
	assert_string_equal(name_of(catalogue_by_alias(catalogue, "other", 0)), "(none)");
	assert_string_equal(name_of(catalogue_by_alias(catalogue, "fresh", 0)), "site/1");
	assert_string_equal(name_of(catalogue_by_alias(catalogue, "site", 2)), "site/2");
	assert_int_equal(catalogue_remove(catalogue, "site/0"), 0);
	assert_string_equal(name_of(catalogue_by_alias(catalogue, "site", 1)), "site/2");
	assert_string_equal(name_of(catalogue_by_alias(catalogue, "site", 2)), "(none)");
}

static void order_of_serials(void **state)
{
	struct connection *c;
	uint64_t after = 0;
	char seen[200] = "";

	(void)state;
	static const unsigned serials[] = {7, 0, 3, 0, 100};
	for (size_t i = 0; i < 5; i++) {
		char name[8];

		snprintf(name, sizeof(name), "c%zu", i);
		c = make_connection(name, "192.0.2.1", "192.0.2.2", NULL, NULL);
		c->serial = serials[i];
		add(c);
	}
	c = make_connection("twice", "192.0.2.1", "192.0.2.2", NULL, NULL);
	c->serial = 100;
	assert_int_equal(catalogue_add(catalogue, c), EINVAL);
	connection_unref(c);
	/* A report that goes on after changes. */
	while ((c = catalogue_after(catalogue, after)) != NULL) {
		char text[32];

		after = c->serial;
		snprintf(text, sizeof(text), "%s=%u ", c->name, (unsigned)after);
		strcat(seen, text);
		connection_unref(c);
		if (after == 7)
			assert_int_equal(catalogue_remove(catalogue, "c1"), 0);
	}
	assert_string_equal(seen, "c2=3 c0=7 c3=9 c4=100 ");
	/* One with a new serial, and one that keeps it. */
	c = make_connection("c2", "192.0.2.1", "192.0.2.2", NULL, NULL);
	replace(c);
	assert_string_equal(name_of(catalogue_after(catalogue, 0)), "c0");
	assert_string_equal(name_of(catalogue_after(catalogue, 100)), "c2");
	c = make_connection("c0", "192.0.2.1", "192.0.2.2", NULL, NULL);
	c->serial = 7;
	replace(c);
	assert_string_equal(name_of(catalogue_after(catalogue, 0)), "c0");
}

static void by_reqid(void **state)
{
	struct connection *c = make_connection("a", "192.0.2.1", "192.0.2.2", NULL, NULL);

	(void)state;
	c->reqid = 16389;
	add(c);
	add(make_connection("b", "192.0.2.1", "192.0.2.2", NULL, NULL));
	assert_string_equal(name_of(catalogue_by_reqid(catalogue, 16389)), "a");
	assert_string_equal(name_of(catalogue_by_reqid(catalogue, 1)), "(none)");
	assert_string_equal(name_of(catalogue_by_reqid(catalogue, 0)), "(none)");
	c = make_connection("a", "192.0.2.1", "192.0.2.2", NULL, NULL);
	c->reqid = 7;
	replace(c);
	assert_string_equal(name_of(catalogue_by_reqid(catalogue, 16389)), "(none)");
	assert_string_equal(name_of(catalogue_by_reqid(catalogue, 7)), "a");
}

static void hosts(void **state)
{
	struct connection *c;

	(void)state;
	add(make_connection("template", "192.0.2.1", "%any", NULL, NULL));
	add(make_connection("exact", "192.0.2.1", "192.0.2.2", NULL, NULL));
	add(make_connection("other", "192.0.2.9", "192.0.2.2", NULL, NULL));
	add(make_connection("six", "2001:db8::1", "2001:db8::2", NULL, NULL));
	c = make_connection("shunt", "192.0.2.1", "192.0.2.3", NULL, NULL);
	c->shunt = IPSEC_BYPASS;
	add(c);
	c = make_connection("adrift", "192.0.2.1", "192.0.2.3", NULL, NULL);
	c->oriented = false;
	add(c);
	assert_string_equal(by_hosts("192.0.2.1", "192.0.2.2", take_any), "exact");
	assert_string_equal(by_hosts("192.0.2.1", "192.0.2.3", take_any), "template");
	assert_string_equal(by_hosts("192.0.2.1", "%any", take_any), "template");
	assert_string_equal(by_hosts("192.0.2.9", "192.0.2.2", take_any), "other");
	assert_string_equal(by_hosts("192.0.2.9", "192.0.2.3", take_any), "(none)");
	assert_string_equal(by_hosts("2001:db8::1", "2001:db8::2", take_any), "six");
	/* Who does not do is passed over. */
	char template[] = "template";
	assert_string_equal(by_hosts("192.0.2.1", "192.0.2.2", template), "template");
	assert_string_equal(judged, "exact template ");
	assert_string_equal(by_hosts("192.0.2.1", "192.0.2.2", NULL), "(none)");
	assert_string_equal(judged, "exact template ");
}

static struct connection *proposing(const char *name, uint16_t encr, bool ikev1)
{
	struct connection *c = make_connection(name, "192.0.2.1", "%any", NULL, NULL);

	c->ike_proposals = make_proposals(encr);
	c->ikev1 = ikev1;
	return c;
}

static void equal_proposals_are_judged_once(void **state)
{
	(void)state;
	add(proposing("aes", 12, false));
	add(proposing("gcm", 20, false));
	add(proposing("aes-again", 12, false));
	add(proposing("old", 12, true));
	add(proposing("gcm-again", 20, false));
	assert_string_equal(by_hosts("192.0.2.1", "192.0.2.2", NULL), "(none)");
	assert_string_equal(judged, "aes gcm old ");
	assert_int_equal(catalogue_remove(catalogue, "aes"), 0);
	assert_int_equal(catalogue_remove(catalogue, "old"), 0);
	assert_string_equal(by_hosts("192.0.2.1", "192.0.2.2", NULL), "(none)");
	assert_string_equal(judged, "aes-again gcm ");
	/* In the place of the old one, and out of it when the proposals change. */
	replace(proposing("gcm", 20, false));
	assert_string_equal(by_hosts("192.0.2.1", "192.0.2.2", NULL), "(none)");
	assert_string_equal(judged, "aes-again gcm ");
	replace(proposing("aes-again", 20, false));
	assert_string_equal(by_hosts("192.0.2.1", "192.0.2.2", NULL), "(none)");
	assert_string_equal(judged, "gcm ");
	assert_int_equal(catalogue_remove(catalogue, "gcm"), 0);
	assert_int_equal(catalogue_remove(catalogue, "gcm-again"), 0);
	assert_string_equal(by_hosts("192.0.2.1", "192.0.2.2", take_any), "aes-again");
	assert_int_equal(catalogue_remove(catalogue, "aes-again"), 0);
	assert_string_equal(by_hosts("192.0.2.1", "192.0.2.2", take_any), "(none)");
}

static void identities_in_order(void **state)
{
	(void)state;
	add(make_connection("template-any", "192.0.2.1", "%any", "@gw", "%any"));
	add(make_connection("host-any", "192.0.2.1", "192.0.2.2", "@gw", "%any"));
	add(make_connection("template-id", "192.0.2.1", "%any", "@gw", "@peer"));
	add(make_connection("host-id", "192.0.2.1", "192.0.2.2", "@gw", "@peer"));
	add(make_connection("host-other", "192.0.2.1", "192.0.2.2", "@gw", "@other"));
	assert_string_equal(by_identity("192.0.2.1", "192.0.2.2", NULL, "@PEER", NULL), "(none)");
	assert_string_equal(judged, "host-id template-id host-any template-any ");
	assert_string_equal(by_identity("192.0.2.1", "192.0.2.2", "@gw", "@peer", NULL), "(none)");
	assert_string_equal(judged, "host-id template-id host-any template-any ");
	assert_string_equal(by_identity("192.0.2.1", "192.0.2.3", "@GW", "@peer", NULL), "(none)");
	assert_string_equal(judged, "template-id template-any ");
	assert_string_equal(
		by_identity("192.0.2.1", "192.0.2.3", "@gw", "peer@a", take_any), "template-any");
	assert_string_equal(
		by_identity("192.0.2.7", "192.0.2.2", "@gw", "@peer", take_any), "(none)");
	char third[] = "host-any";
	assert_string_equal(
		by_identity("192.0.2.1", "192.0.2.2", "@gw", "@peer", third), "host-any");
}

static void our_identity(void **state)
{
	(void)state;
	add(make_connection("west", "192.0.2.1", "%any", "@west", "%any"));
	add(make_connection("anybody", "192.0.2.1", "%any", "%any", "%any"));
	add(make_connection("east", "192.0.2.1", "%any", "@east", "%any"));
	by_identity("192.0.2.1", "192.0.2.2", NULL, "@peer", NULL);
	assert_string_equal(judged, "west anybody east ");
	by_identity("192.0.2.1", "192.0.2.2", "@east", "@peer", NULL);
	assert_string_equal(judged, "east anybody ");
	by_identity("192.0.2.1", "192.0.2.2", "@north", "@peer", NULL);
	assert_string_equal(judged, "anybody ");
	/* The kind counts too. */
	by_identity("192.0.2.1", "192.0.2.2", "@[east]", "@peer", NULL);
	assert_string_equal(judged, "anybody ");
}

static void at_most_256_of_equal_hosts_and_identities(void **state)
{
	char name[16];

	(void)state;
	for (unsigned i = 0; i < 300; i++) {
		snprintf(name, sizeof(name), "c%u", i);
		add(make_connection(name, "192.0.2.1", "192.0.2.2", "@gw", "@peer"));
	}
	add(make_connection("any", "192.0.2.1", "192.0.2.2", "@gw", "%any"));
	char last[] = "c255", past[] = "c256", any[] = "any";
	assert_string_equal(by_identity("192.0.2.1", "192.0.2.2", "@gw", "@peer", last), "c255");
	assert_int_equal(judged_count, 256);
	assert_string_equal(by_identity("192.0.2.1", "192.0.2.2", "@gw", "@peer", past), "(none)");
	assert_string_equal(by_identity("192.0.2.1", "192.0.2.2", NULL, "@peer", any), "any");
	assert_int_equal(judged_count, 257);
	/* The place in the order stays when one is replaced. */
	replace(make_connection("c1", "192.0.2.1", "192.0.2.2", "@gw", "@peer"));
	by_identity("192.0.2.1", "192.0.2.2", NULL, "@peer", NULL);
	assert_int_equal(strncmp(judged, "c0 c1 c2 ", 9), 0);
}

static void replaced_with_other_keys(void **state)
{
	(void)state;
	add(make_connection("a", "192.0.2.1", "192.0.2.2", "@gw", "@peer"));
	replace(make_connection("a", "192.0.2.1", "%any", "@gw2", "@peer2"));
	assert_string_equal(by_hosts("192.0.2.1", "192.0.2.2", take_any), "a");
	assert_string_equal(
		by_identity("192.0.2.1", "192.0.2.2", NULL, "@peer", take_any), "(none)");
	assert_string_equal(by_identity("192.0.2.1", "192.0.2.2", "@gw2", "@peer2", take_any), "a");
	struct connection *c = make_connection("a", "192.0.2.1", "%any", "@gw2", "@peer2");
	c->oriented = false;
	replace(c);
	assert_string_equal(
		by_identity("192.0.2.1", "192.0.2.2", "@gw2", "@peer2", take_any), "(none)");
	assert_string_equal(by_hosts("192.0.2.1", "192.0.2.2", take_any), "(none)");
	assert_string_equal(name_of(catalogue_by_name(catalogue, "a")), "a");
	assert_int_equal(catalogue_count(catalogue), 1);
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		CASE(names),
		CASE(references),
		CASE(aliases),
		CASE(order_of_serials),
		CASE(by_reqid),
		CASE(hosts),
		CASE(equal_proposals_are_judged_once),
		CASE(identities_in_order),
		CASE(our_identity),
		CASE(at_most_256_of_equal_hosts_and_identities),
		CASE(replaced_with_other_keys),
	};
	int failed;

	urcu_qsbr_register_thread();
	failed = cmocka_run_group_tests_name("catalogue", tests, NULL, NULL);
	urcu_qsbr_unregister_thread();
	return failed;
}
