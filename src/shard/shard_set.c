/* All shards together: start, stop, and the control thread's commands. */
#include "shard_set.h"

#include "ike/counters.h"
#include "report.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#define WORKER_QUEUE 4096

/* ---- mail ------------------------------------------------------------------------ */

void shard_mail_free(struct shard_mail *mail)
{
	free(mail);
}

void free_control_mail(struct mail *mail)
{
	shard_mail_free((struct shard_mail *)mail);
}

void shard_set_post(struct shard_set *set, unsigned shard, struct mail *mail)
{
	while (!mailbox_post(set->shards[shard]->inbox, mail)) {
		nanosleep(&(struct timespec){.tv_nsec = 100000}, NULL);
	}
}

/* To every shard its part of the errand; not touched afterwards. */
static void post_everywhere(struct shard_set *set, struct errand *e)
{
	unsigned count = set->count;
	for (unsigned i = 0; i < count; i++) {
		shard_set_post(set, i, &e->commands[i].mail);
	}
}

/* ---- start ------------------------------------------------------------------------- */

static bool find_counter(const char *key, size_t *cell)
{
	const char *name;
	for (size_t i = 0; (name = ike_counter_key(i)) != NULL; i++) {
		if (strcmp(name, key) == 0) {
			*cell = i;
			return true;
		}
	}
	return false;
}

/* The engine tells its half-open SAs by these gauges only. */
static bool find_half_open_cells(struct shard_set *set, char *error, size_t error_size)
{
	static const char *const keys[2] = {
		"current.states.enumerate.UNSECURED_R",
		"current.states.enumerate.IKE_SA_INIT_R",
	};
	for (size_t i = 0; i < 2; i++) {
		if (!find_counter(keys[i], &set->half_open_cells[i])) {
			snprintf(error, error_size, "the engine has no counter %s", keys[i]);
			return false;
		}
	}
	return true;
}

static bool config_is_sound(const struct shard_config *config, char *error, size_t error_size)
{
	if (config->shards > SHARDS_MAX) {
		snprintf(error, error_size, "%u shards are more than %u", config->shards,
			SHARDS_MAX);
	} else if (config->ike_port == 0) {
		snprintf(error, error_size, "no IKE port");
	} else if (config->ike_port == config->nat_port) {
		snprintf(error, error_size, "the IKE port and the NAT-T port are both %u",
			config->ike_port);
	} else if (config->keys_ahead > KEY_STOCK_SIZE_MAX) {
		snprintf(error, error_size, "%u keys made ahead a group are more than %d",
			config->keys_ahead, KEY_STOCK_SIZE_MAX);
	} else {
		return true;
	}
	return false;
}

static bool make_secrets(struct shard_set *set)
{
	return steering_init(&set->steering, set->count) &&
	       getrandom(set->cookie_secret, sizeof set->cookie_secret, 0) ==
		       (ssize_t)sizeof set->cookie_secret;
}

static struct shard *make_shard(struct shard_set *set, unsigned index)
{
	struct shard *shard = calloc(1, sizeof *shard);
	if (shard == NULL) {
		return NULL;
	}
	shard->set = set;
	shard->index = index;
	shard->epoll_fd = -1;
	shard->stop.kind = INBOX_STOP;
	shard_host_init(shard);
	if (set->config.keys_ahead > 0 && placement_workers(set->placement) == 0 &&
		(shard->stock = key_stock_new(set->config.keys_ahead)) == NULL) {
		free(shard);
		return NULL;
	}
	shard->inbox = mailbox_new(INBOX_CAPACITY);
	shard->counters = counter_set_new(ike_counter_count());
	return shard;
}

static bool make_shards(struct shard_set *set)
{
	set->shards = calloc(set->count, sizeof(struct shard *));
	if (set->shards == NULL) {
		return false;
	}
	for (unsigned i = 0; i < set->count; i++) {
		struct shard *shard = set->shards[i] = make_shard(set, i);
		if (shard == NULL || shard->inbox == NULL || shard->counters.cells == NULL) {
			return false;
		}
	}
	return true;
}

static bool start_pool(struct shard_set *set, char *error, size_t error_size)
{
	struct crypto_pool_config config = {
		.workers = placement_workers(set->placement),
		.cpus = placement_worker_cpus(set->placement),
		.queue_capacity = WORKER_QUEUE,
		.keys_ahead = set->config.keys_ahead,
	};
	if (config.workers == 0) {
		return true;
	}
	set->pool = crypto_pool_start(&config, error, error_size);
	return set->pool != NULL;
}

static bool start_validation(struct shard_set *set, char *error, size_t error_size)
{
	struct crypto_pool_config config = {.queue_capacity = WORKER_QUEUE};
	if (set->config.credentials == NULL) {
		return true;
	}
	config.workers = credentials_validation_threads(set->config.credentials);
	set->validation = crypto_pool_start(&config, error, error_size);
	return set->validation != NULL;
}

/* One after the other: kernel channels are opened in the order of the shards. */
static bool start_thread(struct shard_set *set, struct shard *shard, char *error, size_t error_size)
{
	char name[16];
	int failed = pthread_create(&shard->thread, NULL, shard_run, shard);
	if (failed != 0) {
		snprintf(error, error_size, "no thread for shard %u: %s", shard->index,
			strerror(failed));
		return false;
	}
	shard->running = true;
	snprintf(name, sizeof name, "shard %u", shard->index);
	(void)pthread_setname_np(shard->thread, name);
	(void)pthread_getcpuclockid(shard->thread, &shard->cpu_clock);
	while (sem_wait(&set->ready) != 0 && errno == EINTR) {
	}
	if (!set->start_ok) {
		pthread_join(shard->thread, NULL);
		shard->running = false;
		snprintf(error, error_size, "%s", set->start_error);
	}
	return set->start_ok;
}

/* Signals are the control thread's. */
static bool start_threads(struct shard_set *set, char *error, size_t error_size)
{
	sigset_t all, before;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	bool ok = start_pool(set, error, error_size) && start_validation(set, error, error_size);
	for (unsigned i = 0; ok && i < set->count; i++) {
		ok = start_thread(set, set->shards[i], error, error_size);
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return ok;
}

static bool start(struct shard_set *set, char *error, size_t error_size)
{
	const struct shard_config *config = &set->config;
	if (!find_half_open_cells(set, error, error_size)) {
		return false;
	}
	snprintf(error, error_size, "hwloc cannot read the machine's topology");
	set->placement = placement_new(config->shards, config->nhelpers, config->pin);
	if (set->placement == NULL) {
		return false;
	}
	set->count = placement_shards(set->placement);
	if (set->count > SHARDS_MAX) {
		set->count = SHARDS_MAX;
	}
	snprintf(error, error_size, "out of memory, descriptors or random bytes");
	return make_secrets(set) && make_shards(set) && start_threads(set, error, error_size);
}

struct shard_set *shard_set_start(const struct shard_config *config, char *error, size_t error_size)
{
	if (!config_is_sound(config, error, error_size)) {
		return NULL;
	}
	struct shard_set *set = calloc(1, sizeof *set);
	if (set == NULL) {
		snprintf(error, error_size, "out of memory");
		return NULL;
	}
	set->config = *config;
	set->ddos_mode = config->ddos_mode;
	sem_init(&set->ready, 0, 0);
	if (!start(set, error, error_size)) {
		shard_set_stop(set);
		return NULL;
	}
	return set;
}

/* ---- stop --------------------------------------------------------------------------- */

static void stop_threads(struct shard_set *set)
{
	for (unsigned i = 0; set->shards != NULL && i < set->count; i++) {
		if (set->shards[i] != NULL && set->shards[i]->running) {
			shard_set_post(set, i, &set->shards[i]->stop);
		}
	}
	for (unsigned i = 0; set->shards != NULL && i < set->count; i++) {
		if (set->shards[i] != NULL && set->shards[i]->running) {
			pthread_join(set->shards[i]->thread, NULL);
		}
	}
}

static void free_shard(struct shard *shard)
{
	struct mail *mail;
	if (shard == NULL) {
		return;
	}
	if (shard->inbox != NULL) {
		while (mailbox_take(shard->inbox, &mail, 1) == 1) {
			shard_discard_mail(mail);
		}
		mailbox_free(shard->inbox);
	}
	if (shard->counters.cells != NULL) {
		counter_set_free(&shard->counters);
	}
	key_stock_free(shard->stock);
	free(shard);
}

void shard_set_stop(struct shard_set *set)
{
	stop_threads(set);
	if (set->pool != NULL) {
		crypto_pool_stop(set->pool);
	}
	if (set->validation != NULL) {
		crypto_pool_stop(set->validation);
	}
	for (unsigned i = 0; set->shards != NULL && i < set->count; i++) {
		free_shard(set->shards[i]);
	}
	free(set->shards);
	shard_set_free_reports(set);
	shard_set_listen_free(set);
	placement_free(set->placement);
	sem_destroy(&set->ready);
	secret_wipe(set, sizeof *set);
	free(set);
}

/* ---- questions ----------------------------------------------------------------------- */

unsigned shard_set_count(const struct shard_set *set)
{
	return set->count;
}

bool shard_set_placement(const struct shard_set *set, unsigned i, char *out, size_t size)
{
	return placement_text(set->placement, i, out, size);
}

/* ---- commands -------------------------------------------------------------------------- */

void shard_set_ddos_mode(struct shard_set *set, enum ddos_mode mode)
{
	__atomic_store_n(&set->ddos_mode, (int)mode, __ATOMIC_RELAXED);
}

/* Kernel channels are numbered as shards are (see start_threads). */
static unsigned home_of(const struct shard_set *set, const struct connection *c)
{
	return c->reqid % set->count;
}

void shard_set_initiate(struct shard_set *set, struct connection *c,
	const struct ip_address *remote, ike_watcher watcher)
{
	struct errand *e = errand_new(COMMAND_INITIATE, 1, false, watcher, c);
	if (e == NULL) {
		return;
	}
	if (remote != NULL) {
		e->remote = *remote;
	}
	shard_set_post(set,
		connection_is_template(c) ? set->next_initiator++ % set->count : home_of(set, c),
		&e->commands[0].mail);
}

void shard_set_route(struct shard_set *set, struct connection *c, ike_watcher watcher)
{
	struct errand *e = errand_new(COMMAND_ROUTE, 1, false, watcher, c);
	if (e != NULL) {
		shard_set_post(set, home_of(set, c), &e->commands[0].mail);
	}
}

void shard_set_unroute(
	struct shard_set *set, struct connection *c, bool trap_only, ike_watcher watcher)
{
	struct errand *e = errand_new(COMMAND_UNROUTE, set->count, true, watcher, c);
	if (e != NULL) {
		e->trap_only = trap_only;
		post_everywhere(set, e);
	}
}

void shard_set_terminate(
	struct shard_set *set, struct connection *c, bool unroute, ike_watcher watcher)
{
	struct errand *e = errand_new(COMMAND_TERMINATE, set->count, true, watcher, c);
	if (e != NULL) {
		e->unroute = unroute;
		post_everywhere(set, e);
	}
}

void shard_set_initiate_shared(
	struct shard_set *set, struct connection *c, uint64_t group, ike_watcher watcher)
{
	struct errand *e = errand_new(COMMAND_INITIATE, 1, false, watcher, c);
	if (e == NULL) {
		return;
	}
	e->sharing = true;
	e->home = (unsigned)(group % set->count);
	shard_set_post(set, (e->home + 1) % set->count, &e->commands[0].mail);
}

void shard_set_rekey(
	struct shard_set *set, struct connection *c, enum ike_sa_kind kind, ike_watcher watcher)
{
	struct errand *e = errand_new(COMMAND_REKEY, set->count, true, watcher, c);
	if (e != NULL) {
		e->sa_kind = kind;
		post_everywhere(set, e);
	}
}

void shard_set_delete(struct shard_set *set, struct connection *c, enum ike_sa_kind kind,
	bool unwant, ike_watcher watcher)
{
	struct errand *e = errand_new(COMMAND_DELETE, set->count, true, watcher, c);
	if (e != NULL) {
		e->sa_kind = kind;
		e->unwant = unwant;
		post_everywhere(set, e);
	}
}

void shard_set_delete_serial(struct shard_set *set, uint64_t serial, ike_watcher watcher)
{
	struct errand *e = errand_new(COMMAND_DELETE_SERIAL, set->count, true, watcher, NULL);
	if (e != NULL) {
		e->serial = serial;
		post_everywhere(set, e);
	}
}

void shard_set_shutdown(struct shard_set *set, unsigned patience_ms, ike_watcher watcher)
{
	struct errand *e = errand_new(COMMAND_SHUTDOWN, set->count, true, watcher, NULL);
	if (e != NULL) {
		e->patience_ms = patience_ms;
		post_everywhere(set, e);
	}
}
