/* pluto's options: from the command line and from ipsec.conf's "config setup", by one table. */
#ifndef PLUTO_OPTIONS_H
#define PLUTO_OPTIONS_H

#include "base/address.h"
#include "config/keyvalue.h"
#include "shard/shard.h"

#include <stdio.h>

#define OPTION_LIST_MAX  16
#define OPTION_PORTS_MAX 16

struct dataplane_port_option {
	char *device, *twin;
};

struct options {
	bool help, version;
	bool no_fork, stderr_log, log_no_time, log_no_append, debug;
	char *config_file; /* NULL: none was read */
	char *rundir, *secrets_file, *log_file;
	char *nss_dir, *ipsec_dir; /* of certificates; of the NSS database's password */
	bool nss_dir_given;        /* it must be there */
	struct revocation_config revocation; /* its texts are allocated */
	char *control_socket; /* full path */
	char *backend;        /* kernel interface; NULL: not chosen */
	struct dataplane_port_option ports[OPTION_PORTS_MAX];
	unsigned port_count, lcores;
	unsigned shards;
	bool no_steering;
	int nhelpers;
	struct ip_address listen[OPTION_LIST_MAX];
	unsigned listen_count;
	char interfaces[OPTION_LIST_MAX][16];
	unsigned interface_count;
	uint16_t ike_port, nat_port;
	bool unique_ids;
	enum ddos_mode ddos_mode;
	uint64_t ddos_threshold, max_half_open;
	uint32_t keep_alive_s;
	uint32_t shunt_life_s, acquire_expires_s; /* shuntlifetime=, expire-lifetime= */
	unsigned keys_ahead;
	unsigned updown_timeout_ms, updown_children;
	size_t socket_buffer;
	bool interfaces_unmanaged; /* xfrm interfaces are made by others */
	uint16_t fragment_size; /* bytes of an IP datagram; 0: the engine's default */
};

/* All with their defaults. False when memory is out. */
bool options_init(struct options *o);
void options_release(struct options *o);
/* False after the reason was written to `err`; --config is read where it stands, so that the later
 * one wins. */
bool options_parse(struct options *o, int argc, char *const argv[], FILE *err);
/* The parameters of a "config setup". What has no effect yet is said to `err`. */
bool options_apply_setup(struct options *o, const struct keyvalues *setup, FILE *err);
/* What must fit together when all has been read. */
bool options_check(const struct options *o, FILE *err);
void options_usage(FILE *out);
const char *ddos_mode_name(enum ddos_mode mode);
bool ddos_mode_parse(const char *text, enum ddos_mode *mode);

#endif
