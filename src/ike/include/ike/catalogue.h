/* The catalogue of connections: written by one thread (the control thread), read by every shard
 * without locks.
 *
 * Readers are liburcu QSBR readers: a host registers each thread that runs an engine with
 * urcu_qsbr_register_thread() and reports quiescent states between engine calls, never within one.
 * The writer is registered like a reader and reports quiescent states (or is offline while it
 * sleeps), else memory is never given back: removed connections are freed behind a grace period by
 * liburcu's call_rcu thread. A daemon forks before it makes a catalogue. What a find function
 * returns carries a reference that the caller drops by connection_unref.
 *
 * Every find is O(1) in the number of connections: hashed by host pair, then by identity. */
#ifndef IKE_CATALOGUE_H
#define IKE_CATALOGUE_H

#include "ike/connection.h"

struct catalogue;

struct catalogue *catalogue_new(void);
/* No reader may be left. */
void catalogue_free(struct catalogue *catalogue);

/* ---- writer only ---- */
/* Takes a reference of its own. A serial of 0 becomes the next one. EEXIST: the name or one of the
 * aliases is a connection's name already. EINVAL: an end has no identity, or another connection has
 * the serial. ENOMEM. Shunts and connections that are not oriented are not found by hosts or
 * identity. */
int catalogue_add(struct catalogue *catalogue, struct connection *c);
/* Atomically puts `c` in the place of the one of the same name (new orientation, reloaded), which
 * it also has in the order of those of equal hosts and identities. ENOENT, and as catalogue_add. */
int catalogue_replace(struct catalogue *catalogue, struct connection *c);
/* ENOENT. The connection lives on while SAs refer to it. */
int catalogue_remove(struct catalogue *catalogue, const char *name);
size_t catalogue_count(const struct catalogue *catalogue);
/* Of the connections (connection_bytes) and the catalogue's entries for them; its hash tables come to
 * that, some 50 bytes a connection. */
size_t catalogue_bytes(const struct catalogue *catalogue);
/* In order of serial: the first whose serial is greater than `after`, referenced; NULL at the
 * end. O(log n) or better, so that a report goes on where it left off after changes. */
struct connection *catalogue_after(const struct catalogue *catalogue, uint64_t after);
/* The i-th connection that has this alias (or this name, as its 0th), referenced; NULL past the
 * end. */
struct connection *catalogue_by_alias(
	const struct catalogue *catalogue, const char *alias, size_t i);

/* ---- any registered reader ---- */
struct connection *catalogue_by_name(const struct catalogue *catalogue, const char *name);
struct connection *catalogue_by_reqid(const struct catalogue *catalogue, uint32_t reqid);

/* Says whether a candidate will do; a find goes on to the next one if not. */
typedef bool catalogue_judge(const struct connection *c, void *arg);

/* For an IKE_SA_INIT request: of the connections between exactly these hosts, then of the templates
 * of `local`, the first that the judge accepts. Connections of one host pair with equal IKE
 * proposals are judged once, so the judge must look at nothing but the IKE proposals and the IKE
 * version. */
struct connection *catalogue_find_by_hosts(const struct catalogue *catalogue,
	const struct ip_address *local, const struct ip_address *remote, catalogue_judge *judge,
	void *arg);
/* For an IKE_AUTH request: by hosts and identities. `local_id` NULL: the peer sent no IDr; else a
 * connection whose local identity is neither this nor %any is no candidate. Order: exact host and
 * exact remote identity; template with exact remote identity; exact host with %any;
 * template with %any. The first that the judge accepts; connections of the same hosts and
 * identities are all judged (they are the ones that differ by their traffic selectors), at most 256
 * of them. */
struct connection *catalogue_find_by_identity(const struct catalogue *catalogue,
	const struct ip_address *local, const struct ip_address *remote,
	const struct identity *local_id, const struct identity *remote_id, catalogue_judge *judge,
	void *arg);

#endif
