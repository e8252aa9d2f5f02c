/* Marks, interfaces and offload of connections: what good descriptions come to, what SAs and
 * policies get of it, and the exact words for bad ones. */
#include "binding_text.h"
#include "connection_compile.h"

#include "kernel/kernel.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define HOSTS "left=192.0.2.1 right=192.0.2.2 authby=secret "

static struct connection *compile(
	const char *text, const struct kernel *kernel, char *error, size_t size)
{
	struct compile_context context = {.kernel = kernel};
	struct keyvalues kv = {0};
	char *copy = strdup(text), *rest = copy, *word;
	struct connection *c;

	while ((word = strsep(&rest, " "))) {
		char *equals = strchr(word, '=');

		if (!equals)
			continue;
		*equals = '\0';
		assert_true(keyvalues_set(&kv, word, equals + 1));
	}
	free(copy);
	error[0] = '\0';
	c = connection_compile("c", &kv, &context, error, size);
	keyvalues_release(&kv);
	return c;
}

static struct connection *good(const char *text)
{
	char error[512];
	struct connection *c = compile(text, NULL, error, sizeof(error));

	if (!c)
		fail_msg("%s: %s", text, error);
	return c;
}

static void test_errors(void **state)
{
	static const char mark_words[] =
		" is not MARK or MARK/MASK: numbers of 32 bits with no bit of the mark outside of "
		"the mask, or %unique (-1) for the mark";
	static const struct {
		const char *text, *error;
		bool mark;
	} cases[] = {
		{"mark=x", "mark=x", true},
		{"mark=4294967296", "mark=4294967296", true},
		{"mark=0x100/0xff", "mark=0x100/0xff", true},
		{"mark=1/0", "mark=1/0", true},
		{"mark-in=-2", "mark-in=-2", true},
		{"mark-out=1/", "mark-out=1/", true},
		{"ipsec-interface=maybe",
			"ipsec-interface=maybe is not yes, no, a number N or ipsecN"},
		{"ipsec-interface=ipsec",
			"ipsec-interface=ipsec is not yes, no, a number N or ipsecN"},
		{"ipsec-interface=100000000", "ipsec-interface=100000000: the number is too large"},
		{"leftinterface-ip=10.0.0.1", "leftinterface-ip= needs ipsec-interface="},
		{"ipsec-interface=1 leftinterface-ip=10.0.0.1/33",
			"leftinterface-ip=10.0.0.1/33 is not an IP address with the length of a "
			"prefix"},
		{"ipsec-interface=1 rightinterface-ip=0.0.0.0/8",
			"rightinterface-ip=0.0.0.0/8 is not an IP address with the length of a "
			"prefix"},
		{"ipsec-interface=1 leftvti=10.0.0.1/8", "leftvti= needs vti-interface="},
		{"ipsec-interface=1 mtu=70000", "mtu=70000 is not a number from 576 to 65535"},
		{"vti-interface=vti0",
			"vti-interface= needs mark=, or mark-in= and mark-out=: they are the "
			"device's keys"},
		{"vti-interface=vti0 mark-in=3",
			"vti-interface= needs mark=, or mark-in= and mark-out=: they "
			"are the device's keys"},
		{"vti-interface=a/b mark=3", "vti-interface=a/b is not the name of an interface"},
		{"vti-interface=much-too-long-name mark=3",
			"vti-interface=much-too-long-name is not the name of an interface"},
		{"vti-interface=vti0 mark=3 ipsec-interface=1",
			"vti-interface= does not go with ipsec-interface="},
		{"vti-routing=yes", "vti-routing=yes needs vti-interface="},
		{"vti-shared=perhaps", "vti-shared=perhaps is not yes or no"},
		{"nic-offload=perhaps",
			"nic-offload=perhaps is not yes, no, auto, crypto or packet"},
		{"nic-offload=packet", "nic-offload=packet is not implemented yet: only crypto"},
		{"sec-label=a:b:c:s0", "sec-label=a:b:c:s0 is not implemented yet"},
	};
	char error[512], text[512], wanted[512];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		snprintf(text, sizeof(text), HOSTS "%s", cases[i].text);
		snprintf(wanted, sizeof(wanted), "%s%s", cases[i].error,
			cases[i].mark ? mark_words : "");
		assert_null(compile(text, NULL, error, sizeof(error)));
		assert_string_equal(error, wanted);
	}
}

/* A backend that has nothing of it says so. */
static void test_other_backends(void **state)
{
	struct kernel_config config = {.backend = "none"};
	char error[512] = "";
	struct kernel *kernel = kernel_open(&config, error, sizeof(error));
	static const char *const refused[][2] = {{"mark=1", "mark"}, {"mark-out=1", "mark-out"},
		{"ipsec-interface=2", "ipsec-interface"},
		{"vti-interface=vti0 mark=1", "vti-interface"}, {"nic-offload=yes", "nic-offload"},
		{"nic-offload=auto mark-in=1", "mark-in"}};
	struct connection *c;

	(void)state;
	assert_non_null(kernel);
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		char text[200], wanted[200];

		snprintf(text, sizeof(text), HOSTS "%s", refused[i][0]);
		snprintf(wanted, sizeof(wanted),
			"%s= needs the Linux kernel's IPsec: \"none\" has no such thing",
			refused[i][1]);
		assert_null(compile(text, kernel, error, sizeof(error)));
		assert_string_equal(error, wanted);
	}
	c = compile(HOSTS "nic-offload=auto ipsec-interface=no", kernel, error, sizeof(error));
	assert_non_null(c);
	assert_null(c->binding);
	connection_unref(c);
	kernel_close(kernel);
}

static void test_marks(void **state)
{
	struct connection *c = good(HOSTS "mark=0x10/0xf0 mark-out=7");
	struct ipsec_sa in = {.direction = IPSEC_INBOUND}, out = {.direction = IPSEC_OUTBOUND};
	struct ipsec_policy policy = {0};

	(void)state;
	binding_of_sa(c, 5, &in);
	binding_of_sa(c, 5, &out);
	binding_of_policy(c, 5, &policy);
	assert_int_equal(in.mark.value, 0x10);
	assert_int_equal(in.mark.mask, 0xf0);
	assert_int_equal(out.mark.value, 7);
	assert_int_equal(out.mark.mask, UINT32_MAX);
	assert_int_equal(out.set_mark.mask, 0);
	assert_memory_equal(&policy.mark_in, &in.mark, sizeof(in.mark));
	assert_memory_equal(&policy.mark_out, &out.mark, sizeof(out.mark));
	connection_unref(c);
	/* Every instance of a template has one of its own, as its reqid is. */
	c = good("left=192.0.2.1 right=%any authby=secret mark=-1/0xffffff");
	binding_of_sa(c, 0x80000007, &in);
	assert_int_equal(in.mark.value, 7);
	binding_of_sa(c, 0x80000008, &in);
	assert_int_equal(in.mark.value, 8);
	connection_unref(c);
	c = good(HOSTS);
	assert_null(c->binding);
	memset(&in, 0, sizeof(in));
	binding_of_sa(c, 5, &in);
	assert_int_equal(in.mark.mask, 0);
	connection_unref(c);
}

static void test_interfaces(void **state)
{
	static const struct {
		const char *text, *name;
		uint32_t id;
	} cases[] = {{"yes", "ipsec1", 1}, {"1", "ipsec1", 1}, {"0", "ipsec0", 16384},
		{"12", "ipsec12", 12}, {"ipsec12", "ipsec12", 12}};
	struct ipsec_sa in = {.direction = IPSEC_INBOUND}, out = {.direction = IPSEC_OUTBOUND};
	struct ipsec_policy policy = {0};
	struct connection *c;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char text[200];

		snprintf(text, sizeof(text), HOSTS "ipsec-interface=%s", cases[i].text);
		c = good(text);
		assert_int_equal(c->binding->device, BINDING_XFRM);
		assert_int_equal(c->binding->interface_id, cases[i].id);
		assert_string_equal(c->binding->name, cases[i].name);
		connection_unref(c);
	}
	c = good(HOSTS "ipsec-interface=3");
	binding_of_sa(c, 5, &in);
	binding_of_sa(c, 5, &out);
	binding_of_policy(c, 5, &policy);
	assert_int_equal(in.interface_id, 3);
	assert_int_equal(in.set_mark.mask, 0);
	assert_int_equal(out.interface_id, 3);
	assert_int_equal(out.set_mark.value, 3);
	assert_int_equal(policy.interface_id, 3);
	connection_unref(c);
	/* With an interface a mark is what packets are given. */
	c = good(HOSTS "ipsec-interface=3 mark-out=9/0xff");
	binding_of_sa(c, 5, &out);
	binding_of_policy(c, 5, &policy);
	assert_int_equal(out.set_mark.value, 9);
	assert_int_equal(out.set_mark.mask, 0xff);
	assert_int_equal(out.mark.mask, 0);
	assert_int_equal(policy.mark_out.mask, 0);
	connection_unref(c);
}

static void assert_text(const char *description, bool oriented, const char *wanted)
{
	char text[512];
	struct line line = line_of(text, sizeof(text));
	struct connection *c = good(description);

	c->oriented = oriented;
	c->local_is_left = true;
	binding_text(&line, c);
	if (c->binding && c->binding->device != BINDING_NO_DEVICE)
		binding_device_text(&line, c);
	text[line.len] = '\0';
	assert_string_equal(text, wanted);
	connection_unref(c);
}

static void test_texts(void **state)
{
	(void)state;
	assert_text(HOSTS, true,
		"mark: unset; vti-iface:unset; vti-routing:no; vti-shared:no; nic-offload:no;\n");
	assert_text(HOSTS "mark=5/0xff nic-offload=auto", true,
		"mark: 5/0x0000ff, 5/0x0000ff; vti-iface:unset; vti-routing:no; vti-shared:no; "
		"nic-offload:auto(no);\n");
	assert_text(HOSTS "mark=5 vti-interface=vti7 vti-shared=yes leftvti=10.0.0.1/24", true,
		"mark: 5/0xffffffff, 5/0xffffffff; vti-iface:vti7; vti-routing:no; vti-shared:yes; "
		"nic-offload:no;\nvti: 10.0.0.1/24; interface-mtu: auto;\n");
	assert_text(HOSTS "ipsec-interface=4 leftinterface-ip=fd00::1/64 mtu=1400", true,
		"mark: unset; vti-iface:unset; vti-routing:no; vti-shared:no; nic-offload:no;\n"
		"ipsec-interface: ipsec4; interface-id: 4; interface-ip: fd00::1/64; "
		"interface-mtu: "
		"1400;\n");
	assert_text(HOSTS "ipsec-interface=4 leftinterface-ip=fd00::1/64", false,
		"mark: unset; vti-iface:unset; vti-routing:no; vti-shared:no; nic-offload:no;\n"
		"ipsec-interface: ipsec4; interface-id: 4; interface-ip: unset; interface-mtu: "
		"auto;\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_errors),
		cmocka_unit_test(test_other_backends),
		cmocka_unit_test(test_marks),
		cmocka_unit_test(test_interfaces),
		cmocka_unit_test(test_texts),
	};
	return cmocka_run_group_tests_name("pluto binding", tests, NULL, NULL);
}
