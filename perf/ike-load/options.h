/* What the user asks of the load generator. */
#ifndef IKE_LOAD_OPTIONS_H
#define IKE_LOAD_OPTIONS_H

#include "base/address.h"
#include "ike/connection.h"

#define TUNNELS_MAX 10000000u
#define SHARDS_MAX  64u

struct options {
	struct ip_address responder;
	struct ip_subnet sources;    /* the clients' own addresses */
	struct ip_subnet client_net; /* one protected address of it each */
	const char *remote_net;      /* what they all want to reach */
	unsigned tunnels, in_flight, shards;
	double rate; /* tunnels begun a second; 0: as fast as possible */
	enum auth_method auth;
	const char *psk;
	const char *nss_dir, *certificate_name; /* AUTH_METHOD_SIGNATURE */
	uint32_t schemes;
	/* Out of the database, for all threads; main's. */
	struct credentials *credentials;
	struct own_certificate *certificate;
	struct authorities *authorities;
	const char *ike, *esp;  /* proposals, as in ipsec.conf */
	const char *id_pattern; /* "{}" stands for the tunnel's number */
	const char *remote_id;
	unsigned hold_s, dpd_s, rekey_after_s, retransmit_s, timeout_s;
	unsigned socket_buffer;  /* bytes; 0: the system's default */
	unsigned jitter_percent; /* of the clients' first retransmission interval */
	bool take_down, json, ask_address;
};

/* Ends the program, with a message, on what it cannot accept. */
struct options options_parse(int argc, char **argv);

#endif
