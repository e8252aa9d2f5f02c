/* --status, but for the connections and the SAs. */
#include "reports.h"

#include "pluto.h"

#include <stdio.h>
#include <string.h>

#define INTERFACES_A_STEP 64

static void say_interface(struct report *r, const struct listen_address *a)
{
	const struct options *o = &r->pluto->options;
	char ip[IP_TEXT_MAX];
	const char *open = a->address.family == AF_INET6 ? "[" : "";
	const char *close = a->address.family == AF_INET6 ? "]" : "";

	ip_text(&a->address, ip);
	if (o->nat_port)
		report_text_line(r, "interface %s %s%s%s:UDP/%u (NAT)", a->interface, open, ip,
			close, o->nat_port);
	report_text_line(
		r, "interface %s %s%s%s:UDP/%u", a->interface, open, ip, close, o->ike_port);
}

enum step_result status_interfaces(struct report *r)
{
	const struct pluto *p = r->pluto;

	if (r->after == 0)
		report_text_line(r, "using kernel interface: %s", kernel_name(p->kernel));
	for (unsigned i = 0; i < INTERFACES_A_STEP && r->after < p->address_count; i++)
		say_interface(r, &p->addresses[r->after++]);
	return r->after < p->address_count ? STEP_MORE : STEP_DONE;
}

static const char *yes_no(bool value)
{
	return value ? "yes" : "no";
}

static void config_ocsp(struct report *r, const struct revocation_config *c)
{
	report_text_line(r, "ocsp-enable=%s, ocsp-strict=%s, ocsp-timeout=%u", yes_no(c->ocsp),
		yes_no(c->ocsp_strict), c->ocsp_timeout_s);
	report_text_line(r, "ocsp-uri=%s, ocsp-trust-name=%s",
		c->ocsp_uri ? c->ocsp_uri : "<unset>",
		c->ocsp_trust_name ? c->ocsp_trust_name : "<unset>");
	report_text_line(r,
		"ocsp-cache-size=%u, ocsp-cache-min-age=%u, ocsp-cache-max-age=%u, ocsp-method=%s",
		c->ocsp_cache_size, c->ocsp_cache_min_age_s, c->ocsp_cache_max_age_s,
		c->ocsp_post ? "post" : "get");
}

/* What an operator may have set; keys that have no meaning here stand with the value that is true
 * of this daemon. */
enum step_result status_setup(struct report *r)
{
	const struct options *o = &r->pluto->options;
	char listen[OPTION_LIST_MAX * IP_TEXT_MAX] = "", ip[IP_TEXT_MAX];
	size_t len = 0;

	for (unsigned i = 0; i < o->listen_count; i++)
		len += (size_t)snprintf(listen + len, sizeof(listen) - len, "%s%s", i ? "," : "",
			ip_text(&o->listen[i], ip));
	report_text_line(r, "fips mode=disabled;");
	report_text_line(r, "SElinux=disabled");
	report_text_line(r, "seccomp=unsupported");
	report_text_line(r, "config setup options:");
	report_text_line(r, "%s", "");
	report_text_line(r, "configdir=/etc, configfile=%s, secrets=%s, ipsecdir=%s",
		o->config_file ? o->config_file : "<unset>", o->secrets_file, o->ipsec_dir);
	report_text_line(r, "nssdir=%s, dumpdir=<unset>, statsbin=unset", o->nss_dir);
	report_text_line(
		r, "dnssec-enable=no, dnssec-rootkey-file=<unset>, dnssec-anchors=<unset>");
	report_text_line(r, "pluto_version=%s, pluto_vendorid=<unset>", PLUTONIUM_VERSION);
	report_text_line(r, "nhelpers=%d, uniqueids=%s, shuntlifetime=%us, expire-lifetime=%us",
		o->nhelpers, o->unique_ids ? "yes" : "no", o->shunt_life_s, o->acquire_expires_s);
	report_text_line(r, "logfile='%s', logappend=%s, logip=yes, audit-log=no",
		o->log_file     ? o->log_file
		: o->stderr_log ? "<stderr>"
				: "<syslog>",
		o->log_no_append ? "no" : "yes");
	report_text_line(r,
		"ddos-cookies-threshold=%llu, ddos-max-halfopen=%llu, ddos-mode=%s, "
		"ikev1-policy=drop",
		(unsigned long long)o->ddos_threshold, (unsigned long long)o->max_half_open,
		ddos_mode_name(o->ddos_mode));
	report_text_line(r,
		"ikebuf=%zu, msg_errqueue=yes, crl-strict=%s, crlcheckinterval=%u, listen=%s, "
		"nflog-all=0, dns-resolver=file,",
		o->socket_buffer, yes_no(o->revocation.crl_strict),
		o->revocation.crl_check_interval_s, o->listen_count ? listen : "<any>");
	config_ocsp(r, &o->revocation);
	report_text_line(r, "global-redirect=no, global-redirect-to=<unset>");
	report_text_line(r, "debug: %s", o->debug ? "base" : "");
	report_text_line(r, "%s", "");
	report_text_line(
		r, "nat-traversal: keep-alive=%u, nat-ikeport=%u", o->keep_alive_s, o->nat_port);
	report_text_line(r, "%s", "");
	return STEP_DONE;
}

/* ---- algorithms --------------------------------------------------------------- */

static void key_sizes(const struct algorithm *a, unsigned *min, unsigned *max)
{
	*min = *max = a->fixed_key ? a->key_len * 8u : a->key_bits[0];
	for (unsigned i = 0; !a->fixed_key && i < ALGORITHM_KEY_BITS_MAX && a->key_bits[i]; i++) {
		if (a->key_bits[i] < *min)
			*min = a->key_bits[i];
		if (a->key_bits[i] > *max)
			*max = a->key_bits[i];
	}
}

static bool kernel_runs(const struct kernel *kernel, const struct algorithm *encr)
{
	uint16_t integ = encr->aead ? INTEG_NONE : INTEG_HMAC_SHA2_256_128;

	return kernel_supports(kernel, encr->id, encr->key_bits[0], integ, false);
}

enum step_result status_kernel_algorithms(struct report *r)
{
	const struct kernel *kernel = r->pluto->kernel;
	const struct algorithm *a;
	unsigned min, max;

	report_text_line(r, "Kernel algorithms supported:");
	report_text_line(r, "%s", "");
	for (size_t i = 0; (a = algorithm_at(TRANSFORM_ENCR, i)); i++) {
		if (!a->esp_capable || !kernel_runs(kernel, a))
			continue;
		key_sizes(a, &min, &max);
		report_text_line(r, "algorithm ESP encrypt: name=%s, keysizemin=%u, keysizemax=%u",
			a->name, min, max);
	}
	for (size_t i = 0; (a = algorithm_at(TRANSFORM_INTEG, i)); i++)
		if (a->esp_capable && a->id != INTEG_NONE &&
			(kernel_supports(kernel, ENCR_AES_CBC, 128, a->id, false) ||
				kernel_supports_ah(kernel, a->id, false)))
			report_text_line(r, "algorithm AH/ESP auth: name=%s, key-length=%u",
				a->name, a->key_len * 8u);
	report_text_line(r, "%s", "");
	return STEP_DONE;
}

enum step_result status_ike_algorithms(struct report *r)
{
	const struct algorithm *a;

	report_text_line(r, "IKE algorithms supported:");
	report_text_line(r, "%s", "");
	for (size_t i = 0; (a = algorithm_at(TRANSFORM_ENCR, i)); i++)
		if (a->ike_capable)
			report_text_line(r,
				"algorithm IKE encrypt: v1id=%d, v1name=%s%s, v2id=%u, v2name=%s, "
				"blocksize=%u, keydeflen=%u",
				a->ikev1_ike_id, a->ikev1_ike_id >= 0 ? "OAKLEY_" : "",
				a->ikev1_ike_id >= 0 ? a->name : "n/a", a->id, a->name,
				a->block_len, a->fixed_key ? a->key_len * 8u : a->key_bits[0]);
	for (size_t i = 0; (a = algorithm_at(TRANSFORM_PRF, i)); i++)
		report_text_line(
			r, "algorithm IKE PRF: name=%s, hashlen=%u", a->name, a->output_len);
	for (size_t i = 0; (a = algorithm_at(TRANSFORM_KE, i)); i++)
		if (a->id != KE_NONE)
			report_text_line(r,
				"algorithm IKE Key Exchange Method (DH): name=%s, bits=%u", a->name,
				a->ke_bits);
	report_text_line(r, "%s", "");
	return STEP_DONE;
}
