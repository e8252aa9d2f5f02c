#include "address_watch.h"

#include "listening.h"
#include "pluto.h"

#include "kernel/link_watch.h"
#include "kernel/tunnel_device.h"

#include <errno.h>
#include <string.h>

/* Changes come in swarms: an interface with all its addresses. */
#define SETTLE_MS 200

static void on_addresses(void *arg)
{
	struct pluto *p = arg;

	if (!p->addresses_due_ms)
		p->addresses_due_ms = pluto_now_ms() + SETTLE_MS;
}

static void on_link(void *arg, const char *name, bool gone)
{
	struct pluto *p = arg;

	if (p->devices)
		tunnel_devices_link(p->devices, name, gone);
}

static void on_lost(void *arg)
{
	struct pluto *p = arg;

	log_line(LOG_LINE_WARNING, "news of addresses and devices were lost (receive buffer "
				   "overrun): all is read anew");
	on_addresses(p);
	if (p->devices)
		tunnel_devices_check(p->devices);
}

void address_watch_open(struct pluto *p)
{
	struct link_watch_config config = {p, on_addresses, on_link, on_lost};

	p->links = link_watch_open(&config);
	if (!p->links)
		log_line(LOG_LINE_WARNING,
			"changes of addresses and devices are not heard of: %s (--listen reads "
			"them anew)",
			strerror(errno));
}

void address_watch_close(struct pluto *p)
{
	link_watch_close(p->links);
	p->links = NULL;
}

int address_watch_fd(const struct pluto *p)
{
	return p->links ? link_watch_fd(p->links) : -1;
}

void address_watch_read(struct pluto *p)
{
	link_watch_read(p->links);
}

uint64_t address_watch_due(const struct pluto *p)
{
	return p->addresses_due_ms ? p->addresses_due_ms : UINT64_MAX;
}

void address_watch_pass(struct pluto *p)
{
	if (!p->addresses_due_ms || pluto_now_ms() < p->addresses_due_ms)
		return;
	p->addresses_due_ms = 0;
	if (p->listening && !p->shutdown_watcher)
		listening_refresh(p);
}
