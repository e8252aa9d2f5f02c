/* What a request's command does. Control thread. */
#ifndef PLUTO_COMMANDS_H
#define PLUTO_COMMANDS_H

#include "client.h"
#include "shard/shard.h"

/* Runs the client's request: answers at once, or leaves something pending. */
void command_run(struct pluto *p, struct client *client);
/* A shard has finished its part of what the client asked for. */
void command_shard_done(struct pluto *p, struct client *client, const struct shard_mail *mail);

typedef void command_handler(struct pluto *p, struct client *client);

/* By the file that has them. */
command_handler command_add, command_delete; /* connection_commands.c */
command_handler command_initiate, command_terminate, command_deletestate, command_rekey,
	command_delete_sa; /* sa_commands.c */
command_handler command_route, command_unroute, command_suspend; /* route_commands.c */
command_handler command_listen, command_unlisten, command_rereadsecrets, command_ddos_mode,
	command_clearstats, command_shutdown, command_listpsks,
	command_rereadall; /* daemon_commands.c */
command_handler command_rereadcerts, command_listcerts, command_listcacerts, command_listcrls, command_fetchcrls, command_purgeocsp,
	command_listall; /* certificates.c */
command_handler command_status, command_briefstatus, command_globalstatus, command_trafficstatus,
	command_showstates, command_connectionstatus, command_briefconnectionstatus,
	command_shuntstatus, command_addresspoolstatus, command_processstatus,
	command_fipsstatus; /* report_commands.c */

/* An argument of the request, or NULL. */
const char *command_argument(const struct client *client, const char *key);
bool command_is_yes(const struct client *client, const char *key);
/* Is it one of --rekey-*, --delete-* and --down-*; and of which kind? */
bool command_is_about_one_kind(const struct client *client);
enum ike_sa_kind command_sa_kind(const struct client *client);
/* For each connection that the request's name or alias means, or says that there is none; `wait`:
 * not --asynchronous. */
typedef void command_on_connection(
	struct pluto *p, struct client *client, struct connection *c, bool wait);
void command_each_connection(
	struct pluto *p, struct client *client, command_on_connection *act);
/* Of something that the shards will end by DONE; 0: nobody waits for it. */
ike_watcher command_watcher(struct client *client, bool wait);
/* "no connection or alias named ..." (021). */
void command_unknown_name(struct client *client, const char *name);

#endif
