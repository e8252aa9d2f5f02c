/* Memory that packet threads may still be reading: it is unlinked first, retired here, and released
 * when every packet thread has passed a quiescent point since (RCU by rte_rcu_qsbr).
 * One thread, the control thread, retires and runs. */
#ifndef DATAPLANE_GRACE_H
#define DATAPLANE_GRACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct rte_rcu_qsbr;

/* Lies in each object that can be retired. */
struct retired {
	struct retired *next;
	uint64_t token;
	void (*release)(struct retired *retired);
};

struct grace {
	struct rte_rcu_qsbr *qsbr;
	struct retired *first, **last;
};

/* Room for `threads` readers. False when memory is out. */
bool grace_init(struct grace *grace, unsigned threads);
/* No reader is left: releases all. */
void grace_end(struct grace *grace);
void grace_retire(struct grace *grace, struct retired *retired, void (*release)(struct retired *));
/* Releases what can be released; true when something still waits. */
bool grace_run(struct grace *grace);
/* A token of now, and whether every reader has been quiescent since. */
uint64_t grace_token(struct grace *grace);
bool grace_passed(struct grace *grace, uint64_t token);

/* Reader's side. A reader is offline until it says online. */
void grace_reader_register(struct grace *grace, unsigned thread);
void grace_reader_unregister(struct grace *grace, unsigned thread);
void grace_online(struct grace *grace, unsigned thread);
void grace_offline(struct grace *grace, unsigned thread);
void grace_quiescent(struct grace *grace, unsigned thread);

#endif
