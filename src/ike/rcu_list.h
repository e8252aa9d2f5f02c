/* Circular lists that one thread changes while others read them under RCU, and the order of memory
 * that goes with it.
 *
 * ThreadSanitizer does not see how liburcu orders what readers did before what is done behind a
 * grace period; it is told of it here. */
#ifndef IKE_RCU_LIST_H
#define IKE_RCU_LIST_H

#include "container_of.h"

#include <urcu/urcu-qsbr.h>

#include <stddef.h>

#if defined(__SANITIZE_THREAD__)
#define RCU_TELL_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define RCU_TELL_SANITIZER 1
#endif
#endif

#ifdef RCU_TELL_SANITIZER
#include <sanitizer/tsan_interface.h>
extern char rcu_grace_period; /* an address to name */
#define rcu_reader_done() __tsan_release(&rcu_grace_period)
#define rcu_grace_over()  __tsan_acquire(&rcu_grace_period)
#else
#define rcu_reader_done() ((void)0)
#define rcu_grace_over()  ((void)0)
#endif

/* Calls `reclaim` behind a grace period. What the writer did so far comes before it, too. */
#define rcu_reclaim_later(head, reclaim) (rcu_reader_done(), urcu_qsbr_call_rcu(head, reclaim))

/* A head or a member. What is taken out still leads readers on to the rest, and must live until a
 * grace period is over. */
struct rcu_link {
	struct rcu_link *next, *prev; /* prev: the writer's only */
};

static inline void rcu_list_init(struct rcu_link *head)
{
	head->next = head->prev = head;
}

/* ---- any reader ---- */
static inline struct rcu_link *rcu_list_next(const struct rcu_link *link)
{
	return __atomic_load_n(&link->next, __ATOMIC_ACQUIRE);
}

/* ---- the writer ---- */
static inline void rcu_list_append(struct rcu_link *head, struct rcu_link *link)
{
	link->next = head;
	link->prev = head->prev;
	head->prev = link;
	__atomic_store_n(&link->prev->next, link, __ATOMIC_RELEASE);
}

static inline void rcu_list_replace(struct rcu_link *old, struct rcu_link *link)
{
	link->next = old->next;
	link->prev = old->prev;
	link->next->prev = link;
	__atomic_store_n(&link->prev->next, link, __ATOMIC_RELEASE);
}

static inline void rcu_list_remove(struct rcu_link *link)
{
	link->next->prev = link->prev;
	__atomic_store_n(&link->prev->next, link->next, __ATOMIC_RELEASE);
}

#endif
