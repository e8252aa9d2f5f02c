#include "listening.h"

#include "connections.h"
#include "pluto.h"
#include "tell.h"

#include "kernel/tunnel_device.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define AGAIN_FIRST_MS 1000
#define AGAIN_MAX_MS   300000

static bool is_wanted(const struct pluto *p, const struct local_address *a)
{
	const struct options *o = &p->options;
	bool by_address = o->listen_count == 0, by_interface = o->interface_count == 0;

	/* It would need a scope, and no connection can name one. */
	if (ip_is_link_local(&a->address))
		return false;
	/* What goes through a tunnel cannot lead to the other end of it. */
	if (p->devices && o->listen_count == 0 && o->interface_count == 0 &&
		tunnel_devices_has(p->devices, a->interface))
		return false;
	for (unsigned i = 0; i < o->listen_count; i++)
		by_address = by_address || ip_equal(&o->listen[i], &a->address);
	for (unsigned i = 0; i < o->interface_count; i++)
		by_interface = by_interface || strcmp(o->interfaces[i], a->interface) == 0;
	return by_address && by_interface;
}

static bool has(const struct listen_address *list, size_t count, const struct ip_address *address)
{
	for (size_t i = 0; i < count; i++)
		if (ip_equal(&list[i].address, address))
			return true;
	return false;
}

/* The host's addresses that are to be listened on, each once. */
static struct listen_address *wanted_addresses(const struct pluto *p, size_t *count)
{
	struct local_address *all;
	struct listen_address *list;
	size_t all_count;

	*count = 0;
	if (!local_addresses(&all, &all_count))
		return NULL;
	list = calloc(all_count + 1, sizeof(*list));
	for (size_t i = 0; list && i < all_count; i++) {
		if (!is_wanted(p, &all[i]) || has(list, *count, &all[i].address))
			continue;
		list[*count].address = all[i].address;
		memcpy(list[*count].interface, all[i].interface, sizeof(list->interface));
		(*count)++;
	}
	free(all);
	return list;
}

static void log_each(const struct pluto *p, const char *what, const struct listen_address *a)
{
	char text[IP_RANGE_TEXT_MAX];
	struct ip_endpoint e = {.address = a->address, .port = p->options.ike_port};

	log_line(LOG_LINE_INFO, "%s UDP interface %s %s", what, a->interface,
		ip_endpoint_text(&e, text));
	if (!p->options.nat_port)
		return;
	e.port = p->options.nat_port;
	log_line(LOG_LINE_INFO, "%s UDP interface %s %s", what, a->interface,
		ip_endpoint_text(&e, text));
}

static void log_changes(const struct pluto *p, const struct listen_address *list, size_t count)
{
	for (size_t i = 0; i < p->address_count; i++)
		if (!has(list, count, &p->addresses[i].address))
			log_each(p, "shutting down", &p->addresses[i]);
	for (size_t i = 0; i < count; i++)
		if (!has(p->addresses, p->address_count, &list[i].address))
			log_each(p, "adding", &list[i]);
}

static void warn_of_missing(const struct pluto *p, struct client *client,
	const struct listen_address *list, size_t count)
{
	char ip[IP_TEXT_MAX];

	for (unsigned i = 0; i < p->options.listen_count; i++)
		if (!has(list, count, &p->options.listen[i]))
			tell(client, RC_OK, "warning: listen=%s is not an address of this host",
				ip_text(&p->options.listen[i], ip));
}

/* Takes `list`. */
static bool adopt(struct pluto *p, struct listen_address *list, size_t count)
{
	struct address_set ours;

	if (!address_set_make(&ours, list, count)) {
		free(list);
		return false;
	}
	log_changes(p, list, count);
	address_set_release(&p->ours);
	p->ours = ours;
	free(p->addresses);
	p->addresses = list;
	p->address_count = count;
	return true;
}

/* What could not be opened may be possible later: the shards have closed others, DAD has ended. */
static void try_again(struct pluto *p, bool missing)
{
	uint64_t ms = p->listen_again_ms ? 2 * p->listen_again_ms : AGAIN_FIRST_MS;

	p->listen_again_ms = !missing ? 0 : ms < AGAIN_MAX_MS ? ms : AGAIN_MAX_MS;
	if (missing && !p->addresses_due_ms)
		p->addresses_due_ms = pluto_now_ms() + p->listen_again_ms;
}

bool listening_begin(struct pluto *p, struct client *client)
{
	size_t count, bound;
	struct listen_address *list = wanted_addresses(p, &count);
	char error[512] = "";

	if (!list) {
		tell(client, RC_INTERNAL, "cannot read this host's addresses: %s", strerror(errno));
		return false;
	}
	warn_of_missing(p, client, list, count);
	bound = shard_set_listen(p->shards, list, count, error, sizeof(error));
	if (error[0])
		tell(client, bound ? RC_OK : RC_FATAL, "%s", error);
	if (!bound) {
		if (!error[0])
			tell(client, RC_FATAL, "no address to listen on");
		free(list);
		listening_end(p);
		return false;
	}
	if (!adopt(p, list, count)) {
		tell(client, RC_INTERNAL, "out of memory");
		return false;
	}
	p->listening = true;
	try_again(p, error[0]);
	connections_orient(p);
	return true;
}

static bool is_same(const struct pluto *p, const struct listen_address *list, size_t count)
{
	if (count != p->address_count)
		return false;
	for (size_t i = 0; i < count; i++)
		if (!has(p->addresses, p->address_count, &list[i].address))
			return false;
	return true;
}

void listening_refresh(struct pluto *p)
{
	size_t count;
	struct listen_address *list = wanted_addresses(p, &count);
	char error[512] = "";

	if (!list) {
		log_line(LOG_LINE_ERROR, "cannot read this host's addresses: %s", strerror(errno));
		return;
	}
	if (!p->listen_again_ms && is_same(p, list, count)) {
		free(list);
		return;
	}
	shard_set_listen(p->shards, list, count, error, sizeof(error));
	if (error[0])
		log_line(LOG_LINE_ERROR, "%s", error);
	try_again(p, error[0]);
	if (adopt(p, list, count))
		connections_orient(p);
	else
		log_line(LOG_LINE_ERROR, "out of memory: a change of addresses is not followed");
}

void listening_end(struct pluto *p)
{
	char error[256] = "";

	shard_set_listen(p->shards, NULL, 0, error, sizeof(error));
	log_changes(p, NULL, 0);
	free(p->addresses);
	p->addresses = NULL;
	p->address_count = 0;
	p->listening = false;
}
