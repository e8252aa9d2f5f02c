#include "policies.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/table.h"

enum { HOLDS_OUT = 1, HOLDS_IN = 2 }; /* HOLDS_IN: POLICY_IN and POLICY_FORWARD */

struct policy;

/* Of a selector, in one direction or, where the marks of both are the same, in both. */
struct holding {
	struct table_node node; /* by key; first, so that a node is its holding */
	struct policy *policy;
	uint64_t order; /* of all holdings of a key and rank the highest is installed */
	struct selector selector;
	struct ipsec_mark mark;
	uint8_t holds;
};

struct policy {
	struct table_node node;      /* by reqid; first, too */
	struct policy *next, **link; /* all */
	struct policy_values values;
	unsigned selector_count, count;
	struct holding holdings[]; /* in order of the selectors, one or two each */
};

struct policies {
	pthread_mutex_t lock;
	struct table *by_reqid, *by_selector;
	struct table_seed seed;
	struct policy *first;
	uint64_t order;
};

struct policy_values policy_values_of(const struct ipsec_policy *policy)
{
	return (struct policy_values){
		.reqid = policy->reqid,
		.action = (uint8_t)policy->action,
		.mode = (uint8_t)policy->mode,
		.protocol = (uint8_t)policy->protocol,
		.ipcomp = policy->ipcomp,
		.trap = policy->trap,
		.route = policy->route,
		.priority = policy->priority,
		.local = policy->local,
		.remote = policy->remote,
		.mark_in = policy->mark_in,
		.mark_out = policy->mark_out,
		.interface_id = policy->interface_id,
	};
}

uint32_t policy_priority(const struct policy_values *values, const struct selector *selector)
{
	uint32_t asked = values->priority > UINT16_MAX ? UINT16_MAX : values->priority;

	return asked << 16 | selector_width(selector) << 1 | !values->trap;
}

bool policy_priority_is_trap(uint32_t priority)
{
	return !(priority & 1);
}

struct policies *policies_new(void)
{
	struct policies *p = calloc(1, sizeof(*p));

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

void policies_lock(struct policies *policies)
{
	pthread_mutex_lock(&policies->lock);
}

void policies_unlock(struct policies *policies)
{
	pthread_mutex_unlock(&policies->lock);
}

static uint64_t key_hash(const struct policies *p, const struct selector *s,
	const struct ipsec_mark *mark, uint32_t interface_id)
{
	/* No padding, whose bytes would be anybody's. */
	struct {
		struct selector selector;
		uint16_t unused;
		struct ipsec_mark mark;
		uint32_t interface_id;
	} key = {*s, 0, *mark, interface_id};

	_Static_assert(sizeof(key) == sizeof(*s) + sizeof(key.unused) + sizeof(*mark) +
					      sizeof(interface_id),
		"padding");
	return table_hash(&p->seed, &key, sizeof(key));
}

static uint64_t holding_hash(const struct policies *p, const struct holding *h)
{
	return key_hash(p, &h->selector, &h->mark, h->policy->values.interface_id);
}

static bool selectors_equal(const struct selector *a, const struct selector *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

/* A trap of the connection itself gives way to the policies of SAs; a shunt does not. */
static bool gives_way(const struct holding *h)
{
	return h->policy->values.route && h->policy->values.action == IPSEC_PROTECT;
}

static bool precedes(const struct holding *a, const struct holding *b)
{
	if (gives_way(a) != gives_way(b))
		return gives_way(b);
	return a->order > b->order;
}

/* In one direction. */
static struct holding *installed(const struct policies *p, const struct selector *s,
	const struct policy_values *v, uint8_t direction)
{
	const struct ipsec_mark *mark = direction == HOLDS_OUT ? &v->mark_out : &v->mark_in;
	struct holding *first = NULL;

	for (struct table_node *n =
			table_first(p->by_selector, key_hash(p, s, mark, v->interface_id));
		n; n = table_next(n)) {
		struct holding *h = (struct holding *)n;

		if ((h->holds & direction) && selectors_equal(&h->selector, s) &&
			ipsec_mark_equal(&h->mark, mark) &&
			h->policy->values.interface_id == v->interface_id &&
			(!first || precedes(h, first)))
			first = h;
	}
	return first;
}

static bool policy_is(const struct policy *p, const struct policy_values *wanted,
	const struct selector *selectors, unsigned count)
{
	if (p->values.reqid != wanted->reqid || p->values.route != wanted->route ||
		p->selector_count != count)
		return false;
	for (unsigned i = 0; i < count; i++)
		if (!selectors_equal(&p->holdings[i * (p->count / count)].selector, &selectors[i]))
			return false;
	return true;
}

static bool same_binding(const struct policy_values *a, const struct policy_values *b)
{
	return ipsec_mark_equal(&a->mark_in, &b->mark_in) &&
	       ipsec_mark_equal(&a->mark_out, &b->mark_out) && a->interface_id == b->interface_id;
}

/* By reqid, `route` and selectors; `bound`: and with these marks and this interface, else with any.
 */
static struct policy *find(const struct policies *policies, const struct policy_values *wanted,
	const struct selector *selectors, unsigned count, bool bound)
{
	uint64_t hash = table_hash_u64(wanted->reqid);

	for (struct table_node *n = table_first(policies->by_reqid, hash); n; n = table_next(n)) {
		struct policy *p = (struct policy *)n;

		if (policy_is(p, wanted, selectors, count) &&
			(!bound || same_binding(&p->values, wanted)))
			return p;
	}
	return NULL;
}

static void change_in(uint8_t direction, const struct selector *selector,
	const struct policy_values *values, bool present, policy_change *change, void *arg)
{
	if (direction == HOLDS_OUT) {
		change(arg, POLICY_OUT, selector, values, present);
		return;
	}
	change(arg, POLICY_IN, selector, values, present);
	change(arg, POLICY_FORWARD, selector, values, present);
}

static void take_out(struct policies *policies, struct policy *p, unsigned holdings)
{
	for (unsigned i = 0; i < holdings; i++)
		table_remove(policies->by_selector, &p->holdings[i].node);
}

static struct policy *allocate(
	const struct policy_values *values, const struct selector *selectors, unsigned count)
{
	bool one = ipsec_mark_equal(&values->mark_in, &values->mark_out);
	unsigned holdings = one ? count : 2 * count;
	struct policy *p = calloc(1, sizeof(*p) + holdings * sizeof(p->holdings[0]));

	if (!p)
		return NULL;
	p->values = *values;
	p->selector_count = count;
	p->count = holdings;
	for (unsigned i = 0; i < holdings; i++) {
		struct holding *h = &p->holdings[i];

		h->policy = p;
		h->selector = selectors[one ? i : i / 2];
		h->holds = one ? HOLDS_OUT | HOLDS_IN : i % 2 ? HOLDS_IN : HOLDS_OUT;
		h->mark = h->holds & HOLDS_OUT ? values->mark_out : values->mark_in;
	}
	return p;
}

static struct policy *make(struct policies *policies, const struct policy_values *values,
	const struct selector *selectors, unsigned count)
{
	struct policy *p = allocate(values, selectors, count);
	unsigned n = 0;

	if (!p)
		return NULL;
	while (n < p->count && table_insert(policies->by_selector, &p->holdings[n].node,
				       holding_hash(policies, &p->holdings[n])))
		n++;
	if (n == p->count &&
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

/* Whoever is first, or nobody. */
static void tell_installed(const struct policies *policies, const struct selector *selector,
	const struct policy_values *values, uint8_t direction, policy_change *change, void *arg)
{
	struct holding *h = installed(policies, selector, values, direction);

	change_in(direction, selector, h ? &h->policy->values : values, h, change, arg);
}

static void tell_holding(
	const struct policies *policies, const struct holding *h, policy_change *change, void *arg)
{
	for (uint8_t direction = HOLDS_OUT; direction <= HOLDS_IN; direction++)
		if (h->holds & direction)
			tell_installed(
				policies, &h->selector, &h->policy->values, direction, change, arg);
}

int policies_add(struct policies *policies, const struct policy_values *values,
	const struct selector *selectors, unsigned count, bool again, policy_change *change,
	void *arg)
{
	struct policy *p = find(policies, values, selectors, count, true);

	if (again) { /* what came after it, by another channel, stands */
		for (unsigned i = 0; p && i < p->count; i++)
			tell_holding(policies, &p->holdings[i], change, arg);
		return 0;
	}
	if (p)
		p->values = *values;
	else if ((p = make(policies, values, selectors, count)) == NULL)
		return ENOMEM;
	for (unsigned i = 0; i < p->count; i++) {
		p->holdings[i].order = ++policies->order;
		tell_holding(policies, &p->holdings[i], change, arg);
	}
	return 0;
}

static void take_back(
	struct policies *policies, struct holding *h, policy_change *change, void *arg)
{
	const struct policy_values *v = &h->policy->values;
	uint8_t was_installed = 0;

	for (uint8_t direction = HOLDS_OUT; direction <= HOLDS_IN; direction++)
		if ((h->holds & direction) && installed(policies, &h->selector, v, direction) == h)
			was_installed |= direction;
	table_remove(policies->by_selector, &h->node);
	for (uint8_t direction = HOLDS_OUT; direction <= HOLDS_IN; direction++)
		if (was_installed & direction)
			tell_installed(policies, &h->selector, v, direction, change, arg);
}

static void tell_again(const struct policies *policies, const struct policy_values *values,
	const struct selector *selectors, unsigned count, policy_change *change, void *arg)
{
	for (unsigned i = 0; i < count; i++)
		for (uint8_t direction = HOLDS_OUT; direction <= HOLDS_IN; direction++)
			tell_installed(policies, &selectors[i], values, direction, change, arg);
}

int policies_remove(struct policies *policies, struct policy_values *values,
	const struct selector *selectors, unsigned count, bool again, policy_change *change,
	void *arg)
{
	struct policy *p = find(policies, values, selectors, count, again);

	if (!p) {
		if (again)
			tell_again(policies, values, selectors, count, change, arg);
		return again ? 0 : ENOENT;
	}
	*values = p->values;
	for (unsigned i = 0; i < p->count; i++)
		take_back(policies, &p->holdings[i], change, arg);
	table_remove(policies->by_reqid, &p->node);
	*p->link = p->next;
	if (p->next)
		p->next->link = p->link;
	free(p);
	return 0;
}

void policies_move(struct policies *policies, uint32_t reqid, const struct ip_address *local,
	const struct ip_address *remote, policy_change *change, void *arg)
{
	for (struct table_node *n = table_first(policies->by_reqid, table_hash_u64(reqid)); n;
		n = table_next(n)) {
		struct policy *p = (struct policy *)n;

		if (p->values.reqid != reqid || p->values.action != IPSEC_PROTECT)
			continue;
		p->values.local = *local;
		p->values.remote = *remote;
		/* Inbound templates have no addresses. */
		for (unsigned i = 0; i < p->count; i++) {
			struct holding *h = &p->holdings[i];

			if ((h->holds & HOLDS_OUT) &&
				installed(policies, &h->selector, &p->values, HOLDS_OUT) == h)
				change_in(HOLDS_OUT, &h->selector, &p->values, true, change, arg);
		}
	}
}

unsigned policies_count(const struct policies *policies, uint32_t reqid)
{
	unsigned count = 0;

	for (struct table_node *n = table_first(policies->by_reqid, table_hash_u64(reqid)); n;
		n = table_next(n)) {
		const struct policy *p = (struct policy *)n;

		if (p->values.reqid == reqid)
			count += p->selector_count;
	}
	return count;
}

void policies_free(struct policies *policies)
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
