#include "sa.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "base/secret.h"

#define OUTER_HOP_LIMIT 64
#define SA_ALIGN        64

enum { IP_PROTOCOL_UDP = 17, IP_PROTOCOL_ESP = 50 };

static bool transform_of(const struct ipsec_sa *request, struct esp_transform *out)
{
	if (request->encr_key_len > IPSEC_KEY_MAX || request->integ_key_len > IPSEC_KEY_MAX)
		return false;
	/* The salt's length hangs on the cipher alone. */
	unsigned salt = request->integ == 0 ? 4 : 0;
	return request->encr_key_len >= salt &&
	       esp_transform_find(request->encr, request->encr_key_len - salt, request->integ, out);
}

static int check_selectors(const struct traffic_selector *ts, unsigned count)
{
	if (count > IPSEC_SELECTORS_MAX || (count > 0 && !ts))
		return EINVAL;
	for (unsigned i = 0; i < count; i++)
		if (ip_bits(ts[i].range.first.family) == 0 ||
			ts[i].range.first.family != ts[i].range.last.family)
			return EINVAL;
	return 0;
}

int sa_check(const struct ipsec_sa *request)
{
	struct esp_transform transform;
	uint8_t family = request->remote.address.family;
	if (request->protocol != IPSEC_ESP || request->mode == IPSEC_BEET || request->ipcomp_cpi ||
		request->tfc_padding)
		return EPROTONOSUPPORT;
	if (request->spi < 256) /* RFC 4303, section 2.1 */
		return EINVAL;
	if (ip_bits(family) == 0 || request->local.address.family != family)
		return EAFNOSUPPORT;
	if (!transform_of(request, &transform))
		return EPROTONOSUPPORT;
	if (request->integ_key_len != transform.integ_key_len)
		return EINVAL;
	if (request->udp_encapsulation && (request->local.port == 0 || request->remote.port == 0))
		return EINVAL;
	if (request->replay_window > REPLAY_WINDOW_MAX)
		return ERANGE;
	if ((request->local_ts_count == 0) != (request->remote_ts_count == 0))
		return EINVAL;
	int error = check_selectors(request->local_ts, request->local_ts_count);
	return error ? error : check_selectors(request->remote_ts, request->remote_ts_count);
}

static void copy_selectors(struct selector *to, const struct traffic_selector *from, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		to[i] = (struct selector){
			.first = ip_key_of_address(&from[i].range.first),
			.last = ip_key_of_address(&from[i].range.last),
			.family = from[i].range.first.family,
			.protocol = from[i].protocol,
			.port_first = from[i].port_first,
			.port_last = from[i].port_last,
		};
}

static size_t round_up(size_t n)
{
	return (n + SA_ALIGN - 1) / SA_ALIGN * SA_ALIGN;
}

struct sa *sa_new(const struct ipsec_sa *request, struct esp_engine *engine)
{
	struct esp_transform transform;
	if (!transform_of(request, &transform))
		return NULL;
	uint32_t window = request->direction == IPSEC_INBOUND ? request->replay_window : 0;
	size_t selectors = (size_t)request->local_ts_count + request->remote_ts_count;
	size_t keys_at = round_up(sizeof(struct sa));
	size_t words_at = keys_at + esp_keys_size(&transform);
	size_t selectors_at = words_at + replay_words(window) * sizeof(uint64_t);
	size_t size = round_up(selectors_at + selectors * sizeof(struct selector));
	struct sa_path *path =
		sa_path_new(&request->local, &request->remote, request->udp_encapsulation);
	uint8_t *memory = aligned_alloc(SA_ALIGN, size);
	if (!path || !memory) {
		free(path);
		free(memory);
		return NULL;
	}
	memset(memory, 0, size);
	struct sa *sa = (struct sa *)(void *)memory;
	sa->size = size;
	sa->path = path;
	sa->esp.transform = transform;
	sa->esp.spi = request->spi;
	sa->esp.esn = request->esn;
	sa->esp.keys = (union esp_keys *)(void *)(memory + keys_at);
	sa->mode = request->mode;
	sa->direction = request->direction;
	sa->id = request->id;
	sa->reqid = request->reqid;
	sa->decap_dscp = request->decap_dscp;
	sa->no_pmtu_discovery = request->no_pmtu_discovery;
	sa->limits = request->limits;
	sa->add_time = (uint64_t)time(NULL);
	sa->local_count = (uint8_t)request->local_ts_count;
	sa->remote_count = (uint8_t)request->remote_ts_count;
	sa->selectors = (struct selector *)(void *)(memory + selectors_at);
	copy_selectors(sa->selectors, request->local_ts, request->local_ts_count);
	copy_selectors(
		sa->selectors + sa->local_count, request->remote_ts, request->remote_ts_count);
	replay_init(&sa->replay, window, (uint64_t *)(void *)(memory + words_at));
	esp_keys_expand(engine, &sa->esp, request->encr_key, request->integ_key);
	return sa;
}

void sa_free(struct sa *sa)
{
	free(sa->path);
	secret_wipe(sa, sa->size);
	free(sa);
}

static void put16(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

struct sa_path *sa_path_new(
	const struct ip_endpoint *local, const struct ip_endpoint *remote, bool udp_encapsulation)
{
	struct sa_path *path = calloc(1, sizeof(*path));
	if (!path)
		return NULL;
	uint8_t *h = path->header, protocol = udp_encapsulation ? IP_PROTOCOL_UDP : IP_PROTOCOL_ESP;
	path->family = remote->address.family;
	path->local = ip_key_of_address(&local->address);
	path->remote = ip_key_of_address(&remote->address);
	path->udp_encapsulation = udp_encapsulation;
	path->local_port = local->port;
	path->remote_port = remote->port;
	if (path->family == AF_INET) {
		h[0] = 0x45;
		h[8] = OUTER_HOP_LIMIT;
		h[9] = protocol;
		memcpy(h + 12, local->address.bytes, 4);
		memcpy(h + 16, remote->address.bytes, 4);
		path->header_len = 20;
	} else {
		h[0] = 0x60;
		h[6] = protocol;
		h[7] = OUTER_HOP_LIMIT;
		memcpy(h + 8, local->address.bytes, 16);
		memcpy(h + 24, remote->address.bytes, 16);
		path->header_len = 40;
	}
	if (udp_encapsulation) {
		put16(h + path->header_len, local->port);
		put16(h + path->header_len + 2, remote->port);
		path->header_len = (uint8_t)(path->header_len + 8);
	}
	return path;
}

void sa_path_release(struct retired *retired)
{
	free((char *)retired - offsetof(struct sa_path, retired));
}

static uint64_t read_counter(const uint64_t *at)
{
	return __atomic_load_n(at, __ATOMIC_RELAXED);
}

struct ipsec_counters sa_counters_read(const struct sa *sa, uint64_t now_ms)
{
	const struct sa_counters *c = &sa->counters;
	uint64_t used = read_counter(&c->used_ms);
	return (struct ipsec_counters){
		.bytes = read_counter(&c->bytes),
		.packets = read_counter(&c->packets),
		.replayed = read_counter(&c->replayed),
		.failed_auth = read_counter(&c->failed_auth),
		.bad_selector = read_counter(&c->bad_selector),
		.add_time = sa->add_time,
		.idle_ms = used == 0       ? UINT64_MAX
			   : now_ms > used ? now_ms - used
					   : 0,
	};
}

static bool selector_has(const struct selector *s, const struct flow *flow,
	const struct ip_key *address, uint16_t port)
{
	if (s->family != flow->family || !ip_key_within(address, &s->first, &s->last))
		return false;
	if (s->protocol && s->protocol != flow->protocol)
		return false;
	if (s->port_first == 0 && s->port_last == 0xffff)
		return true;
	if (s->port_first > s->port_last) /* OPAQUE */
		return !flow->has_ports;
	return flow->has_ports && s->port_first <= port && port <= s->port_last;
}

bool sa_selects(const struct sa *sa, const struct flow *flow, enum ipsec_direction direction)
{
	bool out = direction == IPSEC_OUTBOUND;
	const struct selector *local = sa->selectors, *remote = local + sa->local_count;
	if (sa->local_count == 0)
		return true;
	for (unsigned i = 0; i < sa->local_count; i++) {
		if (!selector_has(&local[i], flow, out ? &flow->src : &flow->dst,
			    out ? flow->src_port : flow->dst_port))
			continue;
		for (unsigned j = 0; j < sa->remote_count; j++)
			if (selector_has(&remote[j], flow, out ? &flow->dst : &flow->src,
				    out ? flow->dst_port : flow->src_port))
				return true;
	}
	return false;
}
