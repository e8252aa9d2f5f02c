/* The SPD against a model that walks a list, and the SAD's SPIs, places and groups. */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "range_cover.h"
#include "sad.h"
#include "spd.h"

static uint64_t random_state = 0x9e3779b97f4a7c15u;

static uint32_t random_below(uint32_t n)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (uint32_t)(random_state >> 20) % n;
}

/* ---- splitting ranges ---- */

static struct ip_range range_of(const char *text)
{
	struct ip_range range;
	assert_true(ip_range_parse(text, &range));
	return range;
}

static void ranges_are_covered(void **state)
{
	static const struct { const char *range; unsigned count, len; } cases[] = {
		{"10.0.0.0/8", 1, 8}, {"0.0.0.0/0", 1, 0}, {"10.1.2.3", 1, 32}, {"::/0", 1, 0}, {"fd00::/8", 1, 8},
		{"10.0.0.1-10.0.0.2", 2, 32}, {"10.0.0.1-10.0.0.254", 2, 25}, {"0.0.0.1-255.255.255.254", 2, 1},
		{"9.255.255.255-10.0.0.0", 2, 32}, {"128.0.0.0-255.255.255.255", 1, 1},
		{"::1-ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe", 2, 1}, {"::-::ffff", 1, 112}, {"::1-::2", 2, 128},
	};
	struct range_piece out[2];
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct ip_range range = range_of(cases[i].range);
		assert_int_equal(range_cover(&range, out), cases[i].count);
		assert_int_equal(out[0].len, cases[i].len);
		assert_int_equal(out[0].exact && cases[i].count == 1, cases[i].count == 1);
	}
	struct ip_range turned = {ip_v4(9), ip_v4(8)};
	assert_int_equal(range_cover(&turned, out), 0);
	/* Random ranges: each address is in one piece, and under its prefix; no other is. */
	for (unsigned n = 0; n < 1000; n++) {
		uint32_t first = 0x0a000000 + random_below(5000), last = first + random_below(n % 2 ? 5000 : 10);
		struct ip_range range = {ip_v4(first), ip_v4(last)};
		unsigned count = range_cover(&range, out);
		for (uint32_t a = first - 3; a <= last + 3; a++) {
			struct ip_address address = ip_v4(a);
			struct ip_key key = ip_key_of_address(&address);
			unsigned covered = 0;
			for (unsigned i = 0; i < count; i++) {
				struct ip_key masked = ip_key_prefix(&key, out[i].len);
				bool under = ip_key_equal(&masked, &out[i].prefix);
				bool within = ip_key_within(&key, &out[i].first, &out[i].last);
				assert_true(under || !within);
				if (out[i].exact)
					assert_int_equal(under, within);
				covered += within;
			}
			assert_int_equal(covered, a >= first && a <= last);
		}
	}
}

/* ---- the model ---- */

#define MODEL_MAX 400

struct model {
	bool used;
	uint64_t serial;
	struct ipsec_policy policy;
	struct traffic_selector lts[2], rts[2];
};

static struct model model[MODEL_MAX];

/* A small world, so that policies overlap. */
static struct ip_address random_address(bool v6)
{
	if (!v6)
		return ip_v4(0x0a000000 | (random_below(4) << 16) | (random_below(4) << 8) | random_below(8));
	uint8_t bytes[16] = {0xfd, 0, 0, (uint8_t)random_below(3)};
	bytes[15] = (uint8_t)random_below(8);
	return ip_from_bytes(AF_INET6, bytes);
}

static struct traffic_selector random_selector(bool v6)
{
	static const uint8_t lens4[] = {0, 8, 16, 24, 29, 32}, lens6[] = {0, 8, 32, 64, 125, 128};
	struct traffic_selector ts = {.port_first = 0, .port_last = 0xffff};
	struct ip_address address = random_address(v6);
	if (random_below(5) == 0) {
		struct ip_address other = random_address(v6);
		bool swap = ip_compare(&address, &other) > 0;
		ts.range.first = swap ? other : address;
		ts.range.last = swap ? address : other;
	} else {
		struct ip_subnet subnet = ip_subnet_of(&address, v6 ? lens6[random_below(6)] : lens4[random_below(6)]);
		ts.range = ip_range_of_subnet(&subnet);
	}
	if (random_below(3) == 0) {
		ts.protocol = random_below(2) ? 6 : 17;
		if (random_below(2)) {
			ts.port_first = (uint16_t)random_below(4);
			ts.port_last = (uint16_t)(ts.port_first + random_below(4));
		}
	}
	return ts;
}

static void random_policy(struct model *m, uint32_t reqid)
{
	bool v6 = random_below(2);
	*m = (struct model){.used = true};
	m->policy = (struct ipsec_policy){.reqid = reqid,
		.action = random_below(3),
		.priority = random_below(3),
		.local_ts = m->lts, .remote_ts = m->rts,
		.local_ts_count = 1 + random_below(2), .remote_ts_count = 1 + random_below(2)};
	for (unsigned i = 0; i < 2; i++) {
		m->lts[i] = random_selector(v6);
		m->rts[i] = random_selector(v6);
		/* One protocol on both sides, as negotiated selectors have. */
		m->lts[i].protocol = m->rts[i].protocol = m->lts[0].protocol;
	}
}

static unsigned model_fit(const struct traffic_selector *ts, const struct flow *f, const struct ip_key *key, uint16_t port)
{
	struct ip_address address = ip_address_of_key(key, f->family);
	if (!ip_range_has(&ts->range, &address) || (ts->protocol && ts->protocol != f->protocol))
		return 0;
	if (ts->port_first == 0 && ts->port_last == 0xffff)
		return 2;
	if (f->has_ports)
		return port >= ts->port_first && port <= ts->port_last ? 2 : 0;
	return f->fragment ? 1 : 0;
}

/* The best priority that the model finds, and whether a policy of it is among the winners. */
static bool model_accepts(const struct flow *f, bool out, const struct spd_match *got)
{
	const struct ip_key *local = out ? &f->src : &f->dst, *remote = out ? &f->dst : &f->src;
	uint16_t lport = out ? f->src_port : f->dst_port, rport = out ? f->dst_port : f->src_port;
	uint32_t best = UINT32_MAX;
	bool found = false, got_fits = false;
	for (unsigned i = 0; i < MODEL_MAX; i++) {
		struct model *m = &model[i];
		for (unsigned l = 0; m->used && l < m->policy.local_ts_count; l++) {
			for (unsigned r = 0; r < m->policy.remote_ts_count; r++) {
				unsigned a = model_fit(&m->lts[l], f, local, lport);
				unsigned b = model_fit(&m->rts[r], f, remote, rport);
				if (!a || !b)
					continue;
				found = true;
				if (m->policy.priority < best)
					best = m->policy.priority;
				if (got->policy && got->policy->reqid == m->policy.reqid &&
					got->unsure == (a == 1 || b == 1))
					got_fits = true;
			}
		}
	}
	if (!found)
		return got->policy == NULL;
	return got->policy && got_fits && got->policy->priority == best;
}

static struct flow random_flow(void)
{
	struct flow f = {0};
	bool v6 = random_below(2);
	struct ip_address src = random_address(v6), dst = random_address(v6);
	f.family = v6 ? AF_INET6 : AF_INET;
	f.src = ip_key_of_address(&src);
	f.dst = ip_key_of_address(&dst);
	f.protocol = random_below(4) == 0 ? 47 : random_below(2) ? 6 : 17;
	f.has_ports = f.protocol != 47;
	f.fragment = random_below(8) == 0 ? FLOW_LATER_FRAGMENT : FLOW_WHOLE;
	if (f.fragment)
		f.has_ports = false;
	f.src_port = f.has_ports ? (uint16_t)random_below(8) : 0;
	f.dst_port = f.has_ports ? (uint16_t)random_below(8) : 0;
	return f;
}

struct world {
	struct grace grace;
	struct spd spd;
	struct sad sad;
};

static int world_start(void **state)
{
	struct world *w = calloc(1, sizeof(*w));
	*state = w;
	return grace_init(&w->grace, 4) && spd_init(&w->spd, &w->grace) && sad_init(&w->sad, &w->grace, 65536) ? 0 : -1;
}

static int world_end(void **state)
{
	struct world *w = *state;
	spd_end(&w->spd);
	sad_end(&w->sad);
	grace_end(&w->grace);
	free(w);
	return 0;
}

static void lookup_follows_the_model(void **state)
{
	struct world *w = *state;
	struct sa_group *group;
	uint64_t matched = 0, added = 0;
	memset(model, 0, sizeof(model));
	for (unsigned round = 0; round < 20000; round++) {
		struct model *m = &model[random_below(MODEL_MAX)];
		uint32_t reqid = (uint32_t)(m - model) + 1;
		if (random_below(4) == 0) {
			if (m->used) {
				assert_int_equal(spd_delete(&w->spd, &m->policy, &group), 0);
				assert_int_equal(spd_delete(&w->spd, &m->policy, &group), ENOENT);
				m->used = false;
				added--;
			} else {
				random_policy(m, reqid);
				m->used = spd_add(&w->spd, &m->policy, NULL, &group) == 0;
				added += m->used;
			}
			grace_run(&w->grace);
			assert_int_equal(w->spd.policy_count, added);
		}
		struct flow f = random_flow();
		for (unsigned out = 0; out < 2; out++) {
			struct spd_match got = spd_lookup(&w->spd, &f, out ? IPSEC_OUTBOUND : IPSEC_INBOUND);
			assert_true(model_accepts(&f, out, &got));
			matched += got.policy != NULL;
		}
	}
	assert_true(matched > 1000);
}

static struct ipsec_policy subnet_policy(uint32_t reqid, struct traffic_selector *lts, struct traffic_selector *rts,
	const char *local, const char *remote)
{
	assert_true(traffic_selector_parse(local, lts));
	assert_true(traffic_selector_parse(remote, rts));
	return (struct ipsec_policy){.reqid = reqid, .local_ts = lts, .remote_ts = rts, .local_ts_count = 1,
		.remote_ts_count = 1, .priority = 100};
}

static struct flow flow_of(const char *src, const char *dst)
{
	struct flow f = {.protocol = 6, .has_ports = true, .src_port = 40000, .dst_port = 80};
	struct ip_address s, d;
	assert_true(ip_parse(src, &s) && ip_parse(dst, &d));
	f.family = s.family;
	f.src = ip_key_of_address(&s);
	f.dst = ip_key_of_address(&d);
	return f;
}

static void specific_and_new_win(void **state)
{
	struct world *w = *state;
	struct traffic_selector ts[8];
	struct sa_group *group;
	struct ipsec_policy wide = subnet_policy(1, &ts[0], &ts[1], "10.0.0.0/8", "0.0.0.0/0");
	struct ipsec_policy narrow = subnet_policy(2, &ts[2], &ts[3], "10.0.0.0/8", "10.2.0.0/16");
	struct ipsec_policy port = subnet_policy(3, &ts[4], &ts[5], "10.0.0.0/8", "10.2.0.0/16/6/80");
	struct ipsec_policy again = subnet_policy(4, &ts[6], &ts[7], "10.0.0.0/8", "10.2.0.0/16/6/80");
	struct flow f = flow_of("10.1.0.1", "10.2.0.1");
	assert_int_equal(spd_add(&w->spd, &narrow, NULL, &group), 0);
	assert_int_equal(spd_add(&w->spd, &wide, NULL, &group), 0);
	assert_int_equal(spd_lookup(&w->spd, &f, IPSEC_OUTBOUND).policy->reqid, 2);
	assert_int_equal(spd_add(&w->spd, &port, NULL, &group), 0);
	assert_int_equal(spd_lookup(&w->spd, &f, IPSEC_OUTBOUND).policy->reqid, 3);
	assert_int_equal(spd_add(&w->spd, &again, NULL, &group), 0);
	assert_int_equal(spd_lookup(&w->spd, &f, IPSEC_OUTBOUND).policy->reqid, 4);
	/* A smaller priority beats the more specific. */
	wide.priority = 1;
	assert_int_equal(spd_add(&w->spd, &wide, NULL, &group), 0);
	assert_int_equal(w->spd.policy_count, 4);
	assert_int_equal(spd_lookup(&w->spd, &f, IPSEC_OUTBOUND).policy->reqid, 1);
	/* The other direction, seen from inside. */
	struct flow back = flow_of("10.2.0.1", "10.1.0.1");
	assert_int_equal(spd_lookup(&w->spd, &back, IPSEC_INBOUND).policy->reqid, 1);
	/* A fragment that may belong to a narrower policy is not to be trusted to the wider. */
	wide.priority = 100;
	assert_int_equal(spd_add(&w->spd, &wide, NULL, &group), 0);
	f.has_ports = false;
	f.fragment = FLOW_LATER_FRAGMENT;
	assert_true(spd_lookup(&w->spd, &f, IPSEC_OUTBOUND).unsure);
}

static void impossible_policies_are_refused(void **state)
{
	struct world *w = *state;
	struct traffic_selector lts[16], rts[16];
	struct sa_group *group;
	struct ipsec_policy p = subnet_policy(1, lts, rts, "10.0.0.0/8", "fd00::/8");
	assert_int_equal(spd_add(&w->spd, &p, NULL, &group), EINVAL);
	p = subnet_policy(1, lts, rts, "10.0.0.0/8/6", "10.0.0.0/8/17");
	assert_int_equal(spd_add(&w->spd, &p, NULL, &group), EINVAL);
	p.local_ts_count = 17;
	assert_int_equal(spd_add(&w->spd, &p, NULL, &group), EINVAL);
	p.local_ts_count = 0;
	assert_int_equal(spd_add(&w->spd, &p, NULL, &group), EINVAL);
	assert_int_equal(w->spd.policy_count, 0);
}

/* Sixteen ranges on each side, none of them a prefix: the dearest policy there can be. */
static void the_largest_policy_is_taken(void **state)
{
	struct world *w = *state;
	struct traffic_selector lts[16], rts[16];
	struct sa_group *group;
	struct ipsec_policy p = {.reqid = 1, .local_ts = lts, .remote_ts = rts, .local_ts_count = 16,
		.remote_ts_count = 16};
	for (unsigned i = 0; i < 16; i++) {
		char text[200];
		snprintf(text, sizeof(text), "fd01:%x::1-fd01:%x:ffff:ffff:ffff:ffff:ffff:fffe", i, i);
		assert_true(traffic_selector_parse(text, &lts[i]));
		snprintf(text, sizeof(text), "fd02:%x::1-fd02:%x:ffff:ffff:ffff:ffff:ffff:fffe", i, i);
		assert_true(traffic_selector_parse(text, &rts[i]));
	}
	assert_int_equal(spd_add(&w->spd, &p, NULL, &group), 0);
	assert_true(w->spd.rules.count == 1024);
	struct flow f = flow_of("fd01:f::1", "fd02:3:ffff:ffff:ffff:ffff:ffff:fffe");
	assert_non_null(spd_lookup(&w->spd, &f, IPSEC_OUTBOUND).policy);
	f = flow_of("fd01:f::", "fd02:3::1");
	assert_null(spd_lookup(&w->spd, &f, IPSEC_OUTBOUND).policy);
	f = flow_of("fd01:f::1", "fd02:3:ffff:ffff:ffff:ffff:ffff:ffff");
	assert_null(spd_lookup(&w->spd, &f, IPSEC_OUTBOUND).policy);
	assert_int_equal(spd_delete(&w->spd, &p, &group), 0);
	assert_int_equal(w->spd.rules.count + w->spd.tuples->count, 0);
}

static double seconds(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static void road_warrior(uint32_t i, struct ipsec_policy *p, struct traffic_selector *lts, struct traffic_selector *rts)
{
	struct ip_range all = range_of("0.0.0.0/0");
	struct ip_range host = {ip_v4(0x0a000000 + i), ip_v4(0x0a000000 + i)};
	*lts = traffic_selector_of_range(&all);
	*rts = traffic_selector_of_range(&host);
	*p = (struct ipsec_policy){.reqid = i + 1, .priority = 10, .local_ts = lts, .remote_ts = rts,
		.local_ts_count = 1, .remote_ts_count = 1};
}

/* The time of one change, or one lookup, must not grow with the number of policies. */
static void many_policies_cost_no_more_than_few(void **state)
{
	enum { MANY = 100000 };
	struct world *w = *state;
	struct traffic_selector lts, rts;
	struct ipsec_policy p;
	struct sa_group *group;
	double start = seconds();
	for (uint32_t i = 0; i < MANY; i++) {
		road_warrior(i, &p, &lts, &rts);
		assert_int_equal(spd_add(&w->spd, &p, NULL, &group), 0);
		grace_run(&w->grace);
	}
	double added = seconds() - start;
	start = seconds();
	for (uint32_t i = 0; i < MANY; i++) {
		struct flow f = flow_of("192.0.2.1", "10.0.0.0");
		struct ip_address d = ip_v4(0x0a000000 + i * 7919 % MANY);
		f.dst = ip_key_of_address(&d);
		assert_int_equal(spd_lookup(&w->spd, &f, IPSEC_OUTBOUND).policy->reqid, i * 7919 % MANY + 1);
	}
	double looked = seconds() - start;
	start = seconds();
	for (uint32_t i = 0; i < MANY; i++) {
		road_warrior(i, &p, &lts, &rts);
		assert_int_equal(spd_delete(&w->spd, &p, &group), 0);
		grace_run(&w->grace);
	}
	double deleted = seconds() - start;
	print_message("# 100,000 policies: add %.2f us, look up %.2f us, delete %.2f us each\n", added * 1e6 / MANY,
		looked * 1e6 / MANY, deleted * 1e6 / MANY);
	assert_int_equal(w->spd.policy_count, 0);
	assert_int_equal(w->spd.rules.count, 0);
	assert_int_equal(w->spd.tuples->count, 0);
	assert_true(added < 20 && looked < 20 && deleted < 20);
}

/* ---- readers beside the writer: for the thread sanitizer, and for a reader that loses a policy that is there ---- */

struct reading {
	struct world *w;
	unsigned thread;
	bool stop, lost;
	uint64_t lookups;
};

static void *read_on(void *arg)
{
	struct reading *r = arg;
	struct flow f = flow_of("192.0.2.1", "10.9.9.9"); /* its policy is always there */
	grace_reader_register(&r->w->grace, r->thread);
	grace_online(&r->w->grace, r->thread);
	while (!__atomic_load_n(&r->stop, __ATOMIC_ACQUIRE)) {
		struct spd_match match = spd_lookup(&r->w->spd, &f, IPSEC_OUTBOUND);
		if (!match.policy || match.policy->priority != 10)
			r->lost = true;
		__atomic_store_n(&r->lookups, r->lookups + 1, __ATOMIC_RELAXED);
		grace_quiescent(&r->w->grace, r->thread);
	}
	grace_offline(&r->w->grace, r->thread);
	grace_reader_unregister(&r->w->grace, r->thread);
	return NULL;
}

static void readers_never_miss_what_stays(void **state)
{
	struct world *w = *state;
	struct traffic_selector lts, rts;
	struct ipsec_policy p;
	struct sa_group *group;
	struct reading reading[2] = {{.w = w, .thread = 0}, {.w = w, .thread = 1}};
	pthread_t threads[2];
	road_warrior(0x90909, &p, &lts, &rts);
	assert_int_equal(spd_add(&w->spd, &p, NULL, &group), 0);
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, read_on, &reading[i]), 0);
	for (unsigned i = 0; i < 2; i++) /* on a busy machine a thread may begin late */
		while (__atomic_load_n(&reading[i].lookups, __ATOMIC_RELAXED) == 0)
			sched_yield();
	for (unsigned round = 0; round < 3; round++) {
		for (uint32_t i = 0; i < 3000; i++) {
			road_warrior(i, &p, &lts, &rts);
			assert_int_equal(spd_add(&w->spd, &p, NULL, &group), 0);
			if (i % 50 == 0) { /* the one that is watched is replaced by its equal */
				road_warrior(0x90909, &p, &lts, &rts);
				assert_int_equal(spd_add(&w->spd, &p, NULL, &group), 0);
			}
			grace_run(&w->grace);
		}
		for (uint32_t i = 0; i < 3000; i++) {
			road_warrior(i, &p, &lts, &rts);
			assert_int_equal(spd_delete(&w->spd, &p, &group), 0);
			grace_run(&w->grace);
		}
	}
	for (unsigned i = 0; i < 2; i++) {
		__atomic_store_n(&reading[i].stop, true, __ATOMIC_RELEASE);
		pthread_join(threads[i], NULL);
		assert_false(reading[i].lost);
	}
}

/* ---- SAD ---- */

static struct ipsec_sa request_of(uint32_t spi, enum ipsec_direction direction, uint32_t reqid)
{
	struct ipsec_sa r = {.spi = spi, .direction = direction, .protocol = IPSEC_ESP, .reqid = reqid,
		.encr = 20, .encr_key_len = 20, .replay_window = 128};
	assert_true(ip_parse("192.0.2.1", &r.local.address) && ip_parse("192.0.2.2", &r.remote.address));
	return r;
}

static struct sa *sa_of(struct world *w, uint32_t spi, enum ipsec_direction direction, uint32_t reqid, int expected)
{
	static struct esp_engine engine;
	if (!engine.mgr)
		assert_true(esp_engine_init(&engine));
	struct ipsec_sa request = request_of(spi, direction, reqid);
	assert_int_equal(sa_check(&request), 0);
	struct sa *sa = sa_new(&request, &engine);
	assert_non_null(sa);
	int error = sad_add(&w->sad, sa);
	assert_int_equal(error, expected);
	if (error)
		sa_free(sa);
	return error ? NULL : sa;
}

static void spis_are_places(void **state)
{
	struct world *w = *state;
	uint8_t *taken = calloc(65536, 1);
	uint32_t first = 0;
	for (uint32_t i = 0; i < 65536; i++) {
		uint32_t spi = sad_allocate_spi(&w->sad);
		assert_true(spi >= 256);
		assert_false(taken[spi & 0xffff]);
		taken[spi & 0xffff] = 1;
		first = first ? first : spi;
	}
	assert_int_equal(sad_allocate_spi(&w->sad), 0); /* full */
	sad_release_spi(&w->sad, first ^ 0x80000000);   /* not the one that holds the place */
	assert_int_equal(sad_allocate_spi(&w->sad), 0);
	sad_release_spi(&w->sad, first);
	uint32_t again = sad_allocate_spi(&w->sad);
	assert_int_equal(again & 0xffff, first & 0xffff);
	/* An SPI with an SA is not free until the SA is gone. */
	struct sa *sa = sa_of(w, again, IPSEC_INBOUND, 1, 0);
	sad_release_spi(&w->sad, again);
	assert_int_equal(sad_allocate_spi(&w->sad), 0);
	assert_ptr_equal(sad_inbound(&w->sad, again), sa);
	assert_null(sad_inbound(&w->sad, again ^ 0x40000000));
	sa_of(w, again, IPSEC_INBOUND, 1, EEXIST);
	sad_remove(&w->sad, sa);
	assert_null(sad_inbound(&w->sad, again));
	assert_int_not_equal(sad_allocate_spi(&w->sad), 0);
	free(taken);
}

static void *allocate_many(void *arg)
{
	struct sad *sad = ((void **)arg)[0];
	uint32_t *out = ((void **)arg)[1];
	for (unsigned i = 0; i < 16384; i++)
		out[i] = sad_allocate_spi(sad);
	return NULL;
}

static void threads_get_different_spis(void **state)
{
	struct world *w = *state;
	uint32_t *spis = calloc(4 * 16384, sizeof(*spis));
	uint8_t *taken = calloc(65536, 1);
	pthread_t threads[4];
	void *args[4][2];
	for (unsigned i = 0; i < 4; i++) {
		args[i][0] = &w->sad;
		args[i][1] = spis + i * 16384;
		assert_int_equal(pthread_create(&threads[i], NULL, allocate_many, args[i]), 0);
	}
	for (unsigned i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	for (unsigned i = 0; i < 65536; i++) {
		assert_int_not_equal(spis[i], 0);
		assert_false(taken[spis[i] & 0xffff]);
		taken[spis[i] & 0xffff] = 1;
	}
	free(spis);
	free(taken);
}

static void newest_sa_of_a_group_is_used(void **state)
{
	struct world *w = *state;
	struct ip_address remote;
	assert_true(ip_parse("192.0.2.2", &remote));
	struct sa_group *group = sad_group_take(&w->sad, 7);
	assert_null(group->newest);
	struct sa *a = sa_of(w, 0x1000, IPSEC_OUTBOUND, 7, 0);
	struct sa *b = sa_of(w, 0x2000, IPSEC_OUTBOUND, 7, 0);
	sa_of(w, 0x2000, IPSEC_OUTBOUND, 7, EEXIST);
	assert_ptr_equal(group->newest, b);
	assert_ptr_equal(sad_find(&w->sad, 0x1000, IPSEC_OUTBOUND, &remote, 7), a);
	assert_null(sad_find(&w->sad, 0x1000, IPSEC_OUTBOUND, &remote, 8));
	sad_remove(&w->sad, b);
	assert_ptr_equal(group->newest, a);
	sad_remove(&w->sad, a);
	assert_null(group->newest);
	sad_group_drop(&w->sad, group);
	assert_null(w->sad.all_groups);
	grace_run(&w->grace);
	assert_int_equal(w->sad.count, 0);
}

static void bad_requests_are_named(void **state)
{
	struct ipsec_sa r = request_of(0x1000, IPSEC_INBOUND, 1);
	(void)state;
	r.spi = 255;
	assert_int_equal(sa_check(&r), EINVAL);
	r = request_of(0x1000, IPSEC_INBOUND, 1);
	r.protocol = IPSEC_AH;
	assert_int_equal(sa_check(&r), EPROTONOSUPPORT);
	r = request_of(0x1000, IPSEC_INBOUND, 1);
	r.mode = IPSEC_BEET;
	assert_int_equal(sa_check(&r), EPROTONOSUPPORT);
	r = request_of(0x1000, IPSEC_INBOUND, 1);
	r.ipcomp_cpi = 256;
	assert_int_equal(sa_check(&r), EPROTONOSUPPORT);
	r = request_of(0x1000, IPSEC_INBOUND, 1);
	r.tfc_padding = 100;
	assert_int_equal(sa_check(&r), EPROTONOSUPPORT);
	r = request_of(0x1000, IPSEC_INBOUND, 1);
	r.encr_key_len = 3;
	assert_int_equal(sa_check(&r), EPROTONOSUPPORT);
	r.encr_key_len = 65000;
	assert_int_equal(sa_check(&r), EPROTONOSUPPORT);
	r = request_of(0x1000, IPSEC_INBOUND, 1);
	r.replay_window = 4097;
	assert_int_equal(sa_check(&r), ERANGE);
	r = request_of(0x1000, IPSEC_INBOUND, 1);
	r.remote.address.family = AF_INET6;
	assert_int_equal(sa_check(&r), EAFNOSUPPORT);
	r = request_of(0x1000, IPSEC_INBOUND, 1);
	r.udp_encapsulation = true;
	assert_int_equal(sa_check(&r), EINVAL);
	r = request_of(0x1000, IPSEC_INBOUND, 1);
	r.local_ts_count = UINT32_MAX;
	assert_int_equal(sa_check(&r), EINVAL);
}

int main(void)
{
#define IN_WORLD(test) cmocka_unit_test_setup_teardown(test, world_start, world_end)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ranges_are_covered),
		IN_WORLD(lookup_follows_the_model),
		IN_WORLD(specific_and_new_win),
		IN_WORLD(impossible_policies_are_refused),
		IN_WORLD(the_largest_policy_is_taken),
		IN_WORLD(many_policies_cost_no_more_than_few),
		IN_WORLD(readers_never_miss_what_stays),
		IN_WORLD(spis_are_places),
		IN_WORLD(threads_get_different_spis),
		IN_WORLD(newest_sa_of_a_group_is_used),
		cmocka_unit_test(bad_requests_are_named),
	};
	return cmocka_run_group_tests_name("dataplane SPD and SAD", tests, NULL, NULL);
}
