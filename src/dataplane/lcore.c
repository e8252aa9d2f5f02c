/* A packet thread: takes packets from its ports, their twins and other lcores, in bursts, and
 * sleeps when there are none. */
#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include <rte_atomic.h>
#include <rte_ethdev.h>
#include <rte_lcore.h>
#include <rte_pause.h>

#include "dp.h"

#define RING_SIZE        1024
#define SPIN_ROUNDS      64 /* empty rounds before the first sleep: about 50 us */
#define SLEEP_FIRST_US   20
#define SLEEP_TOLD_MS    200 /* where every source of packets can wake us */
#define TWIN_BURST       32
#define TWIN_BUSY_ROUNDS 4 /* under load the twin is looked at in one round of these */

uint64_t clock_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* ---- hand-over ---- */

void lcore_wake(struct lcore *lc)
{
	uint64_t one = 1;
	if (write(lc->wake_fd, &one, sizeof(one)) < 0)
		return; /* full: it is awake */
}

void lcore_hand_over(struct lcore *lc, unsigned to, struct rte_mbuf *m, enum handover why)
{
	struct lcore *other = &lc->dp->lcores[to];
	packet_of(m)->handover = (uint8_t)why;
	if (rte_ring_mp_enqueue(other->ring, m) != 0) {
		drop(lc, m, STAT_NO_BUFFER);
		return;
	}
	/* Pairs with the fence before the other looks into its ring for the last time. */
	rte_atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (__atomic_load_n(&other->asleep, __ATOMIC_RELAXED))
		lcore_wake(other);
}

static void take_handover(struct lcore *lc, struct rte_mbuf *m)
{
	struct packet *p = packet_of(m);
	switch ((enum handover)p->handover) {
	case HANDOVER_ESP_IN:
		esp_in_add(lc, m);
		return;
	case HANDOVER_SEND:
		port_send(lc, p->target, m);
		return;
	case HANDOVER_TWIN:
		twin_send(lc, p->target, m);
		return;
	case HANDOVER_OUTBOUND:
		break;
	}
	/* The policy is looked up again: pointers do not travel between lcores. */
	struct spd_match match = spd_lookup(&lc->dp->spd, &p->flow, IPSEC_OUTBOUND);
	if (match.policy && match.policy->action == IPSEC_PROTECT && !match.unsure)
		esp_out_add(lc, m, match.policy);
	else
		drop(lc, m, STAT_NO_SA);
}

static unsigned take_ring(struct lcore *lc)
{
	void *mbufs[BURST];
	unsigned n = rte_ring_sc_dequeue_burst(lc->ring, mbufs, BURST, NULL);
	for (unsigned i = 0; i < n; i++)
		take_handover(lc, mbufs[i]);
	return n;
}

/* ---- one round ---- */

static unsigned take_port(struct lcore *lc, struct port *port)
{
	struct rte_mbuf *mbufs[BURST];
	unsigned n = rte_eth_rx_burst(port->id, 0, mbufs, BURST);
	for (unsigned i = 0; i < n; i++)
		classify_from_port(lc, port, mbufs[i]);
	return n;
}

static unsigned take_twin(struct lcore *lc, struct port *port)
{
	struct rte_mbuf *mbufs[TWIN_BURST];
	unsigned n = twin_receive(lc, port, mbufs, TWIN_BURST);
	for (unsigned i = 0; i < n; i++)
		classify_from_twin(lc, port, mbufs[i]);
	return n;
}

static unsigned run_round(struct lcore *lc, unsigned round, bool idle)
{
	struct dataplane *dp = lc->dp;
	unsigned work = 0;
	lc->now_ms = clock_ms();
	for (unsigned i = lc->index; i < dp->port_count; i += dp->lcore_count) {
		struct port *port = &dp->ports[i];
		work += take_port(lc, port);
		if (port->twin_fd >= 0 && (idle || round % TWIN_BUSY_ROUNDS == 0))
			work += take_twin(lc, port);
	}
	if (dp->lcore_count > 1)
		work += take_ring(lc);
	esp_in_run(lc);
	esp_out_run(lc);
	forward_retry_pending(lc);
	for (unsigned i = lc->index; i < dp->port_count; i += dp->lcore_count)
		if (lc->tx[i].count > 0)
			port_flush(lc, i);
	return work;
}

/* ---- sleep ---- */

struct sleeper {
	struct pollfd fds[2 * DATAPLANE_PORTS_MAX + 1];
	nfds_t count;
	bool all_told; /* every source of packets is among the descriptors */
	unsigned next_us;
};

static void sleeper_init(struct sleeper *s, const struct lcore *lc)
{
	const struct dataplane *dp = lc->dp;
	*s = (struct sleeper){.all_told = true, .next_us = SLEEP_FIRST_US};
	s->fds[s->count++] = (struct pollfd){.fd = lc->wake_fd, .events = POLLIN};
	for (unsigned i = lc->index; i < dp->port_count; i += dp->lcore_count) {
		const struct port *port = &dp->ports[i];
		if (port->twin_fd >= 0)
			s->fds[s->count++] = (struct pollfd){.fd = port->twin_fd, .events = POLLIN};
		if (port->wake_fd >= 0)
			s->fds[s->count++] = (struct pollfd){.fd = port->wake_fd, .events = POLLIN};
		else
			s->all_told = false;
	}
}

static void sleeper_sleep(struct sleeper *s, struct lcore *lc)
{
	uint64_t us = s->all_told ? SLEEP_TOLD_MS * 1000ull : s->next_us;
	if (lc->pending_count > 0 && us > 1000)
		us = 1000;
	struct timespec time = {.tv_sec = 0, .tv_nsec = (long)us * 1000};
	__atomic_store_n(&lc->asleep, true, __ATOMIC_RELAXED);
	rte_atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (rte_ring_empty(lc->ring) && !__atomic_load_n(&lc->dp->stop_lcores, __ATOMIC_ACQUIRE)) {
		grace_offline(&lc->dp->grace, lc->index);
		if (ppoll(s->fds, s->count, &time, NULL) > 0 && s->fds[0].revents) {
			uint64_t ignored;
			if (read(lc->wake_fd, &ignored, sizeof(ignored)) < 0)
				errno = 0;
		}
		grace_online(&lc->dp->grace, lc->index);
		count(lc, STAT_IDLE_SLEEPS, 1);
	}
	__atomic_store_n(&lc->asleep, false, __ATOMIC_RELAXED);
	s->next_us =
		s->next_us * 2 < lc->dp->idle_sleep_us ? s->next_us * 2 : lc->dp->idle_sleep_us;
}

/* ---- life ---- */

static void set_affinity(const struct lcore *lc)
{
	cpu_set_t set;
	int cpu = lc->dp->cpus[lc->index];
	CPU_ZERO(&set);
	if (cpu >= 0 && cpu < CPU_SETSIZE)
		CPU_SET(cpu, &set);
	else
		memset(&set, 0xff, sizeof(set));
	pthread_setaffinity_np(pthread_self(), sizeof(set), &set);
}

static void *lcore_main(void *arg)
{
	struct lcore *lc = arg;
	struct dataplane *dp = lc->dp;
	struct sleeper sleeper;
	unsigned idle = 0;
	char name[16];
	snprintf(name, sizeof(name), "dataplane-%u", lc->index % 1000);
	pthread_setname_np(pthread_self(), name);
	if (rte_thread_register() != 0) /* without it only the buffer pool's cache is lost */
		lc->failed = true;
	set_affinity(lc);
	sleeper_init(&sleeper, lc);
	grace_reader_register(&dp->grace, lc->index);
	grace_online(&dp->grace, lc->index);
	for (unsigned round = 0; !__atomic_load_n(&dp->stop_lcores, __ATOMIC_ACQUIRE); round++) {
		if (run_round(lc, round, idle > 0) > 0) {
			idle = 0;
			sleeper.next_us = SLEEP_FIRST_US;
			count(lc, STAT_BUSY_POLLS, 1);
		} else if (++idle >= SPIN_ROUNDS) {
			sleeper_sleep(&sleeper, lc);
			idle = SPIN_ROUNDS - 1; /* one more look, then sleep again */
		} else {
			rte_pause();
		}
		grace_quiescent(&dp->grace, lc->index);
	}
	grace_offline(&dp->grace, lc->index);
	grace_reader_unregister(&dp->grace, lc->index);
	forward_drop_pending(lc);
	if (!lc->failed)
		rte_thread_unregister();
	return NULL;
}

bool lcore_start(struct dataplane *dp, unsigned index, char *error, size_t error_size)
{
	struct lcore *lc = &dp->lcores[index];
	char name[32];
	lc->dp = dp;
	lc->index = index;
	lc->now_ms = clock_ms();
	snprintf(name, sizeof(name), "lcore%u", index);
	lc->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	lc->ring = rte_ring_create(name, RING_SIZE, SOCKET_ID_ANY, RING_F_SC_DEQ);
	lc->counters = counter_set_new(STAT_COUNT);
	if (lc->wake_fd < 0 || !lc->ring || !lc->counters.cells || !esp_engine_init(&lc->engine) ||
		pthread_create(&lc->thread, NULL, lcore_main, lc) != 0) {
		snprintf(error, error_size, "dataplane: packet thread %u does not start: no memory",
			index);
		return false;
	}
	lc->running = true;
	return true;
}

void lcore_join(struct lcore *lc)
{
	if (lc->running) {
		lcore_wake(lc);
		pthread_join(lc->thread, NULL);
		lc->running = false;
	}
	if (lc->ring) {
		void *m;
		while (rte_ring_sc_dequeue(lc->ring, &m) == 0)
			rte_pktmbuf_free(m);
		rte_ring_free(lc->ring);
	}
	if (lc->dp && lc->wake_fd >= 0)
		close(lc->wake_fd);
	if (lc->engine.mgr)
		esp_engine_end(&lc->engine);
}
