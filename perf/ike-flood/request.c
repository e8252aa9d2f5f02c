#include "request.h"

#include <arpa/inet.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define IKE_PORT   500
#define KEYS       256 /* as many public values; making one for each request would be the bottleneck */
#define KEY_LEN    32
#define NONCE_LEN  32
#define HASH_LEN   20
#define FIRST_PORT 1024
#define AT_UDP     sizeof(struct iphdr)
#define AT_IKE     (AT_UDP + sizeof(struct udphdr))
#define IKE_HEADER 28
#define TTL        64

static uint8_t public_values[KEYS][KEY_LEN];
/* Where in the datagram they stand. */
static unsigned at_key, at_nonce, at_hash[2];

struct dice dice_new(void)
{
	struct dice d;

	if (getrandom(&d, sizeof(d), 0) != sizeof(d))
		abort();
	d.state[0] |= 1;
	return d;
}

/* xorshift128+ */
uint64_t dice_throw(struct dice *d)
{
	uint64_t a = d->state[0], b = d->state[1];

	d->state[0] = b;
	a ^= a << 23;
	d->state[1] = a ^ b ^ (a >> 18) ^ (b >> 5);
	return d->state[1] + b;
}

static void fill(struct dice *d, uint8_t *at, unsigned len)
{
	for (unsigned i = 0; i < len; i += sizeof(uint64_t)) {
		uint64_t v = dice_throw(d);

		memcpy(at + i, &v, len - i < sizeof(v) ? len - i : sizeof(v));
	}
}

static bool make_public_values(void)
{
	for (unsigned i = 0; i < KEYS; i++) {
		EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "X25519");
		size_t len = KEY_LEN;
		bool ok = key && EVP_PKEY_get_raw_public_key(key, public_values[i], &len);

		EVP_PKEY_free(key);
		if (!ok)
			return false;
	}
	return true;
}

static void put(struct request *r, const void *bytes, unsigned len)
{
	memcpy(r->bytes + r->len, bytes, len);
	r->len += len;
}

/* A payload's generic header and what is fixed of its body; the place behind it, of `room` bytes,
 * is returned. */
static unsigned put_payload(
	struct request *r, uint8_t next, const uint8_t *fixed, unsigned fixed_len, unsigned room)
{
	uint16_t len = htons(4 + fixed_len + room);
	uint8_t head[2] = {next, 0};
	unsigned at;

	put(r, head, sizeof(head));
	put(r, &len, sizeof(len));
	put(r, fixed, fixed_len);
	at = r->len;
	r->len += room;
	return at;
}

static void put_payloads(struct request *r)
{
	enum { SA = 33, KE = 34, NONCE = 40, NOTIFY = 41 };
	/* One proposal: AES-GCM-16 with 128 bits, PRF HMAC-SHA2-256, Curve25519 (RFC 7296, section
	 * 3.3) */
	static const uint8_t proposal[] = {0, 0, 0, 36, 1, 1, 0, 3, /* three transforms */
		3, 0, 0, 12, 1, 0, 0, 20, 0x80, 14, 0, 128,         /* */
		3, 0, 0, 8, 2, 0, 0, 5, 0, 0, 0, 8, 4, 0, 0, 31};
	static const uint8_t group[] = {0, 31, 0, 0};
	static const uint8_t source_ip[] = {0, 0, 0x40, 0x04},
			     destination_ip[] = {0, 0, 0x40, 0x05};

	put_payload(r, KE, proposal, sizeof(proposal), 0);
	at_key = put_payload(r, NONCE, group, sizeof(group), KEY_LEN);
	at_nonce = put_payload(r, NOTIFY, NULL, 0, NONCE_LEN);
	at_hash[0] = put_payload(r, NOTIFY, source_ip, sizeof(source_ip), HASH_LEN);
	at_hash[1] = put_payload(r, 0, destination_ip, sizeof(destination_ip), HASH_LEN);
}

bool request_prepare(struct request *r, struct in_addr to)
{
	static const uint8_t sa = 33, version = 0x20, init = 34, initiator = 0x08;
	struct iphdr ip = {
		.version = 4, .ihl = 5, .ttl = TTL, .protocol = IPPROTO_UDP, .daddr = to.s_addr};
	struct udphdr udp = {.dest = htons(IKE_PORT)};
	uint32_t ike_len;

	if (!make_public_values())
		return false;
	memset(r, 0, sizeof(*r));
	r->len = AT_IKE + 16; /* both SPIs */
	put(r, &sa, 1);
	put(r, &version, 1);
	put(r, &init, 1);
	put(r, &initiator, 1);
	r->len += 4 + 4; /* message ID 0, length */
	put_payloads(r);
	/* The kernel fills in length and checksum of IP. UDP may go without one over IPv4. */
	udp.len = htons(r->len - AT_UDP);
	memcpy(r->bytes, &ip, sizeof(ip));
	memcpy(r->bytes + AT_UDP, &udp, sizeof(udp));
	ike_len = htonl(r->len - AT_IKE);
	memcpy(r->bytes + AT_IKE + IKE_HEADER - 4, &ike_len, sizeof(ike_len));
	return true;
}

void request_vary(struct request *r, struct dice *d, uint32_t prefix, unsigned prefix_len)
{
	uint64_t v = dice_throw(d);
	uint32_t mask = prefix_len ? ~(uint32_t)0 << (32 - prefix_len) : 0;
	uint32_t source = htonl((prefix & mask) | ((uint32_t)v & ~mask));
	uint16_t port = htons(FIRST_PORT + (v >> 32) % (65536 - FIRST_PORT));

	memcpy(r->bytes + offsetof(struct iphdr, saddr), &source, sizeof(source));
	memcpy(r->bytes + AT_UDP, &port, sizeof(port));
	fill(d, r->bytes + AT_IKE, 8);
	r->bytes[AT_IKE] |= 1; /* an SPI is not 0 */
	memcpy(r->bytes + at_key, public_values[v >> 56], KEY_LEN);
	fill(d, r->bytes + at_nonce, NONCE_LEN);
	fill(d, r->bytes + at_hash[0], HASH_LEN);
	fill(d, r->bytes + at_hash[1], HASH_LEN);
}
