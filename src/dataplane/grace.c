#include "grace.h"

#include <stdlib.h>

#include <rte_rcu_qsbr.h>

bool grace_init(struct grace *grace, unsigned threads)
{
	size_t size = rte_rcu_qsbr_get_memsize(threads);
	grace->first = NULL;
	grace->last = &grace->first;
	grace->qsbr = aligned_alloc(RTE_CACHE_LINE_SIZE, RTE_ALIGN_CEIL(size, RTE_CACHE_LINE_SIZE));
	return grace->qsbr && rte_rcu_qsbr_init(grace->qsbr, threads) == 0;
}

void grace_end(struct grace *grace)
{
	while (grace->first) {
		struct retired *retired = grace->first;
		grace->first = retired->next;
		retired->release(retired);
	}
	grace->last = &grace->first;
	free(grace->qsbr);
	grace->qsbr = NULL;
}

uint64_t grace_token(struct grace *grace)
{
	return rte_rcu_qsbr_start(grace->qsbr);
}

bool grace_passed(struct grace *grace, uint64_t token)
{
	return rte_rcu_qsbr_check(grace->qsbr, token, false) == 1;
}

void grace_retire(struct grace *grace, struct retired *retired, void (*release)(struct retired *))
{
	retired->next = NULL;
	retired->release = release;
	retired->token = grace_token(grace);
	*grace->last = retired;
	grace->last = &retired->next;
}

bool grace_run(struct grace *grace)
{
	while (grace->first && grace_passed(grace, grace->first->token)) {
		struct retired *retired = grace->first;
		grace->first = retired->next;
		if (!grace->first)
			grace->last = &grace->first;
		retired->release(retired);
	}
	return grace->first != NULL;
}

void grace_reader_register(struct grace *grace, unsigned thread)
{
	rte_rcu_qsbr_thread_register(grace->qsbr, thread);
}

void grace_reader_unregister(struct grace *grace, unsigned thread)
{
	rte_rcu_qsbr_thread_unregister(grace->qsbr, thread);
}

void grace_online(struct grace *grace, unsigned thread)
{
	rte_rcu_qsbr_thread_online(grace->qsbr, thread);
}

void grace_offline(struct grace *grace, unsigned thread)
{
	rte_rcu_qsbr_thread_offline(grace->qsbr, thread);
}

void grace_quiescent(struct grace *grace, unsigned thread)
{
	rte_rcu_qsbr_quiescent(grace->qsbr, thread);
}
