#include "xfrm.h"

#include <errno.h>
#include <linux/udp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/log.h"
#include "base/secret.h"
#include "report.h"
#include "xfrm_algorithm.h"

/* The probe adds SAs between addresses for documentation (RFC 5737, 3849), with an SPI that no peer
 * may choose (RFC 4303, section 2.1), and deletes them at once. */
#define PROBE_SPI 200
#define TEXT_MAX  512

static struct ipsec_sa probe_sa(const char *remote, const char *local)
{
	struct ipsec_sa sa = {
		.spi = PROBE_SPI,
		.direction = IPSEC_OUTBOUND,
		.protocol = IPSEC_ESP,
		.mode = IPSEC_TUNNEL,
	};

	ip_parse(local, &sa.local.address);
	ip_parse(remote, &sa.remote.address);
	return sa;
}

/* Does the kernel take what was built, an SA of this key? 0 or errno. */
static int probe_built(struct xfrm_sync *sync, int error, const struct xfrm_key *key)
{
	if (!error)
		error = xfrm_sync_ask(sync);
	if (error)
		return error;
	error = xfrm_put_sa_key(xfrm_sync_msg(sync), XFRM_MSG_DELSA, key);
	return error ? error : xfrm_sync_ask(sync);
}

/* Does the kernel take an SA with these? 0 or errno. `encr` NULL: AH */
static int probe(struct xfrm_sync *sync, struct ipsec_sa *sa, const struct algorithm *encr,
	const struct algorithm *integ, bool esn)
{
	struct xfrm_key key = {
		.destination = sa->remote.address, .spi = sa->spi, .protocol = (uint8_t)sa->protocol};

	sa->encr = encr ? encr->id : 0;
	sa->integ = integ ? integ->id : 0;
	sa->encr_key_len = encr ? (uint16_t)algorithm_encr_keymat_len(encr, encr->key_bits[0]) : 0;
	sa->integ_key_len = integ ? integ->key_len : 0;
	sa->esn = esn;
	/* Not constant: Triple DES refuses keys that are thrice the same. */
	for (unsigned i = 0; i < IPSEC_KEY_MAX; i++)
		sa->encr_key[i] = sa->integ_key[i] = (uint8_t)(7 * i + 1);
	return probe_built(sync, xfrm_put_sa_add(xfrm_sync_msg(sync), sa), &key);
}

static void probe_integrity(struct xfrm_kernel *x, struct xfrm_sync *sync, struct ipsec_sa *sa)
{
	const struct algorithm *cbc = algorithm_by_id(TRANSFORM_ENCR, ENCR_AES_CBC), *a;

	for (size_t i = 0; (a = algorithm_at(TRANSFORM_INTEG, i)); i++) {
		if (a->id != INTEG_NONE && a->esp_capable && probe(sync, sa, cbc, a, false) == 0)
			x->integs |= 1ull << a->id;
	}
}

/* The first error of all: why there is nothing, if there is nothing. */
static int probe_encryption(struct xfrm_kernel *x, struct xfrm_sync *sync, struct ipsec_sa *sa)
{
	const struct algorithm *integ = NULL, *a;
	int first_error = 0;

	for (size_t i = 0; !integ && (a = algorithm_at(TRANSFORM_INTEG, i)); i++)
		integ = x->integs & 1ull << a->id ? a : NULL;
	for (size_t i = 0; (a = algorithm_at(TRANSFORM_ENCR, i)); i++) {
		if (!a->esp_capable || (!a->aead && !integ))
			continue;
		int error = probe(sync, sa, a, a->aead ? NULL : integ, false);

		if (error == 0)
			x->encrs |= 1ull << a->id;
		else if (!first_error)
			first_error = error;
	}
	if (integ)
		x->esn = probe(sync, sa, algorithm_by_id(TRANSFORM_ENCR, ENCR_AES_CBC), integ,
				 true) == 0;
	x->esn_aead =
		(x->encrs & 1ull << ENCR_AES_GCM_16) &&
		probe(sync, sa, algorithm_by_id(TRANSFORM_ENCR, ENCR_AES_GCM_16), NULL, true) == 0;
	return first_error;
}

static void probe_ah(struct xfrm_kernel *x, struct xfrm_sync *sync, struct ipsec_sa sa)
{
	const struct algorithm *a;

	sa.protocol = IPSEC_AH;
	for (size_t i = 0; (a = algorithm_at(TRANSFORM_INTEG, i)); i++) {
		if (a->id == INTEG_NONE || !a->esp_capable || probe(sync, &sa, NULL, a, false) != 0)
			continue;
		x->ah_integs |= 1ull << a->id;
		x->esn_ah = x->esn_ah || probe(sync, &sa, NULL, a, true) == 0;
	}
}

static void probe_ipcomp(struct xfrm_kernel *x, struct xfrm_sync *sync, struct ipsec_sa sa)
{
	struct xfrm_key key = {
		.destination = sa.remote.address, .spi = CPI_FIRST, .protocol = IPPROTO_COMP};

	sa.ipcomp_cpi = CPI_FIRST;
	x->ipcomp = probe_built(sync, xfrm_put_ipcomp_add(xfrm_sync_msg(sync), &sa), &key) == 0;
}

static bool has_ipv6(const struct xfrm_kernel *x, struct xfrm_sync *sync)
{
	struct ipsec_sa sa = probe_sa("2001:db8::fe", "2001:db8::fd");
	const struct algorithm *a, *integ = NULL;

	for (size_t i = 0; !integ && (a = algorithm_at(TRANSFORM_INTEG, i)); i++)
		integ = x->integs & 1ull << a->id ? a : NULL;
	for (size_t i = 0; (a = algorithm_at(TRANSFORM_ENCR, i)); i++)
		if (x->encrs & 1ull << a->id)
			return probe(sync, &sa, a, a->aead ? NULL : integ, false) == 0;
	return false;
}

/* Of what could be offered. Nothing is said where there is nothing at all. */
static void log_missing(const struct xfrm_kernel *x)
{
	char text[TEXT_MAX] = "";

	report_names(text, sizeof(text), TRANSFORM_ENCR, ~x->encrs);
	report_names(text, sizeof(text), TRANSFORM_INTEG, ~(x->integs | 1ull << INTEG_NONE));
	if (text[0])
		log_line(LOG_LINE_WARNING, "kernel ESP lacks:%s; what it lacks is not offered",
			text);
}

static void log_abilities(const struct xfrm_kernel *x, struct xfrm_sync *sync, int first_error)
{
	char text[TEXT_MAX] = "";

	if (!x->encrs) {
		log_line(LOG_LINE_ERROR,
			"the kernel has no ESP (an SA is answered by \"%s\"): no tunnel can be "
			"offered",
			strerror(first_error));
		return;
	}
	report_names(text, sizeof(text), TRANSFORM_ENCR, x->encrs);
	log_line(LOG_LINE_INFO, "kernel ESP encryption:%s", text);
	text[0] = '\0';
	report_names(text, sizeof(text), TRANSFORM_INTEG, x->integs);
	log_line(LOG_LINE_INFO, "kernel ESP integrity:%s; ESN: %s", text[0] ? text : " none",
		x->esn && x->esn_aead ? "yes"
		: x->esn              ? "not with AES-GCM"
		: x->esn_aead         ? "with AEAD only"
				      : "no");
	log_missing(x);
	text[0] = '\0';
	report_names(text, sizeof(text), TRANSFORM_INTEG, x->ah_integs);
	log_line(LOG_LINE_INFO, "kernel AH integrity:%s; ESN: %s; IPComp: %s",
		text[0] ? text : " none", x->esn_ah ? "yes" : "no", x->ipcomp ? "DEFLATE" : "no");
	if (!has_ipv6(x, sync))
		log_line(LOG_LINE_WARNING,
			"the kernel has no ESP for IPv6: tunnels between IPv6 addresses fail");
}

static void probe_all(struct xfrm_kernel *x, struct xfrm_sync *sync)
{
	struct ipsec_sa sa = probe_sa("192.0.2.254", "192.0.2.253");
	int first_error;

	probe_integrity(x, sync, &sa);
	first_error = probe_encryption(x, sync, &sa);
	probe_ah(x, sync, sa);
	probe_ipcomp(x, sync, sa);
	log_abilities(x, sync, first_error);
}

static int bypass_neighbours(struct xfrm_sync *sync)
{
	static const uint8_t directions[] = {XFRM_POLICY_IN, XFRM_POLICY_OUT};
	int error = 0;

	for (unsigned i = 0; !error && i < 2 * sizeof(directions); i++) {
		struct selector s = selector_of_neighbours(i / 2);

		error = xfrm_put_bypass(xfrm_sync_msg(sync), directions[i % 2], &s);
		if (!error)
			error = xfrm_sync_ask(sync);
	}
	return error;
}

static struct kernel *xfrm_open(const struct kernel_config *config, char *error, size_t error_size)
{
	struct xfrm_sync *sync = xfrm_sync_open(error, error_size);
	struct xfrm_kernel *x = sync ? calloc(1, sizeof(*x)) : NULL;
	unsigned sas, policies;
	int result = ENOMEM;

	if (!sync)
		return NULL;
	if (x && spi_sequence_init(&x->spis) && (x->policies = policies_new()))
		result = xfrm_sync_remove_ours(sync, &sas, &policies);
	if (result == 0) {
		x->kernel.backend = &kernel_xfrm_backend;
		x->acquire_expires_s = config->acquire_expires_s;
		report_left_over(sas, policies);
		probe_all(x, sync);
		result = bypass_neighbours(sync);
		if (result == EAFNOSUPPORT) /* a kernel without IPv6 has no neighbours */
			result = 0;
	}
	xfrm_sync_close(sync);
	if (result == 0)
		return &x->kernel;
	snprintf(error, error_size, "kernel interface \"xfrm\": %s%s", strerror(result),
		result == EPERM ? " (CAP_NET_ADMIN is needed)" : "");
	if (x)
		policies_free(x->policies);
	free(x);
	return NULL;
}

static void xfrm_close(struct kernel *kernel)
{
	struct xfrm_kernel *x = (struct xfrm_kernel *)kernel;
	char error[200];
	unsigned sas, policies;
	struct xfrm_sync *sync = x->keep_state ? NULL : xfrm_sync_open(error, sizeof(error));

	if (!x->keep_state && (!sync || xfrm_sync_remove_ours(sync, &sas, &policies) != 0))
		log_line(LOG_LINE_ERROR, "XFRM: SAs and policies may be left in the kernel");
	xfrm_hold_end(x);
	xfrm_sync_close(sync);
	policies_free(x->policies);
	free(x);
}

static bool xfrm_supports(
	const struct kernel *kernel, uint16_t encr, uint16_t key_bits, uint16_t integ, bool esn)
{
	const struct xfrm_kernel *x = (const struct xfrm_kernel *)kernel;
	const struct algorithm *a = algorithm_by_id(TRANSFORM_ENCR, encr);

	if (!a || encr >= 64 || !(x->encrs & 1ull << encr) || !algorithm_has_key_bits(a, key_bits))
		return false;
	if (integ == INTEG_NONE)
		return a->aead && (!esn || x->esn_aead);
	return !a->aead && integ < 64 && (x->integs & 1ull << integ) && (!esn || x->esn);
}

static bool xfrm_supports_ah(const struct kernel *kernel, uint16_t integ, bool esn)
{
	const struct xfrm_kernel *x = (const struct xfrm_kernel *)kernel;

	return integ < 64 && (x->ah_integs & 1ull << integ) && (!esn || x->esn_ah);
}

static unsigned xfrm_abilities(const struct kernel *kernel)
{
	const struct xfrm_kernel *x = (const struct xfrm_kernel *)kernel;

	return (x->ipcomp ? KERNEL_IPCOMP : 0) | KERNEL_TFC | KERNEL_BEET;
}

static void xfrm_leave_state(struct kernel *kernel)
{
	((struct xfrm_kernel *)kernel)->keep_state = true;
}

static void xfrm_stats(const struct kernel *kernel, struct kernel_stats *out)
{
	const struct kernel_stats *s = &((const struct xfrm_kernel *)kernel)->stats;

	out->overruns = __atomic_load_n(&s->overruns, __ATOMIC_RELAXED);
	out->asked_again = __atomic_load_n(&s->asked_again, __ATOMIC_RELAXED);
	out->events_lost = __atomic_load_n(&s->events_lost, __ATOMIC_RELAXED);
}

/* ---- IKE sockets ------------------------------------------------------------------------ */

static bool bypass(int fd, uint8_t family, uint8_t direction)
{
	struct xfrm_userpolicy_info policy = {
		.sel = {.family = family},
		.action = XFRM_POLICY_ALLOW,
		.dir = direction,
	};

	return setsockopt(fd, family == AF_INET ? IPPROTO_IP : IPPROTO_IPV6,
		       family == AF_INET ? IP_XFRM_POLICY : IPV6_XFRM_POLICY, &policy,
		       sizeof(policy)) == 0;
}

static bool xfrm_prepare_socket(const struct kernel *kernel, int fd, uint8_t family, bool nat)
{
	int encapsulation = UDP_ENCAP_ESPINUDP;

	(void)kernel;
	return bypass(fd, family, XFRM_POLICY_OUT) && bypass(fd, family, XFRM_POLICY_IN) &&
	       (!nat || setsockopt(fd, IPPROTO_UDP, UDP_ENCAP, &encapsulation,
				sizeof(encapsulation)) == 0);
}

/* ---- SPIs --------------------------------------------------------------------------------- */

static uint32_t xfrm_allocate_spi(struct kernel_channel *channel)
{
	return spi_sequence_next(&((struct xfrm_kernel *)channel->kernel)->spis);
}

static void xfrm_release_spi(struct kernel_channel *channel, uint32_t spi)
{
	(void)channel;
	(void)spi;
}

static uint16_t xfrm_allocate_cpi(struct kernel_channel *channel)
{
	return cpi_set_take(&((struct xfrm_kernel *)channel->kernel)->cpis);
}

static void xfrm_release_cpi(struct kernel_channel *channel, uint16_t cpi)
{
	cpi_set_give_back(&((struct xfrm_kernel *)channel->kernel)->cpis, cpi);
}

const struct kernel_backend kernel_xfrm_backend = {
	.name = "xfrm",
	.binds = true,
	.open = xfrm_open,
	.close = xfrm_close,
	.supports = xfrm_supports,
	.supports_ah = xfrm_supports_ah,
	.abilities = xfrm_abilities,
	.leave_state = xfrm_leave_state,
	.stats = xfrm_stats,
	.prepare_socket = xfrm_prepare_socket,
	.channel_open = xfrm_channel_open,
	.channel_close = xfrm_channel_close,
	.channel_fd = xfrm_channel_fd,
	.channel_sleep = xfrm_channel_sleep,
	.channel_poll = xfrm_channel_poll,
	.channel_submit = xfrm_channel_submit,
	.channel_allocate_spi = xfrm_allocate_spi,
	.channel_release_spi = xfrm_release_spi,
	.channel_allocate_cpi = xfrm_allocate_cpi,
	.channel_release_cpi = xfrm_release_cpi,
	.channel_pending = xfrm_channel_pending,
};
