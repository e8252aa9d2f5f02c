/* What the kernel says by itself. Every channel hears everything and takes what is its own: events
 * are rare, and so no thread hands anything to another. */
#include "xfrm.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netlink/socket.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"

#define EVENT_ROUNDS 8 /* each time around the loop */

static void tell(struct xfrm_channel *c, const struct ipsec_event *event)
{
	c->channel.config.on_event(c->channel.config.arg, event);
}

/* ---- acquire -------------------------------------------------------------------- */

/* RFC 4301, section 4.4.1.1: type and code are one number, the same for both sides. The kernel has
 * the type where source ports are, and the code where destination ports are. */
static bool has_type_and_code(uint8_t protocol)
{
	return protocol == IPPROTO_ICMP || protocol == IPPROTO_ICMPV6 || protocol == IPPROTO_MH;
}

static void set_type_and_code(const struct xfrm_selector *s, struct traffic_selector *ts)
{
	if (!has_type_and_code(s->proto) || !s->sport_mask)
		return;
	ts->port_first = ts->port_last =
		(uint16_t)(ntohs(s->sport) << 8 | (s->dport_mask ? ntohs(s->dport) & 0xff : 0));
}

static struct traffic_selector side(
	const xfrm_address_t *a, const struct xfrm_selector *s, uint16_t port, uint16_t mask)
{
	struct ip_address address = xfrm_address_read(a, s->family);

	return (struct traffic_selector){
		.range = {address, address},
		.port_first = mask ? ntohs(port) : 0,
		.port_last = mask ? ntohs(port) : 65535,
		.protocol = s->proto,
	};
}

static void take_acquire(struct xfrm_channel *c, struct nlmsghdr *message)
{
	struct nlattr *attrs[XFRMA_MAX + 1];
	const struct xfrm_user_acquire *a = nlmsg_data(message);
	struct xfrm_user_tmpl template;
	unsigned channels = __atomic_load_n(&c->xfrm->channels, __ATOMIC_RELAXED);

	if (nlmsg_datalen(message) < (int)sizeof(*a) ||
		nlmsg_parse(message, sizeof(*a), attrs, XFRMA_MAX, NULL) < 0 ||
		!attrs[XFRMA_TMPL] || nla_len(attrs[XFRMA_TMPL]) < (int)sizeof(template))
		return;
	memcpy(&template, nla_data(attrs[XFRMA_TMPL]), sizeof(template));
	/* The kernel asks for every policy without an SA; a trap is one that wants to be asked for.
	 */
	if (a->policy.lft.hard_add_expires_seconds != KERNEL_OURS ||
		!policy_priority_is_trap(a->policy.priority) ||
		template.reqid % channels != c->number ||
		(a->sel.family != AF_INET && a->sel.family != AF_INET6))
		return;
	struct ipsec_event event = {
		.kind = IPSEC_ACQUIRE,
		.reqid = template.reqid,
		.direction = IPSEC_OUTBOUND,
		.remote = {.address = xfrm_address_read(&template.id.daddr, template.family)},
		.local_ts = side(&a->sel.saddr, &a->sel, a->sel.sport, a->sel.sport_mask),
		.remote_ts = side(&a->sel.daddr, &a->sel, a->sel.dport, a->sel.dport_mask),
	};
	set_type_and_code(&a->sel, &event.local_ts);
	set_type_and_code(&a->sel, &event.remote_ts);
	tell(c, &event);
}

/* ---- of SAs ----------------------------------------------------------------------- */

void xfrm_event_expired(struct xfrm_channel *c, struct xfrm_sa *sa, bool hard,
	const struct ipsec_counters *counters)
{
	struct ipsec_event event = {
		.kind = hard ? IPSEC_EXPIRE_HARD : IPSEC_EXPIRE_SOFT,
		.id = sa->id,
		.spi = sa->spi,
		.reqid = sa->reqid,
		.direction = sa->direction,
	};

	if (hard && !sa->last) {
		sa->last = malloc(sizeof(*sa->last));
		if (sa->last)
			*sa->last = *counters;
	}
	tell(c, &event);
}

static void take_expire(struct xfrm_channel *c, struct nlmsghdr *message)
{
	const struct xfrm_user_expire *e = nlmsg_data(message);
	struct xfrm_sa *sa;

	if (nlmsg_datalen(message) < (int)sizeof(*e) || !(sa = xfrm_sa_of_info(c, &e->state)))
		return;
	struct ipsec_counters last = {
		.bytes = e->state.curlft.bytes,
		.packets = e->state.curlft.packets,
		.add_time = e->state.curlft.add_time,
		.idle_ms = UINT64_MAX,
	};
	xfrm_event_expired(c, sa, e->hard, &last);
}

static void take_mapping(struct xfrm_channel *c, struct nlmsghdr *message)
{
	const struct xfrm_user_mapping *m = nlmsg_data(message);
	const struct xfrm_sa *sa;

	if (nlmsg_datalen(message) < (int)sizeof(*m) ||
		!(sa = xfrm_sa_find(c, 0, ntohl(m->id.spi), IPSEC_INBOUND, m->reqid)))
		return;
	struct ipsec_event event = {
		.kind = IPSEC_REMOTE_MOVED,
		.id = sa->id,
		.spi = ntohl(m->id.spi),
		.reqid = m->reqid,
		.direction = IPSEC_INBOUND,
		.remote = {xfrm_address_read(&m->new_saddr, m->id.family), ntohs(m->new_sport)},
	};
	tell(c, &event);
}

static void take_event(void *arg, struct nlmsghdr *message)
{
	switch (message->nlmsg_type) {
	case XFRM_MSG_ACQUIRE:
		take_acquire(arg, message);
		break;
	case XFRM_MSG_EXPIRE:
		take_expire(arg, message);
		break;
	case XFRM_MSG_MAPPING:
		take_mapping(arg, message);
		break;
	}
}

/* Which ones is not known. A limit that was reached is found by asking; a mapping change comes
 * again with the next packet, an acquire when the kernel's larval SA has timed out. */
static void events_lost(struct xfrm_channel *c)
{
	__atomic_fetch_add(&c->xfrm->stats.events_lost, 1, __ATOMIC_RELAXED);
	log_line(LOG_LINE_WARNING,
		"XFRM events were lost (receive buffer overrun): all SAs are asked after");
	xfrm_channel_check_all(c);
}

void xfrm_events_poll(struct xfrm_channel *c)
{
	for (unsigned round = 0; round < EVENT_ROUNDS; round++) {
		int n = xfrm_receive(c->receive, nl_socket_get_fd(c->events), take_event, c);

		if (n == -ENOBUFS)
			events_lost(c);
		else if (n <= 0)
			return;
	}
}
