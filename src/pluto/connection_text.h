/* How a connection is shown by --status and --connectionstatus: pure functions. */
#ifndef PLUTO_CONNECTION_TEXT_H
#define PLUTO_CONNECTION_TEXT_H

#include "ike/connection.h"
#include "line.h"

struct sa_entry;

/* Enough for 2 x IPSEC_SELECTORS_MAX selectors in a line. */
#define CONNECTION_TEXT_MAX 16384

struct connection_facts {
	const struct sa_entry *sas; /* NULL: it has none */
	const char *interface;      /* of its own address; "" when unknown */
	uint32_t keep_alive_s;
};

/* "10.1.0.0/24===192.0.2.1[@a]...192.0.2.2[@b]===10.2.0.0/24": our end first, or the left one. */
void connection_topology(struct line *line, const struct connection *c);
/* The whole block, a line for each group of facts. */
void connection_block(
	struct line *line, const struct connection *c, const struct connection_facts *facts);

#endif
