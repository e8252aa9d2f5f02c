/* The security policy database (RFC 4301, section 4.4.1): tuple-space search. A policy becomes
 * rules, one for each pair of prefixes that cover its local and remote selectors; the rules of all
 * pairs of prefix lengths ("tuples") lie in one hash table. A lookup asks once for each tuple in
 * use, which is a handful in practice, whatever the number of policies.
 *
 * Packet threads look up, the control thread changes. */
#ifndef DATAPLANE_SPD_H
#define DATAPLANE_SPD_H

#include "base/ipsec.h"
#include "base/table.h"
#include "flow.h"
#include "grace.h"
#include "grace_table.h"

/* Prefix lengths 0 to 128. */
#define SPD_LENS 129

struct sa;

/* What ties outbound SAs to policies: the newest SA of a reqid is used. */
struct sa_group {
	struct retired retired;
	struct table_node node; /* control thread: by reqid */
	uint32_t reqid;
	uint32_t users;                /* policies and outbound SAs */
	struct sa *newest;             /* atomic; NULL: none */
	struct sa *all;                /* control thread: newest first */
	struct sa_group *next, **link; /* control thread: all groups */
};

struct policy;

struct rule {
	struct grace_node node;
	struct ip_key local, remote; /* prefixes */
	uint8_t family, local_len, remote_len;
	uint8_t protocol; /* 0: any */
	uint16_t local_first, local_last, remote_first, remote_last;
	bool exact; /* the prefixes are the selectors: addresses need no more comparing */
	struct ip_key local_range[2], remote_range[2]; /* first and last */
	uint32_t narrowness; /* of ranges, protocol and ports: decides between rules of one pair of
				prefixes */
	struct policy *policy;
};

struct policy {
	struct retired retired;
	struct table_node node; /* control thread: by reqid */
	uint64_t serial;        /* the newest of equals wins */
	uint32_t reqid;
	uint32_t priority;
	uint8_t action; /* enum ipsec_policy_action */
	bool trap, route;
	struct sa_group *group; /* NULL unless the action is IPSEC_PROTECT */
	uint64_t acquired_ms;   /* atomic: when the last acquire was raised */
	uint8_t local_ts_count, remote_ts_count;
	struct traffic_selector
		*selectors; /* local, then remote: the policy's name when it is deleted */
	uint32_t rule_count;
	struct rule rules[];
};

struct spd_tuple {
	uint8_t family, local_len, remote_len;
	uint32_t priority; /* no rule of the tuple has a smaller one */
};

struct spd_cell {
	uint32_t rules, priority;
};

struct spd_tuples {
	struct retired retired;
	unsigned count;
	struct spd_tuple at[]; /* by priority, then the more specific first */
};

struct spd {
	struct grace *grace;
	struct grace_table rules;
	struct spd_tuples *tuples;                    /* atomic */
	struct spd_cell (*cells)[SPD_LENS][SPD_LENS]; /* control thread: [family][local][remote] */
	bool cells_changed;                           /* tuples must be published anew */
	struct table *policies;                       /* control thread */
	uint64_t seed[2];
	uint64_t serial;
	uint64_t policy_count; /* atomic */
	uint64_t policy_bytes; /* atomic */
};

bool spd_init(struct spd *spd, struct grace *grace);
/* No reader is left. Groups are not touched. */
void spd_end(struct spd *spd);

/* Control thread. 0 or an errno value (EINVAL: no pair of selectors has a packet in common).
 * `group` is the caller's to have found, and stays his to release: `*replaced_group` is the one of
 * the policy that was replaced, or NULL. */
int spd_add(struct spd *spd, const struct ipsec_policy *policy, struct sa_group *group,
	struct sa_group **replaced_group);
/* ENOENT when there is none. `*group` is that of the deleted policy. */
int spd_delete(struct spd *spd, const struct ipsec_policy *policy, struct sa_group **group);
uint64_t spd_bytes(const struct spd *spd);

struct spd_match {
	struct policy *policy; /* NULL: no policy */
	/* The packet is a later fragment, and whether it belongs to the policy hangs on ports that
	 * it does not have: it may only be dropped (RFC 4301, section 7). */
	bool unsure;
};

/* Packet threads. The best policy for a packet that goes out (from local to remote), or that came
 * in. Valid until the thread's next quiescent point. */
struct spd_match spd_lookup(
	const struct spd *spd, const struct flow *flow, enum ipsec_direction direction);

#endif
