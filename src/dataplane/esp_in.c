/* Inbound ESP (RFC 4303, section 3.4): SA by SPI, replay check, cryptography in bursts,
 * decapsulation, and the check of what came out against the SA's selectors. */
#include <string.h>

#include <rte_ip.h>

#include "dp.h"

enum { ECN_NOT_ECT = 0, ECN_ECT1 = 1, ECN_ECT0 = 2, ECN_CE = 3, ECN_MASK = 3 };

static uint32_t get32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void put16(uint8_t *p, unsigned v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static void add_one(uint64_t *counter)
{
	__atomic_store_n(counter, *counter + 1, __ATOMIC_RELAXED);
}

void esp_in_add(struct lcore *lc, struct rte_mbuf *m)
{
	struct packet *p = packet_of(m);
	if (p->flow.len < p->esp_at + (unsigned)ESP_HEADER_LEN) {
		drop(lc, m, STAT_MALFORMED);
		return;
	}
	uint32_t spi = get32(rte_pktmbuf_mtod_offset(m, const uint8_t *, p->esp_at));
	const struct sa *sa = sad_inbound(&lc->dp->sad, spi);
	if (!sa) {
		drop(lc, m, STAT_NO_SPI);
		return;
	}
	if (sa->owner != lc->index) {
		lcore_hand_over(lc, sa->owner, m, HANDOVER_ESP_IN);
		return;
	}
	if (!esp_len_possible(&sa->esp.transform, p->flow.len - p->esp_at)) {
		drop(lc, m, STAT_MALFORMED);
		return;
	}
	if (lc->esp_in_count == ESP_BURST_MAX)
		esp_in_run(lc);
	lc->esp_in[lc->esp_in_count++] = m;
}

/* ---- before the cryptography ---- */

static bool prepare(struct lcore *lc, struct rte_mbuf *m, struct esp_op *op)
{
	struct packet *p = packet_of(m);
	uint8_t *esp = rte_pktmbuf_mtod_offset(m, uint8_t *, p->esp_at);
	struct sa *sa = sad_inbound(&lc->dp->sad, get32(esp));
	if (!sa) { /* deleted meanwhile */
		drop(lc, m, STAT_NO_SPI);
		return false;
	}
	if (sa->stopped) {
		drop(lc, m, STAT_EXPIRED);
		return false;
	}
	uint64_t seq = get32(esp + 4);
	if ((sa->esp.esn && !replay_infer_esn(&sa->replay, (uint32_t)seq, &seq)) ||
		!replay_check(&sa->replay, seq)) {
		add_one(&sa->counters.replayed);
		drop(lc, m, STAT_REPLAY);
		return false;
	}
	op->context = &sa->esp;
	op->esp = esp;
	op->len = p->flow.len - p->esp_at;
	op->seq = seq;
	return true;
}

static struct sa *sa_of_op(const struct esp_op *op)
{
	return (struct sa *)((char *)(uintptr_t)op->context - offsetof(struct sa, esp));
}

/* ---- behind it ---- */

/* RFC 6040, section 4.2, figure 4. False: the packet must be dropped. */
static bool combine_ecn(uint8_t outer, uint8_t *inner)
{
	outer &= ECN_MASK;
	if (outer == ECN_CE) {
		if ((*inner & ECN_MASK) == ECN_NOT_ECT)
			return false;
		*inner |= ECN_CE;
	} else if (outer == ECN_ECT1 && (*inner & ECN_MASK) == ECN_ECT0) {
		*inner = (uint8_t)((*inner & ~ECN_MASK) | ECN_ECT1);
	}
	return true;
}

/* The inner header's TOS byte, with its checksum kept right (RFC 1624). */
static void set_tos(uint8_t *ip, struct flow *f, uint8_t tos)
{
	if (f->tos == tos)
		return;
	if (f->family == AF_INET) {
		uint32_t sum = (uint16_t) ~(ip[10] << 8 | ip[11]);
		sum += (uint16_t)~f->tos;
		sum += tos;
		sum = (sum & 0xffff) + (sum >> 16);
		sum = (sum & 0xffff) + (sum >> 16);
		ip[1] = tos;
		put16(ip + 10, ~sum & 0xffff);
	} else {
		ip[0] = (uint8_t)(0x60 | tos >> 4);
		ip[1] = (uint8_t)(tos << 4 | (ip[1] & 15));
	}
	f->tos = tos;
}

static bool open_tunnel(struct lcore *lc, struct rte_mbuf *m, const struct sa *sa,
	const uint8_t *payload, unsigned len, uint8_t next_header)
{
	struct packet *p = packet_of(m);
	uint8_t outer_tos = p->flow.tos, *ip = rte_pktmbuf_mtod(m, uint8_t *);
	uint8_t expected = next_header == PROTOCOL_IPV4 ? 4 : 6;
	if ((next_header != PROTOCOL_IPV4 && next_header != PROTOCOL_IPV6) || len == 0 ||
		payload[0] >> 4 != expected || !flow_parse(payload, len, &p->flow)) {
		drop(lc, m, STAT_MALFORMED);
		return false;
	}
	rte_pktmbuf_adj(m, (uint16_t)(payload - ip));
	/* What is behind the inner packet is traffic flow padding (RFC 4303, section 2.7). */
	rte_pktmbuf_trim(m, (uint16_t)(rte_pktmbuf_data_len(m) - p->flow.len));
	uint8_t tos = p->flow.tos;
	if (!combine_ecn(outer_tos, &tos)) {
		drop(lc, m, STAT_ECN);
		return false;
	}
	if (sa->decap_dscp)
		tos = (uint8_t)((outer_tos & ~ECN_MASK) | (tos & ECN_MASK));
	set_tos(rte_pktmbuf_mtod(m, uint8_t *), &p->flow, tos);
	return true;
}

/* Between translators the checksum was made over other addresses; the ICV vouches for the
 * content (RFC 3948, section 3.1.2). */
static void renew_checksum(struct rte_mbuf *m, const struct flow *f)
{
	uint8_t *ip = rte_pktmbuf_mtod(m, uint8_t *), *at = ip + f->header_len;
	unsigned len = f->len - f->header_len, where;
	if (f->fragment != FLOW_WHOLE)
		return;
	if (f->protocol == PROTOCOL_TCP && len >= 20)
		where = 16;
	else if (f->protocol == PROTOCOL_UDP && len >= 8)
		where = 6;
	else
		return;
	uint16_t sum = 0;
	if (f->protocol == PROTOCOL_UDP && f->family == AF_INET && (at[6] | at[7]) == 0)
		return; /* sent without one */
	memcpy(at + where, &sum, sizeof(sum));
	if (f->family == AF_INET)
		sum = rte_ipv4_udptcp_cksum((void *)ip, at);
	else if (f->header_len == 40)
		sum = rte_ipv6_udptcp_cksum((void *)ip, at);
	memcpy(at + where, &sum, sizeof(sum));
}

/* Puts the IP header in front of the payload that ESP carried. */
static bool open_transport(struct lcore *lc, struct rte_mbuf *m, const struct sa *sa,
	const uint8_t *payload, unsigned len, uint8_t next_header)
{
	struct packet *p = packet_of(m);
	unsigned header_len = p->flow.header_len, protocol_at = p->flow.protocol_at;
	uint8_t *old = rte_pktmbuf_mtod(m, uint8_t *);
	uint8_t *ip = old + (payload - old) - header_len;
	memmove(ip, old, header_len);
	rte_pktmbuf_adj(m, (uint16_t)(ip - old));
	rte_pktmbuf_trim(m, (uint16_t)(rte_pktmbuf_data_len(m) - header_len - len));
	ip[protocol_at] = next_header;
	if (p->flow.family == AF_INET) {
		put16(ip + 2, header_len + len);
		put16(ip + 10, 0);
		put16(ip + 10, ipv4_checksum(ip, header_len));
	} else {
		put16(ip + 4, header_len + len - 40);
	}
	if (!flow_parse(ip, header_len + len, &p->flow)) {
		drop(lc, m, STAT_MALFORMED);
		return false;
	}
	if (sa_path_of(sa)->udp_encapsulation)
		renew_checksum(m, &p->flow);
	return true;
}

static bool over(uint64_t value, uint64_t limit)
{
	return limit != 0 && value >= limit;
}

static void count_carried(struct lcore *lc, struct sa *sa, unsigned bytes)
{
	struct sa_counters *c = &sa->counters;
	const struct ipsec_limits *limits = &sa->limits;
	__atomic_store_n(&c->packets, c->packets + 1, __ATOMIC_RELAXED);
	__atomic_store_n(&c->bytes, c->bytes + bytes, __ATOMIC_RELAXED);
	__atomic_store_n(&c->used_ms, lc->now_ms, __ATOMIC_RELAXED);
	count(lc, STAT_ESP_IN_PACKETS, 1);
	count(lc, STAT_ESP_IN_BYTES, bytes);
	if (!sa->soft_told &&
		(over(c->packets, limits->soft_packets) || over(c->bytes, limits->soft_bytes))) {
		sa->soft_told = true;
		event_sa(lc, sa, IPSEC_EXPIRE_SOFT);
	}
	if (!sa->stopped &&
		(over(c->packets, limits->hard_packets) || over(c->bytes, limits->hard_bytes))) {
		sa->stopped = true;
		event_sa(lc, sa, IPSEC_EXPIRE_HARD);
	}
}

/* Only the newest packet tells where the peer is now: an old one may have been held back. */
static void note_remote(struct lcore *lc, struct sa *sa, const struct packet *p,
	const struct ip_key *src, uint8_t family, uint64_t seq)
{
	const struct sa_path *path = sa_path_of(sa);
	if (!path->udp_encapsulation || !p->encapsulated || seq != sa->replay.top)
		return;
	if (path->family == family && ip_key_equal(&path->remote, src) &&
		path->remote_port == p->outer_port)
		return;
	struct ip_endpoint remote = {ip_address_of_key(src, family), p->outer_port};
	event_moved(lc, sa, &remote);
}

static void finish(struct lcore *lc, struct rte_mbuf *m, const struct esp_op *op)
{
	struct packet *p = packet_of(m);
	struct sa *sa = sa_of_op(op);
	struct ip_key src = p->flow.src;
	uint8_t family = p->flow.family;
	if (!op->ok) {
		add_one(&sa->counters.failed_auth);
		drop(lc, m, STAT_AUTH);
		return;
	}
	if (!replay_accept(&sa->replay, op->seq)) { /* twice in one burst */
		add_one(&sa->counters.replayed);
		drop(lc, m, STAT_REPLAY);
		return;
	}
	note_remote(lc, sa, p, &src, family, op->seq);
	const uint8_t *payload = esp_payload(op);
	unsigned len = esp_payload_len(op), padding = payload[len - 2];
	uint8_t next_header = payload[len - 1];
	if (padding + ESP_TRAILER_LEN > len) {
		drop(lc, m, STAT_MALFORMED);
		return;
	}
	len -= padding + ESP_TRAILER_LEN;
	if (next_header == PROTOCOL_NONE) { /* a dummy packet (RFC 4303, section 2.6) */
		count_carried(lc, sa, 0);
		rte_pktmbuf_free(m);
		return;
	}
	bool opened = sa->mode == IPSEC_TUNNEL
			      ? open_tunnel(lc, m, sa, payload, len, next_header)
			      : open_transport(lc, m, sa, payload, len, next_header);
	if (!opened)
		return;
	if (!sa_selects(sa, &p->flow, IPSEC_INBOUND)) {
		add_one(&sa->counters.bad_selector);
		drop(lc, m, STAT_SELECTOR);
		return;
	}
	count_carried(lc, sa, sa->mode == IPSEC_TUNNEL ? p->flow.len : len);
	p->origin = ORIGIN_TUNNEL;
	classify_inner(lc, m);
}

void esp_in_run(struct lcore *lc)
{
	unsigned taken = lc->esp_in_count, n = 0;
	struct rte_mbuf *mbufs[ESP_BURST_MAX];
	if (taken == 0)
		return;
	for (unsigned i = 0; i < taken; i++) {
		if (prepare(lc, lc->esp_in[i], &lc->ops_in[n]))
			mbufs[n++] = lc->esp_in[i];
	}
	lc->esp_in_count = 0;
	esp_open_burst(&lc->engine, lc->ops_in, n);
	for (unsigned i = 0; i < n; i++)
		finish(lc, mbufs[i], &lc->ops_in[i]);
}
