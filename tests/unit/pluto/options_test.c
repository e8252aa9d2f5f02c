/* pluto's options and config setup. */
#include "options.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define ARGUMENTS_MAX 64

struct parsed {
	struct options options;
	bool ok;
	char *err;
	char *copy;
};

static struct parsed parse(const char *line)
{
	struct parsed p = {.copy = strdup(line)};
	char *argv[ARGUMENTS_MAX], *rest = p.copy, *word;
	int argc = 0;
	size_t size;
	FILE *err = open_memstream(&p.err, &size);

	argv[argc++] = p.copy;
	while ((word = strsep(&rest, " ")))
		if (*word && argc < ARGUMENTS_MAX)
			argv[argc++] = word;
	assert_true(options_init(&p.options));
	p.ok = options_parse(&p.options, argc, argv, err);
	fclose(err);
	return p;
}

static void release(struct parsed *p)
{
	options_release(&p->options);
	free(p->err);
	free(p->copy);
}

static void test_defaults(void **state)
{
	struct parsed p = parse("");
	const struct options *o = &p.options;

	(void)state;
	assert_true(p.ok);
	assert_string_equal(o->rundir, "/run/pluto");
	assert_string_equal(o->control_socket, "/run/pluto/pluto.ctl");
	assert_string_equal(o->secrets_file, "/etc/ipsec.secrets");
	assert_null(o->backend);
	assert_int_equal(o->ike_port, 500);
	assert_int_equal(o->nat_port, 4500);
	assert_int_equal(o->nhelpers, -1);
	assert_int_equal(o->shunt_life_s, 900);
	assert_int_equal(o->acquire_expires_s, 30);
	assert_int_equal(o->ddos_threshold, 25000);
	assert_int_equal(o->max_half_open, 50000);
	assert_int_equal(o->keep_alive_s, 20);
	assert_int_equal(o->keys_ahead, 64);
	assert_true(o->unique_ids);
	assert_false(o->no_fork);
	release(&p);
}

static void test_values(void **state)
{
	struct parsed p = parse(
		"--nofork --stderrlog --log-no-time --log-no-append --rundir /tmp/r --secretsfile "
		"/tmp/s "
		"--use-dpdk --dataplane-port wan0=twan0 --dataplane-port=net_pcap0,iface=x=tx "
		"--dataplane-lcores 2 --shards 4 --no-steering --nhelpers 0 --listen "
		"192.0.2.1,2001:db8::1 "
		"--listen 192.0.2.2 --interface eth0 --ikeport 501 --natikeport 4501 --uniqueids "
		"no "
		"--force-busy --ddos-ike-threshold 7 --max-halfopen-ike 9 --keep-alive 1m --debug "
		"base "
		"--ike-socket-bufsize 1MiB --ike-fragment-size 576 --keys-ahead 0 --ctlsocket "
		"/tmp/c");
	const struct options *o = &p.options;

	(void)state;
	assert_string_equal(p.err, "");
	assert_true(p.ok && o->no_fork && o->stderr_log && o->log_no_time && o->log_no_append &&
		    o->no_steering && o->debug);
	assert_string_equal(o->rundir, "/tmp/r");
	assert_string_equal(o->control_socket, "/tmp/c");
	assert_string_equal(o->secrets_file, "/tmp/s");
	assert_string_equal(o->backend, "dpdk");
	assert_int_equal(o->port_count, 2);
	assert_string_equal(o->ports[0].device, "wan0");
	assert_string_equal(o->ports[0].twin, "twan0");
	assert_string_equal(o->ports[1].device, "net_pcap0,iface=x");
	assert_string_equal(o->ports[1].twin, "tx");
	assert_int_equal(o->lcores, 2);
	assert_int_equal(o->shards, 4);
	assert_int_equal(o->fragment_size, 576);
	assert_int_equal(o->nhelpers, 0);
	assert_int_equal(o->listen_count, 3);
	assert_string_equal(o->interfaces[0], "eth0");
	assert_int_equal(o->ike_port, 501);
	assert_int_equal(o->nat_port, 4501);
	assert_false(o->unique_ids);
	assert_int_equal(o->ddos_mode, DDOS_BUSY);
	assert_int_equal(o->ddos_threshold, 7);
	assert_int_equal(o->max_half_open, 9);
	assert_int_equal(o->keep_alive_s, 60);
	assert_int_equal(o->socket_buffer, 1048576);
	assert_int_equal(o->keys_ahead, 0);
	release(&p);
}

/* The manual page's flag, and what later releases say behind it. */
static void test_unique_ids(void **state)
{
	static const struct {
		const char *line;
		bool unique, no_fork;
	} rows[] = {{"--uniqueids", true, false}, {"--uniqueids --nofork", true, true},
		{"--uniqueids no --nofork", false, true}, {"--uniqueids=no", false, false}};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct parsed p = parse(rows[i].line);

		assert_true(p.ok);
		assert_int_equal(p.options.unique_ids, rows[i].unique);
		assert_int_equal(p.options.no_fork, rows[i].no_fork);
		release(&p);
	}
}

/* The names that one kernel interface has had. */
static void test_backends(void **state)
{
	static const struct {
		const char *line, *backend;
	} rows[] = {{"--use-bsdkame", "pfkey"}, {"--use-pfkeyv2", "pfkey"},
		{"--protostack bsdkame", "pfkey"}, {"--protostack=kame", "pfkey"},
		{"--protostack=pfkey", "pfkey"}, {"--use-netkey", "xfrm"},
		{"--protostack=netkey", "xfrm"}, {"--use-nostack", "none"},
		{"--use-bsdkame --use-xfrm", "xfrm"}};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct parsed p = parse(rows[i].line);

		assert_true(p.ok);
		assert_string_equal(p.options.backend, rows[i].backend);
		release(&p);
	}
}

static void test_errors(void **state)
{
	static const struct {
		const char *line, *err;
	} rows[] = {
		{"--wings", "pluto: unrecognized option '--wings'\n"},
		{"--no", "pluto: option '--no' is ambiguous\n"},
		{"nofork", "pluto: unexpected argument \"nofork\"\n"},
		{"--nofork=yes", "pluto: option '--nofork' doesn't allow an argument\n"},
		{"--ikeport", "pluto: option '--ikeport' requires an argument\n"},
		{"--ikeport 0", "pluto: option '--ikeport': '0' is not a number from 1 to 65535\n"},
		{"--ikeport 65536",
			"pluto: option '--ikeport': '65536' is not a number from 1 to 65535\n"},
		{"--natikeport x",
			"pluto: option '--natikeport': 'x' is not a number from 0 to 65535\n"},
		{"--listen any", "pluto: option '--listen': 'any' is not an IP address\n"},
		{"--listen 0.0.0.0", "pluto: option '--listen': '0.0.0.0' is not an IP address\n"},
		{"--nhelpers -2",
			"pluto: option '--nhelpers': '-2' is not a number from 0 to 1024\n"},
		{"--dataplane-port wan0",
			"pluto: option '--dataplane-port': 'wan0' is not DEVICE=TWIN\n"},
		{"--dataplane-port =t",
			"pluto: option '--dataplane-port': '=t' is not DEVICE=TWIN\n"},
		{"--ddos-mode fast",
			"pluto: option '--ddos-mode': 'fast' is not auto, busy or unlimited\n"},
		{"--keep-alive 2d",
			"pluto: option '--keep-alive': '2d' is not a duration of at most a day\n"},
		{"--interface abcdefghijklmnop", "pluto: option '--interface': 'abcdefghijklmnop' "
						 "is not the name of a network interface\n"},
		{"--virtual-private %v4:10.0.0.0/8",
			"pluto: option '--virtual-private' is not implemented yet\n"},
		{"--selftest", "pluto: option '--selftest' is not implemented yet\n"},
		{"--config /nonexistent", NULL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct parsed p = parse(rows[i].line);

		assert_false(p.ok);
		if (rows[i].err)
			assert_string_equal(p.err, rows[i].err);
		else
			assert_true(strlen(p.err) > 10);
		release(&p);
	}
}

static void write_file(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	fputs(text, f);
	assert_int_equal(fclose(f), 0);
}

/* The later one wins, and what has no effect is said. */
static void test_config_setup(void **state)
{
	char path[] = "/tmp/pluto-options-XXXXXX", line[256];
	int fd = mkstemp(path);
	struct parsed p;

	(void)state;
	assert_true(fd >= 0);
	close(fd);
	write_file(path,
		"config setup\n\tuniqueids=no\n\tlogfile=/tmp/l\n\tlogtime=no\n\tlogappend=yes\n"
		"\tnhelpers=2\n\tkeep-alive=30\n\tddos-mode=unlimited\n\tprotostack=netkey\n"
		"\tdumpdir=/tmp\n\tlisten=192.0.2.7\n");
	snprintf(line, sizeof(line), "--nhelpers 1 --config %s --ddos-mode busy", path);
	p = parse(line);
	assert_string_equal(p.err, "pluto: warning: config setup: dumpdir=/tmp has no effect: it "
				   "is not implemented yet\n");
	assert_true(p.ok);
	assert_false(p.options.unique_ids);
	assert_string_equal(p.options.log_file, "/tmp/l");
	assert_true(p.options.log_no_time);
	assert_false(p.options.log_no_append);
	assert_int_equal(p.options.nhelpers, 2);
	assert_int_equal(p.options.keep_alive_s, 30);
	assert_int_equal(p.options.ddos_mode, DDOS_BUSY);
	assert_string_equal(p.options.backend, "xfrm");
	assert_int_equal(p.options.listen_count, 1);
	assert_string_equal(p.options.config_file, path);
	release(&p);

	write_file(path, "config setup\n\twings=2\n");
	snprintf(line, sizeof(line), "--config %s", path);
	p = parse(line);
	assert_false(p.ok);
	assert_string_equal(p.err, "pluto: config setup: unknown keyword 'wings'\n");
	release(&p);
	unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_unique_ids),
		cmocka_unit_test(test_backends),
		cmocka_unit_test(test_errors),
		cmocka_unit_test(test_config_setup),
	};

	return cmocka_run_group_tests_name("options", tests, NULL, NULL);
}
