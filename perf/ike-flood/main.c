/* Sends IKE_SA_INIT requests from addresses that are not its own, at a steady rate, for a while:
 * what a responder's cookies are for (RFC 7296, section 2.6). Only ever within a network namespace
 * that was made for it. */
#include "request.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define BATCH       64
#define SECONDS_MAX 600
#define RATE_MAX    10000000
#define COUNT_MAX   1000000000

static const char usage_text[] =
	"usage: ike_flood --responder ADDRESS [--rate R] [--seconds S] [--count N] [--sources "
	"PREFIX]\n"
	"Sends IKE_SA_INIT requests with random sources, SPIs and nonces to port 500.\n"
	"  --responder ADDRESS  IPv4\n"
	"  --rate R             requests a second (1000)\n"
	"  --seconds S          for so long, up to 600 (1)\n"
	"  --count N            no more than so many (1000000000)\n"
	"  --sources PREFIX     where they claim to be from (16.0.0.0/4)\n"
	"Prints one line of JSON at its end. Refuses to run in the machine's own network "
	"namespace.\n";

struct options {
	struct in_addr responder;
	unsigned long rate, seconds, count;
	uint32_t prefix;
	unsigned prefix_len;
};

struct flood {
	int fd;
	struct sockaddr_in to;
	struct dice dice;
	struct request requests[BATCH];
	struct iovec iov[BATCH];
	struct mmsghdr headers[BATCH];
	uint64_t sent, not_sent;
};

static volatile sig_atomic_t stopped;

static void on_signal(int number)
{
	(void)number;
	stopped = 1;
}

static void refuse(const char *what, const char *value)
{
	fprintf(stderr, "ike_flood: %s %s (see --help)\n", what, value);
	exit(2);
}

static unsigned long number(const char *option, const char *text, unsigned long max)
{
	char *end;
	unsigned long v = strtoul(text, &end, 10);

	if (*text < '0' || *text > '9' || *end || v < 1 || v > max)
		refuse(option, text);
	return v;
}

static void take_prefix(struct options *o, const char *text)
{
	char address[INET_ADDRSTRLEN];
	const char *slash = strchr(text, '/');
	struct in_addr a;

	if (!slash || (size_t)(slash - text) >= sizeof(address))
		refuse("--sources takes an IPv4 prefix, not", text);
	snprintf(address, sizeof(address), "%.*s", (int)(slash - text), text);
	if (inet_pton(AF_INET, address, &a) != 1)
		refuse("--sources takes an IPv4 prefix, not", text);
	o->prefix = ntohl(a.s_addr);
	o->prefix_len = (unsigned)number("--sources: bad prefix length", slash + 1, 32);
}

static struct options parse(int argc, char **argv)
{
	static const struct option long_options[] = {{"responder", required_argument, NULL, 'r'},
		{"rate", required_argument, NULL, 'R'}, {"seconds", required_argument, NULL, 's'},
		{"count", required_argument, NULL, 'c'}, {"sources", required_argument, NULL, 'p'},
		{"help", no_argument, NULL, 'h'}, {0}};
	struct options o = {.rate = 1000, .seconds = 1, .count = COUNT_MAX};
	int option;

	take_prefix(&o, "16.0.0.0/4");
	while ((option = getopt_long(argc, argv, "h", long_options, NULL)) != -1) {
		if (option == 'r' && inet_pton(AF_INET, optarg, &o.responder) != 1)
			refuse("--responder takes an IPv4 address, not", optarg);
		else if (option == 'R')
			o.rate = number(
				"--rate takes a number up to 10000000, not", optarg, RATE_MAX);
		else if (option == 's')
			o.seconds = number("--seconds takes 1 to 600, not", optarg, SECONDS_MAX);
		else if (option == 'c')
			o.count = number(
				"--count takes a number up to 1000000000, not", optarg, COUNT_MAX);
		else if (option == 'p')
			take_prefix(&o, optarg);
		else if (option == 'h') {
			fputs(usage_text, stdout);
			exit(0);
		} else if (option == '?')
			exit(2);
	}
	if (optind < argc || !o.responder.s_addr)
		refuse("needs --responder, and nothing but options;",
			optind < argc ? argv[optind] : "");
	return o;
}

/* Whoever starts it by mistake shall not flood a network: only where `ip netns` has made one. */
static bool in_a_named_namespace(void)
{
	struct stat ours, named;
	bool found = false;
	DIR *folder = opendir("/run/netns");

	if (folder && !stat("/proc/self/ns/net", &ours)) {
		for (struct dirent *e; !found && (e = readdir(folder));)
			found = !fstatat(dirfd(folder), e->d_name, &named, 0) &&
				named.st_ino == ours.st_ino && named.st_dev == ours.st_dev;
	}
	if (folder)
		closedir(folder);
	return found;
}

static bool prepare(struct flood *f, const struct options *o)
{
	f->to = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr = o->responder};
	f->dice = dice_new();
	/* With an IP header of our own (raw(7)): the source is ours to choose. */
	f->fd = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW);
	if (f->fd < 0) {
		perror("ike_flood: raw socket");
		return false;
	}
	for (unsigned i = 0; i < BATCH; i++) {
		if (!i && !request_prepare(&f->requests[0], o->responder)) {
			fputs("ike_flood: no X25519 keys\n", stderr);
			return false;
		}
		f->requests[i] = f->requests[0];
		f->iov[i] = (struct iovec){f->requests[i].bytes, f->requests[i].len};
		f->headers[i].msg_hdr = (struct msghdr){.msg_name = &f->to,
			.msg_namelen = sizeof(f->to),
			.msg_iov = &f->iov[i],
			.msg_iovlen = 1};
	}
	return true;
}

static uint64_t clock_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + t.tv_nsec;
}

static void send_some(struct flood *f, const struct options *o, unsigned n)
{
	int sent;

	for (unsigned i = 0; i < n; i++)
		request_vary(&f->requests[i], &f->dice, o->prefix, o->prefix_len);
	sent = sendmmsg(f->fd, f->headers, n, 0);
	f->sent += sent > 0 ? (unsigned)sent : 0;
	f->not_sent += n - (sent > 0 ? (unsigned)sent : 0);
}

/* Returns how long it took. What cannot be sent in time is made up for in the same second only: a
 * burst of seconds would be no steady rate. */
static uint64_t run(struct flood *f, const struct options *o)
{
	uint64_t start = clock_ns(), now, end = start + o->seconds * 1000000000u, done = 0;
	const struct timespec nap = {0, 200000};

	while ((now = clock_ns()) < end && !stopped && f->sent + f->not_sent < o->count) {
		uint64_t due = (uint64_t)((now - start) / 1e9 * o->rate) + 1;
		uint64_t left = o->count - f->sent - f->not_sent;

		if (due > done + o->rate)
			done = due - o->rate;
		if (due <= done) {
			nanosleep(&nap, NULL);
			continue;
		}
		left = due - done < left ? due - done : left;
		left = left < BATCH ? left : BATCH;
		send_some(f, o, (unsigned)left);
		done += left;
	}
	return clock_ns() - start;
}

int main(int argc, char **argv)
{
	struct options options = parse(argc, argv);
	static struct flood flood;
	double seconds;

	if (!in_a_named_namespace()) {
		fputs("ike_flood: this is no network namespace made by `ip netns add`\n", stderr);
		return 1;
	}
	signal(SIGINT, on_signal);
	signal(SIGTERM, on_signal);
	if (!prepare(&flood, &options))
		return 1;
	seconds = run(&flood, &options) / 1e9;
	printf("{\"sent\": %llu, \"not_sent\": %llu, \"seconds\": %.6f, \"per_second\": %.1f, "
	       "\"datagram_bytes\": %u}\n",
		(unsigned long long)flood.sent, (unsigned long long)flood.not_sent, seconds,
		flood.sent / seconds, flood.requests[0].len);
	close(flood.fd);
	return 0;
}
