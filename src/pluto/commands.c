#include "commands.h"

#include "connections.h"
#include "pluto.h"

#include "config/conf_file.h"

#include <string.h>

static const struct {
	const char *name;
	command_handler *run;
} commands[] = {
	{"add", command_add},
	{"delete", command_delete},
	{"initiate", command_initiate},
	{"terminate", command_terminate},
	{"route", command_route},
	{"unroute", command_unroute},
	{"suspend", command_suspend},
	{"deletestate", command_deletestate},
	{"rekey-ike", command_rekey},
	{"rekey-child", command_rekey},
	{"delete-ike", command_delete_sa},
	{"delete-child", command_delete_sa},
	{"down-ike", command_delete_sa},
	{"down-child", command_delete_sa},
	{"listen", command_listen},
	{"unlisten", command_unlisten},
	{"rereadsecrets", command_rereadsecrets},
	{"rereadcerts", command_rereadcerts},
	{"rereadall", command_rereadall},
	{"fetchcrls", command_fetchcrls},
	{"purgeocsp", command_purgeocsp},
	{"ddos-mode", command_ddos_mode},
	{"clearstats", command_clearstats},
	{"shutdown", command_shutdown},
	{"listpsks", command_listpsks},
	{"listcerts", command_listcerts},
	{"listcacerts", command_listcacerts},
	{"listcrls", command_listcrls},
	{"listall", command_listall},
	{"status", command_status},
	{"briefstatus", command_briefstatus},
	{"globalstatus", command_globalstatus},
	{"trafficstatus", command_trafficstatus},
	{"showstates", command_showstates},
	{"connectionstatus", command_connectionstatus},
	{"briefconnectionstatus", command_briefconnectionstatus},
	{"shuntstatus", command_shuntstatus},
	{"addresspoolstatus", command_addresspoolstatus},
	{"processstatus", command_processstatus},
	{"fipsstatus", command_fipsstatus},
};

const char *command_argument(const struct client *client, const char *key)
{
	return keyvalues_get(&client->request.arguments, key);
}

bool command_is_yes(const struct client *client, const char *key)
{
	const char *value = command_argument(client, key);
	bool yes;

	return value && conf_bool(value, &yes) && yes;
}

bool command_is_about_one_kind(const struct client *client)
{
	const char *command = client->request.command;

	return strncmp(command, "rekey-", 6) == 0 || strncmp(command, "down-", 5) == 0 ||
	       strncmp(command, "delete-", 7) == 0;
}

enum ike_sa_kind command_sa_kind(const struct client *client)
{
	const char *command = client->request.command;

	return strcmp(strchr(command, '-'), "-ike") == 0 ? IKE_SA : CHILD_SA;
}

void command_unknown_name(struct client *client, const char *name)
{
	client_line(client, RC_UNKNOWN_NAME, "no connection or alias named \"%.255s\"", name);
}

void command_each_connection(
	struct pluto *p, struct client *client, command_on_connection *act)
{
	const char *name = command_argument(client, "name");
	bool wait = !command_is_yes(client, "asynchronous"), by_alias;
	struct connection **list = name ? connections_by_name(p, name, &by_alias) : NULL;

	if (!list) {
		command_unknown_name(client, name ? name : "");
		return;
	}
	for (struct connection **c = list; *c; c++)
		act(p, client, *c, wait);
	connections_release(list);
}

ike_watcher command_watcher(struct client *client, bool wait)
{
	if (wait)
		client_expects_done(client);
	return wait ? client->watcher : 0;
}

void command_run(struct pluto *p, struct client *client)
{
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (strcmp(commands[i].name, client->request.command) == 0) {
			commands[i].run(p, client);
			return;
		}
	client_line(client, RC_BAD_MESSAGE, "unknown command '%.64s'", client->request.command);
}

void command_shard_done(struct pluto *p, struct client *client, const struct shard_mail *mail)
{
	(void)p;
	if (!mail->last)
		return;
	if (strcmp(client->request.command, "deletestate") == 0 && mail->count == 0)
		client_line(client, RC_UNKNOWN_NAME, "no state #%.32s to delete",
			command_argument(client, "value"));
	if (mail->count == 0 && command_is_about_one_kind(client))
		client_line(client, RC_OK,
			"\"%.255s\": connection does not have an established %s",
			command_argument(client, "name"),
			command_sa_kind(client) == IKE_SA ? "IKE SA" : "Child SA");
	client_done(client, mail->count);
}
