/* pluto: starts everything in order, serves, and takes it down again in the opposite order. */
#include "address_watch.h"
#include "bindings.h"
#include "certificates.h"
#include "connection_compile.h"
#include "control_loop.h"
#include "control_socket.h"
#include "counters.h"
#include "daemonize.h"
#include "pid_file.h"
#include "pluto.h"
#include "pools.h"

#include "dataplane/dataplane.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <urcu-qsbr.h>

/* Exit statuses (ipsec_pluto(8), and what later releases tell apart). */
enum {
	PLUTO_EXIT_OK = 0,
	PLUTO_EXIT_FAIL = 1,
	PLUTO_EXIT_SOCKET = 2,
	PLUTO_EXIT_FORK = 3,
	PLUTO_EXIT_KERNEL = 5,
	PLUTO_EXIT_LOCK = 10
};

/* How long peers are waited for when everything is deleted. */
#define SHUTDOWN_PATIENCE_MS 3000
#define SHUTDOWN_LIMIT_MS    8000
/* Of updown scripts, so that they find our own ipsec first. */
#define UPDOWN_PATH SBINDIR ":/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
/* And updown scripts, after that. */
#define UPDOWN_PATIENCE_MS 10000
/* Lines of 10,000 negotiations at once, and more. */
#define CONTROL_MAILBOX 65536

uint64_t pluto_now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

void pluto_shut_down(struct pluto *p, bool leave_state, struct client *client)
{
	/* Its connection ends with the daemon. */
	if (client)
		client_expects_done(client);
	if (leave_state) {
		kernel_leave_state(p->kernel);
		p->left_state = true;
		p->ended = true;
	}
	if (p->ended || p->shutdown_watcher)
		return;
	p->shutdown_watcher = clients_new_watcher(&p->clients);
	p->shutdown_deadline_ms = pluto_now_ms() + SHUTDOWN_LIMIT_MS;
	shard_set_shutdown(p->shards, SHUTDOWN_PATIENCE_MS, p->shutdown_watcher);
}

/* ---- up ----------------------------------------------------------------------- */

static bool start_log(const struct options *o, char *error, size_t size)
{
	struct log_config config = {
		.sink = o->log_file     ? LOG_TO_FILE
			: o->stderr_log ? LOG_TO_STDERR
					: LOG_TO_SYSLOG,
		.path = o->log_file,
		.ident = "pluto",
		.append = !o->log_no_append,
		.time = !o->log_no_time,
		.debug = o->debug,
	};

	return log_start(&config, error, size);
}

/* Without a choice: the operating system's own, unless ports for a dataplane are named. */
static const char *backend_name(const struct options *o)
{
	if (o->backend)
		return o->backend;
	return o->port_count ? "dpdk" : "xfrm";
}

/* Before any thread of ours: DPDK wants to see the process alone. */
static bool start_dataplane(struct pluto *p, char *error, size_t size)
{
	const struct options *o = &p->options;

	if (strcmp(backend_name(o), "dpdk") != 0) {
		if (o->port_count)
			snprintf(error, size, "--dataplane-port goes with --use-dpdk only");
		return o->port_count == 0;
	}
	struct dataplane_config config = {.port_count = o->port_count, .lcore_count = o->lcores};

	for (unsigned i = 0; i < o->port_count; i++)
		config.ports[i] = (struct dataplane_port){
			.device = o->ports[i].device, .twin = o->ports[i].twin};
	p->dataplane = dataplane_start(&config, error, size);
	return p->dataplane;
}

static bool start_kernel(struct pluto *p, char *error, size_t size)
{
	struct kernel_config config = {.backend = backend_name(&p->options),
		.dataplane = p->dataplane,
		.acquire_expires_s = p->options.acquire_expires_s};

	p->kernel = kernel_open(&config, error, size);
	return p->kernel;
}

static struct pools *start_pools(const struct pluto *p)
{
	char path[PATH_MAX];

	if (snprintf(path, sizeof(path), "%s/leases", p->options.rundir) >= (int)sizeof(path))
		return NULL;
	return pools_new(p->catalogue, path, pluto_now_ms);
}

/* Where nothing is protected nothing needs to be routed: "none" is for tests. */
static bool start_updown(struct pluto *p, char *error, size_t size)
{
	struct updown_config config = {
		.routes = strcmp(backend_name(&p->options), "none") != 0,
		.children = p->options.updown_children,
		.timeout_ms = p->options.updown_timeout_ms,
		.path = UPDOWN_PATH,
	};

	p->updown = updown_start(&config, error, size);
	return p->updown;
}

static bool start_tables(struct pluto *p)
{
	p->catalogue = catalogue_new();
	p->vault = secret_vault_new();
	p->mailbox = mailbox_new(CONTROL_MAILBOX);
	p->proposals = proposal_cache_new();
	p->counters = counters_new();
	p->pools = p->catalogue ? start_pools(p) : NULL;
	return p->catalogue && p->pools && p->vault && p->mailbox && p->proposals && p->counters &&
	       clients_init(&p->clients) && address_set_make(&p->ours, NULL, 0);
}

static bool start_shards(struct pluto *p, char *error, size_t size)
{
	const struct options *o = &p->options;
	struct shard_config config = {
		.shards = o->shards,
		.nhelpers = o->nhelpers,
		.kernel = p->kernel,
		.catalogue = p->catalogue,
		.secrets = p->vault,
		.credentials = p->credentials,
		.updown = p->updown,
		.updown_routes = strcmp(backend_name(&p->options), "none") != 0,
		.ike_port = o->ike_port,
		.nat_port = o->nat_port,
		.fragment_datagram = o->fragment_size,
		.keep_alive_s = o->keep_alive_s,
		.shunt_life_s = o->shunt_life_s,
		.unique_ids = o->unique_ids,
		.steering = !o->no_steering,
		.pin = true,
		.ddos_mode = o->ddos_mode,
		.ddos_threshold = o->ddos_threshold,
		.max_half_open = o->max_half_open,
		.socket_buffer = o->socket_buffer,
		.keys_ahead = o->keys_ahead,
		.control = p->mailbox,
	};
	char line[512];

	p->shards = shard_set_start(&config, error, size);
	if (!p->shards)
		return false;
	for (unsigned i = 0; shard_set_placement(p->shards, i, line, sizeof(line)); i++)
		log_line(LOG_LINE_INFO, "%s", line);
	return true;
}

/* Returns 0 or the exit status, the reason in `error`. */
static int start(struct pluto *p, char *error, size_t size)
{
	if (!start_dataplane(p, error, size))
		return PLUTO_EXIT_KERNEL;
	if (!start_log(&p->options, error, size))
		return PLUTO_EXIT_FAIL;
	p->logging = true;
	log_line(LOG_LINE_INFO, "starting pluto (plutonium %s), process %ld", PLUTONIUM_VERSION,
		(long)getpid());
	if (!start_kernel(p, error, size))
		return PLUTO_EXIT_KERNEL;
	log_line(LOG_LINE_INFO, "using kernel interface: %s", kernel_name(p->kernel));
	if (!start_updown(p, error, size))
		return PLUTO_EXIT_KERNEL;
	if (!start_tables(p)) {
		snprintf(error, size, "out of memory");
		return PLUTO_EXIT_FAIL;
	}
	if (!bindings_open(p)) {
		snprintf(error, size, "network devices cannot be looked after: %s", strerror(errno));
		return PLUTO_EXIT_KERNEL;
	}
	if (!certificates_open(p, error, size) || !start_shards(p, error, size))
		return PLUTO_EXIT_FAIL;
	address_watch_open(p);
	p->socket = control_socket_open(p->options.control_socket, error, size);
	if (p->socket < 0)
		return PLUTO_EXIT_SOCKET;
	if (!control_loop_open(p)) {
		snprintf(error, size, "the control loop cannot be set up");
		return PLUTO_EXIT_SOCKET;
	}
	return 0;
}

/* ---- down --------------------------------------------------------------------- */

static void drain_mail(struct mailbox *mailbox)
{
	struct mail *mail[64];
	size_t n;

	while ((n = mailbox_take(mailbox, mail, 64)))
		for (size_t i = 0; i < n; i++)
			shard_mail_free((struct shard_mail *)mail[i]);
}

/* Whatever of it was started. */
static void stop(struct pluto *p)
{
	if (p->shards)
		shard_set_stop(p->shards);
	updown_stop(p->updown, UPDOWN_PATIENCE_MS, p->left_state);
	if (p->mailbox)
		drain_mail(p->mailbox);
	if (p->socket >= 0)
		control_socket_close(p->options.control_socket, p->socket);
	address_watch_close(p);
	bindings_close(p);
	if (p->kernel)
		kernel_close(p->kernel);
	if (p->dataplane)
		dataplane_stop(p->dataplane);
	if (p->vault)
		secret_vault_free(p->vault);
	pools_free(p->pools);
	if (p->catalogue)
		catalogue_free(p->catalogue);
	credentials_free(p->credentials); /* no connection has a key of it any more */
	proposal_cache_free(p->proposals);
	counters_free(p->counters);
	address_set_release(&p->ours);
	free(p->addresses);
	free(p->secrets_list);
}

/* Clients that wait for the end see it now. */
static void dismiss_clients(struct pluto *p)
{
	if (p->clients.by_watcher)
		clients_release(&p->clients);
	control_loop_close(p);
	if (p->mailbox)
		mailbox_free(p->mailbox);
}

static int serve(struct pluto *p, int lock, int ready)
{
	char error[512] = "";
	int status;

	urcu_qsbr_register_thread();
	status = pid_file_write(lock) ? start(p, error, sizeof(error)) : PLUTO_EXIT_FAIL;
	if (status == 0) {
		if (ready >= 0)
			daemon_ready(ready, p->options.stderr_log);
		if (!control_loop_run(p))
			status = PLUTO_EXIT_FAIL;
		log_line(LOG_LINE_INFO, "shutting down");
	} else {
		/* To whoever started it, and to the log if there is one already. */
		fprintf(stderr, "pluto: %s\n", error[0] ? error : strerror(errno));
		if (p->logging)
			log_line(LOG_LINE_ERROR, "cannot start: %s", error);
	}
	stop(p);
	urcu_qsbr_unregister_thread();
	log_stop();
	pid_file_remove(p->options.rundir, lock);
	dismiss_clients(p);
	return status;
}

/* The loop reads them; threads inherit the mask. */
static void block_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGPIPE);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
}

static int run(struct pluto *p)
{
	char error[512];
	int lock, ready = -1;

	switch (pid_file_lock(p->options.rundir, &lock, error, sizeof(error))) {
	case PID_FILE_OK:
		break;
	case PID_FILE_LOCKED:
		fprintf(stderr, "pluto: %s\n", error);
		return PLUTO_EXIT_LOCK;
	case PID_FILE_FAILED:
		fprintf(stderr, "pluto: %s\n", error);
		return PLUTO_EXIT_FAIL;
	}
	if (!p->options.no_fork && daemon_fork(&ready) != 0) {
		fprintf(stderr, "pluto: fork: %s\n", strerror(errno));
		return PLUTO_EXIT_FORK;
	}
	return serve(p, lock, ready);
}

int main(int argc, char **argv)
{
	struct pluto p = {.epoll = -1, .signals = -1, .socket = -1};
	int status = PLUTO_EXIT_FAIL;

	block_signals();
	if (!options_init(&p.options) || !options_parse(&p.options, argc, argv, stderr) ||
		!options_check(&p.options, stderr)) {
		fputs("For usage information: pluto --help\n", stderr);
	} else if (p.options.help) {
		options_usage(stdout);
		status = PLUTO_EXIT_OK;
	} else if (p.options.version) {
		puts("plutonium " PLUTONIUM_VERSION);
		status = PLUTO_EXIT_OK;
	} else {
		status = run(&p);
	}
	options_release(&p.options);
	return status;
}
