#include "sad.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/random.h>

static void *map_table(size_t size)
{
	void *at = mmap(NULL, size, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	return at == MAP_FAILED ? NULL : at;
}

bool sad_init(struct sad *sad, struct grace *grace, uint32_t capacity)
{
	*sad = (struct sad){.grace = grace, .capacity = capacity ? capacity : SAD_CAPACITY_DEFAULT};
	if (sad->capacity < 256 || sad->capacity > SAD_CAPACITY_MAX ||
		(sad->capacity & (sad->capacity - 1)) != 0)
		return false;
	sad->capacity_bits = (unsigned)__builtin_ctz(sad->capacity);
	sad->inbound = map_table(sad->capacity * sizeof(*sad->inbound));
	sad->spis = map_table(sad->capacity * sizeof(*sad->spis));
	sad->outbound = table_new();
	sad->groups = table_new();
	return sad->inbound && sad->spis && sad->outbound && sad->groups &&
	       getrandom(&sad->random, sizeof(sad->random), 0) == sizeof(sad->random);
}

/* ---- SPIs ---- */

/* SplitMix64: the high bits only have to differ from those of the place's last SPIs. */
static uint64_t next_random(struct sad *sad)
{
	uint64_t z = __atomic_add_fetch(&sad->random, 0x9e3779b97f4a7c15u, __ATOMIC_RELAXED);
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

uint32_t sad_allocate_spi(struct sad *sad)
{
	for (uint32_t tries = 0; tries < sad->capacity; tries++) {
		uint32_t place =
			__atomic_fetch_add(&sad->hint, 1, __ATOMIC_RELAXED) & (sad->capacity - 1);
		uint32_t none = 0, spi;
		if (__atomic_load_n(&sad->spis[place], __ATOMIC_RELAXED) != 0)
			continue;
		do
			spi = (uint32_t)(next_random(sad) << sad->capacity_bits) | place;
		while (spi < 256); /* RFC 4303, section 2.1 */
		if (__atomic_compare_exchange_n(&sad->spis[place], &none, spi, false,
			    __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
			return spi;
	}
	return 0;
}

void sad_release_spi(struct sad *sad, uint32_t spi)
{
	uint32_t place = spi & (sad->capacity - 1), expected = spi;
	/* An SPI that has an SA goes with the SA. */
	struct sa *sa = __atomic_load_n(&sad->inbound[place], __ATOMIC_ACQUIRE);
	if (spi != 0 && !sa)
		__atomic_compare_exchange_n(
			&sad->spis[place], &expected, 0, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
}

/* ---- groups ---- */

static struct sa_group *group_of(struct table_node *node)
{
	return (struct sa_group *)((char *)node - offsetof(struct sa_group, node));
}

struct sa_group *sad_group_take(struct sad *sad, uint32_t reqid)
{
	uint64_t hash = table_hash_u64(reqid);
	for (struct table_node *n = table_first(sad->groups, hash); n; n = table_next(n)) {
		if (group_of(n)->reqid == reqid) {
			group_of(n)->users++;
			return group_of(n);
		}
	}
	struct sa_group *group = calloc(1, sizeof(*group));
	if (!group || !table_insert(sad->groups, &group->node, hash)) {
		free(group);
		return NULL;
	}
	group->reqid = reqid;
	group->users = 1;
	group->link = &sad->all_groups;
	group->next = sad->all_groups;
	if (group->next)
		group->next->link = &group->next;
	sad->all_groups = group;
	return group;
}

static void release_group(struct retired *retired)
{
	free((char *)retired - offsetof(struct sa_group, retired));
}

void sad_group_drop(struct sad *sad, struct sa_group *group)
{
	if (!group || --group->users > 0)
		return;
	table_remove(sad->groups, &group->node);
	*group->link = group->next;
	if (group->next)
		group->next->link = group->link;
	grace_retire(sad->grace, &group->retired, release_group);
}

/* ---- SAs ---- */

static struct sa *sa_of(struct table_node *node)
{
	return (struct sa *)((char *)node - offsetof(struct sa, node));
}

static uint64_t outbound_hash(uint32_t spi)
{
	return table_hash_u64(spi);
}

static struct sa *find_outbound(
	const struct sad *sad, uint32_t spi, const struct ip_address *remote)
{
	struct ip_key key = ip_key_of_address(remote);
	for (struct table_node *n = table_first(sad->outbound, outbound_hash(spi)); n;
		n = table_next(n)) {
		struct sa *sa = sa_of(n);
		if (sa->esp.spi == spi && sa->path->family == remote->family &&
			ip_key_equal(&sa->path->remote, &key))
			return sa;
	}
	return NULL;
}

struct sa *sad_find(const struct sad *sad, uint32_t spi, enum ipsec_direction direction,
	const struct ip_address *remote, uint32_t reqid)
{
	if (direction == IPSEC_INBOUND)
		return sad_inbound(sad, spi);
	struct sa *found = find_outbound(sad, spi, remote);
	if (found && (reqid == 0 || found->reqid == reqid))
		return found;
	for (struct table_node *n = table_first(sad->outbound, outbound_hash(spi)); n;
		n = table_next(n)) {
		struct sa *sa = sa_of(n);
		if (sa->esp.spi == spi && sa->reqid == reqid)
			return sa;
	}
	return NULL;
}

static int add_inbound(struct sad *sad, struct sa *sa)
{
	uint32_t place = sa->esp.spi & (sad->capacity - 1), none = 0;
	if (sad->inbound[place])
		return EEXIST;
	/* An SPI that was not allocated here takes its place now, if that is free. */
	if (!__atomic_compare_exchange_n(&sad->spis[place], &none, sa->esp.spi, false,
		    __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE) &&
		none != sa->esp.spi)
		return EEXIST;
	__atomic_store_n(&sad->inbound[place], sa, __ATOMIC_RELEASE);
	return 0;
}

static int add_outbound(struct sad *sad, struct sa *sa)
{
	struct ip_address remote = ip_address_of_key(&sa->path->remote, sa->path->family);
	if (find_outbound(sad, sa->esp.spi, &remote))
		return EEXIST;
	struct sa_group *group = sad_group_take(sad, sa->reqid);
	if (!group)
		return ENOMEM;
	if (!table_insert(sad->outbound, &sa->node, outbound_hash(sa->esp.spi))) {
		sad_group_drop(sad, group);
		return ENOMEM;
	}
	sa->group = group;
	sa->next_of_group = group->all;
	group->all = sa;
	__atomic_store_n(&group->newest, sa, __ATOMIC_RELEASE);
	return 0;
}

int sad_add(struct sad *sad, struct sa *sa)
{
	int error = sa->direction == IPSEC_INBOUND ? add_inbound(sad, sa) : add_outbound(sad, sa);
	if (error == 0) {
		__atomic_add_fetch(&sad->count, 1, __ATOMIC_RELAXED);
		__atomic_add_fetch(
			&sad->bytes, sa->size + sizeof(struct sa_path), __ATOMIC_RELAXED);
	}
	return error;
}

static void remove_outbound(struct sad *sad, struct sa *sa)
{
	struct sa_group *group = sa->group;
	struct sa **at = &group->all;
	while (*at != sa)
		at = &(*at)->next_of_group;
	*at = sa->next_of_group;
	__atomic_store_n(&group->newest, group->all, __ATOMIC_RELEASE);
	table_remove(sad->outbound, &sa->node);
	sad_group_drop(sad, group);
}

static void release_sa(struct retired *retired)
{
	sa_free((struct sa *)((char *)retired - offsetof(struct sa, retired)));
}

void sad_remove(struct sad *sad, struct sa *sa)
{
	if (sa->direction == IPSEC_INBOUND) {
		uint32_t place = sa->esp.spi & (sad->capacity - 1);
		__atomic_store_n(&sad->inbound[place], NULL, __ATOMIC_RELEASE);
		__atomic_store_n(&sad->spis[place], 0, __ATOMIC_RELEASE);
	} else {
		remove_outbound(sad, sa);
	}
	__atomic_sub_fetch(&sad->count, 1, __ATOMIC_RELAXED);
	__atomic_sub_fetch(&sad->bytes, sa->size + sizeof(struct sa_path), __ATOMIC_RELAXED);
	grace_retire(sad->grace, &sa->retired, release_sa);
}

void sad_end(struct sad *sad)
{
	for (uint32_t i = 0; sad->inbound && sad->spis && i < sad->capacity; i++) {
		if (sad->spis[i] != 0 && sad->inbound[i])
			sa_free(sad->inbound[i]);
	}
	struct sa_group *next;
	for (struct sa_group *group = sad->all_groups; group; group = next) {
		next = group->next;
		while (group->all) {
			struct sa *sa = group->all;
			group->all = sa->next_of_group;
			sa_free(sa);
		}
		free(group);
	}
	if (sad->outbound)
		table_free(sad->outbound);
	if (sad->groups)
		table_free(sad->groups);
	if (sad->inbound)
		munmap(sad->inbound, sad->capacity * sizeof(*sad->inbound));
	if (sad->spis)
		munmap(sad->spis, sad->capacity * sizeof(*sad->spis));
	*sad = (struct sad){0};
}
