/* The engine's report on its memory adds up: each kind against the objects that are there and their
 * sizes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "engine_state.h"
#include "exchange.h"
#include "fixture.h"
#include "ike_sa.h"

static const struct side_config usual;

/* One SA a side here. */
static const struct ike_sa *the_sa(const struct node *node)
{
	const struct ike_sa *sa = node->engine->oldest;

	assert_non_null(sa);
	assert_null(sa->newer);
	return sa;
}

static size_t identity_size(const struct identity *id)
{
	return sizeof(*id) + id->len;
}

static void expect_established(const struct node *node, size_t identities)
{
	struct ike_memory m = ike_engine_memory(node->engine);
	const struct ike_sa *sa = the_sa(node);
	uint64_t value, sum = 0;
	const char *name;

	assert_int_equal(m.ike_sas, sizeof(struct ike_sa));
	assert_int_equal(m.child_sas, sizeof(struct child_sa));
	/* one of each side: inline */
	assert_int_equal(m.selectors, 0);
	/* AES-GCM-256 or -128 and SHA2-512 or -256: SK_d, two keys with salts */
	assert_int_equal(m.keys, sa->keys_len);
	assert_true(m.keys >= 32 + 2 * 20);
	assert_int_equal(m.responses, sa->response_len);
	assert_int_equal(m.identities, identities);
	assert_int_equal(m.requests, 0);
	assert_int_equal(m.negotiations, 0);
	assert_true(m.tables > 0);
	/* the pools' slabs hold more than one object */
	assert_true(m.slack > 0);
	for (size_t i = 0; ike_memory_at(&m, i, &name, &value); i++)
		sum += value;
	assert_int_equal(sum, ike_memory_total(&m));
	assert_int_equal(sum, m.ike_sas + m.child_sas + m.selectors + m.keys + m.responses +
				      m.identities + m.tables + m.slack);
}

static void a_tunnel(void **state)
{
	const struct side_config template = {.template_remote = true};
	struct fixture *f = fixture_new(&usual, &template, false);
	struct ike_memory m;

	(void)state;
	fixture_initiate(f);
	fixture_pass(f, 2000);
	/* the initiator keeps what its peer said that it is */
	expect_established(f->west, identity_size(the_sa(f->west)->remote_id));
	assert_int_equal(the_sa(f->west)->response_len, 0);
	expect_established(f->east, identity_size(the_sa(f->east)->remote_id));
	assert_true(the_sa(f->east)->response_len > 0);
	ike_engine_delete_serial(f->west->engine, the_sa(f->west)->serial, 0);
	fixture_pass(f, 120000);
	m = ike_engine_memory(f->west->engine);
	m.tables = m.slack = 0;
	if (f->west->engine->oldest == NULL)
		assert_int_equal(ike_memory_total(&m), 0);
	fixture_free(f);
}

/* The request is in flight, and its copy is kept for AUTH. */
static void a_negotiation(void **state)
{
	struct fixture *f = fixture_new(&usual, &usual, false);
	struct ike_memory m;
	size_t len;

	(void)state;
	f->drop = fixture_drop_all;
	fixture_initiate(f);
	fixture_pass(f, 100);
	len = f->captured[0].len;
	m = ike_engine_memory(f->west->engine);
	assert_true(len > 200);
	assert_int_equal(m.ike_sas, sizeof(struct ike_sa));
	assert_int_equal(m.requests, sizeof(struct exchange) + len);
	/* one of the usual length has its room in the object */
	assert_int_equal(
		m.negotiations, sizeof(struct negotiation) + (len > MESSAGE_ROOM ? len : 0));
	assert_int_equal(m.keys + m.responses + m.identities + m.child_sas + m.selectors, 0);
	fixture_free(f);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_tunnel),
		cmocka_unit_test(a_negotiation),
	};

	return cmocka_run_group_tests_name("memory", tests, NULL, NULL);
}
