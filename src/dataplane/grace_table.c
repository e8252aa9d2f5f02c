#include "grace_table.h"

#include <stdlib.h>

#define BUCKETS_FIRST 64

static struct grace_buckets *buckets_new(uint64_t count, unsigned link)
{
	struct grace_buckets *buckets =
		calloc(1, sizeof(*buckets) + count * sizeof(buckets->at[0]));
	if (buckets) {
		buckets->mask = count - 1;
		buckets->link = link;
	}
	return buckets;
}

bool grace_table_init(struct grace_table *table, struct grace *grace)
{
	*table = (struct grace_table){.grace = grace};
	table->buckets = buckets_new(BUCKETS_FIRST, 0);
	return table->buckets != NULL;
}

void grace_table_end(struct grace_table *table)
{
	free(table->buckets);
	table->buckets = NULL;
}

static void release_buckets(struct retired *retired)
{
	free((char *)retired - offsetof(struct grace_buckets, retired));
}

static void link_node(struct grace_buckets *buckets, struct grace_node *node)
{
	struct grace_node **head = &buckets->at[node->hash & buckets->mask];
	node->next[buckets->link] = *head;
	__atomic_store_n(head, node, __ATOMIC_RELEASE);
}

/* Without memory, or while readers may still walk the links of the growth before, chains
 * just get longer. */
static void grow(struct grace_table *table)
{
	if (table->growing && !grace_passed(table->grace, table->grown))
		return;
	struct grace_buckets *old = table->buckets;
	struct grace_buckets *larger = buckets_new((old->mask + 1) * 2, old->link ^ 1);
	if (!larger)
		return;
	for (uint64_t i = 0; i <= old->mask; i++)
		for (struct grace_node *n = old->at[i]; n; n = n->next[old->link])
			link_node(larger, n);
	__atomic_store_n(&table->buckets, larger, __ATOMIC_RELEASE);
	table->growing = true;
	table->grown = grace_token(table->grace);
	grace_retire(table->grace, &old->retired, release_buckets);
}

void grace_table_insert(struct grace_table *table, struct grace_node *node, uint64_t hash)
{
	if (table->count > table->buckets->mask)
		grow(table);
	node->hash = hash;
	link_node(table->buckets, node);
	table->count++;
}

void grace_table_remove(struct grace_table *table, struct grace_node *node)
{
	struct grace_buckets *buckets = table->buckets;
	struct grace_node **at = &buckets->at[node->hash & buckets->mask];
	while (*at != node)
		at = &(*at)->next[buckets->link];
	/* The node keeps its own link: a reader that stands on it finds the way on. */
	__atomic_store_n(at, node->next[buckets->link], __ATOMIC_RELEASE);
	table->count--;
}

size_t grace_table_bytes(const struct grace_table *table)
{
	return sizeof(struct grace_buckets) +
	       (table->buckets->mask + 1) * sizeof(struct grace_node *);
}
