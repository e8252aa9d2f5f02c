/* The IKE engine: plain functions over plain data. It has no thread, socket, clock or file of its
 * own; what it wants from the world it asks of its host through struct ike_host, and what happens
 * to it comes in through the entry points below. One engine belongs to one thread; several engines
 * (one a shard) share nothing but the catalogue and the vault. (RFC 7296; IKEv1 will live beside
 * it.)
 *
 * Hosts: the shard (src/shard), the simulator (tests/simulator), the load generator (perf), the
 * fuzzers.
 *
 * No host function is called back into the engine before it returns: a job, a request or a datagram
 * is answered later, through an entry point. */
#ifndef IKE_ENGINE_H
#define IKE_ENGINE_H

#include "base/counter.h"
#include "base/ipsec.h"
#include "base/log.h"
#include "base/timer.h"
#include "crypto/job.h"
#include "crypto/symmetric.h"
#include "ike/catalogue.h"
#include "ike/secrets.h"

struct ike_engine;
struct ike_sa;

/* Where a datagram came in or goes out. */
struct ike_path {
	struct ip_endpoint local, remote;
	bool non_esp_marker; /* by the NAT-T socket: the host adds and strips the 4 zero bytes (RFC
				3948) */
};

/* Refers to a client of the control socket that watches a negotiation; 0: nobody. */
typedef uint64_t ike_watcher;

/* Codes of answer lines to a watcher; other lines have code 0 (the control surface's 5.x form). */
enum ike_rc {
	RC_OK = 0,
	RC_DUPLICATE = 20,
	RC_UNKNOWN_NAME = 21,
	RC_ORIENT = 22,
	RC_CLASH = 23,
	RC_DEAF = 24,
	RC_ROUTE = 25,
	RC_UNROUTE = 26,
	RC_PEER_UNKNOWN = 29,
	RC_INITSHUNT = 30,
	RC_WILDCARD = 31,
	RC_RETRANSMISSION = 51,
	RC_INTERNAL = 52,
	RC_CRYPTO_FAILED = 54,
	RC_FATAL = 56,
};

enum ike_news_kind {
	IKE_NEWS_ESTABLISHED, /* an IKE SA between these identities: older ones make way (uniqueids)
			       */
	IKE_NEWS_GONE, /* a permanent connection has lost its SA: whoever wants it up sees to it */
};

/* News of one engine for all others. */
struct ike_news {
	enum ike_news_kind kind;
	const struct identity *local, *remote;
	uint64_t connection_serial, ike_serial;
	uint64_t spi_i, established_ms; /* tell which of two stays that were made at one time */
	struct ip_address peer;
	bool initiator;       /* ours is the original initiator's role */
	bool initial_contact; /* the peer knows of no other SA (RFC 7296, section 2.4) */
};

/* What goes with a Child SA beside itself: routes and the operator's script. */
enum ike_updown_op {
	IKE_UPDOWN_UP,      /* prepare and route, if that is not done yet; then up */
	IKE_UPDOWN_DOWN,    /* down with the last user; an instance of a template is unrouted, too */
	IKE_UPDOWN_ROUTE,   /* prepare and route, without an SA: until IKE_UPDOWN_UNROUTE */
	IKE_UPDOWN_UNROUTE, /* the connection's policies are gone: unrouted with its last user */
};

enum ike_updown_result {
	IKE_UPDOWN_ASKED, /* the answer comes later */
	IKE_UPDOWN_DONE,
	IKE_UPDOWN_NOTHING, /* good, and there is nothing that a DOWN would have to undo */
	IKE_UPDOWN_FAILED,
};

/* All pointers are valid during the call only, `connection` for as long as the host refers to it. */
struct ike_updown {
	enum ike_updown_op op;
	/* UP, ROUTE: unique in the daemon, comes back in the answer; DOWN: UP's. */
	uint64_t token;
	const struct connection *connection; /* not of DOWN */
	uint64_t bytes_in, bytes_out;        /* DOWN: what the pairs since UP have carried */
	/* UP; ROUTE has the connection's identities and selectors */
	uint64_t serial, ike_serial; /* #N of the Child SA, of its IKE SA */
	uint32_t instance;           /* [N]; 0: not an instance */
	bool initiator;              /* of the exchange that makes the Child SA */
	const struct identity *local_id, *remote_id;
	struct ip_address local, remote; /* the hosts' addresses */
	/* UP, what a configuration payload has brought us; unset, NULL: nothing. Clean enough for a
	 * script's environment. */
	struct ip_address given[2]; /* IPv4, IPv6 */
	const char *dns, *domains, *banner;
	bool gives_address; /* we are the one who gives */
	uint32_t in_spi, out_spi, reqid;
	enum ipsec_mode mode;
	enum ipsec_protocol protocol;
	const struct traffic_selector *local_ts, *remote_ts;
	unsigned local_ts_count, remote_ts_count;
};

struct ike_host {
	/* milliseconds, monotonic; and seconds since the epoch */
	uint64_t (*now_ms)(struct ike_host *host);
	uint64_t (*wall_s)(struct ike_host *host);
	/* cryptographically strong; cannot fail */
	void (*random)(struct ike_host *host, void *out, size_t len);
	/* Will packets that carry this SPI of ours be steered to this engine? */
	bool (*owns_spi)(struct ike_host *host, uint64_t spi);
	/* Copies the bytes. May lose them, as a network does. */
	void (*send)(struct ike_host *host, const struct ike_path *path, struct bytes message);
	/* One byte 0xff on the NAT-T socket (RFC 3948, section 2.3). */
	void (*send_keepalive)(struct ike_host *host, const struct ike_path *path);
	/* By base/timer.h's rules; a due timer comes in through ike_engine_timer. */
	void (*arm)(struct ike_host *host, struct timer *timer, uint64_t due_ms);
	void (*cancel)(struct ike_host *host, struct timer *timer);
	/* False: overloaded, the job stays the engine's. */
	bool (*submit)(struct ike_host *host, struct crypto_job *job);
	/* 0..100: how full the job queues are. */
	unsigned (*load)(struct ike_host *host);
	/* A fresh inbound Child SA SPI (host order), and one that is not used after all (never
	 * given to IPSEC_SA_ADD). 0: none to be had. */
	uint32_t (*allocate_spi)(struct ike_host *host);
	void (*release_spi)(struct ike_host *host, uint32_t spi);
	/* The same for the CPI of an IPComp SA; 0 also when there is no IPComp. Both NULL:
	 * likewise.
	 */
	uint16_t (*allocate_cpi)(struct ike_host *host);
	void (*release_cpi)(struct ike_host *host, uint16_t cpi);
	/* Asynchronous, in order; copies the request (keys and selectors included). An answer comes
	 * for each. */
	void (*ipsec)(struct ike_host *host, const struct ipsec_request *request);
	/* #N, unique in the daemon, growing. */
	uint64_t (*new_serial)(struct ike_host *host);
	/* A reqid for a template's instance, unique in the daemon. */
	uint32_t (*new_reqid)(struct ike_host *host);
	/* A finished line, prefix included, for the log and for the watcher if not 0. */
	void (*log)(struct ike_host *host, enum log_severity severity, ike_watcher watcher,
		enum ike_rc code, const char *line, size_t len);
	/* The watcher's wait is over; its exit status is decided by the lines it got. */
	void (*release_watcher)(struct ike_host *host, ike_watcher watcher);
	/* Every other engine is to be told by ike_engine_news. The host takes its own references.
	 */
	void (*tell)(struct ike_host *host, const struct ike_news *news);
	/* Runs what goes with a Child SA, behind what was asked before for the same connection and
	 * instance. ASKED, NOTHING or FAILED (no memory). After ASKED the answer to an UP or ROUTE
	 * comes through ike_engine_updown_done; one that fails leaves nothing behind, and no DOWN is
	 * due (though one may come, if the SA went meanwhile). NULL: never anything to be done. */
	enum ike_updown_result (*updown)(struct ike_host *host, const struct ike_updown *request);
	/* May this engine take another half-open SA as responder; must it ask for a cookie?
	 * Daemon-wide counts are the host's to know; `half_open` is this engine's own. */
	bool (*require_cookie)(struct ike_host *host, uint64_t half_open);
	bool (*refuse_new)(struct ike_host *host, uint64_t half_open);
};

struct ike_engine_config {
	struct ike_host *host;
	struct crypto_context *crypto; /* this thread's; outlives the engine */
	struct catalogue *catalogue;
	struct secret_vault *secrets;
	struct credentials *credentials; /* NULL: no certificates */
	struct counter_set *counters; /* of ike_counter_count() cells, see ike/counters.h */
	uint16_t ike_port, nat_port;  /* ours: 500 and 4500 */
	uint16_t fragment_datagram;   /* IKE messages are cut for IP datagrams of so many bytes; 0:
					 1280 */
	uint32_t keep_alive_s;        /* NAT-T keepalive period; 0: off */
	uint32_t shunt_life_s;        /* of what failureshunt= puts in a trap's place; 0: 900 */
	bool unique_ids;
	/* 32 bytes, the same in every engine of the daemon, so that a cookie made by one is known
	 * by all. The engine keeps a copy; it rotates derived secrets by wall time. */
	const uint8_t *cookie_secret;
};

/* NULL when memory is out. Copies the config. */
struct ike_engine *ike_engine_new(const struct ike_engine_config *config);
/* Silently forgets all SAs (kernel SAs included: no requests are made); jobs in flight must have
 * been drained or be given to ike_engine_job_done before. */
void ike_engine_free(struct ike_engine *engine);

/* ---- what happens to it ------------------------------------------------- */
/* `message` without marker; it is decrypted in place. Whatever the bytes are. */
void ike_engine_datagram(
	struct ike_engine *engine, const struct ike_path *path, uint8_t *message, size_t len);
/* Is it the request of a stranger who has brought no cookie (RFC 7296, section 2.6: a cookie is the
 * first payload)? What a host that cannot take all drops first: its sender tries again, and nothing
 * is lost that was agreed on before. A pure function of the bytes, whatever they are. */
bool ike_message_is_first(struct bytes message);
void ike_engine_timer(struct ike_engine *engine, struct timer *timer);
void ike_engine_job_done(struct ike_engine *engine, struct crypto_job *job);
void ike_engine_ipsec_answer(struct ike_engine *engine, const struct ipsec_answer *answer);
void ike_engine_ipsec_event(struct ike_engine *engine, const struct ipsec_event *event);
/* The answer to an UP or ROUTE of ike_host.updown. `why`: one printable line, if it has failed. */
void ike_engine_updown_done(struct ike_engine *engine, uint64_t token,
	enum ike_updown_result result, const char *why);
/* The peer's host or port is unreachable, says an ICMP message: logged; retransmission goes on (RFC
 * 7296, section 2.4). */
void ike_engine_network_error(
	struct ike_engine *engine, const struct ike_path *path, int error, const char *origin);

/* ---- commands ----------------------------------------------------------- */
/* Brings the connection up; `remote` is the peer of a template or unset. Lines and the release go
 * to the watcher. */
void ike_engine_initiate(struct ike_engine *engine, struct connection *c,
	const struct ip_address *remote, ike_watcher watcher);
/* Is there an IKE SA here, between the same ends, on which ike_engine_initiate would create the
 * connection's Child SA (RFC 7296, section 1.3.1)? A host with several engines gives the command to
 * the one that says so, and connections that may share an IKE SA to one engine. */
bool ike_engine_can_share(struct ike_engine *engine, const struct connection *c);
/* Could the two share an IKE SA: hosts, identities, authentication and IKE proposals are the same? */
bool ike_connections_can_share(const struct connection *a, const struct connection *b);
/* --route: a trap (of a connection that is a shunt: its policy) is installed, in the place of one
 * that the connection has here already. Traffic that meets it initiates the connection, once
 * whatever comes meanwhile; when a tunnel goes, the trap is what is left. To be asked of the engine
 * that acquires of this reqid come to. The watcher is released when the kernel has answered; what
 * went wrong is told with RC_ROUTE. */
void ike_engine_route(struct ike_engine *engine, struct connection *c, ike_watcher watcher);
/* --unroute: takes the trap away, and policies of earlier SAs; those that SAs use stay.
 * `trap_only`: these stay, too (the connection is no longer between addresses of ours). */
void ike_engine_unroute(struct ike_engine *engine, const struct connection *c, bool trap_only);
/* Deletes this engine's SAs of the connection: each peer is told, its answer is awaited in the
 * background. An IKE SA that carries Child SAs of other connections stays for them. The policy
 * stays installed (drops, or is a trap) unless `unroute`. Returns how many SAs it met:
 * each of them releases the watcher once, when it has ended (or at once, if somebody else watches
 * it). */
unsigned ike_engine_terminate(
	struct ike_engine *engine, const struct connection *c, bool unroute, ike_watcher watcher);
/* Deletes one SA (IKE or Child) by #N, which releases the watcher as above. False: not here. */
bool ike_engine_delete_serial(struct ike_engine *engine, uint64_t serial, ike_watcher watcher);
/* What --rekey-*, --delete-* and --down-* mean. */
enum ike_sa_kind { IKE_SA, CHILD_SA };
/* Rekeys this engine's SAs of the connection of that kind. Returns how many it met; the watcher is
 * released as above, when the new SA is there and the old one has gone, or it has failed. */
unsigned ike_engine_rekey(struct ike_engine *engine, const struct connection *c,
	enum ike_sa_kind kind, ike_watcher watcher);
/* Deletes this engine's SAs of the connection of that kind; what is wanted up is revived. Returns
 * and releases as above. */
unsigned ike_engine_delete(struct ike_engine *engine, const struct connection *c,
	enum ike_sa_kind kind, ike_watcher watcher);
/* The operator no longer wants it up (--down-*, before ike_engine_delete). */
void ike_engine_unwant(struct ike_engine *engine, const struct connection *c);
/* What another engine has told. */
void ike_engine_news(struct ike_engine *engine, const struct ike_news *news);
/* Deletes everything, a bounded number of SAs a call: true when more is left to do. Told peers are
 * not waited for; ike_engine_idle says when all have answered or been given up. */
bool ike_engine_shutdown(struct ike_engine *engine, unsigned limit);
bool ike_engine_idle(const struct ike_engine *engine);
/* Sees to it that nothing new is begun (--unlisten) or is again (--listen). */
void ike_engine_listen(struct ike_engine *engine, bool listening);
/* IKE SAs held, in any state. */
uint64_t ike_engine_sa_count(const struct ike_engine *engine);

/* ---- reports ------------------------------------------------------------ */
struct child_view {
	uint64_t serial;
	const struct connection *connection; /* perhaps another one than the IKE SA's */
	uint32_t in_spi, out_spi;
	const char *state, *story; /* "ESTABLISHED_CHILD_SA", "established Child SA" */
	bool established, newest;
	bool outbound_waits; /* rekeyed by the peer: until it deletes the old one, that one sends */
	enum ipsec_protocol protocol;
	enum ipsec_mode mode;
	bool udp_encapsulation, esn;
	uint16_t in_cpi, out_cpi; /* of IPComp; 0: without */
	uint32_t reqid;
	struct chosen_proposal chosen;
	const struct traffic_selector *local_ts, *remote_ts;
	unsigned local_ts_count, remote_ts_count;
	uint64_t replace_in_s, expire_in_s; /* UINT64_MAX: not scheduled */
};

/* One IKE SA; pointers are valid until the next call into the engine. */
struct ike_sa_view {
	uint64_t serial;
	uint64_t spi_i, spi_r;
	const struct connection *connection;         /* NULL: not yet known (responder) */
	uint32_t instance;                           /* [N]; 0: not an instance */
	const struct identity *local_id, *remote_id; /* as used or received; may be NULL */
	struct ike_path path;
	bool initiator, established, newest, behind_nat, peer_behind_nat;
	const char *state, *story;
	struct chosen_proposal chosen;
	uint64_t replace_in_s, expire_in_s, retransmit_in_s, liveness_in_s,
		timeout_in_s; /* UINT64_MAX: not scheduled */
	bool crypto_pending;  /* waits for a job */
	uint32_t established_ago_s;
	/* Lent by us to the peer, or given by it to us (IPv4, IPv6); unset: none. */
	struct ip_address lent[2], given[2];
	const char *peer_dns, *peer_domains, *peer_banner; /* with what we are given; NULL: nothing */
	unsigned child_count;
	struct child_view child; /* the first one; others by ike_engine_child_at */
};

/* A walk over all IKE SAs in order of #N that survives whatever happens between two steps: SAs that
 * come or go in the meantime are shown or not, others exactly once. */
struct ike_walk {
	struct ike_engine *engine;
	struct ike_sa *position; /* the SA that is next; the engine's to keep valid */
	struct ike_walk *next;   /* of all walks under way */
};
void ike_walk_start(struct ike_engine *engine, struct ike_walk *walk);
/* False at the end; the walk is then over. */
bool ike_walk_next(struct ike_walk *walk, struct ike_sa_view *view);
/* Ends a walk early. Harmless on one that is over. */
void ike_walk_end(struct ike_walk *walk);
/* The i-th Child SA of the IKE SA. False: none. */
bool ike_engine_child_at(
	struct ike_engine *engine, uint64_t ike_serial, unsigned i, struct child_view *view);

/* Bytes held, by kind, for reports; each byte in one kind. (Allocators' overhead is in none.) */
struct ike_memory {
	uint64_t ike_sas;      /* the objects; a timer each is inline */
	uint64_t child_sas;    /* the objects, and who shares another's IKE SA */
	uint64_t selectors;    /* of Child SAs that have more than one pair of them */
	uint64_t keys;         /* of IKE SAs */
	uint64_t responses;    /* the last one of each IKE SA, for retransmitted requests */
	uint64_t identities;   /* that SAs have of their own: not those of their connections */
	uint64_t requests;     /* of ours, in flight */
	uint64_t negotiations; /* scratch objects and IKE_SA_INIT messages, until AUTH is done; of CREATE_CHILD_SA */
	uint64_t fragments;    /* of messages that are not complete yet */
	uint64_t configurations; /* what configuration payloads have brought; leases are their pools' */
	uint64_t tables;       /* by SPI, serial, identity, connection ... */
	uint64_t updown;       /* what is noted of routes and scripts of Child SAs */
	uint64_t slack;        /* places in pools that no object takes */
};
struct ike_memory ike_engine_memory(const struct ike_engine *engine);
/* Name and value of each kind in turn: false past the end. */
bool ike_memory_at(
	const struct ike_memory *memory, size_t i, const char **name, uint64_t *value);
static inline void ike_memory_add(struct ike_memory *sum, const struct ike_memory *memory)
{
	uint64_t *to = &sum->ike_sas;
	const uint64_t *from = &memory->ike_sas;

	for (size_t i = 0; i < sizeof(*sum) / sizeof(*to); i++)
		to[i] += from[i];
}
uint64_t ike_memory_total(const struct ike_memory *memory);

#endif
