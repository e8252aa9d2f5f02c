/* The control thread: the only one that changes SAD, SPD and routes. It starts and stops all
 * others. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/secret.h"
#include "dp.h"

#define MAIL_BATCH     64
#define GRACE_MS       1
#define IDLE_MS        1000
#define ROUTES_WAIT_MS 3000
#define MBUFS_PER_PORT                                                                             \
	5120 /* DPDK's net_af_xdp holds up to 2048 to receive into and 2048 being sent */
#define MBUFS_PER_LCORE 1536
#define MBUF_CACHE      256
#define MEMORY_BASE_MB  24

/* ---- requests ---- */

static void nat_port_use(struct dataplane *dp, uint16_t port, int change)
{
	uint64_t *word = &dp->nat_ports[port / 64], bit = 1ull << (port % 64);
	dp->nat_port_users[port] += (uint32_t)change;
	if (dp->nat_port_users[port] > 0)
		__atomic_fetch_or(word, bit, __ATOMIC_RELAXED);
	else
		__atomic_fetch_and(word, ~bit, __ATOMIC_RELAXED);
}

static void nat_port_of(struct dataplane *dp, const struct sa *sa, int change)
{
	if (sa->direction == IPSEC_INBOUND && sa->path->udp_encapsulation)
		nat_port_use(dp, sa->path->local_port, change);
}

/* All outbound SAs of a policy are one lcore's, so that its packets keep their order. */
static unsigned owner_of(const struct dataplane *dp, const struct ipsec_sa *sa)
{
	uint32_t key = sa->direction == IPSEC_INBOUND ? sa->spi : sa->reqid;
	return (unsigned)(table_hash_u64(key) % dp->lcore_count);
}

static int add_sa(struct dataplane *dp, const struct request_mail *mail)
{
	const struct ipsec_sa *request = &mail->request.sa;
	int error = sa_check(request);
	if (error)
		return error;
	struct sa *sa = sa_new(request, &dp->control_engine);
	if (!sa)
		return ENOMEM;
	sa->client = mail->client;
	sa->owner = owner_of(dp, request);
	error = sad_add(&dp->sad, sa);
	if (error)
		sa_free(sa);
	else
		nat_port_of(dp, sa, 1);
	return error;
}

static struct sa *find_sa(struct dataplane *dp, const struct ipsec_sa *request)
{
	struct sa *sa = sad_find(&dp->sad, request->spi, request->direction,
		&request->remote.address, request->reqid);

	return sa && (!request->id || !sa->id || sa->id == request->id) ? sa : NULL;
}

static int move_sa(struct dataplane *dp, const struct ipsec_sa *request)
{
	struct sa *sa = find_sa(dp, request);
	if (!sa)
		return ESRCH;
	if (ip_bits(request->remote.address.family) == 0 ||
		request->local.address.family != request->remote.address.family)
		return EAFNOSUPPORT;
	if (request->udp_encapsulation && (request->local.port == 0 || request->remote.port == 0))
		return EINVAL;
	struct sa_path *path = sa_path_new(
			       &request->local, &request->remote, request->udp_encapsulation),
		       *old = sa->path;
	if (!path)
		return ENOMEM;
	nat_port_of(dp, sa, -1);
	__atomic_store_n(&sa->path, path, __ATOMIC_RELEASE);
	nat_port_of(dp, sa, 1);
	/* Hops that SAs remember are found anew. */
	__atomic_add_fetch(&dp->fib.generation, 1, __ATOMIC_ACQ_REL);
	grace_retire(&dp->grace, &old->retired, sa_path_release);
	return 0;
}

static int query_sa(
	struct dataplane *dp, const struct ipsec_sa *request, struct ipsec_counters *counters)
{
	const struct sa *sa = find_sa(dp, request);
	if (!sa)
		return ESRCH;
	*counters = sa_counters_read(sa, clock_ms());
	return 0;
}

static int delete_sa(
	struct dataplane *dp, const struct ipsec_sa *request, struct ipsec_counters *counters)
{
	struct sa *sa = find_sa(dp, request);
	if (!sa)
		return ESRCH;
	*counters = sa_counters_read(sa, clock_ms());
	nat_port_of(dp, sa, -1);
	sad_remove(&dp->sad, sa);
	return 0;
}

static int add_policy(struct dataplane *dp, const struct ipsec_policy *request)
{
	struct sa_group *group = NULL, *replaced;
	if (request->action == IPSEC_PROTECT) {
		group = sad_group_take(&dp->sad, request->reqid);
		if (!group)
			return ENOMEM;
	}
	int error = spd_add(&dp->spd, request, group, &replaced);
	sad_group_drop(&dp->sad, error ? group : replaced);
	return error;
}

static int delete_policy(struct dataplane *dp, const struct ipsec_policy *request)
{
	struct sa_group *group;
	int error = spd_delete(&dp->spd, request, &group);
	sad_group_drop(&dp->sad, group);
	return error;
}

static void do_request(struct dataplane *dp, struct request_mail *mail)
{
	const struct ipsec_request *request = &mail->request;
	struct ipsec_answer answer = {.op = request->op, .token = request->token, .error = EINVAL};
	answer.counters.idle_ms = UINT64_MAX;
	switch (request->op) {
	case IPSEC_SA_ADD:
		answer.error = add_sa(dp, mail);
		break;
	case IPSEC_SA_DELETE:
		answer.error = delete_sa(dp, &request->sa, &answer.counters);
		break;
	case IPSEC_SA_QUERY:
		answer.error = query_sa(dp, &request->sa, &answer.counters);
		break;
	case IPSEC_SA_QUERY_ALL:
		answer.error = EOPNOTSUPP;
		break;
	case IPSEC_SA_MOVE:
		answer.error = move_sa(dp, &request->sa);
		break;
	case IPSEC_POLICY_ADD:
		answer.error = add_policy(dp, &request->policy);
		break;
	case IPSEC_POLICY_DELETE:
		answer.error = delete_policy(dp, &request->policy);
		break;
	}
	struct dataplane_client client = mail->client;
	secret_wipe(mail, sizeof(*mail)); /* it held keys */
	free(mail);
	if (client.answer)
		client.answer(client.arg, &answer);
}

static void do_event(struct dataplane *dp, struct event_mail *mail)
{
	pthread_mutex_lock(&dp->client_lock);
	const struct dataplane_client *client =
		mail->client.event ? &mail->client : &dp->event_client;
	if (!dp->events_off && client->event)
		client->event(client->arg, &mail->event);
	pthread_mutex_unlock(&dp->client_lock);
	free(mail);
}

static void do_neighbour(struct dataplane *dp, struct neighbour_mail *mail)
{
	netlink_resolve(dp->netlink, mail->port, mail->family, &mail->address);
	free(mail);
}

static unsigned do_mail(struct dataplane *dp)
{
	struct mail *mail[MAIL_BATCH];
	unsigned n = (unsigned)mailbox_take(dp->box, mail, MAIL_BATCH);
	for (unsigned i = 0; i < n; i++) {
		switch (mail[i]->kind) {
		case MAIL_REQUEST:
			do_request(dp, (struct request_mail *)mail[i]);
			break;
		case MAIL_EVENT:
			do_event(dp, (struct event_mail *)mail[i]);
			break;
		case MAIL_NEIGHBOUR:
			do_neighbour(dp, (struct neighbour_mail *)mail[i]);
			break;
		case MAIL_STOP:
			dp->control_ended = true;
			free(mail[i]);
			break;
		}
	}
	return n;
}

static void serve(struct dataplane *dp)
{
	struct pollfd fds[2] = {
		{.fd = mailbox_fd(dp->box), .events = POLLIN},
		{.fd = netlink_fd(dp->netlink), .events = POLLIN},
	};
	while (!dp->control_ended) {
		bool waiting = grace_run(&dp->grace);
		fds[0].revents = fds[1].revents = 0;
		if (mailbox_sleep(dp->box))
			poll(fds, 2, waiting ? GRACE_MS : IDLE_MS);
		else
			poll(&fds[1], 1, 0);
		mailbox_awake(dp->box);
		if (fds[1].revents)
			netlink_run(dp->netlink);
		while (do_mail(dp) == MAIL_BATCH && !dp->control_ended)
			grace_run(&dp->grace);
	}
}

/* ---- start and stop ---- */

static unsigned mbuf_count(const struct dataplane *dp)
{
	return dp->port_count * MBUFS_PER_PORT + dp->lcore_count * MBUFS_PER_LCORE;
}

static unsigned memory_mb(const struct dataplane *dp)
{
	size_t mbuf =
		sizeof(struct rte_mbuf) + sizeof(struct packet) + RTE_MBUF_DEFAULT_BUF_SIZE + 192;
	return (unsigned)((mbuf_count(dp) * mbuf) >> 20) + MEMORY_BASE_MB;
}

/* As rte_pktmbuf_pool_create, but without room left at the ends of pages: net_af_xdp shows the
 * kernel as many bytes as the buffers have without it, and buffers beyond would be lost one by one
 * in silence. */
static struct rte_mempool *pool_new(const struct dataplane *dp)
{
	struct rte_pktmbuf_pool_private init = {0};
	size_t priv = (sizeof(struct packet) + RTE_MBUF_PRIV_ALIGN - 1) / RTE_MBUF_PRIV_ALIGN *
		      RTE_MBUF_PRIV_ALIGN;
	init.mbuf_priv_size = (uint16_t)priv;
	init.mbuf_data_room_size = RTE_MBUF_DEFAULT_BUF_SIZE;
	struct rte_mempool *pool = rte_mempool_create_empty("packets", mbuf_count(dp),
		(unsigned)(sizeof(struct rte_mbuf) + priv + RTE_MBUF_DEFAULT_BUF_SIZE), MBUF_CACHE,
		sizeof(init), SOCKET_ID_ANY, RTE_MEMPOOL_F_NO_IOVA_CONTIG);
	if (!pool)
		return NULL;
	rte_pktmbuf_pool_init(pool, &init);
	if (rte_mempool_populate_default(pool) < 0) {
		rte_mempool_free(pool);
		return NULL;
	}
	rte_mempool_obj_iter(pool, rte_pktmbuf_init, NULL);
	return pool;
}

static bool wait_for_routes(struct dataplane *dp, char *error, size_t error_size)
{
	struct pollfd fd = {.fd = netlink_fd(dp->netlink), .events = POLLIN};
	uint64_t until = clock_ms() + ROUTES_WAIT_MS;
	while (!netlink_ready(dp->netlink) && clock_ms() < until) {
		poll(&fd, 1, 100);
		netlink_run(dp->netlink);
	}
	if (!netlink_ready(dp->netlink))
		snprintf(error, error_size, "dataplane: the kernel does not tell its routes");
	return netlink_ready(dp->netlink);
}

static bool start_all(
	struct dataplane *dp, const struct dataplane_config *config, char *error, size_t size)
{
	if (!eal_start(memory_mb(dp), config->file_prefix, error, size))
		return false;
	dp->pool = pool_new(dp);
	if (!dp->pool) {
		snprintf(error, size, "dataplane: no memory for %u packet buffers", mbuf_count(dp));
		return false;
	}
	for (unsigned i = 0; i < dp->port_count; i++)
		if (!port_open(dp, i, &config->ports[i], error, size))
			return false;
	dp->netlink = netlink_open(dp, error, size);
	if (!dp->netlink || !wait_for_routes(dp, error, size))
		return false;
	for (unsigned i = 0; i < dp->lcore_count; i++)
		if (!lcore_start(dp, i, error, size))
			return false;
	return true;
}

static void stop_all(struct dataplane *dp)
{
	__atomic_store_n(&dp->stop_lcores, true, __ATOMIC_RELEASE);
	for (unsigned i = 0; i < dp->lcore_count; i++)
		lcore_join(&dp->lcores[i]);
	for (unsigned i = 0; i < dp->port_count; i++)
		port_close(&dp->ports[i]);
	netlink_close(dp->netlink);
	dp->netlink = NULL;
}

static void tell_starter(struct dataplane *dp, int state)
{
	pthread_mutex_lock(&dp->start_lock);
	dp->start_state = state;
	pthread_cond_signal(&dp->start_told);
	pthread_mutex_unlock(&dp->start_lock);
}

void *control_main(void *arg)
{
	struct control_start *start = arg;
	struct dataplane *dp = start->dp;
	pthread_setname_np(pthread_self(), "dataplane");
	bool up = start_all(dp, start->config, dp->start_error, sizeof(dp->start_error));
	if (up) {
		tell_starter(dp, 1); /* `start` is gone from here on */
		serve(dp);
	}
	stop_all(dp);
	eal_stop();
	if (!up)
		tell_starter(dp, -1);
	return NULL;
}
