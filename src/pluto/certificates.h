/* The NSS database from the daemon's side: opened, read again, listed. Control thread only. */
#ifndef PLUTO_CERTIFICATES_H
#define PLUTO_CERTIFICATES_H

#include <stdbool.h>
#include <stddef.h>

struct client;
struct pluto;

/* False with a reason when it must be there and is not. */
bool certificates_open(struct pluto *p, char *error, size_t size);
/* Reads certificates, keys, trust and CRLs again; connections get them from the next negotiation
 * on. */
void certificates_reread(struct pluto *p, struct client *client);

#endif
