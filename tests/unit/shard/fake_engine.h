/* An engine for the tests of its host: it echoes datagrams, holds numbered SAs that never change by
 * themselves, and writes down what it was told. */
#ifndef SHARD_TEST_FAKE_ENGINE_H
#define SHARD_TEST_FAKE_ENGINE_H

#include "ike/engine.h"

#define FAKE_ENGINES 8
#define FAKE_TAGS    65536
/* A datagram whose byte here is not 0 is a stranger's. */
#define FAKE_FIRST_AT 100

/* All members atomic. The n-th engine made since fake_engine_reset has number n (shards start in
 * order). */
struct fake_notes {
	unsigned engines;
	unsigned datagrams[FAKE_ENGINES], timers[FAKE_ENGINES], jobs[FAKE_ENGINES],
		news[FAKE_ENGINES];
	unsigned network_errors[FAKE_ENGINES], last_network_error;
	unsigned routed[FAKE_ENGINES], unrouted[FAKE_ENGINES];
	unsigned listening[FAKE_ENGINES]; /* 1 + what it was told last */
	unsigned jobs_failed, not_owned, early_timers, late_timers, submit_refused, events;
	unsigned cookies_required, news_refused;
	unsigned tag_taken_by[FAKE_TAGS]; /* 1 + engine; the last 2 bytes of a datagram are its tag
					   */
	uint64_t thread_errors; /* entry points called on another thread than the engine's */
};
extern struct fake_notes fake;
/* Set before the start: SAs of each engine, Child SAs of each of them, lines that a command prints.
 */
extern unsigned fake_sas, fake_children, fake_lines, fake_jobs_per_initiate;
extern bool fake_never_idle;
/* Atomic: 1 + the engine that hangs in its next datagram until this changes. */
extern unsigned fake_hung;
/* Echoes go to this port of the sender; 0: back to where they came from. */
extern uint16_t fake_echo_port;

void fake_engine_reset(void);
static inline unsigned fake_read(const unsigned *cell)
{
	return __atomic_load_n(cell, __ATOMIC_ACQUIRE);
}
/* Connections and identities that nobody has dropped. */
unsigned fake_objects(void);

#endif
