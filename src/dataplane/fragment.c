/* IPv4 fragmentation (RFC 791, section 3.2) of a packet that a tunnel is too narrow for, and the
 * checksum. */
#include <string.h>

#include "dp.h"

#define MORE_FRAGMENTS 0x2000
#define OFFSET_MASK    0x1fff

uint16_t ipv4_checksum(const uint8_t *header, unsigned len)
{
	uint32_t sum = 0;
	for (unsigned i = 0; i + 1 < len; i += 2)
		sum += (uint32_t)(header[i] << 8 | header[i + 1]);
	if (len & 1)
		sum += (uint32_t)header[len - 1] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

static void put16(uint8_t *p, unsigned v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

/* Options that are not to be copied into later fragments become no-operations. */
static void blank_options(uint8_t *ip, unsigned header)
{
	for (unsigned at = 20; at < header;) {
		uint8_t type = ip[at];
		unsigned len = type <= 1 || at + 1 >= header ? 1 : ip[at + 1];
		if (type == 0)
			return;
		if (len == 0 || at + len > header)
			len = header - at;
		if (!(type & 0x80))
			memset(ip + at, 1, len);
		at += len;
	}
}

static struct rte_mbuf *cut(
	struct lcore *lc, struct rte_mbuf *m, unsigned at, unsigned len, bool last)
{
	const struct packet *p = packet_of(m);
	const uint8_t *ip = rte_pktmbuf_mtod(m, const uint8_t *);
	unsigned header = p->flow.header_len, field = (unsigned)(ip[6] << 8 | ip[7]);
	struct rte_mbuf *f = rte_pktmbuf_alloc(lc->dp->pool);
	uint8_t *out = f ? (uint8_t *)rte_pktmbuf_append(f, (uint16_t)(header + len)) : NULL;
	if (!out) {
		rte_pktmbuf_free(f);
		return NULL;
	}
	memcpy(out, ip, header);
	memcpy(out + header, ip + header + at, len);
	if (at > 0)
		blank_options(out, header);
	unsigned more = last ? field & MORE_FRAGMENTS : MORE_FRAGMENTS;
	put16(out + 2, header + len);
	put16(out + 6, more | ((field & OFFSET_MASK) + at / 8));
	put16(out + 10, 0);
	put16(out + 10, ipv4_checksum(out, header));
	*packet_of(f) = *p;
	if (!flow_parse(out, header + len, &packet_of(f)->flow)) {
		rte_pktmbuf_free(f);
		return NULL;
	}
	return f;
}

unsigned fragment_ipv4(
	struct lcore *lc, struct rte_mbuf *m, unsigned mtu, struct rte_mbuf *out[FRAGMENTS_MAX])
{
	const struct flow *f = &packet_of(m)->flow;
	unsigned body = f->len - f->header_len, n = 0;
	unsigned piece = mtu > f->header_len ? (mtu - f->header_len) / 8 * 8 : 0;
	if (f->family != AF_INET || piece == 0 || (body + piece - 1) / piece > FRAGMENTS_MAX) {
		drop(lc, m, STAT_TOO_BIG);
		return 0;
	}
	for (unsigned at = 0; at < body; at += piece) {
		bool last = body - at <= piece;
		out[n] = cut(lc, m, at, last ? body - at : piece, last);
		if (!out[n]) {
			while (n > 0)
				rte_pktmbuf_free(out[--n]);
			drop(lc, m, STAT_NO_BUFFER);
			return 0;
		}
		n++;
	}
	rte_pktmbuf_free(m);
	return n;
}
