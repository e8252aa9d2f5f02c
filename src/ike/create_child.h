/* The CREATE_CHILD_SA exchange (RFC 7296, section 1.3): new Child SAs, rekeying of Child SAs and of
 * the IKE SA. Private.
 *
 * An exchange of ours is queued at its IKE SA, then waits in turn for its key pair, the window, the
 * response, the shared secret and the kernel; at most one is beyond the queue. One of the peer's
 * waits for the shared secret and the kernel, and is then answered. All of it is scratch memory:
 * what an established SA keeps of it is nothing. */
#ifndef IKE_CREATE_CHILD_H
#define IKE_CREATE_CHILD_H

#include "ike_sa_init.h"

/* Of one IKE SA: an authenticated peer must not fill the memory. */
#define CHILDREN_MAX 128

enum create_purpose { CREATE_NEW_CHILD, CREATE_REKEY_CHILD, CREATE_REKEY_IKE };

enum create_stage {
	CREATE_QUEUED,     /* ours: waits for its turn */
	CREATE_GENERATING, /* ours: waits for its key pair */
	CREATE_READY,      /* ours: waits for the window */
	CREATE_SENT,       /* ours: waits for the response */
	CREATE_DERIVING,   /* waits for the shared secret */
	CREATE_INSTALLING, /* waits for the kernel */
	CREATE_DONE, /* theirs, answered: remembered while ours about the same SA is under way */
};

struct create_child {
	struct create_child *next; /* of the same IKE SA */
	struct ike_sa *ike_sa;
	uint8_t purpose, stage;
	bool initiator;                /* of this exchange: ours */
	bool job_in_flight, job_waits; /* for the crypto workers to have room */
	bool transport;                /* theirs: USE_TRANSPORT_MODE is asked for */
	bool unwanted;                 /* ours: what it brings is deleted at once */
	bool lost;                     /* theirs, not answered yet: ours about the same stays */
	ike_watcher watcher;           /* ours: of this one alone */
	uint8_t attempts;              /* ours: how often it was put off */
	uint32_t message_id;           /* theirs: to be answered */
	uint64_t not_before; /* host time: of the next attempt, or of the job's submission */
	uint64_t replaces;   /* serial of the Child SA that is rekeyed */
	uint64_t successor;  /* theirs, IKE SA rekeyed: serial of the new one */
	uint64_t own_spi;    /* IKE SA rekeyed */
	struct connection *connection;
	struct child_sa *child;        /* the new one */
	struct crypto_job *job;        /* the pool's while in flight, else its result */
	const struct algorithm *group; /* NULL: no key exchange */
	struct secret private_key;
	struct proposal_list *offered; /* ours */
	struct chosen_proposal chosen; /* IKE SA rekeyed */
	uint16_t tried_group;          /* ours: refused with INVALID_KE_PAYLOAD */
	uint16_t ni_len, nr_len;
	uint8_t ni[NONCE_MAX], nr[NONCE_MAX];
};

/* ---- what happens ----------------------------------------------------------- */
/* Queues the rekeying of a Child SA, unless that is done already. False: not queued. */
bool create_child_rekey(struct child_sa *child);
/* Queues one for a Child SA of the connection, to be begun in `delay_ms`, unless it has one or one is
 * queued. The watcher hears of it, and is released in any case. */
void create_child_add(
	struct ike_sa *sa, struct connection *c, uint64_t delay_ms, ike_watcher watcher);
/* Queues the rekeying of the IKE SA, unless that is done already. False: not queued. */
bool create_child_rekey_ike(struct ike_sa *sa);
/* A Child SA has gone, `lived_ms` after it came: a new one is queued if the connection is wanted up
 * and has no other. */
void create_child_revive(struct ike_sa *sa, struct connection *c, uint64_t lived_ms);
/* Goes on with the first of the queue, if it can. */
void create_child_next(struct ike_sa *sa);
/* When create_child_next has something to do; 0: not by time. */
uint64_t create_child_due(const struct ike_sa *sa);
/* A request of the peer's; the response to ours. The SA may be gone afterwards. */
void create_child_request(struct ike_sa *sa, struct incoming *in);
void create_child_response(struct ike_sa *sa, struct incoming *in);
/* Key exchange work is done. */
void create_child_job_done(struct create_child *x);
/* The kernel has answered for the last request about a Child SA that is being installed. */
void create_child_installed(struct child_sa *child);
/* The Child SA leaves: it is no exchange's any more. */
void create_child_forget(struct child_sa *child);
/* Ends all exchanges of the SA, silently. */
void create_child_drop_all(struct ike_sa *sa);
/* Is a request of the peer's under way that has not been answered yet? */
bool create_child_busy(const struct ike_sa *sa);

/* ---- between the files of this exchange -------------------------------------- */
/* A job's tag: its owner is a struct create_child. */
#define JOB_CREATE_CHILD 1

struct create_child *create_new(struct ike_sa *sa, enum create_purpose purpose, bool initiator);
/* Takes it off the list and wipes it; a new Child SA that was not installed goes with it. */
void create_free(struct create_child *x);
/* Has it been sent, and not ended? Or, if theirs: not been answered? */
bool create_is_under_way(const struct create_child *x);
/* Ours of this purpose that is under way; NULL: none. */
struct create_child *create_find_ours(const struct ike_sa *sa, enum create_purpose purpose);
/* A job in flight loses its owner. */
void create_drop_job(struct create_child *x);
/* What there is to be replaced, if it still is; NULL: it has gone, or has been replaced. */
struct child_sa *create_replaceable(const struct create_child *x);
/* Has what it is for been done by somebody else? */
bool create_is_obsolete(const struct create_child *x);
/* Ours, with its key pair if it has one, goes out. It may be gone afterwards. */
void create_send(struct create_child *x);
bool create_submit(struct create_child *x, struct crypto_job *job);
/* What a connection offers for CREATE_CHILD_SA: with a key exchange if it wants PFS, else without.
 * NULL: no memory. */
struct proposal_list *create_offer(const struct ike_sa *sa, const struct connection *c);
/* Submits the derivation of the shared secret from our private key and the peer's value. NULL, or
 * what is wrong. */
const char *create_derive(struct create_child *x, struct bytes peer_value);
/* NULL, or what is wrong with the nonce of the response. */
const char *create_take_nonce(struct create_child *x, const struct incoming *in);
/* Ours has come to its end; `delete_follows`: a watcher waits for that too. */
void create_finish(struct create_child *x, bool delete_follows);
struct child_seed create_seed(const struct create_child *x);
/* Answers the peer's with one error notify, and ends it. */
void create_refuse(struct create_child *x, uint16_t notify, struct bytes data);
/* Ours has failed for good or was overtaken: what it was to replace is tried again later, unless
 * that is gone. */
void create_give_up(struct create_child *x);
/* The peer refuses it for good, or what it answers is wrong: a new IKE SA shall do it. */
void create_fall_back(struct create_child *x);
/* Ours is put off for a while. */
void create_put_off(struct create_child *x);

/* create_child_responder.c */
void create_responder_derived(struct create_child *x);
void create_responder_installed(struct create_child *x);

/* rekey_ike.c, rekey_ike_responder.c */
/* The new SA with its keys, established, out of what x has; `old` has everything else still. NULL:
 * no memory. */
struct ike_sa *rekey_ike_make(struct create_child *x);
bool rekey_ike_build(struct create_child *x, struct message_writer *m, struct bytes public_value);
void rekey_ike_response(struct create_child *x, const struct incoming *in);
void rekey_ike_derived(struct create_child *x);
void rekey_ike_request(struct ike_sa *sa, struct incoming *in);
void rekey_ike_responder_derived(struct create_child *x);
/* `to` takes over all that `from` has, but its keys. */
void rekey_ike_inherit(struct ike_sa *from, struct ike_sa *to);
/* The peer uses the new SA of an exchange of its own, so that is decided. */
void rekey_ike_is_used(struct ike_sa *to);
/* The peer's new SA that proved redundant is gone or on its way out, and with it what kept the old
 * one: that one is deleted now. Does nothing for any other SA. */
void rekey_ike_redundant_gone(struct ike_sa *sa);
/* The old SA goes while it is not decided yet which new one follows it: then the peer's does. */
void rekey_ike_settle(struct ike_sa *old);

/* rekey_collision.c */
/* Both ends have rekeyed the same SA at one time, or made a Child SA of one connection: does ours
 * have the lowest of the four nonces, so that it is to be closed by us (RFC 7296, sections 2.8.1 and
 * 2.8.2; for new ones nothing is said there, and the same rule does)? */
bool rekey_collision_lost(const struct create_child *ours, const struct create_child *theirs);
/* The peer's that is about the same SA as ours, answered or not; NULL: none. */
struct create_child *rekey_collision_find(const struct create_child *ours);
/* Ours that is under way about the same SA as theirs; NULL: none. */
const struct create_child *rekey_collision_ours(const struct create_child *theirs);
/* May the peer's request be carried out now (RFC 7296, section 2.25)? 0, or what to refuse it
 * with. */
uint16_t rekey_collision_refusal(const struct ike_sa *sa, bool rekeys_ike);

#endif
