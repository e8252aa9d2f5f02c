/* crypto_bench [--json] [--report FILE] [--seconds N] [--only TEXT]: a table of what cryptography
 * costs here. */
#include "bench.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { BENCHES_MAX = 640, SECONDS_MAX = 3600 };

#define RUN_MS_MIN 2.0
#define RUN_MS_MAX 200.0

struct bench_list {
	struct bench bench[BENCHES_MAX];
	size_t count;
};

struct options {
	bool json;
	FILE *report; /* the JSON, beside the table */
	long seconds;
	const char *only;
};

void bench_add(struct bench_list *list, const struct bench *bench)
{
	if (list->count == BENCHES_MAX) {
		fputs("crypto_bench: its list is too short\n", stderr);
		exit(1);
	}
	list->bench[list->count++] = *bench;
}

void bench_add_by_threads(struct bench_list *list, const struct bench *bench)
{
	struct bench b = *bench;

	b.threads = 1;
	bench_add(list, &b);
	b.threads = BENCH_THREADS_MAX;
	bench_add(list, &b);
}

static double now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void usage(FILE *to)
{
	fputs("usage: crypto_bench [--json] [--report FILE] [--seconds N] [--only TEXT]\n"
	      "  --json         the table as JSON\n"
	      "  --report FILE  the JSON into a file, besides\n"
	      "  --seconds N    how long all of it may take, about (100)\n"
	      "  --only TEXT    only what has TEXT in kind, name or provider\n",
		to);
}

/* -1: go on; else what to exit with. */
static int parse(int argc, char **argv, struct options *o)
{
	static const struct option long_options[] = {
		{"json", no_argument, NULL, 'j'},
		{"report", required_argument, NULL, 'r'},
		{"seconds", required_argument, NULL, 's'},
		{"only", required_argument, NULL, 'o'},
		{"help", no_argument, NULL, 'h'},
		{0},
	};
	char *end;
	int c;

	*o = (struct options){.seconds = 100};
	while ((c = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
		switch (c) {
		case 'j':
			o->json = true;
			break;
		case 'o':
			o->only = optarg;
			break;
		case 'r':
			if (o->report)
				fclose(o->report);
			o->report = fopen(optarg, "w");
			if (!o->report) {
				fprintf(stderr, "crypto_bench: %s: %s\n", optarg, strerror(errno));
				return 2;
			}
			break;
		case 's':
			errno = 0;
			o->seconds = strtol(optarg, &end, 10);
			if (errno || end == optarg || *end || o->seconds < 1 ||
				o->seconds > SECONDS_MAX) {
				fprintf(stderr,
					"crypto_bench: --seconds %s is not between 1 and %d\n",
					optarg, SECONDS_MAX);
				return 2;
			}
			break;
		case 'h':
			usage(stdout);
			return 0;
		default:
			usage(stderr);
			return 2;
		}
	}
	if (optind < argc) {
		usage(stderr);
		return 2;
	}
	return -1;
}

static bool is_wanted(const struct bench *b, const char *only)
{
	return !only || strstr(b->what, only) || strstr(b->name, only) || strstr(b->provider, only);
}

static void json_row(FILE *to, const struct bench *b, const struct bench_result *r, bool first)
{
	fprintf(to,
		"%s {\"kind\": \"%s\", \"name\": \"%s\", \"provider\": \"%s\", \"batch\": %u, "
		"\"threads\": %u, \"runs\": %d, \"us_per_operation\": %.4f, "
		"\"us_min\": %.4f, \"us_max\": %.4f, \"operations_per_second\": %.1f, "
		"\"per_second_min\": %.1f, \"per_second_max\": %.1f}",
		first ? "[\n" : ",\n", b->what, b->name, b->provider, b->batch, b->threads,
		BENCH_RUNS, r->us, r->us_min, r->us_max, r->per_second, r->per_second_min,
		r->per_second_max);
	fflush(to);
}

static void print_head(void)
{
	printf("%-13s %-24s %-18s %5s %7s %10s %10s %8s %12s\n", "", "", "provider", "batch",
		"threads", "us/op", "least", "spread", "op/s");
}

/* On a machine that does other things too, the least of the runs tells most of the cost. The spread
 * is from the least to the most of the runs, as a share of their median. */
static void print_row(
	const struct options *o, const struct bench *b, const struct bench_result *r, bool first)
{
	double spread = r->us > 0 ? (r->us_max - r->us_min) * 100 / r->us : 0;

	if (o->report)
		json_row(o->report, b, r, first);
	if (o->json) {
		json_row(stdout, b, r, first);
		return;
	}
	if (first)
		print_head();
	printf("%-13s %-24s %-18s %5u %7u %10.2f %10.2f %7.1f%% %12.0f\n", b->what, b->name,
		b->provider, b->batch, b->threads, r->us, r->us_min, spread, r->per_second);
	fflush(stdout);
}

/* False when the file cannot be written. */
static bool print_end(const struct options *o, bool any)
{
	const char *end = any ? "\n]\n" : "[]\n";

	if (o->json)
		fputs(end, stdout);
	if (!o->report)
		return true;
	fputs(end, o->report);
	return !ferror(o->report) && fclose(o->report) == 0;
}

static void show_progress(size_t done, size_t count, double left)
{
	if (isatty(STDERR_FILENO))
		fprintf(stderr, "\r%zu of %zu, %.0f s left \r", done, count, left);
}

/* What long operations take more, the rest takes less. */
static double run_ms(double left_s, size_t benches_left)
{
	/* a run of warming up for each five */
	double ms = left_s * 1000 / (double)benches_left / (BENCH_RUNS + 1);

	return ms < RUN_MS_MIN ? RUN_MS_MIN : ms > RUN_MS_MAX ? RUN_MS_MAX : ms;
}

int main(int argc, char **argv)
{
	static struct bench_list list;
	struct options o;
	size_t count = 0, printed = 0;
	int status = parse(argc, argv, &o);
	double deadline = now_s() + (double)o.seconds;

	if (status >= 0)
		return status;
	status = 0;
	bench_add_key_exchanges(&list);
	bench_add_nss(&list);
	bench_add_signatures(&list);
	bench_add_symmetric(&list);
	bench_add_ipsec_mb(&list);
	for (size_t i = 0; i < list.count; i++) {
		if (is_wanted(&list.bench[i], o.only))
			list.bench[count++] = list.bench[i];
	}
	for (size_t i = 0; i < count; i++) {
		const struct bench *b = &list.bench[i];
		double left = deadline - now_s();
		struct bench_result r;

		show_progress(i, count, left);
		r = bench_measure(b, run_ms(left, count - i));
		if (r.failed) {
			fprintf(stderr, "crypto_bench: %s by %s failed\n", b->name, b->provider);
			status = 1;
		} else if (r.available) {
			print_row(&o, b, &r, printed++ == 0);
		}
	}
	if (!print_end(&o, printed > 0)) {
		perror("crypto_bench: the report");
		status = 1;
	}
	return status;
}
