/* Which way a packet goes (RFC 4301, sections 5.1 and 5.2): into ESP, out of ESP, to the kernel,
 * onwards, or nowhere. */
#include "dp.h"

/* ---- out of the tunnel, or the gateway's own ---- */

void classify_inner(struct lcore *lc, struct rte_mbuf *m)
{
	struct dataplane *dp = lc->dp;
	struct packet *p = packet_of(m);
	if (flow_is_multicast(&p->flow) || fib_is_local(&dp->fib, p->flow.family, &p->flow.dst)) {
		forward_to_kernel(lc, m, p->port);
		return;
	}
	struct spd_match match = spd_lookup(&dp->spd, &p->flow, IPSEC_OUTBOUND);
	if (match.unsure || (match.policy && match.policy->action == IPSEC_DISCARD)) {
		drop(lc, m, STAT_SELECTOR);
	} else if (match.policy && match.policy->action == IPSEC_PROTECT) {
		/* From one tunnel into another. */
		if (p->origin != ORIGIN_SELF && p->flow.hop_limit <= 1)
			forward_to_kernel(lc, m, p->port);
		else
			esp_out_add(lc, m, match.policy);
	} else {
		forward_packet(lc, m);
	}
}

/* ---- from a port ---- */

/* Is it ESP for this host? Then its place is noted (RFC 4303, section 3.4; RFC 3948, section 2). */
static bool find_esp(const struct dataplane *dp, const uint8_t *ip, struct packet *p)
{
	const struct flow *f = &p->flow;
	const uint8_t *payload = ip + f->header_len + 8;
	p->encapsulated = false;
	p->esp_at = f->header_len;
	if (f->protocol == PROTOCOL_ESP)
		return true;
	if (f->protocol != PROTOCOL_UDP || f->fragment != FLOW_WHOLE ||
		!is_nat_port(dp, f->dst_port) || f->len < f->header_len + 12u)
		return false;
	if ((payload[0] | payload[1] | payload[2] | payload[3]) == 0)
		return false; /* the non-ESP marker: IKE */
	p->encapsulated = true;
	p->esp_at = (uint16_t)(f->header_len + 8);
	p->outer_port = f->src_port;
	return true;
}

static bool is_nat_keepalive(const struct dataplane *dp, const uint8_t *ip, const struct flow *f)
{
	return f->protocol == PROTOCOL_UDP && f->fragment == FLOW_WHOLE &&
	       is_nat_port(dp, f->dst_port) && f->len == f->header_len + 9u &&
	       ip[f->header_len + 8] == 0xff;
}

static bool is_ike_port(const struct dataplane *dp, uint16_t port)
{
	return port == IKE_PORT || is_nat_port(dp, port);
}

/* What must reach the kernel in clear whatever the policies say. */
static bool exempt_in(const struct dataplane *dp, const struct flow *f)
{
	return flow_is_neighbour_discovery(f) || flow_is_multicast(f) ||
	       (f->protocol == PROTOCOL_UDP && f->has_ports && is_ike_port(dp, f->dst_port));
}

/* Clear traffic that a policy would have protected, or forbids. */
static bool forbidden_in(const struct dataplane *dp, const struct flow *f)
{
	struct spd_match match = spd_lookup(&dp->spd, f, IPSEC_INBOUND);
	return match.policy && (match.unsure || match.policy->action != IPSEC_BYPASS);
}

static void take_local(struct lcore *lc, struct port *port, struct rte_mbuf *m)
{
	const struct dataplane *dp = lc->dp;
	struct packet *p = packet_of(m);
	const uint8_t *ip = rte_pktmbuf_mtod_offset(m, const uint8_t *, ETHER_LEN);
	if (find_esp(dp, ip, p)) {
		if (p->flow.fragment != FLOW_WHOLE) {
			drop(lc, m, STAT_FRAGMENT);
			return;
		}
		rte_pktmbuf_adj(m, ETHER_LEN);
		esp_in_add(lc, m);
	} else if (is_nat_keepalive(dp, ip, &p->flow)) {
		drop(lc, m, STAT_KEEPALIVES);
	} else if (!exempt_in(dp, &p->flow) && forbidden_in(dp, &p->flow)) {
		drop(lc, m, STAT_CLEAR);
	} else {
		twin_send(lc, port->index, m);
	}
}

static void take_foreign(struct lcore *lc, struct port *port, struct rte_mbuf *m)
{
	struct dataplane *dp = lc->dp;
	struct packet *p = packet_of(m);
	struct spd_match match = spd_lookup(&dp->spd, &p->flow, IPSEC_OUTBOUND);
	if (match.unsure || (match.policy && match.policy->action == IPSEC_DISCARD)) {
		drop(lc, m, STAT_SELECTOR);
	} else if (match.policy && match.policy->action == IPSEC_PROTECT) {
		if (p->flow.hop_limit <= 1) { /* the kernel has the words for it */
			twin_send(lc, port->index, m);
			return;
		}
		rte_pktmbuf_adj(m, ETHER_LEN);
		esp_out_add(lc, m, match.policy);
	} else if (forbidden_in(dp, &p->flow)) {
		drop(lc, m, STAT_CLEAR);
	} else {
		twin_send(lc, port->index, m);
	}
}

static bool is_ip_frame(const struct rte_mbuf *m)
{
	const struct rte_ether_hdr *e = rte_pktmbuf_mtod(m, const struct rte_ether_hdr *);
	return e->ether_type == RTE_BE16(RTE_ETHER_TYPE_IPV4) ||
	       e->ether_type == RTE_BE16(RTE_ETHER_TYPE_IPV6);
}

static bool frame_is_for(const struct rte_mbuf *m, const struct port *port)
{
	const struct rte_ether_hdr *e = rte_pktmbuf_mtod(m, const struct rte_ether_hdr *);
	return port->twin_fd < 0 || rte_is_same_ether_addr(&e->dst_addr, &port->mac);
}

/* In the frame's length as in its own. */
static bool parse_frame(struct rte_mbuf *m, struct packet *p)
{
	return flow_parse(rte_pktmbuf_mtod_offset(m, const uint8_t *, ETHER_LEN),
		rte_pktmbuf_data_len(m) - ETHER_LEN, &p->flow);
}

void classify_from_port(struct lcore *lc, struct port *port, struct rte_mbuf *m)
{
	struct packet *p = packet_of(m);
	p->port = (uint8_t)port->index;
	p->origin = ORIGIN_PORT;
	if (m->nb_segs != 1 || rte_pktmbuf_data_len(m) < ETHER_LEN) {
		drop(lc, m, STAT_MALFORMED);
	} else if (!is_ip_frame(m) || !frame_is_for(m, port)) {
		twin_send(lc, port->index, m);
	} else if (!parse_frame(m, p)) {
		drop(lc, m, STAT_MALFORMED);
	} else if (flow_is_multicast(&p->flow)) {
		twin_send(lc, port->index, m);
	} else {
		uint32_t padding = rte_pktmbuf_data_len(m) - ETHER_LEN - p->flow.len;
		rte_pktmbuf_trim(m, (uint16_t)padding);
		if (fib_is_local(&lc->dp->fib, p->flow.family, &p->flow.dst))
			take_local(lc, port, m);
		else
			take_foreign(lc, port, m);
	}
}

/* ---- from a twin: the host's own, or forwarded by its kernel ---- */

static bool exempt_out(const struct dataplane *dp, const struct flow *f)
{
	if (flow_is_neighbour_discovery(f) || flow_is_multicast(f))
		return true;
	return f->protocol == PROTOCOL_UDP && f->has_ports && is_ike_port(dp, f->src_port) &&
	       fib_is_local(&dp->fib, f->family, &f->src);
}

void classify_from_twin(struct lcore *lc, struct port *port, struct rte_mbuf *m)
{
	struct packet *p = packet_of(m);
	p->port = (uint8_t)port->index;
	p->origin = ORIGIN_TWIN;
	if (rte_pktmbuf_data_len(m) < ETHER_LEN) {
		drop(lc, m, STAT_MALFORMED);
		return;
	}
	if (!is_ip_frame(m)) {
		port_send(lc, port->index, m);
		return;
	}
	if (!parse_frame(m, p)) {
		drop(lc, m, STAT_MALFORMED);
		return;
	}
	if (exempt_out(lc->dp, &p->flow)) {
		port_send(lc, port->index, m);
		return;
	}
	struct spd_match match = spd_lookup(&lc->dp->spd, &p->flow, IPSEC_OUTBOUND);
	if (match.unsure || (match.policy && match.policy->action == IPSEC_DISCARD)) {
		drop(lc, m, STAT_SELECTOR);
	} else if (match.policy && match.policy->action == IPSEC_PROTECT) {
		rte_pktmbuf_adj(m, ETHER_LEN);
		rte_pktmbuf_trim(m, (uint16_t)(rte_pktmbuf_data_len(m) - p->flow.len));
		esp_out_add(lc, m, match.policy);
	} else {
		port_send(lc, port->index, m);
	}
}
