#include "xfrm.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>

static uint64_t hash_of(uint32_t spi, enum ipsec_direction direction, uint32_t reqid)
{
	return table_hash_u64(((uint64_t)reqid << 32 | spi) * 2 + (direction == IPSEC_OUTBOUND));
}

struct xfrm_sa *xfrm_sa_add(struct xfrm_channel *c, const struct ipsec_sa *sa)
{
	struct xfrm_sa *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->id = sa->id;
	s->spi = sa->spi;
	s->reqid = sa->reqid;
	s->direction = (uint8_t)sa->direction;
	s->protocol = (uint8_t)sa->protocol;
	s->cpi = sa->ipcomp_cpi;
	s->local = sa->local.address;
	s->remote = sa->remote.address;
	s->mark = sa->mark;
	if (!table_insert(c->sas, &s->node, hash_of(s->spi, sa->direction, s->reqid))) {
		free(s);
		return NULL;
	}
	s->link = &c->first_sa;
	s->next = c->first_sa;
	if (s->next)
		s->next->link = &s->next;
	c->first_sa = s;
	__atomic_fetch_add(&c->xfrm->sas, 1, __ATOMIC_RELAXED);
	return s;
}

struct xfrm_sa *xfrm_sa_find(const struct xfrm_channel *c, uint64_t id, uint32_t spi,
	enum ipsec_direction direction, uint32_t reqid)
{
	struct table_node *n = table_first(c->sas, hash_of(spi, direction, reqid));

	for (; n; n = table_next(n)) {
		struct xfrm_sa *s = (struct xfrm_sa *)n;

		if (s->spi == spi && s->direction == direction && s->reqid == reqid &&
			(!id || !s->id || s->id == id))
			return s;
	}
	return NULL;
}

struct xfrm_sa *xfrm_sa_of_info(const struct xfrm_channel *c, const struct xfrm_usersa_info *info)
{
	static const enum ipsec_direction directions[] = {IPSEC_INBOUND, IPSEC_OUTBOUND};
	struct ip_address destination = xfrm_address_read(&info->id.daddr, info->family);

	for (unsigned i = 0; i < 2; i++) {
		struct xfrm_sa *sa =
			xfrm_sa_find(c, 0, ntohl(info->id.spi), directions[i], info->reqid);

		/* Not the IPComp SA beside another. */
		if (sa && sa->protocol == info->id.proto &&
			ip_equal(directions[i] == IPSEC_OUTBOUND ? &sa->remote : &sa->local,
				  &destination))
			return sa;
	}
	return NULL;
}

void xfrm_sa_remove(struct xfrm_channel *c, struct xfrm_sa *sa)
{
	table_remove(c->sas, &sa->node);
	*sa->link = sa->next;
	if (sa->next)
		sa->next->link = sa->link;
	__atomic_fetch_sub(&c->xfrm->sas, 1, __ATOMIC_RELAXED);
	free(sa->last);
	free(sa);
}

struct xfrm_key xfrm_sa_key(const struct xfrm_sa *sa)
{
	return (struct xfrm_key){
		.destination = sa->direction == IPSEC_OUTBOUND ? sa->remote : sa->local,
		.spi = sa->spi,
		.protocol = sa->protocol,
		.mark = sa->mark,
	};
}

struct xfrm_key xfrm_sa_ipcomp_key(const struct xfrm_sa *sa)
{
	struct xfrm_key key = xfrm_sa_key(sa);

	key.spi = sa->cpi;
	key.protocol = IPPROTO_COMP;
	return key;
}
