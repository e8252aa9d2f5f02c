/* Start, stop and the calls that any thread may make. */
#include "dataplane/dataplane.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/secret.h"
#include "dp.h"

#define MAILBOX_CAPACITY  32768
#define IDLE_SLEEP_US     500
#define IDLE_SLEEP_US_MAX 100000

static bool eal_used; /* DPDK can be started once in a process */

static bool check_config(const struct dataplane_config *config, char *error, size_t error_size)
{
	if (config->port_count == 0 || config->port_count > DATAPLANE_PORTS_MAX)
		snprintf(error, error_size, "dataplane: %u ports; 1 to %u are possible",
			config->port_count, DATAPLANE_PORTS_MAX);
	else if (config->lcore_count > LCORES_MAX)
		snprintf(error, error_size, "dataplane: %u packet threads; %u are possible",
			config->lcore_count, LCORES_MAX);
	else if (__atomic_exchange_n(&eal_used, true, __ATOMIC_ACQ_REL))
		snprintf(
			error, error_size, "dataplane: DPDK can be started only once in a process");
	else
		return true;
	return false;
}

static void free_all(struct dataplane *dp)
{
	if (!dp)
		return;
	for (unsigned i = 0; dp->lcores && i < dp->lcore_count; i++)
		counter_set_free(&dp->lcores[i].counters);
	spd_end(&dp->spd);
	if (dp->sad.inbound)
		sad_end(&dp->sad);
	fib_end(&dp->fib);
	grace_end(&dp->grace);
	if (dp->control_engine.mgr)
		esp_engine_end(&dp->control_engine);
	if (dp->box)
		mailbox_free(dp->box);
	free(dp->nat_port_users);
	free(dp->lcores);
	free(dp);
}

static struct dataplane *new_dataplane(const struct dataplane_config *config)
{
	struct dataplane *dp = calloc(1, sizeof(*dp));
	if (!dp)
		return NULL;
	dp->port_count = config->port_count;
	dp->lcore_count = config->lcore_count ? config->lcore_count : 1;
	dp->idle_sleep_us = config->idle_sleep_us ? config->idle_sleep_us : IDLE_SLEEP_US;
	if (dp->idle_sleep_us > IDLE_SLEEP_US_MAX)
		dp->idle_sleep_us = IDLE_SLEEP_US_MAX;
	for (unsigned i = 0; i < dp->lcore_count; i++)
		dp->cpus[i] = config->cpus ? (int)config->cpus[i] : -1;
	for (unsigned i = 0; i < DATAPLANE_PORTS_MAX; i++)
		dp->ports[i].twin_fd = dp->ports[i].wake_fd = -1;
	pthread_mutex_init(&dp->client_lock, NULL);
	pthread_mutex_init(&dp->start_lock, NULL);
	pthread_cond_init(&dp->start_told, NULL);
	size_t lcores = dp->lcore_count * sizeof(struct lcore);
	dp->lcores = aligned_alloc(64, lcores);
	dp->nat_port_users = calloc(65536, sizeof(*dp->nat_port_users));
	dp->box = mailbox_new(MAILBOX_CAPACITY);
	if (!dp->lcores || !dp->nat_port_users || !dp->box) {
		free(dp->lcores);
		dp->lcores = NULL;
		dp->lcore_count = 0;
		free_all(dp);
		return NULL;
	}
	memset(dp->lcores, 0, lcores);
	for (unsigned i = 0; i < dp->lcore_count; i++)
		dp->lcores[i].wake_fd = -1;
	dp->nat_port_users[NAT_T_PORT] = 1;
	dp->nat_ports[NAT_T_PORT / 64] = 1ull << (NAT_T_PORT % 64);
	return dp;
}

static bool init_tables(struct dataplane *dp, const struct dataplane_config *config)
{
	return grace_init(&dp->grace, dp->lcore_count) && esp_engine_init(&dp->control_engine) &&
	       sad_init(&dp->sad, &dp->grace, config->sa_capacity) &&
	       spd_init(&dp->spd, &dp->grace) && fib_init(&dp->fib, &dp->grace);
}

/* All threads that come from here, DPDK's too, leave every signal to the daemon. */
static bool start_control(struct dataplane *dp, const struct dataplane_config *config)
{
	struct control_start start = {dp, config};
	sigset_t all, before;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int result = pthread_create(&dp->control, NULL, control_main, &start);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (result != 0) {
		snprintf(dp->start_error, sizeof(dp->start_error), "dataplane: no thread: %s",
			strerror(result));
		return false;
	}
	pthread_mutex_lock(&dp->start_lock);
	while (dp->start_state == 0)
		pthread_cond_wait(&dp->start_told, &dp->start_lock);
	pthread_mutex_unlock(&dp->start_lock);
	if (dp->start_state < 0)
		pthread_join(dp->control, NULL);
	return dp->start_state > 0;
}

struct dataplane *dataplane_start(
	const struct dataplane_config *config, char *error, size_t error_size)
{
	if (!check_config(config, error, error_size))
		return NULL;
	struct dataplane *dp = new_dataplane(config);
	if (!dp || !init_tables(dp, config)) {
		snprintf(error, error_size,
			"dataplane: no memory, or the SA table's size (%u) is no power of two in "
			"256..%u",
			config->sa_capacity, SAD_CAPACITY_MAX);
	} else if (start_control(dp, config)) {
		return dp;
	} else {
		snprintf(error, error_size, "%s", dp->start_error);
	}
	free_all(dp);
	return NULL;
}

static void drain(struct mailbox *box)
{
	struct mail *mail;
	while (mailbox_take(box, &mail, 1) == 1) {
		if (mail->kind == MAIL_REQUEST)
			secret_wipe(mail, sizeof(struct request_mail));
		free(mail);
	}
}

void dataplane_stop(struct dataplane *dp)
{
	if (!dp)
		return;
	struct mail *stop = calloc(1, sizeof(*stop));
	if (!stop)
		return; /* the process ends with it anyway */
	stop->kind = MAIL_STOP;
	while (!mailbox_post(dp->box, stop))
		sched_yield();
	pthread_join(dp->control, NULL);
	drain(dp->box);
	free_all(dp);
}

/* ---- requests ---- */

static bool has_selectors(enum ipsec_op op)
{
	return op == IPSEC_SA_ADD || op == IPSEC_POLICY_ADD || op == IPSEC_POLICY_DELETE;
}

static void copy_selectors(struct request_mail *mail, const struct traffic_selector **local,
	unsigned locals, const struct traffic_selector **remote, unsigned remotes)
{
	if (locals)
		memcpy(mail->selectors, *local, locals * sizeof(**local));
	if (remotes)
		memcpy(mail->selectors + locals, *remote, remotes * sizeof(**remote));
	*local = mail->selectors;
	*remote = mail->selectors + locals;
}

bool dataplane_submit(struct dataplane *dp, const struct dataplane_client *client,
	const struct ipsec_request *request)
{
	unsigned locals = 0, remotes = 0;
	bool sa = request->op == IPSEC_SA_ADD;
	if (has_selectors(request->op)) {
		locals = sa ? request->sa.local_ts_count : request->policy.local_ts_count;
		remotes = sa ? request->sa.remote_ts_count : request->policy.remote_ts_count;
	}
	bool too_many = locals > IPSEC_SELECTORS_MAX || remotes > IPSEC_SELECTORS_MAX;
	size_t count = too_many ? 0 : (size_t)locals + remotes;
	size_t size = sizeof(struct request_mail) + count * sizeof(struct traffic_selector);
	struct request_mail *mail = malloc(size);
	if (!mail)
		return false;
	mail->mail.kind = MAIL_REQUEST;
	mail->client = *client;
	mail->request = *request;
	if (too_many) /* is refused by its count, without a look at the selectors */
		mail->request.policy.local_ts_count = mail->request.sa.local_ts_count = UINT32_MAX;
	else if (sa)
		copy_selectors(mail, &mail->request.sa.local_ts, locals,
			&mail->request.sa.remote_ts, remotes);
	else if (has_selectors(request->op))
		copy_selectors(mail, &mail->request.policy.local_ts, locals,
			&mail->request.policy.remote_ts, remotes);
	if (mailbox_post(dp->box, &mail->mail))
		return true;
	secret_wipe(mail, size);
	free(mail);
	return false;
}

uint32_t dataplane_allocate_spi(struct dataplane *dp)
{
	return sad_allocate_spi(&dp->sad);
}

void dataplane_release_spi(struct dataplane *dp, uint32_t spi)
{
	sad_release_spi(&dp->sad, spi);
}

void dataplane_set_event_client(struct dataplane *dp, const struct dataplane_client *client)
{
	pthread_mutex_lock(&dp->client_lock);
	dp->events_off = client == NULL;
	dp->event_client = client ? *client : (struct dataplane_client){0};
	pthread_mutex_unlock(&dp->client_lock);
}
