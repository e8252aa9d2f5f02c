/* The kernel interface: its table of backends, "none", the host's addresses, and "dpdk" over a dataplane that this test
 * plays itself. */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dataplane/dataplane.h"
#include "kernel/kernel.h"

/* ---- a dataplane that keeps what it is asked, linked in place of the real one ---- */

#define PLAYED_MAX 20000

static struct {
	unsigned room;       /* requests it takes before it says "full" */
	unsigned count;
	struct dataplane_client clients[PLAYED_MAX];
	uint64_t tokens[PLAYED_MAX];
	enum ipsec_op ops[PLAYED_MAX];
	uint8_t last_key;
	struct traffic_selector last_ts;
	struct dataplane_client events;
	bool has_events;
} played;

bool dataplane_submit(struct dataplane *dp, const struct dataplane_client *client, const struct ipsec_request *request)
{
	(void)dp;
	if (played.room == 0)
		return false;
	played.room--;
	played.clients[played.count] = *client;
	played.tokens[played.count] = request->token;
	played.ops[played.count++] = request->op;
	if (request->op == IPSEC_SA_ADD) {
		played.last_key = request->sa.encr_key[0];
		if (request->sa.local_ts_count)
			played.last_ts = request->sa.local_ts[0];
	}
	return true;
}

uint32_t dataplane_allocate_spi(struct dataplane *dp)
{
	(void)dp;
	return 0x12345678;
}

void dataplane_release_spi(struct dataplane *dp, uint32_t spi)
{
	(void)dp;
	assert_int_equal(spi, 0x12345678);
}

void dataplane_set_event_client(struct dataplane *dp, const struct dataplane_client *client)
{
	(void)dp;
	played.has_events = client != NULL;
	if (client)
		played.events = *client;
}

bool dataplane_supports(uint16_t encr, uint16_t key_bits, uint16_t integ, bool esn)
{
	return encr == 20 && key_bits == 128 && integ == 0 && esn;
}

static void play_answer(unsigned i, int error)
{
	struct ipsec_answer answer = {.op = played.ops[i], .token = played.tokens[i], .error = error};
	played.clients[i].answer(played.clients[i].arg, &answer);
}

/* ---- what the channel's owner sees ---- */

struct owner {
	unsigned answers, events;
	struct ipsec_answer last;
	struct ipsec_event last_event;
	struct kernel_channel *resubmit; /* a request follows from each answer */
};

static void on_answer(void *arg, const struct ipsec_answer *answer)
{
	struct owner *o = arg;
	o->answers++;
	o->last = *answer;
	if (o->resubmit && o->answers < 10) {
		struct ipsec_request request = {.op = IPSEC_SA_QUERY, .token = answer->token + 1};
		kernel_channel_submit(o->resubmit, &request);
	}
}

static void on_event(void *arg, const struct ipsec_event *event)
{
	struct owner *o = arg;
	o->events++;
	o->last_event = *event;
}

static struct kernel *open_backend(const char *name)
{
	struct kernel_config config = {.backend = name, .dataplane = (struct dataplane *)&played};
	char error[200] = "";
	struct kernel *kernel = kernel_open(&config, error, sizeof(error));
	assert_non_null(kernel);
	assert_string_equal(kernel_name(kernel), name);
	return kernel;
}

static struct kernel_channel *open_channel(struct kernel *kernel, struct owner *owner)
{
	struct kernel_channel_config config = {owner, on_answer, on_event};
	struct kernel_channel *channel = kernel_channel_open(kernel, &config);
	assert_non_null(channel);
	return channel;
}

static void unknown_backends_are_named(void **state)
{
	static const char *const names[] = {"netkey", "", "klips"};
	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct kernel_config config = {.backend = names[i]};
		char error[200] = "";
		assert_null(kernel_open(&config, error, sizeof(error)));
		assert_non_null(strstr(error, names[i]));
		assert_true(strlen(error) > 10);
	}
	struct kernel_config config = {.backend = "dpdk"};
	char error[200] = "";
	assert_null(kernel_open(&config, error, sizeof(error)));
	assert_non_null(strstr(error, "dataplane"));
}

static void none_answers_at_the_next_poll(void **state)
{
	struct owner o = {0};
	struct kernel *kernel = open_backend("none");
	struct kernel_channel *c = open_channel(kernel, &o);
	(void)state;
	assert_true(kernel_channel_sleep(c));
	for (uint64_t i = 0; i < 1000; i++) {
		struct ipsec_request request = {.op = IPSEC_SA_ADD, .token = i};
		kernel_channel_submit(c, &request);
	}
	assert_int_equal(o.answers, 0);
	assert_int_equal(kernel_channel_pending(c), 1000);
	assert_false(kernel_channel_sleep(c));
	kernel_channel_poll(c);
	assert_int_equal(o.answers, 1000);
	assert_int_equal(o.last.token, 999);
	assert_int_equal(o.last.error, 0);
	assert_int_equal(kernel_channel_pending(c), 0);
	/* A request made by an answer is answered at the next poll. */
	o = (struct owner){.resubmit = c};
	struct ipsec_request request = {.op = IPSEC_SA_QUERY, .token = 1};
	kernel_channel_submit(c, &request);
	kernel_channel_poll(c);
	assert_int_equal(o.answers, 1);
	kernel_channel_poll(c);
	assert_int_equal(o.answers, 2);
	assert_int_equal(o.last.token, 2);
	kernel_channel_close(c);
	kernel_close(kernel);
}

static int compare_spi(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	return x < y ? -1 : x > y;
}

static void none_gives_each_spi_once(void **state)
{
	enum { COUNT = 300000 };
	struct owner o = {0};
	struct kernel *kernel = open_backend("none");
	struct kernel_channel *c[2] = {open_channel(kernel, &o), open_channel(kernel, &o)};
	uint32_t *spis = malloc(COUNT * sizeof(*spis));
	(void)state;
	for (unsigned i = 0; i < COUNT; i++)
		spis[i] = kernel_channel_allocate_spi(c[i & 1]);
	qsort(spis, COUNT, sizeof(*spis), compare_spi);
	assert_true(spis[0] >= 256);
	for (unsigned i = 1; i < COUNT; i++)
		assert_int_not_equal(spis[i - 1], spis[i]);
	free(spis);
	kernel_channel_close(c[0]);
	kernel_channel_close(c[1]);
	assert_true(kernel_supports(kernel, ENCR_AES_GCM_16, 256, 0, true));
	assert_true(kernel_supports(kernel, ENCR_AES_CBC, 128, INTEG_HMAC_SHA2_256_128, false));
	assert_false(kernel_supports(kernel, ENCR_AES_CBC, 128, 0, false));
	assert_false(kernel_supports(kernel, ENCR_AES_GCM_16, 100, 0, false));
	assert_false(kernel_supports(kernel, 999, 128, 0, false));
	kernel_close(kernel);
}

static void dpdk_brings_answers_back(void **state)
{
	struct owner o = {0};
	memset(&played, 0, sizeof(played));
	played.room = 1;
	struct kernel *kernel = open_backend("dpdk");
	struct kernel_channel *c = open_channel(kernel, &o);
	struct traffic_selector ts;
	(void)state;
	assert_true(played.has_events);
	assert_true(kernel_supports(kernel, 20, 128, 0, true));
	assert_false(kernel_supports(kernel, 20, 256, 0, true));
	assert_int_equal(kernel_channel_allocate_spi(c), 0x12345678);
	kernel_channel_release_spi(c, 0x12345678);
	assert_true(traffic_selector_parse("10.0.0.0/8", &ts));
	struct ipsec_request request = {.op = IPSEC_SA_ADD, .token = 77};
	request.sa.local_ts = request.sa.remote_ts = &ts;
	request.sa.local_ts_count = request.sa.remote_ts_count = 1;
	memset(request.sa.encr_key, 0x5a, sizeof(request.sa.encr_key));
	kernel_channel_submit(c, &request);
	request.token = 78; /* the dataplane is full: waits, with selectors and keys of its own */
	request.sa.encr_key[0] = 0x6b;
	kernel_channel_submit(c, &request);
	memset(&ts, 0, sizeof(ts));
	memset(&request, 0, sizeof(request));
	assert_int_equal(played.count, 1);
	assert_int_equal(kernel_channel_pending(c), 2);
	struct pollfd fd = {.fd = kernel_channel_fd(c), .events = POLLIN};
	assert_true(kernel_channel_sleep(c));
	assert_int_equal(poll(&fd, 1, 0), 0);
	play_answer(0, EEXIST);
	assert_int_equal(poll(&fd, 1, 0), 1);
	played.room = 5;
	kernel_channel_poll(c);
	assert_int_equal(o.answers, 1);
	assert_int_equal(o.last.token, 77);
	assert_int_equal(o.last.error, EEXIST);
	assert_int_equal(played.count, 2); /* the one that waited is on its way */
	assert_int_equal(played.last_key, 0x6b);
	char text[TRAFFIC_SELECTOR_TEXT_MAX];
	assert_string_equal(traffic_selector_text(&played.last_ts, text), "10.0.0.0/8");
	play_answer(1, 0);
	kernel_channel_poll(c);
	assert_int_equal(o.last.token, 78);
	assert_int_equal(kernel_channel_pending(c), 0);
	kernel_channel_close(c);
	kernel_close(kernel);
	assert_false(played.has_events);
}

static void dpdk_never_sleeps_on_a_backlog(void **state)
{
	struct owner o = {0};
	memset(&played, 0, sizeof(played));
	struct kernel *kernel = open_backend("dpdk");
	struct kernel_channel *c = open_channel(kernel, &o);
	struct ipsec_request request = {.op = IPSEC_SA_QUERY, .token = 1};
	(void)state;
	kernel_channel_submit(c, &request);
	assert_false(kernel_channel_sleep(c)); /* nothing on its way will wake us */
	played.room = 1;
	kernel_channel_poll(c);
	assert_true(kernel_channel_sleep(c));
	play_answer(0, 0);
	kernel_channel_poll(c);
	assert_int_equal(o.answers, 1);
	/* Many at once: more than can be on the way. */
	played.room = PLAYED_MAX;
	played.count = 0;
	for (uint64_t i = 0; i < 10000; i++) {
		request.token = i;
		kernel_channel_submit(c, &request);
	}
	assert_true(played.count < 10000);
	for (unsigned i = 0; i < 10000; i++) {
		assert_true(i < played.count);
		play_answer(i, 0);
		kernel_channel_poll(c);
		assert_int_equal(o.last.token, i);
	}
	assert_int_equal(kernel_channel_pending(c), 0);
	/* Selectors past all bounds are an answer. */
	request.op = IPSEC_POLICY_ADD;
	request.token = 4711;
	request.policy = (struct ipsec_policy){.local_ts_count = 1000000};
	played.room = 0;
	kernel_channel_submit(c, &request);
	kernel_channel_poll(c);
	assert_int_equal(o.last.token, 4711);
	assert_int_equal(o.last.error, EINVAL);
	kernel_channel_close(c);
	kernel_close(kernel);
}

static void dpdk_events_find_their_channel(void **state)
{
	struct owner o[3] = {{0}};
	struct kernel_channel *c[3];
	memset(&played, 0, sizeof(played));
	played.room = 10;
	struct kernel *kernel = open_backend("dpdk");
	(void)state;
	for (unsigned i = 0; i < 3; i++)
		c[i] = open_channel(kernel, &o[i]);
	for (uint32_t reqid = 0; reqid < 9; reqid++) {
		struct ipsec_event event = {.kind = IPSEC_ACQUIRE, .reqid = reqid};
		played.events.event(played.events.arg, &event);
	}
	/* An SA's event goes to the channel that added the SA. */
	struct ipsec_request request = {.op = IPSEC_SA_ADD};
	kernel_channel_submit(c[1], &request);
	struct ipsec_event event = {.kind = IPSEC_EXPIRE_SOFT, .reqid = 5, .spi = 99};
	played.clients[0].event(played.clients[0].arg, &event);
	play_answer(0, 0);
	for (unsigned i = 0; i < 3; i++) {
		kernel_channel_poll(c[i]);
		assert_int_equal(o[i].events, i == 1 ? 4 : 3);
	}
	assert_int_equal(o[0].last_event.reqid % 3, 0);
	assert_int_equal(o[1].last_event.spi, 99);
	/* A flood is bounded; a closed channel takes none. */
	for (unsigned i = 0; i < 100000; i++)
		played.clients[0].event(played.clients[0].arg, &event);
	unsigned before = o[1].events;
	for (unsigned i = 0; i < 2000; i++)
		kernel_channel_poll(c[1]);
	assert_in_range(o[1].events - before, 1, 8192);
	kernel_channel_close(c[1]);
	played.clients[0].event(played.clients[0].arg, &event);
	kernel_channel_close(c[0]);
	kernel_channel_close(c[2]);
	kernel_close(kernel);
}

static void own_addresses_are_found(void **state)
{
	struct local_address *list;
	size_t count;
	bool loopback = false;
	(void)state;
	assert_true(local_addresses(&list, &count));
	for (size_t i = 0; i < count; i++) {
		assert_true(ip_bits(list[i].address.family) > 0);
		assert_true(list[i].interface[0] != 0 && list[i].interface_index > 0);
		if (strcmp(list[i].interface, "lo") == 0)
			loopback = loopback || ip_is_loopback(&list[i].address);
	}
	assert_true(loopback);
	free(list);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(unknown_backends_are_named),
		cmocka_unit_test(none_answers_at_the_next_poll),
		cmocka_unit_test(none_gives_each_spi_once),
		cmocka_unit_test(dpdk_brings_answers_back),
		cmocka_unit_test(dpdk_never_sleeps_on_a_backlog),
		cmocka_unit_test(dpdk_events_find_their_channel),
		cmocka_unit_test(own_addresses_are_found),
	};
	return cmocka_run_group_tests_name("kernel", tests, NULL, NULL);
}
