/* A request on its way: what is to be sent for it, how far it has come, and what came back. Private
 * to the room. */
#ifndef KERNEL_XFRM_REQUEST_H
#define KERNEL_XFRM_REQUEST_H

#include "xfrm.h"

enum flight_kind { FLIGHT_ADD, FLIGHT_GET, FLIGHT_DELETE, FLIGHT_DELETE_IPCOMP, FLIGHT_POLICY };

/* SA_ADD: FIRST; VERIFY after a lost answer, when the SA exists: is it ours? With an IPComp SA,
 * that one before, IPCOMP and IPCOMP_VERIFY; UNWIND removes it when the other is refused. SA_MOVE:
 * FIRST asks for the SA's state, SECOND puts it elsewhere. */
enum request_step {
	STEP_FIRST,
	STEP_VERIFY,
	STEP_SECOND,
	STEP_IPCOMP,
	STEP_IPCOMP_VERIFY,
	STEP_UNWIND
};

struct xfrm_request {
	struct xfrm_request *next;
	uint8_t step;
	bool again; /* an answer to it was lost */
	bool check; /* our own question; nobody is told */
	unsigned outstanding;
	int error, told_error; /* of changes; of questions */
	int refused;           /* STEP_UNWIND: why */
	uint32_t told_reqid;
	struct ipsec_counters counters;
	struct ipsec_request request; /* selectors are those below */
	struct policy_values values;
	struct selector *selectors;
	unsigned selector_count;
	uint8_t *bytes; /* SA_ADD: the message. SA_MOVE: the state */
	size_t len;
	uint8_t *ipcomp; /* SA_ADD, SA_MOVE: the message of the IPComp SA; NULL: none */
	size_t ipcomp_len;
};

/* Builds what it sends. What is kept of `request` are no keys and no selectors: they are in the
 * messages. For an SA that is added the channel remembers it from now on. 0 or errno. */
int xfrm_request_prepare(
	struct xfrm_channel *c, struct xfrm_request *r, const struct ipsec_request *request);
void xfrm_request_free(struct xfrm_request *r);
/* The SA that it is about; NULL: the channel knows none. */
struct xfrm_sa *xfrm_request_sa(const struct xfrm_channel *c, const struct xfrm_request *r);
static inline bool xfrm_request_is_policy(const struct xfrm_request *r)
{
	return r->request.op == IPSEC_POLICY_ADD || r->request.op == IPSEC_POLICY_DELETE;
}

#endif
