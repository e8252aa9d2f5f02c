/* Ephemeral key pairs made ahead, in idle moments, by the thread that will use them. A stock
 * belongs to one thread (a crypto worker, or a shard without workers); only key_stock_add_stats may
 * be called by others. Each key pair is given out once and wiped here at that moment.
 *
 * How many a group has is what was asked of it in the last KEY_STOCK_WINDOW_MS to twice that, up to
 * the stock's size: a group that nobody asks for is wiped after that time. A key that was not used
 * within KEY_STOCK_AGE_MS is wiped. Time is the caller's, in ms, and does not go back. */
#ifndef CRYPTO_KEY_STOCK_H
#define CRYPTO_KEY_STOCK_H

#include "crypto/job.h"

#define KEY_STOCK_WINDOW_MS  10000
#define KEY_STOCK_AGE_MS     60000
#define KEY_STOCK_SIZE_MAX   4096
#define KEY_STOCK_GROUPS_MAX 16

struct key_stock;

/* Of one group. */
struct key_stock_stats {
	uint64_t held; /* now */
	uint64_t made, used;
	uint64_t expired; /* wiped without having been used: too old, or the group out of use */
};

/* At most `size` key pairs a group, 1 to KEY_STOCK_SIZE_MAX; NULL when memory is out. */
struct key_stock *key_stock_new(unsigned size);
/* Wipes all; NULL is allowed. */
void key_stock_free(struct key_stock *stock);
/* crypto_job_run_batch, by which jobs that want a key pair get one from the stock where that saves
 * work. `stock` may be NULL. */
void key_stock_run_batch(
	struct key_stock *stock, struct crypto_job **jobs, size_t count, uint64_t now_ms);
/* When key_stock_work has something to do: now or earlier, later, or UINT64_MAX for never unless
 * jobs come. */
uint64_t key_stock_due(const struct key_stock *stock, uint64_t now_ms);
/* To be called when nothing waits: wipes what is due, or makes keys for one group, as many as go
 * side by side. True when there is more to do at once: first look whether jobs have come. */
bool key_stock_work(struct key_stock *stock, uint64_t now_ms);

/* The i-th of the groups that stocks know, NULL past the end. */
const struct algorithm *key_stock_group(size_t i);
/* Adds to `stats`, by the same i. Any thread; NULL adds nothing. */
void key_stock_add_stats(
	const struct key_stock *stock, struct key_stock_stats stats[KEY_STOCK_GROUPS_MAX]);

#endif
