/* The last step of a packet: next hop, neighbour, frame; or the kernel, which knows what to do with
 * the rest. */
#include "dp.h"

#include <string.h>

#define NEIGHBOUR_WAIT_MS  1000
#define NEIGHBOUR_RETRY_MS 5
#define CONFIRM_MS         10000

static const uint8_t kernel_side_mac[6] = {0x02, 0, 0, 0, 0, 1};

static uint16_t ether_type(uint8_t family)
{
	return family == AF_INET ? RTE_BE16(RTE_ETHER_TYPE_IPV4) : RTE_BE16(RTE_ETHER_TYPE_IPV6);
}

static struct rte_ether_hdr *push_ether(struct rte_mbuf *m)
{
	uint8_t version = *rte_pktmbuf_mtod(m, uint8_t *) >> 4;
	struct rte_ether_hdr *e = (void *)rte_pktmbuf_prepend(m, ETHER_LEN);
	if (e)
		e->ether_type = ether_type(version == 4 ? AF_INET : AF_INET6);
	return e;
}

void forward_to_kernel(struct lcore *lc, struct rte_mbuf *m, unsigned port)
{
	struct rte_ether_hdr *e = push_ether(m);
	if (!e) {
		drop(lc, m, STAT_NO_BUFFER);
		return;
	}
	rte_ether_addr_copy(&lc->dp->ports[port].mac, &e->dst_addr);
	memcpy(&e->src_addr, kernel_side_mac, sizeof(kernel_side_mac));
	twin_send(lc, port, m);
}

static void send_frame(struct lcore *lc, struct rte_mbuf *m, unsigned port, const uint8_t *mac)
{
	struct rte_ether_hdr *e = push_ether(m);
	if (!e) {
		drop(lc, m, STAT_NO_BUFFER);
		return;
	}
	memcpy(&e->dst_addr, mac, RTE_ETHER_ADDR_LEN);
	rte_ether_addr_copy(&lc->dp->ports[port].mac, &e->src_addr);
	count(lc, STAT_FORWARDED, 1);
	port_send(lc, port, m);
}

/* A neighbour that the kernel would have confirmed is used, and asked about now and then: the
 * kernel does not see the traffic that would make it ask itself. */
static void confirm_neighbour(
	struct lcore *lc, struct fib_entry *neighbour, const struct fib_hop *hop)
{
	if (!__atomic_load_n(&neighbour->stale, __ATOMIC_RELAXED))
		return;
	uint64_t asked = __atomic_load_n(&neighbour->asked_ms, __ATOMIC_RELAXED);
	if (lc->now_ms - asked < CONFIRM_MS && asked != 0)
		return;
	__atomic_store_n(&neighbour->asked_ms, lc->now_ms, __ATOMIC_RELAXED);
	event_neighbour(lc, hop);
}

/* Broadcast on a port without a twin: there is nobody to ask. */
static const uint8_t *hop_mac(struct lcore *lc, const struct fib_hop *hop)
{
	static const uint8_t everybody[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
	if (lc->dp->ports[hop->port].twin_fd < 0)
		return everybody;
	struct fib_entry *n = fib_neighbour(&lc->dp->fib, hop->port, hop->family, &hop->address);
	if (!n)
		return NULL;
	confirm_neighbour(lc, n, hop);
	return n->mac;
}

static bool same_hop(const struct fib_hop *a, const struct fib_hop *b)
{
	return a->port == b->port && a->family == b->family &&
	       ip_key_equal(&a->address, &b->address);
}

/* Without room the packet is lost, as in any router. The kernel is asked once for each hop that is
 * waited for. */
static void wait_for_neighbour(struct lcore *lc, struct rte_mbuf *m, const struct fib_hop *hop)
{
	struct pending *free_place = NULL;
	bool asked = false;
	for (unsigned i = 0; i < PENDING_MAX; i++) {
		struct pending *p = &lc->pending[i];
		if (!p->mbuf)
			free_place = free_place ? free_place : p;
		else if (same_hop(&p->hop, hop))
			asked = true;
	}
	if (!free_place) {
		drop(lc, m, STAT_NO_ROUTE);
		return;
	}
	if (!asked)
		event_neighbour(lc, hop);
	*free_place = (struct pending){m, *hop, lc->now_ms + NEIGHBOUR_WAIT_MS};
	lc->pending_count++;
}

void forward_to_hop(struct lcore *lc, struct rte_mbuf *m, const struct fib_hop *hop)
{
	const uint8_t *mac = hop_mac(lc, hop);
	if (mac)
		send_frame(lc, m, hop->port, mac);
	else
		wait_for_neighbour(lc, m, hop);
}

void forward_retry_pending(struct lcore *lc)
{
	uint64_t generation = fib_generation(&lc->dp->fib);
	if (lc->pending_count == 0)
		return;
	if (generation == lc->pending_generation &&
		lc->now_ms - lc->pending_tried_ms < NEIGHBOUR_RETRY_MS)
		return;
	lc->pending_generation = generation;
	lc->pending_tried_ms = lc->now_ms;
	for (unsigned i = 0; i < PENDING_MAX; i++) {
		struct pending *p = &lc->pending[i];
		if (!p->mbuf)
			continue;
		const uint8_t *mac = hop_mac(lc, &p->hop);
		if (mac)
			send_frame(lc, p->mbuf, p->hop.port, mac);
		else if (lc->now_ms >= p->until_ms)
			drop(lc, p->mbuf, STAT_NO_ROUTE);
		else
			continue;
		p->mbuf = NULL;
		lc->pending_count--;
	}
}

void forward_drop_pending(struct lcore *lc)
{
	for (unsigned i = 0; i < PENDING_MAX; i++) {
		rte_pktmbuf_free(lc->pending[i].mbuf);
		lc->pending[i].mbuf = NULL;
	}
	lc->pending_count = 0;
}

bool forward_find_hop(
	struct lcore *lc, uint8_t family, const struct ip_key *dst, struct fib_hop *hop)
{
	struct dataplane *dp = lc->dp;
	if (fib_route(&dp->fib, family, dst, hop))
		return hop->port != FIB_KERNEL;
	/* A port without a twin has no routes: it is where everything else goes. */
	for (unsigned i = dp->port_count; i-- > 0;) {
		if (dp->ports[i].twin_fd < 0) {
			*hop = (struct fib_hop){(uint8_t)i, family, *dst};
			return true;
		}
	}
	return false;
}

bool forward_age(struct rte_mbuf *m)
{
	uint8_t *ip = rte_pktmbuf_mtod(m, uint8_t *);
	struct flow *f = &packet_of(m)->flow;
	if (f->hop_limit <= 1)
		return false;
	f->hop_limit--;
	if (f->family == AF_INET6) {
		ip[7]--;
		return true;
	}
	ip[8]--;
	/* RFC 1141: the checksum moves with the byte. */
	uint32_t sum = (uint32_t)(ip[10] << 8 | ip[11]) + 0x100;
	sum += sum >> 16;
	ip[10] = (uint8_t)(sum >> 8);
	ip[11] = (uint8_t)sum;
	return true;
}

void forward_packet(struct lcore *lc, struct rte_mbuf *m)
{
	struct packet *p = packet_of(m);
	struct fib_hop hop;
	bool found = forward_find_hop(lc, p->flow.family, &p->flow.dst, &hop);
	if (!found || p->flow.len > lc->dp->ports[hop.port].mtu) {
		forward_to_kernel(lc, m, p->port);
		return;
	}
	if (p->origin != ORIGIN_SELF && !forward_age(m)) {
		forward_to_kernel(lc, m, p->port);
		return;
	}
	forward_to_hop(lc, m, &hop);
}
