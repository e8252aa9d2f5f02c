#include "xfrm_message.h"

#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <linux/udp.h>
#include <netlink/attr.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/secret.h"
#include "sequence_limit.h"
#include "xfrm_algorithm.h"
#include "xfrm_binding.h"

/* With ESN the kernel cannot do without the anti-replay service. Where none is asked for, its
 * widest window comes nearest. */
#define ESN_WINDOW    XFRMA_REPLAY_ESN_MAX
#define LEGACY_WINDOW 32         /* packets; wider ones have an attribute of their own */
#define MAPPING_EVERY 1          /* s: not an event a packet, until we have followed the peer */
#define SEQUENCE_LEAP (1u << 20) /* more than can be sent while an SA is moved */

xfrm_address_t xfrm_address_of(const struct ip_address *a)
{
	xfrm_address_t out = {0};

	memcpy(&out, a->bytes, ip_len(a->family));
	return out;
}

struct ip_address xfrm_address_read(const xfrm_address_t *a, uint16_t family)
{
	return ip_from_bytes((uint8_t)family, (const uint8_t *)a);
}

/* In place, and emptied before: the kernel compares selectors as memory, padding and all, and a
 * struct that is assigned may have anything there. */
static void put_selector(struct xfrm_selector *out, const struct selector *s)
{
	memset(out, 0, sizeof(*out));
	out->saddr = xfrm_address_of(&s->source);
	out->daddr = xfrm_address_of(&s->destination);
	out->prefixlen_s = s->source_len;
	out->prefixlen_d = s->destination_len;
	out->sport = htons(s->source_port);
	out->sport_mask = htons(s->source_mask);
	out->dport = htons(s->destination_port);
	out->dport_mask = htons(s->destination_mask);
	out->family = s->family;
	out->proto = s->protocol;
}

static void begin(struct nl_msg *msg, uint16_t type, uint16_t flags)
{
	struct nlmsghdr *h = nlmsg_hdr(msg);

	h->nlmsg_len = NLMSG_HDRLEN;
	h->nlmsg_type = type;
	h->nlmsg_flags = NLM_F_REQUEST | flags;
	h->nlmsg_seq = 0;
	h->nlmsg_pid = 0;
}

/* libnl's only error here is a message that has no room for it. */
static int append(struct nl_msg *msg, void *data, size_t len)
{
	return nlmsg_append(msg, data, len, NLMSG_ALIGNTO) < 0 ? EMSGSIZE : 0;
}

static int put(struct nl_msg *msg, int type, const void *data, size_t len)
{
	return nla_put(msg, type, (int)len, data) < 0 ? EMSGSIZE : 0;
}

void xfrm_message_wipe(struct nl_msg *msg)
{
	struct nlmsghdr *h = nlmsg_hdr(msg);

	secret_wipe((uint8_t *)h + NLMSG_HDRLEN, h->nlmsg_len - NLMSG_HDRLEN);
}

/* ---- SAs ---------------------------------------------------------------------- */

/* The three forms begin alike: name and length of the key in bits, and end with the key. */
static int put_key(struct nl_msg *msg, int type, const char *name, unsigned icv_len,
	const uint8_t *key, unsigned key_len)
{
	union {
		struct xfrm_algo plain;
		struct xfrm_algo_auth icv; /* struct xfrm_algo_aead is the same */
		uint8_t bytes[sizeof(struct xfrm_algo_auth) + IPSEC_KEY_MAX];
	} u;
	size_t head = icv_len ? sizeof(u.icv) : sizeof(u.plain);
	int error;

	if (key_len > IPSEC_KEY_MAX)
		return EINVAL;
	memset(&u, 0, sizeof(u));
	strncpy(u.plain.alg_name, name, sizeof(u.plain.alg_name) - 1);
	u.plain.alg_key_len = key_len * 8;
	if (icv_len)
		u.icv.alg_trunc_len = icv_len * 8;
	memcpy(u.bytes + head, key, key_len);
	error = put(msg, type, u.bytes, head + key_len);
	secret_wipe(&u, sizeof(u));
	return error;
}

static int put_algorithms(struct nl_msg *msg, const struct ipsec_sa *sa)
{
	const struct algorithm *encr = algorithm_by_id(TRANSFORM_ENCR, sa->encr);
	const char *encr_name = xfrm_encryption_name(sa->encr);
	const struct algorithm *integ = algorithm_by_id(TRANSFORM_INTEG, sa->integ);
	const char *integ_name = xfrm_integrity_name(sa->integ);
	int error = 0;

	if (sa->protocol == IPSEC_AH) {
		if (sa->encr || !sa->integ)
			return EINVAL;
		return !integ || !integ_name
			       ? ENOSYS
			       : put_key(msg, XFRMA_ALG_AUTH_TRUNC, integ_name, integ->icv_len,
					 sa->integ_key, sa->integ_key_len);
	}
	if (!encr || !encr_name || (sa->integ && (!integ || !integ_name)))
		return ENOSYS;
	if (encr->aead == (sa->integ != 0)) /* neither both, nor nothing that authenticates */
		return EINVAL;
	if (encr->aead)
		return put_key(msg, XFRMA_ALG_AEAD, encr_name, encr->icv_len, sa->encr_key,
			sa->encr_key_len);
	error = put_key(msg, XFRMA_ALG_AUTH_TRUNC, integ_name, integ->icv_len, sa->integ_key,
		sa->integ_key_len);
	return error ? error
		     : put_key(msg, XFRMA_ALG_CRYPT, encr_name, 0, sa->encr_key, sa->encr_key_len);
}

static struct xfrm_lifetime_cfg limits_of(const struct ipsec_sa *sa)
{
	return (struct xfrm_lifetime_cfg){
		.soft_byte_limit = limit_at_most(sa->limits.soft_bytes, XFRM_INF),
		.hard_byte_limit = limit_at_most(sa->limits.hard_bytes, XFRM_INF),
		.soft_packet_limit =
			limit_at_most(sa->limits.soft_packets, sa->esn ? XFRM_INF : SEQUENCE_SOFT),
		.hard_packet_limit =
			limit_at_most(sa->limits.hard_packets, sa->esn ? XFRM_INF : SEQUENCE_HARD),
		.hard_add_expires_seconds = KERNEL_OURS,
	};
}

static uint8_t mode_of(enum ipsec_mode mode)
{
	static const uint8_t modes[] = {[IPSEC_TUNNEL] = XFRM_MODE_TUNNEL,
		[IPSEC_TRANSPORT] = XFRM_MODE_TRANSPORT,
		[IPSEC_BEET] = XFRM_MODE_BEET};

	return modes[mode];
}

/* A transport SA is held to what it was negotiated for; of a tunnel SA's traffic the policies see
 * to that, since what comes out of a tunnel passes only by a policy. The inner addresses of BEET
 * mode are those of the selector. */
static struct xfrm_selector selector_of(const struct ipsec_sa *sa)
{
	struct xfrm_selector kernels;
	struct selector *list, out;
	unsigned count;

	if (sa->mode == IPSEC_TUNNEL ||
		selectors_of(sa->local_ts, sa->local_ts_count, sa->remote_ts, sa->remote_ts_count,
			SELECTOR_PORT_MASKS, &list, &count) != 0)
		return (struct xfrm_selector){0};
	out = list[0];
	if (sa->mode == IPSEC_BEET && count > 1) { /* one pair is what it is for */
		free(list);
		return (struct xfrm_selector){0};
	}
	if (count > 1) /* the kernel takes one: by addresses, then */
		out = (struct selector){
			.source = sa->local.address,
			.destination = sa->remote.address,
			.source_len = (uint8_t)ip_bits(sa->local.address.family),
			.destination_len = (uint8_t)ip_bits(sa->local.address.family),
			.family = sa->local.address.family,
		};
	free(list);
	if (sa->direction == IPSEC_INBOUND)
		out = selector_reversed(&out);
	put_selector(&kernels, &out);
	return kernels;
}

static uint8_t flags_of(const struct ipsec_sa *sa, const struct xfrm_selector *selector)
{
	/* AH's ICV is padded to 32 bits with IPv4 (RFC 4302, section 2.6); the kernel would to 64.
	 */
	bool align = sa->protocol == IPSEC_AH && sa->remote.address.family == AF_INET;

	return (uint8_t)((align ? XFRM_STATE_ALIGN4 : 0) |
			 (sa->decap_dscp ? XFRM_STATE_DECAP_DSCP : 0) |
			 (sa->no_pmtu_discovery ? XFRM_STATE_NOPMTUDISC : 0) |
			 (sa->esn ? XFRM_STATE_ESN : 0) |
			 (selector->family ? 0 : XFRM_STATE_AF_UNSPEC));
}

static uint32_t window_of(const struct ipsec_sa *sa)
{
	if (sa->direction == IPSEC_OUTBOUND)
		return sa->esn ? 1 : 0;
	if (sa->replay_window > XFRMA_REPLAY_ESN_MAX)
		return XFRMA_REPLAY_ESN_MAX;
	return sa->replay_window || !sa->esn ? sa->replay_window : ESN_WINDOW;
}

static int put_replay(struct nl_msg *msg, uint32_t window)
{
	union {
		struct xfrm_replay_state_esn state;
		uint8_t bytes[sizeof(struct xfrm_replay_state_esn) + XFRMA_REPLAY_ESN_MAX / 8];
	} u;

	memset(&u, 0, sizeof(u));
	u.state.replay_window = window;
	u.state.bmp_len = (window + 31) / 32;
	return put(msg, XFRMA_REPLAY_ESN_VAL, u.bytes,
		sizeof(u.state) + u.state.bmp_len * sizeof(uint32_t));
}

static int put_encapsulation(struct nl_msg *msg, const struct ipsec_sa *sa)
{
	bool outbound = sa->direction == IPSEC_OUTBOUND;
	struct xfrm_encap_tmpl encap = {
		.encap_type = UDP_ENCAP_ESPINUDP,
		.encap_sport = htons(outbound ? sa->local.port : sa->remote.port),
		.encap_dport = htons(outbound ? sa->remote.port : sa->local.port),
	};
	uint32_t every = MAPPING_EVERY;
	int error = put(msg, XFRMA_ENCAP, &encap, sizeof(encap));

	if (!error && !outbound)
		error = put(msg, XFRMA_MTIMER_THRESH, &every, sizeof(every));
	return error;
}

static void place(struct xfrm_usersa_info *info, const struct ipsec_sa *sa)
{
	bool outbound = sa->direction == IPSEC_OUTBOUND;

	info->id.daddr = xfrm_address_of(outbound ? &sa->remote.address : &sa->local.address);
	info->saddr = xfrm_address_of(outbound ? &sa->local.address : &sa->remote.address);
	info->family = sa->remote.address.family;
}

static int put_tfc(struct nl_msg *msg, const struct ipsec_sa *sa)
{
	uint32_t bytes = sa->tfc_padding;

	if (!bytes || sa->direction == IPSEC_INBOUND)
		return 0;
	if (sa->protocol != IPSEC_ESP || sa->mode != IPSEC_TUNNEL || sa->ipcomp_cpi)
		return EINVAL;
	return put(msg, XFRMA_TFCPAD, &bytes, sizeof(bytes));
}

/* 0, or what the kernel would not say so clearly. */
static int check(const struct ipsec_sa *sa, const struct xfrm_selector *selector)
{
	unsigned bits = ip_bits(selector->family == AF_INET ? AF_INET : AF_INET6);

	if (sa->protocol != IPSEC_ESP && sa->protocol != IPSEC_AH)
		return EPROTONOSUPPORT;
	if (sa->local.address.family != sa->remote.address.family || !sa->local.address.family)
		return EAFNOSUPPORT;
	if (sa->protocol == IPSEC_AH && sa->udp_encapsulation)
		return EINVAL;
	if (sa->mode == IPSEC_BEET &&
		(sa->ipcomp_cpi || !selector->family || selector->prefixlen_s != bits ||
			selector->prefixlen_d != bits))
		return EINVAL;
	return 0;
}

int xfrm_put_sa_add(struct nl_msg *msg, const struct ipsec_sa *sa)
{
	uint32_t window = window_of(sa);
	bool wide = sa->esn || window > LEGACY_WINDOW;
	struct xfrm_usersa_info info = {
		.sel = selector_of(sa),
		.id = {.spi = htonl(sa->spi), .proto = (uint8_t)sa->protocol},
		.lft = limits_of(sa),
		.reqid = sa->reqid,
		.mode = sa->ipcomp_cpi ? XFRM_MODE_TRANSPORT : mode_of(sa->mode),
		.replay_window = (uint8_t)(wide ? 0 : window),
	};
	int error = check(sa, &info.sel);

	if (error)
		return error;
	place(&info, sa);
	info.flags = flags_of(sa, &info.sel);
	begin(msg, XFRM_MSG_NEWSA, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL);
	error = append(msg, &info, sizeof(info));
	if (!error)
		error = put_algorithms(msg, sa);
	if (!error && wide)
		error = put_replay(msg, window);
	if (!error)
		error = put_tfc(msg, sa);
	if (!error && sa->udp_encapsulation)
		error = put_encapsulation(msg, sa);
	return error ? error : xfrm_put_sa_binding(msg, sa);
}

int xfrm_put_ipcomp_add(struct nl_msg *msg, const struct ipsec_sa *sa)
{
	struct xfrm_algo deflate = {.alg_name = "deflate"};
	struct ipsec_sa unlimited = *sa;
	struct xfrm_usersa_info info = {
		.sel = selector_of(sa),
		.id = {.spi = htonl(sa->ipcomp_cpi), .proto = IPPROTO_COMP},
		.reqid = sa->reqid,
		.mode = mode_of(sa->mode),
	};
	int error;

	unlimited.limits = (struct ipsec_limits){0};
	unlimited.esn = true; /* it has no sequence numbers that could end */
	info.lft = limits_of(&unlimited);
	place(&info, sa);
	info.flags = flags_of(sa, &info.sel) & (uint8_t) ~(XFRM_STATE_ESN | XFRM_STATE_ALIGN4);
	begin(msg, XFRM_MSG_NEWSA, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL);
	error = append(msg, &info, sizeof(info));
	if (!error)
		error = put(msg, XFRMA_ALG_COMP, &deflate, sizeof(deflate));
	unlimited.offload_device = 0; /* which is ESP's */
	return error ? error : xfrm_put_sa_binding(msg, &unlimited);
}

int xfrm_put_sa_key(struct nl_msg *msg, uint16_t type, const struct xfrm_key *key)
{
	struct xfrm_usersa_id id = {
		.daddr = xfrm_address_of(&key->destination),
		.spi = htonl(key->spi),
		.family = key->destination.family,
		.proto = key->protocol,
	};
	int error;

	/* An SA is its own acknowledgement. */
	begin(msg, type, type == XFRM_MSG_GETSA ? 0 : NLM_F_ACK);
	error = append(msg, &id, sizeof(id));
	return error ? error : xfrm_put_mark(msg, &key->mark);
}

/* ---- moving --------------------------------------------------------------------- */

/* With a lockdown of the kernel keys are told as zeros: an SA must not be made of them. */
static bool key_is_told(struct nlattr **attrs)
{
	static const int kinds[] = {XFRMA_ALG_AEAD, XFRMA_ALG_AUTH_TRUNC, XFRMA_ALG_CRYPT};

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		struct nlattr *a = attrs[kinds[i]];
		size_t head = kinds[i] == XFRMA_ALG_CRYPT ? sizeof(struct xfrm_algo)
							  : sizeof(struct xfrm_algo_auth);
		uint8_t any = 0;

		if (!a || (size_t)nla_len(a) <= head) /* none, or NULL's */
			continue;
		for (size_t k = head; k < (size_t)nla_len(a); k++)
			any |= ((const uint8_t *)nla_data(a))[k];
		if (!any)
			return false;
	}
	return true;
}

static int put_replay_kept(struct nl_msg *msg, struct nlattr **attrs, bool outbound)
{
	union {
		struct xfrm_replay_state_esn state;
		uint8_t bytes[sizeof(struct xfrm_replay_state_esn) + XFRMA_REPLAY_ESN_MAX / 8];
	} esn;
	struct xfrm_replay_state plain;
	struct nlattr *a = attrs[XFRMA_REPLAY_ESN_VAL];
	uint32_t leap = outbound ? SEQUENCE_LEAP : 0;

	if (a && nla_len(a) >= (int)sizeof(esn.state) && nla_len(a) <= (int)sizeof(esn)) {
		memcpy(&esn, nla_data(a), (size_t)nla_len(a));
		esn.state.oseq += leap;
		esn.state.oseq_hi += esn.state.oseq < leap;
		return put(msg, XFRMA_REPLAY_ESN_VAL, esn.bytes, (size_t)nla_len(a));
	}
	a = attrs[XFRMA_REPLAY_VAL];
	if (!a || nla_len(a) < (int)sizeof(plain))
		return EBADMSG;
	memcpy(&plain, nla_data(a), sizeof(plain));
	/* At the end of its numbers it stays there, and sends no more. */
	plain.oseq = plain.oseq > UINT32_MAX - leap ? UINT32_MAX : plain.oseq + leap;
	return put(msg, XFRMA_REPLAY_VAL, &plain, sizeof(plain));
}

int xfrm_put_sa_moved(struct nl_msg *msg, struct nlmsghdr *state, const struct ipsec_sa *moved)
{
	static const int kept[] = {
		XFRMA_ALG_AEAD, XFRMA_ALG_AUTH_TRUNC, XFRMA_ALG_CRYPT, XFRMA_TFCPAD};
	struct nlattr *attrs[XFRMA_MAX + 1];
	struct xfrm_usersa_info info;
	int error;

	if (nlmsg_parse(state, sizeof(info), attrs, XFRMA_MAX, NULL) < 0)
		return EBADMSG;
	if (!key_is_told(attrs))
		return EPERM;
	memcpy(&info, nlmsg_data(state), sizeof(info));
	place(&info, moved);
	begin(msg, XFRM_MSG_NEWSA, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL);
	error = append(msg, &info, sizeof(info));
	for (size_t i = 0; !error && i < sizeof(kept) / sizeof(kept[0]); i++) {
		struct nlattr *a = attrs[kept[i]];

		if (a)
			error = put(msg, kept[i], nla_data(a), (size_t)nla_len(a));
	}
	if (!error)
		error = put(msg, XFRMA_LTIME_VAL, &info.curlft, sizeof(info.curlft));
	if (!error)
		error = put_replay_kept(msg, attrs, moved->direction == IPSEC_OUTBOUND);
	if (!error && moved->udp_encapsulation)
		error = put_encapsulation(msg, moved);
	return error ? error : xfrm_put_binding_kept(msg, attrs);
}

/* ---- policies --------------------------------------------------------------------- */

static void fill_policy(struct xfrm_userpolicy_info *out, uint8_t direction,
	const struct selector *selector, uint32_t priority)
{
	memset(out, 0, sizeof(*out));
	put_selector(&out->sel, selector);
	out->lft.soft_byte_limit = out->lft.hard_byte_limit = XFRM_INF;
	out->lft.soft_packet_limit = out->lft.hard_packet_limit = XFRM_INF;
	out->lft.hard_add_expires_seconds = KERNEL_OURS;
	out->priority = priority;
	out->dir = direction;
	out->action = XFRM_POLICY_ALLOW;
}

static int put_policy_binding(
	struct nl_msg *msg, uint8_t direction, const struct policy_values *v)
{
	int error = xfrm_put_mark(msg, direction == XFRM_POLICY_OUT ? &v->mark_out : &v->mark_in);

	return error ? error : xfrm_put_interface(msg, v->interface_id);
}

/* Inbound the reqid ties a packet to its SA, and it may have come from wherever the SA is now. */
static struct xfrm_user_tmpl template_of(uint8_t direction, const struct policy_values *v,
	uint8_t protocol, enum ipsec_mode mode)
{
	struct xfrm_user_tmpl t = {
		.id = {.proto = protocol},
		.family = v->remote.family ? v->remote.family : v->local.family,
		.reqid = v->reqid,
		.mode = mode_of(mode),
		.aalgos = ~0u,
		.ealgos = ~0u,
		.calgos = ~0u,
	};

	if (direction == XFRM_POLICY_OUT) {
		t.id.daddr = xfrm_address_of(&v->remote);
		t.saddr = xfrm_address_of(&v->local);
	}
	return t;
}

/* In the order in which they are applied to what goes out. Inbound the IPComp SA may be missing:
 * the sender leaves alone what does not become smaller (RFC 3173, section 2.2). */
static int put_templates(struct nl_msg *msg, uint8_t direction, const struct policy_values *v,
	uint16_t selector_family)
{
	uint8_t protocol = v->protocol ? v->protocol : IPSEC_ESP;
	enum ipsec_mode mode = v->mode;
	struct xfrm_user_tmpl t[2];
	unsigned count = 0;

	if (v->ipcomp) {
		t[count] = template_of(direction, v, IPPROTO_COMP, mode);
		t[count++].optional = direction != XFRM_POLICY_OUT;
		mode = IPSEC_TRANSPORT;
	}
	t[count++] = template_of(direction, v, protocol, mode);
	for (unsigned i = 0; i < count; i++)
		if (!t[i].family)
			t[i].family = selector_family;
	return put(msg, XFRMA_TMPL, t, count * sizeof(t[0]));
}

int xfrm_put_policy(struct nl_msg *msg, uint8_t direction, const struct selector *selector,
	const struct policy_values *values)
{
	struct selector s =
		direction == XFRM_POLICY_OUT ? *selector : selector_reversed(selector);
	struct xfrm_userpolicy_info info;
	int error;

	fill_policy(&info, direction, &s, policy_priority(values, selector));
	if (values->action == IPSEC_DISCARD)
		info.action = XFRM_POLICY_BLOCK;
	begin(msg, XFRM_MSG_UPDPOLICY, NLM_F_ACK);
	error = append(msg, &info, sizeof(info));
	if (!error && values->action == IPSEC_PROTECT)
		error = put_templates(msg, direction, values, s.family);
	return error ? error : put_policy_binding(msg, direction, values);
}

int xfrm_put_bypass(struct nl_msg *msg, uint8_t direction, const struct selector *selector)
{
	struct xfrm_userpolicy_info info;

	fill_policy(&info, direction, selector, 1);
	begin(msg, XFRM_MSG_UPDPOLICY, NLM_F_ACK);
	return append(msg, &info, sizeof(info));
}

int xfrm_put_policy_delete(struct nl_msg *msg, uint8_t direction,
	const struct selector *selector, const struct policy_values *values)
{
	struct selector s =
		direction == XFRM_POLICY_OUT ? *selector : selector_reversed(selector);
	struct xfrm_userpolicy_id id;
	int error;

	memset(&id, 0, sizeof(id));
	put_selector(&id.sel, &s);
	id.dir = direction;
	begin(msg, XFRM_MSG_DELPOLICY, NLM_F_ACK);
	error = append(msg, &id, sizeof(id));
	return error ? error : put_policy_binding(msg, direction, values);
}

int xfrm_put_dump(struct nl_msg *msg, uint16_t type)
{
	struct xfrm_userpolicy_id policy = {0};

	begin(msg, type, NLM_F_DUMP);
	/* For SAs the kernel looks for attributes from the first byte on. */
	return type == XFRM_MSG_GETSA ? 0 : append(msg, &policy, sizeof(policy));
}

/* ---- reading ------------------------------------------------------------------------ */

struct xfrm_usersa_info *xfrm_read_sa(struct nlmsghdr *message)
{
	return nlmsg_datalen(message) >= (int)sizeof(struct xfrm_usersa_info) ? nlmsg_data(message)
									      : NULL;
}

struct ipsec_counters xfrm_read_counters(struct nlmsghdr *message)
{
	struct ipsec_counters out = {.idle_ms = UINT64_MAX};
	struct xfrm_usersa_info *info = xfrm_read_sa(message);
	struct nlattr *attrs[XFRMA_MAX + 1], *used;
	uint64_t now = (uint64_t)time(NULL), last;

	if (!info || nlmsg_parse(message, sizeof(*info), attrs, XFRMA_MAX, NULL) < 0)
		return out;
	out.bytes = info->curlft.bytes;
	out.packets = info->curlft.packets;
	out.add_time = info->curlft.add_time;
	out.replayed = info->stats.replay + info->stats.replay_window;
	out.failed_auth = info->stats.integrity_failed;
	used = attrs[XFRMA_LASTUSED];
	if (used && nla_len(used) == sizeof(last)) {
		memcpy(&last, nla_data(used), sizeof(last));
		out.idle_ms = now > last ? (now - last) * 1000 : 0;
	}
	return out;
}
