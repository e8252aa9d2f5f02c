/* A set of shards on fakes, and the control thread's side of it. */
#ifndef SHARD_TEST_FIXTURE_H
#define SHARD_TEST_FIXTURE_H

#include "fake_engine.h"
#include "fake_kernel.h"
#include "shard/shard.h"

#define TEST_PORT 20700

extern struct shard_set *set;
extern struct mailbox *control;

/* Sensible for tests; change before fixture_start. */
struct shard_config fixture_config(unsigned shards, int nhelpers, size_t control_capacity);
void fixture_start(const struct shard_config *config);
/* Stops, and sees that nothing is left. */
void fixture_stop(void);
/* The next mail; NULL after `timeout_ms`. The caller frees it by shard_mail_free. */
struct shard_mail *next_mail(unsigned timeout_ms);
/* Fails unless the next mail is of this kind. */
struct shard_mail *expect_mail(enum shard_mail_kind kind);
/* Waits up to 5 s for an atomic count. */
void wait_for(const unsigned *cell, unsigned value);
void sleep_ms(unsigned ms);
uint64_t test_now_ms(void);

#endif
