/* IPsec SAs and policies as plain data: what an IKE engine asks for, and what a kernel or a
 * dataplane installs (RFC 4301, section 4.4). Knows nothing of IKE messages. */
#ifndef BASE_IPSEC_H
#define BASE_IPSEC_H

#include "base/address.h"
#include "base/traffic_selector.h"

enum ipsec_protocol { IPSEC_ESP = 50, IPSEC_AH = 51 };
/* BEET (RFC 7402, appendix B): the inner addresses, one of each side and told by the selectors, are
 * not sent. */
enum ipsec_mode { IPSEC_TUNNEL, IPSEC_TRANSPORT, IPSEC_BEET };
enum ipsec_direction { IPSEC_INBOUND, IPSEC_OUTBOUND };

#define IPSEC_KEY_MAX       64 /* one algorithm's key with its salt, bytes */
#define IPSEC_SELECTORS_MAX 16 /* of one side of one SA */

/* 0 in a limit: none. Reaching `soft` sends one expire event, reaching `hard` stops the SA
 * and sends another. */
struct ipsec_limits {
	uint64_t soft_bytes, hard_bytes, soft_packets, hard_packets;
};

/* A packet's mark, as Linux has it: those of its bits that are in `mask`. Mask 0: none. */
struct ipsec_mark {
	uint32_t value, mask;
};

struct ipsec_sa {
	/* The asker's number for the pair, 0: none. A peer may choose one outbound SPI twice: what is
	 * asked of one pair touches no SA of another, whatever its SPI. */
	uint64_t id;
	uint32_t spi; /* host order */
	enum ipsec_direction direction;
	enum ipsec_protocol protocol;
	enum ipsec_mode mode;
	struct ip_endpoint local, remote;     /* ports: of UDP encapsulation, else 0 */
	bool udp_encapsulation;               /* RFC 3948 */
	bool esn;                             /* RFC 4303, section 2.2.1 */
	uint32_t replay_window;               /* packets; 0: no anti-replay service. Inbound only */
	uint16_t encr;                        /* IANA "IKEv2 Transform Type 1" number; 0: AH */
	uint16_t integ;                       /* "Type 3" number; 0 for AEAD and for none */
	uint16_t encr_key_len, integ_key_len; /* bytes; the salt of RFC 4106 etc. is counted in
						 encr_key_len, at its end */
	uint8_t encr_key[IPSEC_KEY_MAX], integ_key[IPSEC_KEY_MAX];
	uint32_t reqid; /* ties SAs to policies */
	struct ipsec_limits limits;
	bool decap_dscp;        /* copy the outer DSCP inwards (off: RFC 4301 5.1.2) */
	bool no_pmtu_discovery; /* clear DF in the outer header whatever the inner says */
	/* The Linux kernel's only. */
	struct ipsec_mark mark;     /* it is for packets that bear this */
	struct ipsec_mark set_mark; /* packets bear this when it has worked on them */
	uint32_t interface_id;      /* of an xfrm interface; 0: none */
	uint32_t offload_device;    /* index of the interface that does ESP; 0: none */
	/* Of the IPComp SA (RFC 3173, DEFLATE) that comes and goes with this one, host order; 0:
	 * none. Not in BEET mode. */
	uint16_t ipcomp_cpi;
	/* Traffic flow confidentiality (RFC 4303, section 2.7): outbound packets are padded to so
	 * many bytes, as far as the path's MTU allows; 0: not. Tunnel mode of ESP without IPComp
	 * only. */
	uint16_t tfc_padding;
	/* What the SA carries; borrowed until the request is submitted, backends copy. */
	const struct traffic_selector *local_ts, *remote_ts;
	unsigned local_ts_count, remote_ts_count;
};

enum ipsec_policy_action {
	IPSEC_PROTECT, /* by the newest outbound SA of `reqid`; dropped while there is none */
	IPSEC_BYPASS,
	IPSEC_DISCARD,
};

/* Covers every pair out of local_ts x remote_ts of one family, both directions. Outbound: as
 * `action` says. Inbound: traffic that did not come out of an SA of `reqid` is dropped under
 * IPSEC_PROTECT. */
struct ipsec_policy {
	uint32_t reqid;
	enum ipsec_policy_action action;
	enum ipsec_mode mode;
	enum ipsec_protocol protocol;    /* of the SAs; 0: ESP */
	bool ipcomp;                     /* theirs is an IPComp SA each */
	uint32_t priority;               /* smaller wins; equal: the more specific wins */
	struct ip_address local, remote; /* tunnel end points; unset for shunts */
	bool trap;                       /* no SA: raise an acquire event, then drop */
	struct ipsec_mark mark_in, mark_out; /* as those of an SA: policies for other marks are others */
	uint32_t interface_id;
	bool hold;  /* with `trap`: packets may wait for the SA instead, where the backend can
		       keep them */
	bool route; /* the connection's own, beside those of its SAs: another policy, though reqid
		       and selectors are equal. Under IPSEC_PROTECT it stands behind theirs */
	const struct traffic_selector *local_ts, *remote_ts;
	unsigned local_ts_count, remote_ts_count;
};

enum ipsec_op {
	IPSEC_SA_ADD,
	IPSEC_SA_DELETE,    /* id, spi, direction, remote, reqid and ipcomp_cpi are read */
	IPSEC_SA_QUERY,     /* likewise; the answer brings the counters */
	IPSEC_SA_QUERY_ALL, /* the counters of all SAs of the asker's that have an id; EOPNOTSUPP: ask for each */
	IPSEC_SA_MOVE,      /* new end points (id, spi, direction, reqid, local, remote, udp_encapsulation,
			       ipcomp_cpi, mode);
			       an error: it carries nothing to or from there, perhaps nothing at all */
	IPSEC_POLICY_ADD,   /* replaces one of equal reqid, selectors and `route` */
	IPSEC_POLICY_DELETE /* by reqid, selectors and `route` */
};

struct ipsec_request {
	enum ipsec_op op;
	uint64_t token; /* the asker's; comes back in the answer */
	union {
		struct ipsec_sa sa;
		struct ipsec_policy policy;
	};
};

struct ipsec_counters {
	uint64_t bytes, packets; /* of plaintext carried */
	uint64_t replayed, failed_auth, bad_selector;
	uint64_t add_time; /* seconds since the epoch */
	uint64_t idle_ms;  /* since the last packet; UINT64_MAX: none yet */
};

struct ipsec_answer {
	enum ipsec_op op;
	uint64_t token;
	int error;                      /* 0 or an errno value */
	struct ipsec_counters counters; /* IPSEC_SA_QUERY, and the last ones on IPSEC_SA_DELETE */
};

/* Of IPSEC_SA_QUERY_ALL, one SA's. */
struct ipsec_counted {
	uint64_t id; /* of the pair */
	enum ipsec_direction direction;
	struct ipsec_counters counters;
};

enum ipsec_event_kind {
	IPSEC_ACQUIRE, /* a packet met a trap: local_ts/remote_ts are its own selectors, reqid the
			  policy's */
	IPSEC_EXPIRE_SOFT, /* spi, direction, reqid */
	IPSEC_EXPIRE_HARD,
	IPSEC_REMOTE_MOVED /* an authenticated packet came from a new `remote` (NAT rebinding) */
};

struct ipsec_event {
	enum ipsec_event_kind kind;
	uint64_t id; /* of the pair, as it was added; 0 with an acquire */
	uint32_t spi, reqid;
	enum ipsec_direction direction;
	struct ip_endpoint remote;
	struct traffic_selector local_ts, remote_ts;
};

#endif
