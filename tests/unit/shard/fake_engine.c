#include "fake_engine.h"

#include "ike/counters.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct fake_notes fake;
unsigned fake_sas, fake_children = 1, fake_lines, fake_jobs_per_initiate;
bool fake_never_idle;
uint16_t fake_echo_port;
unsigned fake_hung;
static unsigned objects;

#define NOTE(cell) __atomic_add_fetch(&(cell), 1, __ATOMIC_ACQ_REL)

struct ike_engine {
	struct ike_engine_config config;
	unsigned number;
	unsigned sas;
	pthread_t thread;
	struct pending_timer *timers;
	unsigned jobs;
};

struct pending_timer {
	struct timer timer;
	struct pending_timer *next;
	uint64_t due_ms;
	ike_watcher watcher;
};

void fake_engine_reset(void)
{
	memset(&fake, 0, sizeof fake);
	fake_sas = 0;
	fake_children = 1;
	fake_lines = 0;
	fake_jobs_per_initiate = 0;
	fake_never_idle = false;
	fake_echo_port = 0;
	__atomic_store_n(&fake_hung, 0, __ATOMIC_RELEASE);
}

unsigned fake_objects(void)
{
	return fake_read(&objects);
}

static void check_thread(const struct ike_engine *e)
{
	if (!pthread_equal(pthread_self(), e->thread)) {
		__atomic_add_fetch(&fake.thread_errors, 1, __ATOMIC_RELAXED);
	}
}

static void say(struct ike_engine *e, ike_watcher watcher, const char *format, uint64_t n)
{
	char line[100];
	int len = snprintf(line, sizeof line, "engine %u %s %lu", e->number, format, n);
	e->config.host->log(e->config.host, LOG_LINE_DEBUG, watcher, RC_OK, line, (size_t)len);
}

/* ---- life ---- */

struct ike_engine *ike_engine_new(const struct ike_engine_config *config)
{
	struct ike_engine *e = calloc(1, sizeof *e);
	e->config = *config;
	e->number = NOTE(fake.engines) - 1;
	e->sas = fake_sas;
	e->thread = pthread_self();
	return e;
}

void ike_engine_free(struct ike_engine *e)
{
	check_thread(e);
	while (e->timers != NULL) {
		struct pending_timer *t = e->timers;
		e->timers = t->next;
		free(t);
	}
	if (e->jobs != 0) {
		abort();
	}
	free(e);
}

/* ---- what happens ---- */

bool ike_message_is_first(struct bytes message)
{
	return message.len > FAKE_FIRST_AT && message.data[FAKE_FIRST_AT] != 0;
}

void ike_engine_datagram(
	struct ike_engine *e, const struct ike_path *path, uint8_t *message, size_t len)
{
	check_thread(e);
	NOTE(fake.datagrams[e->number]);
	while (fake_read(&fake_hung) == e->number + 1) {
		nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
	}
	if (len >= 30) {
		unsigned tag = message[len - 2] << 8 | message[len - 1];
		__atomic_store_n(&fake.tag_taken_by[tag], e->number + 1, __ATOMIC_RELEASE);
	}
	/* A first request's SPI, in the tests, is to be owned by who gets it. */
	struct reader r = reader_of(bytes_of(message, len));
	if (len >= 28 && !e->config.host->owns_spi(e->config.host, read_u64(&r))) {
		NOTE(fake.not_owned);
	}
	if (e->config.host->require_cookie(e->config.host, 0)) {
		NOTE(fake.cookies_required);
	}
	if (e->config.host->refuse_new(e->config.host, 0)) {
		NOTE(fake.news_refused);
	}
	struct ike_path back = *path;
	back.remote.port = fake_echo_port != 0 ? fake_echo_port : back.remote.port;
	e->config.host->send(e->config.host, &back, bytes_of(message, len));
}

void ike_engine_timer(struct ike_engine *e, struct timer *timer)
{
	struct pending_timer *t = (struct pending_timer *)timer;
	uint64_t now = e->config.host->now_ms(e->config.host);
	check_thread(e);
	NOTE(fake.timers[e->number]);
	if (now < t->due_ms) {
		NOTE(fake.early_timers);
	}
	if (now > t->due_ms + 1000) {
		NOTE(fake.late_timers);
	}
	for (struct pending_timer **link = &e->timers; *link != NULL; link = &(*link)->next) {
		if (*link == t) {
			*link = t->next;
			break;
		}
	}
	say(e, t->watcher, "timer", t->due_ms);
	e->config.host->release_watcher(e->config.host, t->watcher);
	free(t);
}

void ike_engine_job_done(struct ike_engine *e, struct crypto_job *job)
{
	check_thread(e);
	NOTE(fake.jobs[e->number]);
	if (job->result != CRYPTO_JOB_OK) {
		NOTE(fake.jobs_failed);
	}
	say(e, job->tag, "job", (uint64_t)job->result);
	crypto_job_free(job);
	e->jobs--;
}

void ike_engine_ipsec_answer(struct ike_engine *e, const struct ipsec_answer *answer)
{
	check_thread(e);
	(void)answer;
}

void ike_engine_ipsec_event(struct ike_engine *e, const struct ipsec_event *event)
{
	check_thread(e);
	(void)event;
	NOTE(fake.events);
}

void ike_engine_network_error(
	struct ike_engine *e, const struct ike_path *path, int error, const char *origin)
{
	check_thread(e);
	(void)path;
	(void)origin;
	NOTE(fake.network_errors[e->number]);
	__atomic_store_n(&fake.last_network_error, (unsigned)error, __ATOMIC_RELEASE);
}

/* ---- commands ---- */

static void submit_jobs(struct ike_engine *e, ike_watcher watcher)
{
	const struct algorithm *x25519 = algorithm_by_id(TRANSFORM_KE, 31);
	for (unsigned i = 0; i < fake_jobs_per_initiate; i++) {
		struct crypto_job *job =
			crypto_job_new(CRYPTO_KE_GENERATE, x25519, bytes_of(NULL, 0));
		job->tag = watcher;
		e->jobs++;
		if (!e->config.host->submit(e->config.host, job)) {
			NOTE(fake.submit_refused);
			e->jobs--;
			crypto_job_free(job);
		}
	}
}

bool ike_engine_can_share(struct ike_engine *e, const struct connection *c)
{
	check_thread(e);
	return c->reqid == e->number + 1;
}

/* In a while a line, and the release. */
void ike_engine_initiate(struct ike_engine *e, struct connection *c,
	const struct ip_address *remote, ike_watcher watcher)
{
	check_thread(e);
	(void)remote;
	if (strcmp(c->name, "tell") == 0) {
		struct identity *id = identity_new(ID_FQDN, bytes_of("a", 1));
		const struct ike_news news = {
			.local = id, .remote = id, .connection_serial = 1, .ike_serial = 2};

		e->config.host->tell(e->config.host, &news);
		identity_unref(id);
		return;
	}
	if (fake_jobs_per_initiate > 0) {
		submit_jobs(e, watcher);
		return;
	}
	struct pending_timer *t = calloc(1, sizeof *t);
	t->watcher = watcher;
	t->due_ms = e->config.host->now_ms(e->config.host) + watcher % 150;
	t->next = e->timers;
	e->timers = t;
	e->config.host->arm(e->config.host, &t->timer, t->due_ms);
}

void ike_engine_route(struct ike_engine *e, struct connection *c, ike_watcher watcher)
{
	check_thread(e);
	(void)c;
	NOTE(fake.routed[e->number]);
	if (watcher != 0) {
		e->config.host->release_watcher(e->config.host, watcher);
	}
}

void ike_engine_unroute(struct ike_engine *e, const struct connection *c, bool trap_only)
{
	check_thread(e);
	(void)c;
	(void)trap_only;
	NOTE(fake.unrouted[e->number]);
}

unsigned ike_engine_terminate(
	struct ike_engine *e, const struct connection *c, bool unroute, ike_watcher watcher)
{
	check_thread(e);
	(void)c;
	(void)unroute;
	for (unsigned i = 0; i < fake_lines; i++) {
		say(e, watcher, "line", i);
	}
	return e->sas;
}

unsigned ike_engine_rekey(struct ike_engine *e, const struct connection *c, enum ike_sa_kind kind,
	ike_watcher watcher)
{
	check_thread(e);
	(void)c;
	(void)kind;
	(void)watcher;
	return 0;
}

unsigned ike_engine_delete(struct ike_engine *e, const struct connection *c,
	enum ike_sa_kind kind, ike_watcher watcher)
{
	return ike_engine_rekey(e, c, kind, watcher);
}

void ike_engine_unwant(struct ike_engine *e, const struct connection *c)
{
	check_thread(e);
	(void)c;
}

bool ike_engine_delete_serial(struct ike_engine *e, uint64_t serial, ike_watcher watcher)
{
	check_thread(e);
	(void)watcher;
	return serial == 1000 + e->number;
}

void ike_engine_news(struct ike_engine *e, const struct ike_news *news)
{
	check_thread(e);
	if (identity_equal(news->local, news->remote) && news->connection_serial == 1 &&
		news->ike_serial == 2) {
		NOTE(fake.news[e->number]);
	}
}

bool ike_engine_shutdown(struct ike_engine *e, unsigned limit)
{
	check_thread(e);
	e->sas -= e->sas < limit ? e->sas : limit;
	return e->sas > 0;
}

bool ike_engine_idle(const struct ike_engine *e)
{
	return e->sas == 0 && !fake_never_idle;
}

void ike_engine_listen(struct ike_engine *e, bool listening)
{
	check_thread(e);
	__atomic_store_n(&fake.listening[e->number], 1 + listening, __ATOMIC_RELEASE);
}

uint64_t ike_engine_sa_count(const struct ike_engine *e)
{
	return e->sas;
}

/* ---- reports ---- */

/* IKE SA n of engine e is #1000000 e + n; its Child SAs are numbered and have SPIs of it. */
static uint64_t serial_of(const struct ike_engine *e, unsigned n)
{
	return 1000000ul * (e->number + 1) + n;
}

/* Hidden behind the walk's pointer. The connection of the last view is dropped when the next one is
 * shown, as if its SA had gone. */
struct fake_walk {
	unsigned next;
	struct connection *shown;
};

void ike_walk_start(struct ike_engine *e, struct ike_walk *walk)
{
	check_thread(e);
	*walk = (struct ike_walk){
		.engine = e, .position = (struct ike_sa *)calloc(1, sizeof(struct fake_walk))};
}

bool ike_walk_next(struct ike_walk *walk, struct ike_sa_view *view)
{
	struct ike_engine *e = walk->engine;
	struct fake_walk *w = (struct fake_walk *)walk->position;
	check_thread(e);
	if (w->next >= e->sas) {
		ike_walk_end(walk);
		return false;
	}
	connection_unref(w->shown);
	w->shown = connection_new("report");
	*view = (struct ike_sa_view){.serial = serial_of(e, w->next++),
		.connection = w->shown,
		.established = true,
		.child_count = fake_children};
	if (fake_children > 0) {
		ike_engine_child_at(e, view->serial, 0, &view->child);
	}
	return true;
}

void ike_walk_end(struct ike_walk *walk)
{
	struct fake_walk *w = (struct fake_walk *)walk->position;
	if (w != NULL) {
		connection_unref(w->shown);
		free(w);
	}
	walk->position = NULL;
}

bool ike_engine_child_at(
	struct ike_engine *e, uint64_t ike_serial, unsigned i, struct child_view *view)
{
	check_thread(e);
	if (i >= fake_children || ike_serial - serial_of(e, 0) >= e->sas) {
		return false;
	}
	*view = (struct child_view){.serial = ike_serial * 100 + i,
		.in_spi = (uint32_t)(ike_serial * 100 + i),
		.out_spi = (uint32_t)(ike_serial * 100 + i) + 50,
		.established = true};
	return true;
}

struct ike_memory ike_engine_memory(const struct ike_engine *e)
{
	return (struct ike_memory){.ike_sas = e->sas * 100};
}

/* ---- what else the room links to ---- */

static const char *const counter_keys[] = {
	"first", "current.states.enumerate.UNSECURED_R", "current.states.enumerate.IKE_SA_INIT_R"};

size_t ike_counter_count(void)
{
	return 3;
}

const char *ike_counter_key(size_t i)
{
	return i < 3 ? counter_keys[i] : NULL;
}

struct connection *connection_new(const char *name)
{
	struct connection *c = calloc(1, sizeof *c);
	NOTE(objects);
	c->references = 1;
	c->name = strdup(name);
	return c;
}

static void *take_reference(const uint32_t *references)
{
	uint32_t *r = (uint32_t *)(uintptr_t)references;
	__atomic_add_fetch(r, 1, __ATOMIC_RELAXED);
	return r;
}

/* True when it was the last. */
static bool drop_reference(const uint32_t *references)
{
	uint32_t *r = (uint32_t *)(uintptr_t)references;
	if (__atomic_sub_fetch(r, 1, __ATOMIC_ACQ_REL) != 0) {
		return false;
	}
	__atomic_sub_fetch(&objects, 1, __ATOMIC_ACQ_REL);
	return true;
}

struct connection *connection_ref(const struct connection *c)
{
	return take_reference(&c->references);
}

void connection_unref(const struct connection *c)
{
	if (c != NULL && drop_reference(&c->references)) {
		free(c->name);
		free((void *)(uintptr_t)c);
	}
}

struct identity *identity_new(enum identity_kind kind, struct bytes data)
{
	struct identity *id = calloc(1, sizeof *id + data.len);
	NOTE(objects);
	id->references = 1;
	id->kind = (uint8_t)kind;
	id->len = (uint16_t)data.len;
	memcpy(id->data, data.data, data.len);
	return id;
}

struct identity *identity_ref(const struct identity *id)
{
	return take_reference(&id->references);
}

void identity_unref(const struct identity *id)
{
	if (id != NULL && drop_reference(&id->references)) {
		free((void *)(uintptr_t)id);
	}
}

bool identity_equal(const struct identity *a, const struct identity *b)
{
	return a->len == b->len && memcmp(a->data, b->data, a->len) == 0;
}

/* No test has anything that goes with its Child SAs. */
void ike_engine_updown_done(struct ike_engine *engine, uint64_t token,
	enum ike_updown_result result, const char *why)
{
	(void)engine;
	(void)token;
	(void)result;
	(void)why;
}

const char *identity_text(const struct identity *id, char out[IDENTITY_TEXT_MAX])
{
	(void)id;
	return strcpy(out, "somebody");
}

uint64_t identity_hash(const struct identity *id)
{
	return id->kind;
}
