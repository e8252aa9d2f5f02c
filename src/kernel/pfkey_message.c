#include "pfkey_message.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "base/secret.h"
#include "pfkey_algorithm.h"
#include "sequence_limit.h"

#define UNIT         8 /* lengths are told in these, and each part fills whole ones */
#define PROTOCOL_ANY 255

/* ---- building -------------------------------------------------------------------- */

static struct writer begin(struct pfkey_message *m, uint8_t type, uint8_t satype)
{
	struct sadb_msg head = {
		.sadb_msg_version = PF_KEY_V2, .sadb_msg_type = type, .sadb_msg_satype = satype};
	struct writer w = writer_of(m->bytes, sizeof(m->bytes));

	write_copy(&w, &head, sizeof(head));
	return w;
}

static int end(struct pfkey_message *m, const struct writer *w)
{
	uint16_t units = (uint16_t)(writer_len(w) / UNIT);

	if (w->failed)
		return EMSGSIZE;
	m->len = writer_len(w);
	memcpy(m->bytes + offsetof(struct sadb_msg, sadb_msg_len), &units, sizeof(units));
	return 0;
}

void pfkey_message_number(uint8_t *message, uint32_t sequence, uint32_t pid)
{
	memcpy(message + offsetof(struct sadb_msg, sadb_msg_seq), &sequence, sizeof(sequence));
	memcpy(message + offsetof(struct sadb_msg, sadb_msg_pid), &pid, sizeof(pid));
}

void pfkey_message_wipe(struct pfkey_message *m)
{
	secret_wipe(m->bytes, m->len);
	m->len = 0;
}

static void pad(struct writer *w)
{
	write_zeros(w, (UNIT - writer_len(w) % UNIT) % UNIT);
}

/* Of an extension with `len` bytes. */
static uint16_t units(size_t len)
{
	return (uint16_t)((len + UNIT - 1) / UNIT);
}

static size_t sockaddr_size(uint8_t family)
{
	return family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
}

static void put_sockaddr(struct writer *w, const struct ip_address *address, uint16_t port)
{
	struct ip_endpoint e = {*address, port};
	struct sockaddr_storage storage;
	socklen_t len = ip_to_sockaddr(&e, &storage);

	pfkey_set_sockaddr_len((struct sockaddr *)&storage, len);
	write_copy(w, &storage, len);
}

static void put_address(struct writer *w, uint16_t type, const struct ip_address *address,
	uint8_t prefix_len, uint8_t protocol, uint16_t port)
{
	struct sadb_address a = {
		.sadb_address_len = units(sizeof(a) + sockaddr_size(address->family)),
		.sadb_address_exttype = type,
		.sadb_address_proto = protocol,
		.sadb_address_prefixlen = prefix_len,
	};

	write_copy(w, &a, sizeof(a));
	put_sockaddr(w, address, port);
	pad(w);
}

static void put_host(struct writer *w, uint16_t type, const struct ip_address *address)
{
	put_address(w, type, address, (uint8_t)ip_bits(address->family), 0, 0);
}

static void put_lifetime(struct writer *w, uint16_t type, uint64_t packets, uint64_t bytes)
{
	struct sadb_lifetime l = {
		.sadb_lifetime_len = units(sizeof(l)),
		.sadb_lifetime_exttype = type,
		.sadb_lifetime_allocations = (uint32_t)packets,
		.sadb_lifetime_bytes = bytes,
		.sadb_lifetime_addtime = type == SADB_EXT_LIFETIME_HARD ? KERNEL_OURS : 0,
	};

	write_copy(w, &l, sizeof(l));
}

/* ---- SAs -------------------------------------------------------------------------- */

static uint8_t mode_of(uint8_t mode)
{
	return mode == IPSEC_TUNNEL ? IPSEC_MODE_TUNNEL : IPSEC_MODE_TRANSPORT;
}

static void put_key(struct writer *w, uint16_t type, const uint8_t *key, uint16_t len)
{
	struct sadb_key k = {
		.sadb_key_len = units(sizeof(k) + len),
		.sadb_key_exttype = type,
		.sadb_key_bits = (uint16_t)(len * 8),
	};

	write_copy(w, &k, sizeof(k));
	write_copy(w, key, len);
	pad(w);
}

static void put_mode(struct writer *w, uint8_t mode, uint32_t reqid)
{
	struct sadb_x_sa2 x = {
		.sadb_x_sa2_len = units(sizeof(x)),
		.sadb_x_sa2_exttype = SADB_X_EXT_SA2,
		.sadb_x_sa2_mode = mode_of(mode),
		.sadb_x_sa2_reqid = reqid,
	};

	write_copy(w, &x, sizeof(x));
}

static void put_port(struct writer *w, uint16_t type, uint16_t port)
{
	struct sadb_x_nat_t_port p = {
		.sadb_x_nat_t_port_len = units(sizeof(p)),
		.sadb_x_nat_t_port_exttype = type,
		.sadb_x_nat_t_port_port = htons(port),
	};

	write_copy(w, &p, sizeof(p));
}

static void put_encapsulation(struct writer *w, uint16_t source_port, uint16_t destination_port)
{
	struct sadb_x_nat_t_type t = {
		.sadb_x_nat_t_type_len = units(sizeof(t)),
		.sadb_x_nat_t_type_exttype = SADB_X_EXT_NAT_T_TYPE,
		.sadb_x_nat_t_type_type = UDP_ENCAP_ESPINUDP,
	};

	write_copy(w, &t, sizeof(t));
	put_port(w, SADB_X_EXT_NAT_T_SPORT, source_port);
	put_port(w, SADB_X_EXT_NAT_T_DPORT, destination_port);
}

static void put_limits(struct writer *w, const struct ipsec_limits *limits)
{
	put_lifetime(w, SADB_EXT_LIFETIME_HARD, limit_at_most(limits->hard_packets, SEQUENCE_HARD),
		limits->hard_bytes);
	put_lifetime(w, SADB_EXT_LIFETIME_SOFT, limit_at_most(limits->soft_packets, SEQUENCE_SOFT),
		limits->soft_bytes);
}

static void put_sa(struct writer *w, const struct ipsec_sa *sa)
{
	uint32_t window = sa->direction == IPSEC_OUTBOUND ? 0 : sa->replay_window;
	struct sadb_sa s = {
		.sadb_sa_len = units(sizeof(s)),
		.sadb_sa_exttype = SADB_EXT_SA,
		.sadb_sa_spi = htonl(sa->spi),
		.sadb_sa_replay = (uint8_t)PFKEY_WINDOW_SAID(
			window < PFKEY_WINDOW_MAX ? window : PFKEY_WINDOW_MAX),
		.sadb_sa_state = SADB_SASTATE_MATURE,
		.sadb_sa_auth = pfkey_integrity_number(sa->integ),
		.sadb_sa_encrypt = pfkey_encryption_number(sa->encr),
		.sadb_sa_flags = (sa->decap_dscp ? PFKEY_FLAG_DECAP_DSCP : 0) |
				 (sa->no_pmtu_discovery ? PFKEY_FLAG_NO_PMTU : 0),
	};

	write_copy(w, &s, sizeof(s));
}

/* The family of what the SA carries; 0: both. */
static uint8_t inner_family(const struct ipsec_sa *sa)
{
	uint8_t family =
		sa->local_ts_count ? sa->local_ts[0].range.first.family : sa->local.address.family;

	for (unsigned i = 1; i < sa->local_ts_count; i++)
		if (sa->local_ts[i].range.first.family != family)
			return 0;
	return family;
}

static int check_algorithms(const struct ipsec_sa *sa)
{
	const struct algorithm *encr = algorithm_by_id(TRANSFORM_ENCR, sa->encr);
	const struct algorithm *integ = algorithm_by_id(TRANSFORM_INTEG, sa->integ);

	if (!encr || !pfkey_encryption_number(sa->encr) ||
		(sa->integ && (!integ || !pfkey_integrity_number(sa->integ))))
		return ENOSYS;
	if (encr->aead == (sa->integ != 0)) /* neither both, nor nothing that authenticates */
		return EINVAL;
	return sa->encr_key_len > IPSEC_KEY_MAX || sa->integ_key_len > IPSEC_KEY_MAX ? EINVAL : 0;
}

static int check_sa(const struct ipsec_sa *sa)
{
	if (sa->protocol != IPSEC_ESP)
		return EPROTONOSUPPORT;
	if (sa->local.address.family != sa->remote.address.family || !sa->local.address.family)
		return EAFNOSUPPORT;
	if (sa->esn || sa->mark.mask || sa->set_mark.mask || sa->interface_id ||
		sa->offload_device || sa->ipcomp_cpi || sa->tfc_padding || (sa->mode != IPSEC_TUNNEL && sa->mode != IPSEC_TRANSPORT) ||
		(sa->decap_dscp && !PFKEY_FLAG_DECAP_DSCP) ||
		(sa->no_pmtu_discovery && !PFKEY_FLAG_NO_PMTU) ||
		(PFKEY_INNER_BY_PROXY && sa->mode == IPSEC_TUNNEL && !inner_family(sa)))
		return EOPNOTSUPP;
	return check_algorithms(sa);
}

int pfkey_put_sa_add(struct pfkey_message *m, const struct ipsec_sa *sa, uint32_t reqid)
{
	bool outbound = sa->direction == IPSEC_OUTBOUND;
	const struct ip_endpoint *source = outbound ? &sa->local : &sa->remote;
	const struct ip_endpoint *destination = outbound ? &sa->remote : &sa->local;
	struct ip_address any = {.family = sa->mode == IPSEC_TUNNEL ? inner_family(sa) : 0};
	int error = check_sa(sa);
	struct writer w;

	if (error)
		return error;
	w = begin(m, SADB_ADD, SADB_SATYPE_ESP);
	put_sa(&w, sa);
	put_limits(&w, &sa->limits);
	put_host(&w, SADB_EXT_ADDRESS_SRC, &source->address);
	put_host(&w, SADB_EXT_ADDRESS_DST, &destination->address);
	if (PFKEY_INNER_BY_PROXY && any.family && any.family != source->address.family)
		put_address(&w, SADB_EXT_ADDRESS_PROXY, &any, 0, 0, 0);
	if (sa->integ)
		put_key(&w, SADB_EXT_KEY_AUTH, sa->integ_key, sa->integ_key_len);
	put_key(&w, SADB_EXT_KEY_ENCRYPT, sa->encr_key, sa->encr_key_len);
	put_mode(&w, (uint8_t)sa->mode, reqid);
	if (sa->udp_encapsulation)
		put_encapsulation(&w, source->port, destination->port);
	return end(m, &w);
}

int pfkey_put_sa_key(struct pfkey_message *m, uint8_t type, const struct pfkey_key *key)
{
	struct sadb_sa s = {
		.sadb_sa_len = units(sizeof(s)),
		.sadb_sa_exttype = SADB_EXT_SA,
		.sadb_sa_spi = htonl(key->spi),
	};
	struct writer w = begin(m, type, key->satype);

	write_copy(&w, &s, sizeof(s));
	put_host(&w, SADB_EXT_ADDRESS_SRC, &key->source);
	put_host(&w, SADB_EXT_ADDRESS_DST, &key->destination);
	return end(m, &w);
}

/* ---- policies ---------------------------------------------------------------------- */

static uint8_t direction_of(enum policy_way way)
{
	return way == POLICY_OUT  ? IPSEC_DIR_OUTBOUND
	       : way == POLICY_IN ? IPSEC_DIR_INBOUND
				  : PFKEY_DIR_FORWARD;
}

static void put_selector(struct writer *w, const struct selector *s)
{
	uint8_t protocol = s->protocol ? s->protocol : PROTOCOL_ANY;

	put_address(w, SADB_EXT_ADDRESS_SRC, &s->source, s->source_len, protocol, s->source_port);
	put_address(w, SADB_EXT_ADDRESS_DST, &s->destination, s->destination_len, protocol,
		s->destination_port);
}

/* The one SA that a packet under this policy comes out of or goes into. */
static void put_request(struct writer *w, enum policy_way way, uint8_t family,
	const struct policy_values *v, uint32_t reqid)
{
	uint8_t outer = v->remote.family ? v->remote.family : family;
	struct ip_address none = {.family = outer};
	const struct ip_address *local = v->local.family == outer ? &v->local : &none;
	const struct ip_address *remote = v->remote.family ? &v->remote : &none;
	bool tunnel = v->mode == IPSEC_TUNNEL;
	struct sadb_x_ipsecrequest r = {
		/* in bytes, this one */
		.sadb_x_ipsecrequest_len =
			(uint16_t)(sizeof(r) + (tunnel ? 2 * sockaddr_size(outer) : 0)),
		.sadb_x_ipsecrequest_proto = IPPROTO_ESP,
		.sadb_x_ipsecrequest_mode = mode_of(v->mode),
		.sadb_x_ipsecrequest_level = IPSEC_LEVEL_UNIQUE,
	};

	/* its width differs */
	r.sadb_x_ipsecrequest_reqid = (__typeof__(r.sadb_x_ipsecrequest_reqid))reqid;
	write_copy(w, &r, sizeof(r));
	if (!tunnel)
		return;
	put_sockaddr(w, way == POLICY_OUT ? local : remote, 0);
	put_sockaddr(w, way == POLICY_OUT ? remote : local, 0);
}

static size_t begin_policy(
	struct writer *w, uint16_t type, enum policy_way way, uint32_t id, uint32_t priority)
{
	struct sadb_x_policy p = {
		.sadb_x_policy_len = units(sizeof(p)),
		.sadb_x_policy_exttype = SADB_X_EXT_POLICY,
		.sadb_x_policy_type = type,
		.sadb_x_policy_dir = direction_of(way),
		.sadb_x_policy_id = id,
	};
	size_t at = writer_len(w);

	pfkey_policy_set_priority(&p, priority);
	write_copy(w, &p, sizeof(p));
	return at;
}

/* Its length, with the requests that follow. */
static void end_policy(struct pfkey_message *m, struct writer *w, size_t at)
{
	uint16_t len;

	pad(w);
	len = units(writer_len(w) - at);
	if (!w->failed)
		memcpy(m->bytes + at + offsetof(struct sadb_x_policy, sadb_x_policy_len), &len,
			sizeof(len));
}

static uint16_t type_of(const struct policy_values *v)
{
	return v->action == IPSEC_PROTECT  ? IPSEC_POLICY_IPSEC
	       : v->action == IPSEC_BYPASS ? IPSEC_POLICY_NONE
					   : IPSEC_POLICY_DISCARD;
}

int pfkey_put_policy(struct pfkey_message *m, enum policy_way way, const struct selector *selector,
	const struct policy_values *values, uint32_t reqid)
{
	struct selector s = way == POLICY_OUT ? *selector : selector_reversed(selector);
	struct writer w =
		begin(m, values ? SADB_X_SPDUPDATE : SADB_X_SPDDELETE, SADB_SATYPE_UNSPEC);
	size_t at;

	put_selector(&w, &s);
	if (!values) {
		begin_policy(&w, IPSEC_POLICY_NONE, way, 0, 0);
		return end(m, &w);
	}
	put_lifetime(&w, SADB_EXT_LIFETIME_HARD, 0, 0);
	at = begin_policy(&w, type_of(values), way, 0, policy_priority(values, selector));
	if (values->action == IPSEC_PROTECT)
		put_request(&w, way, s.family, values, reqid);
	end_policy(m, &w, at);
	return end(m, &w);
}

int pfkey_put_bypass(struct pfkey_message *m, enum policy_way way, const struct selector *selector)
{
	struct writer w = begin(m, SADB_X_SPDUPDATE, SADB_SATYPE_UNSPEC);

	put_selector(&w, selector);
	put_lifetime(&w, SADB_EXT_LIFETIME_HARD, 0, 0);
	begin_policy(&w, IPSEC_POLICY_NONE, way, 0, 1);
	return end(m, &w);
}

static int put_policy_id(struct pfkey_message *m, uint8_t type, uint32_t id)
{
	struct writer w = begin(m, type, SADB_SATYPE_UNSPEC);

	begin_policy(&w, IPSEC_POLICY_NONE, POLICY_OUT, id, 0);
	return end(m, &w);
}

int pfkey_put_policy_get(struct pfkey_message *m, uint32_t id)
{
	return put_policy_id(m, SADB_X_SPDGET, id);
}

int pfkey_put_policy_remove(struct pfkey_message *m, uint32_t id)
{
	return put_policy_id(m, SADB_X_SPDDELETE2, id);
}

int pfkey_put_plain(struct pfkey_message *m, uint8_t type, uint8_t satype)
{
	struct writer w = begin(m, type, satype);

	return end(m, &w);
}

/* ---- reading ------------------------------------------------------------------------ */

/* The next extension of what is left, its head included. False at the end; then `*left` is empty
 * unless what is there is no extension. */
static bool next_extension(struct bytes *left, uint16_t *type, struct bytes *out)
{
	struct sadb_ext head;
	size_t len;

	if (left->len < sizeof(head))
		return false;
	memcpy(&head, left->data, sizeof(head));
	len = (size_t)head.sadb_ext_len * UNIT;
	if (len == 0 || len > left->len)
		return false;
	*type = head.sadb_ext_type;
	*out = bytes_of(left->data, len);
	*left = bytes_of(left->data + len, left->len - len);
	return true;
}

/* Copies the head of an extension; false: too short. */
static bool take(struct bytes ext, void *out, size_t size)
{
	if (ext.len < size)
		return false;
	memcpy(out, ext.data, size);
	return true;
}

static bool read_sockaddr(struct bytes bytes, struct ip_endpoint *out)
{
	struct sockaddr_storage storage = {0};

	if (bytes.len < offsetof(struct sockaddr, sa_data))
		return false;
	memcpy(&storage, bytes.data, bytes.len < sizeof(storage) ? bytes.len : sizeof(storage));
	return ip_from_sockaddr((struct sockaddr *)&storage,
		(socklen_t)(bytes.len < sizeof(storage) ? bytes.len : sizeof(storage)), out);
}

static bool read_address(struct bytes ext, struct pfkey_address *out)
{
	struct ip_endpoint e;
	struct sadb_address a;

	if (!take(ext, &a, sizeof(a)) ||
		!read_sockaddr(bytes_of(ext.data + sizeof(a), ext.len - sizeof(a)), &e) ||
		a.sadb_address_prefixlen > ip_bits(e.address.family))
		return false;
	*out = (struct pfkey_address){
		.address = e.address,
		.port = e.port,
		.protocol = a.sadb_address_proto == PROTOCOL_ANY ? 0 : a.sadb_address_proto,
		.prefix_len = a.sadb_address_prefixlen,
	};
	return true;
}

static bool read_port(struct bytes ext, uint16_t *out)
{
	struct sadb_x_nat_t_port p;

	if (!take(ext, &p, sizeof(p)))
		return false;
	*out = ntohs(p.sadb_x_nat_t_port_port);
	return true;
}

static bool read_policy(struct bytes ext, struct pfkey_told *out)
{
	struct sadb_x_ipsecrequest request;

	if (!take(ext, &out->policy, sizeof(out->policy)))
		return false;
	out->has_policy = true;
	ext = bytes_of(ext.data + sizeof(out->policy), ext.len - sizeof(out->policy));
	if (take(ext, &request, sizeof(request)))
		out->reqid = request.sadb_x_ipsecrequest_reqid;
	return true;
}

static bool read_algorithms(struct bytes ext, struct bytes *out)
{
	if (ext.len < sizeof(struct sadb_supported))
		return false;
	*out = bytes_of(
		ext.data + sizeof(struct sadb_supported), ext.len - sizeof(struct sadb_supported));
	return true;
}

static bool read_sa(struct bytes ext, struct pfkey_told *out)
{
	struct sadb_sa sa;

	out->has_sa = take(ext, &sa, sizeof(sa));
	if (out->has_sa)
		out->spi = ntohl(sa.sadb_sa_spi);
	return out->has_sa;
}

static bool read_sa2(struct bytes ext, struct pfkey_told *out)
{
	struct sadb_x_sa2 sa2;

	out->has_sa2 = take(ext, &sa2, sizeof(sa2));
	if (out->has_sa2)
		out->reqid = sa2.sadb_x_sa2_reqid;
	return out->has_sa2;
}

/* What is not needed here, or not known, is passed over. */
static bool read_extension(uint16_t type, struct bytes ext, struct pfkey_told *out)
{
	switch (type) {
	case SADB_EXT_SA:
		return read_sa(ext, out);
	case SADB_EXT_LIFETIME_CURRENT:
		return out->has_current = take(ext, &out->current, sizeof(out->current));
	case SADB_EXT_LIFETIME_HARD:
		return out->has_hard = take(ext, &out->hard, sizeof(out->hard));
	case SADB_EXT_LIFETIME_SOFT:
		return out->has_soft = take(ext, &out->soft, sizeof(out->soft));
	case SADB_EXT_ADDRESS_SRC:
		return read_address(ext, &out->source);
	case SADB_EXT_ADDRESS_DST:
		return read_address(ext, &out->destination);
	case SADB_X_EXT_SA2:
		return read_sa2(ext, out);
	case SADB_X_EXT_POLICY:
		return read_policy(ext, out);
	case SADB_X_EXT_NAT_T_SPORT:
		return read_port(ext, &out->nat_source_port);
	case SADB_X_EXT_NAT_T_DPORT:
		return read_port(ext, &out->nat_destination_port);
	case SADB_EXT_SUPPORTED_AUTH:
		return read_algorithms(ext, &out->auth_algs);
	case SADB_EXT_SUPPORTED_ENCRYPT:
		return read_algorithms(ext, &out->encr_algs);
	}
	return true;
}

bool pfkey_read(struct bytes message, struct pfkey_told *out)
{
	struct sadb_msg head;
	struct pfkey_told told;
	struct bytes ext;
	uint16_t type;
	size_t len;

	if (!take(message, &head, sizeof(head)) || head.sadb_msg_version != PF_KEY_V2)
		return false;
	*out = (struct pfkey_told){
		.type = head.sadb_msg_type,
		.satype = head.sadb_msg_satype,
		.error = head.sadb_msg_errno,
		.sequence = head.sadb_msg_seq,
		.pid = head.sadb_msg_pid,
	};
	len = (size_t)head.sadb_msg_len * UNIT;
	if (len < sizeof(head) || len > message.len)
		return true;
	told = *out;
	message = bytes_of(message.data + sizeof(head), len - sizeof(head));
	while (next_extension(&message, &type, &ext))
		if (!read_extension(type, ext, &told))
			return true;
	if (message.len > 0)
		return true;
	*out = told;
	out->is_whole = true;
	return true;
}

struct ipsec_counters pfkey_counters(const struct pfkey_told *told)
{
	struct ipsec_counters out = {.idle_ms = UINT64_MAX};

	if (told->has_current) {
		out.bytes = told->current.sadb_lifetime_bytes;
		out.packets = told->current.sadb_lifetime_allocations;
		out.add_time = told->current.sadb_lifetime_addtime;
	}
	return out;
}

bool pfkey_is_ours(const struct pfkey_told *told)
{
	return told->has_hard && told->hard.sadb_lifetime_addtime == KERNEL_OURS;
}

/* ---- what was told, sent back ------------------------------------------------------- */

static bool patch_port(uint8_t *ext, size_t len, uint16_t port)
{
	uint16_t v = htons(port);

	if (len < sizeof(struct sadb_x_nat_t_port))
		return false;
	memcpy(ext + offsetof(struct sadb_x_nat_t_port, sadb_x_nat_t_port_port), &v, sizeof(v));
	return true;
}

int pfkey_put_sa_ports(
	struct pfkey_message *m, struct bytes told, uint16_t source_port, uint16_t destination_port)
{
	unsigned sources = 0, destinations = 0, keys = 0;
	struct bytes left, ext;
	struct sadb_msg head;
	uint16_t type;

	if (told.len > sizeof(m->bytes) || !take(told, &head, sizeof(head)))
		return EMSGSIZE;
	if ((size_t)head.sadb_msg_len * UNIT != told.len)
		return EBADMSG;
	memcpy(m->bytes, told.data, told.len);
	m->len = told.len;
	head.sadb_msg_type = SADB_UPDATE;
	head.sadb_msg_reserved = 0;
	memcpy(m->bytes, &head, sizeof(head));
	left = bytes_of(m->bytes + sizeof(head), m->len - sizeof(head));
	while (next_extension(&left, &type, &ext)) {
		uint8_t *at = m->bytes + (ext.data - m->bytes);

		keys += type == SADB_EXT_KEY_ENCRYPT;
		if (type == SADB_X_EXT_NAT_T_SPORT)
			sources += patch_port(at, ext.len, source_port);
		if (type == SADB_X_EXT_NAT_T_DPORT)
			destinations += patch_port(at, ext.len, destination_port);
	}
	return sources == 1 && destinations == 1 && keys == 1 && left.len == 0 ? 0 : EBADMSG;
}
