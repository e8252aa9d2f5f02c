/* The dataplane's statistics: sums over the packet threads, and their names. */
#include <stddef.h>

#include "dataplane/dataplane.h"
#include "dp.h"

struct stat_place {
	const char *name;
	size_t offset;
	int stat; /* -1: not a packet thread's */
};

#define PLACE(member, stat)                                                                        \
	{                                                                                          \
#member, offsetof(struct dataplane_stats, member), stat                            \
	}

static const struct stat_place places[] = {
	PLACE(esp_in_packets, STAT_ESP_IN_PACKETS),
	PLACE(esp_in_bytes, STAT_ESP_IN_BYTES),
	PLACE(esp_out_packets, STAT_ESP_OUT_PACKETS),
	PLACE(esp_out_bytes, STAT_ESP_OUT_BYTES),
	PLACE(to_twin, STAT_TO_TWIN),
	PLACE(from_twin, STAT_FROM_TWIN),
	PLACE(forwarded, STAT_FORWARDED),
	PLACE(dropped_no_sa, STAT_NO_SA),
	PLACE(dropped_no_spi, STAT_NO_SPI),
	PLACE(dropped_replay, STAT_REPLAY),
	PLACE(dropped_auth, STAT_AUTH),
	PLACE(dropped_selector, STAT_SELECTOR),
	PLACE(dropped_clear, STAT_CLEAR),
	PLACE(dropped_malformed, STAT_MALFORMED),
	PLACE(dropped_no_route, STAT_NO_ROUTE),
	PLACE(dropped_no_buffer, STAT_NO_BUFFER),
	PLACE(dropped_too_big, STAT_TOO_BIG),
	PLACE(dropped_expired, STAT_EXPIRED),
	PLACE(dropped_fragment, STAT_FRAGMENT),
	PLACE(dropped_ecn, STAT_ECN),
	PLACE(nat_keepalives, STAT_KEEPALIVES),
	PLACE(events_lost, STAT_EVENTS_LOST),
	PLACE(idle_sleeps, STAT_IDLE_SLEEPS),
	PLACE(busy_polls, STAT_BUSY_POLLS),
	PLACE(sas, -1),
	PLACE(policies, -1),
	PLACE(memory_bytes, -1),
	PLACE(buffers_free, -1),
};

#define PLACES (sizeof(places) / sizeof(places[0]))

static uint64_t sum(const struct dataplane *dp, int stat)
{
	uint64_t total = 0;
	for (unsigned i = 0; i < dp->lcore_count; i++)
		total += counter_read(&dp->lcores[i].counters, (size_t)stat);
	return total;
}

struct dataplane_stats dataplane_stats(const struct dataplane *dp)
{
	struct dataplane_stats stats = {0};
	for (size_t i = 0; i < PLACES; i++)
		if (places[i].stat >= 0)
			*(uint64_t *)(void *)((char *)&stats + places[i].offset) =
				sum(dp, places[i].stat);
	stats.sas = __atomic_load_n(&dp->sad.count, __ATOMIC_RELAXED);
	stats.policies = __atomic_load_n(&dp->spd.policy_count, __ATOMIC_RELAXED);
	stats.memory_bytes = __atomic_load_n(&dp->sad.bytes, __ATOMIC_RELAXED) +
			     __atomic_load_n(&dp->spd.policy_bytes, __ATOMIC_RELAXED);
	stats.buffers_free = rte_mempool_avail_count(dp->pool);
	return stats;
}

bool dataplane_stat_at(
	const struct dataplane_stats *stats, size_t i, const char **name, uint64_t *value)
{
	if (i >= PLACES)
		return false;
	*name = places[i].name;
	*value = *(const uint64_t *)(const void *)((const char *)stats + places[i].offset);
	return true;
}
