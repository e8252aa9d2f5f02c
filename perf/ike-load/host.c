/* What the engine asks of its host. SAs are installed nowhere: the answer is yes. */
#include "generator.h"

#include "base/secret.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

static struct generator *generator_of(struct ike_host *host)
{
	return (struct generator *)host;
}

uint64_t clock_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + t.tv_nsec;
}

static uint64_t host_now_ms(struct ike_host *host)
{
	return generator_of(host)->now_ms;
}

static uint64_t host_wall_s(struct ike_host *host)
{
	(void)host;
	return time(NULL);
}

static void fill_random(uint8_t *at, size_t len)
{
	while (len) {
		ssize_t n = getrandom(at, len, 0);

		if (n < 0 && errno != EINTR)
			abort(); /* no key is made without */
		if (n > 0) {
			at += n;
			len -= n;
		}
	}
}

static void host_random(struct ike_host *host, void *out, size_t len)
{
	struct generator *g = generator_of(host);

	if (len > sizeof(g->random)) {
		fill_random(out, len);
		return;
	}
	if (g->random_left < len) {
		fill_random(g->random, sizeof(g->random));
		g->random_left = sizeof(g->random);
	}
	g->random_left -= len;
	memcpy(out, g->random + g->random_left, len);
	secret_wipe(g->random + g->random_left, len);
}

static bool host_owns_spi(struct ike_host *host, uint64_t spi)
{
	(void)host;
	(void)spi;
	return true; /* each thread has ports of its own */
}

static void host_send(struct ike_host *host, const struct ike_path *path, struct bytes message)
{
	struct generator *g = generator_of(host);

	datagrams_send(path->non_esp_marker ? g->nat : g->plain, path, message);
}

static void host_keepalive(struct ike_host *host, const struct ike_path *path)
{
	(void)host; /* keep_alive_s is 0 */
	(void)path;
}

static void host_arm(struct ike_host *host, struct timer *timer, uint64_t due_ms)
{
	timer_arm(generator_of(host)->wheel, timer, due_ms);
}

static void host_cancel(struct ike_host *host, struct timer *timer)
{
	timer_cancel(generator_of(host)->wheel, timer);
}

/* --in-flight bounds the queue. */
static bool host_submit(struct ike_host *host, struct crypto_job *job)
{
	struct generator *g = generator_of(host);

	job->next = NULL;
	*g->last_job = job;
	g->last_job = &job->next;
	return true;
}

static unsigned host_load(struct ike_host *host)
{
	(void)host;
	return 0;
}

static uint32_t host_allocate_spi(struct ike_host *host)
{
	struct generator *g = generator_of(host);

	if (g->spi < 256) /* reserved (RFC 4303, section 2.1) */
		g->spi = 256;
	return g->spi++;
}

static void host_release_spi(struct ike_host *host, uint32_t spi)
{
	(void)host;
	(void)spi;
}

static bool ring_grow(struct answer_ring *ring)
{
	size_t capacity = ring->capacity ? ring->capacity * 2 : 256;
	struct ipsec_answer *bigger = calloc(capacity, sizeof(*bigger));

	if (!bigger)
		return false;
	for (size_t i = 0; i < ring->count; i++)
		bigger[i] = ring->answers[(ring->first + i) & (ring->capacity - 1)];
	free(ring->answers);
	*ring = (struct answer_ring){bigger, capacity, 0, ring->count};
	return true;
}

static void host_ipsec(struct ike_host *host, const struct ipsec_request *request)
{
	struct answer_ring *ring = &generator_of(host)->answers;
	struct ipsec_answer answer = {.op = request->op, .token = request->token};

	answer.counters.idle_ms = UINT64_MAX;
	if (ring->count == ring->capacity && !ring_grow(ring)) {
		fputs("ike_load: out of memory\n", stderr);
		abort(); /* an answer must come for each request */
	}
	ring->answers[(ring->first + ring->count++) & (ring->capacity - 1)] = answer;
}

static uint64_t host_serial(struct ike_host *host)
{
	return ++generator_of(host)->serial;
}

static uint32_t host_reqid(struct ike_host *host)
{
	(void)host;
	return 1; /* of templates, of which there are none */
}

/* Keeps the first warning or error about a tunnel, without the name in front: what follows is its
 * consequence. The line that tells of its end comes in the same event as the end. */
static void host_log(struct ike_host *host, enum log_severity severity, ike_watcher watcher,
	enum ike_rc code, const char *line, size_t len)
{
	struct generator *g = generator_of(host);
	const char *text = memmem(line, len, ": ", 2);
	size_t skip = text ? (size_t)(text - line) + 2 : 0;

	(void)code;
	if (!watcher || g->said_of == watcher ||
		(severity != LOG_LINE_WARNING && severity != LOG_LINE_ERROR))
		return;
	g->said_of = watcher;
	snprintf(g->said, sizeof(g->said), "%.*s", (int)(len - skip), line + skip);
}

/* Called while the tunnel's own last event is being handled: a Child SA that has just been counted
 * is this tunnel's. */
static void host_release_watcher(struct ike_host *host, ike_watcher watcher)
{
	struct generator *g = generator_of(host);
	uint64_t established = counter_read(&g->counters, g->child_counter);
	struct tunnel *t = &g->tunnels[watcher - 1];
	uint64_t now = clock_ns(), second;

	if (g->given_up)
		return;
	g->finished++;
	g->in_flight--;
	if (established == g->child_established) {
		causes_count(&g->causes, g->said_of == watcher ? g->said : "(no reason given)", 1);
	} else {
		t->latency_us = (uint32_t)((now - t->began_ns) / 1000);
		t->latency_us += t->latency_us == 0;
		second = (now - g->start_ns) / 1000000000u;
		g->per_second[second < SECONDS_MAX ? second : SECONDS_MAX - 1]++;
		g->end_ns = now;
	}
	g->child_established = established;
	g->said_of = 0;
}

static void host_tell(struct ike_host *host, const struct ike_news *news)
{
	(void)host;
	(void)news;
}

static bool host_no(struct ike_host *host, uint64_t half_open)
{
	(void)host;
	(void)half_open;
	return false;
}

void generator_host_init(struct generator *g)
{
	g->host = (struct ike_host){
		.now_ms = host_now_ms,
		.wall_s = host_wall_s,
		.random = host_random,
		.owns_spi = host_owns_spi,
		.send = host_send,
		.send_keepalive = host_keepalive,
		.arm = host_arm,
		.cancel = host_cancel,
		.submit = host_submit,
		.load = host_load,
		.allocate_spi = host_allocate_spi,
		.release_spi = host_release_spi,
		.ipsec = host_ipsec,
		.new_serial = host_serial,
		.new_reqid = host_reqid,
		.log = host_log,
		.release_watcher = host_release_watcher,
		.tell = host_tell,
		.require_cookie = host_no,
		.refuse_new = host_no,
	};
}
