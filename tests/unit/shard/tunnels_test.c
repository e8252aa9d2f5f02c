/* Two daemons' worth of shards with the real engine, crypto and sockets, and the kernel interface
 * that installs nothing: thousands of tunnels, every packet at its owner. */
#include "shard/shard.h"

#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <urcu/urcu-qsbr.h>

#include <cmocka.h>

#define TUNNELS  2000
#define IKE_PORT 20800

struct gateway {
	struct ip_address address;
	struct catalogue *catalogue;
	struct secret_vault *vault;
	struct kernel *kernel;
	struct mailbox *control;
	struct shard_set *set;
};

static struct connection_end end_of(const char *host, const char *id, uint32_t net)
{
	struct connection_end end = {.auth = AUTH_METHOD_SECRET, .ike_port = IKE_PORT};
	struct ip_range range = {.first = ip_v4(net), .last = ip_v4(net + 255)};
	char error[200];
	if (host != NULL) {
		assert_true(ip_parse(host, &end.host));
	}
	end.id = identity_parse(id, error, sizeof error);
	assert_non_null(end.id);
	end.selectors = calloc(1, sizeof *end.selectors);
	assert_non_null(end.selectors);
	end.selectors[0] = traffic_selector_of_range(&range);
	end.selector_count = 1;
	return end;
}

static void add_connection(
	struct gateway *g, unsigned n, struct connection_end local, struct connection_end remote)
{
	char name[20], error[200] = "";
	snprintf(name, sizeof name, "c%u", n);
	struct connection *c = connection_new(name);
	assert_non_null(c);
	c->oriented = true;
	c->local = local;
	c->remote = remote;
	c->protocol = IPSEC_ESP;
	c->mode = IPSEC_TUNNEL;
	c->ike_proposals = proposal_parse_ike("aes_gcm128-sha2_256;dh31", error, sizeof error);
	c->child_proposals = proposal_parse_child("aes_gcm128", false, 0, error, sizeof error);
	assert_string_equal(error, "");
	c->reqid = 100 + n;
	c->ike_life_s = c->child_life_s = 28800;
	c->rekey_margin_s = 540;
	c->rekey = true;
	c->retransmit_interval_ms = 500;
	c->retransmit_timeout_s = 60;
	c->replay_window = 128;
	c->encapsulation = CHOICE_NO;
	assert_int_equal(catalogue_add(g->catalogue, c), 0);
	connection_unref(c);
}

static void gateway_start(
	struct gateway *g, const char *address, unsigned shards, int nhelpers, bool steering)
{
	char error[300] = "";
	struct secret_store *store = secret_store_new();
	struct kernel_config kernel = {.backend = "none"};
	struct listen_address listen = {.interface = "lo"};
	assert_true(ip_parse(address, &g->address));
	assert_int_equal(secret_store_add_psk(store, NULL, 0, bytes_of("a secret", 8)), 0);
	g->catalogue = catalogue_new();
	g->vault = secret_vault_new();
	secret_vault_replace(g->vault, store);
	g->control = mailbox_new(1024);
	g->kernel = kernel_open(&kernel, error, sizeof error);
	assert_non_null(g->kernel);
	struct shard_config config = {
		.shards = shards,
		.nhelpers = nhelpers,
		.kernel = g->kernel,
		.catalogue = g->catalogue,
		.secrets = g->vault,
		.ike_port = IKE_PORT,
		.nat_port = IKE_PORT + 1,
		.unique_ids = true,
		.steering = steering,
		.ddos_threshold = 25000,
		.max_half_open = 50000,
		.socket_buffer = 4 << 20,
		.control = g->control,
	};
	g->set = shard_set_start(&config, error, sizeof error);
	if (g->set == NULL) {
		fail_msg("%s", error);
	}
	listen.address = g->address;
	if (shard_set_listen(g->set, &listen, 1, error, sizeof error) != 1) {
		fail_msg("%s", error);
	}
}

static void gateway_stop(struct gateway *g)
{
	struct mail *mail;
	shard_set_stop(g->set);
	while (mailbox_take(g->control, &mail, 1) == 1) {
		shard_mail_free((struct shard_mail *)mail);
	}
	mailbox_free(g->control);
	kernel_close(g->kernel);
	secret_vault_free(g->vault);
	catalogue_free(g->catalogue);
}

static struct shard_mail *next_mail(struct gateway *g)
{
	struct mail *mail;
	for (unsigned tries = 0; tries < 600; tries++) {
		if (mailbox_take(g->control, &mail, 1) == 1) {
			return (struct shard_mail *)mail;
		}
		urcu_qsbr_thread_offline();
		if (mailbox_sleep(g->control)) {
			struct pollfd p = {mailbox_fd(g->control), POLLIN, 0};
			poll(&p, 1, 100);
		}
		mailbox_awake(g->control);
		urcu_qsbr_thread_online();
	}
	fail_msg("no mail in a minute");
	return NULL;
}

static void initiate_all(struct gateway *g)
{
	char name[20];
	unsigned released = 0;
	for (unsigned n = 1; n <= TUNNELS; n++) {
		snprintf(name, sizeof name, "c%u", n);
		struct connection *c = catalogue_by_name(g->catalogue, name);
		assert_non_null(c);
		shard_set_initiate(g->set, c, NULL, n);
		connection_unref(c);
	}
	while (released < TUNNELS) {
		struct shard_mail *m = next_mail(g);
		released += m->mail.kind == SHARD_MAIL_RELEASE;
		shard_mail_free(m);
	}
}

static void sum_up(const struct gateway *g, struct shard_stats *sum, bool even)
{
	*sum = (struct shard_stats){0};
	for (unsigned i = 0; i < shard_set_count(g->set); i++) {
		struct shard_stats s;
		assert_true(shard_set_stats(g->set, i, &s));
		print_message(
			"# shard %u: %lu SAs, %lu in, %lu out, %lu passed on, %lu lost, %.3f s\n",
			i, s.ike_sas, s.datagrams_in, s.datagrams_out, s.handed_over,
			s.hand_over_lost + s.send_errors, (double)s.cpu_ns / 1e9);
		if (even) {
			/* Six standard deviations of a fair spread, and more */
			unsigned fair = TUNNELS / shard_set_count(g->set);
			assert_in_range(s.ike_sas, fair * 8 / 10, fair * 12 / 10);
		}
		sum->ike_sas += s.ike_sas;
		sum->handed_over += s.handed_over;
		sum->hand_over_lost += s.hand_over_lost;
		sum->half_open += s.half_open;
	}
}

static void show(struct report_text *text, struct ike_engine *engine,
	const struct ike_sa_view *view, const struct ipsec_counters *counters, void *arg)
{
	(void)engine;
	(void)arg;
	if (view->established && view->child_count == 1 && view->child.established &&
		counters[0].bytes == 0) {
		report_printf(text, "#%lu %s\n", view->serial, view->connection->name);
	}
}

static unsigned count_reported(struct gateway *g)
{
	unsigned lines = 0;
	bool over = false;
	shard_report_start(g->set, 1, show, true, NULL);
	while (!over) {
		struct shard_mail *m = next_mail(g);
		if (m->mail.kind == SHARD_MAIL_CHUNK) {
			for (size_t i = 0; i < m->len; i++) {
				lines += m->text[i] == '\n';
			}
			over = m->last && m->shard + 1 == shard_set_count(g->set);
			if (!over) {
				shard_report_continue(g->set, 1);
			}
		}
		shard_mail_free(m);
	}
	return lines;
}

static void shut_down(struct gateway *g)
{
	bool done = false;
	shard_set_shutdown(g->set, 20000, 9);
	while (!done) {
		struct shard_mail *m = next_mail(g);
		done = m->mail.kind == SHARD_MAIL_DONE;
		assert_true(!done || m->count == TUNNELS);
		shard_mail_free(m);
	}
}

static void tunnels(unsigned shards, int nhelpers, bool steering)
{
	struct gateway west = {0}, east = {0};
	struct shard_stats of_west, of_east;
	struct timespec from, to;
	char id[40];
	urcu_qsbr_register_thread();
	gateway_start(&west, "127.0.0.1", shards, nhelpers, steering);
	gateway_start(&east, "127.0.0.2", shards, nhelpers, steering);
	for (unsigned n = 1; n <= TUNNELS; n++) {
		uint32_t net = 0x0a000000 + n * 256;
		snprintf(id, sizeof id, "@west%u", n);
		add_connection(&west, n, end_of("127.0.0.1", id, net),
			end_of("127.0.0.2", "@east", 0xac100000));
		add_connection(&east, n, end_of("127.0.0.2", "@east", 0xac100000),
			end_of("127.0.0.1", id, net));
	}
	clock_gettime(CLOCK_MONOTONIC, &from);
	initiate_all(&west);
	clock_gettime(CLOCK_MONOTONIC, &to);
	print_message("# %u shards, %s: %u tunnels in %ld ms\n", shards,
		steering ? "steered" : "not steered", TUNNELS,
		(to.tv_sec - from.tv_sec) * 1000 + (to.tv_nsec - from.tv_nsec) / 1000000);
	assert_int_equal(count_reported(&west), TUNNELS);
	assert_int_equal(count_reported(&east), TUNNELS);
	sum_up(&west, &of_west, true);
	sum_up(&east, &of_east, true);
	assert_int_equal(of_west.half_open + of_east.half_open, 0);
	assert_int_equal(of_west.ike_sas, TUNNELS);
	assert_int_equal(of_east.ike_sas, TUNNELS);
	if (steering) {
		assert_int_equal(of_west.handed_over + of_east.handed_over, 0);
	} else {
		assert_in_range(of_west.handed_over + of_east.handed_over, TUNNELS, 100 * TUNNELS);
	}
	shut_down(&west);
	sum_up(&west, &of_west, false);
	assert_int_equal(of_west.ike_sas, 0);
	assert_int_equal(count_reported(&east), 0);
	gateway_stop(&west);
	gateway_stop(&east);
	urcu_qsbr_unregister_thread();
}

static void two_shards(void **state)
{
	(void)state;
	tunnels(2, 0, true);
}

static void four_shards(void **state)
{
	(void)state;
	tunnels(4, 0, true);
}

static void four_shards_without_steering(void **state)
{
	(void)state;
	tunnels(4, 0, false);
}

static void workers(void **state)
{
	(void)state;
	tunnels(2, 2, true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(two_shards),
		cmocka_unit_test(four_shards),
		cmocka_unit_test(four_shards_without_steering),
		cmocka_unit_test(workers),
	};
	/* A dozen lines a tunnel */
	struct log_config log = {.sink = LOG_TO_FILE, .path = "/dev/null"};
	char error[200];
	if (!log_start(&log, error, sizeof error)) {
		return 1;
	}
	int failed = cmocka_run_group_tests_name("tunnels", tests, NULL, NULL);
	log_stop();
	return failed;
}
