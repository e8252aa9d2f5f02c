/* Which addresses are listened on. The control thread opens the sockets of all shards and sends
 * each shard its own. */
#include "shard_set.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#define PORTS           2    /* the IKE port, the NAT-T port */
#define SETTLE_PATIENCE 5000 /* ms */

/* A shard's new list of sockets, and those that it is to close. */
struct listen_order {
	struct mail mail;
	uint64_t number;
	size_t count, gone_count;
	struct ike_socket **sockets; /* sorted */
	struct ike_socket *gone[];
};

/* ---- the shard ---------------------------------------------------------------- */

static void add_to_epoll(struct shard *shard, struct ike_socket *socket)
{
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = socket};
	socket->fresh = false;
	if (epoll_ctl(shard->epoll_fd, EPOLL_CTL_ADD, socket->fd, &event) != 0) {
		log_line(LOG_LINE_ERROR, "shard %u: epoll_ctl failed: %m", shard->index);
	}
}

void shard_take_listen(struct shard *shard, struct mail *mail)
{
	struct listen_order *order = (struct listen_order *)mail;
	shard_send_flush(shard);
	for (size_t i = 0; i < order->gone_count; i++) {
		/* Closing takes it out of the epoll set. */
		ike_socket_close(order->gone[i]);
	}
	free(shard->sockets);
	shard->sockets = order->sockets;
	shard->socket_count = order->count;
	for (size_t i = 0; i < order->count; i++) {
		if (order->sockets[i]->fresh) {
			add_to_epoll(shard, order->sockets[i]);
		}
	}
	if (shard->shutdown == NULL) {
		ike_engine_listen(shard->engine, order->count > 0);
	}
	uint64_t number = order->number;
	free(order);
	__atomic_store_n(&shard->listen_done, number, __ATOMIC_RELEASE);
}

void listen_order_discard(struct mail *mail)
{
	struct listen_order *order = (struct listen_order *)mail;
	for (size_t i = 0; i < order->count; i++) {
		/* All others are in the shard's former list. */
		if (order->sockets[i]->fresh) {
			ike_socket_close(order->sockets[i]);
		}
	}
	free(order->sockets);
	free(order);
}

/* ---- control thread ------------------------------------------------------------- */

static bool same_address(const struct listen_address *a, const struct listen_address *b)
{
	return ip_equal(&a->address, &b->address) &&
	       (!ip_is_link_local(&a->address) ||
		       strncmp(a->interface, b->interface, sizeof a->interface) == 0);
}

static struct listening *find_listening(struct shard_set *set, const struct listen_address *address)
{
	for (size_t i = 0; i < set->listening_count; i++) {
		if (same_address(&set->listening[i].address, address)) {
			return &set->listening[i];
		}
	}
	return NULL;
}

/* Sockets that a shard has not closed yet would still be members of their reuseport groups, and a
 * new one on the same address would not be the member that its shard's number says. */
static void settle(struct shard_set *set)
{
	uint64_t until = shard_clock_ms() + SETTLE_PATIENCE;
	for (unsigned i = 0; i < set->count; i++) {
		while (__atomic_load_n(&set->shards[i]->listen_done, __ATOMIC_ACQUIRE) <
				set->listen_orders &&
			shard_clock_ms() < until) {
			nanosleep(&(struct timespec){.tv_nsec = 200000}, NULL);
		}
	}
}

static void close_all(struct shard_set *set, struct ike_socket **sockets)
{
	for (unsigned i = 0; i < PORTS * set->count; i++) {
		ike_socket_close(sockets[i]);
	}
	free(sockets);
}

static bool open_ports(struct shard_set *set, const struct listen_address *address,
	struct ike_socket **sockets, char *error, size_t error_size)
{
	const uint16_t ports[PORTS] = {set->config.ike_port, set->config.nat_port};
	for (unsigned p = 0; p < PORTS; p++) {
		struct socket_group_config config = {
			.address = address,
			.port = ports[p],
			.nat = p == 1,
			.shards = set->count,
			.steering = set->config.steering ? &set->steering : NULL,
			.kernel = set->config.kernel,
			.buffer = set->config.socket_buffer,
		};
		if (ports[p] != 0 && !socket_group_open(&config, sockets + (size_t)p * set->count,
					     error, error_size)) {
			return false;
		}
	}
	return true;
}

/* Opens an address and puts it into the list, which has room. */
static bool add_address(
	struct shard_set *set, const struct listen_address *address, char *error, size_t error_size)
{
	struct ike_socket **sockets =
		calloc((size_t)PORTS * set->count, sizeof(struct ike_socket *));
	if (sockets == NULL) {
		snprintf(error, error_size, "out of memory");
		return false;
	}
	if (!open_ports(set, address, sockets, error, error_size)) {
		close_all(set, sockets);
		return false;
	}
	set->listening[set->listening_count++] =
		(struct listening){.address = *address, .wanted = true, .sockets = sockets};
	return true;
}

static int compare_sockets(const void *a, const void *b)
{
	return ike_socket_compare(*(struct ike_socket *const *)a, *(struct ike_socket *const *)b);
}

/* A shard's share of the list: `wanted` ones, or those that are to go. */
static size_t collect(struct shard_set *set, unsigned shard, bool wanted, struct ike_socket **out)
{
	size_t n = 0;
	for (size_t i = 0; i < set->listening_count; i++) {
		const struct listening *l = &set->listening[i];
		for (unsigned p = 0; p < PORTS && l->wanted == wanted; p++) {
			struct ike_socket *s = l->sockets[p * set->count + shard];
			if (s != NULL) {
				out[n++] = s;
			}
		}
	}
	return n;
}

static struct listen_order *make_order(struct shard_set *set, unsigned shard)
{
	size_t most = PORTS * set->listening_count;
	struct listen_order *order = calloc(1, sizeof *order + most * sizeof order->gone[0]);
	struct ike_socket **sockets = calloc(most + 1, sizeof(struct ike_socket *));
	if (order == NULL || sockets == NULL) {
		free(order);
		free(sockets);
		return NULL;
	}
	order->mail.kind = INBOX_LISTEN;
	order->number = set->listen_orders + 1;
	order->sockets = sockets;
	order->count = collect(set, shard, true, sockets);
	order->gone_count = collect(set, shard, false, order->gone);
	qsort(sockets, order->count, sizeof(struct ike_socket *), compare_sockets);
	return order;
}

/* All orders or none. */
static bool make_orders(struct shard_set *set, struct listen_order **orders)
{
	for (unsigned i = 0; i < set->count; i++) {
		orders[i] = make_order(set, i);
		if (orders[i] == NULL) {
			while (i-- > 0) {
				free(orders[i]->sockets);
				free(orders[i]);
			}
			return false;
		}
	}
	return true;
}

static void drop_listening(struct shard_set *set, bool wanted, bool and_close)
{
	size_t kept = 0;
	for (size_t i = 0; i < set->listening_count; i++) {
		struct listening *l = &set->listening[i];
		if (l->wanted != wanted) {
			set->listening[kept++] = *l;
		} else if (and_close) {
			close_all(set, l->sockets);
		} else {
			free(l->sockets);
		}
	}
	set->listening_count = kept;
}

static void add_reason(char *error, size_t error_size, const char *reason)
{
	size_t len = strnlen(error, error_size);
	snprintf(error + len, error_size - len, "%s%s", len > 0 ? "; " : "", reason);
}

/* Marks what stays, opens what is new. False: no room for the list. */
static bool update_list(struct shard_set *set, const struct listen_address *addresses, size_t count,
	char *error, size_t error_size)
{
	size_t room = set->listening_count + count;
	struct listening *list = reallocarray(set->listening, room + 1, sizeof *list);
	if (list == NULL) {
		add_reason(error, error_size, "out of memory");
		return false;
	}
	set->listening = list;
	for (size_t i = 0; i < set->listening_count; i++) {
		list[i].wanted = false;
	}
	for (size_t i = 0; i < count; i++) {
		char reason[160] = "";
		struct listening *known = find_listening(set, &addresses[i]);
		if (known != NULL) {
			known->wanted = true;
		} else if (!add_address(set, &addresses[i], reason, sizeof reason)) {
			add_reason(error, error_size, reason);
		}
	}
	return true;
}

size_t shard_set_listen(struct shard_set *set, const struct listen_address *addresses, size_t count,
	char *error, size_t error_size)
{
	struct listen_order *orders[SHARDS_MAX];
	if (error_size > 0) {
		error[0] = '\0';
	}
	settle(set);
	size_t before = set->listening_count;
	if (!update_list(set, addresses, count, error, error_size)) {
		return before;
	}
	if (!make_orders(set, orders)) {
		add_reason(error, error_size, "out of memory");
		/* Back to what was. */
		for (size_t i = 0; i < set->listening_count; i++) {
			set->listening[i].wanted = i >= before;
		}
		drop_listening(set, true, true);
		return before;
	}
	set->listen_orders++;
	for (unsigned i = 0; i < set->count; i++) {
		shard_set_post(set, i, &orders[i]->mail);
	}
	drop_listening(set, false, false);
	return set->listening_count;
}

void shard_set_listen_free(struct shard_set *set)
{
	/* The shards have closed the sockets. */
	for (size_t i = 0; i < set->listening_count; i++) {
		free(set->listening[i].sockets);
	}
	free(set->listening);
}
