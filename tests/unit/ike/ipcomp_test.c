/* What a peer may say in IPCOMP_SUPPORTED (RFC 7296, section 2.22), and what is made of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "ipcomp.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define NOTIFY(s)                                                                                  \
	{                                                                                          \
		PAYLOAD_NOTIFY, false,                                                             \
		{                                                                                  \
			(const uint8_t *)(s), sizeof(s) - 1                                        \
		}                                                                                  \
	}
#define IPCOMP "\0\0\x40\x03" /* no protocol, no SPI, type 16387 */
#define MOBIKE "\0\0\x40\x0c"

static void offers(void **state)
{
	static const struct {
		struct payload payloads[3];
		unsigned count;
		bool any;
		uint16_t deflate;
	} rows[] = {
		{{{0}}, 0, false, 0},
		{{NOTIFY(MOBIKE "\x12\x34\2")}, 1, false, 0},
		{{NOTIFY(IPCOMP "\x12\x34\2")}, 1, true, 0x1234},
		/* the first and the last CPI that may be negotiated, and those beside them */
		{{NOTIFY(IPCOMP "\1\0\2")}, 1, true, 256},
		{{NOTIFY(IPCOMP "\0\xff\2")}, 1, true, 0},
		{{NOTIFY(IPCOMP "\xef\xff\2")}, 1, true, 61439},
		{{NOTIFY(IPCOMP "\xf0\0\2")}, 1, true, 0},
		{{NOTIFY(IPCOMP "\0\0\2")}, 1, true, 0},
		/* OUI, LZS, LZJH, and what nobody knows */
		{{NOTIFY(IPCOMP "\x12\x34\1")}, 1, true, 0},
		{{NOTIFY(IPCOMP "\x12\x34\3")}, 1, true, 0},
		{{NOTIFY(IPCOMP "\x12\x34\4")}, 1, true, 0},
		{{NOTIFY(IPCOMP "\x12\x34\xff")}, 1, true, 0},
		/* too short, and with attributes, of which there are none */
		{{NOTIFY(IPCOMP)}, 1, true, 0},
		{{NOTIFY(IPCOMP "\x12")}, 1, true, 0},
		{{NOTIFY(IPCOMP "\x12\x34")}, 1, true, 0},
		{{NOTIFY(IPCOMP "\x12\x34\2\x80\1\0\1")}, 1, true, 0},
		{{NOTIFY("\0\0\x40")}, 1, false, 0},
		/* among others; the first of two */
		{{NOTIFY(IPCOMP "\x12\x34\3"), NOTIFY(MOBIKE), NOTIFY(IPCOMP "\x56\x78\2")}, 3,
			true, 0x5678},
		{{NOTIFY(IPCOMP "\x12\x34\2"), NOTIFY(IPCOMP "\x56\x78\2")}, 2, true, 0x1234},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct payload_list list = {.count = rows[i].count};
		struct ipcomp_offer offer;

		memcpy(list.payloads, rows[i].payloads, sizeof(rows[i].payloads));
		offer = ipcomp_offer_take(&list);
		if (offer.any != rows[i].any || offer.deflate != rows[i].deflate)
			fail_msg("row %zu: %d %u", i, offer.any, offer.deflate);
	}
}

/* An initiator takes only what it has offered. */
static void answers(void **state)
{
	struct child_sa child = {0};
	struct ipcomp_offer none = {.any = true}, deflate = {.any = true, .deflate = 0x1234};

	(void)state;
	assert_string_equal(
		ipcomp_take_answer(&child, &deflate), "the peer chose compression unasked");
	assert_string_equal(
		ipcomp_take_answer(&child, &none), "the peer chose compression unasked");
	child.in_cpi = 300;
	assert_string_equal(ipcomp_take_answer(&child, &none),
		"the peer chose a compression that was not offered");
	assert_int_equal(child.out_cpi, 0);
	assert_null(ipcomp_take_answer(&child, &deflate));
	assert_int_equal(child.in_cpi, 300);
	assert_int_equal(child.out_cpi, 0x1234);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(offers),
		cmocka_unit_test(answers),
	};

	return cmocka_run_group_tests_name("ike ipcomp", tests, NULL, NULL);
}
