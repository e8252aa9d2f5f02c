/* Commands to the daemon as a whole. */
#include "commands.h"

#include "certificates.h"
#include "counters.h"
#include "listening.h"
#include "pluto.h"
#include "secrets.h"
#include "tell.h"

#include <string.h>

void command_listen(struct pluto *p, struct client *client)
{
	tell(client, RC_OK, "listening for IKE messages");
	/* The secrets first: a peer may come at once. */
	secrets_load(p, client);
	listening_begin(p, client);
}

void command_unlisten(struct pluto *p, struct client *client)
{
	tell(client, RC_OK, "no longer listening for IKE messages");
	listening_end(p);
}

void command_rereadsecrets(struct pluto *p, struct client *client)
{
	secrets_load(p, client);
}

void command_rereadall(struct pluto *p, struct client *client)
{
	secrets_load(p, client);
	certificates_reread(p, client);
}

void command_ddos_mode(struct pluto *p, struct client *client)
{
	const char *value = command_argument(client, "value");
	enum ddos_mode mode;

	if (!value || !ddos_mode_parse(value, &mode)) {
		client_line(client, RC_BAD_MESSAGE, "--ddos-mode is auto, busy or unlimited");
		return;
	}
	p->options.ddos_mode = mode;
	shard_set_ddos_mode(p->shards, mode);
	tell(client, RC_OK, "pluto DDoS protection mode set to %s", ddos_mode_name(mode));
}

void command_clearstats(struct pluto *p, struct client *client)
{
	(void)client;
	counters_clear(p->counters, p->shards);
}

void command_shutdown(struct pluto *p, struct client *client)
{
	tell(client, RC_OK, "Pluto is shutting down");
	pluto_shut_down(p, command_is_yes(client, "leave-state"), client);
}

/* What was loaded, without the secrets. */
void command_listpsks(struct pluto *p, struct client *client)
{
	unsigned n = 0;

	client_line(client, RC_OK, "%s", "");
	client_line(client, RC_OK, "List of Pre-shared secrets (from %s)", p->options.secrets_file);
	client_line(client, RC_OK, "%s", "");
	for (const char *at = p->secrets_list; at && *at;) {
		size_t len = strcspn(at, "\n");

		client_line(client, RC_OK, "%5u: %.*s", ++n, (int)len, at);
		at += len + (at[len] == '\n');
	}
}
