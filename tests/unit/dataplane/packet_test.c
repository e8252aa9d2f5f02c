/* The way of whole packets through one gateway or two: what is protected, what is answered, what is dropped. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <rte_ip.h>

#include "gateway.h"

struct pair {
	struct gateway *west, *east;
	struct sa *west_out, *east_in, *east_out, *west_in;
};

struct shape {
	uint16_t encr, key_len, integ, integ_len;
	bool outer6, encapsulated, esn;
	enum ipsec_mode mode;
};

static const struct shape gcm = {20, 20, 0, 0, false, false, false, IPSEC_TUNNEL};

static int pair_start(void **state)
{
	struct pair *p = calloc(1, sizeof(*p));
	p->west = gateway_new(0);
	p->east = gateway_new(1);
	*state = p;
	return 0;
}

static int pair_end(void **state)
{
	struct pair *p = *state;
	gateway_free(p->west);
	gateway_free(p->east);
	free(p);
	return 0;
}

static struct traffic_selector sel[4];

static void make_selectors(const char *west, const char *east, const char *west6, const char *east6)
{
	assert_true(traffic_selector_parse(west, &sel[0]) && traffic_selector_parse(west6, &sel[1]));
	assert_true(traffic_selector_parse(east, &sel[2]) && traffic_selector_parse(east6, &sel[3]));
}

static struct sa *one_sa(struct gateway *gw, const struct shape *s, bool west, enum ipsec_direction direction,
	uint32_t spi, uint8_t key)
{
	struct ipsec_sa r = {.spi = spi, .direction = direction, .protocol = IPSEC_ESP, .mode = s->mode,
		.udp_encapsulation = s->encapsulated, .esn = s->esn, .replay_window = direction == IPSEC_INBOUND ? 128 : 0,
		.encr = s->encr, .integ = s->integ, .encr_key_len = s->key_len, .integ_key_len = s->integ_len, .reqid = 1,
		.local_ts = west ? sel : sel + 2, .remote_ts = west ? sel + 2 : sel, .local_ts_count = 2, .remote_ts_count = 2};
	struct ip_address a, b;
	memset(r.encr_key, key, sizeof(r.encr_key));
	memset(r.integ_key, key + 1, sizeof(r.integ_key));
	assert_true(ip_parse(s->outer6 ? "2001:db8::1" : "192.0.2.1", &a));
	assert_true(ip_parse(s->outer6 ? "2001:db8::2" : "192.0.2.2", &b));
	r.local.address = west ? a : b;
	r.remote.address = west ? b : a;
	if (s->encapsulated)
		r.local.port = r.remote.port = 4500;
	struct sa *sa = add_sa(gw, &r);
	assert_non_null(sa);
	return sa;
}

static void policies(struct pair *p, bool trap)
{
	struct ipsec_policy w = {.reqid = 1, .priority = 10, .trap = trap, .local_ts = sel, .remote_ts = sel + 2,
		.local_ts_count = 2, .remote_ts_count = 2};
	struct ipsec_policy e = w;
	e.local_ts = sel + 2;
	e.remote_ts = sel;
	add_policy(p->west, &w);
	add_policy(p->east, &e);
}

static void tunnel(struct pair *p, const struct shape *s)
{
	if (s->mode == IPSEC_TUNNEL)
		make_selectors("10.1.0.0/16", "10.2.0.0/16", "fd01::/32", "fd02::/32");
	else
		make_selectors("192.0.2.1/32", "192.0.2.2/32", "2001:db8::1/128", "2001:db8::2/128");
	p->west_out = one_sa(p->west, s, true, IPSEC_OUTBOUND, 0x2000, 0x11);
	p->east_in = one_sa(p->east, s, false, IPSEC_INBOUND, 0x2000, 0x11);
	p->east_out = one_sa(p->east, s, false, IPSEC_OUTBOUND, 0x1000, 0x22);
	p->west_in = one_sa(p->west, s, true, IPSEC_INBOUND, 0x1000, 0x22);
	policies(p, false);
}

/* A frame that one gateway sent on its WAN, as it arrives at the other. */
static bool cross(struct gateway *from, struct gateway *to, struct frame *frame)
{
	if (!sent_on_port(from, WAN, frame))
		return false;
	memcpy(frame->bytes, &to->dp.ports[WAN].mac, 6);
	return true;
}

/* Is the TCP, UDP or ICMPv6 checksum, which lies `at` bytes into the transport header, the right one? */
static void assert_checksum(const struct frame *f, unsigned header, unsigned at)
{
	struct frame copy = *f;
	uint8_t *ip = copy.bytes + 14, *transport = ip + header;
	memset(transport + at, 0, 2);
	uint16_t sum = ip[0] >> 4 == 4 ? rte_ipv4_udptcp_cksum((const void *)ip, transport)
				       : rte_ipv6_udptcp_cksum((const void *)ip, transport);
	assert_memory_equal(&sum, f->bytes + 14 + header + at, 2);
}

static void assert_outer_is_sound(const struct frame *f, const struct shape *s)
{
	struct flow flow;
	const uint8_t *ip = f->bytes + 14;
	assert_true(flow_parse(ip, f->len - 14, &flow));
	assert_int_equal(flow.len, f->len - 14);
	assert_int_equal(flow.family, s->outer6 ? AF_INET6 : AF_INET);
	assert_int_equal(flow.protocol, s->encapsulated ? 17 : 50);
	assert_int_equal(flow.hop_limit, 64);
	if (!s->outer6)
		assert_int_equal(ipv4_checksum(ip, 20), 0);
	if (s->encapsulated) {
		const uint8_t *udp = ip + flow.header_len;
		assert_int_equal(udp[4] << 8 | udp[5], flow.len - flow.header_len);
		if (s->outer6)
			assert_checksum(f, 40, 6);
		else
			assert_int_equal(udp[6] | udp[7], 0);
	}
}

/* ---- tunnel mode ---- */

static void send_through(struct pair *p, const struct shape *s, const char *src, const char *dst, uint8_t protocol,
	unsigned payload)
{
	struct frame sent, wire, got;
	make_packet(&sent, p->west, LAN, src, dst, protocol, payload);
	from_port(p->west, LAN, &sent);
	gateway_run(p->west);
	assert_true(cross(p->west, p->east, &wire));
	assert_outer_is_sound(&wire, s);
	from_port(p->east, WAN, &wire);
	gateway_run(p->east);
	assert_true(sent_on_port(p->east, LAN, &got));
	assert_int_equal(got.len, sent.len);
	/* The same packet, two hops older. */
	struct flow before, after;
	assert_true(flow_parse(sent.bytes + 14, sent.len - 14, &before));
	assert_true(flow_parse(got.bytes + 14, got.len - 14, &after));
	assert_int_equal(after.hop_limit, before.hop_limit - 2);
	got.bytes[14 + (before.family == AF_INET ? 8 : 7)] = 64;
	if (before.family == AF_INET) {
		assert_int_equal(ipv4_checksum(sent.bytes + 14, 20), 0);
		refresh_ipv4(&got);
	}
	assert_memory_equal(got.bytes + 14, sent.bytes + 14, sent.len - 14);
	static const uint8_t mac[6] = {0xa1, 0xa1, 0xa1, 0xa1, 0xa1, 0xa1};
	assert_memory_equal(got.bytes, mac, 6);
}

static void tunnels_carry_packets(void **state)
{
	static const struct shape transforms[] = {{20, 20, 0, 0}, {18, 36, 0, 0}, {28, 36, 0, 0}, {12, 16, 2, 20},
		{12, 32, 12, 32}, {12, 24, 13, 48}, {12, 32, 14, 64}, {11, 0, 12, 32}};
	(void)state;
	for (size_t t = 0; t < sizeof(transforms) / sizeof(transforms[0]); t++) {
		for (unsigned bits = 0; bits < 8; bits++) {
			struct pair *p;
			struct shape s = transforms[t];
			s.outer6 = bits & 1;
			s.encapsulated = bits & 2;
			s.esn = bits & 4;
			pair_start((void **)&p);
			tunnel(p, &s);
			for (unsigned payload = 0; payload < 70; payload += 3) {
				send_through(p, &s, "10.1.0.2", "10.2.0.2", 17, payload);
				send_through(p, &s, "fd01::2", "fd02::2", 17, payload);
			}
			send_through(p, &s, "10.1.0.2", "10.2.0.2", 6, 1300);
			send_through(p, &s, "fd01::2", "fd02::2", 58, 1300);
			assert_int_equal(counted(p->east, STAT_ESP_IN_PACKETS), 50);
			assert_int_equal(counted(p->west, STAT_ESP_OUT_PACKETS), 50);
			assert_int_equal(counted(p->west, STAT_ESP_OUT_BYTES), counted(p->east, STAT_ESP_IN_BYTES));
			assert_int_equal(p->west_out->counters.packets, 50);
			assert_int_equal(p->east_in->counters.bytes, p->west_out->counters.bytes);
			pair_end((void **)&p);
		}
	}
}

static void esn_turns_over(void **state)
{
	struct pair *p = *state;
	struct shape s = gcm;
	s.esn = true;
	tunnel(p, &s);
	p->west_out->seq = 0xfffffff0;
	p->east_in->replay.top = 0xfffffff0;
	for (unsigned i = 0; i < 64; i++)
		send_through(p, &s, "10.1.0.2", "10.2.0.2", 17, 10);
	assert_int_equal(p->east_in->replay.top, 0x100000030);
}

/* ---- transport mode ---- */

static void transport_carries_packets(void **state)
{
	(void)state;
	for (unsigned bits = 0; bits < 4; bits++) {
		struct pair *p;
		struct shape s = gcm;
		struct frame sent, wire, got;
		s.mode = IPSEC_TRANSPORT;
		s.outer6 = bits & 1;
		s.encapsulated = bits & 2;
		pair_start((void **)&p);
		tunnel(p, &s);
		for (unsigned payload = 0; payload < 300; payload += 7) {
			make_packet(&sent, p->west, WAN, s.outer6 ? "2001:db8::1" : "192.0.2.1",
				s.outer6 ? "2001:db8::2" : "192.0.2.2", payload % 2 ? 17 : 6, payload);
			from_twin(p->west, WAN, &sent);
			gateway_run(p->west);
			assert_true(cross(p->west, p->east, &wire));
			assert_outer_is_sound(&wire, &s);
			from_port(p->east, WAN, &wire);
			gateway_run(p->east);
			assert_true(given_to_twin(p->east, WAN, &got));
			assert_int_equal(got.len, sent.len);
			assert_memory_equal(got.bytes + 14, sent.bytes + 14, sent.len - 14);
		}
		pair_end((void **)&p);
	}
}

static void translated_checksums_are_renewed(void **state)
{
	struct pair *p = *state;
	struct shape s = gcm;
	struct frame sent, wire, got;
	s.mode = IPSEC_TRANSPORT;
	s.encapsulated = true;
	tunnel(p, &s);
	make_selectors("0.0.0.0/0", "0.0.0.0/0", "::/0", "::/0");
	p->east_in->selectors[2] = (struct selector){.family = AF_INET, .port_last = 0xffff,
		.last = {{UINT64_MAX, UINT64_MAX}}};
	make_packet(&sent, p->west, WAN, "192.0.2.1", "192.0.2.2", 6, 100);
	from_twin(p->west, WAN, &sent);
	gateway_run(p->west);
	assert_true(cross(p->west, p->east, &wire));
	wire.bytes[14 + 15] = 77; /* a NAT on the way */
	refresh_ipv4(&wire);
	from_port(p->east, WAN, &wire);
	gateway_run(p->east);
	assert_true(given_to_twin(p->east, WAN, &got));
	assert_int_equal(got.bytes[14 + 15], 77);
	assert_checksum(&got, 20, 16);
}

/* ---- what must not pass ---- */

static void protected_traffic_never_goes_in_clear(void **state)
{
	struct pair *p = *state;
	struct frame f, out;
	make_selectors("10.1.0.0/16", "10.2.0.0/16", "fd01::/32", "fd02::/32");
	policies(p, false);
	/* No SA: nothing leaves, on any way. */
	make_packet(&f, p->west, LAN, "10.1.0.2", "10.2.0.2", 17, 10);
	from_port(p->west, LAN, &f);
	from_twin(p->west, WAN, &f);
	gateway_run(p->west);
	assert_int_equal(counted(p->west, STAT_NO_SA), 2);
	/* In clear from outside: dropped, to hosts behind and to the gateway itself. */
	make_packet(&f, p->west, WAN, "10.2.0.2", "10.1.0.2", 17, 10);
	from_port(p->west, WAN, &f);
	make_packet(&f, p->west, WAN, "10.2.0.2", "10.1.0.1", 6, 10);
	from_port(p->west, WAN, &f);
	make_packet(&f, p->west, WAN, "fd02::2", "fd01::1", 58, 10);
	from_port(p->west, WAN, &f);
	assert_int_equal(counted(p->west, STAT_CLEAR), 3);
	for (unsigned port = 0; port < PORTS; port++) {
		assert_false(sent_on_port(p->west, port, &out));
		assert_false(given_to_twin(p->west, port, &out));
	}
	/* What no policy speaks of is the kernel's. */
	make_packet(&f, p->west, WAN, "198.51.100.1", "10.1.0.2", 17, 10);
	from_port(p->west, WAN, &f);
	assert_true(given_to_twin(p->west, WAN, &out));
	assert_memory_equal(out.bytes, f.bytes, f.len);
	make_packet(&f, p->west, WAN, "192.0.2.1", "198.51.100.1", 6, 10);
	from_twin(p->west, WAN, &f);
	assert_true(sent_on_port(p->west, WAN, &out));
	assert_memory_equal(out.bytes, f.bytes, f.len);
}

static void ike_passes_every_policy(void **state)
{
	struct pair *p = *state;
	struct frame f, out;
	make_selectors("0.0.0.0/0", "0.0.0.0/0", "::/0", "::/0");
	policies(p, false);
	make_packet(&f, p->west, WAN, "192.0.2.2", "192.0.2.1", 17, 40);
	f.bytes[36] = 500 >> 8;
	f.bytes[37] = 500 & 0xff;
	from_port(p->west, WAN, &f);
	assert_true(given_to_twin(p->west, WAN, &out));
	make_packet(&f, p->west, WAN, "192.0.2.1", "192.0.2.2", 17, 40);
	f.bytes[34] = 4500 >> 8;
	f.bytes[35] = 4500 & 0xff;
	from_twin(p->west, WAN, &f);
	assert_true(sent_on_port(p->west, WAN, &out));
	/* But not with a source that is not ours. */
	make_packet(&f, p->west, WAN, "10.1.0.2", "192.0.2.2", 17, 40);
	f.bytes[34] = 500 >> 8;
	f.bytes[35] = 500 & 0xff;
	from_twin(p->west, WAN, &f);
	assert_false(sent_on_port(p->west, WAN, &out));
	/* Neighbour discovery as well. */
	make_packet(&f, p->west, WAN, "2001:db8::2", "2001:db8::1", 58, 24);
	f.bytes[54] = 136;
	f.bytes[14 + 7] = 255;
	from_port(p->west, WAN, &f);
	assert_true(given_to_twin(p->west, WAN, &out));
	/* The marker of IKE on 4500, and a keepalive. */
	make_packet(&f, p->west, WAN, "192.0.2.2", "192.0.2.1", 17, 40);
	f.bytes[36] = 4500 >> 8;
	f.bytes[37] = 4500 & 0xff;
	memset(f.bytes + 42, 0, 4);
	from_port(p->west, WAN, &f);
	assert_true(given_to_twin(p->west, WAN, &out));
	make_packet(&f, p->west, WAN, "192.0.2.2", "192.0.2.1", 17, 1);
	f.bytes[36] = 4500 >> 8;
	f.bytes[37] = 4500 & 0xff;
	f.bytes[42] = 0xff;
	from_port(p->west, WAN, &f);
	assert_false(given_to_twin(p->west, WAN, &out));
	assert_int_equal(counted(p->west, STAT_KEEPALIVES), 1);
}

static void replays_and_strangers_are_counted(void **state)
{
	struct pair *p = *state;
	struct frame f, wire, out;
	tunnel(p, &gcm);
	make_packet(&f, p->west, LAN, "10.1.0.2", "10.2.0.2", 17, 10);
	from_port(p->west, LAN, &f);
	gateway_run(p->west);
	assert_true(cross(p->west, p->east, &wire));
	/* Twice in one burst, and once more later. */
	from_port(p->east, WAN, &wire);
	from_port(p->east, WAN, &wire);
	gateway_run(p->east);
	from_port(p->east, WAN, &wire);
	gateway_run(p->east);
	assert_true(sent_on_port(p->east, LAN, &out));
	assert_false(sent_on_port(p->east, LAN, &out));
	assert_int_equal(counted(p->east, STAT_REPLAY), 2);
	assert_int_equal(p->east_in->counters.replayed, 2);
	wire.bytes[34 + 2] ^= 0x40; /* the SPI */
	from_port(p->east, WAN, &wire);
	gateway_run(p->east);
	assert_int_equal(counted(p->east, STAT_NO_SPI), 1);
	/* A fragment of an ESP packet. */
	wire.bytes[34 + 2] ^= 0x40;
	wire.bytes[20] = 0x20;
	refresh_ipv4(&wire);
	from_port(p->east, WAN, &wire);
	assert_int_equal(counted(p->east, STAT_FRAGMENT), 1);
}

static void tampered_and_truncated_frames_are_dropped(void **state)
{
	struct pair *p = *state;
	struct frame f, wire, copy, out;
	struct shape s = {12, 16, 12, 32, false, true, true, IPSEC_TUNNEL};
	tunnel(p, &s);
	make_packet(&f, p->west, LAN, "10.1.0.2", "10.2.0.2", 17, 40);
	from_port(p->west, LAN, &f);
	gateway_run(p->west);
	assert_true(cross(p->west, p->east, &wire));
	for (unsigned i = 42; i < wire.len; i++) {
		for (unsigned bit = 0; bit < 8; bit++) {
			copy = wire;
			copy.bytes[i] ^= (uint8_t)(1 << bit);
			from_port(p->east, WAN, &copy);
			gateway_run(p->east);
		}
	}
	for (unsigned len = 0; len < wire.len; len++) {
		copy = wire;
		copy.len = len;
		from_port(p->east, WAN, &copy);
		/* And with lengths that agree with themselves. */
		if (len >= 14 + 20) {
			copy.bytes[16] = (uint8_t)((len - 14) >> 8);
			copy.bytes[17] = (uint8_t)(len - 14);
			refresh_ipv4(&copy);
			from_port(p->east, WAN, &copy);
		}
		gateway_run(p->east);
	}
	assert_false(sent_on_port(p->east, LAN, &out));
	assert_int_equal(counted(p->east, STAT_ESP_IN_PACKETS), 0);
	assert_int_equal(p->east_in->replay.top, 0);
	from_port(p->east, WAN, &wire);
	gateway_run(p->east);
	assert_true(sent_on_port(p->east, LAN, &out));
}

static void selectors_are_checked_behind_the_tunnel(void **state)
{
	struct pair *p = *state;
	struct frame f, wire, out;
	struct ip_address first, last;
	tunnel(p, &gcm);
	/* East's SA carries less than west sends. */
	assert_true(ip_parse("10.1.0.100", &first) && ip_parse("10.1.255.255", &last));
	p->east_in->selectors[2].first = ip_key_of_address(&first);
	p->east_in->selectors[2].last = ip_key_of_address(&last);
	make_packet(&f, p->west, LAN, "10.1.0.2", "10.2.0.2", 17, 10);
	from_port(p->west, LAN, &f);
	gateway_run(p->west);
	assert_true(cross(p->west, p->east, &wire));
	from_port(p->east, WAN, &wire);
	gateway_run(p->east);
	assert_false(sent_on_port(p->east, LAN, &out));
	assert_int_equal(p->east_in->counters.bad_selector, 1);
	assert_int_equal(counted(p->east, STAT_SELECTOR), 1);
	/* And on the way out: what the SA does not carry is not sent by it. */
	p->west_out->selectors[0].last = p->west_out->selectors[0].first;
	from_port(p->west, LAN, &f);
	gateway_run(p->west);
	assert_false(cross(p->west, p->east, &wire));
	assert_int_equal(counted(p->west, STAT_SELECTOR), 1);
}

/* ---- limits, events ---- */

static unsigned events_of(struct gateway *gw, enum ipsec_event_kind kind)
{
	unsigned n = 0;
	struct mail *mail;
	while ((mail = next_mail(gw)) != NULL) {
		n += mail->kind == MAIL_EVENT && ((struct event_mail *)mail)->event.kind == kind;
		free(mail);
	}
	return n;
}

static void sequence_numbers_end(void **state)
{
	struct pair *p = *state;
	struct frame f, out;
	tunnel(p, &gcm);
	p->west_out->seq = UINT32_MAX - 2;
	make_packet(&f, p->west, LAN, "10.1.0.2", "10.2.0.2", 17, 10);
	for (unsigned i = 0; i < 5; i++) {
		from_port(p->west, LAN, &f);
		gateway_run(p->west);
		assert_int_equal(cross(p->west, p->east, &out), i < 2);
	}
	assert_int_equal(counted(p->west, STAT_EXPIRED), 3);
	assert_int_equal(events_of(p->west, IPSEC_EXPIRE_HARD), 1);
}

static void limits_tell_and_stop(void **state)
{
	struct pair *p = *state;
	struct frame f, out;
	tunnel(p, &gcm);
	p->west_out->limits.soft_packets = 3;
	p->west_out->limits.hard_packets = 5;
	make_packet(&f, p->west, LAN, "10.1.0.2", "10.2.0.2", 17, 10);
	for (unsigned i = 0; i < 8; i++) {
		from_port(p->west, LAN, &f);
		gateway_run(p->west);
		assert_int_equal(cross(p->west, p->east, &out), i < 5);
		if (i == 2)
			assert_int_equal(events_of(p->west, IPSEC_EXPIRE_SOFT), 1);
	}
	assert_int_equal(events_of(p->west, IPSEC_EXPIRE_HARD), 1);
}

static void traps_acquire_once_a_second(void **state)
{
	struct pair *p = *state;
	struct frame f;
	make_selectors("10.1.0.0/16", "10.2.0.0/16", "fd01::/32", "fd02::/32");
	policies(p, true);
	make_packet(&f, p->west, LAN, "10.1.0.2", "10.2.0.2", 17, 10);
	for (unsigned i = 0; i < 50; i++)
		from_port(p->west, LAN, &f);
	struct event_mail *mail = (struct event_mail *)next_mail(p->west);
	assert_non_null(mail);
	assert_int_equal(mail->event.kind, IPSEC_ACQUIRE);
	assert_int_equal(mail->event.reqid, 1);
	assert_int_equal(mail->event.local_ts.port_first, 4000);
	assert_int_equal(mail->event.remote_ts.port_last, 5000);
	assert_int_equal(mail->event.remote_ts.protocol, 17);
	free(mail);
	assert_null(next_mail(p->west));
	p->west->lc.now_ms += 1001;
	from_port(p->west, LAN, &f);
	assert_int_equal(events_of(p->west, IPSEC_ACQUIRE), 1);
	assert_int_equal(counted(p->west, STAT_NO_SA), 51);
}

static void a_moved_peer_is_told_of(void **state)
{
	struct pair *p = *state;
	struct frame f, wire, out;
	struct shape s = gcm;
	s.encapsulated = true;
	tunnel(p, &s);
	make_packet(&f, p->west, LAN, "10.1.0.2", "10.2.0.2", 17, 10);
	from_port(p->west, LAN, &f);
	gateway_run(p->west);
	assert_true(cross(p->west, p->east, &wire));
	wire.bytes[14 + 15] = 77;
	wire.bytes[34] = 0x99;
	refresh_ipv4(&wire);
	/* Not on the word of a packet that is not authentic. */
	struct frame forged = wire;
	forged.bytes[60] ^= 1;
	from_port(p->east, WAN, &forged);
	gateway_run(p->east);
	assert_null(next_mail(p->east));
	from_port(p->east, WAN, &wire);
	gateway_run(p->east);
	assert_true(sent_on_port(p->east, LAN, &out));
	struct event_mail *mail = (struct event_mail *)next_mail(p->east);
	assert_non_null(mail);
	assert_int_equal(mail->event.kind, IPSEC_REMOTE_MOVED);
	assert_int_equal(mail->event.spi, 0x2000);
	assert_int_equal(mail->event.remote.address.bytes[3], 77);
	assert_int_equal(mail->event.remote.port, 0x9994);
	free(mail);
	/* The SA itself has not moved. */
	assert_int_equal(p->east_in->path->remote_port, 4500);
}

/* ---- sizes ---- */

static void too_big_is_answered(void **state)
{
	(void)state;
	static const struct shape shapes[] = {{20, 20, 0, 0, false, false, false, IPSEC_TUNNEL},
		{20, 20, 0, 0, true, true, false, IPSEC_TUNNEL}, {12, 16, 12, 32, false, true, false, IPSEC_TUNNEL}};
	for (size_t i = 0; i < 3; i++) {
		for (unsigned v6 = 0; v6 < 2; v6++) {
			struct pair *p;
			struct frame f, out;
			unsigned header = v6 ? 40 : 20;
			const char *src = v6 ? "fd01::2" : "10.1.0.2", *dst = v6 ? "fd02::2" : "10.2.0.2";
			pair_start((void **)&p);
			tunnel(p, &shapes[i]);
			make_packet(&f, p->west, LAN, src, dst, 17, 1500 - header - 8);
			from_port(p->west, LAN, &f);
			gateway_run(p->west);
			assert_false(sent_on_port(p->west, WAN, &out));
			assert_true(sent_on_port(p->west, LAN, &out));
			struct flow flow;
			const uint8_t *icmp = out.bytes + 14 + header;
			assert_true(flow_parse(out.bytes + 14, out.len - 14, &flow));
			assert_int_equal(icmp[0], v6 ? 2 : 3);
			assert_int_equal(icmp[1], v6 ? 0 : 4);
			if (v6)
				assert_checksum(&out, 40, 2);
			else
				assert_int_equal(ipv4_checksum(icmp, out.len - 34), 0);
			assert_memory_equal(icmp + 8, f.bytes + 14, 40);
			unsigned mtu = (unsigned)(icmp[6] << 8 | icmp[7]);
			/* Exactly as much as was said goes through, and not a byte more. */
			make_packet(&f, p->west, LAN, src, dst, 17, mtu - header - 8);
			from_port(p->west, LAN, &f);
			gateway_run(p->west);
			assert_true(sent_on_port(p->west, WAN, &out));
			assert_true(out.len <= 1514);
			make_packet(&f, p->west, LAN, src, dst, 17, mtu - header - 7);
			from_port(p->west, LAN, &f);
			gateway_run(p->west);
			assert_false(sent_on_port(p->west, WAN, &out));
			pair_end((void **)&p);
		}
	}
}

static void packets_that_may_be_cut_are(void **state)
{
	struct pair *p = *state;
	struct frame f, wire, got;
	uint8_t whole[1480];
	unsigned have = 0;
	tunnel(p, &gcm);
	make_packet(&f, p->west, LAN, "10.1.0.2", "10.2.0.2", 17, 1472);
	f.bytes[20] = 0;
	refresh_ipv4(&f);
	from_port(p->west, LAN, &f);
	gateway_run(p->west);
	while (cross(p->west, p->east, &wire)) {
		assert_true(wire.len <= 1514);
		from_port(p->east, WAN, &wire);
	}
	gateway_run(p->east);
	while (sent_on_port(p->east, LAN, &got)) {
		unsigned at = (unsigned)((got.bytes[20] & 0x1f) << 8 | got.bytes[21]) * 8;
		assert_int_equal(ipv4_checksum(got.bytes + 14, 20), 0);
		assert_true(at + got.len - 34 <= sizeof(whole));
		memcpy(whole + at, got.bytes + 34, got.len - 34);
		have += got.len - 34;
		assert_int_equal(got.bytes[20] & 0x20 ? 1 : 0, at + got.len - 34 < sizeof(whole));
	}
	assert_int_equal(have, sizeof(whole));
	assert_memory_equal(whole, f.bytes + 34, sizeof(whole));
}

/* ---- header fields ---- */

static void tos_follows_the_rfcs(void **state)
{
	/* RFC 6040, figure 4: outer CE (3) and ECT(1) (1) over inner Not-ECT (0), ECT(0) (2), ECT(1) (1), CE (3). */
	static const struct { uint8_t inner, outer, result; bool dropped; } cases[] = {
		{0, 0, 0, false}, {0, 2, 0, false}, {0, 1, 0, false}, {0, 3, 0, true}, {2, 0, 2, false}, {2, 2, 2, false},
		{2, 1, 1, false}, {2, 3, 3, false}, {1, 0, 1, false}, {1, 2, 1, false}, {1, 1, 1, false}, {1, 3, 3, false},
		{3, 0, 3, false}, {3, 2, 3, false}, {3, 1, 3, false}, {3, 3, 3, false}};
	struct pair *p = *state;
	struct frame f, wire, got;
	tunnel(p, &gcm);
	for (size_t i = 0; i < 2 * sizeof(cases) / sizeof(cases[0]); i++) {
		unsigned c = (unsigned)i / 2;
		bool v6 = i % 2;
		make_packet(&f, p->west, LAN, v6 ? "fd01::2" : "10.1.0.2", v6 ? "fd02::2" : "10.2.0.2", 17, 10);
		uint8_t tos = 0xb8 | cases[c].inner;
		if (v6) {
			f.bytes[14] = 0x60 | tos >> 4;
			f.bytes[15] = (uint8_t)(tos << 4);
		} else {
			f.bytes[15] = tos;
			refresh_ipv4(&f);
		}
		from_port(p->west, LAN, &f);
		gateway_run(p->west);
		assert_true(cross(p->west, p->east, &wire));
		assert_int_equal(wire.bytes[15], tos); /* copied outwards */
		wire.bytes[15] = 0x28 | cases[c].outer;
		refresh_ipv4(&wire);
		from_port(p->east, WAN, &wire);
		gateway_run(p->east);
		assert_int_equal(sent_on_port(p->east, LAN, &got), !cases[c].dropped);
		if (cases[c].dropped)
			continue;
		uint8_t result = v6 ? (uint8_t)(got.bytes[14] << 4 | got.bytes[15] >> 4) : got.bytes[15];
		assert_int_equal(result, 0xb8 | cases[c].result);
		if (!v6)
			assert_int_equal(ipv4_checksum(got.bytes + 14, 20), 0);
	}
	assert_int_equal(counted(p->east, STAT_ECN), 2);
}

static void df_is_copied_or_cleared(void **state)
{
	struct pair *p = *state;
	struct frame f, wire;
	tunnel(p, &gcm);
	for (unsigned i = 0; i < 4; i++) {
		make_packet(&f, p->west, LAN, "10.1.0.2", "10.2.0.2", 17, 10);
		if (i & 1)
			f.bytes[20] = 0;
		refresh_ipv4(&f);
		p->west_out->no_pmtu_discovery = i & 2;
		from_port(p->west, LAN, &f);
		gateway_run(p->west);
		assert_true(cross(p->west, p->east, &wire));
		assert_int_equal(wire.bytes[20], i == 0 ? 0x40 : 0);
	}
}

/* ---- next hops ---- */

static void packets_wait_for_their_neighbour(void **state)
{
	struct pair *p = *state;
	struct frame f, wire, got;
	tunnel(p, &gcm);
	make_packet(&f, p->west, LAN, "10.1.0.2", "10.2.0.50", 17, 10);
	from_port(p->west, LAN, &f);
	from_port(p->west, LAN, &f);
	gateway_run(p->west);
	while (cross(p->west, p->east, &wire))
		from_port(p->east, WAN, &wire);
	gateway_run(p->east);
	assert_false(sent_on_port(p->east, LAN, &got));
	struct mail *mail = next_mail(p->east);
	assert_non_null(mail);
	assert_int_equal(mail->kind, MAIL_NEIGHBOUR);
	free(mail);
	assert_null(next_mail(p->east)); /* asked once */
	struct ip_address a;
	struct fib_entry e = {.key = {.kind = FIB_NEIGHBOUR, .family = AF_INET, .index = LAN}, .mac = {9, 9, 9, 9, 9, 9}};
	assert_true(ip_parse("10.2.0.50", &a));
	e.key.address = ip_key_of_address(&a);
	assert_true(fib_set(&p->east->dp.fib, &e));
	gateway_run(p->east);
	assert_true(sent_on_port(p->east, LAN, &got));
	assert_int_equal(got.bytes[0], 9);
	assert_true(sent_on_port(p->east, LAN, &got));
	/* Nobody there: dropped after a second. */
	make_packet(&f, p->west, LAN, "10.1.0.2", "10.2.0.51", 17, 10);
	from_port(p->west, LAN, &f);
	gateway_run(p->west);
	assert_true(cross(p->west, p->east, &wire));
	from_port(p->east, WAN, &wire);
	gateway_run(p->east);
	p->east->lc.now_ms += 1100;
	gateway_run(p->east);
	assert_int_equal(counted(p->east, STAT_NO_ROUTE), 1);
	assert_int_equal(p->east->lc.pending_count, 0);
}

static void what_the_kernel_knows_better_is_the_kernels(void **state)
{
	struct pair *p = *state;
	struct frame f, wire, got;
	tunnel(p, &gcm);
	/* To the gateway behind the tunnel itself. */
	make_packet(&f, p->west, LAN, "10.1.0.2", "10.2.0.1", 17, 10);
	from_port(p->west, LAN, &f);
	gateway_run(p->west);
	assert_true(cross(p->west, p->east, &wire));
	from_port(p->east, WAN, &wire);
	gateway_run(p->east);
	assert_true(given_to_twin(p->east, WAN, &got));
	assert_memory_equal(got.bytes, &p->east->dp.ports[WAN].mac, 6);
	/* The last hop of a packet: the kernel answers. */
	make_packet(&f, p->west, LAN, "10.1.0.2", "10.2.0.2", 17, 10);
	f.bytes[22] = 1;
	refresh_ipv4(&f);
	from_port(p->west, LAN, &f);
	gateway_run(p->west);
	assert_true(given_to_twin(p->west, LAN, &got));
	assert_memory_equal(got.bytes, f.bytes, f.len);
	/* ARP, and frames to others. */
	memset(&f, 0, sizeof(f));
	f.len = 60;
	memset(f.bytes, 0xff, 6);
	f.bytes[12] = 8;
	f.bytes[13] = 6;
	from_port(p->west, LAN, &f);
	assert_true(given_to_twin(p->west, LAN, &got));
	from_twin(p->west, LAN, &f);
	assert_true(sent_on_port(p->west, LAN, &got));
	/* Too short for a frame. */
	f.len = 9;
	from_port(p->west, LAN, &f);
	assert_int_equal(counted(p->west, STAT_MALFORMED), 1);
}

static void an_sa_moves_with_its_path(void **state)
{
	struct pair *p = *state;
	struct frame f, wire;
	struct shape s = gcm;
	tunnel(p, &s);
	make_packet(&f, p->west, LAN, "10.1.0.2", "10.2.0.2", 17, 10);
	from_port(p->west, LAN, &f);
	gateway_run(p->west);
	assert_true(cross(p->west, p->east, &wire));
	struct ip_endpoint local = {.port = 4500}, remote = {.port = 12345};
	assert_true(ip_parse("192.0.2.1", &local.address) && ip_parse("192.0.2.9", &remote.address));
	struct sa_path *path = sa_path_new(&local, &remote, true), *old = p->west_out->path;
	__atomic_store_n(&p->west_out->path, path, __ATOMIC_RELEASE);
	grace_retire(&p->west->dp.grace, &old->retired, sa_path_release);
	from_port(p->west, LAN, &f);
	gateway_run(p->west);
	assert_true(cross(p->west, p->east, &wire));
	assert_int_equal(wire.bytes[14 + 19], 9);
	assert_int_equal(wire.bytes[36] << 8 | wire.bytes[37], 12345);
}

static void noise_does_no_harm(void **state)
{
	struct pair *p = *state;
	struct frame f, out;
	uint64_t x = 12345;
	tunnel(p, &gcm);
	for (unsigned i = 0; i < 60000; i++) {
		static const char *const pairs[][2] = {{"10.1.0.2", "10.2.0.2"}, {"fd01::2", "fd02::2"},
			{"192.0.2.2", "192.0.2.1"}, {"2001:db8::2", "2001:db8::1"}};
		static const uint8_t protocols[] = {6, 17, 1, 58, 50};
		x = x * 6364136223846793005u + 1442695040888963407u;
		unsigned k = (unsigned)(x >> 40);
		make_packet(&f, p->west, k & 1, pairs[k % 4][0], pairs[k % 4][1], protocols[k % 5], k % 97);
		for (unsigned changes = k % 6; changes > 0; changes--) {
			x = x * 6364136223846793005u + 1442695040888963407u;
			f.bytes[12 + (x >> 33) % (f.len > 60 ? 60 : f.len - 12)] = (uint8_t)(x >> 20);
		}
		if (k % 3 == 0)
			f.len = (unsigned)(x >> 35) % (f.len + 1);
		if (k & 2)
			from_port(p->west, k & 1, &f);
		else
			from_twin(p->west, k & 1, &f);
		gateway_run(p->west);
		p->west->lc.now_ms += 100;
		for (unsigned port = 0; port < PORTS; port++) {
			while (sent_on_port(p->west, port, &out))
				continue;
			while (given_to_twin(p->west, port, &out))
				continue;
		}
		struct mail *mail;
		while ((mail = next_mail(p->west)) != NULL)
			free(mail);
	}
	forward_drop_pending(&p->west->lc);
	assert_int_equal(rte_mempool_in_use_count(p->west->dp.pool), 0);
}

static int group_start(void **state)
{
	(void)state;
	return gateways_start() ? 0 : -1;
}

static int group_end(void **state)
{
	(void)state;
	gateways_stop();
	return 0;
}

int main(void)
{
#define WITH_PAIR(test) cmocka_unit_test_setup_teardown(test, pair_start, pair_end)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tunnels_carry_packets),
		WITH_PAIR(esn_turns_over),
		cmocka_unit_test(transport_carries_packets),
		WITH_PAIR(translated_checksums_are_renewed),
		WITH_PAIR(protected_traffic_never_goes_in_clear),
		WITH_PAIR(ike_passes_every_policy),
		WITH_PAIR(replays_and_strangers_are_counted),
		WITH_PAIR(tampered_and_truncated_frames_are_dropped),
		WITH_PAIR(selectors_are_checked_behind_the_tunnel),
		WITH_PAIR(sequence_numbers_end),
		WITH_PAIR(limits_tell_and_stop),
		WITH_PAIR(traps_acquire_once_a_second),
		WITH_PAIR(a_moved_peer_is_told_of),
		cmocka_unit_test(too_big_is_answered),
		WITH_PAIR(packets_that_may_be_cut_are),
		WITH_PAIR(tos_follows_the_rfcs),
		WITH_PAIR(df_is_copied_or_cleared),
		WITH_PAIR(packets_wait_for_their_neighbour),
		WITH_PAIR(what_the_kernel_knows_better_is_the_kernels),
		WITH_PAIR(an_sa_moves_with_its_path),
		WITH_PAIR(noise_does_no_harm),
	};
	return cmocka_run_group_tests_name("dataplane packets", tests, group_start, group_end);
}
