/* The IKE SA object and all that belongs to it: Child SAs, the exchange in flight, and the scratch
 * memory of its negotiation. Private to the engine; one thread.
 *
 * Memory: what an established SA needs is in struct ike_sa and struct child_sa; what only a
 * negotiation needs is in struct negotiation and is freed on establishment. */
#ifndef IKE_IKE_SA_H
#define IKE_IKE_SA_H

#include "base/slab.h"
#include "base/table.h"
#include "container_of.h"
#include "crypto/authentication.h"
#include "ike/engine.h"
#include "message.h"

/* Named as reports name them; IKEv1's states will follow behind these. */
enum ike_state {
	STATE_UNSECURED_R,    /* responder: waits for key exchange work */
	STATE_IKE_SA_INIT_I0, /* initiator: waits for key exchange work */
	STATE_IKE_SA_INIT_I,
	STATE_IKE_SA_INIT_R,
	STATE_IKE_SA_INIT_IR, /* initiator: has the response, waits for key exchange work */
	STATE_IKE_AUTH_I,
	STATE_ESTABLISHED_IKE_SA,
	STATE_ZOMBIE, /* on its way out: a Delete is under way, or a last response is kept for
			 retransmissions */
	IKE_STATES
};

enum child_state {
	CHILD_NEGOTIATING,
	CHILD_INSTALLING, /* waits for the kernel's answers */
	CHILD_ESTABLISHED,
	CHILD_DELETING, /* out of the kernel; the peer has yet to be told, or to answer */
};

/* The outbound half of a pair that a peer has rekeyed: kept until the SA that it replaces goes. */
struct outbound_keys {
	uint64_t replaced; /* serial */
	uint16_t encr_key_len, integ_key_len;
	uint8_t encr_key[IPSEC_KEY_MAX], integ_key[IPSEC_KEY_MAX];
};

struct updown_use;

/* An IPsec SA pair (RFC 7296, section 1.3). */
struct child_sa {
	struct table_node by_serial;
	struct child_sa *next; /* of the same IKE SA */
	struct ike_sa *ike_sa;
	uint64_t serial;
	uint32_t in_spi, out_spi;
	uint32_t reqid;
	uint16_t in_cpi, out_cpi; /* of IPComp; in_cpi alone while it is negotiated; 0: without */
	uint8_t state, mode; /* enum child_state, enum ipsec_mode */
	bool udp_encapsulation, newest;
	bool no_tfc; /* the peer does not take padding for traffic flow confidentiality */
	bool in_kernel, out_kernel; /* the inbound SA (with the policy), the outbound SA */
	uint8_t ipsec_pending;      /* requests without an answer yet */
	bool removing;      /* the inbound SA's last figures are on their way */
	bool updown_failed; /* that is why there is an ipsec_error, and has been said */
	bool gone;          /* nobody needs it any more: it waits for the kernel's last figures */
	int ipsec_error;    /* the first error among the answers */
	union {
		uint64_t bytes_out; /* the outbound SA's, once it has left the kernel */
		struct outbound_keys *waiting; /* if outbound_waits */
	};
	struct chosen_proposal chosen;
	struct traffic_selector *ts; /* local ones, then remote ones; exactly as many ... */
	struct traffic_selector own_ts[2]; /* ... here, where one of each will do */
	struct connection *connection;
	struct updown_use *updown; /* NULL: nothing goes with it; see updown.h */
	uint32_t replace_s, expire_s; /* host time in seconds; 0: not */
	uint8_t local_ts_count, remote_ts_count;
	bool outbound_waits;
	bool by_us;            /* made by a CREATE_CHILD_SA exchange of ours */
	bool rekeying;         /* an exchange of ours to replace it is queued or under way */
	uint8_t finish_reason; /* enum finish_reason, if gone */
};

enum exchange_purpose {
	FOR_INIT,
	FOR_AUTH,
	FOR_DELETE_IKE,
	FOR_DELETE_CHILD,
	FOR_LIVENESS,
	FOR_CREATE_CHILD,
};

/* A request of ours that waits for its response (RFC 7296, section 2.1: window of one). */
struct exchange {
	enum exchange_purpose purpose;
	uint8_t type; /* enum exchange_type */
	uint32_t message_id;
	uint32_t retransmits, delay_ms;
	uint64_t started_ms, retransmit_at, give_up_at;
	uint64_t child_serial; /* FOR_DELETE_CHILD */
	size_t len;
	uint8_t message[];
};

#define NONCE_OURS 32
#define NONCE_MAX  256
#define COOKIE_MAX 64
/* IKE_SA_INIT with an elliptic curve and the usual notifies. */
#define MESSAGE_ROOM 512
/* Cookie and INVALID_KE_PAYLOAD rounds that an initiator follows: a forger must not keep it busy
 * for ever. */
#define INIT_ROUNDS_MAX 6

struct negotiation {
	struct ike_sa *ike_sa;
	struct table_node by_request; /* responder: finds retransmitted IKE_SA_INIT requests */
	bool in_requests;
	struct crypto_job *job; /* the pool's while in flight, else it waits to be submitted */
	bool job_in_flight;
	struct secret private_key;
	const struct algorithm *group;
	uint16_t ni_len, nr_len, cookie_len;
	uint8_t ni[NONCE_MAX], nr[NONCE_MAX];
	uint8_t cookie[COOKIE_MAX];
	/* The IKE_SA_INIT messages as sent, for AUTH (RFC 7296, section 2.15): in their rooms, or
	 * allocated when they are longer. A responder's is its SA's `response`, too. */
	uint8_t *message_i, *message_r;
	size_t message_i_len, message_r_len;
	uint8_t room_i[MESSAGE_ROOM], room_r[MESSAGE_ROOM];
	uint8_t sk_pi[PRF_OUTPUT_MAX], sk_pr[PRF_OUTPUT_MAX];
	unsigned init_rounds;
	uint16_t tried_groups[8];
	unsigned tried_group_count;
	uint16_t refused_with; /* an unauthenticated error notify that was seen */
	unsigned complaints;   /* lines about unauthenticated responses */
	uint64_t give_up_at;   /* a half-open responder; an initiator that was refused */
	uint64_t retry_job_at; /* the crypto workers were overloaded */
	uint64_t started_ms;
	struct child_sa *child;      /* the one of IKE_AUTH */
	uint16_t child_refused_with; /* notify type for the IKE_AUTH response */
	bool auth_under_way;         /* responder: the IKE_AUTH response waits for the kernel */
	bool initial_contact;        /* the peer sent it */
	bool asked_domains;          /* the peer's CFG_REQUEST has INTERNAL_DNS_DOMAIN */
	/* Authentication by signatures, see ike_auth_signature.c. */
	uint32_t peer_hashes; /* SIGHASH_BITs; 0: the peer does not know RFC 7427 */
	bool certificate_requested;
	struct held_message *held; /* what waits for the verification of its signature */
	uint8_t *auth_data;        /* of our AUTH payload, with a signature; NULL: not made yet */
	size_t auth_data_len;
	uint8_t auth_method; /* that goes with it */
	enum signature_scheme signed_by;
	char *peer_text; /* what its certificate and signature are; NULL: it has none */
};

enum { /* what is to be sent as soon as the window is free */
	WANT_DELETE_IKE = 1,
	WANT_LIVENESS = 2,
	WANT_DELETE_CHILD = 4,
};

/* A timer that knows what to do; all of the engine's are of this kind. */
struct engine_timer {
	struct timer timer;
	void (*due)(struct ike_engine *engine, struct engine_timer *timer);
};

struct ike_sa {
	struct table_node by_spi, by_serial, by_identity, by_connection;
	struct ike_sa *older, *newer; /* all SAs of the engine in order of serial */
	struct ike_engine *engine;
	struct engine_timer timer; /* the earliest of all deadlines below */
	uint64_t spi_i, spi_r, serial;
	struct connection *connection;
	struct identity *local_id, *remote_id;
	struct ike_path path;
	uint32_t instance;
	uint8_t state; /* enum ike_state */
	bool initiator, behind_nat, peer_behind_nat, encapsulate;
	bool in_connection_table, in_identity_table, half_open;
	bool fragmentation;           /* both sides have said so (RFC 7383, section 2.3) */
	bool replacing;               /* a new SA is under way to take its place */
	bool rekeyed;                 /* by another, which has its Child SAs: only a Delete follows */
	bool superseded_elsewhere;    /* another engine has the connection up */
	uint8_t wants, finish_reason; /* WANT_*, enum finish_reason */
	struct chosen_proposal chosen;
	uint8_t *keys; /* SK_d | SK_ai | SK_ar | SK_ei | SK_er, see keymat.c */
	uint16_t keys_len;
	uint16_t identity_bytes; /* as counted by ike_sa_count_identities */
	uint64_t iv_counter;
	uint32_t next_request_id;     /* of our next request */
	uint32_t expected_request_id; /* of the peer's next request */
	uint64_t last_request_digest; /* of the request that `response` answers */
	uint8_t *response; /* the last one, for retransmitted requests; see response_drop */
	uint32_t response_len;
	struct exchange *exchange;     /* NULL: the window is free */
	struct reassembly *reassembly; /* messages of which fragments are missing, see fragment.c */
	struct child_sa *children;
	struct negotiation *negotiation;
	struct guest *guests;          /* connections that share it, see sharing.c */
	struct create_child *creating; /* CREATE_CHILD_SA exchanges, queued and under way */
	struct peer_configuration *configuration; /* addresses lent or got, see configuration.h; or NULL */
	ike_watcher watcher;
	uint64_t replaces; /* serial of the IKE SA that goes when this one is established, or, with
				rekeying of both ends, proves to be the one that stays; with
				`rekeyed`: that goes with this one, which is redundant */
	/* deadlines and times, host milliseconds; 0: none */
	uint64_t established_ms, last_heard_ms, replace_at, expire_at, liveness_at, keepalive_at,
		linger_until;
};

/* Why an SA ended, in the order of --globalstatus. */
enum finish_reason {
	FINISHED_OTHER,
	FINISHED_CRYPTO_TIMEOUT,
	FINISHED_EXCHANGE_TIMEOUT,
	FINISHED_RETRANSMITS,
	FINISHED_SUPERSEDED,
	FINISHED_CRYPTO_FAILED,
	FINISHED_AUTH_FAILED,
	FINISHED_TS_UNACCEPTABLE,
	FINISHED_DELETED,
	FINISHED_COMPLETED,
	FINISH_REASONS
};

/* A new SA in no table but by SPI and serial; NULL when memory is out. The SPI of ours is chosen
 * here. */
struct ike_sa *ike_sa_new(struct ike_engine *engine, bool initiator, const struct ike_path *path);
/* Ends it here and now: Child SAs leave the kernel, jobs in flight lose their owner, the watcher is
 * released, memory is wiped. Tells the peer nothing. */
void ike_sa_free(struct ike_sa *sa, enum finish_reason reason);
void ike_sa_set_state(struct ike_sa *sa, enum ike_state state);
/* Takes a reference; enters the connection's table. */
void ike_sa_set_connection(struct ike_sa *sa, struct connection *c);
/* The same when it is established: it stays what it is, but belongs to another connection between
 * the same ends. */
void ike_sa_change_connection(struct ike_sa *sa, struct connection *c);
/* We initiate it: to be found by the connection's identities before it is established. */
void ike_sa_announce(struct ike_sa *sa);
/* Frees all that only the negotiation needed. */
void ike_sa_end_negotiation(struct ike_sa *sa);
/* Frees an IKE_SA_INIT message that does not lie in its room. */
void ike_sa_drop_message(
	struct ike_sa *sa, uint8_t *message, size_t len, const uint8_t room[MESSAGE_ROOM]);
void ike_sa_release_watcher(struct ike_sa *sa);
/* After a change of identities: counts those that are not the connection's. */
void ike_sa_count_identities(struct ike_sa *sa);
/* Arms the one timer for the earliest deadline; to be called after any change of one. */
void ike_sa_schedule(struct ike_sa *sa);
/* Established: into the identity table, lifetimes begin. False: no memory. */
bool ike_sa_established(struct ike_sa *sa);
/* One that takes the place of `old`, with its peer, path and identities; `own_spi` was chosen by
 * ike_sa_choose_spi. NULL when memory is out. */
struct ike_sa *ike_sa_new_rekeyed(struct ike_sa *old, bool initiator, uint64_t own_spi);
/* An SPI that is ours and free. */
uint64_t ike_sa_choose_spi(struct ike_engine *engine);
/* Tells the peer by a Delete and ends the SA when it has answered (or by ike_sa_free, if it is not
 * established). Child SAs leave the kernel at once. */
void ike_sa_delete(struct ike_sa *sa, enum finish_reason reason);
/* Ends all but the last response, which is kept a while for a peer that did not get it. */
void ike_sa_retire(struct ike_sa *sa, enum finish_reason reason);
/* Nothing more is done with it: it only repeats its last response for so long, then goes. */
void ike_sa_linger(struct ike_sa *sa, uint64_t ms);

static inline uint64_t ike_sa_own_spi(const struct ike_sa *sa)
{
	return sa->initiator ? sa->spi_i : sa->spi_r;
}
static inline uint64_t ike_sa_peer_spi(const struct ike_sa *sa)
{
	return sa->initiator ? sa->spi_r : sa->spi_i;
}
const char *ike_state_name(enum ike_state state);
const char *ike_state_story(const struct ike_sa *sa);
const char *child_state_name(enum child_state state);

/* Log lines with the SA's prefix, `"name"[N] PEER #S: `, also to the watcher. */
void ike_sa_log(struct ike_sa *sa, enum log_severity severity, enum ike_rc code, const char *format,
	...) __attribute__((format(printf, 4, 5)));
void child_sa_log(const struct child_sa *child, enum log_severity severity, enum ike_rc code,
	const char *format, ...) __attribute__((format(printf, 4, 5)));
/* `"name"[N] PEER: ` */
void connection_log(struct ike_engine *engine, const struct connection *c, ike_watcher watcher,
	enum log_severity severity, enum ike_rc code, const char *format, ...)
	__attribute__((format(printf, 6, 7)));
/* `packet from IP:PORT: `; at most so many a second that a stranger cannot fill the log. */
void packet_log(struct ike_engine *engine, const struct ike_path *path, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#endif
