/* Connections for tests. */
#ifndef CONNECTION_MAKER_H
#define CONNECTION_MAKER_H

#include "ike/connection.h"

/* `remote` "%any": a template. Identities as in ipsec.conf. Both NULL: the hosts' addresses. */
struct connection *make_connection(const char *name, const char *local, const char *remote,
	const char *local_id, const char *remote_id);
struct ip_address make_address(const char *text);
struct identity *make_identity(const char *text);
/* `names`: separated by blanks. */
void set_aliases(struct connection *c, const char *names);
/* One proposal of one transform. */
struct proposal_list *make_proposals(uint16_t encr);

#endif
