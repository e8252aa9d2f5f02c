/* What the kernel says by itself. Every channel hears everything and takes what is its own: events
 * are rare, and so no thread hands anything to another. */
#include <errno.h>
#include <stdlib.h>

#include "pfkey.h"

static void tell(struct pfkey_channel *c, const struct ipsec_event *event)
{
	c->channel.config.on_event(c->channel.config.arg, event);
}

/* ---- acquire -------------------------------------------------------------------- */

static struct traffic_selector side(const struct pfkey_address *a)
{
	struct ip_subnet net = {a->address, a->prefix_len};

	return (struct traffic_selector){
		.range = ip_range_of_subnet(&net),
		.port_first = a->port,
		.port_last = a->port ? a->port : 65535,
		.protocol = a->protocol,
	};
}

static void icmp_sides(const struct pfkey_told *policy, struct ipsec_event *event)
{
	uint16_t type = policy->source.port, code = policy->destination.port;
	uint16_t first = (uint16_t)(type << 8 | code),
		 last = code ? first : (uint16_t)(first | 0xff);

	if (!type)
		first = 0, last = 65535;
	event->local_ts.port_first = event->remote_ts.port_first = first;
	event->local_ts.port_last = event->remote_ts.port_last = last;
}

void pfkey_event_acquired(struct pfkey_channel *c, const struct pfkey_told *policy)
{
	struct pfkey_kernel *p = c->pfkey;
	unsigned channels = __atomic_load_n(&p->channels, __ATOMIC_RELAXED);
	uint8_t protocol = policy->source.protocol;
	uint32_t reqid;

	if (!policy->has_policy || !pfkey_is_ours(policy) || !policy->source.address.family ||
		policy->policy.sadb_x_policy_dir != IPSEC_DIR_OUTBOUND)
		return;
	policies_lock(p->policies);
	reqid = reqid_map_reverse(p->reqids, policy->reqid);
	policies_unlock(p->policies);
	if (!reqid || reqid % channels != c->number)
		return;
	/* Of the packet itself PF_KEY says nothing: the policy's selectors, then. */
	struct ipsec_event event = {
		.kind = IPSEC_ACQUIRE,
		.reqid = reqid,
		.direction = IPSEC_OUTBOUND,
		.local_ts = side(&policy->source),
		.remote_ts = side(&policy->destination),
	};
	if (protocol == IPPROTO_ICMP || protocol == IPPROTO_ICMPV6)
		icmp_sides(policy, &event);
	tell(c, &event);
}

/* It names the policy, and nothing that it was made of. */
static void take_acquire(struct pfkey_channel *c, const struct pfkey_told *told)
{
	if (!told->has_policy || told->policy.sadb_x_policy_dir != IPSEC_DIR_OUTBOUND)
		return;
	/* The kernel asks for every policy without an SA; a trap is one that wants to be asked for.
	 */
	if (PFKEY_POLICY_HAS_PRIORITY &&
		!policy_priority_is_trap(pfkey_policy_priority(&told->policy)))
		return;
	pfkey_channel_ask_policy(c, told->policy.sadb_x_policy_id);
}

/* ---- of SAs ----------------------------------------------------------------------- */

void pfkey_event_expired(struct pfkey_channel *c, struct pfkey_sa *sa, bool hard,
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

static void take_expire(struct pfkey_channel *c, const struct pfkey_told *told)
{
	struct ipsec_counters last = pfkey_counters(told);
	struct pfkey_sa *sa;

	if (!told->has_sa || (!told->has_hard && !told->has_soft))
		return;
	sa = pfkey_sa_find_told(
		c, told->spi, &told->destination.address, told->has_sa2 ? told->reqid : 0);
	if (sa)
		pfkey_event_expired(c, sa, told->has_hard, &last);
}

#ifdef SADB_X_NAT_T_NEW_MAPPING
/* Source is where the peer was, destination where it is now. */
static void take_mapping(struct pfkey_channel *c, const struct pfkey_told *told)
{
	struct pfkey_sa *sa = told->has_sa ? pfkey_sa_find_inbound(c, told->spi) : NULL;

	if (!sa || !sa->encapsulated || !ip_equal(&sa->remote, &told->source.address) ||
		!told->destination.address.family)
		return;
	struct ipsec_event event = {
		.kind = IPSEC_REMOTE_MOVED,
		.id = sa->id,
		.spi = sa->spi,
		.reqid = sa->reqid,
		.direction = IPSEC_INBOUND,
		.remote = {told->destination.address, told->nat_destination_port},
	};
	tell(c, &event);
}
#endif

void pfkey_event_take(struct pfkey_channel *c, const struct pfkey_told *told)
{
	if (!told->is_whole || told->error)
		return;
	switch (told->type) {
	case SADB_ACQUIRE:
	case SADB_X_SPDACQUIRE:
		take_acquire(c, told);
		break;
	case SADB_EXPIRE:
		take_expire(c, told);
		break;
#ifdef SADB_X_NAT_T_NEW_MAPPING
	case SADB_X_NAT_T_NEW_MAPPING:
		take_mapping(c, told);
		break;
#endif
	}
}
