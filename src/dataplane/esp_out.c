/* Outbound ESP (RFC 4303, section 3.3): SA, size, encapsulation, sequence number, cryptography in
 * bursts, next hop. */
#include <string.h>

#include <rte_ip.h>

#include "dp.h"

#define HOP_CHECK_MS  2000
#define SEQ_LEFT_SOFT (1ull << 24) /* packets before the end of 32-bit numbers: time for a new SA  \
				    */
#define INNER_MTU_MIN 68

/* ---- the SA's next hop ---- */

static bool find_hop(struct lcore *lc, struct sa *sa, struct fib_hop *hop)
{
	const struct sa_path *path = sa_path_of(sa);
	return forward_find_hop(lc, path->family, &path->remote, hop);
}

/* Refreshes what the SA remembers of its way. False: there is none. */
static bool check_hop(struct lcore *lc, struct sa *sa)
{
	struct sa_hop *h = &sa->hop;
	const struct sa_path *path = sa_path_of(sa);
	uint64_t generation = fib_generation(&lc->dp->fib);
	if (h->path == path && h->generation == generation &&
		lc->now_ms - h->checked_ms < HOP_CHECK_MS)
		return true;
	struct fib_hop hop;
	if (!find_hop(lc, sa, &hop))
		return false;
	*h = (struct sa_hop){.path = path,
		.generation = generation,
		.checked_ms = lc->now_ms,
		.hop = hop,
		.mtu = lc->dp->ports[hop.port].mtu};
	return true;
}

/* ---- sizes ---- */

/* What ESP carries of the packet: all of it, or what lies behind the IP header. */
static unsigned carried(const struct sa *sa, const struct flow *f)
{
	return sa->mode == IPSEC_TUNNEL ? f->len : f->len - f->transport_at;
}

static unsigned padded(const struct sa *sa, unsigned len)
{
	unsigned align = sa->esp.transform.align;
	return (len + ESP_TRAILER_LEN + align - 1) / align * align;
}

static unsigned headers_len(const struct sa *sa, const struct sa_path *path, const struct flow *f)
{
	if (sa->mode == IPSEC_TUNNEL)
		return path->header_len;
	return f->transport_at + (path->udp_encapsulation ? 8u : 0u);
}

static unsigned outer_len(const struct sa *sa, const struct sa_path *path, const struct flow *f)
{
	return headers_len(sa, path, f) + esp_overhead(&sa->esp.transform) +
	       padded(sa, carried(sa, f));
}

/* The longest packet that still fits. */
static unsigned inner_mtu(const struct sa *sa, const struct sa_path *path, const struct flow *f)
{
	unsigned align = sa->esp.transform.align;
	unsigned room = sa->hop.mtu,
		 around = headers_len(sa, path, f) + esp_overhead(&sa->esp.transform);
	if (room <= around + align)
		return 0;
	room = (room - around) / align * align - ESP_TRAILER_LEN;
	return sa->mode == IPSEC_TUNNEL ? room : room + f->transport_at;
}

/* ---- taking a packet in ---- */

static void push(struct lcore *lc, struct rte_mbuf *m, struct sa *sa)
{
	if (lc->esp_out_count == ESP_BURST_MAX)
		esp_out_run(lc);
	lc->esp_out[lc->esp_out_count++] = (struct outbound){m, sa};
}

/* What the kernel sent is as old as it should be. Not before an answer to the sender, who is to see
 * the packet as it came. */
static void age_forwarded(struct rte_mbuf *m)
{
	uint8_t origin = packet_of(m)->origin;
	if (origin == ORIGIN_PORT || origin == ORIGIN_TUNNEL)
		forward_age(m);
}

/* RFC 4301, section 8: the sender learns the size where it may not be cut, else it is cut before it
 * is protected, so that the peer need not put ESP packets together. */
static void too_big(struct lcore *lc, struct rte_mbuf *m, struct sa *sa, unsigned mtu)
{
	struct packet *p = packet_of(m);
	if (mtu < INNER_MTU_MIN) {
		drop(lc, m, STAT_TOO_BIG);
		return;
	}
	if (p->flow.dont_fragment || sa->mode == IPSEC_TRANSPORT) {
		icmp_too_big(lc, m, mtu);
		drop(lc, m, STAT_TOO_BIG);
		return;
	}
	age_forwarded(m);
	struct rte_mbuf *fragments[FRAGMENTS_MAX];
	unsigned n = fragment_ipv4(lc, m, mtu, fragments);
	for (unsigned i = 0; i < n; i++)
		push(lc, fragments[i], sa);
}

void esp_out_add(struct lcore *lc, struct rte_mbuf *m, struct policy *policy)
{
	struct packet *p = packet_of(m);
	struct sa *sa =
		policy->group ? __atomic_load_n(&policy->group->newest, __ATOMIC_ACQUIRE) : NULL;
	if (!sa) {
		if (policy->trap)
			event_acquire(lc, policy, &p->flow);
		drop(lc, m, STAT_NO_SA);
		return;
	}
	if (sa->owner != lc->index) {
		lcore_hand_over(lc, sa->owner, m, HANDOVER_OUTBOUND);
		return;
	}
	if (!sa_selects(sa, &p->flow, IPSEC_OUTBOUND) ||
		(sa->mode == IPSEC_TRANSPORT && p->flow.fragment != FLOW_WHOLE)) {
		drop(lc, m, STAT_SELECTOR);
		return;
	}
	if (!check_hop(lc, sa)) {
		drop(lc, m, STAT_NO_ROUTE);
		return;
	}
	const struct sa_path *path = sa_path_of(sa);
	if (outer_len(sa, path, &p->flow) > sa->hop.mtu) {
		too_big(lc, m, sa, inner_mtu(sa, path, &p->flow));
		return;
	}
	age_forwarded(m);
	push(lc, m, sa);
}

/* ---- sequence numbers and limits ---- */

static bool over(uint64_t value, uint64_t limit)
{
	return limit != 0 && value >= limit;
}

static void stop(struct lcore *lc, struct sa *sa)
{
	if (!sa->stopped)
		event_sa(lc, sa, IPSEC_EXPIRE_HARD);
	sa->stopped = true;
}

/* False: the SA must not be used any more (RFC 4303, section 3.3.3). */
static bool next_seq(struct lcore *lc, struct sa *sa, uint64_t *seq)
{
	const struct ipsec_limits *limits = &sa->limits;
	uint64_t last = sa->esp.esn ? UINT64_MAX : UINT32_MAX;
	if (sa->stopped)
		return false;
	if (sa->seq == last || over(sa->counters.packets, limits->hard_packets) ||
		over(sa->counters.bytes, limits->hard_bytes)) {
		stop(lc, sa);
		return false;
	}
	*seq = ++sa->seq;
	if (!sa->soft_told && (last - sa->seq < SEQ_LEFT_SOFT ||
				      over(sa->counters.packets + 1, limits->soft_packets) ||
				      over(sa->counters.bytes, limits->soft_bytes))) {
		sa->soft_told = true;
		event_sa(lc, sa, IPSEC_EXPIRE_SOFT);
	}
	return true;
}

static void count_carried(struct lcore *lc, struct sa *sa, unsigned bytes)
{
	struct sa_counters *c = &sa->counters;
	__atomic_store_n(&c->packets, c->packets + 1, __ATOMIC_RELAXED);
	__atomic_store_n(&c->bytes, c->bytes + bytes, __ATOMIC_RELAXED);
	__atomic_store_n(&c->used_ms, lc->now_ms, __ATOMIC_RELAXED);
	count(lc, STAT_ESP_OUT_PACKETS, 1);
	count(lc, STAT_ESP_OUT_BYTES, bytes);
}

/* ---- headers ---- */

static void put16(uint8_t *p, unsigned v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static void finish_ipv4(uint8_t *ip, unsigned header_len)
{
	put16(ip + 10, 0);
	put16(ip + 10, ipv4_checksum(ip, header_len));
}

/* DF as the inner packet has it, but for an SA without path MTU discovery; a packet that may be cut
 * on its way needs an ID of its own (RFC 6864). */
static void write_tunnel_header(struct lcore *lc, const struct sa *sa, const struct sa_path *path,
	const struct flow *inner, uint8_t *out, unsigned total)
{
	memcpy(out, path->header, path->header_len);
	if (path->family == AF_INET) {
		bool df = inner->dont_fragment && !sa->no_pmtu_discovery;
		out[1] = inner->tos; /* DSCP: RFC 4301, section 5.1.2; ECN: RFC 6040, normal mode */
		put16(out + 2, total);
		put16(out + 4, df ? 0 : lc->ip_id++);
		put16(out + 6, df ? 0x4000 : 0);
		finish_ipv4(out, 20);
	} else {
		out[0] = (uint8_t)(0x60 | inner->tos >> 4);
		out[1] = (uint8_t)(inner->tos << 4);
		put16(out + 4, total - 40);
	}
	if (path->udp_encapsulation)
		put16(out + path->header_len - 4, total - (path->header_len - 8u));
}

/* Moves the IP header in front of the place that was made for ESP. */
static void write_transport_header(const struct sa_path *path, const struct flow *f, uint8_t *out,
	const uint8_t *ip, unsigned total)
{
	uint8_t *udp = out + f->transport_at;
	memmove(out, ip, f->transport_at);
	out[f->next_header_at] = path->udp_encapsulation ? PROTOCOL_UDP : PROTOCOL_ESP;
	if (path->udp_encapsulation) {
		put16(udp, path->local_port);
		put16(udp + 2, path->remote_port);
		put16(udp + 4, total - f->transport_at);
		put16(udp + 6, 0);
	}
	if (f->family == AF_INET) {
		put16(out + 2, total);
		finish_ipv4(out, f->transport_at);
	} else {
		put16(out + 4, total - 40);
	}
}

/* RFC 4303, section 2.4: padding 1, 2, 3, ... and the trailer. */
static void write_trailer(uint8_t *at, unsigned padding, uint8_t next_header)
{
	for (unsigned i = 0; i < padding; i++)
		at[i] = (uint8_t)(i + 1);
	at[padding] = (uint8_t)padding;
	at[padding + 1] = next_header;
}

static uint8_t next_header_of(const struct sa *sa, const struct flow *f, const uint8_t *ip)
{
	if (sa->mode == IPSEC_TRANSPORT)
		return ip[f->next_header_at];
	return f->family == AF_INET ? PROTOCOL_IPV4 : PROTOCOL_IPV6;
}

/* Makes room around the packet and fills in all that is not cryptography. False: no room, or the SA
 * has come to its end; the packet is gone then. */
static bool encapsulate(struct lcore *lc, struct rte_mbuf *m, struct sa *sa, struct esp_op *op)
{
	struct flow *f = &packet_of(m)->flow;
	const struct sa_path *path = sa_path_of(sa);
	const struct esp_transform *t = &sa->esp.transform;
	unsigned payload = carried(sa, f), total = padded(sa, payload);
	unsigned headers = headers_len(sa, path, f);
	unsigned kept = sa->mode == IPSEC_TUNNEL ? 0 : f->transport_at;
	unsigned front = headers - kept + ESP_HEADER_LEN + t->iv_len;
	if (rte_pktmbuf_headroom(m) < front + ETHER_LEN ||
		rte_pktmbuf_tailroom(m) < total - payload + t->icv_len) {
		drop(lc, m, STAT_NO_BUFFER);
		return false;
	}
	if (!next_seq(lc, sa, &op->seq)) {
		drop(lc, m, STAT_EXPIRED);
		return false;
	}
	uint8_t *ip = rte_pktmbuf_mtod(m, uint8_t *);
	uint8_t next_header = next_header_of(sa, f, ip);
	uint8_t *out = (uint8_t *)rte_pktmbuf_prepend(m, (uint16_t)front);
	uint8_t *tail = (uint8_t *)rte_pktmbuf_append(m, (uint16_t)(total - payload + t->icv_len));
	write_trailer(tail, total - payload - ESP_TRAILER_LEN, next_header);
	unsigned esp_len = total + esp_overhead(t);
	if (sa->mode == IPSEC_TUNNEL)
		write_tunnel_header(lc, sa, path, f, out, headers + esp_len);
	else
		write_transport_header(path, f, out, ip, headers + esp_len);
	op->context = &sa->esp;
	op->esp = out + headers;
	op->len = esp_len;
	count_carried(lc, sa, payload);
	return true;
}

/* IPv6 knows no UDP without a checksum (RFC 8200, section 8.1). */
static void finish_udp6(struct rte_mbuf *m, const struct sa_path *path, unsigned headers)
{
	struct rte_ipv6_hdr *ip = rte_pktmbuf_mtod(m, struct rte_ipv6_hdr *);
	uint8_t *udp = (uint8_t *)ip + headers - 8;
	if (path->family != AF_INET6 || !path->udp_encapsulation || ip->proto != PROTOCOL_UDP)
		return;
	put16(udp + 6, 0);
	uint16_t sum = rte_ipv6_udptcp_cksum(ip, udp);
	memcpy(udp + 6, &sum, sizeof(sum));
}

void esp_out_run(struct lcore *lc)
{
	unsigned taken = lc->esp_out_count, n = 0;
	if (taken == 0)
		return;
	for (unsigned i = 0; i < taken; i++) {
		struct outbound o = lc->esp_out[i];
		if (encapsulate(lc, o.mbuf, o.sa, &lc->ops[n]))
			lc->esp_out[n++] = o;
	}
	esp_seal_burst(&lc->engine, lc->ops, n);
	/* forward_to_hop comes back here in no case: the batch is free from now on. */
	lc->esp_out_count = 0;
	for (unsigned i = 0; i < n; i++) {
		struct outbound o = lc->esp_out[i];
		if (!lc->ops[i].ok) {
			drop(lc, o.mbuf, STAT_MALFORMED);
			continue;
		}
		finish_udp6(o.mbuf, sa_path_of(o.sa),
			(unsigned)(lc->ops[i].esp - rte_pktmbuf_mtod(o.mbuf, uint8_t *)));
		forward_to_hop(lc, o.mbuf, &o.sa->hop.hop);
	}
}
