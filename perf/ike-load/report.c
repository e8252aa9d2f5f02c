#include "report.h"

#include <stdio.h>
#include <stdlib.h>

#define STEP_US 100000 /* of the time series */

static uint64_t sum(const struct options *o, const struct generator *g, const char *key)
{
	uint64_t total = 0;

	for (unsigned i = 0; i < o->shards; i++)
		total += generator_counter(&g[i], key);
	return total;
}

uint64_t tunnels_up(const struct options *o, const struct generator *g)
{
	return sum(o, g, "current.states.ipsec");
}

static struct datagram_counts traffic(const struct options *o, const struct generator *g)
{
	struct datagram_counts total = {0};

	for (unsigned i = 0; i < 2 * o->shards; i++) {
		const struct datagram_counts *c =
			datagrams_counts(i % 2 ? g[i / 2].nat : g[i / 2].plain);

		total.sent += c->sent;
		total.received += c->received;
		total.bytes_sent += c->bytes_sent;
		total.bytes_received += c->bytes_received;
		total.send_errors += c->send_errors;
	}
	return total;
}

/* ---- latencies ----------------------------------------------------------------------- */

struct latencies {
	uint32_t *us; /* sorted */
	size_t count;
};

static int compare(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

/* Of the tunnels that came up: how long each took, or (`since` not 0) when it was up. */
static struct latencies collect(const struct options *o, const struct generator *g, uint64_t since)
{
	struct latencies l = {.us = calloc(o->tunnels, sizeof(uint32_t))};

	for (unsigned s = 0; l.us && s < o->shards; s++) {
		for (unsigned i = 0; i < g[s].count; i++) {
			const struct tunnel *t = &g[s].tunnels[i];
			uint64_t began_us = since ? (t->began_ns - since) / 1000 : 0;

			if (t->latency_us)
				l.us[l.count++] = (uint32_t)(began_us + t->latency_us);
		}
	}
	if (l.us)
		qsort(l.us, l.count, sizeof(uint32_t), compare);
	return l;
}

/* The smallest latency that is not exceeded by this share of the tunnels, in ms. */
static double percentile(const struct latencies *l, double share)
{
	size_t rank = (size_t)(share * l->count);

	if (!l->count)
		return 0;
	if (rank >= l->count)
		rank = l->count - 1;
	return l->us[rank] / 1e3;
}

/* ---- set-up --------------------------------------------------------------------------- */

struct setup {
	double seconds;
	struct latencies latencies, up_after;
	struct causes causes;
	struct datagram_counts traffic;
	uint64_t retransmits;
	uint64_t rate_over_time_len;
};

static struct setup setup_of(const struct options *o, const struct generator *g)
{
	struct setup s = {.latencies = collect(o, g, 0), .traffic = traffic(o, g)};
	uint64_t start = UINT64_MAX, end = 0;

	for (unsigned i = 0; i < o->shards; i++) {
		start = g[i].start_ns < start ? g[i].start_ns : start;
		end = g[i].end_ns > end ? g[i].end_ns : end;
		causes_merge(&s.causes, &g[i].causes);
	}
	s.seconds = (end - start) / 1e9;
	s.up_after = collect(o, g, start);
	s.rate_over_time_len = (uint64_t)s.seconds + 1;
	if (s.rate_over_time_len > SECONDS_MAX)
		s.rate_over_time_len = SECONDS_MAX;
	s.retransmits = sum(o, g, "plutonium.ikev2.retransmits");
	return s;
}

static uint64_t in_second(const struct options *o, const struct generator *g, uint64_t second)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < o->shards; i++)
		n += g[i].per_second[second];
	return n;
}

/* How many were up by then, a tenth of a second after the other. */
static void up_over_time(const struct latencies *up_after)
{
	size_t n = 0;

	for (uint64_t until_us = STEP_US; n < up_after->count; until_us += STEP_US) {
		while (n < up_after->count && up_after->us[n] <= until_us)
			n++;
		printf("%s%zu", until_us > STEP_US ? ", " : "", n);
	}
}

/* When this share of all tunnels, failed ones included, was up. */
static void up_after(const struct options *o, const struct setup *s, unsigned percent)
{
	size_t wanted = ((size_t)o->tunnels * percent + 99) / 100;

	printf("%s\"%u\": ", percent > 50 ? ", " : "", percent);
	if (s->up_after.count < wanted)
		fputs("null", stdout);
	else
		printf("%.6f", s->up_after.us[wanted - 1] / 1e6);
}

static void json_text(const char *text)
{
	putchar('"');
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			printf("\\%c", *text);
		else if ((unsigned char)*text < ' ' || (unsigned char)*text > '~')
			printf("\\u%04x", (unsigned char)*text);
		else
			putchar(*text);
	}
	putchar('"');
}

static void setup_json(const struct options *o, const struct generator *g, const struct setup *s)
{
	const struct latencies *l = &s->latencies;

	printf("{\"phase\": \"setup\", \"tunnels\": %u, \"established\": %zu, \"seconds\": %.6f, "
	       "\"per_second\": %.1f, \"latency_ms\": {\"p50\": %.3f, \"p90\": %.3f, \"p99\": "
	       "%.3f, "
	       "\"p99.9\": %.3f, \"max\": %.3f}, \"retransmits\": %llu, ",
		o->tunnels, l->count, s->seconds, s->seconds > 0 ? l->count / s->seconds : 0,
		percentile(l, .5), percentile(l, .9), percentile(l, .99), percentile(l, .999),
		percentile(l, 1), (unsigned long long)s->retransmits);
	printf("\"datagrams_sent\": %llu, \"datagrams_received\": %llu, \"bytes_sent\": %llu, "
	       "\"bytes_received\": %llu, \"send_errors\": %llu, \"failed\": {",
		(unsigned long long)s->traffic.sent, (unsigned long long)s->traffic.received,
		(unsigned long long)s->traffic.bytes_sent,
		(unsigned long long)s->traffic.bytes_received,
		(unsigned long long)s->traffic.send_errors);
	for (unsigned i = 0; i < s->causes.count; i++) {
		fputs(i ? ", " : "", stdout);
		json_text(s->causes.causes[i].text);
		printf(": %llu", (unsigned long long)s->causes.causes[i].times);
	}
	fputs("}, \"up_after_s\": {", stdout);
	up_after(o, s, 50);
	up_after(o, s, 99);
	up_after(o, s, 100);
	fputs("}, \"up_each_100_ms\": [", stdout);
	up_over_time(&s->up_after);
	fputs("], \"over_time\": [", stdout);
	for (uint64_t i = 0; i < s->rate_over_time_len; i++)
		printf("%s%llu", i ? ", " : "", (unsigned long long)in_second(o, g, i));
	puts("]}");
}

static void setup_text(const struct options *o, const struct generator *g, const struct setup *s)
{
	const struct latencies *l = &s->latencies;

	printf("%zu of %u tunnels in %.3f s: %.0f a second\n", l->count, o->tunnels, s->seconds,
		s->seconds > 0 ? l->count / s->seconds : 0);
	printf("set-up latency, ms: p50 %.2f  p90 %.2f  p99 %.2f  p99.9 %.2f  max %.2f\n",
		percentile(l, .5), percentile(l, .9), percentile(l, .99), percentile(l, .999),
		percentile(l, 1));
	printf("%llu retransmits; %llu datagrams (%llu bytes) out, %llu (%llu bytes) in, %llu not "
	       "sent\n",
		(unsigned long long)s->retransmits, (unsigned long long)s->traffic.sent,
		(unsigned long long)s->traffic.bytes_sent, (unsigned long long)s->traffic.received,
		(unsigned long long)s->traffic.bytes_received,
		(unsigned long long)s->traffic.send_errors);
	for (unsigned i = 0; i < s->causes.count; i++)
		printf("failed: %llu: %s\n", (unsigned long long)s->causes.causes[i].times,
			s->causes.causes[i].text);
	fputs("each second:", stdout);
	for (uint64_t i = 0; i < s->rate_over_time_len; i++)
		printf(" %llu", (unsigned long long)in_second(o, g, i));
	putchar('\n');
}

void report_setup(const struct options *o, const struct generator *g)
{
	struct setup s = setup_of(o, g);

	if (o->json)
		setup_json(o, g, &s);
	else
		setup_text(o, g, &s);
	fflush(stdout);
	free(s.latencies.us);
	free(s.up_after.us);
}

/* ---- afterwards ------------------------------------------------------------------------ */

struct held held_now(const struct options *o, const struct generator *g)
{
	return (struct held){
		.up = tunnels_up(o, g), .established = sum(o, g, "total.ikev2.child.established")};
}

void report_hold(
	const struct options *o, const struct generator *g, double seconds, struct held before)
{
	unsigned long long up = tunnels_up(o, g);
	unsigned long long checks = sum(o, g, "total.ike.dpd.sent"),
			   answered = sum(o, g, "total.ike.dpd.recv"),
			   rekeyed = held_now(o, g).established - before.established;

	printf(o->json ? "{\"phase\": \"hold\", \"seconds\": %.3f, \"up_before\": %llu, "
			 "\"up_after\": "
			 "%llu, \"dpd_sent\": %llu, \"dpd_received\": %llu, \"rekeyed\": "
			 "%llu}\n"
		       : "held for %.1f s: %llu tunnels before, %llu after; %llu liveness checks "
			 "sent, %llu received; %llu Child SAs rekeyed\n",
		seconds, (unsigned long long)before.up, up, checks, answered, rekeyed);
	fflush(stdout);
}

void report_delete(const struct options *o, const struct generator *g, double seconds)
{
	unsigned long long left = tunnels_up(o, g);

	printf(o->json ? "{\"phase\": \"delete\", \"seconds\": %.3f, \"left\": %llu}\n"
		       : "taken down in %.3f s, %llu left\n",
		seconds, left);
	fflush(stdout);
}
