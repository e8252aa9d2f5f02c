/* Narrowing of traffic selectors (RFC 7296, section 2.9). */
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

/* "a b c" */
static unsigned parse(const char *text, struct traffic_selector *out, unsigned room)
{
	unsigned count = 0;
	char copy[2000], *save = NULL;

	snprintf(copy, sizeof(copy), "%s", text);
	for (char *w = strtok_r(copy, " ", &save); w != NULL; w = strtok_r(NULL, " ", &save)) {
		assert_true(count < room);
		if (!traffic_selector_parse(w, &out[count++]))
			fail_msg("%s", w);
	}
	return count;
}

static const char *text_of(
	const struct traffic_selector *ts, unsigned count, char *out, size_t size)
{
	char text[4000];

	selectors_pair_text(ts, count, NULL, 0, text, sizeof(text));
	text[strlen(text) - 3] = '\0'; /* "===" */
	snprintf(out, size, "%s", text);
	return out;
}

static void narrows(void **state)
{
	static const struct {
		const char *mine, *proposed;
		const char *whole; /* without narrowing; NULL: TS_UNACCEPTABLE */
		const char *narrow;
	} cases[] = {
		{"10.2.0.0/16", "10.2.0.0/16", "10.2.0.0/16", "10.2.0.0/16"},
		/* smaller than ours is allowed whole */
		{"10.2.0.0/16", "10.2.3.0/24", "10.2.3.0/24", "10.2.3.0/24"},
		/* larger has to be narrowed */
		{"10.2.3.0/24", "10.2.0.0/16", NULL, "10.2.3.0/24"},
		{"10.2.3.0/24", "0.0.0.0/0", NULL, "10.2.3.0/24"},
		{"10.2.3.0/24", "10.3.0.0/16", NULL, NULL},
		{"10.2.3.0/24", "::/0", NULL, NULL},
		{"10.2.3.0/24", "", NULL, NULL},
		{"", "10.2.3.0/24", NULL, NULL},
		/* one of several is not ours */
		{"10.2.0.0/16", "10.2.1.0/24 10.3.0.0/24", NULL, "10.2.1.0/24"},
		/* both families in one */
		{"10.2.0.0/16 2001:db8::/32", "0.0.0.0/0 ::/0", NULL, "10.2.0.0/16,2001:db8::/32"},
		/* our holes */
		{"10.0.1.0/24 10.0.3.0/24", "10.0.0.0/16", NULL, "10.0.1.0/24,10.0.3.0/24"},
		{"10.0.1.0/24 10.0.3.0/24", "10.0.3.0/24 10.0.1.0/24", "10.0.3.0/24,10.0.1.0/24",
			"10.0.3.0/24,10.0.1.0/24"},
		/* ranges cross */
		{"10.0.0.5-10.0.0.20", "10.0.0.1-10.0.0.9", NULL, "10.0.0.5-10.0.0.9"},
		/* the triggering packet's selector first: what contains it leads */
		{"10.2.0.0/16", "10.2.5.1/32/tcp/80 10.2.0.0/16", "10.2.0.0/16", "10.2.0.0/16"},
		{"10.2.1.0/24 10.2.5.0/24", "10.2.5.1/32/tcp/80 10.2.0.0/16", NULL,
			"10.2.5.0/24,10.2.1.0/24"},
		{"10.2.1.0/24 10.2.5.0/24", "10.2.9.1/32/tcp/80 10.2.0.0/16", NULL,
			"10.2.1.0/24,10.2.5.0/24"},
		/* it is not contained in a later one: a selector like others */
		{"10.2.0.0/16", "10.2.5.1 10.2.8.0/24", "10.2.5.1/32,10.2.8.0/24",
			"10.2.5.1/32,10.2.8.0/24"},
		/* duplicates and what others contain */
		{"10.2.0.0/16", "10.2.1.0/24 10.2.1.0/24", "10.2.1.0/24", "10.2.1.0/24"},
		{"10.2.0.0/16 10.2.3.0/24", "10.2.3.0/24 10.2.0.0/16", "10.2.0.0/16",
			"10.2.0.0/16"},
		{"0.0.0.0/0", "10.1.1.0/24 10.2.2.0/24 10.1.0.0/16 10.2.2.1",
			"10.1.0.0/16,10.2.2.0/24", "10.1.0.0/16,10.2.2.0/24"},
		/* protocols and ports */
		{"10.2.0.0/16/tcp/80", "10.2.0.0/16", NULL, "10.2.0.0/16/TCP/80"},
		{"10.2.0.0/16", "10.2.0.0/16/tcp/80", "10.2.0.0/16/TCP/80", "10.2.0.0/16/TCP/80"},
		{"10.2.0.0/16/udp", "10.2.0.0/16/tcp/80", NULL, NULL},
		{"10.2.0.0/16/tcp/1-100", "10.2.0.0/16/tcp/50-200", NULL, "10.2.0.0/16/TCP/50-100"},
		{"10.2.0.0/16/tcp/opaque", "10.2.0.0/16", NULL, "10.2.0.0/16/TCP/OPAQUE"},
		{"10.2.0.0/16/tcp/80", "10.2.0.0/16/tcp/opaque", NULL, NULL},
	};
	(void)state;

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct traffic_selector mine[20], proposed[20], out[IPSEC_SELECTORS_MAX];
		unsigned mine_count = parse(cases[i].mine, mine, 20);
		unsigned proposed_count = parse(cases[i].proposed, proposed, 20);
		for (int may_narrow = 0; may_narrow < 2; may_narrow++) {
			const char *expected = may_narrow ? cases[i].narrow : cases[i].whole;
			unsigned count = 99;
			char text[400];
			bool ok = selectors_narrow(mine, mine_count, proposed, proposed_count,
				may_narrow, out, &count);
			if (ok != (expected != NULL))
				fail_msg("case %zu, may_narrow %d", i, may_narrow);
			if (!ok) {
				assert_int_equal(count, 0);
				continue;
			}
			assert_string_equal(text_of(out, count, text, sizeof(text)), expected);
			/* An initiator takes it. */
			assert_true(selectors_accept(proposed, proposed_count, out, count));
		}
	}
}

static void more_than_there_is_room_for(void **state)
{
	struct traffic_selector mine[1], proposed[255], out[IPSEC_SELECTORS_MAX + 1], guard;
	unsigned count;
	(void)state;

	parse("0.0.0.0/0", mine, 1);
	memset(&guard, 0x5a, sizeof(guard));
	out[IPSEC_SELECTORS_MAX] = guard;
	for (unsigned i = 0; i < 255; i++) {
		char text[40];
		snprintf(text, sizeof(text), "10.0.%u.0/25", i);
		parse(text, &proposed[i], 1);
	}
	/* 255 do not fit: narrowed to the first ones, or refused */
	assert_true(selectors_narrow(mine, 1, proposed, 255, true, out, &count));
	assert_int_equal(count, IPSEC_SELECTORS_MAX);
	assert_true(traffic_selector_equal(&out[0], &proposed[0]));
	assert_false(selectors_narrow(mine, 1, proposed, 255, false, out, &count));
	assert_int_equal(count, 0);
	assert_true(selectors_narrow(mine, 1, proposed, IPSEC_SELECTORS_MAX, false, out, &count));
	assert_int_equal(count, IPSEC_SELECTORS_MAX);
	/* a last one that holds them all makes room again */
	parse("10.0.0.0/8", &proposed[254], 1);
	assert_true(selectors_narrow(mine, 1, proposed, 255, true, out, &count));
	assert_int_equal(count, 1);
	assert_memory_equal(&out[IPSEC_SELECTORS_MAX], &guard, sizeof(guard));
}

static void accepts_only_what_lies_within(void **state)
{
	static const struct {
		const char *proposed, *answer;
		bool ok;
	} cases[] = {
		{"10.1.0.0/16", "10.1.0.0/16", true},
		{"10.1.0.0/16", "10.1.2.0/24 10.1.3.0/24", true},
		{"10.1.0.0/16 10.3.0.0/16", "10.3.2.0/24", true},
		{"10.1.0.0/16", "", false},
		{"10.1.0.0/16", "10.0.0.0/8", false},
		{"10.1.0.0/16", "10.1.0.0/24 10.2.0.0/24", false},
		{"10.1.0.0/16/tcp", "10.1.0.0/16", false},
		{"10.1.0.0/16", "10.1.0.0/16/tcp/80", true},
		{"10.1.0.0/16", "::/0", false},
	};
	(void)state;

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct traffic_selector proposed[4], answer[4];
		unsigned p = parse(cases[i].proposed, proposed, 4);
		unsigned a = parse(cases[i].answer, answer, 4);
		assert_int_equal(selectors_accept(proposed, p, answer, a), cases[i].ok);
	}
}

static void ends_become_selectors(void **state)
{
	struct traffic_selector configured[20], out[IPSEC_SELECTORS_MAX + 1], guard;
	struct connection_end end = {.selectors = configured};
	struct ip_address host, unset = {0};
	char text[2000];
	(void)state;

	assert_true(ip_parse("192.0.2.7", &host));
	assert_int_equal(end_selectors(&end, &host, out), 1);
	assert_string_equal(text_of(out, 1, text, sizeof(text)), "192.0.2.7/32");
	assert_int_equal(end_selectors(&end, &unset, out), 0);

	/* a selector of protocol and port alone means the host's */
	end.selector_count = 2;
	configured[0] =
		(struct traffic_selector){.protocol = 17, .port_first = 53, .port_last = 53};
	parse("10.1.0.0/16", &configured[1], 1);
	assert_int_equal(end_selectors(&end, &host, out), 2);
	assert_string_equal(text_of(out, 2, text, sizeof(text)), "192.0.2.7/32/UDP/53,10.1.0.0/16");
	assert_int_equal(end_selectors(&end, &unset, out), 1);

	memset(&guard, 0x5a, sizeof(guard));
	out[IPSEC_SELECTORS_MAX] = guard;
	for (unsigned i = 0; i < 20; i++)
		parse("10.1.0.0/16", &configured[i], 1);
	end.selector_count = 20;
	assert_int_equal(end_selectors(&end, &host, out), IPSEC_SELECTORS_MAX);
	assert_memory_equal(&out[IPSEC_SELECTORS_MAX], &guard, sizeof(guard));
}

static void shows_pairs(void **state)
{
	struct traffic_selector local[2], remote[1];
	char text[200];
	(void)state;

	parse("10.1.0.0/24 10.3.0.0/24", local, 2);
	parse("10.2.0.0/24", remote, 1);
	assert_string_equal(selectors_pair_text(local, 2, remote, 1, text, sizeof(text)),
		"10.1.0.0/24,10.3.0.0/24===10.2.0.0/24");
	assert_string_equal(selectors_pair_text(local, 2, remote, 1, text, 15), "10.1.0.0/24,10");
	assert_string_equal(selectors_pair_text(local, 2, remote, 1, text, 1), "");
	selectors_pair_text(local, 2, remote, 1, NULL, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(narrows),
		cmocka_unit_test(more_than_there_is_room_for),
		cmocka_unit_test(accepts_only_what_lies_within),
		cmocka_unit_test(ends_become_selectors),
		cmocka_unit_test(shows_pairs),
	};

	return cmocka_run_group_tests_name("selectors", tests, NULL, NULL);
}
