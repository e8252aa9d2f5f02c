#include "updown_fixture.h"

#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

bool enter_namespace(void)
{
	return unshare(CLONE_NEWNET) == 0 && system("ip link set lo up") == 0;
}

void make_devices(void)
{
	assert_int_equal(shell("ip link add dev0 type veth peer name dev1 && ip link set dev0 up && "
			       "ip link set dev1 up && ip link add lan0 type veth peer name lan1 && "
			       "ip link set lan0 up && ip link set lan1 up && "
			       "ip addr add 192.0.2.1/24 dev dev0 && "
			       "ip addr add 2001:db8::1/64 dev dev0 nodad && "
			       "ip addr add 10.9.0.1/24 dev lan0"),
		0);
}

void asker_start(struct asker *a, const struct updown_config *config)
{
	char error[200];

	snprintf(a->directory, sizeof(a->directory), "/tmp/updown-test-XXXXXX");
	assert_non_null(mkdtemp(a->directory));
	a->updown = updown_start(config, error, sizeof(error));
	assert_non_null(a->updown);
	a->port = updown_port_open(a->updown);
	assert_non_null(a->port);
}

void asker_stop(struct asker *a)
{
	updown_stop(a->updown, 5000, false);
	shell("rm -r %s", a->directory);
}

static void add_variable(char **text, size_t *len, const char *variable)
{
	size_t more = strlen(variable) + 1;

	*text = realloc(*text, *len + more);
	memcpy(*text + *len, variable, more);
	*len += more;
}

struct updown_request *request_of(struct asker *a, enum updown_op op, uint64_t token,
	uint64_t connection, const char *pair, const char *command)
{
	struct updown_request *r = updown_request_new(op, pair ? 1 : 0);
	char local[64], remote[64], text[128];

	r->token = token;
	r->connection = connection;
	r->tunnel = true;
	r->initiator = true;
	ip_parse("192.0.2.1", &r->me);
	ip_parse("192.0.2.2", &r->peer);
	snprintf(text, sizeof(text), "c%llu", (unsigned long long)connection);
	r->name = strdup(text);
	snprintf(text, sizeof(text), "\"c%llu\": ", (unsigned long long)connection);
	r->prefix = strdup(text);
	r->command = command ? strdup(command) : NULL;
	snprintf(text, sizeof(text), "DIR=%s", a->directory);
	add_variable(&r->environment, &r->environment_len, text);
	snprintf(text, sizeof(text), "TOKEN=%llu", (unsigned long long)token);
	add_variable(&r->environment, &r->environment_len, text);
	if (pair) {
		assert_int_equal(sscanf(pair, "%63s %63s", local, remote), 2);
		assert_true(traffic_selector_parse(local, &r->pairs[0].local));
		assert_true(traffic_selector_parse(remote, &r->pairs[0].remote));
	}
	return r;
}

struct updown_answer answer_of(struct asker *a)
{
	static struct updown_answer *waiting;
	struct updown_answer out, *first;

	for (unsigned i = 0; i < 300 && !waiting; i++) {
		struct pollfd p = {updown_port_fd(a->port), POLLIN, 0};

		waiting = updown_port_take(a->port);
		if (!waiting) {
			poll(&p, 1, 5);
			usleep(100000 * (p.revents != 0 && i > 2));
			usleep(20000);
			waiting = updown_port_take(a->port);
		}
	}
	assert_non_null(waiting);
	first = waiting;
	out = *first;
	waiting = first->next;
	free(first);
	return out;
}

void bring_up(struct asker *a, struct updown_request *r)
{
	struct updown_answer answer;
	uint64_t token = r->token;

	updown_submit(a->port, r);
	answer = answer_of(a);
	assert_int_equal(answer.token, token);
	if (!answer.ok)
		print_error("%s\n", answer.why);
	assert_true(answer.ok);
}

void bring_down(struct asker *a, uint64_t token)
{
	updown_submit(a->port, request_of(a, UPDOWN_DOWN, token, 0, NULL, NULL));
}

void unroute(struct asker *a, uint64_t connection)
{
	updown_submit(a->port, request_of(a, UPDOWN_UNROUTE, 0, connection, NULL, NULL));
}

void settle(struct asker *a)
{
	usleep(50000);
	for (unsigned i = 0; i < 3000; i++) {
		if (!updown_stats(a->updown).waiting)
			return;
		usleep(10000);
	}
	fail_msg("updown does not come to rest");
}

char *trace_of(const struct asker *a)
{
	char path[128], *text = calloc(1, 65536);
	FILE *f;

	snprintf(path, sizeof(path), "%s/trace", a->directory);
	f = fopen(path, "r");
	if (f) {
		assert_true(fread(text, 1, 65535, f) < 65535);
		fclose(f);
	}
	return text;
}

int shell(const char *format, ...)
{
	char command[1024];
	va_list args;

	va_start(args, format);
	vsnprintf(command, sizeof(command), format, args);
	va_end(args);
	return system(command);
}

const char *output_of(const char *format, ...)
{
	static char line[512];
	char command[1024];
	va_list args;
	FILE *f;

	va_start(args, format);
	vsnprintf(command, sizeof(command), format, args);
	va_end(args);
	line[0] = '\0';
	f = popen(command, "r");
	if (f && fgets(line, sizeof(line), f))
		line[strcspn(line, "\n")] = '\0';
	if (f)
		pclose(f);
	return line;
}
