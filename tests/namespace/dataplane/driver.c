/* A dataplane without an IKE daemon, for tests: ports are arguments, SAs and policies come in as lines on standard
 * input, answers, events and statistics go out as lines.
 *
 *   dataplane_driver [--lcores N] [--idle US] DEVICE[=TWIN] ...
 *   sa dir=in spi=0x1000 mode=tunnel local=192.0.2.1 remote=192.0.2.2 encr=20 key=HEX [integ=12 ikey=HEX]
 *      reqid=1 [lport=4500 rport=4500] [esn=1] [window=128] [soft=N] [hard=N] lts=10.1.0.0/24 rts=10.2.0.0/24
 *   move | query | delete  dir= spi= remote= [local=] [lport= rport=] [reqid=]
 *   policy | unpolicy  reqid= [action=protect|bypass|discard] [prio=] [trap=1] lts= rts=
 *   spi | stats | quit
 */
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "dataplane/dataplane.h"

#define SELECTORS 8

struct line {
	struct ipsec_sa sa;
	struct ipsec_policy policy;
	struct traffic_selector lts[SELECTORS], rts[SELECTORS];
	unsigned lts_count, rts_count;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t answered = PTHREAD_COND_INITIALIZER;
static unsigned answers;

static void on_answer(void *arg, const struct ipsec_answer *a)
{
	(void)arg;
	pthread_mutex_lock(&lock);
	printf("answer op=%d error=%d bytes=%" PRIu64 " packets=%" PRIu64 " replayed=%" PRIu64
	       " failed_auth=%" PRIu64 " bad_selector=%" PRIu64 "\n",
		a->op, a->error, a->counters.bytes, a->counters.packets, a->counters.replayed,
		a->counters.failed_auth, a->counters.bad_selector);
	fflush(stdout);
	answers++;
	pthread_cond_signal(&answered);
	pthread_mutex_unlock(&lock);
}

static void on_event(void *arg, const struct ipsec_event *e)
{
	static const char *const names[] = {"acquire", "soft", "hard", "moved"};
	char remote[IP_RANGE_TEXT_MAX] = "-", lts[TRAFFIC_SELECTOR_TEXT_MAX] = "-",
	     rts[TRAFFIC_SELECTOR_TEXT_MAX] = "-";
	(void)arg;
	if (e->kind == IPSEC_REMOTE_MOVED)
		ip_endpoint_text(&e->remote, remote);
	if (e->kind == IPSEC_ACQUIRE) {
		traffic_selector_text(&e->local_ts, lts);
		traffic_selector_text(&e->remote_ts, rts);
	}
	pthread_mutex_lock(&lock);
	printf("event %s spi=0x%x reqid=%u remote=%s lts=%s rts=%s\n", names[e->kind], e->spi, e->reqid,
		remote, lts, rts);
	fflush(stdout);
	pthread_mutex_unlock(&lock);
}

static uint16_t hex_bytes(const char *text, uint8_t *out)
{
	unsigned n = 0, v;
	for (; n < IPSEC_KEY_MAX && sscanf(text, "%2x", &v) == 1 && text[0] && text[1]; text += 2)
		out[n++] = (uint8_t)v;
	return (uint16_t)n;
}

static bool take_selector(const char *text, struct traffic_selector *ts, unsigned *count)
{
	return *count < SELECTORS && traffic_selector_parse(text, &ts[(*count)++]);
}

static bool take_word(struct line *l, const char *key, const char *value)
{
	struct ipsec_sa *sa = &l->sa;
	uint64_t n = strtoull(value, NULL, 0);
	if (strcmp(key, "dir") == 0)
		sa->direction = strcmp(value, "in") == 0 ? IPSEC_INBOUND : IPSEC_OUTBOUND;
	else if (strcmp(key, "spi") == 0)
		sa->spi = (uint32_t)n;
	else if (strcmp(key, "mode") == 0)
		sa->mode = strcmp(value, "transport") == 0 ? IPSEC_TRANSPORT : IPSEC_TUNNEL;
	else if (strcmp(key, "local") == 0)
		return ip_parse(value, &sa->local.address);
	else if (strcmp(key, "remote") == 0)
		return ip_parse(value, &sa->remote.address);
	else if (strcmp(key, "lport") == 0)
		sa->local.port = (uint16_t)n;
	else if (strcmp(key, "rport") == 0)
		sa->remote.port = (uint16_t)n;
	else if (strcmp(key, "encr") == 0)
		sa->encr = (uint16_t)n;
	else if (strcmp(key, "key") == 0)
		sa->encr_key_len = hex_bytes(value, sa->encr_key);
	else if (strcmp(key, "integ") == 0)
		sa->integ = (uint16_t)n;
	else if (strcmp(key, "ikey") == 0)
		sa->integ_key_len = hex_bytes(value, sa->integ_key);
	else if (strcmp(key, "reqid") == 0)
		sa->reqid = l->policy.reqid = (uint32_t)n;
	else if (strcmp(key, "esn") == 0)
		sa->esn = n != 0;
	else if (strcmp(key, "window") == 0)
		sa->replay_window = (uint32_t)n;
	else if (strcmp(key, "soft") == 0)
		sa->limits.soft_packets = n;
	else if (strcmp(key, "hard") == 0)
		sa->limits.hard_packets = n;
	else if (strcmp(key, "prio") == 0)
		l->policy.priority = (uint32_t)n;
	else if (strcmp(key, "trap") == 0)
		l->policy.trap = n != 0;
	else if (strcmp(key, "action") == 0)
		l->policy.action = strcmp(value, "bypass") == 0 ? IPSEC_BYPASS
			: strcmp(value, "discard") == 0         ? IPSEC_DISCARD
								: IPSEC_PROTECT;
	else if (strcmp(key, "lts") == 0)
		return take_selector(value, l->lts, &l->lts_count);
	else if (strcmp(key, "rts") == 0)
		return take_selector(value, l->rts, &l->rts_count);
	else
		return false;
	return true;
}

static bool parse(char *words, struct line *l)
{
	char *save = NULL;
	*l = (struct line){0};
	l->sa.protocol = IPSEC_ESP;
	for (char *word = strtok_r(words, " \n", &save); word; word = strtok_r(NULL, " \n", &save)) {
		char *value = strchr(word, '=');
		if (!value)
			return false;
		*value++ = 0;
		if (!take_word(l, word, value)) {
			fprintf(stderr, "driver: bad %s=%s\n", word, value);
			return false;
		}
	}
	l->sa.udp_encapsulation = l->sa.local.port != 0;
	l->sa.local_ts = l->policy.local_ts = l->lts;
	l->sa.remote_ts = l->policy.remote_ts = l->rts;
	l->sa.local_ts_count = l->policy.local_ts_count = l->lts_count;
	l->sa.remote_ts_count = l->policy.remote_ts_count = l->rts_count;
	return true;
}

static void print_stats(const struct dataplane *dp)
{
	struct dataplane_stats stats = dataplane_stats(dp);
	const char *name;
	uint64_t value;
	pthread_mutex_lock(&lock);
	printf("stats");
	for (size_t i = 0; dataplane_stat_at(&stats, i, &name, &value); i++)
		printf(" %s=%" PRIu64, name, value);
	printf("\n");
	fflush(stdout);
	pthread_mutex_unlock(&lock);
}

static bool op_of(const char *command, enum ipsec_op *op)
{
	static const struct { const char *name; enum ipsec_op op; } ops[] = {
		{"sa", IPSEC_SA_ADD}, {"delete", IPSEC_SA_DELETE}, {"query", IPSEC_SA_QUERY},
		{"move", IPSEC_SA_MOVE}, {"policy", IPSEC_POLICY_ADD}, {"unpolicy", IPSEC_POLICY_DELETE},
	};
	for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++) {
		if (strcmp(ops[i].name, command) == 0) {
			*op = ops[i].op;
			return true;
		}
	}
	return false;
}

static bool submit(struct dataplane *dp, const struct dataplane_client *client, const char *command, char *words)
{
	struct line l;
	struct ipsec_request request = {0};
	if (!op_of(command, &request.op) || !parse(words, &l))
		return false;
	if (request.op == IPSEC_POLICY_ADD || request.op == IPSEC_POLICY_DELETE)
		request.policy = l.policy;
	else
		request.sa = l.sa;
	pthread_mutex_lock(&lock);
	unsigned before = answers;
	pthread_mutex_unlock(&lock);
	if (!dataplane_submit(dp, client, &request))
		return false;
	pthread_mutex_lock(&lock);
	while (answers == before)
		pthread_cond_wait(&answered, &lock);
	pthread_mutex_unlock(&lock);
	return true;
}

static void serve(struct dataplane *dp, const struct dataplane_client *client)
{
	char text[4096];
	while (fgets(text, sizeof(text), stdin)) {
		char *words = strpbrk(text, " \n");
		if (words)
			*words++ = 0;
		if (strcmp(text, "quit") == 0)
			return;
		if (strcmp(text, "stats") == 0) {
			print_stats(dp);
		} else if (strcmp(text, "spi") == 0) {
			printf("spi 0x%x\n", dataplane_allocate_spi(dp));
			fflush(stdout);
		} else if (!words || !submit(dp, client, text, words)) {
			printf("bad %s\n", text);
			fflush(stdout);
		}
	}
}

int main(int argc, char **argv)
{
	struct dataplane_config config = {0};
	struct log_config log = {.sink = LOG_TO_STDERR};
	char error[256] = "";
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--lcores") == 0 && i + 1 < argc) {
			config.lcore_count = (unsigned)atoi(argv[++i]);
		} else if (strcmp(argv[i], "--idle") == 0 && i + 1 < argc) {
			config.idle_sleep_us = (unsigned)atoi(argv[++i]);
		} else if (config.port_count < DATAPLANE_PORTS_MAX) {
			struct dataplane_port *port = &config.ports[config.port_count++];
			char *twin = strrchr(argv[i], '=');
			port->device = argv[i];
			/* a DPDK device string has its own '=': a twin follows the last, without a comma */
			if (twin && !strchr(argv[i], ',')) {
				*twin = 0;
				port->twin = twin + 1;
			}
		}
	}
	if (!log_start(&log, error, sizeof(error))) {
		fprintf(stderr, "driver: %s\n", error);
		return 1;
	}
	struct dataplane *dp = dataplane_start(&config, error, sizeof(error));
	if (!dp) {
		fprintf(stderr, "driver: %s\n", error);
		log_stop();
		return 1;
	}
	struct dataplane_client client = {NULL, on_answer, on_event};
	dataplane_set_event_client(dp, &client);
	printf("ready\n");
	fflush(stdout);
	serve(dp, &client);
	dataplane_stop(dp);
	log_stop();
	return 0;
}
