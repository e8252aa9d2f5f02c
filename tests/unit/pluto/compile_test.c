/* Connection descriptions: what good ones come to, and the exact words for bad ones. */
#include "connection_compile.h"
#include "connection_text.h"
#include "orientation.h"

#include "kernel/kernel.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static char warnings[2048];

static void keep_warning(void *arg, const char *text)
{
	(void)arg;
	snprintf(warnings + strlen(warnings), sizeof(warnings) - strlen(warnings), "%s\n", text);
}

/* "key=value key=value ...": a value has '~' where a blank is meant. */
static struct keyvalues description(const char *text)
{
	struct keyvalues kv = {0};
	char *copy = strdup(text), *rest = copy, *word;

	while ((word = strsep(&rest, " "))) {
		char *equals = strchr(word, '=');

		if (!equals)
			continue;
		*equals = '\0';
		for (char *c = equals + 1; *c; c++)
			if (*c == '~')
				*c = ' ';
		assert_true(keyvalues_set(&kv, word, equals + 1));
	}
	free(copy);
	return kv;
}

static struct connection *compile_with(const char *name, const char *text,
	const struct compile_context *context, char *error, size_t size)
{
	struct keyvalues kv = description(text);
	struct connection *c;

	warnings[0] = error[0] = '\0';
	c = connection_compile(name, &kv, context, error, size);
	keyvalues_release(&kv);
	return c;
}

static struct connection *compile(const char *text, char *error, size_t size)
{
	struct compile_context context = {.warn = keep_warning};

	return compile_with("c", text, &context, error, size);
}

#define HOSTS "left=192.0.2.1 right=192.0.2.2 "
#define PSK   HOSTS "authby=secret "

static struct connection *compile_good(const char *text)
{
	char error[512];
	struct connection *c = compile(text, error, sizeof(error));

	if (!c)
		fail_msg("%s: %s", text, error);
	return c;
}

static void test_pools(void **state)
{
	struct connection *c = compile_good(PSK
		"rightaddresspool=10.5.0.0/24~2001:db8::/64,10.6.0.0/24 leftsubnet=0.0.0.0/0,::/0 "
		"leftmodecfgserver=yes rightmodecfgclient=yes modecfgpull=yes share-lease=no "
		"modecfgdns=10.0.0.1,2001:db8::1 modecfgdomains=a.test,b.test "
		"modecfgbanner=be~good");
	char text[POOL_TEXT_MAX];

	(void)state;
	assert_string_equal(address_pool_text(c->remote.pools[0], text),
		"10.5.0.0-10.5.0.255,10.6.0.0-10.6.0.255");
	assert_string_equal(address_pool_text(c->remote.pools[1], text),
		"2001:db8::-2001:db8::ffff:ffff:ffff:ffff");
	assert_null(c->local.pools[0]);
	assert_true(c->narrowing && c->dont_share_lease && c->modecfg_pull);
	assert_true(c->local.modecfg_server && c->remote.modecfg_client);
	assert_int_equal(c->modecfg->dns_count, 2);
	assert_string_equal(c->modecfg->domains, "a.test b.test");
	assert_string_equal(c->modecfg->banner, "be good");
	connection_unref(c);
	c = compile_good(
		PSK "leftmodecfgclient=yes rightsubnet=0.0.0.0/0,::/0 ignore-peer-dns=yes");
	assert_true(c->local.modecfg_client && c->ignore_peer_dns && !c->narrowing);
	assert_null(c->modecfg);
	connection_unref(c);
}

static void test_errors(void **state)
{
	static const struct {
		const char *text, *error;
	} rows[] = {
		{"authby=secret", "left= is missing"},
		{"left=192.0.2.1 authby=secret", "right= is missing"},
		{"left=%any right=%any authby=secret",
			"left=%any and right=%any: one end must have an address"},
		{"left=%any right=0.0.0.0 authby=secret",
			"left=%any and right=%any: one end must have an address"},
		{"left=gw.example right=192.0.2.2 authby=secret",
			"left=gw.example is not an IP address (host names are not implemented "
			"yet)"},
		{"left=192.0.2.1 right=%opportunistic authby=secret",
			"right=%opportunistic is not implemented yet"},
		{"left=192.0.2.1 right=2001:db8::1 authby=secret",
			"left=192.0.2.1 and right=2001:db8::1 are not of one address family"},
		{"left=192.0.2.1 right=192.0.2.1 authby=secret",
			"left= and right= are the same address, 192.0.2.1"},
		{PSK "hostaddrfamily=ipv6", "left=192.0.2.1 is not an IPv6 address"},
		{PSK "hostaddrfamily=ipx", "hostaddrfamily=ipx is not ipv4 or ipv6"},
		{PSK "clientaddrfamily=ipv6 leftsubnet=10.1.0.0/24",
			"leftsubnet=10.1.0.0/24 is not IPv6"},
		{HOSTS, "authby=rsasig,ecdsa (the default) needs an NSS database with "
			"certificates, "
			"and none is open (authby=secret does not)"},
		{HOSTS "authby=rsasig",
			"authby=rsasig needs an NSS database with certificates, and "
			"none is open (authby=secret does not)"},
		{HOSTS "authby=eddsa", "authby=eddsa is not implemented yet: only secret, and "
				       "signatures by RSA and ECDSA, are"},
		{HOSTS "authby=secret,rsasig",
			"authby=: rsasig beside another method is not implemented yet"},
		{HOSTS "authby=,", "authby= is empty"},
		{PSK "leftauth=null", "leftauth=null is not implemented yet: only secret, and "
				      "signatures by RSA and ECDSA, are"},
		{PSK "leftcert=gw leftckaid=00", "leftcert= and leftckaid= are both given"},
		{PSK "leftca=Example", "leftca=Example is not a distinguished name"},
		{PSK "leftca=%same", "leftca=%same is not implemented yet"},
		{PSK "leftsendcert=perhaps",
			"leftsendcert=perhaps is not always, ifasked or never"},
		{PSK "sendca=some", "sendca=some is not none, issuer or all"},
		{PSK "leftsubnet=10.1.0.1/24", "leftsubnet=10.1.0.1/24 is not a subnet"},
		{PSK "leftsubnet=10.1.0.0/33", "leftsubnet=10.1.0.0/33 is not a subnet"},
		{PSK "leftsubnet=,", "leftsubnet= is empty"},
		{PSK "leftsubnet=vhost:%priv", "leftsubnet=vhost:%priv is not implemented yet"},
		{PSK "leftsubnet=10.0.0.0/24,10.0.1.0/24,10.0.2.0/24,10.0.3.0/24,10.0.4.0/"
		     "24,10.0.5.0/24,"
		     "10.0.6.0/24,10.0.7.0/24,10.0.8.0/24,10.0.9.0/24,10.0.10.0/24,10.0.11.0/"
		     "24,10.0.12.0/24,"
		     "10.0.13.0/24,10.0.14.0/24,10.0.15.0/24,10.0.16.0/24",
			"leftsubnet= has more than 16 selectors"},
		{PSK "leftsubnet=10.1.0.0/24 rightsubnet=2001:db8::/64",
			"leftsubnet= and rightsubnet= are not of one address family"},
		{PSK "leftsubnet=2001:db8::/64",
			"leftsubnet= and rightsubnet= are not of one address family"},
		{PSK "leftprotoport=17/70000", "leftprotoport=17/70000 is not PROTOCOL/PORT"},
		{PSK "leftprotoport=carrier/1", "leftprotoport=carrier/1 is not PROTOCOL/PORT"},
		{PSK "leftprotoport=%any/17", "leftprotoport=%any/17 is not PROTOCOL/PORT"},
		{PSK "leftsubnet=10.1.0.0/24/udp/5 leftprotoport=17/5",
			"leftsubnet=10.1.0.0/24/udp/5 names a protocol, and leftprotoport= does "
			"too"},
		{"left=192.0.2.1 right=%any authby=secret rightprotoport=17/1701",
			"rightprotoport= with right=%any is not implemented yet"},
		{PSK "type=transport leftsubnet=10.1.0.0/24",
			"type=transport does not go with leftsubnet=10.1.0.0/24"},
		{PSK "rightaddresspool=10.5.0.0/24,",
			"rightaddresspool=10.5.0.0/24, has an empty field"},
		{PSK "rightaddresspool=somewhere",
			"rightaddresspool=somewhere is not a range of addresses"},
		{PSK "rightaddresspool=2001:db8::/48/64",
			"rightaddresspool=2001:db8::/48/64: leases of whole subnets are not "
			"implemented yet"},
		{PSK "rightaddresspool=10.5.0.0/24,10.5.0.9-10.5.1.9",
			"rightaddresspool=10.5.0.0/24,10.5.0.9-10.5.1.9: 10.5.0.0/24 and "
			"10.5.0.9-10.5.1.9 overlap"},
		{PSK "rightaddresspool=0.0.0.0/8",
			"rightaddresspool=0.0.0.0/8: 0.0.0.0/8 begins at the address zero"},
		{PSK "rightaddresspool=10.5.0.0/24 rightsubnet=10.6.0.0/24",
			"rightaddresspool= does not go with rightsubnet="},
		{PSK "rightaddresspool=10.5.0.0/24 narrowing=no",
			"narrowing=no does not go with rightaddresspool="},
		{PSK "rightaddresspool=10.5.0.0/24 type=transport",
			"type=transport does not go with rightaddresspool="},
		{PSK "rightaddresspool=10.5.0.0/24 leftaddresspool=10.6.0.0/24",
			"leftaddresspool= and rightaddresspool= exclude each other"},
		{PSK "rightaddresspool=10.5.0.0/24 leftsubnet=2001:db8::/64",
			"the address family of rightaddresspool=10.5.0.0/24 conflicts with "
			"leftsubnet=2001:db8::/64"},
		{PSK "rightaddresspool=2001:db8::/64",
			"the address family of rightaddresspool=2001:db8::/64 conflicts with "
			"left=192.0.2.1"},
		{PSK "leftmodecfgserver=yes leftmodecfgclient=yes",
			"leftmodecfgserver= and leftmodecfgclient= exclude each other"},
		{PSK "leftmodecfgclient=yes rightmodecfgclient=yes",
			"both ends cannot be the modecfgclient"},
		{PSK "modecfgdns=10.0.0.1,gw.test", "modecfgdns=gw.test is not an IP address"},
		{PSK "modecfgdomains=a.test,$(reboot)",
			"modecfgdomains=$(reboot) is not a domain name"},
		{PSK "type=passthrough", "type=passthrough goes with authby=never only"},
		{HOSTS "type=drop leftauth=secret", "type=drop goes with authby=never only"},
		{HOSTS "authby=never", "authby=never needs type=passthrough or type=drop"},
		{HOSTS "type=pass initiateontraffic=yes",
			"initiateontraffic= does not go with type=passthrough"},
		{PSK "failureshunt=open", "failureshunt=open is not none, pass or drop"},
		{PSK "negotiationshunt=none", "negotiationshunt=none is not pass or drop"},
		{PSK "type=bridge", "type=bridge is not tunnel, transport, passthrough or drop"},
		{PSK "keyexchange=ikev1", "keyexchange=ikev1 is not implemented yet"},
		{PSK "ikev2=no", "ikev2=no: IKEv1 is not implemented yet"},
		{PSK "phase2=both", "phase2=both is not esp or ah"},
		{PSK "phase2=esp ah=sha2_256", "ah=sha2_256 does not go with phase2=esp"},
		{PSK "phase2=ah esp=aes", "esp=aes does not go with phase2=ah"},
		{PSK "esp=aes ah=sha2_256", "esp= and ah= are both given: ESP or AH"},
		{PSK "ah=sha2_256 encapsulation=yes",
			"encapsulation=yes does not go with AH: only ESP can be encapsulated in "
			"UDP"},
		{PSK "type=beet", "type=beet: IKEv2 has no way to negotiate BEET mode (tunnel or "
				  "transport)"},
		{PSK "tfc=65536", "tfc=65536 is not a number of bytes from 0 to 65535"},
		{PSK "compress=maybe", "compress=maybe is not yes or no"},
		{PSK "mobike=yes", "mobike=yes is not implemented yet"},
		{PSK "mobike=perhaps", "mobike=perhaps is not implemented yet"},
		{PSK "leftcert=gw", "leftcert=gw: there is no NSS database"},
		{PSK "leftsubnets=10.0.0.0/8", "leftsubnets=10.0.0.0/8 is not implemented yet"},
		{PSK "leftupdown-config=exec", "leftupdown-config=exec is not implemented yet"},
		{PSK "leftupdown=a\tb", "leftupdown= has a control character (0x09)"},
		{PSK "leftsourceip=%config", "leftsourceip=%config is not one IP address"},
		{PSK "leftsourceip=0.0.0.0", "leftsourceip=0.0.0.0 is not one IP address"},
		{PSK "mtu=67", "mtu=67 is not a number from 576 to 65535"},
		{PSK "metric=many", "metric=many is not a number"},
		{PSK "leftnexthop=2001:db8::1",
			"leftnexthop=2001:db8::1 and left=192.0.2.1 are not of one address family"},
		{PSK "fragmentation=forced", "fragmentation=forced is not yes, no or force"},
		{PSK "leftikeport=0", "leftikeport=0 is not a port"},
		{PSK "rightikeport=65536", "rightikeport=65536 is not a port"},
		{PSK "leftnexthop=gw", "leftnexthop=gw is not an IP address"},
		{PSK "ikelifetime=0", "ikelifetime=0 is shorter than a second"},
		{PSK "ikelifetime=long", "ikelifetime=long is not a duration"},
		{PSK "rekeyfuzz=lots", "rekeyfuzz=lots is not a percentage"},
		{PSK "rekeymargin=2d", "rekeymargin=2d is not a duration of at most a day"},
		{PSK "retransmit-interval=0",
			"retransmit-interval=0 is not a duration of 1ms to 60s"},
		{PSK "replay-window=5000", "replay-window=5000 is not a number from 0 to 4096"},
		{PSK "keyingtries=-1", "keyingtries=-1 is not a number"},
		{PSK "reqid=0", "reqid=0 is not a number from 1 to 65535"},
		{PSK "reqid=65536", "reqid=65536 is not a number from 1 to 65535"},
		{PSK "ipsec-max-bytes=0", "ipsec-max-bytes=0 is not a number of bytes"},
		{PSK "pfs=maybe", "pfs=maybe is not yes or no"},
		{PSK "esn=often", "esn=often is not yes, no or either"},
		{PSK "encapsulation=often", "encapsulation=often is not yes, no or auto"},
		{PSK "esp=aes128 phase2alg=aes256", "phase2alg=aes256 is given beside esp="},
		{PSK "wings=2", "unknown keyword 'wings'"},
		{PSK "leftwings=2", "unknown keyword 'leftwings'"},
		{PSK "connalias=a,b\"c", "connalias= has a character that is not allowed (0x22)"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char error[512];
		struct connection *c = compile(rows[i].text, error, sizeof(error));

		if (c)
			fail_msg("%s was taken", rows[i].text);
		assert_string_equal(error, rows[i].error);
	}
}

static void test_shunts(void **state)
{
	static const struct {
		const char *text;
		enum ipsec_policy_action shunt, failure;
		bool pass, keep;
	} rows[] = {
		{PSK, IPSEC_PROTECT, IPSEC_PROTECT, false, false},
		{HOSTS "type=passthrough authby=never", IPSEC_BYPASS, IPSEC_PROTECT, false, false},
		{HOSTS "type=pass", IPSEC_BYPASS, IPSEC_PROTECT, false, false},
		{HOSTS "type=drop", IPSEC_DISCARD, IPSEC_PROTECT, false, false},
		{HOSTS "authby=never type=reject", IPSEC_DISCARD, IPSEC_PROTECT, false, false},
		{"left=192.0.2.1 right=%any rightsubnet=10.0.0.0/8 type=drop", IPSEC_DISCARD,
			IPSEC_PROTECT, false, false},
		{PSK "failureshunt=passthrough negotiationshunt=pass", IPSEC_PROTECT, IPSEC_BYPASS,
			true, false},
		{PSK "failureshunt=hold negotiationshunt=hold auto=keep", IPSEC_PROTECT,
			IPSEC_DISCARD, false, true},
		{PSK "failureshunt=none initiateontraffic=yes auto=ondemand", IPSEC_PROTECT,
			IPSEC_PROTECT, false, false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct connection *c = compile_good(rows[i].text);

		assert_int_equal(c->shunt, rows[i].shunt);
		assert_int_equal(c->failure_shunt, rows[i].failure);
		assert_int_equal(c->negotiation_pass, rows[i].pass);
		assert_int_equal(c->keep, rows[i].keep);
		assert_int_equal(c->local.auth == AUTH_METHOD_NEVER, c->shunt != IPSEC_PROTECT);
		connection_unref(c);
	}
}

/* Reasons of other rooms are handed on, behind the keyword that they are about. */
static void test_errors_from_below(void **state)
{
	static const char *const rows[][2] = {{PSK "ike=aes-nonsense", "ike=aes-nonsense: "},
		{PSK "esp=rot13", "esp=rot13: "}, {PSK "ah=aes", "ah=aes: "},
		{PSK "ah=none", "ah=none: "}, {PSK "phase2=ah phase2alg=aes", "ah=aes: "},
		{PSK "leftid=@[unclosed", "leftid=@[unclosed: "}};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char error[512];

		assert_null(compile(rows[i][0], error, sizeof(error)));
		assert_memory_equal(error, rows[i][1], strlen(rows[i][1]));
		assert_true(strlen(error) > strlen(rows[i][1]));
	}
}

static void test_names(void **state)
{
	struct compile_context context = {0};
	char error[256], longest[CONNECTION_NAME_MAX + 2];
	struct connection *c;

	(void)state;
	assert_null(compile_with("", PSK, &context, error, sizeof(error)));
	assert_string_equal(error, "the name must have 1 to 255 characters");
	assert_null(compile_with("a b", PSK, &context, error, sizeof(error)));
	assert_string_equal(error, "the name has a character that is not allowed (0x20)");
	assert_null(compile_with("a\nb", PSK, &context, error, sizeof(error)));
	memset(longest, 'x', sizeof(longest));
	longest[CONNECTION_NAME_MAX + 1] = '\0';
	assert_null(compile_with(longest, PSK, &context, error, sizeof(error)));
	longest[CONNECTION_NAME_MAX] = '\0';
	c = compile_with(longest, PSK, &context, error, sizeof(error));
	assert_non_null(c);
	connection_unref(c);
}

static void test_defaults(void **state)
{
	struct connection *c = compile_good(PSK);

	(void)state;
	assert_false(c->oriented);
	assert_int_equal(c->local.host.bytes[3], 1);
	assert_int_equal(c->remote.host.bytes[3], 2);
	assert_int_equal(c->local.id->kind, ID_IPV4_ADDR);
	assert_int_equal(c->local.selector_count, 0);
	assert_int_equal(c->local.auth, AUTH_METHOD_SECRET);
	assert_int_equal(c->protocol, IPSEC_ESP);
	assert_int_equal(c->mode, IPSEC_TUNNEL);
	assert_int_equal(c->ike_life_s, 28800);
	assert_int_equal(c->child_life_s, 28800);
	assert_int_equal(c->rekey_margin_s, 540);
	assert_int_equal(c->rekey_fuzz_percent, 100);
	assert_int_equal(c->retransmit_interval_ms, 500);
	assert_int_equal(c->retransmit_timeout_s, 30);
	assert_int_equal(c->replay_window, 128);
	assert_int_equal(c->encapsulation, CHOICE_AUTO);
	assert_int_equal(c->dpd_delay_s, 0);
	assert_int_equal(c->keying_tries, 0);
	assert_int_equal(c->reqid, 0);
	assert_true(c->rekey);
	assert_true(c->pfs);
	assert_true(c->nat_keepalive);
	assert_false(c->narrowing);
	assert_null(c->ike_text);
	assert_true(c->ike_proposals->count > 0);
	assert_true(c->child_proposals->count > 0);
	assert_string_equal(warnings, "");
	connection_unref(c);
}

static void test_values(void **state)
{
	struct connection *c =
		compile_good(PSK "leftid=@a.test rightid=@#0a0b leftsubnet=10.1.0.0/24,10.3.0.0/16 "
				 "rightsubnet=10.2.0.0/24 "
				 "rightprotoport=tcp/443 rightikeport=4501 ikelifetime=90m "
				 "lifetime=1d rekeymargin=2m rekeyfuzz=20% "
				 "rekey=no keyingtries=%forever dpddelay=1500ms "
				 "retransmit-interval=250 retransmit-timeout=1m "
				 "replay-window=0 encapsulation=no esn=no pfs=no narrowing=yes "
				 "initial-contact=yes nat-keepalive=no "
				 "decap-dscp=yes nopmtudisc=yes reqid=17 priority=99 "
				 "ipsec-max-bytes=1MiB ipsec-max-packets=1000 "
				 "connalias=grp,other ike=aes256-sha2_256;dh19 esp=aes_gcm256 "
				 "auto=start type=tunnel");

	(void)state;
	assert_int_equal(c->local.id->kind, ID_FQDN);
	assert_int_equal(c->remote.id->kind, ID_KEY_ID);
	assert_int_equal(c->local.selector_count, 2);
	assert_int_equal(c->remote.selector_count, 1);
	assert_int_equal(c->remote.selectors[0].protocol, 6);
	assert_int_equal(c->remote.selectors[0].port_first, 443);
	assert_int_equal(c->remote.selectors[0].port_last, 443);
	assert_int_equal(c->remote.ike_port, 4501);
	assert_int_equal(c->ike_life_s, 5400);
	assert_int_equal(c->child_life_s, 86400);
	assert_int_equal(c->rekey_margin_s, 120);
	assert_int_equal(c->rekey_fuzz_percent, 20);
	assert_false(c->rekey);
	assert_int_equal(c->dpd_delay_s, 2);
	assert_int_equal(c->retransmit_interval_ms, 250);
	assert_int_equal(c->retransmit_timeout_s, 60);
	assert_int_equal(c->replay_window, 0);
	assert_int_equal(c->encapsulation, CHOICE_NO);
	assert_false(c->pfs);
	assert_true(c->narrowing);
	assert_true(c->initial_contact);
	assert_false(c->nat_keepalive);
	assert_true(c->decap_dscp);
	assert_true(c->no_pmtu_discovery);
	assert_int_equal(c->reqid, 17);
	assert_int_equal(c->priority, 99);
	assert_int_equal(c->limits.hard_bytes, 1048576);
	assert_int_equal(c->limits.soft_bytes, 524288);
	assert_int_equal(c->limits.hard_packets, 1000);
	assert_string_equal(c->aliases[0], "grp");
	assert_string_equal(c->aliases[1], "other");
	assert_null(c->aliases[2]);
	assert_string_equal(c->ike_text, "aes256-sha2_256;dh19");
	assert_string_equal(c->esp_text, "aes_gcm256");
	connection_unref(c);
}

static void test_protocols(void **state)
{
	struct connection *c = compile_good(PSK "phase2=ah");

	(void)state;
	assert_int_equal(c->protocol, IPSEC_AH);
	assert_int_equal(c->child_proposals->proposals[0].protocol, PROTOCOL_AH);
	assert_null(c->esp_text);
	connection_unref(c);
	c = compile_good(PSK "phase2=ah phase2alg=sha2_256 compress=yes");
	assert_int_equal(c->protocol, IPSEC_AH);
	assert_string_equal(c->esp_text, "sha2_256");
	assert_true(c->compress);
	assert_string_equal(warnings, "");
	connection_unref(c);
	c = compile_good(PSK "ah=sha1 tfc=1000 send-no-esp-tfc=yes");
	assert_int_equal(c->protocol, IPSEC_AH);
	assert_true(c->refuse_tfc);
	assert_string_equal(
		warnings, "tfc=1000 is ignored: only ESP in tunnel mode can be padded\n");
	connection_unref(c);
	c = compile_good(PSK "tfc=1000");
	assert_int_equal(c->protocol, IPSEC_ESP);
	assert_int_equal(c->tfc_padding, 1000);
	assert_string_equal(warnings, "");
	connection_unref(c);
	c = compile_good(PSK "tfc=1000 compress=yes");
	assert_string_equal(warnings, "tfc=1000 is ignored with SAs that compress\n");
	connection_unref(c);
}

static void test_road_warrior(void **state)
{
	struct connection *c =
		compile_good("left=2001:db8::1 right=%any authby=secret rightid=user@example.net "
			     "leftsubnet=10.0.0.0/8 rightsubnet=10.9.0.0/16");

	(void)state;
	assert_true(connection_is_template(c));
	assert_int_equal(c->remote.id->kind, ID_RFC822_ADDR);
	connection_unref(c);
	c = compile_good("left=192.0.2.1 right=%any authby=secret");
	assert_int_equal(c->remote.id->kind, ID_ANY);
	connection_unref(c);
}

static void test_opaque_ports(void **state)
{
	struct connection *c = compile_good(PSK "leftprotoport=udp/%opaque rightprotoport=17/%any");

	(void)state;
	assert_int_equal(c->local.selectors[0].port_first, 65535);
	assert_int_equal(c->local.selectors[0].port_last, 0);
	assert_int_equal(c->remote.selectors[0].protocol, 17);
	assert_int_equal(c->remote.selectors[0].port_first, 0);
	assert_int_equal(c->remote.selectors[0].port_last, 65535);
	connection_unref(c);
}

static void test_warnings(void **state)
{
	static const struct {
		const char *text, *warnings;
	} rows[] = {
		{PSK "dpdaction=restart", "dpdaction=restart is obsolete and ignored\n"},
		{PSK "dpdtimeout=60", "dpdtimeout=60 has no effect with IKEv2\n"},
		{PSK "fragmentation=force", ""},
		{PSK "leftnexthop=192.0.2.254", ""},
		{PSK "leftsourceip=10.1.0.1 leftsubnet=10.1.0.0/24", ""},
		{PSK "leftsourceip=10.3.0.1 leftsubnet=10.1.0.0/24",
			"leftsourceip=10.3.0.1 is not in leftsubnet=\n"},
		{PSK "leftnexthop=%direct mobike=off auto=add leftupdown=ipsec~_updown", ""},
		{PSK "ikelifetime=2d", "ikelifetime=2d is longer than a day: reduced to a day\n"},
		{PSK "ikelifetime=900 ipsec-lifetime=800",
			"rekeymargin=540s with rekeyfuzz=100% does not fit into a life of 800s: "
			"reduced to 200s\n"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		connection_unref(compile_good(rows[i].text));
		assert_string_equal(warnings, rows[i].warnings);
	}
}

static void test_shared_proposals(void **state)
{
	struct proposal_cache *cache = proposal_cache_new();
	struct compile_context context = {.proposals = cache};
	char error[256];
	struct connection *a = compile_with("a", PSK, &context, error, sizeof(error));
	struct connection *b = compile_with("b", PSK, &context, error, sizeof(error));
	struct connection *other = compile_with("c", PSK "esn=no", &context, error, sizeof(error));

	(void)state;
	assert_ptr_equal(a->ike_proposals, b->ike_proposals);
	assert_ptr_equal(a->child_proposals, b->child_proposals);
	assert_ptr_not_equal(a->child_proposals, other->child_proposals);
	/* More texts than it keeps: connections keep their own. */
	for (unsigned i = 0; i < 16 * 36; i++) {
		static const char *const ciphers[] = {"aes128", "aes256", "aes192", "aes_gcm128"};
		static const char *const groups[] = {
			"dh14", "dh15", "dh16", "dh19", "dh20", "dh31"};
		struct connection *c;
		char text[160];

		snprintf(text, sizeof(text), PSK "ike=%s-sha2_256;%s,%s-sha2_512;%s",
			ciphers[i % 4], groups[i / 16 % 6], ciphers[i / 4 % 4], groups[i / 96]);
		c = compile_with("x", text, &context, error, sizeof(error));
		assert_non_null(c);
		connection_unref(c);
	}
	proposal_cache_free(cache);
	assert_true(a->ike_proposals->count > 0);
	connection_unref(a);
	connection_unref(b);
	connection_unref(other);
}

static struct listen_address listening(const char *text)
{
	struct listen_address a = {.interface = "lo"};

	assert_true(ip_parse(text, &a.address));
	return a;
}

static void test_orientation(void **state)
{
	struct listen_address both[] = {listening("192.0.2.1"), listening("192.0.2.2")};
	struct address_set none, left, right, all;
	struct connection *c =
		compile_good(PSK "leftid=@a rightid=@b leftsubnet=10.1.0.0/24 "
				 "rightsubnet=10.2.0.0/24 connalias=x ike=aes256-sha2_256;dh19");
	struct connection *as_left, *as_right, *back;
	char why[ORIENT_TEXT_MAX], topology[256];
	struct line line;

	(void)state;
	c->serial = 7;
	c->reqid = 70000;
	assert_true(address_set_make(&none, NULL, 0) && address_set_make(&left, both, 1) &&
		    address_set_make(&right, both + 1, 1) && address_set_make(&all, both, 2));
	assert_int_equal(connection_orient(c, &none, &back), ORIENT_SAME);
	assert_string_equal(connection_unoriented_text(c, &none, why),
		"neither left=192.0.2.1 nor right=192.0.2.2 match an interface");
	assert_int_equal(connection_orient(c, &all, &back), ORIENT_SAME);
	assert_string_equal(connection_unoriented_text(c, &all, why),
		"both left=192.0.2.1 and right=192.0.2.2 match an interface");

	assert_int_equal(connection_orient(c, &right, &as_right), ORIENT_CHANGED);
	assert_true(as_right->oriented);
	assert_false(as_right->local_is_left);
	assert_int_equal(as_right->serial, 7);
	assert_int_equal(as_right->reqid, 70000);
	assert_string_equal(as_right->name, "c");
	assert_string_equal(as_right->aliases[0], "x");
	assert_string_equal(as_right->ike_text, c->ike_text);
	assert_ptr_equal(as_right->ike_proposals, c->ike_proposals);
	assert_int_equal(as_right->local.host.bytes[3], 2);
	assert_int_equal(connection_orient(as_right, &right, &back), ORIENT_SAME);
	line = line_of(topology, sizeof(topology));
	connection_topology(&line, as_right);
	assert_string_equal(topology, "10.2.0.0/24===192.0.2.2[@b]...192.0.2.1[@a]===10.1.0.0/24");

	/* The address has moved: the ends change places, and none is lost. */
	assert_int_equal(connection_orient(as_right, &left, &as_left), ORIENT_CHANGED);
	assert_true(as_left->local_is_left);
	line = line_of(topology, sizeof(topology));
	connection_topology(&line, as_left);
	assert_string_equal(topology, "10.1.0.0/24===192.0.2.1[@a]...192.0.2.2[@b]===10.2.0.0/24");
	assert_int_equal(connection_orient(as_right, &none, &back), ORIENT_CHANGED);
	assert_false(back->oriented);
	assert_int_equal(connection_left(back)->host.bytes[3], 1);

	connection_unref(c);
	connection_unref(as_left);
	connection_unref(as_right);
	connection_unref(back);
	address_set_release(&none);
	address_set_release(&left);
	address_set_release(&right);
	address_set_release(&all);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_errors),
		cmocka_unit_test(test_pools),
		cmocka_unit_test(test_shunts),
		cmocka_unit_test(test_errors_from_below),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_protocols),
		cmocka_unit_test(test_road_warrior),
		cmocka_unit_test(test_opaque_ports),
		cmocka_unit_test(test_warnings),
		cmocka_unit_test(test_shared_proposals),
		cmocka_unit_test(test_orientation),
	};

	return cmocka_run_group_tests_name("compile", tests, NULL, NULL);
}
