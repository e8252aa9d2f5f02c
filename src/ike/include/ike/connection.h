/* A connection: what the operator allows and asks for between two ends, compiled for the engine.
 * Immutable once it is in a catalogue, shared by reference count; a changed connection is a new
 * object. */
#ifndef IKE_CONNECTION_H
#define IKE_CONNECTION_H

#include "base/ipsec.h"
#include "crypto/credentials.h"
#include "ike/address_pool.h"
#include "ike/binding.h"
#include "ike/identity.h"
#include "ike/proposal.h"
#include "ike/routing.h"

enum auth_method {
	AUTH_METHOD_SECRET,    /* shared key message integrity code (RFC 7296, section 2.15) */
	AUTH_METHOD_NULL,      /* RFC 7619 */
	AUTH_METHOD_NEVER,     /* shunt-only connections */
	AUTH_METHOD_SIGNATURE, /* by certificates: RFC 7427, RFC 4754, RFC 7296's method 1 */
};

enum send_certificate {
	SEND_CERTIFICATE_ALWAYS,
	SEND_CERTIFICATE_IF_ASKED,
	SEND_CERTIFICATE_NEVER
};
enum send_authorities { SEND_AUTHORITIES_ALL, SEND_AUTHORITIES_ISSUER, SEND_AUTHORITIES_NONE };

struct connection_end {
	struct ip_address host; /* unset: %any (a template, if it is the remote end) */
	uint16_t ike_port;      /* 0: the default, 500 */
	struct identity *id;    /* never NULL; ID_ANY for %any */
	enum auth_method auth;
	uint32_t schemes; /* AUTH_METHOD_SIGNATURE: SCHEME_BITs that are allowed */
	struct own_certificate *certificate; /* ours, or one that the peer need not send; or NULL */
	enum send_certificate send_certificate;
	struct identity *authority;         /* a name that must be in this end's chain; NULL: any */
	struct traffic_selector *selectors; /* count 0: the host itself */
	unsigned selector_count;
	/* nexthop unset: as the host's routes say */
	struct ip_address nexthop, source_ip;
	/* Out of which this end gets its address (IPv4, IPv6); or NULL. The remote end's are lent by
	 * us. */
	struct address_pool *pools[2];
	bool modecfg_server, modecfg_client; /* gives addresses by configuration payloads; asks */
	char *updown; /* the end's script, for /bin/sh; NULL: none, see updown_none */
	bool updown_none; /* neither a script nor routes (%disabled) */
};

/* What we tell clients beside their addresses. Immutable, shared by reference count. */
#define MODECFG_DNS_MAX 8
struct modecfg_offer {
	uint32_t references; /* atomic */
	unsigned dns_count;
	struct ip_address dns[MODECFG_DNS_MAX];
	char *domains; /* with blanks between; NULL: none */
	char *banner;  /* NULL: none */
};
struct modecfg_offer *modecfg_offer_ref(struct modecfg_offer *offer); /* NULL is allowed */
void modecfg_offer_unref(struct modecfg_offer *offer);                /* NULL is allowed */

enum yes_no_auto { CHOICE_NO, CHOICE_YES, CHOICE_AUTO };

struct connection {
	uint32_t references; /* atomic */
	uint64_t serial;     /* $N */
	char *name;
	char **aliases; /* NULL-terminated, or NULL */
	bool oriented;  /* one end is us; else local is simply "left" */
	bool local_is_left;
	struct connection_end local, remote;
	bool ikev1; /* IKEv1 instead of IKEv2; none of it is implemented yet */
	enum ipsec_protocol protocol;
	enum ipsec_mode mode;
	enum ipsec_policy_action shunt; /* IPSEC_PROTECT: not a shunt */
	/* Of a routed connection's traffic after a negotiation has failed; IPSEC_PROTECT: nothing
	 * else than before. */
	enum ipsec_policy_action failure_shunt;
	bool negotiation_pass; /* ... and while it negotiates: in clear, instead of waiting for the
				  SA */
	bool keep; /* up once the peer has brought it up, it is to stay up (auto=keep) */
	struct proposal_list *ike_proposals, *child_proposals;
	uint32_t reqid; /* of a template: each instance gets its own */
	uint32_t ike_life_s, child_life_s, rekey_margin_s;
	uint16_t rekey_fuzz_percent;
	bool rekey;  /* false: --dontrekey */
	bool reauth; /* the IKE SA is renewed by a new one, with authentication */
	uint32_t retransmit_interval_ms, retransmit_timeout_s;
	uint32_t dpd_delay_s;  /* 0: no liveness checks of ours */
	uint32_t keying_tries; /* 0: for ever */
	uint32_t replay_window;
	struct ipsec_limits limits;
	enum yes_no_auto encapsulation;
	bool narrowing, initial_contact, nat_keepalive, pfs;
	bool fragmentation; /* of IKE messages (RFC 7383), if the peer can */
	bool decap_dscp, no_pmtu_discovery;
	bool compress;        /* IPComp (RFC 7296, section 2.22), if the peer can */
	bool refuse_tfc;      /* the peer is told not to pad: ESP_TFC_PADDING_NOT_SUPPORTED */
	uint16_t tfc_padding; /* bytes, as in struct ipsec_sa */
	uint32_t priority;
	uint32_t metric, mtu; /* of routes; 0: the system's */
	bool nm_configured;   /* told to the script */
	enum send_authorities send_authorities; /* with our certificate: intermediate ones */
	struct authorities *authorities; /* that we ask the peer to be certified by; or NULL */
	struct modecfg_offer *modecfg; /* NULL: nothing */
	bool modecfg_pull, ignore_peer_dns, dont_share_lease;
	char *ike_text, *esp_text; /* ike=, and esp= or ah=, as given; NULL: not given */
	uint32_t instances;        /* atomic: [N] of the newest instance of a template */
	struct connection_binding *binding; /* NULL: to nothing */
	uint32_t offload_device;            /* index of the local end's interface, if it is to do ESP; else 0 */
	struct routing *routing;   /* never NULL; shared with the copies of the connection */
};

/* Zeroed, one reference, with a name; the rest is the compiler's (src/pluto) to fill. */
struct connection *connection_new(const char *name);
struct connection *connection_ref(const struct connection *c);
/* The last one frees all that the connection points to. */
void connection_unref(const struct connection *c);
/* What it takes, with all that it points to but the proposal lists, which many share. */
size_t connection_bytes(const struct connection *c);
static inline bool connection_is_template(const struct connection *c)
{
	return ip_is_unset(&c->remote.host);
}

#endif
