/* Marks, interfaces and offload: what ties a connection's SAs to something of the Linux kernel's.
 */
#include "compile.h"

#include "kernel/kernel.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define INTERFACE_0_ID 16384 /* ipsec0's: an ID of 0 is none */
#define MTU_MIN        576
#define MTU_MAX        65535

/* Decimal, or hexadecimal with 0x. */
static bool parse_u32(const char *text, uint32_t *out)
{
	bool hex = text[0] == '0' && (text[1] | 0x20) == 'x';
	const char *digits = hex ? text + 2 : text;
	unsigned long long n;

	if (!*digits || strlen(digits) > 10)
		return false;
	for (const char *c = digits; *c; c++)
		if (!(hex ? isxdigit((unsigned char)*c) : isdigit((unsigned char)*c)))
			return false;
	n = strtoull(digits, NULL, hex ? 16 : 10);
	*out = (uint32_t)n;
	return n <= UINT32_MAX;
}

/* "5", "5/0xff", "-1/0xffffff", "%unique" */
static bool parse_mark(const char *text, struct binding_mark *out)
{
	size_t len = strcspn(text, "/");
	char value[16];

	*out = (struct binding_mark){.mark.mask = UINT32_MAX};
	if (len >= sizeof(value))
		return false;
	memcpy(value, text, len);
	value[len] = '\0';
	if (text[len] && (!parse_u32(text + len + 1, &out->mark.mask) || !out->mark.mask))
		return false;
	if (strcmp(value, "-1") == 0 || strcasecmp(value, "%unique") == 0) {
		out->unique = true;
		return true;
	}
	/* Bits outside of the mask no packet would ever be compared by. */
	return parse_u32(value, &out->mark.value) && !(out->mark.value & ~out->mark.mask);
}

static bool compile_mark(
	struct compile *cc, const char *key, const char *text, struct binding_mark *out)
{
	return !text || parse_mark(text, out) ||
	       compile_fail(cc,
		       "%s=%s is not MARK or MARK/MASK: numbers of 32 bits with no bit of the mark "
		       "outside "
		       "of the mask, or %%unique (-1) for the mark",
		       key, text);
}

static bool compile_marks(struct compile *cc, struct connection_binding *b)
{
	const struct binding_text *t = &cc->binding;

	return compile_mark(cc, "mark", t->mark, &b->in) &&
	       compile_mark(cc, "mark", t->mark, &b->out) &&
	       compile_mark(cc, "mark-in", t->mark_in, &b->in) &&
	       compile_mark(cc, "mark-out", t->mark_out, &b->out);
}

/* As the kernel wants it (dev_valid_name), and printable. */
static bool is_interface_name(const char *name)
{
	size_t len = strlen(name);

	if (len == 0 || len >= BINDING_NAME_MAX || strcmp(name, ".") == 0 ||
		strcmp(name, "..") == 0)
		return false;
	for (size_t i = 0; i < len; i++)
		if (!isgraph((unsigned char)name[i]) || strchr("/:%\"\\'", name[i]))
			return false;
	return true;
}

static bool compile_xfrm_interface(struct compile *cc, struct connection_binding *b)
{
	const char *text = cc->binding.ipsec_interface, *digits = text;
	unsigned long long n;
	bool yes;

	if (!text)
		return true;
	if (strncasecmp(text, "ipsec", 5) == 0)
		digits += 5;
	if (conf_count(digits, &n)) {
		if (n > 99999999)
			return compile_fail(
				cc, "ipsec-interface=%s: the number is too large", text);
	} else if (!conf_bool(text, &yes)) {
		return compile_fail(
			cc, "ipsec-interface=%s is not yes, no, a number N or ipsecN", text);
	} else if (!yes) {
		return true;
	} else {
		n = 1;
	}
	b->device = BINDING_XFRM;
	b->interface_id = n ? (uint32_t)n : INTERFACE_0_ID;
	snprintf(b->name, sizeof(b->name), "ipsec%llu", n);
	return true;
}

static bool compile_yes_no(struct compile *cc, const char *key, const char *text, bool *out)
{
	return !text || conf_bool(text, out) ||
	       compile_fail(cc, "%s=%s is not yes or no", key, text);
}

static bool compile_vti(struct compile *cc, struct connection_binding *b)
{
	const struct binding_text *t = &cc->binding;

	if (!compile_yes_no(cc, "vti-routing", t->vti_routing, &b->vti_routing) ||
		!compile_yes_no(cc, "vti-shared", t->vti_shared, &b->vti_shared))
		return false;
	if (!t->vti_interface) {
		if (b->vti_routing || b->vti_shared)
			return compile_fail(cc, "vti-%s=yes needs vti-interface=",
				b->vti_routing ? "routing" : "shared");
		return true;
	}
	if (!is_interface_name(t->vti_interface))
		return compile_fail(cc, "vti-interface=%.32s is not the name of an interface",
			t->vti_interface);
	if (b->device == BINDING_XFRM)
		return compile_fail(cc, "vti-interface= does not go with ipsec-interface=");
	if (cc->c->mode != IPSEC_TUNNEL)
		return compile_fail(cc, "vti-interface= does not go with type=transport");
	if (!b->in.mark.mask || !b->out.mark.mask)
		return compile_fail(cc, "vti-interface= needs mark=, or mark-in= and mark-out=: "
					"they are the device's "
					"keys");
	if ((b->in.unique || b->out.unique) && (cc->ends[0].any || cc->ends[1].any))
		return compile_fail(cc,
			"vti-interface= needs marks that are numbers, since one device serves all "
			"peers of %%any");
	b->device = BINDING_VTI;
	memcpy(b->name, t->vti_interface, strlen(t->vti_interface) + 1);
	return true;
}

static bool parse_interface_address(const char *text, struct interface_address *out)
{
	size_t len = strcspn(text, "/");
	char address[IP_TEXT_MAX];
	unsigned long long n;

	if (len >= sizeof(address))
		return false;
	memcpy(address, text, len);
	address[len] = '\0';
	if (!ip_parse(address, &out->address) || ip_is_any(&out->address))
		return false;
	out->prefix_len = (uint8_t)ip_bits(out->address.family);
	if (!text[len])
		return true;
	if (!conf_count(text + len + 1, &n) || n > out->prefix_len)
		return false;
	out->prefix_len = (uint8_t)n;
	return true;
}

static bool compile_address(struct compile *cc, struct connection_binding *b, unsigned side)
{
	const struct end_text *t = &cc->ends[side];
	const char *text = t->interface_ip ? t->interface_ip : t->vti;
	const char *key = t->interface_ip ? "interface-ip" : "vti";

	if (!text)
		return true;
	if (t->interface_ip && t->vti)
		return compile_fail(
			cc, "%sinterface-ip= and %svti= are one and the same", t->side, t->side);
	if (b->device != (t->interface_ip ? BINDING_XFRM : BINDING_VTI))
		return compile_fail(cc, "%s%s= needs %s=", t->side, key,
			t->interface_ip ? "ipsec-interface" : "vti-interface");
	return parse_interface_address(text, &b->address[side]) ||
	       compile_fail(cc, "%s%s=%s is not an IP address with the length of a prefix", t->side,
		       key, text);
}

static bool compile_mtu(struct compile *cc, struct connection_binding *b)
{
	const char *text = cc->binding.mtu;
	unsigned long long n;

	if (!text)
		return true;
	if (!conf_count(text, &n) || n < MTU_MIN || n > MTU_MAX)
		return compile_fail(
			cc, "mtu=%s is not a number from %d to %d", text, MTU_MIN, MTU_MAX);
	if (b->device == BINDING_NO_DEVICE)
		cc->c->mtu = (uint32_t)n; /* of the routes */
	else
		b->mtu = (uint32_t)n;
	return true;
}

static bool compile_offload(struct compile *cc, struct connection_binding *b)
{
	static const struct {
		const char *name;
		enum nic_offload offload;
	} words[] = {{"crypto", NIC_OFFLOAD_CRYPTO}, {"auto", NIC_OFFLOAD_AUTO},
		{"packet", NIC_OFFLOAD_PACKET}};
	const char *text = cc->binding.nic_offload;
	bool yes;

	if (!text)
		return true;
	if (conf_bool(text, &yes)) {
		b->offload = yes ? NIC_OFFLOAD_CRYPTO : NIC_OFFLOAD_NO;
		return true;
	}
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strcasecmp(text, words[i].name) == 0) {
			b->offload = words[i].offload;
			return b->offload != NIC_OFFLOAD_PACKET ||
			       compile_fail(cc,
				       "nic-offload=packet is not implemented yet: only crypto");
		}
	return compile_fail(cc, "nic-offload=%s is not yes, no, auto, crypto or packet", text);
}

static bool is_tied(const struct connection_binding *b)
{
	return b->in.mark.mask || b->out.mark.mask || b->device != BINDING_NO_DEVICE;
}

/* "auto" is content with nothing. */
static bool check_backend(struct compile *cc, struct connection_binding *b)
{
	const struct kernel *kernel = cc->context->kernel;

	if (!kernel || kernel_binds(kernel))
		return true;
	if (b->offload == NIC_OFFLOAD_AUTO)
		b->offload = NIC_OFFLOAD_NO;
	if (!is_tied(b) && b->offload == NIC_OFFLOAD_NO)
		return true;
	return compile_fail(cc, "%s= needs the Linux kernel's IPsec: \"%s\" has no such thing",
		b->device == BINDING_XFRM  ? "ipsec-interface"
		: b->device == BINDING_VTI ? "vti-interface"
		: !is_tied(b)              ? "nic-offload"
		: cc->binding.mark         ? "mark"
		: cc->binding.mark_in      ? "mark-in"
					   : "mark-out",
		kernel_name(kernel));
}

bool compile_binding(struct compile *cc)
{
	struct connection_binding *b = binding_new();

	if (!b)
		return compile_fail(cc, "out of memory");
	if (compile_marks(cc, b) && compile_xfrm_interface(cc, b) && compile_vti(cc, b) &&
		compile_address(cc, b, 0) && compile_address(cc, b, 1) && compile_mtu(cc, b) &&
		compile_offload(cc, b) && check_backend(cc, b)) {
		if (is_tied(b) || b->offload != NIC_OFFLOAD_NO)
			cc->c->binding = b;
		else
			binding_unref(b);
		return true;
	}
	binding_unref(b);
	return false;
}
