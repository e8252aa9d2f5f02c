#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "pfkey.h"

static uint64_t hash_of(uint32_t spi, enum ipsec_direction direction)
{
	return table_hash_u64((uint64_t)spi * 2 + (direction == IPSEC_OUTBOUND));
}

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static uint32_t hold_reqid(struct pfkey_kernel *p, uint32_t reqid)
{
	uint32_t number;

	policies_lock(p->policies);
	number = reqid_map_hold(p->reqids, reqid);
	policies_unlock(p->policies);
	return number;
}

static void release_reqid(struct pfkey_kernel *p, uint32_t reqid)
{
	policies_lock(p->policies);
	reqid_map_release(p->reqids, reqid);
	policies_unlock(p->policies);
}

int pfkey_sa_add(struct pfkey_channel *c, const struct ipsec_sa *sa, struct pfkey_sa **out)
{
	struct pfkey_sa *s = calloc(1, sizeof(*s));

	if (!s)
		return ENOMEM;
	s->id = sa->id;
	s->spi = sa->spi;
	s->reqid = sa->reqid;
	s->direction = (uint8_t)sa->direction;
	s->encapsulated = sa->udp_encapsulation;
	s->local = sa->local.address;
	s->remote = sa->remote.address;
	s->kernel_reqid = hold_reqid(c->pfkey, sa->reqid);
	if (!s->kernel_reqid) {
		free(s);
		return ENOSPC;
	}
	if (!table_insert(c->sas, &s->node, hash_of(s->spi, sa->direction))) {
		release_reqid(c->pfkey, s->reqid);
		free(s);
		return ENOMEM;
	}
	s->link = &c->first_sa;
	s->next = c->first_sa;
	if (s->next)
		s->next->link = &s->next;
	c->first_sa = s;
	*out = s;
	return 0;
}

struct pfkey_sa *pfkey_sa_find(const struct pfkey_channel *c, uint64_t id, uint32_t spi,
	enum ipsec_direction direction, uint32_t reqid)
{
	struct table_node *n = table_first(c->sas, hash_of(spi, direction));

	for (; n; n = table_next(n)) {
		struct pfkey_sa *s = (struct pfkey_sa *)n;

		if (s->spi == spi && s->direction == direction && s->reqid == reqid &&
			(!id || !s->id || s->id == id))
			return s;
	}
	return NULL;
}

struct pfkey_sa *pfkey_sa_find_told(const struct pfkey_channel *c, uint32_t spi,
	const struct ip_address *destination, uint32_t kernel_reqid)
{
	static const enum ipsec_direction directions[] = {IPSEC_INBOUND, IPSEC_OUTBOUND};

	for (unsigned i = 0; i < 2; i++) {
		struct table_node *n = table_first(c->sas, hash_of(spi, directions[i]));

		for (; n; n = table_next(n)) {
			struct pfkey_sa *s = (struct pfkey_sa *)n;
			const struct ip_address *to =
				directions[i] == IPSEC_OUTBOUND ? &s->remote : &s->local;

			if (s->spi == spi && s->direction == directions[i] &&
				ip_equal(to, destination) &&
				(!kernel_reqid || s->kernel_reqid == kernel_reqid))
				return s;
		}
	}
	return NULL;
}

struct pfkey_sa *pfkey_sa_find_inbound(const struct pfkey_channel *c, uint32_t spi)
{
	struct table_node *n = table_first(c->sas, hash_of(spi, IPSEC_INBOUND));

	for (; n; n = table_next(n)) {
		struct pfkey_sa *s = (struct pfkey_sa *)n;

		if (s->spi == spi && s->direction == IPSEC_INBOUND)
			return s;
	}
	return NULL;
}

void pfkey_sa_remove(struct pfkey_channel *c, struct pfkey_sa *sa)
{
	table_remove(c->sas, &sa->node);
	*sa->link = sa->next;
	if (sa->next)
		sa->next->link = sa->link;
	release_reqid(c->pfkey, sa->reqid);
	free(sa->last);
	free(sa);
}

struct pfkey_key pfkey_sa_key(const struct pfkey_sa *sa)
{
	bool outbound = sa->direction == IPSEC_OUTBOUND;

	return (struct pfkey_key){
		.source = outbound ? sa->local : sa->remote,
		.destination = outbound ? sa->remote : sa->local,
		.spi = sa->spi,
		.satype = SADB_SATYPE_ESP,
	};
}

void pfkey_sa_seen(struct pfkey_sa *sa, struct ipsec_counters *counters)
{
	uint64_t now = now_ms();

	if (counters->packets != sa->seen_packets) {
		sa->seen_packets = counters->packets;
		sa->seen_ms = now;
	}
	counters->idle_ms = counters->packets ? now - sa->seen_ms : UINT64_MAX;
}
