/* Several connections on one IKE SA (RFC 7296, section 1.3). An IKE SA belongs to the connection
 * that set it up (or to which it was handed over); any other one that has a Child SA on it, or has
 * one queued or under way there, is its guest. Private. */
#ifndef IKE_SHARING_H
#define IKE_SHARING_H

#include "ike_sa.h"

/* Of guests; each engine has one. */
struct slab_pool *sharing_pool_new(void);
/* Notes that the connection has something on the SA. Nothing to do for the SA's own. False: no
 * memory. */
bool sharing_enter(struct ike_sa *sa, struct connection *c);
/* Forgets guests that have nothing left on it. Not to be called while it goes: what they had on it
 * is then looked for elsewhere (wanted_sa_gone). */
void sharing_prune(struct ike_sa *sa);
/* Forgets all guests. */
void sharing_forget(struct ike_sa *sa);
/* `to` has taken over the Child SAs and the queue of `from`. */
void sharing_move(struct ike_sa *from, struct ike_sa *to);
/* The i-th guest; NULL past the end. */
struct connection *sharing_guest(const struct ike_sa *sa, unsigned i);

/* Has the connection an established Child SA on it, or one that is about to be? */
bool sharing_carries(const struct ike_sa *sa, const struct connection *c);
/* Does any other one? */
bool sharing_carries_others(const struct ike_sa *sa, const struct connection *c);
/* The SA stays, but `c`, to which it belonged, has nothing to do with it any more: it belongs to
 * one of its guests from here on. False: there is none that it carries. */
bool sharing_hand_over(struct ike_sa *sa, const struct connection *c);
/* Ends what the connection has on a SA that others use too: each Child SA's peer is told. */
void sharing_leave(struct ike_sa *sa, const struct connection *c);

/* Would both have come to the same IKE SA: hosts, identities, authentication, proposals? */
bool sharing_is_possible(const struct connection *a, const struct connection *b);
/* An IKE SA that a Child SA of the connection can be created on: established, or being set up by
 * us. NULL: there is none. */
struct ike_sa *sharing_find(
	struct ike_engine *engine, const struct connection *c, const struct ip_address *remote);

/* All IKE SAs that have to do with a connection: its own, then those where it is a guest (that it
 * has something on). The SA that was returned last may go; others may not. */
struct sharing_walk {
	const struct ike_engine *engine;
	uint64_t connection_serial;
	struct table_node *next;
	bool guests;
};
void sharing_walk_start(
	struct sharing_walk *walk, const struct ike_engine *engine, const struct connection *c);
/* NULL: the end. */
struct ike_sa *sharing_walk_next(struct sharing_walk *walk);

#endif
