/* Two gateways, west and east, one connection between them, and an ear on the wire: for tests that
 * look at single messages. */
#ifndef SIMULATOR_FIXTURE_H
#define SIMULATOR_FIXTURE_H

#include "node.h"

#define CAPTURED_MAX 256
#define LINES_MAX    256

struct captured {
	struct ike_path path;
	uint8_t *bytes;
	size_t len;
};

/* What each side is told; NULL and 0 mean the usual. */
struct side_config {
	const char *ike, *esp;
	const char *subnet, *peer_subnet;
	const char *secret;
	bool template_remote, narrowing, transport, no_fragmentation;
	uint16_t fragment_datagram;
	uint32_t dpd_s, life_s, keying_tries, retransmit_timeout_s, margin_s;
	enum yes_no_auto encapsulation;
	bool initial_contact, pfs, reauth, dont_rekey, negotiation_pass, keep;
	enum ipsec_policy_action shunt, failure_shunt;
	uint32_t child_life_s; /* 0: as life_s */
	bool ah, compress, refuse_tfc, no_ipcomp;
	uint16_t tfc;
};

struct fixture {
	struct world *world;
	struct node *west, *east;
	struct connection *west_connection, *east_connection;
	struct captured captured[CAPTURED_MAX];
	unsigned captured_count;
	/* decides the fate of the i-th message sent; NULL: all arrive */
	bool (*drop)(struct fixture *f, unsigned i, const uint8_t *bytes, size_t len);
	char *lines[LINES_MAX]; /* what west's watcher was told */
	int codes[LINES_MAX];
	unsigned line_count;
};

struct fixture *fixture_new(
	const struct side_config *west, const struct side_config *east, bool west_natted);
void fixture_free(struct fixture *f);
/* A further connection between the two, at west or at east, that differs by its name and the third
 * number of its subnets: 10.1.N.0/24 at west, 10.2.N.0/24 at east. The caller's reference. */
struct connection *fixture_add(
	struct fixture *f, const struct side_config *config, bool at_west, unsigned n);
ike_watcher fixture_initiate(struct fixture *f);
/* Lets so much virtual time pass. */
void fixture_pass(struct fixture *f, uint64_t ms);
/* How many captured messages of this exchange the node has sent. */
unsigned fixture_sent_by(const struct fixture *f, const struct node *node, unsigned exchange);
/* As the receiver sees where a message came from. */
struct ike_path fixture_arriving(const struct captured *c);
/* For `drop`: none arrives. */
bool fixture_drop_all(struct fixture *f, unsigned i, const uint8_t *bytes, size_t len);
/* Hands bytes to a node as if they came along the path. */
void fixture_inject(struct node *to, const struct ike_path *path, const uint8_t *bytes, size_t len);
/* Was the watcher told a line that contains this? */
bool fixture_told(const struct fixture *f, const char *part);
/* The last error code among the lines, 0: none. */
int fixture_code(const struct fixture *f);
uint64_t fixture_counter(const struct node *node, const char *key);

#endif
