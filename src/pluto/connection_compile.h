/* From a connection's description (ipsec.conf keywords as text) to what the engine works by. */
#ifndef PLUTO_CONNECTION_COMPILE_H
#define PLUTO_CONNECTION_COMPILE_H

#include "config/keyvalue.h"
#include "ike/connection.h"

struct kernel;
struct pools;
struct proposal_cache;

#define CONNECTION_NAME_MAX    255 /* bytes; of an alias too */
#define CONNECTION_ALIASES_MAX 64
#define LIFETIME_MAX_S         86400

/* Reqids that an operator may name; ours are above. */
#define REQID_GIVEN_MAX 65535

struct compile_context {
	/* Proposals that it cannot run are left out of the defaults and refused where they are
	 * named. NULL: all are taken. */
	const struct kernel *kernel;
	/* Equal texts share one list. NULL: each connection has its own. */
	struct proposal_cache *proposals;
	/* NULL, or not open: connections that need certificates are refused. */
	struct credentials *credentials;
	/* Equal pools are one. NULL: each connection has its own. */
	struct pools *pools;
	/* Whatever is not done as it was asked, or asked for in vain. May be NULL. */
	void (*warn)(void *arg, const char *text);
	void *arg;
};

/* The connection is not oriented: local is left, remote is right. It has no serial, and a reqid
 * only if it was given. NULL with the reason in `error`. */
struct connection *connection_compile(const char *name, const struct keyvalues *description,
	const struct compile_context *context, char *error, size_t error_size);

struct proposal_cache *proposal_cache_new(void);
void proposal_cache_free(struct proposal_cache *cache);

#endif
