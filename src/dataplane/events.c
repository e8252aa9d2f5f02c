/* What packet threads tell the control thread. Rare by construction: each SA tells of its limits
 * once, a policy acquires once a second, a moved peer is told of once a second. */
#include <stdlib.h>

#include "dp.h"

#define ACQUIRE_MS 1000
#define MOVED_MS   1000

static void post(struct lcore *lc, struct mail *mail)
{
	if (mailbox_post(lc->dp->box, mail))
		return;
	count(lc, STAT_EVENTS_LOST, 1);
	free(mail);
}

static void post_event(
	struct lcore *lc, const struct dataplane_client *client, const struct ipsec_event *event)
{
	struct event_mail *mail = calloc(1, sizeof(*mail));
	if (!mail) {
		count(lc, STAT_EVENTS_LOST, 1);
		return;
	}
	mail->mail.kind = MAIL_EVENT;
	mail->event = *event;
	if (client)
		mail->client = *client;
	post(lc, &mail->mail);
}

static struct ipsec_event event_of(const struct sa *sa, enum ipsec_event_kind kind)
{
	return (struct ipsec_event){
		.kind = kind, .id = sa->id, .spi = sa->esp.spi, .reqid = sa->reqid, .direction = sa->direction};
}

void event_sa(struct lcore *lc, struct sa *sa, enum ipsec_event_kind kind)
{
	struct ipsec_event event = event_of(sa, kind);
	post_event(lc, &sa->client, &event);
}

void event_moved(struct lcore *lc, struct sa *sa, const struct ip_endpoint *remote)
{
	if (sa->moved_ms != 0 && lc->now_ms - sa->moved_ms < MOVED_MS)
		return;
	sa->moved_ms = lc->now_ms;
	struct ipsec_event event = event_of(sa, IPSEC_REMOTE_MOVED);
	event.remote = *remote;
	post_event(lc, &sa->client, &event);
}

static struct traffic_selector selector_of(
	const struct ip_key *address, const struct flow *f, uint16_t port)
{
	struct traffic_selector ts = {
		.protocol = f->protocol, .port_first = 0, .port_last = 0xffff};
	ts.range.first = ts.range.last = ip_address_of_key(address, f->family);
	if (f->has_ports)
		ts.port_first = ts.port_last = port;
	return ts;
}

void event_acquire(struct lcore *lc, struct policy *policy, const struct flow *flow)
{
	uint64_t last = __atomic_load_n(&policy->acquired_ms, __ATOMIC_RELAXED);
	if (last != 0 && lc->now_ms - last < ACQUIRE_MS)
		return;
	if (!__atomic_compare_exchange_n(&policy->acquired_ms, &last, lc->now_ms, false,
		    __ATOMIC_RELAXED, __ATOMIC_RELAXED))
		return; /* another lcore was first */
	struct ipsec_event event = {
		.kind = IPSEC_ACQUIRE, .reqid = policy->reqid, .direction = IPSEC_OUTBOUND};
	event.local_ts = selector_of(&flow->src, flow, flow->src_port);
	event.remote_ts = selector_of(&flow->dst, flow, flow->dst_port);
	post_event(lc, NULL, &event);
}

void event_neighbour(struct lcore *lc, const struct fib_hop *hop)
{
	struct neighbour_mail *mail = calloc(1, sizeof(*mail));
	if (!mail)
		return;
	mail->mail.kind = MAIL_NEIGHBOUR;
	mail->port = hop->port;
	mail->family = hop->family;
	mail->address = hop->address;
	post(lc, &mail->mail);
}
