/* ipsec.secrets into the vault that the engines read. */
#ifndef PLUTO_SECRETS_H
#define PLUTO_SECRETS_H

struct pluto;
struct client;

/* All or nothing: when the file cannot be read, what was loaded before stays. Says what it does to
 * the log and to `client`, which may be NULL. May wait for a grace period. */
void secrets_load(struct pluto *p, struct client *client);

#endif
