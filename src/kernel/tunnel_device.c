#include "kernel/tunnel_device.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "base/table.h"
#include "tunnel_link.h"

/* Somebody who removes a device again and again is not fought for ever. */
#define REMAKES_MAX    5
#define REMAKES_WITHIN 60 /* s */

struct user {
	struct table_node node; /* by id; first */
	struct user *next;      /* of the device */
	struct device *device;
	uint64_t id;
	struct ip_address address;
	uint8_t prefix_len;
	bool address_is_ours; /* it was not there before */
	unsigned route_count;
	struct ip_subnet routes[];
};

struct device {
	struct table_node node;      /* by name; first */
	struct device *next, **link; /* all */
	struct tunnel_device spec;   /* without address and routes, which are the users' */
	int index;                   /* 0: it is not there now */
	bool made;                   /* by us, now or in an earlier run: ours to remove */
	unsigned remakes;
	time_t remade_since;
	struct user *users;
};

struct tunnel_devices {
	struct tunnel_link *link;
	struct table *by_name, *by_user;
	struct device *first;
	bool untidy; /* a device has lost its last user */
};

/* ---- look-up -------------------------------------------------------------------------------- */

static uint64_t name_hash(const char *name)
{
	static const struct table_seed seed = {1, 2}; /* names are the operator's */

	return table_hash(&seed, name, strlen(name));
}

static struct device *find_device(const struct tunnel_devices *devices, const char *name)
{
	struct table_node *n = table_first(devices->by_name, name_hash(name));

	while (n && strcmp(((struct device *)n)->spec.name, name) != 0)
		n = table_next(n);
	return (struct device *)n;
}

static struct user *find_user(const struct tunnel_devices *devices, uint64_t id)
{
	struct table_node *n = table_first(devices->by_user, table_hash_u64(id));

	while (n && ((struct user *)n)->id != id)
		n = table_next(n);
	return (struct user *)n;
}

bool tunnel_devices_has(const struct tunnel_devices *devices, const char *name)
{
	return find_device(devices, name);
}

/* ---- devices ----------------------------------------------------------------------------------
 */

static struct device *add_device(struct tunnel_devices *devices, const struct tunnel_device *spec)
{
	struct device *d = calloc(1, sizeof(*d));

	if (!d || !table_insert(devices->by_name, &d->node, name_hash(spec->name))) {
		free(d);
		return NULL;
	}
	d->spec = *spec;
	d->spec.routes = NULL;
	d->spec.route_count = 0;
	d->link = &devices->first;
	d->next = devices->first;
	if (d->next)
		d->next->link = &d->next;
	devices->first = d;
	return d;
}

static void forget_device(struct tunnel_devices *devices, struct device *d)
{
	table_remove(devices->by_name, &d->node);
	*d->link = d->next;
	if (d->next)
		d->next->link = d->link;
	free(d);
}

static void remove_device(struct tunnel_devices *devices, struct device *d)
{
	int error = d->made && d->index ? tunnel_link_remove(devices->link, d->index) : ENODEV;

	if (error == 0)
		log_line(LOG_LINE_INFO, "removed device %s", d->spec.name);
	else if (error != ENODEV)
		log_line(LOG_LINE_ERROR, "device %s cannot be removed: %s", d->spec.name,
			strerror(error));
	forget_device(devices, d);
}

/* It is there, with the right kind, and up. */
static bool bring_up(
	struct tunnel_devices *devices, struct device *d, char *error, size_t error_size)
{
	bool ours;
	int index = tunnel_link_find(devices->link, &d->spec, &ours, error, error_size), result;

	if (index < 0)
		return false;
	if (index == 0 && d->spec.must_exist) {
		snprintf(error, error_size,
			"there is no device %s, and ipsec-interface-managed=no says that others "
			"make it",
			d->spec.name);
		return false;
	}
	d->made = index ? ours : true;
	if (index == 0)
		index = tunnel_link_make(devices->link, &d->spec, error, error_size);
	if (index < 0)
		return false;
	d->index = index;
	result = tunnel_link_set_up(devices->link, index, d->spec.mtu);
	if (result) {
		snprintf(error, error_size, "device %s cannot be brought up: %s", d->spec.name,
			strerror(result));
		return false;
	}
	log_line(LOG_LINE_INFO, "%s device %s", d->made ? "made" : "using the existing",
		d->spec.name);
	return true;
}

/* ---- users ------------------------------------------------------------------------------------
 */

static bool has_address(const struct user *u, const struct user *of)
{
	return ip_equal(&u->address, &of->address) && u->prefix_len == of->prefix_len;
}

static void add_address(struct tunnel_devices *devices, struct user *u)
{
	struct device *d = u->device;
	char text[IP_TEXT_MAX];
	int error;

	if (ip_is_unset(&u->address) || !d->index)
		return;
	error = tunnel_link_address(devices->link, d->index, &u->address, u->prefix_len, true);
	u->address_is_ours = !error;
	if (error && error != EEXIST)
		log_line(LOG_LINE_ERROR, "device %s cannot have the address %s/%u: %s",
			d->spec.name, ip_text(&u->address, text), u->prefix_len, strerror(error));
}

static void remove_address(struct tunnel_devices *devices, struct user *u)
{
	if (ip_is_unset(&u->address) || !u->device->index || !u->address_is_ours)
		return;
	for (struct user *other = u->device->users; other; other = other->next)
		if (other != u && has_address(other, u)) {
			other->address_is_ours = true;
			return;
		}
	tunnel_link_address(devices->link, u->device->index, &u->address, u->prefix_len, false);
}

static void change_routes(struct tunnel_devices *devices, const struct user *u, bool add)
{
	char text[IP_RANGE_TEXT_MAX];

	for (unsigned i = 0; i < u->route_count && u->device->index; i++) {
		int error = tunnel_link_route(devices->link, u->device->index, &u->routes[i], add);

		if (error && add && error != EEXIST)
			log_line(LOG_LINE_ERROR, "no route to %s can be made through device %s: %s",
				ip_subnet_text(&u->routes[i], text), u->device->spec.name,
				strerror(error));
	}
}

static struct user *add_user(struct tunnel_devices *devices, struct device *d, uint64_t id,
	const struct tunnel_device *wanted)
{
	struct user *u = calloc(1, sizeof(*u) + wanted->route_count * sizeof(u->routes[0]));

	if (!u || !table_insert(devices->by_user, &u->node, table_hash_u64(id))) {
		free(u);
		return NULL;
	}
	u->id = id;
	u->device = d;
	u->address = wanted->address;
	u->prefix_len = wanted->prefix_len;
	u->route_count = wanted->route_count;
	if (wanted->route_count)
		memcpy(u->routes, wanted->routes, wanted->route_count * sizeof(u->routes[0]));
	u->next = d->users;
	d->users = u;
	return u;
}

static bool same_device(const struct tunnel_device *a, const struct tunnel_device *b)
{
	if (a->kind != b->kind)
		return false;
	if (a->kind == TUNNEL_DEVICE_XFRM)
		return a->interface_id == b->interface_id;
	return a->key_in == b->key_in && a->key_out == b->key_out &&
	       ip_equal(&a->local, &b->local) && ip_equal(&a->remote, &b->remote);
}

/* Of a device that others have already. */
static bool may_join(
	const struct device *d, const struct tunnel_device *wanted, char *error, size_t error_size)
{
	if (!d->users)
		return true;
	if (!same_device(&d->spec, wanted)) {
		snprintf(error, error_size,
			"device %s is in use by another connection, with other parameters",
			wanted->name);
		return false;
	}
	if (wanted->kind == TUNNEL_DEVICE_VTI && !(wanted->shared && d->spec.shared)) {
		snprintf(error, error_size,
			"device %s is in use by another connection, and not both say "
			"vti-shared=yes",
			wanted->name);
		return false;
	}
	return true;
}

/* Nobody uses it: of an earlier run, or about to be removed. NULL: it is not what is wanted, and
 * gone. */
static struct device *take_over(
	struct tunnel_devices *devices, struct device *d, const struct tunnel_device *wanted)
{
	char ignored[200];
	bool ours;

	if (tunnel_link_find(devices->link, wanted, &ours, ignored, sizeof(ignored)) <= 0) {
		remove_device(devices, d);
		return NULL;
	}
	d->spec = *wanted;
	d->spec.routes = NULL;
	d->spec.route_count = 0;
	d->index = 0; /* as if just found */
	return d;
}

bool tunnel_device_hold(struct tunnel_devices *devices, uint64_t id,
	const struct tunnel_device *wanted, char *error, size_t error_size)
{
	struct device *d = find_device(devices, wanted->name);
	struct user *u;

	if (find_user(devices, id))
		return true;
	if (d && !may_join(d, wanted, error, error_size))
		return false;
	if (d && !d->users && !same_device(&d->spec, wanted))
		d = take_over(devices, d, wanted);
	snprintf(error, error_size, "out of memory");
	if (!d && !(d = add_device(devices, wanted)))
		return false;
	if (!d->index && !bring_up(devices, d, error, error_size)) {
		if (!d->users)
			remove_device(devices, d);
		return false;
	}
	u = add_user(devices, d, id, wanted);
	if (!u) {
		devices->untidy = true;
		return false;
	}
	add_address(devices, u);
	change_routes(devices, u, true);
	return true;
}

static void drop_user(struct tunnel_devices *devices, struct user *u)
{
	struct user **link = &u->device->users;

	while (*link != u)
		link = &(*link)->next;
	*link = u->next;
	table_remove(devices->by_user, &u->node);
	devices->untidy |= !u->device->users;
	free(u);
}

void tunnel_device_release(struct tunnel_devices *devices, uint64_t id)
{
	struct user *u = find_user(devices, id);

	if (!u)
		return;
	change_routes(devices, u, false);
	remove_address(devices, u);
	drop_user(devices, u);
}

void tunnel_devices_tidy(struct tunnel_devices *devices)
{
	struct device *next;

	for (struct device *d = devices->untidy ? devices->first : NULL; d; d = next) {
		next = d->next;
		if (!d->users)
			remove_device(devices, d);
	}
	devices->untidy = false;
}

/* ---- what others do -----------------------------------------------------------------------------
 */

static bool may_be_remade(struct device *d)
{
	time_t now = time(NULL);

	if (now - d->remade_since > REMAKES_WITHIN || now < d->remade_since) {
		d->remade_since = now;
		d->remakes = 0;
	}
	return d->remakes++ < REMAKES_MAX;
}

static void come_back(struct tunnel_devices *devices, struct device *d)
{
	char error[200];

	if (!bring_up(devices, d, error, sizeof(error))) {
		log_line(LOG_LINE_ERROR, "%s", error);
		return;
	}
	for (struct user *u = d->users; u; u = u->next) {
		add_address(devices, u);
		change_routes(devices, u, true);
	}
}

static void is_gone(struct tunnel_devices *devices, struct device *d)
{
	bool made = d->made;

	d->index = 0;
	if (!d->users)
		return;
	if (!made) {
		log_line(LOG_LINE_WARNING, "device %s is gone: its connections carry nothing",
			d->spec.name);
		return;
	}
	if (!may_be_remade(d)) {
		log_line(LOG_LINE_ERROR,
			"device %s was removed by somebody else again, and is not made any more: "
			"its connections carry nothing",
			d->spec.name);
		return;
	}
	log_line(LOG_LINE_WARNING, "device %s was removed by somebody else: it is made again",
		d->spec.name);
	come_back(devices, d);
}

static void look_at(struct tunnel_devices *devices, struct device *d)
{
	char error[200];
	bool ours;
	int index = tunnel_link_find(devices->link, &d->spec, &ours, error, sizeof(error));

	if (index == d->index)
		return;
	if (index <= 0 && d->index) {
		is_gone(devices, d); /* another kind of that name is none of it */
		return;
	}
	/* Another one, or one that was gone, which others have made. */
	if (index > 0 && d->users) {
		d->index = 0;
		come_back(devices, d);
	}
}

void tunnel_devices_link(struct tunnel_devices *devices, const char *name, bool gone)
{
	struct device *d = find_device(devices, name);

	(void)gone; /* it may have changed since: what counts is what is there now */
	if (d)
		look_at(devices, d);
}

void tunnel_devices_check(struct tunnel_devices *devices)
{
	struct device *next;

	for (struct device *d = devices->first; d; d = next) {
		next = d->next;
		look_at(devices, d);
	}
}

/* ---- open and close
 * ------------------------------------------------------------------------------- */

/* Kept until its connection comes, or until the end. */
static void take_old(void *arg, const char *name, int index)
{
	struct tunnel_devices *devices = arg;
	struct tunnel_device spec = {0};
	struct device *d;

	snprintf(spec.name, sizeof(spec.name), "%s", name);
	d = add_device(devices, &spec);
	if (!d)
		return;
	d->index = index;
	d->made = true;
}

struct tunnel_devices *tunnel_devices_open(void)
{
	struct tunnel_devices *devices = calloc(1, sizeof(*devices));

	if (!devices)
		return NULL;
	devices->link = tunnel_link_open();
	devices->by_name = table_new();
	devices->by_user = table_new();
	if (!devices->link || !devices->by_name || !devices->by_user) {
		tunnel_devices_close(devices, true);
		errno = EIO;
		return NULL;
	}
	tunnel_link_each_of_ours(devices->link, take_old, devices);
	return devices;
}

void tunnel_devices_close(struct tunnel_devices *devices, bool keep)
{
	if (!devices)
		return;
	while (devices->first) {
		struct device *d = devices->first;

		while (d->users)
			if (keep)
				drop_user(devices, d->users);
			else
				tunnel_device_release(devices, d->users->id);
		if (keep)
			forget_device(devices, d);
		else
			remove_device(devices, d);
	}
	if (devices->by_name)
		table_free(devices->by_name);
	if (devices->by_user)
		table_free(devices->by_user);
	tunnel_link_close(devices->link);
	free(devices);
}
