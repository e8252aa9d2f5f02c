#include "pfkey.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "report.h"

/* The probe adds an SA between addresses for documentation (RFC 5737, 3849), with an SPI that no
 * peer may choose (RFC 4303, section 2.1), and deletes it at once. */
#define PROBE_SPI 200
#define TEXT_MAX  512

/* ---- what the kernel has ------------------------------------------------------------ */

/* Any pair that it says it has. False: there is none. */
static bool choose_algorithms(const struct pfkey_kernel *p, struct ipsec_sa *sa)
{
	const struct algorithm *encr, *integ;

	for (size_t e = 0; (encr = algorithm_at(TRANSFORM_ENCR, e)); e++) {
		for (size_t i = 0; (integ = algorithm_at(TRANSFORM_INTEG, i)); i++) {
			if (!pfkey_algorithms_have(
				    &p->algorithms, encr->id, encr->key_bits[0], integ->id))
				continue;
			sa->encr = encr->id;
			sa->integ = integ->id;
			sa->encr_key_len =
				(uint16_t)algorithm_encr_keymat_len(encr, encr->key_bits[0]);
			sa->integ_key_len = integ->key_len;
			return true;
		}
	}
	return false;
}

/* The algorithms may be there, and ESP not. 0 or errno. */
static int probe(const struct pfkey_kernel *p, struct pfkey_sync *sync, const char *remote,
	const char *local)
{
	struct ipsec_sa sa = {.spi = PROBE_SPI,
		.direction = IPSEC_OUTBOUND,
		.protocol = IPSEC_ESP,
		.mode = IPSEC_TUNNEL};
	struct pfkey_key key;
	int error;

	ip_parse(local, &sa.local.address);
	ip_parse(remote, &sa.remote.address);
	if (!choose_algorithms(p, &sa))
		return ENOSYS;
	/* Not constant: Triple DES refuses keys that are thrice the same. */
	for (unsigned i = 0; i < IPSEC_KEY_MAX; i++)
		sa.encr_key[i] = sa.integ_key[i] = (uint8_t)(7 * i + 1);
	error = pfkey_put_sa_add(pfkey_sync_msg(sync), &sa, 1);
	if (!error)
		error = pfkey_sync_ask(sync, NULL);
	if (error)
		return error;
	key = (struct pfkey_key){sa.local.address, sa.remote.address, PROBE_SPI, SADB_SATYPE_ESP};
	error = pfkey_put_sa_key(pfkey_sync_msg(sync), SADB_DELETE, &key);
	return error ? error : pfkey_sync_ask(sync, NULL);
}

static void log_abilities(const struct pfkey_kernel *p)
{
	char text[TEXT_MAX] = "";

	report_names(text, sizeof(text), TRANSFORM_ENCR, p->algorithms.encrs);
	log_line(LOG_LINE_INFO, "kernel ESP encryption:%s", text);
	text[0] = '\0';
	report_names(text, sizeof(text), TRANSFORM_INTEG, p->algorithms.integs);
	log_line(LOG_LINE_INFO, "kernel ESP integrity:%s; ESN: no", text[0] ? text : " none");
}

static int find_abilities(struct pfkey_kernel *p, struct pfkey_sync *sync)
{
	struct pfkey_told told;
	int error = pfkey_put_plain(pfkey_sync_msg(sync), SADB_REGISTER, SADB_SATYPE_ESP);

	if (!error)
		error = pfkey_sync_ask(sync, &told);
	if (error)
		return error;
	pfkey_algorithms_read(&p->algorithms, told.auth_algs, told.encr_algs);
	error = probe(p, sync, "192.0.2.254", "192.0.2.253");
	if (error) {
		log_line(LOG_LINE_ERROR,
			"the kernel has no ESP (an SA is answered by \"%s\"): no tunnel can be "
			"offered",
			strerror(error));
		p->algorithms = (struct pfkey_algorithms){0};
		return 0;
	}
	log_abilities(p);
	if (probe(p, sync, "2001:db8::fe", "2001:db8::fd") != 0)
		log_line(LOG_LINE_WARNING,
			"the kernel has no ESP for IPv6: tunnels between IPv6 addresses fail");
	return 0;
}

static bool pfkey_supports(
	const struct kernel *kernel, uint16_t encr, uint16_t key_bits, uint16_t integ, bool esn)
{
	const struct pfkey_kernel *p = (const struct pfkey_kernel *)kernel;

	return !esn && pfkey_algorithms_have(&p->algorithms, encr, key_bits, integ);
}

/* ---- open and close ------------------------------------------------------------------- */

static int bypass_neighbours(struct pfkey_sync *sync)
{
	static const enum policy_way ways[] = {POLICY_IN, POLICY_OUT};
	int error = 0;

	for (unsigned i = 0; !error && i < 4; i++) {
		struct selector s = selector_of_neighbours(i / 2);

		error = pfkey_put_bypass(pfkey_sync_msg(sync), ways[i % 2], &s);
		if (!error)
			error = pfkey_sync_ask(sync, NULL);
	}
	return error;
}

static void free_kernel(struct pfkey_kernel *p)
{
	if (!p)
		return;
	policies_free(p->policies);
	reqid_map_free(p->reqids);
	free(p);
}

static struct kernel *pfkey_open(const struct kernel_config *config, char *error, size_t error_size)
{
	struct pfkey_sync *sync = pfkey_sync_open((uint32_t)getpid(), error, error_size);
	struct pfkey_kernel *p = sync ? calloc(1, sizeof(*p)) : NULL;
	unsigned sas, policies;
	int result = ENOMEM;

	(void)config;
	if (!sync)
		return NULL;
	if (p && spi_sequence_init(&p->spis) && (p->policies = policies_new()) &&
		(p->reqids = reqid_map_new(PFKEY_REQID_MAX)))
		result = pfkey_sync_remove_ours(sync, &sas, &policies);
	if (result == 0) {
		p->kernel.backend = &kernel_pfkey_backend;
		p->pid = (uint32_t)getpid();
		report_left_over(sas, policies);
		result = find_abilities(p, sync);
	}
	if (result == 0) {
		result = bypass_neighbours(sync);
		if (result == EAFNOSUPPORT || result == EINVAL) /* without IPv6: no neighbours */
			result = 0;
	}
	pfkey_sync_close(sync);
	if (result == 0)
		return &p->kernel;
	snprintf(error, error_size, "kernel interface \"pfkey\": %s", strerror(result));
	free_kernel(p);
	return NULL;
}

static void pfkey_close(struct kernel *kernel)
{
	struct pfkey_kernel *p = (struct pfkey_kernel *)kernel;
	char error[200];
	unsigned sas, policies;
	struct pfkey_sync *sync =
		p->keep_state ? NULL : pfkey_sync_open(p->pid, error, sizeof(error));

	if (!p->keep_state && (!sync || pfkey_sync_remove_ours(sync, &sas, &policies) != 0))
		log_line(LOG_LINE_ERROR, "PF_KEY: SAs and policies may be left in the kernel");
	pfkey_sync_close(sync);
	free_kernel(p);
}

static void pfkey_leave_state(struct kernel *kernel)
{
	((struct pfkey_kernel *)kernel)->keep_state = true;
}

static void pfkey_stats(const struct kernel *kernel, struct kernel_stats *out)
{
	const struct kernel_stats *s = &((const struct pfkey_kernel *)kernel)->stats;

	out->overruns = __atomic_load_n(&s->overruns, __ATOMIC_RELAXED);
	out->asked_again = __atomic_load_n(&s->asked_again, __ATOMIC_RELAXED);
	out->events_lost = __atomic_load_n(&s->events_lost, __ATOMIC_RELAXED);
}

/* ---- IKE sockets ------------------------------------------------------------------------ */

static bool bypass(int fd, uint8_t family, uint8_t direction)
{
	struct sadb_x_policy policy = {
		.sadb_x_policy_len = sizeof(policy) / 8,
		.sadb_x_policy_exttype = SADB_X_EXT_POLICY,
		.sadb_x_policy_type = IPSEC_POLICY_BYPASS,
		.sadb_x_policy_dir = direction,
	};

	return setsockopt(fd, family == AF_INET ? IPPROTO_IP : IPPROTO_IPV6,
		       family == AF_INET ? IP_IPSEC_POLICY : IPV6_IPSEC_POLICY, &policy,
		       sizeof(policy)) == 0;
}

static bool pfkey_prepare_socket(const struct kernel *kernel, int fd, uint8_t family, bool nat)
{
	int encapsulation = UDP_ENCAP_ESPINUDP;

	(void)kernel;
	return bypass(fd, family, IPSEC_DIR_OUTBOUND) && bypass(fd, family, IPSEC_DIR_INBOUND) &&
	       (!nat || setsockopt(fd, IPPROTO_UDP, UDP_ENCAP, &encapsulation,
				sizeof(encapsulation)) == 0);
}

/* ---- SPIs: ours to choose, without asking (SADB_GETSPI) ------------------------------------ */

static uint32_t pfkey_allocate_spi(struct kernel_channel *channel)
{
	return spi_sequence_next(&((struct pfkey_kernel *)channel->kernel)->spis);
}

static void pfkey_release_spi(struct kernel_channel *channel, uint32_t spi)
{
	(void)channel;
	(void)spi;
}

const struct kernel_backend kernel_pfkey_backend = {
	.name = "pfkey",
	.open = pfkey_open,
	.close = pfkey_close,
	.supports = pfkey_supports,
	.leave_state = pfkey_leave_state,
	.stats = pfkey_stats,
	.prepare_socket = pfkey_prepare_socket,
	.channel_open = pfkey_channel_open,
	.channel_close = pfkey_channel_close,
	.channel_fd = pfkey_channel_fd,
	.channel_sleep = pfkey_channel_sleep,
	.channel_poll = pfkey_channel_poll,
	.channel_submit = pfkey_channel_submit,
	.channel_allocate_spi = pfkey_allocate_spi,
	.channel_release_spi = pfkey_release_spi,
	.channel_pending = pfkey_channel_pending,
};
