#include "options.h"

#include "config/conf_file.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define RUNDIR_DEFAULT  "/run/pluto"
#define SECRETS_DEFAULT "/etc/ipsec.secrets"
#define NSS_DEFAULT     "/var/lib/ipsec/nss"
#define IPSEC_DEFAULT   "/etc/ipsec.d"
#define NHELPERS_MAX    1024
#define SHARDS_MAX      1024
#define SECONDS_MAX     (366u * 86400)
#define KEYS_AHEAD      64 /* docs/performance.md has what they bring */

enum row_value { ROW_FLAG, ROW_REQUIRED, ROW_YES_NO /* or nothing: yes */ };

struct row;
/* `value` is NULL for a flag. */
typedef bool row_set(struct options *o, const struct row *row, const char *value, FILE *err);

struct row {
	const char *name; /* --name; NULL: only a keyword */
	enum row_value value;
	row_set *set;        /* NULL: known, and not built */
	const char *keyword; /* of config setup; NULL: only an option */
	const char *fixed;
	size_t field; /* offset, for the setters that fill one field of struct options */
};

static bool bad(FILE *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

static bool bad(FILE *err, const char *format, ...)
{
	va_list args;

	fputs("pluto: ", err);
	va_start(args, format);
	vfprintf(err, format, args);
	va_end(args);
	fputc('\n', err);
	return false;
}

static const char *row_name(const struct row *row)
{
	return row->name ? row->name : row->keyword;
}

static bool bad_value(const struct row *row, const char *value, const char *wanted, FILE *err)
{
	return bad(err, "option '--%s': '%s' is not %s", row_name(row), value, wanted);
}

/* ---- values --------------------------------------------------------------- */

static bool number(const struct row *row, const char *value, unsigned long long min,
	unsigned long long max, unsigned long long *out, FILE *err)
{
	unsigned long long n;

	*out = 0;
	if (conf_count(value, &n) && n >= min && n <= max) {
		*out = n;
		return true;
	}
	return bad(err, "option '--%s': '%s' is not a number from %llu to %llu", row_name(row),
		value, min, max);
}

static bool replace_text(char **out, const char *value, FILE *err)
{
	char *copy = strdup(value);

	if (!copy)
		return bad(err, "out of memory");
	free(*out);
	*out = copy;
	return true;
}

static bool yes_no(const struct row *row, const char *value, bool *out, FILE *err)
{
	return conf_bool(value, out) || bad_value(row, value, "yes or no", err);
}

static void *field_of(struct options *o, const struct row *row)
{
	return (char *)o + row->field;
}

static bool port(const struct row *row, const char *value, uint16_t *out, unsigned min, FILE *err)
{
	unsigned long long n;

	if (!number(row, value, min, 65535, &n, err))
		return false;
	*out = (uint16_t)n;
	return true;
}

bool ddos_mode_parse(const char *text, enum ddos_mode *mode)
{
	if (strcmp(text, "auto") == 0)
		*mode = DDOS_AUTO;
	else if (strcmp(text, "busy") == 0)
		*mode = DDOS_BUSY;
	else if (strcmp(text, "unlimited") == 0)
		*mode = DDOS_UNLIMITED;
	else
		return false;
	return true;
}

const char *ddos_mode_name(enum ddos_mode mode)
{
	return mode == DDOS_BUSY ? "busy" : mode == DDOS_UNLIMITED ? "unlimited" : "auto";
}

/* ---- setters -------------------------------------------------------------- */

static bool set_help(struct options *o, const struct row *row, const char *value, FILE *err)
{
	(void)row, (void)value, (void)err;
	o->help = true;
	return true;
}

static bool set_version(struct options *o, const struct row *row, const char *value, FILE *err)
{
	(void)row, (void)value, (void)err;
	o->version = true;
	return true;
}

static bool set_no_fork(struct options *o, const struct row *row, const char *value, FILE *err)
{
	(void)row, (void)value, (void)err;
	o->no_fork = true;
	return true;
}

static bool set_stderr_log(struct options *o, const struct row *row, const char *value, FILE *err)
{
	(void)row, (void)value, (void)err;
	o->stderr_log = true;
	free(o->log_file);
	o->log_file = NULL;
	return true;
}

static bool set_log_file(struct options *o, const struct row *row, const char *value, FILE *err)
{
	(void)row;
	o->stderr_log = false;
	return replace_text(&o->log_file, value, err);
}

static bool set_log_no_time(struct options *o, const struct row *row, const char *value, FILE *err)
{
	bool on = false;

	if (value && !yes_no(row, value, &on, err))
		return false;
	o->log_no_time = !on;
	return true;
}

static bool set_log_no_append(
	struct options *o, const struct row *row, const char *value, FILE *err)
{
	bool on = false;

	if (value && !yes_no(row, value, &on, err))
		return false;
	o->log_no_append = !on;
	return true;
}

static bool set_debug(struct options *o, const struct row *row, const char *value, FILE *err)
{
	(void)row, (void)err;
	o->debug = strcmp(value, "none") != 0;
	return true;
}

static bool set_config(struct options *o, const struct row *row, const char *value, FILE *err);

static bool set_rundir(struct options *o, const struct row *row, const char *value, FILE *err)
{
	char *path;

	(void)row;
	if (!replace_text(&o->rundir, value, err))
		return false;
	if (asprintf(&path, "%s/pluto.ctl", value) < 0)
		return bad(err, "out of memory");
	free(o->control_socket);
	o->control_socket = path;
	return true;
}

static bool set_control_socket(
	struct options *o, const struct row *row, const char *value, FILE *err)
{
	(void)row;
	return replace_text(&o->control_socket, value, err);
}

static bool set_secrets_file(struct options *o, const struct row *row, const char *value, FILE *err)
{
	(void)row;
	return replace_text(&o->secrets_file, value, err);
}

static bool set_nss_dir(struct options *o, const struct row *row, const char *value, FILE *err)
{
	(void)row;
	/* "sql:" is the only kind of database that there still is. */
	o->nss_dir_given = true;
	return replace_text(&o->nss_dir, strncmp(value, "sql:", 4) == 0 ? value + 4 : value, err);
}

static bool set_ipsec_dir(struct options *o, const struct row *row, const char *value, FILE *err)
{
	(void)row;
	return replace_text(&o->ipsec_dir, value, err);
}

static bool set_backend(struct options *o, const struct row *row, const char *value, FILE *err)
{
	const char *name = value ? value : row->fixed;

	if (strcmp(name, "netkey") == 0)
		name = "xfrm";
	if (strcmp(name, "bsdkame") == 0 || strcmp(name, "bsd") == 0 || strcmp(name, "kame") == 0 ||
		strcmp(name, "pfkeyv2") == 0)
		name = "pfkey";
	if (strcmp(name, "auto") == 0)
		return true;
	return replace_text(&o->backend, name, err);
}

static bool set_dataplane_port(
	struct options *o, const struct row *row, const char *value, FILE *err)
{
	struct dataplane_port_option *p = &o->ports[o->port_count];
	const char *equals = strrchr(value, '=');

	(void)row;
	if (o->port_count == OPTION_PORTS_MAX)
		return bad(err, "option '--dataplane-port': more than %d", OPTION_PORTS_MAX);
	/* A DPDK device string has '=' signs of its own: the twin is behind the last one. */
	if (!equals || equals == value || equals[1] == '\0')
		return bad(err, "option '--dataplane-port': '%s' is not DEVICE=TWIN", value);
	p->device = strndup(value, (size_t)(equals - value));
	p->twin = strdup(equals + 1);
	if (!p->device || !p->twin)
		return bad(err, "out of memory");
	o->port_count++;
	return true;
}

static bool set_lcores(struct options *o, const struct row *row, const char *value, FILE *err)
{
	unsigned long long n;

	if (!number(row, value, 1, 128, &n, err))
		return false;
	o->lcores = (unsigned)n;
	return true;
}

static bool set_shards(struct options *o, const struct row *row, const char *value, FILE *err)
{
	unsigned long long n;

	if (!number(row, value, 0, SHARDS_MAX, &n, err))
		return false;
	o->shards = (unsigned)n;
	return true;
}

static bool set_no_steering(struct options *o, const struct row *row, const char *value, FILE *err)
{
	(void)row, (void)value, (void)err;
	o->no_steering = true;
	return true;
}

static bool set_nhelpers(struct options *o, const struct row *row, const char *value, FILE *err)
{
	unsigned long long n;

	if (strcmp(value, "-1") == 0) {
		o->nhelpers = -1;
		return true;
	}
	if (!number(row, value, 0, NHELPERS_MAX, &n, err))
		return false;
	o->nhelpers = (int)n;
	return true;
}

static bool add_listen(struct options *o, const struct row *row, const char *text, FILE *err)
{
	struct ip_address address;

	if (!ip_parse(text, &address) || ip_is_any(&address))
		return bad_value(row, text, "an IP address", err);
	if (o->listen_count == OPTION_LIST_MAX)
		return bad(err, "option '--%s': more than %d addresses", row_name(row),
			OPTION_LIST_MAX);
	o->listen[o->listen_count++] = address;
	return true;
}

static bool set_listen(struct options *o, const struct row *row, const char *value, FILE *err)
{
	char *copy = strdup(value), *rest = copy, *word;
	bool ok = true;

	if (!copy)
		return bad(err, "out of memory");
	while (ok && (word = strsep(&rest, ", ")))
		if (*word)
			ok = add_listen(o, row, word, err);
	free(copy);
	return ok;
}

static bool set_interface(struct options *o, const struct row *row, const char *value, FILE *err)
{
	size_t len = strlen(value);

	if (len == 0 || len >= sizeof(o->interfaces[0]))
		return bad_value(row, value, "the name of a network interface", err);
	if (o->interface_count == OPTION_LIST_MAX)
		return bad(err, "option '--%s': more than %d", row_name(row), OPTION_LIST_MAX);
	memcpy(o->interfaces[o->interface_count++], value, len + 1);
	return true;
}

static bool set_ike_port(struct options *o, const struct row *row, const char *value, FILE *err)
{
	return port(row, value, &o->ike_port, 1, err);
}

static bool set_nat_port(struct options *o, const struct row *row, const char *value, FILE *err)
{
	return port(row, value, &o->nat_port, 0, err);
}

static bool set_unique_ids(struct options *o, const struct row *row, const char *value, FILE *err)
{
	return yes_no(row, value, &o->unique_ids, err);
}

static bool set_interface_managed(
	struct options *o, const struct row *row, const char *value, FILE *err)
{
	bool managed;

	if (!yes_no(row, value, &managed, err))
		return false;
	o->interfaces_unmanaged = !managed;
	return true;
}

static bool set_ddos_mode(struct options *o, const struct row *row, const char *value, FILE *err)
{
	return ddos_mode_parse(value ? value : row->fixed, &o->ddos_mode) ||
	       bad_value(row, value, "auto, busy or unlimited", err);
}

static bool set_ddos_threshold(
	struct options *o, const struct row *row, const char *value, FILE *err)
{
	unsigned long long n;

	if (!number(row, value, 0, UINT32_MAX, &n, err))
		return false;
	o->ddos_threshold = n;
	return true;
}

static bool set_max_half_open(
	struct options *o, const struct row *row, const char *value, FILE *err)
{
	unsigned long long n;

	if (!number(row, value, 1, UINT32_MAX, &n, err))
		return false;
	o->max_half_open = n;
	return true;
}

static bool set_keep_alive(struct options *o, const struct row *row, const char *value, FILE *err)
{
	unsigned long long ms;

	if (!conf_duration_ms(value, 1000, &ms) || ms > 86400000ull)
		return bad_value(row, value, "a duration of at most a day", err);
	o->keep_alive_s = (uint32_t)(ms / 1000);
	return true;
}

static bool duration_s(const struct row *row, const char *value, uint32_t *out, FILE *err)
{
	unsigned long long ms;

	if (!conf_duration_ms(value, 1000, &ms) || ms < 1000 || ms > 86400000ull)
		return bad_value(row, value, "a duration from a second to a day", err);
	*out = (uint32_t)(ms / 1000);
	return true;
}

static bool set_shunt_life(struct options *o, const struct row *row, const char *value, FILE *err)
{
	return duration_s(row, value, &o->shunt_life_s, err);
}

static bool set_acquire_expires(
	struct options *o, const struct row *row, const char *value, FILE *err)
{
	return duration_s(row, value, &o->acquire_expires_s, err);
}

/* Each shunt ends when its time has come: there is no scan whose period could be set. */
static bool set_shunt_interval(
	struct options *o, const struct row *row, const char *value, FILE *err)
{
	uint32_t ignored;

	(void)o;
	return duration_s(row, value, &ignored, err);
}

/* The system's default takes some 250 datagrams: a herd of peers that come back at once overflows
 * it, and then their retransmission timers decide how long it takes. What is not used is not
 * allocated. 0 on the command line asks for the system's default. */
#define SOCKET_BUFFER (4u << 20)

static bool set_socket_buffer(
	struct options *o, const struct row *row, const char *value, FILE *err)
{
	unsigned long long n;

	if (!conf_bytes(value, &n) || n > (1ull << 30))
		return bad_value(row, value, "a number of bytes up to 1GiB", err);
	o->socket_buffer = n;
	return true;
}

/* Less would leave no room behind the headers of the longest suite over IPv6. */
#define FRAGMENT_SIZE_MIN 200

static bool set_fragment_size(
	struct options *o, const struct row *row, const char *value, FILE *err)
{
	unsigned long long n;

	if (!number(row, value, FRAGMENT_SIZE_MIN, UINT16_MAX, &n, err))
		return false;
	o->fragment_size = n;
	return true;
}

static bool set_keys_ahead(struct options *o, const struct row *row, const char *value, FILE *err)
{
	unsigned long long n;

	if (!number(row, value, 0, KEY_STOCK_SIZE_MAX, &n, err))
		return false;
	o->keys_ahead = (unsigned)n;
	return true;
}

/* ---- setters of one field ---- */

static bool set_text(struct options *o, const struct row *row, const char *value, FILE *err)
{
	return replace_text(field_of(o, row), value, err);
}

static bool set_yes_no(struct options *o, const struct row *row, const char *value, FILE *err)
{
	return yes_no(row, value ? value : "yes", field_of(o, row), err);
}

static bool set_count(struct options *o, const struct row *row, const char *value, FILE *err)
{
	unsigned long long n;

	if (!number(row, value, 1, INT32_MAX, &n, err))
		return false;
	*(uint32_t *)field_of(o, row) = (uint32_t)n;
	return true;
}

static bool set_seconds(struct options *o, const struct row *row, const char *value, FILE *err)
{
	unsigned long long ms;

	if (!conf_duration_ms(value, 1000, &ms) || ms > SECONDS_MAX * 1000ull)
		return bad_value(row, value, "a duration of at most a year", err);
	*(uint32_t *)field_of(o, row) = (uint32_t)((ms + 999) / 1000);
	return true;
}

static bool set_ocsp_method(struct options *o, const struct row *row, const char *value, FILE *err)
{
	o->revocation.ocsp_post = strcmp(value, "post") == 0;
	return o->revocation.ocsp_post || strcmp(value, "get") == 0 || bad_value(row, value, "get or post", err);
}

static bool set_updown_timeout(
	struct options *o, const struct row *row, const char *value, FILE *err)
{
	unsigned long long ms;

	if (!conf_duration_ms(value, 1000, &ms) || ms < 100 || ms > 600000)
		return bad_value(row, value, "a duration from 0.1 to 600 seconds", err);
	o->updown_timeout_ms = (unsigned)ms;
	return true;
}

static bool set_updown_children(
	struct options *o, const struct row *row, const char *value, FILE *err)
{
	unsigned long long n;

	if (!number(row, value, 1, UPDOWN_CHILDREN_MAX, &n, err))
		return false;
	o->updown_children = (unsigned)n;
	return true;
}

/* Obsolete, or of no meaning here: said, and then passed over. */
static bool set_obsolete(struct options *o, const struct row *row, const char *value, FILE *err)
{
	(void)o, (void)value;
	fprintf(err, "pluto: warning: '%s' is obsolete and ignored\n", row_name(row));
	return true;
}

/* ---- the table -------------------------------------------------------------- */

#define FIELD(f) offsetof(struct options, f)

/* One option a line. */
/* clang-format off */
static const struct row rows[] = {
	{"help", ROW_FLAG, set_help},
	{"version", ROW_FLAG, set_version},
	{"config", ROW_REQUIRED, set_config},
	{"nofork", ROW_FLAG, set_no_fork},
	{"stderrlog", ROW_FLAG, set_stderr_log},
	{"logfile", ROW_REQUIRED, set_log_file, "logfile"},
	{"log-no-time", ROW_FLAG, set_log_no_time, "logtime"},
	{"log-no-append", ROW_FLAG, set_log_no_append, "logappend"},
	{"debug", ROW_REQUIRED, set_debug, "plutodebug"},
	{"rundir", ROW_REQUIRED, set_rundir},
	{"ctlbase", ROW_REQUIRED, set_rundir},
	{"ctlsocket", ROW_REQUIRED, set_control_socket},
	{"secretsfile", ROW_REQUIRED, set_secrets_file, "secretsfile"},
	{"nssdir", ROW_REQUIRED, set_nss_dir, "nssdir"},
	{"ipsecdir", ROW_REQUIRED, set_ipsec_dir, "ipsecdir"},
	{"use-dpdk", ROW_FLAG, set_backend, NULL, "dpdk"},
	{"use-none", ROW_FLAG, set_backend, NULL, "none"},
	{"use-nostack", ROW_FLAG, set_backend, NULL, "none"},
	{"use-xfrm", ROW_FLAG, set_backend, NULL, "xfrm"},
	{"use-netkey", ROW_FLAG, set_backend, NULL, "xfrm"},
	{"use-pfkeyv2", ROW_FLAG, set_backend, NULL, "pfkey"},
	{"use-bsdkame", ROW_FLAG, set_backend, NULL, "pfkey"},
	{"use-auto", ROW_FLAG, set_backend, NULL, "auto"},
	{"protostack", ROW_REQUIRED, set_backend, "protostack"},
	{"dataplane-port", ROW_REQUIRED, set_dataplane_port},
	{"dataplane-lcores", ROW_REQUIRED, set_lcores},
	{"shards", ROW_REQUIRED, set_shards},
	{"no-steering", ROW_FLAG, set_no_steering},
	{"nhelpers", ROW_REQUIRED, set_nhelpers, "nhelpers"},
	{"listen", ROW_REQUIRED, set_listen, "listen"},
	{"interface", ROW_REQUIRED, set_interface},
	{"ikeport", ROW_REQUIRED, set_ike_port},
	{"natikeport", ROW_REQUIRED, set_nat_port},
	{"uniqueids", ROW_YES_NO, set_unique_ids, "uniqueids"},
	{"force-busy", ROW_FLAG, set_ddos_mode, NULL, "busy"},
	{"force_busy", ROW_FLAG, set_ddos_mode, NULL, "busy"},
	{"ddos-mode", ROW_REQUIRED, set_ddos_mode, "ddos-mode"},
	{"ddos-busy", ROW_FLAG, set_ddos_mode, NULL, "busy"},
	{"ddos-auto", ROW_FLAG, set_ddos_mode, NULL, "auto"},
	{"ddos-unlimited", ROW_FLAG, set_ddos_mode, NULL, "unlimited"},
	{"ddos-ike-threshold", ROW_REQUIRED, set_ddos_threshold, "ddos-ike-threshold"},
	{"max-halfopen-ike", ROW_REQUIRED, set_max_half_open, "max-halfopen-ike"},
	{"keep-alive", ROW_REQUIRED, set_keep_alive, "keep-alive"},
	{NULL, ROW_REQUIRED, set_shunt_life, "shuntlifetime"},
	{"expire-shunt-interval", ROW_REQUIRED, set_shunt_interval, "expire-shunt-interval"},
	{NULL, ROW_REQUIRED, set_acquire_expires, "expire-lifetime"},
	{NULL, ROW_REQUIRED, set_acquire_expires, "xfrmlifetime"},
	{"keep_alive", ROW_REQUIRED, set_keep_alive},
	{"ike-socket-bufsize", ROW_REQUIRED, set_socket_buffer, "ike-socket-bufsize"},
	{"ike-fragment-size", ROW_REQUIRED, set_fragment_size, "ike-fragment-size"},
	{"keys-ahead", ROW_REQUIRED, set_keys_ahead, "keys-ahead"},
	{"crl-strict", ROW_YES_NO, set_yes_no, "crl-strict", NULL, FIELD(revocation.crl_strict)},
	{"crlcheckinterval", ROW_REQUIRED, set_seconds, "crlcheckinterval", NULL,
		FIELD(revocation.crl_check_interval_s)},
	{"curl-iface", ROW_REQUIRED, set_text, "curl-iface", NULL, FIELD(revocation.crl_interface)},
	{"curl-timeout", ROW_REQUIRED, set_seconds, "curl-timeout", NULL, FIELD(revocation.crl_timeout_s)},
	{NULL, ROW_REQUIRED, set_seconds, "crl-timeout", NULL, FIELD(revocation.crl_timeout_s)},
	{"ocsp-enable", ROW_YES_NO, set_yes_no, "ocsp-enable", NULL, FIELD(revocation.ocsp)},
	{"ocsp-strict", ROW_YES_NO, set_yes_no, "ocsp-strict", NULL, FIELD(revocation.ocsp_strict)},
	{"ocsp-uri", ROW_REQUIRED, set_text, "ocsp-uri", NULL, FIELD(revocation.ocsp_uri)},
	{"ocspuri", ROW_REQUIRED, set_text, NULL, NULL, FIELD(revocation.ocsp_uri)},
	{"ocsp-trust-name", ROW_REQUIRED, set_text, "ocsp-trustname", NULL, FIELD(revocation.ocsp_trust_name)},
	{"ocsp-timeout", ROW_REQUIRED, set_seconds, "ocsp-timeout", NULL, FIELD(revocation.ocsp_timeout_s)},
	{"ocsp-method", ROW_REQUIRED, set_ocsp_method, "ocsp-method"},
	{"ocsp-cache-size", ROW_REQUIRED, set_count, "ocsp-cache-size", NULL, FIELD(revocation.ocsp_cache_size)},
	{"ocsp-cache-min-age", ROW_REQUIRED, set_seconds, "ocsp-cache-min-age", NULL,
		FIELD(revocation.ocsp_cache_min_age_s)},
	{"ocsp-cache-max-age", ROW_REQUIRED, set_seconds, "ocsp-cache-max-age", NULL,
		FIELD(revocation.ocsp_cache_max_age_s)},
	{NULL, ROW_REQUIRED, set_interface_managed, "ipsec-interface-managed"},
	{"updown-timeout", ROW_REQUIRED, set_updown_timeout, "updown-timeout"},
	{"updown-children", ROW_REQUIRED, set_updown_children, "updown-children"},

	{"nat_traversal", ROW_FLAG, set_obsolete},
	{"nocrsend", ROW_FLAG, set_obsolete},
	{"strictcrlpolicy", ROW_FLAG, set_obsolete},
	{"secctx-attr-type", ROW_REQUIRED, set_obsolete, "secctx-attr-type"},
	{NULL, ROW_REQUIRED, set_obsolete, "ikev1-secctx-attr-type"},
	{NULL, ROW_REQUIRED, set_obsolete, "syslog"},
	{NULL, ROW_REQUIRED, set_obsolete, "plutostderrlog"},
	{NULL, ROW_REQUIRED, set_obsolete, "virtual_private"},
	{NULL, ROW_REQUIRED, set_obsolete, "interfaces"},

	{"leak-detective", ROW_FLAG}, {"efence-protect", ROW_FLAG}, {"selftest", ROW_FLAG},
	{"impair", ROW_REQUIRED}, {"no-impair", ROW_REQUIRED}, {"no-debug", ROW_REQUIRED},
	{"optionsfrom", ROW_REQUIRED}, {"adns", ROW_REQUIRED}, {"lwdnsq", ROW_REQUIRED},
	{"perpeerlog", ROW_FLAG}, {"perpeerlogbase", ROW_REQUIRED}, {"noretransmits", ROW_FLAG},
	{"use-klips", ROW_FLAG}, {"use-mast", ROW_FLAG},
	{"disable_port_floating", ROW_FLAG}, {"force-keepalive", ROW_FLAG},
	{"force_keepalive", ROW_FLAG},
	{"virtual-private", ROW_REQUIRED, NULL, "virtual-private"},
	{"virtual_private", ROW_REQUIRED},
	{"log-no-ip", ROW_FLAG, NULL, "logip"}, {"logip", ROW_REQUIRED}, {"log-no-audit", ROW_FLAG},
	{"audit-log", ROW_REQUIRED, NULL, "audit-log"},
	{"dumpdir", ROW_REQUIRED, NULL, "dumpdir"}, {"coredir", ROW_REQUIRED},
	{"statsbin", ROW_REQUIRED, NULL, "statsbin"},
	{"dnssec-rootkey-file", ROW_REQUIRED, NULL, "dnssec-rootkey-file"},
	{"dnssec-trusted", ROW_REQUIRED, NULL, "dnssec-anchors"},
	{"dnssec-anchors", ROW_REQUIRED}, {"no-dnssec", ROW_FLAG, NULL, "dnssec-enable"},
	{"listen-tcp", ROW_YES_NO, NULL, "listen-tcp"},
	{"listen-udp", ROW_YES_NO, NULL, "listen-udp"},
	{"ike-socket-errqueue", ROW_YES_NO, NULL, "ike-socket-errqueue"},
	{"nflog-all", ROW_REQUIRED, NULL, "nflog-all"},
	{"seeddev", ROW_REQUIRED, NULL, "seeddev"}, {"seedbits", ROW_REQUIRED, NULL, "seedbits"},
	{"ikev1-reject", ROW_FLAG, NULL, "ikev1-policy"}, {"ikev1-drop", ROW_FLAG},
	{"vendorid", ROW_REQUIRED, NULL, "myvendorid"},
	{"drop-oppo-null", ROW_FLAG, NULL, "drop-oppo-null"},
	{"global-redirect", ROW_REQUIRED, NULL, "global-redirect"},
	{"global-redirect-to", ROW_REQUIRED, NULL, "global-redirect-to"},
	{NULL, ROW_REQUIRED, NULL, "loglimit"},
	{NULL, ROW_REQUIRED, NULL, "seccomp"},
	{NULL, ROW_REQUIRED, NULL, "dns-resolver"},
};
/* clang-format on */
#define ROW_COUNT (sizeof(rows) / sizeof(rows[0]))

/* ---- what goes together ----------------------------------------------------- */

bool options_check(const struct options *o, FILE *err)
{
	const struct revocation_config *r = &o->revocation;

	if (r->ocsp_uri && strncmp(r->ocsp_uri, "http://", 7) != 0)
		return bad(err, "option '--ocsp-uri': '%s' is not an http URL", r->ocsp_uri);
	if (!r->ocsp_uri != !r->ocsp_trust_name)
		return bad(err, "options '--ocsp-uri' and '--ocsp-trust-name' go together");
	if (r->ocsp_cache_min_age_s > r->ocsp_cache_max_age_s)
		return bad(err, "option '--ocsp-cache-min-age' is more than '--ocsp-cache-max-age'");
	return true;
}

/* ---- the command line ------------------------------------------------------- */

static const struct row *find_row(const char *text, size_t len, FILE *err)
{
	const struct row *found = NULL;
	bool ambiguous = false;

	for (size_t i = 0; i < ROW_COUNT; i++) {
		const struct row *row = &rows[i];

		if (!row->name || strncmp(row->name, text, len) != 0)
			continue;
		if (row->name[len] == '\0')
			return row;
		ambiguous = ambiguous || found;
		found = row;
	}
	if (len && found && !ambiguous)
		return found;
	bad(err, len && found ? "option '--%.*s' is ambiguous" : "unrecognized option '--%.*s'",
		(int)len, text);
	return NULL;
}

static bool parse_row(struct options *o, const struct row *row, const char *value, int argc,
	char *const argv[], int *i, FILE *err)
{
	bool word;

	if (!row->set)
		return bad(err, "option '--%s' is not implemented yet", row->name);
	if (row->value == ROW_FLAG && value)
		return bad(err, "option '--%s' doesn't allow an argument", row->name);
	if (row->value == ROW_REQUIRED && !value) {
		if (*i + 1 >= argc)
			return bad(err, "option '--%s' requires an argument", row->name);
		value = argv[++*i];
	}
	/* The manual page's --uniqueids is a flag; later ones say yes or no behind it. */
	if (row->value == ROW_YES_NO && !value)
		value = *i + 1 < argc && conf_bool(argv[*i + 1], &word) ? argv[++*i] : "yes";
	return row->set(o, row, value, err);
}

bool options_parse(struct options *o, int argc, char *const argv[], FILE *err)
{
	for (int i = 1; i < argc; i++) {
		const char *text = argv[i] + 2;
		size_t len;
		const struct row *row;

		if (strncmp(argv[i], "--", 2) != 0 || *text == '\0')
			return bad(err, "unexpected argument \"%s\"", argv[i]);
		len = strcspn(text, "=");
		row = find_row(text, len, err);
		if (!row ||
			!parse_row(o, row, text[len] ? text + len + 1 : NULL, argc, argv, &i, err))
			return false;
	}
	return true;
}

/* ---- config setup ----------------------------------------------------------- */

static bool apply_parameter(struct options *o, const char *key, const char *value, FILE *err)
{
	if (strncmp(key, "x-", 2) == 0 || strncmp(key, "x_", 2) == 0)
		return true;
	for (size_t i = 0; i < ROW_COUNT; i++) {
		if (!rows[i].keyword || strcmp(rows[i].keyword, key) != 0)
			continue;
		if (rows[i].set)
			return rows[i].set(o, &rows[i], value, err);
		fprintf(err,
			"pluto: warning: config setup: %s=%s has no effect: it is not implemented "
			"yet\n",
			key, value);
		return true;
	}
	return bad(err, "config setup: unknown keyword '%s'", key);
}

bool options_apply_setup(struct options *o, const struct keyvalues *setup, FILE *err)
{
	for (size_t i = 0; i < setup->count; i++)
		if (!apply_parameter(o, setup->items[i].key, setup->items[i].value, err))
			return false;
	return true;
}

static void say_warning(const char *text, void *arg)
{
	fprintf((FILE *)arg, "pluto: warning: %s\n", text);
}

static bool set_config(struct options *o, const struct row *row, const char *value, FILE *err)
{
	struct conf_file conf;
	char error[512];
	bool ok;

	(void)row;
	if (!conf_file_read(value, &conf, say_warning, err, error, sizeof(error)))
		return bad(err, "%s", error);
	ok = options_apply_setup(o, &conf.setup.parameters, err);
	conf_file_release(&conf);
	return ok && replace_text(&o->config_file, value, err);
}

/* ---- the whole -------------------------------------------------------------- */

bool options_init(struct options *o)
{
	memset(o, 0, sizeof(*o));
	o->nhelpers = -1;
	o->ike_port = 500;
	o->nat_port = 4500;
	o->unique_ids = true;
	o->ddos_threshold = 25000;
	o->max_half_open = 50000;
	o->socket_buffer = SOCKET_BUFFER;
	o->keys_ahead = KEYS_AHEAD;
	o->keep_alive_s = 20;
	o->revocation = (struct revocation_config){.crl_timeout_s = 5,
		.ocsp_timeout_s = 2,
		.ocsp_cache_size = 1000,
		.ocsp_cache_min_age_s = 3600,
		.ocsp_cache_max_age_s = 86400};
	o->shunt_life_s = 900;
	o->acquire_expires_s = 30;
	o->updown_timeout_ms = 30000;
	o->updown_children = 8;
	return set_rundir(o, NULL, RUNDIR_DEFAULT, stderr) &&
	       replace_text(&o->secrets_file, SECRETS_DEFAULT, stderr) &&
	       replace_text(&o->nss_dir, NSS_DEFAULT, stderr) &&
	       replace_text(&o->ipsec_dir, IPSEC_DEFAULT, stderr);
}

void options_release(struct options *o)
{
	for (unsigned i = 0; i < OPTION_PORTS_MAX; i++) {
		free(o->ports[i].device);
		free(o->ports[i].twin);
	}
	free(o->config_file);
	free(o->rundir);
	free(o->secrets_file);
	free(o->nss_dir);
	free((void *)(uintptr_t)o->revocation.crl_interface);
	free((void *)(uintptr_t)o->revocation.ocsp_uri);
	free((void *)(uintptr_t)o->revocation.ocsp_trust_name);
	free(o->ipsec_dir);
	free(o->log_file);
	free(o->control_socket);
	free(o->backend);
	memset(o, 0, sizeof(*o));
}

void options_usage(FILE *out)
{
	static const char *const takes[] = {
		[ROW_FLAG] = "", [ROW_REQUIRED] = " VALUE", [ROW_YES_NO] = " [yes|no]"};

	fputs("Usage: pluto OPTION...\n", out);
	for (size_t i = 0; i < ROW_COUNT; i++)
		if (rows[i].name && rows[i].set && rows[i].set != set_obsolete)
			fprintf(out, "\t--%s%s\n", rows[i].name, takes[rows[i].value]);
	fputs("Not implemented yet:\n", out);
	for (size_t i = 0; i < ROW_COUNT; i++)
		if (rows[i].name && !rows[i].set)
			fprintf(out, "\t--%s\n", rows[i].name);
}
