#include "binding_text.h"

#include <inttypes.h>
#include <stdio.h>

static void add_mark(struct line *line, const struct connection *c, const struct binding_mark *m)
{
	if (m->unique && connection_is_template(c))
		line_add(line, "unique/%#08" PRIx32, m->mark.mask);
	else
		line_add(line, "%" PRIu32 "/%#08" PRIx32, m->mark.value, m->mark.mask);
}

static const char *offload_name(const struct connection *c)
{
	switch (c->binding ? c->binding->offload : NIC_OFFLOAD_NO) {
	case NIC_OFFLOAD_CRYPTO:
		return "crypto";
	case NIC_OFFLOAD_PACKET:
		return "packet";
	case NIC_OFFLOAD_AUTO:
		return c->offload_device ? "auto(crypto)" : "auto(no)";
	default:
		return "no";
	}
}

void binding_text(struct line *line, const struct connection *c)
{
	static const struct connection_binding none;
	const struct connection_binding *b = c->binding ? c->binding : &none;
	bool vti = b->device == BINDING_VTI;

	line_add(line, "mark: ");
	if (b->in.mark.mask || b->out.mark.mask) {
		add_mark(line, c, &b->in);
		line_add(line, ", ");
		add_mark(line, c, &b->out);
	} else {
		line_add(line, "unset");
	}
	line_add(line, "; vti-iface:%s; vti-routing:%s; vti-shared:%s; nic-offload:%s;\n",
		vti ? b->name : "unset", b->vti_routing ? "yes" : "no",
		b->vti_shared ? "yes" : "no", offload_name(c));
}

/* The address is the local end's. */
void binding_device_text(struct line *line, const struct connection *c)
{
	const struct connection_binding *b = c->binding;
	const struct interface_address *a = &b->address[c->oriented && !c->local_is_left];
	char address[IP_TEXT_MAX + 8] = "unset", mtu[16] = "auto", ip[IP_TEXT_MAX];

	if (c->oriented && !ip_is_unset(&a->address))
		snprintf(
			address, sizeof(address), "%s/%u", ip_text(&a->address, ip), a->prefix_len);
	if (b->mtu)
		snprintf(mtu, sizeof(mtu), "%" PRIu32, b->mtu);
	if (b->device == BINDING_XFRM)
		line_add(line, "ipsec-interface: %s; interface-id: %" PRIu32 "; interface-ip: %s; ",
			b->name, b->interface_id, address);
	else
		line_add(line, "vti: %s; ", address);
	line_add(line, "interface-mtu: %s;\n", mtu);
}
