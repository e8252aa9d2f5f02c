/* What the gateway itself has to say: the packet was too big for the tunnel (RFC 4301, section 8.2;
 * RFC 792 and 1191, RFC 4443). */
#include <string.h>

#include <rte_ip.h>

#include "dp.h"

#define ANSWERS_PER_SECOND 200
#define QUOTE_IPV4         548  /* RFC 1812, section 4.3.2.3: 576 bytes in all */
#define QUOTE_IPV6         1232 /* RFC 4443, section 2.4: 1280 in all */
#define HOP_LIMIT          64

static bool may_answer(struct lcore *lc)
{
	uint64_t passed = lc->now_ms - lc->icmp_filled_ms;
	uint64_t more = passed * ANSWERS_PER_SECOND / 1000;
	if (more > 0) {
		lc->icmp_filled_ms = lc->now_ms;
		lc->icmp_tokens = more + lc->icmp_tokens > ANSWERS_PER_SECOND
					  ? ANSWERS_PER_SECOND
					  : (unsigned)(lc->icmp_tokens + more);
	}
	if (lc->icmp_tokens == 0)
		return false;
	lc->icmp_tokens--;
	return true;
}

/* RFC 1122, section 3.2.2; RFC 4443, section 2.4 (e): never on errors, on later fragments, or to
 * nobody. */
static bool deserves_answer(const struct flow *f)
{
	uint8_t type = (uint8_t)(f->src_port >> 8);
	if (f->fragment == FLOW_LATER_FRAGMENT || flow_is_multicast(f) ||
		(f->src.word[0] | f->src.word[1]) == 0)
		return false;
	if (f->protocol == PROTOCOL_ICMP && f->family == AF_INET)
		return f->has_ports && (type == 0 || type == 8 || (type >= 13 && type <= 18));
	if (f->protocol == PROTOCOL_ICMPV6 && f->family == AF_INET6)
		return f->has_ports && type >= 128;
	return true;
}

static void put16(uint8_t *p, unsigned v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static void write_ipv4(
	uint8_t *ip, const struct ip_key *src, const struct ip_key *dst, unsigned total)
{
	memset(ip, 0, 20);
	ip[0] = 0x45;
	put16(ip + 2, total);
	put16(ip + 6, 0x4000);
	ip[8] = HOP_LIMIT;
	ip[9] = PROTOCOL_ICMP;
	memcpy(ip + 12, src, 4);
	memcpy(ip + 16, dst, 4);
	put16(ip + 10, ipv4_checksum(ip, 20));
}

static void write_ipv6(
	uint8_t *ip, const struct ip_key *src, const struct ip_key *dst, unsigned total)
{
	memset(ip, 0, 40);
	ip[0] = 0x60;
	put16(ip + 4, total - 40);
	ip[6] = PROTOCOL_ICMPV6;
	ip[7] = HOP_LIMIT;
	memcpy(ip + 8, src, 16);
	memcpy(ip + 24, dst, 16);
}

static void write_message(uint8_t *ip, uint8_t family, unsigned total, unsigned mtu)
{
	uint8_t *icmp = ip + (family == AF_INET ? 20 : 40);
	memset(icmp, 0, 8);
	if (family == AF_INET) {
		icmp[0] = 3; /* destination unreachable, */
		icmp[1] = 4; /* fragmentation needed */
		put16(icmp + 6, mtu);
		put16(icmp + 2, ipv4_checksum(icmp, total - 20));
	} else {
		icmp[0] = 2; /* packet too big */
		put16(icmp + 6, mtu);
		uint16_t sum = rte_ipv6_udptcp_cksum((const void *)ip, icmp);
		memcpy(icmp + 2, &sum, sizeof(sum));
	}
}

/* The gateway's own kernel would not believe an error that comes from itself: it hears it as from
 * the other end. */
static struct ip_key answer_source(
	struct lcore *lc, const struct flow *f, const struct port_source *source)
{
	if (fib_is_local(&lc->dp->fib, f->family, &f->src))
		return f->dst;
	return f->family == AF_INET ? source->address4 : source->address6;
}

void icmp_too_big(struct lcore *lc, const struct rte_mbuf *m, unsigned mtu)
{
	const struct packet *p = packet_of((struct rte_mbuf *)(uintptr_t)m);
	const struct flow *f = &p->flow;
	const struct port_source *source =
		__atomic_load_n(&lc->dp->ports[p->port].source, __ATOMIC_ACQUIRE);
	bool v4 = f->family == AF_INET;
	/* IPv6 knows no smaller one (RFC 8200, section 5). */
	if (!v4 && mtu < 1280)
		mtu = 1280;
	if (!source || !(v4 ? source->has4 : source->has6) || !deserves_answer(f) ||
		!may_answer(lc))
		return;
	unsigned header = v4 ? 20 : 40, quote = v4 ? QUOTE_IPV4 : QUOTE_IPV6;
	if (quote > f->len)
		quote = f->len;
	struct rte_mbuf *answer = rte_pktmbuf_alloc(lc->dp->pool);
	uint8_t *ip = answer ? (uint8_t *)rte_pktmbuf_append(answer, (uint16_t)(header + 8 + quote))
			     : NULL;
	if (!ip) {
		rte_pktmbuf_free(answer);
		count(lc, STAT_NO_BUFFER, 1);
		return;
	}
	unsigned total = header + 8 + quote;
	memcpy(ip + header + 8, rte_pktmbuf_mtod(m, const uint8_t *), quote);
	struct ip_key src = answer_source(lc, f, source);
	if (v4)
		write_ipv4(ip, &src, &f->src, total);
	else
		write_ipv6(ip, &src, &f->src, total);
	write_message(ip, f->family, total, mtu);
	struct packet *a = packet_of(answer);
	a->port = p->port;
	a->origin = ORIGIN_SELF;
	if (flow_parse(ip, total, &a->flow))
		classify_inner(lc, answer);
	else
		rte_pktmbuf_free(answer);
}
