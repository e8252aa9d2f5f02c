/* Which policy holds which selector. The kernel has one policy for a selector, mark, interface and
 * direction; two connections, or two lives of one, may ask for the same. The newest is installed,
 * and the one before it comes back when that goes. Shared by all channels: what is decided and its
 * sending must happen under one lock, so that the kernel sees decisions in their order. Private to
 * the room. */
#ifndef KERNEL_POLICIES_H
#define KERNEL_POLICIES_H

#include "base/ipsec.h"
#include "selector.h"

struct policies;

/* How SAs and policies of this program are known among others': time limits are the engine's, so
 * that the kernel's "hard limit since addition" is free to carry this number (of seconds: 42
 * years). */
#define KERNEL_OURS 1347179860u

struct policy_values {
	uint32_t reqid;
	uint8_t action, mode; /* enum ipsec_policy_action, ipsec_mode */
	uint8_t protocol;     /* enum ipsec_protocol; 0: ESP */
	bool trap, route, ipcomp;
	uint32_t priority;
	struct ip_address local, remote;
	struct ipsec_mark mark_in, mark_out;
	uint32_t interface_id;
};
static inline bool ipsec_mark_equal(const struct ipsec_mark *a, const struct ipsec_mark *b)
{
	return a->value == b->value && a->mask == b->mask;
}

struct policy_values policy_values_of(const struct ipsec_policy *policy);
/* [asked for, 16 bits][width of the selector][no trap]: what the kernel tells of it again. */
uint32_t policy_priority(const struct policy_values *values, const struct selector *selector);
bool policy_priority_is_trap(uint32_t priority);

/* What passes through the host is neither sent nor received by it; kernels without that distinction
 * count it as received. */
enum policy_way { POLICY_OUT, POLICY_IN, POLICY_FORWARD };

struct policies *policies_new(void);
void policies_free(struct policies *policies);
void policies_lock(struct policies *policies);
void policies_unlock(struct policies *policies);

/* Called for each change that the kernel has to be told, with the lock held: the policy is to be
 * there, or (not `present`) not. */
typedef void policy_change(void *arg, enum policy_way way, const struct selector *selector,
	const struct policy_values *values, bool present);

/* All with the lock held. `again`: the same was asked before, and its outcome has been lost. At
 * most 3 changes a selector. 0 or errno. */
int policies_add(struct policies *policies, const struct policy_values *values,
	const struct selector *selectors, unsigned count, bool again, policy_change *change,
	void *arg);
/* Found by reqid, selectors and `route`; what it was is then in `values`, and wanted there when it is asked
 * `again`. */
int policies_remove(struct policies *policies, struct policy_values *values,
	const struct selector *selectors, unsigned count, bool again, policy_change *change,
	void *arg);
/* New tunnel end points for all policies of the reqid. At most policies_count changes. */
void policies_move(struct policies *policies, uint32_t reqid, const struct ip_address *local,
	const struct ip_address *remote, policy_change *change, void *arg);
unsigned policies_count(const struct policies *policies, uint32_t reqid);

#endif
