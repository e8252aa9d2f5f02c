/* Which policy holds which selector. The kernel has one policy for a selector, mark, interface and direction; two
 * connections, or two lives of one, may ask for the same. The newest is installed, and the one
 * before it comes back when that goes; a connection's own trap (`route`) stands behind the policies
 * of SAs, whose end points may have moved. Shared by all channels: what is decided and its sending
 * must happen under one lock, so that the kernel sees decisions in their order. Private to the
 * room. */
#ifndef KERNEL_XFRM_POLICY_H
#define KERNEL_XFRM_POLICY_H

#include "xfrm_message.h"

struct xfrm_policies;

struct xfrm_policies *xfrm_policies_new(void);
void xfrm_policies_free(struct xfrm_policies *policies);
void xfrm_policies_lock(struct xfrm_policies *policies);
void xfrm_policies_unlock(struct xfrm_policies *policies);

/* Called for each change that the kernel has to be told, with the lock held: the policy is to be
 * there, or (not `present`) not. */
typedef void xfrm_policy_change(void *arg, uint8_t direction, const struct xfrm_selector *selector,
	const struct xfrm_policy_values *values, bool present);

/* All with the lock held. `again`: the same was asked before, and its outcome has been lost. At
 * most 3 changes a selector. 0 or errno. */
int xfrm_policies_add(struct xfrm_policies *policies, const struct xfrm_policy_values *values,
	const struct xfrm_selector *selectors, unsigned count, bool again,
	xfrm_policy_change *change, void *arg);
/* Found by reqid, selectors and `route`; what it was is then in `values`, and wanted there when it is asked `again`. */
int xfrm_policies_remove(struct xfrm_policies *policies, struct xfrm_policy_values *values,
	const struct xfrm_selector *selectors, unsigned count, bool again,
	xfrm_policy_change *change, void *arg);
/* New tunnel end points for all policies of the reqid. At most xfrm_policies_count changes. */
void xfrm_policies_move(struct xfrm_policies *policies, uint32_t reqid,
	const struct ip_address *local, const struct ip_address *remote, xfrm_policy_change *change,
	void *arg);
unsigned xfrm_policies_count(const struct xfrm_policies *policies, uint32_t reqid);

#endif
