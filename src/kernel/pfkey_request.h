/* A request of a channel, and its ways. Private to the backend. */
#ifndef KERNEL_PFKEY_REQUEST_H
#define KERNEL_PFKEY_REQUEST_H

#include "pfkey.h"

#define SEQUENCE_BITS 22 /* of a channel's own numbers; above them is the channel's */

/* SA_ADD: FIRST; VERIFY after a lost answer, when the SA exists: is it ours? SA_MOVE: FIRST asks
 * for the SA's state, SECOND sends it back with other ports. */
enum request_step { STEP_FIRST, STEP_VERIFY, STEP_SECOND };

/* Whose it is: the channel owner's, or a question of our own of which nobody is told. */
enum request_asker { ASKED, CHECK, ACQUIRE, REGISTER };

struct pfkey_request {
	struct pfkey_request *next;
	uint8_t step, asker, tries;
	unsigned outstanding;
	int error, told_error; /* of changes; of questions */
	uint32_t told_reqid;
	struct ipsec_counters counters;
	struct ipsec_request request; /* selectors are those below */
	uint32_t policy_id;           /* ACQUIRE */
	struct policy_values values;
	struct selector *selectors;
	unsigned selector_count;
	uint8_t *bytes; /* SA_ADD: the message. SA_MOVE: the state */
	size_t len;
};

static inline bool pfkey_is_policy(const struct pfkey_request *r)
{
	return r->request.op == IPSEC_POLICY_ADD || r->request.op == IPSEC_POLICY_DELETE;
}

static inline void pfkey_push_back(struct pfkey_channel *c, struct pfkey_request *r)
{
	r->next = NULL;
	*c->last = r;
	c->last = &r->next;
}

static inline void pfkey_push_front(struct pfkey_channel *c, struct pfkey_request *r)
{
	r->next = c->first;
	if (!c->first)
		c->last = &r->next;
	c->first = r;
}

static inline struct pfkey_request *pfkey_pop(struct pfkey_channel *c)
{
	struct pfkey_request *r = c->first;

	c->first = r->next;
	if (!c->first)
		c->last = &c->first;
	return r;
}

static inline void pfkey_finish(struct pfkey_channel *c, struct pfkey_request *r, int error)
{
	r->error = error;
	r->next = NULL;
	*c->done_last = r;
	c->done_last = &r->next;
}

static inline struct pfkey_flight *pfkey_flight_at(struct pfkey_channel *c, uint32_t sequence)
{
	return &c->flights[sequence & (PFKEY_FLIGHTS - 1)];
}

static inline struct pfkey_sa *pfkey_sa_of(
	const struct pfkey_channel *c, const struct pfkey_request *r)
{
	const struct ipsec_sa *sa = &r->request.sa;

	return pfkey_sa_find(c, sa->id, sa->spi, sa->direction, sa->reqid);
}

/* ---- pfkey_send.c ---- */
/* Sends what there is room for. */
void pfkey_flush(struct pfkey_channel *c);

/* ---- pfkey_channel.c ---- */
/* All that a step asked has been answered. */
void pfkey_step_done(struct pfkey_channel *c, struct pfkey_request *r);

#endif
