/* Routes and source addresses, in a network namespace of the test's own. */
#include "updown_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct asker a;

static int start(void **state)
{
	struct updown_config config = {.routes = true};

	(void)state;
	make_devices();
	asker_start(&a, &config);
	return 0;
}

static int stop(void **state)
{
	(void)state;
	asker_stop(&a);
	assert_string_equal(output_of("ip route show proto 80; ip -6 route show proto 80"), "");
	assert_int_equal(shell("ip link del dev0; ip link del lan0"), 0);
	return 0;
}

static struct updown_request *up(uint64_t token, uint64_t connection, const char *pair)
{
	return request_of(&a, UPDOWN_UP, token, connection, pair, NULL);
}

static const char *route_to(const char *net)
{
	char *text = (char *)(uintptr_t)output_of("ip route show exact %s", net);
	size_t len = strlen(text);

	while (len && text[len - 1] == ' ')
		text[--len] = '\0';
	return text;
}

/* There is no default route: the client would be unreachable. */
static void a_route_where_there_is_none(void **state)
{
	(void)state;
	bring_up(&a, up(1, 1, "10.1.0.0/24 10.2.0.0/24"));
	assert_string_equal(route_to("10.2.0.0/24"), "10.2.0.0/24 dev dev0 proto 80 scope link");
	assert_int_equal(updown_stats(a.updown).routes, 1);
	bring_down(&a, 1);
	settle(&a);
	/* a permanent connection stays routed */
	assert_string_not_equal(route_to("10.2.0.0/24"), "");
	unroute(&a, 1);
	settle(&a);
	assert_string_equal(route_to("10.2.0.0/24"), "");
	assert_int_equal(updown_stats(a.updown).seats, 0);
}

static void no_route_where_packets_go_there_anyway(void **state)
{
	struct updown_answer answer;

	(void)state;
	assert_int_equal(shell("ip route add default via 192.0.2.254"), 0);
	updown_submit(a.port, up(1, 1, "10.1.0.0/24 10.2.0.0/24"));
	answer = answer_of(&a);
	assert_true(answer.ok && answer.nothing);
	assert_string_equal(route_to("10.2.0.0/24"), "");
	assert_int_equal(updown_stats(a.updown).seats, 0);
	/* by another device: a route is needed, by way of the peer's gateway */
	assert_int_equal(shell("ip route add 10.0.0.0/8 via 10.9.0.2"), 0);
	bring_up(&a, up(2, 1, "10.1.0.0/24 10.2.0.0/24"));
	assert_string_equal(route_to("10.2.0.0/24"), "10.2.0.0/24 dev dev0 proto 80 scope link");
	/* what is ours locally is not taken away from us */
	updown_submit(a.port, up(3, 2, "10.1.0.0/24 10.9.0.1/32"));
	assert_true(answer_of(&a).nothing);
}

static void by_a_gateway(void **state)
{
	struct updown_request *r = up(1, 1, "10.1.0.0/24 10.2.0.0/24");

	(void)state;
	assert_int_equal(shell("ip route add 198.51.100.0/24 via 192.0.2.254"), 0);
	ip_parse("198.51.100.7", &r->peer);
	bring_up(&a, r);
	assert_string_equal(route_to("10.2.0.0/24"), "10.2.0.0/24 via 192.0.2.254 dev dev0 proto 80");
	r = up(2, 2, "10.1.0.0/24 10.3.0.0/24");
	ip_parse("192.0.2.77", &r->nexthop);
	r->metric = 33;
	r->mtu = 1280;
	bring_up(&a, r);
	assert_string_equal(route_to("10.3.0.0/24"),
		"10.3.0.0/24 via 192.0.2.77 dev dev0 proto 80 metric 33 mtu 1280");
}

static void a_source_address(void **state)
{
	struct updown_request *r = up(1, 1, "10.1.0.0/24 10.2.0.0/24");

	(void)state;
	ip_parse("10.1.0.1", &r->source);
	bring_up(&a, r);
	assert_string_equal(
		route_to("10.2.0.0/24"), "10.2.0.0/24 dev dev0 proto 80 scope link src 10.1.0.1");
	r = up(2, 2, "10.1.0.0/24 10.3.0.0/24");
	ip_parse("10.1.0.1", &r->source);
	bring_up(&a, r);
	bring_down(&a, 1);
	unroute(&a, 1);
	settle(&a);
	/* it goes with the last who needs it */
	assert_string_equal(
		route_to("10.3.0.0/24"), "10.3.0.0/24 dev dev0 proto 80 scope link src 10.1.0.1");
	assert_string_not_equal(output_of("ip -o addr show to 10.1.0.1"), "");
	bring_down(&a, 2);
	unroute(&a, 2);
	settle(&a);
	assert_string_equal(output_of("ip -o addr show to 10.1.0.1"), "");
	/* the administrator's stays */
	r = up(3, 3, "10.9.0.0/24 10.3.0.0/24");
	ip_parse("10.9.0.1", &r->source);
	bring_up(&a, r);
	bring_down(&a, 3);
	unroute(&a, 3);
	settle(&a);
	assert_string_not_equal(output_of("ip -o addr show to 10.9.0.1"), "");
}

static void the_newest_has_the_route(void **state)
{
	struct updown_request *r;

	(void)state;
	for (unsigned i = 1; i <= 3; i++) {
		r = up(i, 9, "10.1.0.0/24 10.2.0.5/32");
		r->peer_hash = i;
		r->peer.bytes[3] = (uint8_t)(10 + i);
		r->initiator = false;
		r->mtu = 1000 + i;
		bring_up(&a, r);
	}
	assert_string_equal(route_to("10.2.0.5/32"), "10.2.0.5 dev dev0 proto 80 scope link mtu 1003");
	bring_down(&a, 2);
	settle(&a);
	assert_string_equal(route_to("10.2.0.5/32"), "10.2.0.5 dev dev0 proto 80 scope link mtu 1003");
	bring_down(&a, 3);
	settle(&a);
	assert_string_equal(route_to("10.2.0.5/32"), "10.2.0.5 dev dev0 proto 80 scope link mtu 1001");
	bring_down(&a, 1);
	settle(&a);
	assert_string_equal(route_to("10.2.0.5/32"), "");
	assert_int_equal(updown_stats(a.updown).routes, 0);
}

static void the_administrators_routes_stay(void **state)
{
	(void)state;
	assert_int_equal(shell("ip route add 10.2.0.0/24 via 10.9.0.9"), 0);
	bring_up(&a, up(1, 1, "10.1.0.0/24 10.2.0.0/24"));
	assert_string_equal(route_to("10.2.0.0/24"), "10.2.0.0/24 via 10.9.0.9 dev lan0");
	bring_down(&a, 1);
	unroute(&a, 1);
	settle(&a);
	assert_string_equal(route_to("10.2.0.0/24"), "10.2.0.0/24 via 10.9.0.9 dev lan0");
}

static void all_there_is(void **state)
{
	struct updown_request *r = up(1, 1, "10.1.0.0/24 0.0.0.0/0");

	(void)state;
	assert_int_equal(shell("ip route add default via 192.0.2.254"), 0);
	ip_parse("10.1.0.1", &r->source);
	ip_parse("203.0.113.5", &r->peer);
	bring_up(&a, r);
	assert_string_equal(
		route_to("0.0.0.0/1"), "0.0.0.0/1 via 192.0.2.254 dev dev0 proto 80 src 10.1.0.1");
	assert_string_equal(
		route_to("128.0.0.0/1"), "128.0.0.0/1 via 192.0.2.254 dev dev0 proto 80 src 10.1.0.1");
	assert_string_equal(route_to("default"), "default via 192.0.2.254 dev dev0");
	bring_down(&a, 1);
	unroute(&a, 1);
	settle(&a);
	assert_string_equal(route_to("0.0.0.0/1"), "");
}

static void ranges_and_ipv6(void **state)
{
	struct updown_request *r = up(1, 1, "10.1.0.0/24 10.2.0.1-10.2.0.6");

	(void)state;
	bring_up(&a, r);
	assert_int_equal(updown_stats(a.updown).routes, 4);
	assert_string_equal(route_to("10.2.0.2/31"), "10.2.0.2/31 dev dev0 proto 80 scope link");
	r = up(2, 2, "fd00:1::/64 fd00:2::/64");
	ip_parse("2001:db8::1", &r->me);
	ip_parse("2001:db8::2", &r->peer);
	ip_parse("fd00:1::1", &r->source);
	bring_up(&a, r);
	assert_string_equal(output_of("ip -6 route show exact fd00:2::/64"),
		"fd00:2::/64 dev dev0 proto 80 src fd00:1::1 metric 1024 pref medium");
	/* more subnets than can be wished for */
	r = up(3, 3, "fd00:1::/64 fd00:3::1-fd00:4::1");
	ip_parse("2001:db8::1", &r->me);
	ip_parse("2001:db8::2", &r->peer);
	updown_submit(a.port, r);
	assert_true(answer_of(&a).ok);
}

static void no_way_to_the_peer(void **state)
{
	struct updown_request *r = up(1, 1, "10.1.0.0/24 10.2.0.0/24");
	struct updown_answer answer;

	(void)state;
	ip_parse("203.0.113.5", &r->peer);
	updown_submit(a.port, r);
	answer = answer_of(&a);
	assert_false(answer.ok);
	assert_string_equal(answer.why,
		"cannot route: there is no route to 203.0.113.5: Network is unreachable");
	/* a nexthop that is not there: nothing is left behind */
	r = up(2, 1, "10.1.0.0/24 10.2.0.0/24");
	ip_parse("10.1.0.1", &r->source);
	ip_parse("203.0.113.9", &r->nexthop);
	updown_submit(a.port, r);
	assert_false(answer_of(&a).ok);
	settle(&a);
	assert_string_equal(output_of("ip -o addr show to 10.1.0.1"), "");
	assert_int_equal(updown_stats(a.updown).seats, 0);
}

static void what_a_crash_has_left(void **state)
{
	struct updown_config config = {.routes = true};
	struct updown_request *r = up(1, 1, "10.1.0.0/24 10.2.0.0/24");

	(void)state;
	ip_parse("10.1.0.1", &r->source);
	bring_up(&a, r);
	assert_int_equal(shell("ip route add 10.7.0.0/24 via 10.9.0.9 proto static"), 0);
	updown_stop(a.updown, 1000, true);
	assert_string_not_equal(route_to("10.2.0.0/24"), "");
	assert_string_not_equal(output_of("ip -o addr show to 10.1.0.1"), "");
	shell("rm -r %s", a.directory);
	asker_start(&a, &config);
	assert_string_equal(route_to("10.2.0.0/24"), "");
	assert_string_equal(output_of("ip -o addr show to 10.1.0.1"), "");
	assert_string_not_equal(route_to("10.7.0.0/24"), "");
}

static void a_device_that_goes(void **state)
{
	(void)state;
	bring_up(&a, up(1, 1, "10.1.0.0/24 10.2.0.0/24"));
	assert_int_equal(shell("ip link set dev0 down"), 0);
	assert_string_equal(route_to("10.2.0.0/24"), "");
	bring_down(&a, 1);
	unroute(&a, 1);
	settle(&a);
	assert_int_equal(updown_stats(a.updown).seats, 0);
	assert_int_equal(updown_stats(a.updown).routes, 0);
}

int main(void)
{
#define IN_NAMESPACE(test) cmocka_unit_test_setup_teardown(test, start, stop)
	const struct CMUnitTest tests[] = {
		IN_NAMESPACE(a_route_where_there_is_none),
		IN_NAMESPACE(no_route_where_packets_go_there_anyway),
		IN_NAMESPACE(by_a_gateway),
		IN_NAMESPACE(a_source_address),
		IN_NAMESPACE(the_newest_has_the_route),
		IN_NAMESPACE(the_administrators_routes_stay),
		IN_NAMESPACE(all_there_is),
		IN_NAMESPACE(ranges_and_ipv6),
		IN_NAMESPACE(no_way_to_the_peer),
		IN_NAMESPACE(what_a_crash_has_left),
		IN_NAMESPACE(a_device_that_goes),
	};

	if (!enter_namespace()) {
		printf("1..0 # SKIP no network namespaces here\n");
		return 0;
	}
	return cmocka_run_group_tests_name("updown routes", tests, NULL, NULL);
}
