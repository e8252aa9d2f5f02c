#include "bindings.h"

#include "pluto.h"

#include "kernel/nic_offload.h"
#include "kernel/tunnel_device.h"

#include <net/if.h>
#include <stdio.h>
#include <string.h>

#define FIRST_MARK 1001 /* as other plutos have it */

bool bindings_open(struct pluto *p)
{
	if (!kernel_binds(p->kernel))
		return true;
	p->devices = tunnel_devices_open();
	return p->devices;
}

void bindings_close(struct pluto *p)
{
	tunnel_devices_close(p->devices, p->left_state);
	p->devices = NULL;
}

static void number(struct pluto *p, struct binding_mark *m)
{
	if (!m->unique)
		return;
	if (p->next_mark < FIRST_MARK)
		p->next_mark = FIRST_MARK;
	m->mark.value = p->next_mark & m->mark.mask;
}

void bindings_number(struct pluto *p, struct connection *c)
{
	struct connection_binding *b = c->binding;

	if (!b || connection_is_template(c) || !(b->in.unique || b->out.unique))
		return;
	number(p, &b->in);
	number(p, &b->out);
	p->next_mark++;
}

/* ---- devices ------------------------------------------------------------------- */

static unsigned routes_of(const struct connection *c, struct ip_subnet out[IPSEC_SELECTORS_MAX])
{
	unsigned count = 0;

	for (unsigned i = 0; i < c->remote.selector_count && i < IPSEC_SELECTORS_MAX; i++)
		if (ip_subnet_of_range(&c->remote.selectors[i].range, &out[count]))
			count++;
	return count;
}

static bool hold_device(struct pluto *p, const struct connection *c, char *error, size_t error_size)
{
	const struct connection_binding *b = c->binding;
	const struct interface_address *a = &b->address[c->local_is_left ? 0 : 1];
	struct ip_subnet routes[IPSEC_SELECTORS_MAX];
	struct tunnel_device d = {
		.kind = b->device == BINDING_XFRM ? TUNNEL_DEVICE_XFRM : TUNNEL_DEVICE_VTI,
		.interface_id = b->interface_id,
		.local = c->local.host,
		.remote = c->remote.host,
		.key_in = b->in.mark.value,
		.key_out = b->out.mark.value,
		.shared = b->vti_shared,
		.must_exist = b->device == BINDING_XFRM && p->options.interfaces_unmanaged,
		.mtu = b->mtu,
		.address = a->address,
		.prefix_len = a->prefix_len,
		.routes = routes,
	};

	if (b->device == BINDING_NO_DEVICE)
		return true;
	if (!p->devices) {
		snprintf(error, error_size, "\"%s\" has no device %s", kernel_name(p->kernel),
			b->name);
		return false;
	}
	memcpy(d.name, b->name, sizeof(d.name));
	d.route_count = b->vti_routing ? routes_of(c, routes) : 0;
	return tunnel_device_hold(p->devices, c->serial, &d, error, error_size);
}

/* ---- offload -------------------------------------------------------------------- */

static const char *interface_of(const struct pluto *p, const struct ip_address *host)
{
	for (size_t i = 0; i < p->address_count; i++)
		if (ip_equal(&p->addresses[i].address, host))
			return p->addresses[i].interface;
	return "";
}

static bool find_offload(struct pluto *p, struct connection *c, char *error, size_t error_size)
{
	const struct connection_binding *b = c->binding;
	const char *interface = interface_of(p, &c->local.host);
	char reason[160];

	c->offload_device = 0;
	if (b->offload == NIC_OFFLOAD_NO)
		return true;
	if (nic_offload_check(interface, reason, sizeof(reason))) {
		c->offload_device = if_nametoindex(interface);
		return true;
	}
	if (b->offload == NIC_OFFLOAD_AUTO) {
		log_line(LOG_LINE_INFO, "\"%s\": nic-offload=auto is done without: %s", c->name,
			reason);
		return true;
	}
	snprintf(error, error_size, "nic-offload=yes cannot be had: %s", reason);
	return false;
}

bool bindings_attach(struct pluto *p, struct connection *c, char *error, size_t error_size)
{
	return !c->binding || !c->oriented ||
	       (find_offload(p, c, error, error_size) && hold_device(p, c, error, error_size));
}

void bindings_detach(struct pluto *p, const struct connection *c)
{
	if (c->binding && p->devices)
		tunnel_device_release(p->devices, c->serial);
}

void bindings_tidy(struct pluto *p)
{
	if (p->devices)
		tunnel_devices_tidy(p->devices);
}
