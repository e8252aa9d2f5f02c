/* --globalstatus: counters as key=value. */
#include "reports.h"

#include "counters.h"
#include "global_keys.h"
#include "pluto.h"
#include "pools.h"

#include "base/timer.h"
#include "dataplane/dataplane.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define KEY_MAX 160

static void say(struct report *r, const char *key, uint64_t value)
{
	report_text_line(r, "%s=%" PRIu64, key, value);
}

static uint64_t value_of(const struct pluto *p, const char *key)
{
	if (strcmp(key, "config.setup.ike.ddos_threshold") == 0)
		return p->options.ddos_threshold;
	if (strcmp(key, "config.setup.ike.max_halfopen") == 0)
		return p->options.max_half_open;
	return counters_value(p->counters, p->shards, key);
}

/* "x.finished" has the reasons before it, those that have happened. */
static void say_reasons(struct report *r, const char *finished)
{
	size_t len = strlen(finished);
	const char *key;
	uint64_t value;

	if (len < 9 || strcmp(finished + len - 9, ".finished") != 0)
		return;
	for (size_t i = 0; counters_at(r->pluto->counters, r->pluto->shards, i, &key, &value); i++)
		if (value && strncmp(key, finished, len) == 0 && key[len] == '.')
			say(r, key, value);
}

static void say_family(struct report *r, const struct global_family *family)
{
	char key[KEY_MAX];

	if (!family->words) {
		say_reasons(r, family->prefix);
		say(r, family->prefix, value_of(r->pluto, family->prefix));
		return;
	}
	for (const char *at = family->words; *at;) {
		size_t len = strcspn(at, " ");

		snprintf(key, sizeof(key), "%s%.*s", family->prefix, (int)len, at);
		say(r, key, value_of(r->pluto, key));
		at += len;
		at += strspn(at, " ");
	}
}

static bool family_has(const struct global_family *family, const char *key)
{
	size_t prefix = strlen(family->prefix), len;

	if (strncmp(key, family->prefix, prefix) != 0)
		return false;
	if (!family->words) /* with the reasons behind "finished" */
		return key[prefix] == '\0' || key[prefix] == '.';
	len = strlen(key + prefix);
	for (const char *at = family->words; *at;) {
		size_t n = strcspn(at, " ");

		if (n == len && strncmp(at, key + prefix, n) == 0)
			return true;
		at += n;
		at += strspn(at, " ");
	}
	return false;
}

/* A family a step. */
enum step_result global_status_keys(struct report *r)
{
	if (r->after == global_family_count)
		return STEP_DONE;
	say_family(r, &global_families[r->after++]);
	return STEP_MORE;
}

/* What the engine counts and the list above does not know. */
enum step_result global_status_others(struct report *r)
{
	const char *key;
	uint64_t value;

	for (size_t i = 0; counters_at(r->pluto->counters, r->pluto->shards, i, &key, &value);
		i++) {
		bool known = value == 0;

		for (size_t f = 0; !known && f < global_family_count; f++)
			known = family_has(&global_families[f], key);
		if (!known)
			say(r, key, value);
	}
	return STEP_DONE;
}

/* ---- our own ------------------------------------------------------------------ */

static void say_shard(struct report *r, unsigned i, const struct shard_stats *s)
{
	const struct {
		const char *name;
		uint64_t value;
	} items[] = {
		{"ike_sas", s->ike_sas},
		{"half_open", s->half_open},
		{"asks_cookies", s->asks_cookies},
		{"datagrams_in", s->datagrams_in},
		{"shed", s->shed},
		{"datagrams_out", s->datagrams_out},
		{"bytes_in", s->bytes_in},
		{"bytes_out", s->bytes_out},
		{"handed_over", s->handed_over},
		{"handed_in", s->handed_in},
		{"hand_over_lost", s->hand_over_lost},
		{"send_errors", s->send_errors},
		{"mailbox_depth", s->mailbox_depth},
		{"mailbox_refused", s->mailbox_refused},
		{"wakeups", s->wakeups},
		{"timers", s->timers},
		{"kernel_pending", s->kernel_pending},
		{"cpu_us", s->cpu_ns / 1000},
	};

	for (size_t k = 0; k < sizeof(items) / sizeof(items[0]); k++)
		report_text_line(
			r, "plutonium.shard.%u.%s=%" PRIu64, i, items[k].name, items[k].value);
}

/* A shard a step. */
enum step_result global_status_shards(struct report *r)
{
	struct shard_stats stats;

	if (r->after == 0)
		say(r, "plutonium.shards", shard_set_count(r->pluto->shards));
	if (!shard_set_stats(r->pluto->shards, (unsigned)r->after, &stats))
		return STEP_DONE;
	say_shard(r, (unsigned)r->after++, &stats);
	return STEP_MORE;
}

static void say_crypto(struct report *r)
{
	struct crypto_pool_stats s = shard_set_crypto_stats(r->pluto->shards);

	say(r, "plutonium.crypto.workers", s.workers);
	say(r, "plutonium.crypto.submitted", s.submitted);
	say(r, "plutonium.crypto.done", s.done);
	say(r, "plutonium.crypto.refused", s.refused);
	say(r, "plutonium.crypto.undelivered", s.undelivered);
	say(r, "plutonium.crypto.depth", s.depth);
	say(r, "plutonium.crypto.batches", s.batches);
	say(r, "plutonium.crypto.wait_us", s.wait_ns / 1000);
	say(r, "plutonium.crypto.run_us", s.run_ns / 1000);
}

/* The groups for which keys have been made ahead. */
static void say_keys(struct report *r)
{
	struct key_stock_stats stats[KEY_STOCK_GROUPS_MAX];
	const struct algorithm *group;

	shard_set_key_stats(r->pluto->shards, stats);
	for (size_t i = 0; (group = key_stock_group(i)); i++) {
		const struct key_stock_stats *s = &stats[i];

		if (s->made == 0)
			continue;
		report_text_line(
			r, "plutonium.keys_ahead.%s.held=%" PRIu64, group->name, s->held);
		report_text_line(
			r, "plutonium.keys_ahead.%s.made=%" PRIu64, group->name, s->made);
		report_text_line(
			r, "plutonium.keys_ahead.%s.used=%" PRIu64, group->name, s->used);
		report_text_line(r, "plutonium.keys_ahead.%s.expired=%" PRIu64, group->name,
			s->expired);
	}
}

/* Each byte in one line, but for those of the timers, which are inline in the IKE SAs. */
static void say_memory(struct report *r)
{
	const struct pluto *p = r->pluto;
	struct ike_memory sum = {0};
	struct shard_stats s;
	uint64_t sas = 0, value, engines;
	const char *name;

	for (unsigned i = 0; shard_set_stats(p->shards, i, &s); i++) {
		ike_memory_add(&sum, &s.memory);
		sas += s.ike_sas;
	}
	engines = ike_memory_total(&sum);
	for (size_t i = 0; ike_memory_at(&sum, i, &name, &value); i++)
		report_text_line(r, "plutonium.memory.%s=%" PRIu64, name, value);
	say(r, "plutonium.memory.timers_inline", sas * sizeof(struct timer));
	say(r, "plutonium.memory.engines", engines);
	say(r, "plutonium.memory.per_ike_sa", sas ? engines / sas : 0);
	say(r, "plutonium.memory.catalogue", catalogue_bytes(p->catalogue));
	say(r, "plutonium.memory.address_pools", pools_bytes(p->pools));
	say(r, "plutonium.memory.secrets", secret_vault_bytes(p->vault));
	if (p->dataplane)
		say(r, "plutonium.memory.dataplane_sad_spd",
			dataplane_stats(p->dataplane).memory_bytes);
}

static void say_pools(struct report *r)
{
	struct address_pool_stats sum = {0};
	const struct address_pool *pool;
	size_t count = 0;

	for (; (pool = pools_at(r->pluto->pools, count)); count++) {
		struct address_pool_stats s = address_pool_stats(pool);

		sum.size += s.size;
		sum.in_use += s.in_use;
		sum.remembered += s.remembered;
	}
	say(r, "plutonium.addresspools", count);
	say(r, "plutonium.addresspools.addresses", sum.size);
	say(r, "plutonium.addresspools.in_use", sum.in_use);
	say(r, "plutonium.addresspools.remembered", sum.remembered);
}

static void say_dataplane(struct report *r)
{
	struct dataplane_stats stats;
	const char *name;
	uint64_t value;

	if (!r->pluto->dataplane)
		return;
	stats = dataplane_stats(r->pluto->dataplane);
	for (size_t i = 0; dataplane_stat_at(&stats, i, &name, &value); i++)
		report_text_line(r, "plutonium.dataplane.%s=%" PRIu64, name, value);
}

static void say_updown(struct report *r, const struct updown_stats s)
{
	say(r, "plutonium.updown.runs", s.runs);
	say(r, "plutonium.updown.failed", s.failed);
	say(r, "plutonium.updown.timed_out", s.timed_out);
	say(r, "plutonium.updown.running", s.running);
	say(r, "plutonium.updown.waiting", s.waiting);
	say(r, "plutonium.updown.seats", s.seats);
	say(r, "plutonium.updown.routes", s.routes);
}

enum step_result global_status_daemon(struct report *r)
{
	const struct pluto *p = r->pluto;
	struct kernel_stats kernel = kernel_stats(p->kernel);

	say_crypto(r);
	say_keys(r);
	say_memory(r);
	say_pools(r);
	say(r, "plutonium.connections", catalogue_count(p->catalogue));
	say(r, "plutonium.control.clients", p->clients.count);
	say(r, "plutonium.control.mailbox_depth", mailbox_depth(p->mailbox));
	say(r, "plutonium.control.mailbox_refused", mailbox_refused(p->mailbox));
	say(r, "plutonium.log.dropped", log_dropped());
	if (p->updown)
		say_updown(r, updown_stats(p->updown));
	say(r, "plutonium.kernel.overruns", kernel.overruns);
	say(r, "plutonium.kernel.asked_again", kernel.asked_again);
	say(r, "plutonium.kernel.events_lost", kernel.events_lost);
	say_dataplane(r);
	return STEP_DONE;
}
