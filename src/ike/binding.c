#include "ike/connection.h"

#include <stdlib.h>

struct connection_binding *binding_new(void)
{
	struct connection_binding *binding = calloc(1, sizeof(*binding));

	if (binding)
		binding->references = 1;
	return binding;
}

/* Only the count changes behind the const, and that atomically. */
static struct connection_binding *shared(const struct connection_binding *binding)
{
	union {
		const struct connection_binding *in;
		struct connection_binding *out;
	} u = {.in = binding};

	return u.out;
}

struct connection_binding *binding_ref(const struct connection_binding *binding)
{
	__atomic_add_fetch(&shared(binding)->references, 1, __ATOMIC_RELAXED);
	return shared(binding);
}

void binding_unref(const struct connection_binding *binding)
{
	if (binding && __atomic_sub_fetch(&shared(binding)->references, 1, __ATOMIC_ACQ_REL) == 0)
		free(shared(binding));
}

/* A template's instances have reqids that nothing else has: numbers of their own as good as any. */
static struct ipsec_mark mark_of(
	const struct connection *c, const struct binding_mark *m, uint32_t reqid)
{
	struct ipsec_mark mark = m->mark;

	if (m->unique && connection_is_template(c))
		mark.value = reqid & mark.mask;
	return mark;
}

void binding_of_sa(const struct connection *c, uint32_t reqid, struct ipsec_sa *sa)
{
	const struct connection_binding *b = c->binding;
	struct ipsec_mark mark;

	sa->offload_device = c->offload_device;
	if (!b)
		return;
	mark = mark_of(c, sa->direction == IPSEC_INBOUND ? &b->in : &b->out, reqid);
	if (b->device != BINDING_XFRM) {
		sa->mark = mark;
		return;
	}
	sa->interface_id = b->interface_id;
	sa->set_mark = mark;
	/* What has left by the interface must not be routed into it again: by this mark a rule can
	 * tell. */
	if (!mark.mask && sa->direction == IPSEC_OUTBOUND)
		sa->set_mark = (struct ipsec_mark){b->interface_id, UINT32_MAX};
}

void binding_of_policy(const struct connection *c, uint32_t reqid, struct ipsec_policy *policy)
{
	const struct connection_binding *b = c->binding;

	if (!b)
		return;
	if (b->device == BINDING_XFRM) {
		policy->interface_id = b->interface_id;
		return;
	}
	policy->mark_in = mark_of(c, &b->in, reqid);
	policy->mark_out = mark_of(c, &b->out, reqid);
}
