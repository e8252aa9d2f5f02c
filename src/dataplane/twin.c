/* The TAP twin of a port: the kernel's view of it, with the port's MAC address and MTU. */
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "dp.h"

static bool configure(const struct port *port, int control)
{
	struct ifreq ifr = {0};
	snprintf(ifr.ifr_name, IFNAMSIZ, "%s", port->twin);
	ifr.ifr_hwaddr.sa_family = ARPHRD_ETHER;
	memcpy(ifr.ifr_hwaddr.sa_data, port->mac.addr_bytes, RTE_ETHER_ADDR_LEN);
	if (ioctl(port->twin_fd, SIOCSIFHWADDR, &ifr) != 0)
		return false;
	ifr.ifr_mtu = port->mtu;
	if (ioctl(control, SIOCSIFMTU, &ifr) != 0 || ioctl(control, SIOCGIFFLAGS, &ifr) != 0)
		return false;
	ifr.ifr_flags = (short)(ifr.ifr_flags | IFF_UP);
	return ioctl(control, SIOCSIFFLAGS, &ifr) == 0;
}

bool twin_open(struct port *port, char *error, size_t error_size)
{
	struct ifreq ifr = {.ifr_flags = IFF_TAP | IFF_NO_PI};
	snprintf(ifr.ifr_name, IFNAMSIZ, "%s", port->twin);
	int control = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	port->twin_fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	bool ok = control >= 0 && port->twin_fd >= 0 &&
		  ioctl(port->twin_fd, TUNSETIFF, &ifr) == 0 && configure(port, control);
	if (!ok)
		snprintf(error, error_size, "dataplane: cannot make the twin \"%s\" of \"%s\": %s",
			port->twin, port->device, strerror(errno));
	if (control >= 0)
		close(control);
	port->twin_index = if_nametoindex(port->twin);
	return ok;
}

void twin_close(struct port *port)
{
	if (port->twin_fd >= 0)
		close(port->twin_fd);
	port->twin_fd = -1;
}

void twin_send(struct lcore *lc, unsigned port, struct rte_mbuf *m)
{
	const struct port *p = &lc->dp->ports[port];
	if (p->owner != lc->index) {
		packet_of(m)->target = (uint8_t)port;
		lcore_hand_over(lc, p->owner, m, HANDOVER_TWIN);
		return;
	}
	if (p->twin_fd < 0) {
		drop(lc, m, STAT_NO_ROUTE);
		return;
	}
	if (write(p->twin_fd, rte_pktmbuf_mtod(m, void *), rte_pktmbuf_data_len(m)) < 0) {
		drop(lc, m, STAT_NO_BUFFER);
		return;
	}
	count(lc, STAT_TO_TWIN, 1);
	rte_pktmbuf_free(m);
}

unsigned twin_receive(struct lcore *lc, struct port *port, struct rte_mbuf **out, unsigned max)
{
	unsigned n = 0;
	while (n < max) {
		if (!port->spare)
			port->spare = rte_pktmbuf_alloc(lc->dp->pool);
		if (!port->spare)
			break;
		struct rte_mbuf *m = port->spare;
		ssize_t len =
			read(port->twin_fd, rte_pktmbuf_mtod(m, void *), rte_pktmbuf_tailroom(m));
		if (len <= 0)
			break;
		m->data_len = (uint16_t)len;
		m->pkt_len = (uint32_t)len;
		out[n++] = m;
		port->spare = NULL;
	}
	count(lc, STAT_FROM_TWIN, n);
	return n;
}
