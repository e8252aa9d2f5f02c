#include "xfrm_request.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/secret.h"

struct xfrm_sa *xfrm_request_sa(const struct xfrm_channel *c, const struct xfrm_request *r)
{
	const struct ipsec_sa *sa = &r->request.sa;

	return xfrm_sa_find(c, sa->id, sa->spi, sa->direction, sa->reqid);
}

void xfrm_request_free(struct xfrm_request *r)
{
	if (r->bytes)
		secret_wipe(r->bytes, r->len);
	free(r->bytes);
	free(r->ipcomp);
	free(r->selectors);
	secret_wipe(r, sizeof(*r));
	free(r);
}

static int prepare_ipcomp(struct xfrm_channel *c, struct xfrm_request *r, const struct ipsec_sa *sa)
{
	int error = sa->ipcomp_cpi ? xfrm_put_ipcomp_add(c->msg, sa) : 0;

	if (error || !sa->ipcomp_cpi)
		return error;
	r->ipcomp_len = nlmsg_hdr(c->msg)->nlmsg_len;
	r->ipcomp = malloc(r->ipcomp_len);
	if (!r->ipcomp)
		return ENOMEM;
	memcpy(r->ipcomp, nlmsg_hdr(c->msg), r->ipcomp_len);
	return 0;
}

static int prepare_add(struct xfrm_channel *c, struct xfrm_request *r, const struct ipsec_sa *sa)
{
	int error;

	if (xfrm_request_sa(c, r))
		return EEXIST;
	error = prepare_ipcomp(c, r, sa);
	if (r->ipcomp)
		r->step = STEP_IPCOMP;
	if (!error)
		error = xfrm_put_sa_add(c->msg, sa);
	if (!error) {
		r->len = nlmsg_hdr(c->msg)->nlmsg_len;
		r->bytes = malloc(r->len);
		if (r->bytes)
			memcpy(r->bytes, nlmsg_hdr(c->msg), r->len);
		if (!r->bytes || !xfrm_sa_add(c, sa))
			error = ENOMEM;
	}
	xfrm_message_wipe(c->msg);
	return error;
}

static int prepare_policy(
	struct xfrm_channel *c, struct xfrm_request *r, const struct ipsec_policy *p)
{
	r->values = policy_values_of(p);
	if (p->hold)
		xfrm_hold_begin(c->xfrm);
	if (p->local_ts_count > IPSEC_SELECTORS_MAX || p->remote_ts_count > IPSEC_SELECTORS_MAX)
		return EINVAL;
	return selectors_of(p->local_ts, p->local_ts_count, p->remote_ts, p->remote_ts_count,
		SELECTOR_PORT_MASKS, &r->selectors, &r->selector_count);
}

static void forget_keys(struct ipsec_request *request)
{
	if (request->op == IPSEC_SA_ADD) {
		secret_wipe(request->sa.encr_key, sizeof(request->sa.encr_key));
		secret_wipe(request->sa.integ_key, sizeof(request->sa.integ_key));
	}
}

int xfrm_request_prepare(
	struct xfrm_channel *c, struct xfrm_request *r, const struct ipsec_request *request)
{
	r->request = *request;
	r->counters.idle_ms = UINT64_MAX;
	forget_keys(&r->request);
	if (request->op == IPSEC_SA_QUERY_ALL)
		return EOPNOTSUPP;
	if (request->op == IPSEC_SA_ADD)
		return prepare_add(c, r, &request->sa);
	if (xfrm_request_is_policy(r))
		return prepare_policy(c, r, &request->policy);
	if (request->op == IPSEC_SA_MOVE &&
		(!request->sa.local.address.family ||
			request->sa.local.address.family != request->sa.remote.address.family))
		return EAFNOSUPPORT;
	return request->op == IPSEC_SA_MOVE ? prepare_ipcomp(c, r, &request->sa) : 0;
}
