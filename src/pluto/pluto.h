/* The daemon as the control thread sees it: everything that it owns. */
#ifndef PLUTO_PLUTO_H
#define PLUTO_PLUTO_H

#include "client.h"
#include "options.h"
#include "orientation.h"

#include "base/log.h"
#include "ike/catalogue.h"
#include "ike/secrets.h"
#include "kernel/kernel.h"
#include "shard/shard.h"

/* Codes of answer lines that no engine gives (see enum ike_rc). */
#define RC_BAD_MESSAGE ((enum ike_rc)50)

struct dataplane;
struct counters;
struct pools;
struct proposal_cache;
struct tunnel_devices;
struct link_watch;

struct pluto {
	struct options options;
	struct dataplane *dataplane;
	struct kernel *kernel;
	struct updown *updown;
	struct catalogue *catalogue;
	struct secret_vault *vault;
	struct credentials *credentials;
	struct mailbox *mailbox;
	struct shard_set *shards;
	struct clients clients;
	int epoll, signals, socket;
	bool logging;

	bool listening;
	struct listen_address *addresses; /* that the shards' sockets are bound to */
	size_t address_count;
	struct address_set
		ours; /* by these connections are oriented; they stay known when not listening */

	struct link_watch *links;       /* NULL: changes are not heard of */
	uint64_t addresses_due_ms;      /* they have changed, and are read anew then; 0: not */
	uint64_t listen_again_ms;       /* a socket could not be opened: how long until the next attempt; 0: none is missing */
	struct tunnel_devices *devices; /* of connections; NULL: the kernel interface has none */
	uint32_t next_mark;             /* for mark=%unique */
	bool left_state;                /* SAs, policies and devices stay when we end */

	uint64_t last_serial; /* $N of connections */
	uint32_t last_reqid;
	struct proposal_cache *proposals;
	struct pools *pools;
	struct counters *counters;
	char *secrets_list; /* --listpsks: indices of the loaded secrets, one line each */

	ike_watcher shutdown_watcher; /* 0: no shutdown is under way */
	ike_watcher shutdown_asker;   /* the client that asked, or 0 */
	uint64_t shutdown_deadline_ms;
	bool ended; /* leave the loop */
};

uint64_t pluto_now_ms(void);
/* All SAs are deleted, then the loop ends. `client`: who asked and waits, or NULL. */
void pluto_shut_down(struct pluto *p, bool leave_state, struct client *client);

#endif
