/* whack's command line: what becomes a request, what is refused, in which words and with which exit
 * status. */
#include "option_parse.h"
#include "option_table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define ARGUMENTS_MAX 64

struct parsed {
	struct whack_call call;
	int status;
	char *err;
	char *copy;
};

/* `line` is split at blanks. */
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
	p.status = whack_parse(&p.call, argc, argv, err);
	fclose(err);
	return p;
}

static void release(struct parsed *p)
{
	whack_call_release(&p->call);
	free(p->err);
	free(p->copy);
}

static const char *keyword(const struct parsed *p, const char *key)
{
	return keyvalues_get(&p->call.request.connection, key);
}

static void test_connection(void **state)
{
	static const struct {
		const char *key, *value;
	} expected[] = {{"left", "192.0.2.1"}, {"leftid", "@a"}, {"leftsubnet", "10.1.0.0/24"},
		{"leftikeport", "501"}, {"leftprotoport", "17/1701"}, {"leftauth", "secret"},
		{"leftupdown", "%disabled"}, {"right", "%any"}, {"rightsubnet", "10.2.0.0/24"},
		{"authby", "secret"}, {"phase2", "esp"}, {"type", "tunnel"},
		{"ike", "aes256-sha2;dh19"}, {"esp", "aes_gcm"}, {"ikelifetime", "1h"},
		{"ipsec-lifetime", "800"}, {"rekeymargin", "60"}, {"rekeyfuzz", "50%"},
		{"keyingtries", "3"}, {"dpddelay", "5"}, {"dpdtimeout", "60"},
		{"dpdaction", "hold"}, {"hostaddrfamily", "ipv4"}, {"clientaddrfamily", "ipv4"},
		{"encapsulation", "yes"}, {"pfs", "yes"}, {"esn", "no"}, {"nat-keepalive", "no"},
		{"rekey", "no"}, {"mobike", "no"}, {"narrowing", "yes"}, {"connalias", "x"}};
	struct parsed p = parse(
		"--ipv4 --tunnelipv4 --name c --host 192.0.2.1 --id @a --client 10.1.0.0/24 "
		"--ikeport 501 --clientprotoport 17/1701 --auth psk --updown= --to --host %any "
		"--subnet=10.2.0.0/24 --psk --encrypt --tunnel --ike aes256-sha2;dh19 "
		"--esp aes_gcm --ikelifetime 1h --ipseclifetime 800 --rekeymargin 60 "
		"--rekeyfuzz 50% --keyingtries 3 --dpddelay 5 --dpdtimeout 60 --dpdaction hold "
		"--forceencaps --pfs --no-esn --no-keep-alive --dontrekey --mobike=no "
		"--allow-narrowing --connalias x");

	(void)state;
	assert_string_equal(p.err, "");
	assert_int_equal(p.status, 0);
	assert_string_equal(p.call.request.command, "add");
	assert_string_equal(keyvalues_get(&p.call.request.arguments, "name"), "c");
	for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
		const char *value = keyword(&p, expected[i].key);

		if (!value)
			fail_msg("%s is not there", expected[i].key);
		assert_string_equal(value, expected[i].value);
	}
	assert_int_equal(p.call.request.connection.count, sizeof(expected) / sizeof(expected[0]));
	release(&p);
}

static void test_shunts(void **state)
{
	static const char *const rows[][3] = {{"pass", "type", "passthrough"},
		{"drop", "type", "drop"}, {"reject", "type", "drop"},
		{"initiateontraffic", "initiateontraffic", "yes"},
		{"negopass", "negotiationshunt", "pass"}, {"negohold", "negotiationshunt", "drop"},
		{"failnone", "failureshunt", "none"}, {"failpass", "failureshunt", "pass"},
		{"failhold", "failureshunt", "drop"}, {"failreject", "failureshunt", "drop"}};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char line[200];
		struct parsed p;

		snprintf(line, sizeof(line), "--name c --host 192.0.2.1 --to --host 192.0.2.2 --%s",
			rows[i][0]);
		p = parse(line);
		assert_int_equal(p.status, 0);
		assert_string_equal(keyword(&p, rows[i][1]), rows[i][2]);
		release(&p);
	}
}

static void test_commands(void **state)
{
	static const struct {
		const char *line, *command, *key, *value;
	} rows[] = {
		{"--name c --initiate", "initiate", "name", "c"},
		{"--initiate --name c --asynchronous", "initiate", "asynchronous", "yes"},
		{"--initiate --name c --async=no", "initiate", "asynchronous", "no"},
		{"--initiate --name c --remote-host 192.0.2.9", "initiate", "remote-host",
			"192.0.2.9"},
		{"--terminate --name c", "terminate", "name", "c"},
		{"--down --name c", "terminate", "name", "c"},
		{"--delete --name c", "delete", "name", "c"},
		{"--name c --delete --host 192.0.2.1 --to --host 192.0.2.2 --psk", "add", "replace",
			"yes"},
		{"--name c --route", "route", "name", "c"},
		{"--ondemand --name c --bg", "route", "asynchronous", "yes"},
		{"--unroute --name c", "unroute", "name", "c"},
		{"--suspend --name c", "suspend", "name", "c"},
		{"--deletestate 17", "deletestate", "value", "17"},
		{"--listen", "listen", NULL, NULL},
		{"--globalstats", "globalstatus", NULL, NULL},
		{"--globalstat", "globalstatus", NULL, NULL},
		{"--statestatus", "showstates", NULL, NULL},
		{"--ddos-mode busy", "ddos-mode", "value", "busy"},
		{"--ddos-unlimited", "ddos-mode", "value", "unlimited"},
		{"--shutdown --leave-state", "shutdown", "leave-state", "yes"},
		{"--trafficstatus --name c", "trafficstatus", "name", "c"},
		{"--rereads", "rereadsecrets", NULL, NULL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct parsed p = parse(rows[i].line);

		if (p.status != 0)
			fail_msg("%s: %s", rows[i].line, p.err);
		assert_string_equal(p.call.request.command, rows[i].command);
		if (rows[i].key)
			assert_string_equal(keyvalues_get(&p.call.request.arguments, rows[i].key),
				rows[i].value);
		release(&p);
	}
}

static void test_refusals(void **state)
{
	static const struct {
		const char *line;
		int status;
		const char *err;
	} rows[] = {
		{"--bogus", 1,
			"ipsec whack: unrecognized option '--bogus'\nFor usage information: ipsec "
			"whack --help\n"},
		{"--name", 1,
			"ipsec whack: option '--name' requires an argument\nFor usage information: "
			"ipsec whack --help\n"},
		{"--listen=yes", 1,
			"ipsec whack: option '--listen' doesn't allow an argument\nFor usage "
			"information: ipsec whack --help\n"},
		{"--dontr --stat", 1,
			"ipsec whack: option '--stat' is ambiguous; possibilities: '--status' "
			"'--statestatus'\n"
			"For usage information: ipsec whack --help\n"},
		{"listen", 1,
			"ipsec whack: unexpected argument \"listen\"\nFor usage information: ipsec "
			"whack --help\n"},
		{"", 33, "whack error: nothing to do: see --help\n"},
		{"--initiate", 33, "whack error: missing --name <connection_name>\n"},
		{"--name c --listen", 33, "whack error: \"c\" no reason for --name\n"},
		{"--listen --leave-state", 33, "whack error: no reason for --leave-state\n"},
		{"--label L --name c --initiate --terminate", 33,
			"whack error: L \"c\" conflicing command options '--initiate' and "
			"'--terminate'\n"},
		{"--name c --initiate --name d", 33,
			"whack error: \"c\" duplicated flag '--name'\n"},
		{"--name c --host 192.0.2.1 --host 192.0.2.1", 33,
			"whack error: \"c\" duplicated flag '--host'\n"},
		{"--name c --host 192.0.2.1 --psk", 33,
			"whack error: \"c\" connection description option, but no --to\n"},
		{"--name c --to --host 192.0.2.1", 33,
			"whack error: \"c\" connection missing --host before --to\n"},
		{"--name c --host 192.0.2.1 --to", 33,
			"whack error: \"c\" connection missing --host after --to\n"},
		{"--name c --tunnel --transport", 33,
			"whack error: \"c\" option '--transport' contradicts an option given "
			"before (type=tunnel)\n"},
		{"--name c --client 10.0.0.0/8 --subnet 10.0.0.0/8", 33,
			"whack error: \"c\" option '--subnet' contradicts an option given before "
			"(leftsubnet=10.0.0.0/8)\n"},
		{"--name c --mobike", 33,
			"whack error: \"c\" option '--mobike' is not implemented yet\n"},
		{"--name c --mobike=yes", 33,
			"whack error: \"c\" option '--mobike' with value 'yes' is not implemented "
			"yet\n"},
		{"--name c --auth-null", 33,
			"whack error: \"c\" option '--auth-null' is not implemented yet\n"},
		{"--name c --ikev1", 33,
			"whack error: \"c\" option '--ikev1' is not implemented yet\n"},
		{"--name c --certtype x", 33,
			"whack error: \"c\" option '--certtype' is not implemented yet\n"},
		{"--name c --deleteid", 33,
			"whack error: \"c\" option '--deleteid' is not implemented yet\n"},
		{"--route", 33, "whack error: missing --name <connection_name>\n"},
		{"--name c --pass --drop", 33,
			"whack error: \"c\" option '--drop' contradicts an option given before "
			"(type=passthrough)\n"},
		{"--debug all", 33, "whack error: option '--debug' is not implemented yet\n"},
		{"--pfsgroup modp1024", 33,
			"whack error: option '--pfsgroup' is of an older release and is not "
			"supported\n"},
		{"--whackrecord f", 33,
			"whack error: option '--whackrecord' is of an older release and is not "
			"supported\n"},
		{"--asynchronous", 33, "whack error: no command is given\n"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct parsed p = parse(rows[i].line);

		assert_string_equal(p.err, rows[i].err);
		assert_int_equal(p.status, rows[i].status);
		release(&p);
	}
}

static void test_deprecated_warns(void **state)
{
	struct parsed p = parse("--ddos-busy");

	(void)state;
	assert_int_equal(p.status, 0);
	assert_string_equal(p.err,
		"ipsec whack: warning: option \"--ddos-busy\" was replaced by \"--ddos-mode\"\n");
	release(&p);
}

static void test_sockets(void **state)
{
	struct parsed p = parse("--status");
	char line[300];

	(void)state;
	assert_string_equal(p.call.ctlsocket, "/run/pluto/pluto.ctl");
	release(&p);
	p = parse("--ctlsocket /tmp/x --rundir /tmp/d --status");
	assert_string_equal(p.call.ctlsocket, "/tmp/d/pluto.ctl");
	release(&p);
	p = parse("--ctlbase /tmp/d --ctlsocket /tmp/x --status");
	assert_string_equal(p.call.ctlsocket, "/tmp/x");
	release(&p);
	memset(line, 'a', sizeof(line));
	memcpy(line, "--ctlsocket ", 12);
	line[sizeof(line) - 1] = '\0';
	p = parse(line);
	assert_int_equal(p.status, 33);
	release(&p);
}

/* Every row is found by its own name, and says something. */
static void test_table(void **state)
{
	(void)state;
	for (size_t i = 0; i < whack_option_count; i++) {
		const struct whack_option *o = &whack_options[i];

		for (size_t k = i + 1; k < whack_option_count; k++)
			assert_string_not_equal(o->name, whack_options[k].name);
		if (o->kind <= OPTION_ARGUMENT || o->kind == OPTION_END || o->kind == OPTION_CONN)
			assert_non_null(o->key);
		if (o->kind == OPTION_CONN && o->value != VALUE_REQUIRED)
			assert_non_null(o->fixed);
	}
}

/* Each option of the newest command line is known, whatever it is then told. */
static void test_all_are_recognised(void **state)
{
	static const char names[] =
		"help version label rundir ctlbase ctlsocket name asynchronous bg async utc delete "
		"route ondemand "
		"unroute initiate remote-host username xauthuser xauthname xauthpass down "
		"terminate suspend "
		"rekey-ike rekey-child rekey-ipsec delete-ike delete-child down-ike down-child "
		"deletestate deleteid "
		"deleteuser crash listen unlisten ike-socket-bufsize ike-socket-errqueue "
		"ike-socket-errqueue-toggle ddos-mode ddos-busy ddos-unlimited ddos-auto "
		"redirect-to "
		"global-redirect global-redirect-to ddns rereadsecrets rereadcerts rereadall "
		"fetchcrls purgeocsp "
		"status briefstatus globalstatus trafficstatus shuntstatus addresspoolstatus "
		"connectionstatus "
		"briefconnectionstatus fipsstatus processstatus showstates statestatus clearstats "
		"listpubkeys "
		"listcerts listcacerts listcrls listpsks listevents listall checkpubkeys keyid "
		"addkey pubkeyrsa "
		"oppohere oppothere oppoproto opposport oppodport oppolabel opporeqid tunnelipv4 "
		"tunnelipv6 debug "
		"no-debug debug-none debug-all impair no-impair shutdown leave-state "
		"seccomp-crashtest magic to "
		"host id cert ckaid ca ikeport nexthop subnet client clientprotoport "
		"dnskeyondemand sourceip srcip "
		"interface-ip interfaceip vti vtiip auth authby autheap updown sendcert "
		"addresspool xauthserver "
		"xauthclient xauth modecfgserver modecfgclient modeconfigserver modeconfigclient "
		"cat groups "
		"connalias ipv4 ipv6 ikev1 ikev1-allow ikev2 ikev2-allow ikev2-propose psk "
		"auth-never auth-null "
		"rsasig rsa-sha1 rsa-sha2 rsa-sha2_256 rsa-sha2_384 rsa-sha2_512 ecdsa ecdsa-sha2 "
		"ecdsa-sha2_256 "
		"ecdsa-sha2_384 ecdsa-sha2_512 encrypt authenticate tunnel transport pass drop "
		"reject negopass "
		"negodrop negohold failnone failpass faildrop failhold failreject ike ikealg esp "
		"ah pfs compress "
		"aggressive aggrmode narrowing allow-narrowing intermediate mobike overlapip "
		"sha2-truncbug "
		"sha2_truncbug ms-dh-downgrade pfs-rekey-workaround dns-match-id ignore-peer-dns "
		"decap-dscp "
		"encap-dscp nopmtudisc initial-contact initialcontact cisco-unity cisco_unity "
		"fake-strongswan "
		"nm-configured nm_configured modecfgpull session-resumption "
		"send-supported-auth-methods "
		"send-esp-tfc-padding-not-supported send-no-esp-tfc reject-simultaneous-ike-auth "
		"vti-routing "
		"vti-shared iptfs iptfs-fragmentation esn no-esn ikepad encapsulation encaps "
		"fragmentation "
		"ikefrag-allow ikefrag-force dontrekey reauth dont-share-lease "
		"allow-cert-without-san-id "
		"ikelifetime ike-lifetime ipsec-lifetime ipseclifetime ipsec-max-bytes "
		"ipsec-max-packets "
		"rekeymargin rekeywindow rekeyfuzz replay-window retransmit-timeout "
		"retransmit-interval dpddelay "
		"dpdtimeout mtu metric priority tfc reqid nflog-group tcp tcp-remote-port "
		"iptfs-packet-size "
		"iptfs-max-queue-size iptfs-init-delay iptfs-drop-time iptfs-reorder-window "
		"nat-keepalive "
		"no-nat-keepalive no-nat_keepalive ikev1-natt ikev1_natt send-redirect "
		"accept-redirect "
		"accept-redirect-to conn-mark conn-mark-in conn-mark-out vti-interface vti-iface "
		"ipsec-interface "
		"xauthby xauthfail modecfgdns modecfgdomains modecfgbanner sendca remote-peer-type "
		"nic-offload "
		"policylabel dpdaction keyingtries pfsgroup initiateontraffic rereadcrls "
		"forceencaps no-ikepad "
		"globalstats timeout optionsfrom certtype";
	char *copy = strdup(names), *rest = copy, *word;

	(void)state;
	while ((word = strsep(&rest, " "))) {
		size_t i = 0;

		while (i < whack_option_count && strcmp(whack_options[i].name, word) != 0)
			i++;
		if (i == whack_option_count)
			fail_msg("--%s is not known", word);
	}
	free(copy);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_connection),
		cmocka_unit_test(test_commands),
		cmocka_unit_test(test_shunts),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_deprecated_warns),
		cmocka_unit_test(test_sockets),
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_all_are_recognised),
	};

	return cmocka_run_group_tests_name("whack_options", tests, NULL, NULL);
}
