#include "placement.h"

#include <hwloc.h>
#include <stdio.h>
#include <stdlib.h>

struct seat {
	unsigned cpu, core;
	hwloc_obj_t pu;
};

struct placement {
	hwloc_topology_t topology;
	unsigned shards, workers;
	bool pin;
	struct seat *seats; /* shards, then workers */
	unsigned *worker_cpus;
};

void placement_counts(
	unsigned cores, unsigned shards, int workers, unsigned *shards_out, unsigned *workers_out)
{
	unsigned s = shards, w = workers < 0 ? 0 : (unsigned)workers;
	if (s == 0 && workers < 0) {
		s = cores <= 2 ? cores : (cores + 1) / 3;
		w = cores <= 2 ? 0 : cores - s;
	} else if (s == 0) {
		/* Inline jobs: every core is a shard's. Else one shard feeds about two workers. */
		unsigned wanted = w == 0 ? cores : (w + 1) / 2;
		unsigned free_cores = cores > w ? cores - w : 1;
		s = wanted < free_cores ? wanted : free_cores;
	} else if (workers < 0) {
		unsigned free_cores = cores > s ? cores - s : 0;
		w = cores <= 2 ? 0 : 2 * s < free_cores ? 2 * s : free_cores;
	}
	*shards_out = s > 0 ? s : 1;
	*workers_out = w;
}

/* The CPUs that this process may use: what the control group leaves, less what the affinity mask of
 * all its threads together excludes (a single thread's may be narrower: a DPDK lcore's). */
static hwloc_bitmap_t usable_cpus(hwloc_topology_t topology)
{
	hwloc_bitmap_t all = hwloc_bitmap_dup(hwloc_topology_get_allowed_cpuset(topology));
	hwloc_bitmap_t bound = hwloc_bitmap_alloc();
	if (all == NULL || bound == NULL) {
		hwloc_bitmap_free(bound);
		return all;
	}
	if (hwloc_get_cpubind(topology, bound, HWLOC_CPUBIND_PROCESS) == 0 &&
		hwloc_bitmap_intersects(all, bound)) {
		hwloc_bitmap_and(all, all, bound);
	}
	hwloc_bitmap_free(bound);
	return all;
}

/* The `round`-th usable PU of a core; NULL: it has fewer. */
static hwloc_obj_t pu_of_core(
	hwloc_topology_t topology, hwloc_const_bitmap_t usable, hwloc_obj_t core, unsigned round)
{
	hwloc_obj_t pu = NULL;
	while ((pu = hwloc_get_next_obj_inside_cpuset_by_type(
			topology, core->cpuset, HWLOC_OBJ_PU, pu)) != NULL) {
		if (hwloc_bitmap_isset(usable, pu->os_index) && round-- == 0) {
			return pu;
		}
	}
	return NULL;
}

static hwloc_obj_type_t core_type(hwloc_topology_t topology)
{
	return hwloc_get_nbobjs_by_type(topology, HWLOC_OBJ_CORE) > 0 ? HWLOC_OBJ_CORE
								      : HWLOC_OBJ_PU;
}

/* All usable PUs: the first of each core, then the second of each ... Neighbours share caches and
 * nodes. Returns how many; *cores is how many lie on cores of their own. */
static unsigned list_seats(
	hwloc_topology_t topology, struct seat *seats, unsigned max, unsigned *cores)
{
	hwloc_bitmap_t usable = usable_cpus(topology);
	unsigned n = 0;
	*cores = 0;
	if (usable == NULL) {
		return 0;
	}
	for (unsigned round = 0; n < max; round++) {
		unsigned before = n;
		hwloc_obj_t core = NULL;
		while (n < max && (core = hwloc_get_next_obj_by_type(
					   topology, core_type(topology), core)) != NULL) {
			hwloc_obj_t pu = pu_of_core(topology, usable, core, round);
			if (pu != NULL) {
				seats[n++] = (struct seat){pu->os_index, core->logical_index, pu};
			}
		}
		if (round == 0) {
			*cores = n;
		}
		if (n == before) {
			break;
		}
	}
	hwloc_bitmap_free(usable);
	return n;
}

/* Deals the seats out: shards evenly among the workers, so that each has workers near it. */
static void deal(struct placement *p, const struct seat *free_seats, unsigned count)
{
	unsigned total = p->shards + p->workers, shard = 0, worker = 0;
	for (unsigned k = 0; k < total; k++) {
		const struct seat *seat = &free_seats[k % count];
		bool for_shard = (uint64_t)(k + 1) * p->shards / total > shard;
		if (for_shard) {
			p->seats[shard++] = *seat;
		} else {
			p->worker_cpus[worker] = seat->cpu;
			p->seats[p->shards + worker++] = *seat;
		}
	}
}

static bool place_all(struct placement *p, unsigned shards, int workers)
{
	int pus = hwloc_get_nbobjs_by_type(p->topology, HWLOC_OBJ_PU);
	if (pus <= 0) {
		return false;
	}
	struct seat *seats = calloc((size_t)pus, sizeof *seats);
	if (seats == NULL) {
		return false;
	}
	unsigned cores, count = list_seats(p->topology, seats, (unsigned)pus, &cores);
	bool ok = count > 0;
	if (ok) {
		placement_counts(cores, shards, workers, &p->shards, &p->workers);
		p->seats = calloc(p->shards + p->workers, sizeof *p->seats);
		p->worker_cpus = calloc(p->workers + 1, sizeof *p->worker_cpus);
		ok = p->seats != NULL && p->worker_cpus != NULL;
	}
	if (ok) {
		deal(p, seats, count);
	}
	free(seats);
	return ok;
}

struct placement *placement_new(unsigned shards, int workers, bool pin)
{
	struct placement *p = calloc(1, sizeof *p);
	if (p == NULL) {
		return NULL;
	}
	p->pin = pin;
	if (hwloc_topology_init(&p->topology) != 0) {
		free(p);
		return NULL;
	}
	if (hwloc_topology_load(p->topology) != 0 || !place_all(p, shards, workers)) {
		placement_free(p);
		return NULL;
	}
	return p;
}

void placement_free(struct placement *p)
{
	if (p == NULL) {
		return;
	}
	hwloc_topology_destroy(p->topology);
	free(p->seats);
	free(p->worker_cpus);
	free(p);
}

unsigned placement_shards(const struct placement *p)
{
	return p->shards;
}

unsigned placement_workers(const struct placement *p)
{
	return p->workers;
}

const unsigned *placement_worker_cpus(const struct placement *p)
{
	return p->pin ? p->worker_cpus : NULL;
}

bool placement_bind_shard(const struct placement *p, unsigned i)
{
	if (!p->pin) {
		return true;
	}
	hwloc_obj_t pu = p->seats[i].pu;
	if (hwloc_set_cpubind(p->topology, pu->cpuset, HWLOC_CPUBIND_THREAD) != 0) {
		return false;
	}
	/* One node needs no binding; with several, the pages that this thread touches first are to
	 * come from its own. */
	if (hwloc_get_nbobjs_by_type(p->topology, HWLOC_OBJ_NUMANODE) > 1) {
		return hwloc_set_membind(p->topology, pu->nodeset, HWLOC_MEMBIND_BIND,
			       HWLOC_MEMBIND_THREAD | HWLOC_MEMBIND_BYNODESET) == 0;
	}
	return true;
}

bool placement_text(const struct placement *p, unsigned i, char *out, size_t size)
{
	if (i >= p->shards + p->workers) {
		return false;
	}
	bool shard = i < p->shards;
	const char *what = shard ? "shard" : "crypto worker";
	unsigned number = shard ? i : i - p->shards;
	const struct seat *seat = &p->seats[i];
	if (!p->pin) {
		snprintf(out, size, "%s %u not pinned", what, number);
		return true;
	}
	int node = hwloc_bitmap_first(seat->pu->nodeset);
	snprintf(out, size, "%s %u on core %u (CPU %u, node %d)", what, number, seat->core,
		seat->cpu, node < 0 ? 0 : node);
	return true;
}
