#include "tally.h"

#include "ike/counters.h"
#include "shard_set.h"

#include <string.h>

#define MEMORY_MS 200 /* a look into the engine's pools is not free */

void shard_tell_tally(struct shard *shard)
{
	struct tally *t = &shard->tally;
	tally_set(&t->ike_sas, ike_engine_sa_count(shard->engine));
	tally_set(&t->asks_cookies, shard->now_ms < shard->backlog.cookies_until_ms);
	tally_set(&t->timers, timer_wheel_count(shard->wheel));
	tally_set(&t->kernel_pending, kernel_channel_pending(shard->channel));
	if (shard->now_ms - shard->memory_told_ms < MEMORY_MS) {
		shard->tally_due_ms = shard->memory_told_ms + MEMORY_MS;
		return;
	}
	struct ike_memory m = ike_engine_memory(shard->engine);
	for (size_t i = 0; i < sizeof m / sizeof m.ike_sas; i++) {
		tally_set(&t->memory.ike_sas + i, (&m.ike_sas)[i]);
	}
	shard->memory_told_ms = shard->now_ms;
	shard->tally_due_ms = UINT64_MAX;
}

uint64_t shard_half_open(const struct shard *shard)
{
	uint64_t sum = 0;
	for (size_t i = 0; i < 2; i++) {
		sum += counter_read(&shard->counters, shard->set->half_open_cells[i]);
	}
	return sum;
}

bool shard_set_stats(const struct shard_set *set, unsigned i, struct shard_stats *out)
{
	if (i >= set->count) {
		return false;
	}
	const struct shard *shard = set->shards[i];
	const struct tally *t = &shard->tally;
	struct timespec cpu = {0};
	(void)clock_gettime(shard->cpu_clock, &cpu);
	*out = (struct shard_stats){
		.ike_sas = tally_read(&t->ike_sas),
		.half_open = shard_half_open(shard),
		.asks_cookies = tally_read(&t->asks_cookies) != 0,
		.datagrams_in = tally_read(&t->datagrams_in),
		.datagrams_out = tally_read(&t->datagrams_out),
		.bytes_in = tally_read(&t->bytes_in),
		.bytes_out = tally_read(&t->bytes_out),
		.shed = tally_read(&t->shed),
		.not_ike = tally_read(&t->not_ike),
		.handed_over = tally_read(&t->handed_over),
		.handed_in = tally_read(&t->handed_in),
		.hand_over_lost = tally_read(&t->hand_over_lost),
		.send_errors = tally_read(&t->send_errors),
		.lines_lost = tally_read(&t->lines_lost),
		.news_lost = tally_read(&t->news_lost),
		.mailbox_depth = mailbox_depth(shard->inbox),
		.mailbox_refused = mailbox_refused(shard->inbox),
		.wakeups = mailbox_wakeups(shard->inbox),
		.timers = tally_read(&t->timers),
		.kernel_pending = tally_read(&t->kernel_pending),
		.cpu_ns = (uint64_t)cpu.tv_sec * 1000000000u + (uint64_t)cpu.tv_nsec,
	};
	for (size_t k = 0; k < sizeof out->memory / sizeof out->memory.ike_sas; k++) {
		(&out->memory.ike_sas)[k] = tally_read(&t->memory.ike_sas + k);
	}
	return true;
}

uint64_t shard_set_counter(const struct shard_set *set, size_t i)
{
	uint64_t sum = 0;
	for (unsigned n = 0; n < set->count && i < ike_counter_count(); n++) {
		sum += counter_read(&set->shards[n]->counters, i);
	}
	return sum;
}

void shard_set_key_stats(
	const struct shard_set *set, struct key_stock_stats stats[KEY_STOCK_GROUPS_MAX])
{
	memset(stats, 0, KEY_STOCK_GROUPS_MAX * sizeof stats[0]);
	if (set->pool != NULL) {
		crypto_pool_add_key_stats(set->pool, stats);
	}
	for (unsigned n = 0; n < set->count; n++) {
		key_stock_add_stats(set->shards[n]->stock, stats);
	}
}

struct crypto_pool_stats shard_set_crypto_stats(const struct shard_set *set)
{
	if (set->pool != NULL) {
		return crypto_pool_stats(set->pool);
	}
	struct crypto_pool_stats stats = {0};
	for (unsigned n = 0; n < set->count; n++) {
		const struct tally *t = &set->shards[n]->tally;
		stats.submitted += tally_read(&t->jobs_inline);
		stats.done += tally_read(&t->jobs_done);
		stats.refused += tally_read(&t->jobs_refused);
		stats.wait_ns += tally_read(&t->job_wait_ns);
		stats.run_ns += tally_read(&t->job_run_ns);
		stats.batches += tally_read(&t->job_batches);
	}
	stats.depth = stats.submitted > stats.done ? stats.submitted - stats.done : 0;
	return stats;
}
