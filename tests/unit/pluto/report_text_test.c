/* The lines of reports, from made-up SAs and connections. */
#include "connection_compile.h"
#include "connection_text.h"
#include "global_keys.h"
#include "report.h"
#include "sa_index.h"
#include "view_text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* ---- an SA -------------------------------------------------------------------- */

static struct identity *peer_id;
static struct traffic_selector local_ts[2], remote_ts[1];
static struct connection *connection;

static struct ip_address address(const char *text)
{
	struct ip_address a;

	assert_true(ip_parse(text, &a));
	return a;
}

static int set_up(void **state)
{
	(void)state;
	peer_id = identity_parse("@b", (char[128]){0}, 128);
	connection = connection_new("v2");
	traffic_selector_parse("10.1.0.0/24", &local_ts[0]);
	traffic_selector_parse("10.3.0.0/24/tcp/80", &local_ts[1]);
	traffic_selector_parse("10.2.0.0/24", &remote_ts[0]);
	return peer_id && connection ? 0 : -1;
}

static int tear_down(void **state)
{
	(void)state;
	identity_unref(peer_id);
	connection_unref(connection);
	return 0;
}

static struct ike_sa_view sa_view(void)
{
	struct ike_sa_view v = {.serial = 1,
		.connection = connection,
		.remote_id = peer_id,
		.initiator = true,
		.established = true,
		.newest = true,
		.state = "ESTABLISHED_IKE_SA",
		.story = "established IKE SA",
		.replace_in_s = 28755,
		.expire_in_s = UINT64_MAX,
		.retransmit_in_s = UINT64_MAX,
		.liveness_in_s = UINT64_MAX,
		.timeout_in_s = UINT64_MAX,
		.child_count = 1};

	v.path.local = (struct ip_endpoint){.address = address("10.66.0.1"), .port = 500};
	v.path.remote = (struct ip_endpoint){.address = address("10.67.0.1"), .port = 500};
	v.child = (struct child_view){.serial = 2,
		.connection = connection,
		.in_spi = 0xae33a0ba,
		.out_spi = 0xd7e2d0aa,
		.state = "ESTABLISHED_CHILD_SA",
		.story = "established Child SA",
		.established = true,
		.newest = true,
		.protocol = IPSEC_ESP,
		.mode = IPSEC_TUNNEL,
		.reqid = 16388,
		.local_ts = local_ts,
		.local_ts_count = 1,
		.remote_ts = remote_ts,
		.remote_ts_count = 1,
		.replace_in_s = 27702,
		.expire_in_s = UINT64_MAX};
	return v;
}

static const struct ipsec_counters counters[2] = {
	{.bytes = 84, .packets = 1, .add_time = 1795324102}, {.bytes = 3 << 20, .packets = 3}};

static void test_traffic(void **state)
{
	struct ike_sa_view v = sa_view();
	char out[VIEW_LINE_MAX];

	(void)state;
	traffic_status_line(out, sizeof(out), &v, &v.child, counters);
	assert_string_equal(out, "#2: \"v2\", type=ESP, add_time=1795324102, inBytes=84, "
				 "outBytes=3145728, maxBytes=2^63B, id='@b'\n");
	v.instance = 3;
	v.remote_id = NULL;
	connection->limits.hard_bytes = 1000;
	traffic_status_line(out, sizeof(out), &v, &v.child, NULL);
	connection->limits.hard_bytes = 0;
	assert_string_equal(out,
		"#2: \"v2\"[3] 10.67.0.1, type=ESP, add_time=0, inBytes=0, outBytes=0, "
		"maxBytes=1000B, id='%none'\n");
}

static void test_ah_and_ipcomp(void **state)
{
	struct ike_sa_view v = sa_view();
	char out[VIEW_LINE_MAX];

	(void)state;
	v.child.protocol = IPSEC_AH;
	v.child.in_cpi = 0x13a;
	v.child.out_cpi = 0xefff;
	traffic_status_line(out, sizeof(out), &v, &v.child, counters);
	assert_non_null(strstr(out, ", type=AH, "));
	show_states_child_lines(out, sizeof(out), &v, &v.child, counters);
	assert_non_null(strstr(out,
		"#2: \"v2\" ah.d7e2d0aa@10.67.0.1 ah.ae33a0ba@10.66.0.1 "
		"comp.efff@10.67.0.1 comp.13a@10.66.0.1 tun.0@10.67.0.1 tun.0@10.66.0.1 "
		"Traffic: AHin=84B AHout=3MB AHmax=2^63B \n"));
}

static void test_states(void **state)
{
	struct ike_sa_view v = sa_view();
	char out[VIEW_LINE_MAX];

	(void)state;
	show_states_ike_line(out, sizeof(out), &v);
	assert_string_equal(
		out, "#1: \"v2\":500 established IKE SA; REPLACE in 28755s; newest; idle;\n");
	show_states_child_lines(out, sizeof(out), &v, &v.child, counters);
	assert_string_equal(out, "#2: \"v2\":500 established Child SA; REPLACE in 27702s; newest; "
				 "eroute owner; IKE SA #1; idle;\n"
				 "#2: \"v2\" esp.d7e2d0aa@10.67.0.1 esp.ae33a0ba@10.66.0.1 "
				 "tun.0@10.67.0.1 tun.0@10.66.0.1 "
				 "Traffic: ESPin=84B ESPout=3MB ESPmax=2^63B \n");
	v.child.mode = IPSEC_TRANSPORT;
	v.child.newest = false;
	show_states_child_lines(out, sizeof(out), &v, &v.child, counters);
	assert_string_equal(out,
		"#2: \"v2\":500 established Child SA; REPLACE in 27702s; IKE SA #1; idle;\n"
		"#2: \"v2\" esp.d7e2d0aa@10.67.0.1 esp.ae33a0ba@10.66.0.1 "
		"Traffic: ESPin=84B ESPout=3MB ESPmax=2^63B \n");
}

static void test_half_open_state(void **state)
{
	struct ike_sa_view v = sa_view();
	char out[VIEW_LINE_MAX];

	(void)state;
	v.established = v.newest = false;
	v.story = "sent IKE_SA_INIT request";
	v.replace_in_s = UINT64_MAX;
	v.retransmit_in_s = 1;
	v.timeout_in_s = 25;
	v.crypto_pending = true;
	show_states_ike_line(out, sizeof(out), &v);
	assert_string_equal(out, "#1: \"v2\":500 sent IKE_SA_INIT request; RETRANSMIT in 1s; "
				 "TIMEOUT_INITIATOR in 25s; crypto_calculating;\n");
	v.connection = NULL;
	v.initiator = v.crypto_pending = false;
	v.retransmit_in_s = UINT64_MAX;
	show_states_ike_line(out, sizeof(out), &v);
	assert_string_equal(out, "#1: (no connection yet) 10.67.0.1:500 sent IKE_SA_INIT request; "
				 "TIMEOUT_RESPONDER in 25s; idle;\n");
}

static void test_brief_connection(void **state)
{
	struct ike_sa_view v = sa_view();
	char out[VIEW_LINE_MAX];

	(void)state;
	v.child.local_ts_count = 2;
	brief_connection_line(out, sizeof(out), &v, &v.child, counters);
	assert_string_equal(out,
		"10.1.0.0/24,10.3.0.0/24/TCP/80 <==> 10.2.0.0/24\tfrom 10.66.0.1 to 10.67.0.1 "
		"(84B/3MB)\t\"v2\", reqid=16388\n");
}

/* What does not fit is cut, and a line stays a line. */
static void test_short_buffer(void **state)
{
	struct ike_sa_view v = sa_view();
	char out[40];

	(void)state;
	show_states_ike_line(out, sizeof(out), &v);
	assert_int_equal(strlen(out), sizeof(out) - 1);
	assert_int_equal(out[sizeof(out) - 2], '\n');
	traffic_status_line(out, sizeof(out), &v, &v.child, counters);
	assert_int_equal(strlen(out), sizeof(out) - 1);
	assert_int_equal(out[sizeof(out) - 2], '\n');
}

static void test_filter(void **state)
{
	struct ike_sa_view v = sa_view();
	char v2[] = "v2", other[] = "v", alias[] = "grp";
	char *aliases[] = {alias, NULL};
	struct report_filter all = {0}, same = {.name = v2}, not_it = {.name = other},
			     group = {.name = alias};

	(void)state;
	assert_true(view_passes(&v, &all));
	assert_true(view_passes(&v, &same));
	assert_false(view_passes(&v, &not_it));
	assert_false(view_passes(&v, &group));
	connection->aliases = aliases;
	assert_true(view_passes(&v, &group));
	connection->aliases = NULL;
	v.connection = NULL;
	assert_true(view_passes(&v, &all));
	assert_false(view_passes(&v, &same));
}

/* ---- the index ---------------------------------------------------------------- */

static void test_sa_index(void **state)
{
	static const char records[] = "1 0 1 2 AES_GCM_16_256-HMAC_SHA2_512-DH19 AES_GCM_16_256\n"
				      "1 0 5 0 AES_CBC_256-HMAC_SHA2_256-DH31 -\n"
				      "2 1 7 8 X-Y-Z W\n2 2 9 10 X-Y-Z W\n2 3 11 0 X-Y-Z -\n"
				      "3 0 0 0 - -\n"
				      "nonsense\n";

	(void)state;
	for (size_t piece = 1; piece < 40; piece++) {
		struct sa_index *index = sa_index_new();
		const struct sa_entry *e;

		for (size_t at = 0; at < sizeof(records) - 1; at += piece) {
			size_t left = sizeof(records) - 1 - at;

			assert_true(
				sa_index_take(index, records + at, left < piece ? left : piece));
		}
		e = sa_index_find(index, 1);
		assert_int_equal(e->ike, 5);
		assert_int_equal(e->child, 2);
		assert_string_equal(e->ike_algorithms, "AES_CBC_256-HMAC_SHA2_256-DH31");
		assert_string_equal(e->child_algorithms, "AES_GCM_16_256");
		assert_int_equal(sa_index_find(index, 2)->instances, 2);
		assert_int_equal(sa_index_find(index, 2)->child, 0);
		assert_int_equal(sa_index_find(index, 3)->ike, 0);
		assert_null(sa_index_find(index, 4));
		assert_int_equal(sa_index_active(index), 3);
		sa_index_free(index);
	}
}

/* ---- a connection ------------------------------------------------------------- */

static struct connection *described(void)
{
	static const char *const pairs[][2] = {{"left", "10.66.0.1"}, {"right", "10.67.0.1"},
		{"leftid", "@a"}, {"rightid", "@b"}, {"leftsubnet", "10.1.0.0/24"},
		{"rightsubnet", "10.2.0.0/24"}, {"authby", "secret"}, {"connalias", "bench"},
		{"ike", "aes256-sha2_256;modp2048"}};
	struct compile_context context = {0};
	struct keyvalues kv = {0};
	struct connection *c;
	char error[256];

	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++)
		assert_true(keyvalues_set(&kv, pairs[i][0], pairs[i][1]));
	c = connection_compile("v2", &kv, &context, error, sizeof(error));
	keyvalues_release(&kv);
	assert_non_null(c);
	c->serial = 1;
	c->reqid = 16388;
	return c;
}

static void test_connection_block(void **state)
{
	static const char expected[] =
		"\"v2\": 10.1.0.0/24===10.66.0.1[@a]...10.67.0.1[@b]===10.2.0.0/24; routed-tunnel; "
		"my_ip=unset; their_ip=unset;\n"
		"\"v2\":   host: oriented; local: 10.66.0.1; remote: 10.67.0.1; established IKE "
		"SA: #1;\n"
		"\"v2\":   my_updown=<routes>;\n"
		"\"v2\":   xauth us:none, xauth them:none, my_username=[any]; "
		"their_username=[any]\n"
		"\"v2\":   our auth:secret, their auth:secret, our autheap:none, their "
		"autheap:none, send-supported-auth-methods:no;\n"
		"\"v2\":   modecfg info: us:none, them:none, modecfg policy:push, dns:unset, "
		"domains:unset, cat:unset;\n"
		"\"v2\":   cisco-split: no; cisco-unity: no; cisco-peer: no; nm-configured: no;\n"
		"\"v2\":   sec_label:unset;\n"
		"\"v2\":   ike_life: 28800s; ipsec_life: 28800s; ipsec_max_bytes: 2^63B; "
		"ipsec_max_packets: 2^63; replay_window: 128; rekey_margin: 540s; rekey_fuzz: "
		"100%; clones: no (unset);\n"
		"\"v2\":   iptfs: no; fragmentation: yes; packet-size: 0; max-queue-size: 0; "
		"drop-time: 0; init-delay: 0; reorder-window: 0;\n"
		"\"v2\":   retransmit-interval: 500ms; retransmit-timeout: 30s; iketcp:no; "
		"iketcp-port:4500;\n"
		"\"v2\":   initial-contact:no; fake-strongswan:no; send-vendorid:no; "
		"send-no-esp-tfc:no;\n"
		"\"v2\":   policy: IKEv2+PSK+ENCRYPT+TUNNEL+PFS+ESN_NO+ESN_YES;\n"
		"\"v2\":   v2-auth-hash-policy: none;\n"
		"\"v2\":   conn_prio: 24,24,0; interface: ls-va; metric: 0; mtu: unset; "
		"sa_prio:auto; sa_tfc:none;\n"
		"\"v2\":   nflog-group: unset; mark: unset; vti-iface:unset; vti-routing:no; "
		"vti-shared:no; nic-offload:no;\n"
		"\"v2\":   our idtype: FQDN; our id=@a; their idtype: FQDN; their id=@b\n"
		"\"v2\":   sendca: none; our sendcert: never; their sendcert: never;\n"
		"\"v2\":   liveness: passive; dpddelay:0s; retransmit-timeout:30s\n"
		"\"v2\":   nat-traversal: encapsulation:auto; keepalive:20s\n"
		"\"v2\":   routing: routed-tunnel; owner: Child SA #2; established IKE SA: #1; "
		"established Child SA: #2;\n"
		"\"v2\":   reqid: 16388;\n"
		"\"v2\":   conn serial: $1;\n"
		"\"v2\":   aliases: bench\n"
		"\"v2\":   IKE algorithms: AES_CBC_256-HMAC_SHA2_256-MODP2048\n"
		"\"v2\":   IKEv2 algorithm newest: AES_GCM_16_256-HMAC_SHA2_512-DH19\n"
		"\"v2\":   ESP algorithm newest: AES_GCM_16_256; pfsgroup=<Phase1>\n";
	const struct sa_entry sas = {.ike = 1,
		.child = 2,
		.ike_algorithms = "AES_GCM_16_256-HMAC_SHA2_512-DH19",
		.child_algorithms = "AES_GCM_16_256"};
	const struct connection_facts facts = {
		.sas = &sas, .interface = "ls-va", .keep_alive_s = 20};
	struct connection *c = described();
	char text[CONNECTION_TEXT_MAX];
	struct line line = line_of(text, sizeof(text));

	(void)state;
	c->oriented = c->local_is_left = true;
	connection_block(&line, c, &facts);
	assert_string_equal(text, expected);
	connection_unref(c);
}

static void test_unoriented_block(void **state)
{
	static const char head[] =
		"\"v2\": 10.1.0.0/24===10.66.0.1[@a]...10.67.0.1[@b]===10.2.0.0/24; unoriented; "
		"my_ip=unset; their_ip=unset;\n"
		"\"v2\":   host: unoriented;\n"
		"\"v2\":   left_updown=<routes>; right_updown=<routes>;\n";
	const struct connection_facts facts = {.interface = "", .keep_alive_s = 20};
	struct connection *c = described();
	char text[CONNECTION_TEXT_MAX];
	struct line line = line_of(text, sizeof(text));

	(void)state;
	connection_block(&line, c, &facts);
	assert_memory_equal(text, head, sizeof(head) - 1);
	assert_non_null(strstr(text, "\"v2\":   routing: unrouted;\n"));
	connection_unref(c);
}

/* ---- globalstatus ------------------------------------------------------------- */

/* All keys of the newest release, each once. */
static void test_global_keys(void **state)
{
	size_t count = 0;

	(void)state;
	for (size_t i = 0; i < global_family_count; i++) {
		const char *at = global_families[i].words;

		for (size_t k = i + 1; k < global_family_count; k++)
			assert_string_not_equal(
				global_families[i].prefix, global_families[k].prefix);
		if (!at)
			count++;
		while (at && *at) {
			assert_true(*at != ' ');
			at += strcspn(at, " ");
			at += *at == ' ';
			count++;
		}
	}
	assert_int_equal(count, 541);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_traffic),
		cmocka_unit_test(test_ah_and_ipcomp),
		cmocka_unit_test(test_states),
		cmocka_unit_test(test_half_open_state),
		cmocka_unit_test(test_brief_connection),
		cmocka_unit_test(test_short_buffer),
		cmocka_unit_test(test_filter),
		cmocka_unit_test(test_sa_index),
		cmocka_unit_test(test_connection_block),
		cmocka_unit_test(test_unoriented_block),
		cmocka_unit_test(test_global_keys),
	};

	return cmocka_run_group_tests_name("report_text", tests, set_up, tear_down);
}
