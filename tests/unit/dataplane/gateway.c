#include "gateway.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <rte_ip.h>

static struct rte_mempool *pool;

bool gateways_start(void)
{
	char error[256];
	if (!eal_start(16, NULL, error, sizeof(error))) {
		fprintf(stderr, "%s\n", error);
		return false;
	}
	pool = rte_pktmbuf_pool_create("test", 1024, 0, RTE_ALIGN_CEIL(sizeof(struct packet), 8),
		RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
	return pool != NULL;
}

void gateways_stop(void)
{
	rte_mempool_free(pool);
	eal_stop();
}

static struct ip_key key_of(const char *text, uint8_t *family)
{
	struct ip_address a = {0};
	ip_parse(text, &a);
	*family = a.family;
	return ip_key_of_address(&a);
}

static void learn(struct gateway *gw, enum fib_kind kind, const char *text, unsigned len, unsigned port)
{
	struct fib_entry e = {.key.kind = (uint8_t)kind};
	struct ip_key address = key_of(text, &e.key.family);
	e.key.address = kind == FIB_ROUTE ? ip_key_prefix(&address, len) : address;
	e.key.len = (uint8_t)(kind == FIB_ROUTE ? len : 0);
	e.key.index = kind == FIB_NEIGHBOUR ? port : 0;
	e.port = (uint8_t)port;
	memset(e.mac, 0xa0 + (int)port, 6);
	fib_set(&gw->dp.fib, &e);
}

static void learn_all(struct gateway *gw, unsigned index)
{
	static const char *const wan4[] = {"192.0.2.1", "192.0.2.2"}, *const wan6[] = {"2001:db8::1", "2001:db8::2"};
	static const char *const lan4[] = {"10.1.0.1", "10.2.0.1"}, *const lan6[] = {"fd01::1", "fd02::1"};
	static const char *const host4[] = {"10.1.0.2", "10.2.0.2"}, *const host6[] = {"fd01::2", "fd02::2"};
	uint8_t family;
	learn(gw, FIB_ADDRESS, wan4[index], 0, 0);
	learn(gw, FIB_ADDRESS, wan6[index], 0, 0);
	learn(gw, FIB_ADDRESS, lan4[index], 0, 0);
	learn(gw, FIB_ADDRESS, lan6[index], 0, 0);
	learn(gw, FIB_ROUTE, wan4[index], 24, WAN);
	learn(gw, FIB_ROUTE, wan6[index], 64, WAN);
	learn(gw, FIB_ROUTE, lan4[index], 16, LAN);
	learn(gw, FIB_ROUTE, lan6[index], 32, LAN);
	learn(gw, FIB_NEIGHBOUR, wan4[!index], 0, WAN);
	learn(gw, FIB_NEIGHBOUR, wan6[!index], 0, WAN);
	learn(gw, FIB_NEIGHBOUR, "192.0.2.9", 0, WAN);
	learn(gw, FIB_NEIGHBOUR, host4[index], 0, LAN);
	learn(gw, FIB_NEIGHBOUR, host6[index], 0, LAN);
	for (unsigned port = 0; port < PORTS; port++) {
		struct port_source *s = calloc(1, sizeof(*s));
		s->has4 = s->has6 = true;
		s->address4 = key_of(port == WAN ? wan4[index] : lan4[index], &family);
		s->address6 = key_of(port == WAN ? wan6[index] : lan6[index], &family);
		gw->dp.ports[port].source = s;
	}
}

struct gateway *gateway_new(unsigned index)
{
	struct gateway *gw = aligned_alloc(64, RTE_ALIGN_CEIL(sizeof(*gw), 64));
	memset(gw, 0, sizeof(*gw));
	struct dataplane *dp = &gw->dp;
	dp->pool = pool;
	dp->port_count = PORTS;
	dp->lcore_count = 1;
	dp->lcores = &gw->lc;
	dp->box = mailbox_new(256);
	dp->nat_ports[NAT_T_PORT / 64] = 1ull << (NAT_T_PORT % 64);
	if (!grace_init(&dp->grace, 1) || !esp_engine_init(&dp->control_engine) ||
		!sad_init(&dp->sad, &dp->grace, 65536) || !spd_init(&dp->spd, &dp->grace) ||
		!fib_init(&dp->fib, &dp->grace) || !esp_engine_init(&gw->lc.engine))
		abort();
	gw->lc.dp = dp;
	gw->lc.now_ms = clock_ms();
	gw->lc.counters = counter_set_new(STAT_COUNT);
	for (unsigned i = 0; i < PORTS; i++) {
		struct port *p = &dp->ports[i];
		int ends[2];
		if (socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, ends) != 0)
			abort();
		p->index = i;
		p->mtu = 1500;
		p->twin_fd = ends[0];
		p->wake_fd = -1;
		gw->kernel[i] = ends[1];
		memset(&p->mac, 0x10 + (int)(index * 2 + i), sizeof(p->mac));
		p->mac.addr_bytes[0] = 2;
	}
	learn_all(gw, index);
	return gw;
}

void gateway_free(struct gateway *gw)
{
	struct frame frame;
	struct mail *mail;
	for (unsigned i = 0; i < PORTS; i++) {
		while (sent_on_port(gw, i, &frame))
			continue;
		close(gw->dp.ports[i].twin_fd);
		close(gw->kernel[i]);
		rte_pktmbuf_free(gw->dp.ports[i].spare);
		free(gw->dp.ports[i].source);
	}
	forward_drop_pending(&gw->lc);
	while ((mail = next_mail(gw)) != NULL)
		free(mail);
	spd_end(&gw->dp.spd);
	sad_end(&gw->dp.sad);
	fib_end(&gw->dp.fib);
	grace_end(&gw->dp.grace);
	mailbox_free(gw->dp.box);
	counter_set_free(&gw->lc.counters);
	esp_engine_end(&gw->lc.engine);
	esp_engine_end(&gw->dp.control_engine);
	free(gw);
}

void gateway_run(struct gateway *gw)
{
	esp_in_run(&gw->lc);
	esp_out_run(&gw->lc);
	forward_retry_pending(&gw->lc);
	grace_run(&gw->dp.grace);
}

static struct rte_mbuf *mbuf_of(const struct frame *frame)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(pool);
	if (!m)
		abort(); /* a leak in what was tested before */
	memcpy(rte_pktmbuf_append(m, (uint16_t)frame->len), frame->bytes, frame->len);
	return m;
}

void from_port(struct gateway *gw, unsigned port, const struct frame *frame)
{
	classify_from_port(&gw->lc, &gw->dp.ports[port], mbuf_of(frame));
}

void from_twin(struct gateway *gw, unsigned port, const struct frame *frame)
{
	classify_from_twin(&gw->lc, &gw->dp.ports[port], mbuf_of(frame));
}

bool sent_on_port(struct gateway *gw, unsigned port, struct frame *frame)
{
	if (gw->lc.tx[port].count == 0)
		return false;
	struct rte_mbuf *m = gw->lc.tx[port].mbufs[0];
	gw->lc.tx[port].count--;
	memmove(&gw->lc.tx[port].mbufs[0], &gw->lc.tx[port].mbufs[1],
		gw->lc.tx[port].count * sizeof(struct rte_mbuf *));
	frame->len = rte_pktmbuf_data_len(m);
	memcpy(frame->bytes, rte_pktmbuf_mtod(m, void *), frame->len);
	rte_pktmbuf_free(m);
	return true;
}

bool given_to_twin(struct gateway *gw, unsigned port, struct frame *frame)
{
	ssize_t len = read(gw->kernel[port], frame->bytes, sizeof(frame->bytes));
	frame->len = len > 0 ? (unsigned)len : 0;
	return len > 0;
}

uint64_t counted(const struct gateway *gw, enum counter which)
{
	return counter_read(&gw->lc.counters, which);
}

struct sa *add_sa(struct gateway *gw, const struct ipsec_sa *request)
{
	struct sa *sa = sa_check(request) == 0 ? sa_new(request, &gw->dp.control_engine) : NULL;
	return sa && sad_add(&gw->dp.sad, sa) == 0 ? sa : NULL;
}

void add_policy(struct gateway *gw, const struct ipsec_policy *policy)
{
	struct sa_group *group = NULL, *replaced;
	if (policy->action == IPSEC_PROTECT)
		group = sad_group_take(&gw->dp.sad, policy->reqid);
	if (spd_add(&gw->dp.spd, policy, group, &replaced) != 0)
		abort();
}

struct mail *next_mail(struct gateway *gw)
{
	struct mail *mail;
	return mailbox_take(gw->dp.box, &mail, 1) == 1 ? mail : NULL;
}

void refresh_ipv4(struct frame *frame)
{
	uint8_t *ip = frame->bytes + 14;
	unsigned header = (ip[0] & 15) * 4u;
	ip[10] = ip[11] = 0;
	uint16_t sum = ipv4_checksum(ip, header);
	ip[10] = (uint8_t)(sum >> 8);
	ip[11] = (uint8_t)sum;
}

void make_packet(struct frame *frame, const struct gateway *to, unsigned port, const char *src, const char *dst,
	uint8_t protocol, unsigned payload)
{
	uint8_t family, *ip = frame->bytes + 14;
	struct ip_key s = key_of(src, &family), d = key_of(dst, &family);
	unsigned header = family == AF_INET ? 20 : 40, transport = protocol == 6 ? 20 : 8;
	unsigned total = header + transport + payload;
	memset(frame, 0, sizeof(*frame));
	memcpy(frame->bytes, &to->dp.ports[port].mac, 6);
	memset(frame->bytes + 6, 0x66, 6);
	frame->bytes[12] = family == AF_INET ? 0x08 : 0x86;
	frame->bytes[13] = family == AF_INET ? 0x00 : 0xdd;
	if (family == AF_INET) {
		ip[0] = 0x45;
		ip[2] = (uint8_t)(total >> 8);
		ip[3] = (uint8_t)total;
		ip[4] = 0x12;
		ip[5] = 0x34;
		ip[6] = 0x40;
		ip[8] = 64;
		ip[9] = protocol;
		memcpy(ip + 12, &s, 4);
		memcpy(ip + 16, &d, 4);
	} else {
		ip[0] = 0x60;
		ip[4] = (uint8_t)((total - 40) >> 8);
		ip[5] = (uint8_t)(total - 40);
		ip[6] = protocol;
		ip[7] = 64;
		memcpy(ip + 8, &s, 16);
		memcpy(ip + 24, &d, 16);
	}
	uint8_t *t = ip + header;
	for (unsigned i = 0; i < payload; i++)
		t[transport + i] = (uint8_t)(i * 3 + 1);
	if (protocol == 17 || protocol == 6) {
		t[0] = 4000 >> 8;
		t[1] = 4000 & 0xff;
		t[2] = 5000 >> 8;
		t[3] = 5000 & 0xff;
		if (protocol == 17) {
			t[4] = (uint8_t)((8 + payload) >> 8);
			t[5] = (uint8_t)(8 + payload);
		} else {
			t[12] = 0x50;
		}
		unsigned at = protocol == 17 ? 6 : 16;
		uint16_t sum = family == AF_INET ? rte_ipv4_udptcp_cksum((void *)ip, t) : rte_ipv6_udptcp_cksum((void *)ip, t);
		memcpy(t + at, &sum, 2);
	} else if (protocol == 1) {
		t[0] = 8;
	} else if (protocol == 58) {
		t[0] = 128;
	}
	frame->len = 14 + total;
	if (family == AF_INET)
		refresh_ipv4(frame);
}
