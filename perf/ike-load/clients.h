/* The clients that the generator plays: one connection each, made when it is its turn. */
#ifndef IKE_LOAD_CLIENTS_H
#define IKE_LOAD_CLIENTS_H

#include "ike/secrets.h"
#include "options.h"

/* What the connections of one thread share. */
struct clients {
	const struct options *options;
	struct proposal_list *ike_proposals, *child_proposals;
	struct identity *remote_id;
	struct traffic_selector remote_ts;
};

/* False with a reason in `error`. `options` must outlive it. */
bool clients_init(
	struct clients *clients, const struct options *options, char *error, size_t error_size);
void clients_release(struct clients *clients);
/* The connection of client `i`, with one reference; NULL when memory is out. */
struct connection *client_connection(const struct clients *clients, unsigned i);
/* A store with the one secret of all. NULL when memory is out. */
struct secret_store *clients_secrets(const struct options *options);

#endif
