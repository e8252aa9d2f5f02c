#include "xfrm_policy.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/table.h"

struct policy;

struct holding {
	struct table_node node; /* by selector; first, so that a node is its holding */
	struct policy *policy;
	uint64_t order; /* of all holdings of a selector the highest is installed */
	struct xfrm_selector selector;
};

struct policy {
	struct table_node node;      /* by reqid; first, too */
	struct policy *next, **link; /* all */
	struct xfrm_policy_values values;
	unsigned count;
	struct holding holdings[];
};

struct xfrm_policies {
	pthread_mutex_t lock;
	struct table *by_reqid, *by_selector;
	struct table_seed seed;
	struct policy *first;
	uint64_t order;
};

struct xfrm_policies *xfrm_policies_new(void)
{
	struct xfrm_policies *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	p->by_reqid = table_new();
	p->by_selector = table_new();
	/* Secret, since a peer has a say in its selectors. */
	if (!p->by_reqid || !p->by_selector ||
		getrandom(&p->seed, sizeof(p->seed), 0) != sizeof(p->seed)) {
		if (p->by_reqid)
			table_free(p->by_reqid);
		if (p->by_selector)
			table_free(p->by_selector);
		free(p);
		return NULL;
	}
	pthread_mutex_init(&p->lock, NULL);
	return p;
}

void xfrm_policies_lock(struct xfrm_policies *policies)
{
	pthread_mutex_lock(&policies->lock);
}

void xfrm_policies_unlock(struct xfrm_policies *policies)
{
	pthread_mutex_unlock(&policies->lock);
}

static uint64_t selector_hash(const struct xfrm_policies *p, const struct xfrm_selector *s)
{
	return table_hash(&p->seed, s, sizeof(*s));
}

/* The selectors are made by xfrm_selectors, padding and all. */
static bool selectors_equal(const struct xfrm_selector *a, const struct xfrm_selector *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

static struct holding *installed(const struct xfrm_policies *p, const struct xfrm_selector *s)
{
	struct holding *newest = NULL;

	for (struct table_node *n = table_first(p->by_selector, selector_hash(p, s)); n;
		n = table_next(n)) {
		struct holding *h = (struct holding *)n;

		if (selectors_equal(&h->selector, s) && (!newest || h->order > newest->order))
			newest = h;
	}
	return newest;
}

static bool policy_is(const struct policy *p, uint32_t reqid, const struct xfrm_selector *selectors,
	unsigned count)
{
	if (p->values.reqid != reqid || p->count != count)
		return false;
	for (unsigned i = 0; i < count; i++)
		if (!selectors_equal(&p->holdings[i].selector, &selectors[i]))
			return false;
	return true;
}

static struct policy *find(const struct xfrm_policies *policies, uint32_t reqid,
	const struct xfrm_selector *selectors, unsigned count)
{
	for (struct table_node *n = table_first(policies->by_reqid, table_hash_u64(reqid)); n;
		n = table_next(n)) {
		struct policy *p = (struct policy *)n;

		if (policy_is(p, reqid, selectors, count))
			return p;
	}
	return NULL;
}

static void change_all(const struct xfrm_selector *selector,
	const struct xfrm_policy_values *values, xfrm_policy_change *change, void *arg)
{
	change(arg, XFRM_POLICY_OUT, selector, values);
	change(arg, XFRM_POLICY_IN, selector, values);
	change(arg, XFRM_POLICY_FWD, selector, values);
}

static void take_out(struct xfrm_policies *policies, struct policy *p, unsigned holdings)
{
	for (unsigned i = 0; i < holdings; i++)
		table_remove(policies->by_selector, &p->holdings[i].node);
}

static struct policy *make(struct xfrm_policies *policies, const struct xfrm_policy_values *values,
	const struct xfrm_selector *selectors, unsigned count)
{
	struct policy *p = calloc(1, sizeof(*p) + count * sizeof(p->holdings[0]));
	unsigned n = 0;

	if (!p)
		return NULL;
	p->values = *values;
	p->count = count;
	for (; n < count; n++) {
		struct holding *h = &p->holdings[n];

		h->policy = p;
		h->selector = selectors[n];
		if (!table_insert(
			    policies->by_selector, &h->node, selector_hash(policies, &h->selector)))
			break;
	}
	if (n == count &&
		table_insert(policies->by_reqid, &p->node, table_hash_u64(values->reqid))) {
		p->link = &policies->first;
		p->next = policies->first;
		if (p->next)
			p->next->link = &p->next;
		policies->first = p;
		return p;
	}
	take_out(policies, p, n);
	free(p);
	return NULL;
}

int xfrm_policies_add(struct xfrm_policies *policies, const struct xfrm_policy_values *values,
	const struct xfrm_selector *selectors, unsigned count, bool again,
	xfrm_policy_change *change, void *arg)
{
	struct policy *p = find(policies, values->reqid, selectors, count);

	if (again) {
		/* What came after it, by another channel, stands. */
		for (unsigned i = 0; p && i < count; i++)
			if (installed(policies, &selectors[i]) == &p->holdings[i])
				change_all(&selectors[i], &p->values, change, arg);
		return 0;
	}
	if (p)
		p->values = *values;
	else if ((p = make(policies, values, selectors, count)) == NULL)
		return ENOMEM;
	for (unsigned i = 0; i < count; i++) {
		p->holdings[i].order = ++policies->order;
		change_all(&selectors[i], &p->values, change, arg);
	}
	return 0;
}

static void tell_installed(const struct xfrm_policies *policies,
	const struct xfrm_selector *selector, xfrm_policy_change *change, void *arg)
{
	struct holding *h = installed(policies, selector);

	change_all(selector, h ? &h->policy->values : NULL, change, arg);
}

int xfrm_policies_remove(struct xfrm_policies *policies, uint32_t reqid,
	const struct xfrm_selector *selectors, unsigned count, bool again,
	xfrm_policy_change *change, void *arg)
{
	struct policy *p = find(policies, reqid, selectors, count);

	if (!p) {
		for (unsigned i = 0; again && i < count; i++)
			tell_installed(policies, &selectors[i], change, arg);
		return again ? 0 : ENOENT;
	}
	for (unsigned i = 0; i < count; i++) {
		bool was_installed = installed(policies, &selectors[i]) == &p->holdings[i];

		table_remove(policies->by_selector, &p->holdings[i].node);
		if (was_installed)
			tell_installed(policies, &selectors[i], change, arg);
	}
	table_remove(policies->by_reqid, &p->node);
	*p->link = p->next;
	if (p->next)
		p->next->link = p->link;
	free(p);
	return 0;
}

void xfrm_policies_move(struct xfrm_policies *policies, uint32_t reqid,
	const struct ip_address *local, const struct ip_address *remote, xfrm_policy_change *change,
	void *arg)
{
	for (struct table_node *n = table_first(policies->by_reqid, table_hash_u64(reqid)); n;
		n = table_next(n)) {
		struct policy *p = (struct policy *)n;

		if (p->values.reqid != reqid || p->values.action != IPSEC_PROTECT)
			continue;
		p->values.local = *local;
		p->values.remote = *remote;
		/* Inbound templates have no addresses. */
		for (unsigned i = 0; i < p->count; i++)
			if (installed(policies, &p->holdings[i].selector) == &p->holdings[i])
				change(arg, XFRM_POLICY_OUT, &p->holdings[i].selector, &p->values);
	}
}

unsigned xfrm_policies_count(const struct xfrm_policies *policies, uint32_t reqid)
{
	unsigned count = 0;

	for (struct table_node *n = table_first(policies->by_reqid, table_hash_u64(reqid)); n;
		n = table_next(n)) {
		const struct policy *p = (struct policy *)n;

		if (p->values.reqid == reqid)
			count += p->count;
	}
	return count;
}

void xfrm_policies_free(struct xfrm_policies *policies)
{
	if (!policies)
		return;
	while (policies->first) {
		struct policy *p = policies->first;

		policies->first = p->next;
		free(p);
	}
	table_free(policies->by_selector);
	table_free(policies->by_reqid);
	pthread_mutex_destroy(&policies->lock);
	free(policies);
}
