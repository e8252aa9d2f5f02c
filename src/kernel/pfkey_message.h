/* PF_KEYv2 messages (RFC 2367 and KAME's extensions) as this backend writes and reads them. What is
 * written may hold keys: pfkey_message_wipe. Private to the room. */
#ifndef KERNEL_PFKEY_MESSAGE_H
#define KERNEL_PFKEY_MESSAGE_H

#include "base/bytes.h"
#include "base/ipsec.h"
#include "pfkey_platform.h"
#include "policies.h"

/* Of ours: an SA with two keys and all its addresses, or a policy, takes less. */
#define PFKEY_MESSAGE_MAX 1024
/* Of the kernel's: an acquire lists every pair of its algorithms. */
#define PFKEY_RECEIVE_MAX 16384

struct pfkey_message {
	_Alignas(8) uint8_t bytes[PFKEY_MESSAGE_MAX];
	size_t len;
};

/* The addresses and the number that the kernel files an SA under. */
struct pfkey_key {
	struct ip_address source, destination;
	uint32_t spi;   /* host order */
	uint8_t satype; /* SADB_SATYPE_ESP, ... */
};

/* All return 0 or an errno value. `reqid` is the kernel's (1 .. PFKEY_REQID_MAX). The sequence
 * number is pfkey_message_number's. */
/* ENOTSUP: what PF_KEY has no word for. ENOSYS: no such algorithm. */
int pfkey_put_sa_add(struct pfkey_message *m, const struct ipsec_sa *sa, uint32_t reqid);
/* type: SADB_GET, SADB_DELETE */
int pfkey_put_sa_key(struct pfkey_message *m, uint8_t type, const struct pfkey_key *key);
/* An SA as the kernel told it (SADB_GET), with other ports of UDP encapsulation; keys, counters and
 * sequence numbers stay. EBADMSG: it was told without them. */
int pfkey_put_sa_ports(struct pfkey_message *m, struct bytes told, uint16_t source_port,
	uint16_t destination_port);
/* Adds or replaces; `values` NULL: deletes. `selector` is outbound's whatever the way. Not
 * POLICY_FORWARD where PFKEY_DIR_FORWARD is 0. */
int pfkey_put_policy(struct pfkey_message *m, enum policy_way way, const struct selector *selector,
	const struct policy_values *values, uint32_t reqid);
/* A bypass with the highest priority, selector as it is. */
int pfkey_put_bypass(struct pfkey_message *m, enum policy_way way, const struct selector *selector);
/* SADB_X_SPDGET */
int pfkey_put_policy_get(struct pfkey_message *m, uint32_t id);
/* Removes a policy that was told: SADB_X_SPDDELETE2. */
int pfkey_put_policy_remove(struct pfkey_message *m, uint32_t id);
/* Without extensions: SADB_REGISTER, SADB_DUMP, SADB_X_SPDDUMP. */
int pfkey_put_plain(struct pfkey_message *m, uint8_t type, uint8_t satype);
void pfkey_message_number(uint8_t *message, uint32_t sequence, uint32_t pid);
void pfkey_message_wipe(struct pfkey_message *m);

/* ---- reading -------------------------------------------------------------------------- */

struct pfkey_address {
	struct ip_address address; /* unset: was not told */
	uint16_t port;             /* host order */
	uint8_t protocol;          /* 0: any */
	uint8_t prefix_len;
};

/* One message. What was not told is zero. */
struct pfkey_told {
	uint8_t type, satype;
	uint8_t error; /* errno */
	uint32_t sequence, pid;
	bool is_whole; /* the extensions could be read, all of them; else only the above is set */
	bool has_sa, has_current, has_hard, has_soft, has_sa2, has_policy;
	uint32_t spi; /* host order */
	struct sadb_lifetime current, hard, soft;
	struct pfkey_address source, destination;
	uint32_t reqid; /* of the SA, or of the policy's first request */
	struct sadb_x_policy policy;
	uint16_t nat_source_port, nat_destination_port; /* host order */
	struct bytes auth_algs, encr_algs;              /* arrays of struct sadb_alg; borrowed */
};

/* False: not even the header of a message of this version. */
bool pfkey_read(struct bytes message, struct pfkey_told *out);
struct ipsec_counters pfkey_counters(const struct pfkey_told *told);
/* Is it of this program? KERNEL_OURS */
bool pfkey_is_ours(const struct pfkey_told *told);

#endif
