/* A DPDK port: net_af_xdp on a network interface, or whatever a DPDK device string names. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <rte_dev.h>
#include <rte_ethdev.h>

#include "base/log.h"
#include "dp.h"

#define DESCRIPTORS 1024
#define TX_TRIES    8
#define SOCKETS_MAX 256
#define MTU_MIN     1280

/* ---- the interface under net_af_xdp ---- */

static bool interface_ioctl(const char *name, unsigned long request, struct ifreq *ifr)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return false;
	snprintf(ifr->ifr_name, IFNAMSIZ, "%.*s", IFNAMSIZ - 1, name);
	bool ok = ioctl(fd, request, ifr) == 0;
	close(fd);
	return ok;
}

/* The kernel's own IPv6 on the interface would answer for the twin's link-local address: both have
 * one MAC address. */
static void quiet_ipv6(const char *name)
{
	char path[128];
	snprintf(path, sizeof(path), "/proc/sys/net/ipv6/conf/%s/disable_ipv6", name);
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	if (write(fd, "1", 1) != 1)
		log_line(LOG_LINE_WARNING, "dataplane: cannot switch IPv6 off on \"%s\": %s", name,
			strerror(errno));
	close(fd);
}

static bool prepare_interface(struct port *port, char *error, size_t error_size)
{
	struct ifreq ifr = {0};
	if (if_nametoindex(port->device) == 0) {
		snprintf(error, error_size, "dataplane: no interface \"%s\"", port->device);
		return false;
	}
	if (!interface_ioctl(port->device, SIOCGIFMTU, &ifr)) {
		snprintf(error, error_size, "dataplane: MTU of \"%s\": %s", port->device,
			strerror(errno));
		return false;
	}
	port->mtu = (uint16_t)(ifr.ifr_mtu < FRAME_MAX - ETHER_LEN ? ifr.ifr_mtu
								   : FRAME_MAX - ETHER_LEN);
	memset(&ifr, 0, sizeof(ifr));
	if (interface_ioctl(port->device, SIOCGIFFLAGS, &ifr)) {
		ifr.ifr_flags = (short)(ifr.ifr_flags | IFF_UP);
		if (interface_ioctl(port->device, SIOCSIFFLAGS, &ifr)) {
			quiet_ipv6(port->device);
			return true;
		}
	}
	snprintf(error, error_size, "dataplane: cannot bring \"%s\" up: %s", port->device,
		strerror(errno));
	return false;
}

/* ---- the XDP socket, which tells when frames wait; DPDK keeps it to itself ---- */

static unsigned xdp_sockets(int *out, unsigned max)
{
	unsigned n = 0;
	DIR *dir = opendir("/proc/self/fd");
	if (!dir)
		return 0;
	for (struct dirent *e; n < max && (e = readdir(dir)) != NULL;) {
		int fd = atoi(e->d_name), domain = 0;
		socklen_t len = sizeof(domain);
		if (e->d_name[0] != '.' &&
			getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) == 0 &&
			domain == AF_XDP)
			out[n++] = fd;
	}
	closedir(dir);
	return n;
}

static int new_socket(const int *before, unsigned before_count)
{
	int now[SOCKETS_MAX];
	unsigned count = xdp_sockets(now, SOCKETS_MAX);
	for (unsigned i = 0; i < count; i++) {
		bool old = false;
		for (unsigned j = 0; j < before_count; j++)
			old = old || before[j] == now[i];
		if (!old)
			return now[i];
	}
	return -1;
}

/* ---- opening ---- */

static bool is_device_string(const char *device)
{
	return strchr(device, ',') != NULL || strncmp(device, "net_", 4) == 0;
}

static bool probe(struct port *port, char *error, size_t error_size)
{
	char name[64], arguments[128] = "";
	int result;
	if (is_device_string(port->device)) {
		snprintf(name, sizeof(name), "%s", port->device);
		char *comma = strchr(name, ',');
		if (comma) {
			snprintf(arguments, sizeof(arguments), "%s", comma + 1);
			*comma = 0;
		}
	} else {
		if (!prepare_interface(port, error, error_size))
			return false;
		snprintf(name, sizeof(name), "net_af_xdp%u", port->index);
		snprintf(arguments, sizeof(arguments), "iface=%s,busy_budget=0", port->device);
	}
	result = rte_eal_hotplug_add("vdev", name, arguments);
	if (result == 0)
		result = rte_eth_dev_get_port_by_name(name, &port->id);
	if (result != 0)
		snprintf(error, error_size, "dataplane: DPDK does not take the device \"%s\": %s",
			port->device, strerror(-result));
	return result == 0;
}

static int start_device(struct dataplane *dp, struct port *port)
{
	struct rte_eth_conf conf = {0};
	int result = rte_eth_dev_configure(port->id, 1, 1, &conf);
	if (result == 0)
		result = rte_eth_rx_queue_setup(
			port->id, 0, DESCRIPTORS, SOCKET_ID_ANY, NULL, dp->pool);
	if (result == 0)
		result = rte_eth_tx_queue_setup(port->id, 0, DESCRIPTORS, SOCKET_ID_ANY, NULL);
	if (result == 0)
		result = rte_eth_dev_start(port->id);
	return result;
}

bool port_open(struct dataplane *dp, unsigned index, const struct dataplane_port *config,
	char *error, size_t error_size)
{
	struct port *port = &dp->ports[index];
	int sockets[SOCKETS_MAX];
	unsigned socket_count = xdp_sockets(sockets, SOCKETS_MAX);
	port->index = index;
	port->twin_fd = port->wake_fd = -1;
	port->owner = index % dp->lcore_count;
	if (!config->device || strlen(config->device) >= sizeof(port->device) ||
		(config->twin &&
			(!config->twin[0] || strlen(config->twin) >= sizeof(port->twin)))) {
		snprintf(error, error_size, "dataplane: port %u: bad device or twin name", index);
		return false;
	}
	snprintf(port->device, sizeof(port->device), "%s", config->device);
	snprintf(port->twin, sizeof(port->twin), "%s", config->twin ? config->twin : "");
	if (!probe(port, error, error_size))
		return false;
	int result = start_device(dp, port);
	if (result != 0) {
		snprintf(error, error_size, "dataplane: port \"%s\" does not start: %s",
			port->device, strerror(-result));
		return false;
	}
	port->started = true;
	rte_eth_promiscuous_enable(port->id);
	rte_eth_macaddr_get(port->id, &port->mac);
	if (port->mtu == 0 && rte_eth_dev_get_mtu(port->id, &port->mtu) != 0)
		port->mtu = RTE_ETHER_MTU;
	if (port->mtu > FRAME_MAX - ETHER_LEN)
		port->mtu = FRAME_MAX - ETHER_LEN;
	if (port->mtu < MTU_MIN)
		log_line(LOG_LINE_WARNING, "dataplane: the MTU of \"%s\" is only %u", port->device,
			port->mtu);
	port->wake_fd = new_socket(sockets, socket_count);
	return port->twin[0] == 0 || twin_open(port, error, error_size);
}

void port_close(struct port *port)
{
	twin_close(port);
	if (port->started) {
		rte_eth_dev_stop(port->id);
		rte_eth_dev_close(port->id);
		port->started = false;
	}
	free(port->source);
	port->source = NULL;
}

/* ---- sending ---- */

void port_flush(struct lcore *lc, unsigned port)
{
	struct rte_mbuf **at = lc->tx[port].mbufs;
	uint16_t left = (uint16_t)lc->tx[port].count;
	lc->tx[port].count = 0;
	for (unsigned tries = 0; left > 0 && tries < TX_TRIES; tries++) {
		uint16_t sent = rte_eth_tx_burst(lc->dp->ports[port].id, 0, at, left);
		at += sent;
		left = (uint16_t)(left - sent);
	}
	for (; left > 0; left--)
		drop(lc, *at++, STAT_NO_BUFFER);
}

void port_send(struct lcore *lc, unsigned port, struct rte_mbuf *m)
{
	unsigned owner = lc->dp->ports[port].owner;
	if (owner != lc->index) {
		packet_of(m)->target = (uint8_t)port;
		lcore_hand_over(lc, owner, m, HANDOVER_SEND);
		return;
	}
	lc->tx[port].mbufs[lc->tx[port].count++] = m;
	if (lc->tx[port].count == TX_BATCH)
		port_flush(lc, port);
}
