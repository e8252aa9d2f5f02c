#include "spd.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>

#include "range_cover.h"

/* ---- the key of a rule: two prefixes ---- */

/* Seeded: selectors are in part chosen by peers. */
static uint64_t rule_hash(const struct spd *spd, const struct ip_key *local,
	const struct ip_key *remote, unsigned lens)
{
	uint64_t h = key_mix(local->word[0] ^ spd->seed[0], local->word[1] ^ 0x9e3779b97f4a7c15u);
	h ^= key_mix(remote->word[0] ^ spd->seed[1], remote->word[1] ^ 0xd6e8feb86659fd93u);
	return key_mix(h ^ lens, spd->seed[0] | 1);
}

static unsigned key_lens(uint8_t family, uint8_t local_len, uint8_t remote_len)
{
	return (unsigned)family << 16 | (unsigned)local_len << 8 | remote_len;
}

bool spd_init(struct spd *spd, struct grace *grace)
{
	*spd = (struct spd){.grace = grace};
	spd->tuples = calloc(1, sizeof(*spd->tuples));
	spd->cells = calloc(2, sizeof(*spd->cells));
	spd->policies = table_new();
	return spd->tuples && spd->cells && spd->policies && grace_table_init(&spd->rules, grace) &&
	       getrandom(spd->seed, sizeof(spd->seed), 0) == sizeof(spd->seed);
}

/* ---- tuples ---- */

static void release_tuples(struct retired *retired)
{
	free((char *)retired - offsetof(struct spd_tuples, retired));
}

static int tuple_compare(const void *a, const void *b)
{
	const struct spd_tuple *x = a, *y = b;
	if (x->priority != y->priority)
		return x->priority < y->priority ? -1 : 1;
	return (int)(y->local_len + y->remote_len) - (int)(x->local_len + x->remote_len);
}

static struct spd_cell *cell_of(struct spd *spd, const struct rule *rule)
{
	return &spd->cells[rule->family == AF_INET6][rule->local_len][rule->remote_len];
}

static void cell_take(struct spd *spd, const struct rule *rule)
{
	struct spd_cell *cell = cell_of(spd, rule);
	uint32_t priority = rule->policy->priority;
	if (cell->rules++ == 0 || priority < cell->priority) {
		cell->priority = priority;
		spd->cells_changed = true;
	}
}

static void cell_drop(struct spd *spd, const struct rule *rule)
{
	if (--cell_of(spd, rule)->rules == 0)
		spd->cells_changed = true;
}

static unsigned collect_tuples(const struct spd *spd, struct spd_tuple *out)
{
	unsigned n = 0;
	for (unsigned f = 0; f < 2; f++) {
		unsigned bits = f ? 128 : 32;
		for (unsigned l = 0; l <= bits; l++) {
			for (unsigned r = 0; r <= bits; r++) {
				const struct spd_cell *cell = &spd->cells[f][l][r];
				if (cell->rules == 0)
					continue;
				if (out)
					out[n] = (struct spd_tuple){f ? AF_INET6 : AF_INET,
						(uint8_t)l, (uint8_t)r, cell->priority};
				n++;
			}
		}
	}
	return n;
}

/* Shows readers the tuples in use, if that is another set than they know. False: no memory; they
 * keep the old one, which is harmless when it has too many. */
static bool publish_tuples(struct spd *spd)
{
	if (!spd->cells_changed)
		return true;
	unsigned count = collect_tuples(spd, NULL);
	struct spd_tuples *tuples = calloc(1, sizeof(*tuples) + count * sizeof(tuples->at[0]));
	if (!tuples)
		return false;
	tuples->count = collect_tuples(spd, tuples->at);
	qsort(tuples->at, tuples->count, sizeof(tuples->at[0]), tuple_compare);
	struct spd_tuples *old = spd->tuples;
	__atomic_store_n(&spd->tuples, tuples, __ATOMIC_RELEASE);
	grace_retire(spd->grace, &old->retired, release_tuples);
	spd->cells_changed = false;
	return true;
}

/* ---- rules ---- */

static uint32_t port_narrowness(uint16_t first, uint16_t last)
{
	return first > last ? 0x10000 : 0xffffu - (uint32_t)(last - first);
}

static void rule_fill(struct rule *rule, struct policy *policy, const struct range_piece *local,
	const struct range_piece *remote, const struct traffic_selector *local_ts,
	const struct traffic_selector *remote_ts)
{
	rule->local = local->prefix;
	rule->remote = remote->prefix;
	rule->family = local->family;
	rule->local_len = local->len;
	rule->remote_len = remote->len;
	rule->exact = local->exact && remote->exact;
	rule->local_range[0] = local->first;
	rule->local_range[1] = local->last;
	rule->remote_range[0] = remote->first;
	rule->remote_range[1] = remote->last;
	rule->protocol = local_ts->protocol ? local_ts->protocol : remote_ts->protocol;
	rule->local_first = local_ts->port_first;
	rule->local_last = local_ts->port_last;
	rule->remote_first = remote_ts->port_first;
	rule->remote_last = remote_ts->port_last;
	rule->narrowness = (local->exact ? 0 : 1u << 22) + (remote->exact ? 0 : 1u << 22) +
			   (rule->protocol ? 1u << 20 : 0) +
			   port_narrowness(rule->local_first, rule->local_last) +
			   port_narrowness(rule->remote_first, rule->remote_last);
	rule->policy = policy;
}

/* Two selectors that name different protocols have no packet in common. */
static bool pair_possible(
	const struct traffic_selector *local, const struct traffic_selector *remote)
{
	return local->range.first.family == remote->range.first.family &&
	       (local->protocol == remote->protocol || !local->protocol || !remote->protocol);
}

/* Counts the rules of a policy, and writes them where `policy` is given. */
static uint32_t rules_of(const struct ipsec_policy *request, struct policy *policy)
{
	struct range_piece local[2], remote[2];
	uint32_t count = 0;
	for (unsigned l = 0; l < request->local_ts_count; l++) {
		const struct traffic_selector *lts = &request->local_ts[l];
		unsigned locals = range_cover(&lts->range, local);
		for (unsigned r = 0; r < request->remote_ts_count; r++) {
			const struct traffic_selector *rts = &request->remote_ts[r];
			if (!pair_possible(lts, rts))
				continue;
			unsigned remotes = range_cover(&rts->range, remote);
			for (unsigned i = 0; policy && i < locals; i++)
				for (unsigned j = 0; j < remotes; j++)
					rule_fill(&policy->rules[count + i * remotes + j], policy,
						&local[i], &remote[j], lts, rts);
			count += locals * remotes;
		}
	}
	return count;
}

static size_t policy_size(const struct policy *policy)
{
	return sizeof(*policy) + policy->rule_count * sizeof(struct rule) +
	       ((size_t)policy->local_ts_count + policy->remote_ts_count) *
		       sizeof(struct traffic_selector);
}

static void release_policy(struct retired *retired)
{
	struct policy *policy =
		(struct policy *)((char *)retired - offsetof(struct policy, retired));
	free(policy->selectors);
	free(policy);
}

static struct policy *policy_find(const struct spd *spd, const struct ipsec_policy *request)
{
	struct table_node *node = table_first(spd->policies, table_hash_u64(request->reqid));
	for (; node; node = table_next(node)) {
		struct policy *policy =
			(struct policy *)((char *)node - offsetof(struct policy, node));
		if (policy->reqid != request->reqid || policy->route != request->route ||
			policy->local_ts_count != request->local_ts_count ||
			policy->remote_ts_count != request->remote_ts_count)
			continue;
		bool equal = true;
		for (unsigned i = 0; equal && i < policy->local_ts_count; i++)
			equal = traffic_selector_equal(
				&policy->selectors[i], &request->local_ts[i]);
		for (unsigned i = 0; equal && i < policy->remote_ts_count; i++)
			equal = traffic_selector_equal(
				&policy->selectors[policy->local_ts_count + i],
				&request->remote_ts[i]);
		if (equal)
			return policy;
	}
	return NULL;
}

static void unlink_rules(struct spd *spd, struct policy *policy)
{
	for (uint32_t i = 0; i < policy->rule_count; i++) {
		grace_table_remove(&spd->rules, &policy->rules[i].node);
		cell_drop(spd, &policy->rules[i]);
	}
	publish_tuples(spd);
}

static void policy_remove(struct spd *spd, struct policy *policy)
{
	table_remove(spd->policies, &policy->node);
	unlink_rules(spd, policy);
	__atomic_sub_fetch(&spd->policy_count, 1, __ATOMIC_RELAXED);
	__atomic_sub_fetch(&spd->policy_bytes, policy_size(policy), __ATOMIC_RELAXED);
	grace_retire(spd->grace, &policy->retired, release_policy);
}

/* Tuples first, so that no reader misses a rule. */
static bool link_rules(struct spd *spd, struct policy *policy)
{
	for (uint32_t i = 0; i < policy->rule_count; i++)
		cell_take(spd, &policy->rules[i]);
	if (!publish_tuples(spd)) {
		for (uint32_t i = 0; i < policy->rule_count; i++)
			cell_drop(spd, &policy->rules[i]);
		return false;
	}
	for (uint32_t i = 0; i < policy->rule_count; i++) {
		struct rule *rule = &policy->rules[i];
		unsigned lens = key_lens(rule->family, rule->local_len, rule->remote_len);
		grace_table_insert(&spd->rules, &rule->node,
			rule_hash(spd, &rule->local, &rule->remote, lens));
	}
	return true;
}

static struct policy *policy_new(
	struct spd *spd, const struct ipsec_policy *request, struct sa_group *group, uint32_t rules)
{
	size_t locals = request->local_ts_count, remotes = request->remote_ts_count;
	struct policy *policy = calloc(1, sizeof(*policy) + rules * sizeof(struct rule));
	struct traffic_selector *selectors = calloc(locals + remotes, sizeof(*selectors));
	if (!policy || !selectors) {
		free(policy);
		free(selectors);
		return NULL;
	}
	memcpy(selectors, request->local_ts, locals * sizeof(*selectors));
	memcpy(selectors + locals, request->remote_ts, remotes * sizeof(*selectors));
	policy->selectors = selectors;
	policy->local_ts_count = (uint8_t)locals;
	policy->remote_ts_count = (uint8_t)remotes;
	policy->serial = ++spd->serial;
	policy->reqid = request->reqid;
	policy->priority = request->priority;
	policy->action = (uint8_t)request->action;
	policy->trap = request->trap;
	policy->route = request->route;
	policy->group = group;
	policy->rule_count = rules;
	rules_of(request, policy);
	return policy;
}

int spd_add(struct spd *spd, const struct ipsec_policy *request, struct sa_group *group,
	struct sa_group **replaced_group)
{
	*replaced_group = NULL;
	if (request->local_ts_count == 0 || request->local_ts_count > IPSEC_SELECTORS_MAX ||
		request->remote_ts_count == 0 || request->remote_ts_count > IPSEC_SELECTORS_MAX)
		return EINVAL;
	uint32_t rules = rules_of(request, NULL);
	if (rules == 0)
		return EINVAL;
	struct policy *old = policy_find(spd, request);
	struct policy *policy = policy_new(spd, request, group, rules);
	if (!policy)
		return ENOMEM;
	if (!table_insert(spd->policies, &policy->node, table_hash_u64(policy->reqid))) {
		release_policy(&policy->retired);
		return ENOMEM;
	}
	if (!link_rules(spd, policy)) {
		table_remove(spd->policies, &policy->node);
		grace_retire(spd->grace, &policy->retired, release_policy);
		return ENOMEM;
	}
	__atomic_add_fetch(&spd->policy_count, 1, __ATOMIC_RELAXED);
	__atomic_add_fetch(&spd->policy_bytes, policy_size(policy), __ATOMIC_RELAXED);
	if (old) { /* only now: at no moment is the traffic without a policy */
		*replaced_group = old->group;
		policy_remove(spd, old);
	}
	return 0;
}

int spd_delete(struct spd *spd, const struct ipsec_policy *request, struct sa_group **group)
{
	struct policy *policy = policy_find(spd, request);
	*group = NULL;
	if (!policy)
		return ENOENT;
	*group = policy->group;
	policy_remove(spd, policy);
	return 0;
}

void spd_end(struct spd *spd)
{
	/* Rules point to their policies: walk the buckets once, a policy is freed with its last
	 * rule. */
	struct grace_buckets *buckets = spd->rules.buckets;
	for (uint64_t i = 0; buckets && i <= buckets->mask; i++) {
		struct grace_node *next;
		for (struct grace_node *n = buckets->at[i]; n; n = next) {
			struct rule *rule =
				(struct rule *)((char *)n - offsetof(struct rule, node));
			next = n->next[buckets->link];
			if (--rule->policy->rule_count == 0)
				release_policy(&rule->policy->retired);
		}
	}
	grace_table_end(&spd->rules);
	free(spd->tuples);
	free(spd->cells);
	if (spd->policies)
		table_free(spd->policies);
	*spd = (struct spd){0};
}

uint64_t spd_bytes(const struct spd *spd)
{
	return __atomic_load_n(&spd->policy_bytes, __ATOMIC_RELAXED) +
	       grace_table_bytes(&spd->rules);
}

/* ---- lookup ---- */

enum fit { FIT_NO, FIT_UNSURE, FIT_YES };

static enum fit ports_fit(uint16_t first, uint16_t last, const struct flow *flow, uint16_t port)
{
	if (first == 0 && last == 0xffff)
		return FIT_YES;
	if (flow->has_ports)
		return first <= port && port <= last ? FIT_YES : FIT_NO;
	if (first > last) /* OPAQUE */
		return FIT_YES;
	return flow->fragment == FLOW_WHOLE ? FIT_NO : FIT_UNSURE;
}

static enum fit rule_fits(
	const struct rule *rule, const struct flow *flow, uint16_t local_port, uint16_t remote_port)
{
	if (rule->protocol && rule->protocol != flow->protocol)
		return FIT_NO;
	enum fit local = ports_fit(rule->local_first, rule->local_last, flow, local_port);
	enum fit remote = ports_fit(rule->remote_first, rule->remote_last, flow, remote_port);
	return local < remote ? local : remote;
}

static bool in_ranges(
	const struct rule *rule, const struct ip_key *local, const struct ip_key *remote)
{
	return ip_key_within(local, &rule->local_range[0], &rule->local_range[1]) &&
	       ip_key_within(remote, &rule->remote_range[0], &rule->remote_range[1]);
}

static bool rule_beats(const struct rule *a, const struct rule *b)
{
	if (a->policy->priority != b->policy->priority)
		return a->policy->priority < b->policy->priority;
	int a_len = a->local_len + a->remote_len, b_len = b->local_len + b->remote_len;
	if (a_len != b_len)
		return a_len > b_len;
	if (a->narrowness != b->narrowness)
		return a->narrowness > b->narrowness;
	return a->policy->serial > b->policy->serial;
}

struct spd_match spd_lookup(
	const struct spd *spd, const struct flow *flow, enum ipsec_direction direction)
{
	bool out = direction == IPSEC_OUTBOUND;
	const struct ip_key *local = out ? &flow->src : &flow->dst;
	const struct ip_key *remote = out ? &flow->dst : &flow->src;
	uint16_t local_port = out ? flow->src_port : flow->dst_port;
	uint16_t remote_port = out ? flow->dst_port : flow->src_port;
	const struct spd_tuples *tuples = __atomic_load_n(&spd->tuples, __ATOMIC_ACQUIRE);
	const struct rule *best = NULL;
	bool unsure = false;

	for (unsigned i = 0; i < tuples->count; i++) {
		const struct spd_tuple *t = &tuples->at[i];
		if (t->family != flow->family)
			continue;
		if (best && (t->priority > best->policy->priority ||
				    (t->priority == best->policy->priority &&
					    t->local_len + t->remote_len <
						    best->local_len + best->remote_len)))
			break;
		struct ip_key l = ip_key_prefix(local, t->local_len);
		struct ip_key r = ip_key_prefix(remote, t->remote_len);
		unsigned lens = key_lens(t->family, t->local_len, t->remote_len);
		struct grace_cursor cursor =
			grace_table_first(&spd->rules, rule_hash(spd, &l, &r, lens));
		for (; cursor.node; grace_table_next(&cursor)) {
			const struct rule *rule =
				(const struct rule *)(const void *)((const char *)cursor.node -
								    offsetof(struct rule, node));
			if (rule->local_len != t->local_len || rule->remote_len != t->remote_len ||
				rule->family != t->family || !ip_key_equal(&rule->local, &l) ||
				!ip_key_equal(&rule->remote, &r))
				continue;
			if (!rule->exact && !in_ranges(rule, local, remote))
				continue;
			enum fit fit = rule_fits(rule, flow, local_port, remote_port);
			if (fit == FIT_NO || (best && !rule_beats(rule, best)))
				continue;
			best = rule;
			unsure = fit == FIT_UNSURE;
		}
	}
	return (struct spd_match){best ? best->policy : NULL, unsure};
}
