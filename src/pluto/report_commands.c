/* Commands that ask for a report. */
#include "commands.h"

#include "pluto.h"
#include "reports.h"

static void start(struct client *client, report_step *const *steps, const char *name)
{
	if (!report_start(client, steps, name))
		client_line(client, RC_INTERNAL, "out of memory");
}

/* With --name: nothing is said of others; an unknown one is said, and no exit status comes of it.
 */
static void start_named(struct pluto *p, struct client *client, report_step *const *steps)
{
	const char *name = command_argument(client, "name");
	struct connection *c = NULL;

	if (name) {
		c = catalogue_by_alias(p->catalogue, name, 0);
		if (!c)
			c = catalogue_by_name(p->catalogue, name);
		if (!c) {
			client_line(client, RC_OK, "no connection or alias named \"%.255s\"", name);
			return;
		}
		connection_unref(c);
	}
	start(client, steps, name);
}

void command_status(struct pluto *p, struct client *client)
{
	static report_step *const steps[] = {status_interfaces, status_setup,
		status_kernel_algorithms, status_ike_algorithms, report_gather_sas,
		connection_list_head, connection_list, connection_list_total, brief_status,
		show_states, status_shunts, NULL};

	(void)p;
	start(client, steps, NULL);
}

void command_briefstatus(struct pluto *p, struct client *client)
{
	static report_step *const steps[] = {brief_status, NULL};

	(void)p;
	start(client, steps, NULL);
}

void command_globalstatus(struct pluto *p, struct client *client)
{
	static report_step *const steps[] = {global_status_keys, global_status_others,
		global_status_shards, global_status_daemon, NULL};

	(void)p;
	start(client, steps, NULL);
}

void command_trafficstatus(struct pluto *p, struct client *client)
{
	static report_step *const steps[] = {traffic_status, NULL};

	start_named(p, client, steps);
}

void command_showstates(struct pluto *p, struct client *client)
{
	static report_step *const steps[] = {show_states, NULL};

	start_named(p, client, steps);
}

void command_connectionstatus(struct pluto *p, struct client *client)
{
	static report_step *const steps[] = {report_gather_sas, connection_list, NULL};
	static report_step *const all[] = {report_gather_sas, connection_list_head, connection_list,
		connection_list_total, NULL};

	start_named(p, client, command_argument(client, "name") ? steps : all);
}

void command_briefconnectionstatus(struct pluto *p, struct client *client)
{
	static report_step *const steps[] = {
		report_gather_sas, brief_connections, connection_brief_total, NULL};

	start_named(p, client, steps);
}

void command_shuntstatus(struct pluto *p, struct client *client)
{
	static report_step *const steps[] = {status_shunts, NULL};

	(void)p;
	start(client, steps, NULL);
}

void command_addresspoolstatus(struct pluto *p, struct client *client)
{
	static report_step *const steps[] = {pool_status, NULL};

	(void)p;
	start(client, steps, NULL);
}

/* No process is started by this daemon. */
void command_processstatus(struct pluto *p, struct client *client)
{
	(void)p;
	client_line(client, RC_OK, "  PID  Process");
}

void command_fipsstatus(struct pluto *p, struct client *client)
{
	(void)p;
	client_line(client, RC_OK, "FIPS mode disabled");
}
