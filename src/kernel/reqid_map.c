#include "reqid_map.h"

#include <stdlib.h>

#include "base/table.h"

struct entry {
	struct table_node node; /* by reqid; first */
	uint32_t reqid, held;
};

struct reqid_map {
	struct table *by_reqid;
	uint32_t max, last;
	struct entry entries[]; /* by number - 1 */
};

struct reqid_map *reqid_map_new(uint32_t max)
{
	struct reqid_map *map = calloc(1, sizeof(*map) + max * sizeof(map->entries[0]));

	if (!map)
		return NULL;
	map->max = max;
	map->by_reqid = table_new();
	if (map->by_reqid)
		return map;
	free(map);
	return NULL;
}

void reqid_map_free(struct reqid_map *map)
{
	if (map)
		table_free(map->by_reqid);
	free(map);
}

static struct entry *find(const struct reqid_map *map, uint32_t reqid)
{
	struct table_node *n = table_first(map->by_reqid, table_hash_u64(reqid));

	for (; n; n = table_next(n))
		if (((struct entry *)n)->reqid == reqid)
			return (struct entry *)n;
	return NULL;
}

static uint32_t number_of(const struct reqid_map *map, const struct entry *e)
{
	return (uint32_t)(e - map->entries) + 1;
}

/* Round and round, so that a number rests before it is another's. */
static struct entry *unused(struct reqid_map *map)
{
	if (table_count(map->by_reqid) == map->max)
		return NULL;
	do
		map->last = map->last % map->max + 1;
	while (map->entries[map->last - 1].held);
	return &map->entries[map->last - 1];
}

uint32_t reqid_map_hold(struct reqid_map *map, uint32_t reqid)
{
	struct entry *e = find(map, reqid);

	if (!e) {
		e = unused(map);
		if (!e || !table_insert(map->by_reqid, &e->node, table_hash_u64(reqid)))
			return 0;
		e->reqid = reqid;
	}
	e->held++;
	return number_of(map, e);
}

void reqid_map_release(struct reqid_map *map, uint32_t reqid)
{
	struct entry *e = find(map, reqid);

	if (e && --e->held == 0)
		table_remove(map->by_reqid, &e->node);
}

uint32_t reqid_map_find(const struct reqid_map *map, uint32_t reqid)
{
	const struct entry *e = find(map, reqid);

	return e ? number_of(map, e) : 0;
}

uint32_t reqid_map_reverse(const struct reqid_map *map, uint32_t number)
{
	const struct entry *e =
		number >= 1 && number <= map->max ? &map->entries[number - 1] : NULL;

	return e && e->held ? e->reqid : 0;
}
