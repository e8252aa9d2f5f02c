/* The keywords of a connection: what each may say, and what becomes of it. */
#include "compile.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct keyword;
typedef bool keyword_set(
	struct compile *cc, const struct keyword *k, struct end_text *end, const char *value);

struct keyword {
	const char *name;
	keyword_set *set;  /* NULL: only the values in `built` */
	const char *built; /* separated by blanks; compared as booleans where both are */
	size_t field;      /* offset, for the setters that fill one field of struct connection */
};

#define UPDOWN_COMMAND_MAX 1024

#define FIELD(f) offsetof(struct connection, f)

static void *field_of(struct compile *cc, const struct keyword *k)
{
	return (char *)cc->c + k->field;
}

static bool bad_value(struct compile *cc, const struct keyword *k, const struct end_text *end,
	const char *value, const char *wanted)
{
	return compile_fail(cc, "%s%s=%s is not %s", end ? end->side : "", k->name, value, wanted);
}

static bool not_built(
	struct compile *cc, const struct keyword *k, const struct end_text *end, const char *value)
{
	return compile_fail(
		cc, "%s%s=%s is not implemented yet", end ? end->side : "", k->name, value);
}

/* ---- setters of simple fields ------------------------------------------------- */

static bool set_bool(
	struct compile *cc, const struct keyword *k, struct end_text *end, const char *value)
{
	return conf_bool(value, field_of(cc, k)) || bad_value(cc, k, end, value, "yes or no");
}

/* Lives of SAs: seconds. */
static bool set_life(
	struct compile *cc, const struct keyword *k, struct end_text *end, const char *value)
{
	unsigned long long ms;

	if (!conf_duration_ms(value, 1000, &ms))
		return bad_value(cc, k, end, value, "a duration");
	if (ms < 1000)
		return compile_fail(cc, "%s=%s is shorter than a second", k->name, value);
	if (ms > LIFETIME_MAX_S * 1000ull) {
		compile_warn(cc, "%s=%s is longer than a day: reduced to a day", k->name, value);
		ms = LIFETIME_MAX_S * 1000ull;
	}
	*(uint32_t *)field_of(cc, k) = (uint32_t)(ms / 1000);
	return true;
}

static bool set_seconds(
	struct compile *cc, const struct keyword *k, struct end_text *end, const char *value)
{
	unsigned long long ms;

	if (!conf_duration_ms(value, 1000, &ms) || ms > LIFETIME_MAX_S * 1000ull)
		return bad_value(cc, k, end, value, "a duration of at most a day");
	/* Less than a second would mean "off" where 0 does. */
	*(uint32_t *)field_of(cc, k) = (uint32_t)((ms + 999) / 1000);
	return true;
}

static bool set_milliseconds(
	struct compile *cc, const struct keyword *k, struct end_text *end, const char *value)
{
	unsigned long long ms;

	if (!conf_duration_ms(value, 1, &ms) || ms < 1 || ms > 60000)
		return bad_value(cc, k, end, value, "a duration of 1ms to 60s");
	*(uint32_t *)field_of(cc, k) = (uint32_t)ms;
	return true;
}

static bool set_count32(
	struct compile *cc, const struct keyword *k, struct end_text *end, const char *value)
{
	unsigned long long n;

	if (!conf_count(value, &n) || n > UINT32_MAX)
		return bad_value(cc, k, end, value, "a number");
	*(uint32_t *)field_of(cc, k) = (uint32_t)n;
	return true;
}

/* ---- setters with a meaning of their own -------------------------------------- */

static bool set_keying_tries(
	struct compile *cc, const struct keyword *k, struct end_text *end, const char *value)
{
	return set_count32(cc, k, end, strcasecmp(value, "%forever") == 0 ? "0" : value);
}

static bool set_replay_window(
	struct compile *cc, const struct keyword *k, struct end_text *end, const char *value)
{
	if (!set_count32(cc, k, end, value))
		return false;
	return cc->c->replay_window <= 4096 ||
	       bad_value(cc, k, end, value, "a number from 0 to 4096");
}

static bool set_fuzz(
	struct compile *cc, const struct keyword *k, struct end_text *end, const char *value)
{
	unsigned percent;

	if (!conf_percent(value, &percent) || percent > 10000)
		return bad_value(cc, k, end, value, "a percentage");
	cc->c->rekey_fuzz_percent = (uint16_t)percent;
	return true;
}

static bool set_limits(
	struct compile *cc, const struct keyword *k, struct end_text *end, const char *value)
{
	bool bytes = k->field == FIELD(limits.hard_bytes);
	unsigned long long n;

	if (!(bytes ? conf_bytes : conf_count)(value, &n) || n == 0)
		return bad_value(
			cc, k, end, value, bytes ? "a number of bytes" : "a number of packets");
	if (n >= 1ull << 63)
		n = 0; /* as good as none */
	*(uint64_t *)field_of(cc, k) = n;
	/* The replacement is begun half way. */
	*(bytes ? &cc->c->limits.soft_bytes : &cc->c->limits.soft_packets) = n / 2;
	return true;
}

static bool set_reqid(
	struct compile *cc, const struct keyword *k, struct end_text *end, const char *value)
{
	unsigned long long n;

	if (!conf_count(value, &n) || n < 1 || n > REQID_GIVEN_MAX)
		return bad_value(cc, k, end, value, "a number from 1 to 65535");
	cc->c->reqid = (uint32_t)n;
	return true;
}

static bool set_type(
	struct compile *cc, const struct keyword *k, struct end_text *end, const char *value)
{
	if (strcasecmp(value, "tunnel") == 0)
		cc->c->mode = IPSEC_TUNNEL;
	else if (strcasecmp(value, "transport") == 0)
		cc->c->mode = IPSEC_TRANSPORT;
	else if (strcasecmp(value, "passthrough") == 0 || strcasecmp(value, "pass") == 0)
		cc->c->shunt = IPSEC_BYPASS;
	else if (strcasecmp(value, "drop") == 0 || strcasecmp(value, "reject") == 0)
		cc->c->shunt = IPSEC_DISCARD;
	else if (strcasecmp(value, "beet") == 0)
		return compile_fail(cc,
			"type=beet: IKEv2 has no way to negotiate BEET mode (tunnel or transport)");
	else
		return bad_value(cc, k, end, value, "tunnel, transport, passthrough or drop");
	return true;
}

/* "hold" and "reject" are older names of drop. */
static bool set_failure_shunt(
	struct compile *cc, const struct keyword *k, struct end_text *end, const char *value)
{
	if (strcasecmp(value, "none") == 0)
		cc->c->failure_shunt = IPSEC_PROTECT;
	else if (strcasecmp(value, "pass") == 0 || strcasecmp(value, "passthrough") == 0)
		cc->c->failure_shunt = IPSEC_BYPASS;
	else if (strcasecmp(value, "drop") == 0 || strcasecmp(value, "hold") == 0 ||
		 strcasecmp(value, "reject") == 0)
		cc->c->failure_shunt = IPSEC_DISCARD;
	else
		return bad_value(cc, k, end, value, "none, pass or drop");
	return true;
}

static bool set_negotiation_shunt(
	struct compile *cc, const struct keyword *k, struct end_text *end, const char *value)
{
	if (strcasecmp(value, "pass") == 0 || strcasecmp(value, "passthrough") == 0)
		cc->c->negotiation_pass = true;
	else if (strcasecmp(value, "drop") == 0 || strcasecmp(value, "hold") == 0)
		cc->c->negotiation_pass = false;
	else
		return bad_value(cc, k, end, value, "pass or drop");
	return true;
}

/* Once it is added, connection_commands.c has it routed. */
static bool set_on_traffic(
	struct compile *cc, const struct keyword *k, struct end_text *end, const char *value)
{
	return conf_bool(value, &cc->on_traffic) || bad_value(cc, k, end, value, "yes or no");
}

/* What addconn does at the start is its business, but "keep" lasts. */
static bool set_auto(
	struct compile *cc, const struct keyword *k, struct end_text *end, const char *value)
{
	(void)k, (void)end;
	cc->c->keep = strcasecmp(value, "keep") == 0;
	return true;
}

static bool set_phase2(
	struct compile *cc, const struct keyword *k, struct end_text *end, const char *value)
{
	if (strcasecmp(value, "esp") == 0)
		cc->phase2 = IPSEC_ESP;
	else if (strcasecmp(value, "ah") == 0)
		cc->phase2 = IPSEC_AH;
	else
		return bad_value(cc, k, end, value, "esp or ah");
	return true;
}

static bool set_tfc(
	struct compile *cc, const struct keyword *k, struct end_text *end, const char *value)
{
	unsigned long long n;

	if (!conf_count(value, &n) || n > UINT16_MAX)
		return bad_value(cc, k, end, value, "a number of bytes from 0 to 65535");
	cc->c->tfc_padding = (uint16_t)n;
	return true;
}

static bool set_key_exchange(
	struct compile *cc, const struct keyword *k, struct end_text *end, const char *value)
{
	if (strcasecmp(value, "ikev2") == 0 || strcasecmp(value, "ike") == 0)
		return true;
	if (strcasecmp(value, "ikev1") == 0)
		return not_built(cc, k, end, value);
	return bad_value(cc, k, end, value, "ikev2");
}

/* ikev2=, the old form. */
static bool set_ikev2(
	struct compile *cc, const struct keyword *k, struct end_text *end, const char *value)
{
	bool yes;

	if (strcasecmp(value, "insist") == 0 || strcasecmp(value, "propose") == 0 ||
		(conf_bool(value, &yes) && yes))
		return true;
	if (strcasecmp(value, "never") == 0 || strcasecmp(value, "permit") == 0 ||
		conf_bool(value, &yes))
		return compile_fail(cc, "ikev2=%s: IKEv1 is not implemented yet", value);
	return bad_value(cc, k, end, value, "yes or no");
}

static bool set_encapsulation(
	struct compile *cc, const struct keyword *k, struct end_text *end, const char *value)
{
	bool yes;

	if (strcasecmp(value, "auto") == 0)
		cc->c->encapsulation = CHOICE_AUTO;
	else if (conf_bool(value, &yes))
		cc->c->encapsulation = yes ? CHOICE_YES : CHOICE_NO;
	else
		return bad_value(cc, k, end, value, "yes, no or auto");
	return true;
}

static bool set_esn(
	struct compile *cc, const struct keyword *k, struct end_text *end, const char *value)
{
	bool yes;

	if (strcasecmp(value, "either") == 0 || strcasecmp(value, "auto") == 0)
		cc->esn = 2;
	else if (conf_bool(value, &yes))
		cc->esn = yes;
	else
		return bad_value(cc, k, end, value, "yes, no or either");
	return true;
}

static bool set_family(
	struct compile *cc, const struct keyword *k, struct end_text *end, const char *value)
{
	uint8_t family = strcasecmp(value, "ipv4") == 0   ? AF_INET
			 : strcasecmp(value, "ipv6") == 0 ? AF_INET6
							  : 0;

	if (!family)
		return bad_value(cc, k, end, value, "ipv4 or ipv6");
	*(k->name[0] == 'h' ? &cc->host_family : &cc->client_family) = family;
	return true;
}

static bool add_alias(struct compile *cc, const char *word, size_t *count)
{
	char **aliases;

	if (*count == CONNECTION_ALIASES_MAX)
		return compile_fail(
			cc, "connalias= has more than %d names", CONNECTION_ALIASES_MAX);
	aliases = realloc(cc->c->aliases, (*count + 2) * sizeof(*aliases));
	if (!aliases)
		return compile_fail(cc, "out of memory");
	cc->c->aliases = aliases;
	aliases[*count] = strdup(word);
	aliases[*count + 1] = NULL;
	return aliases[(*count)++] || compile_fail(cc, "out of memory");
}

static bool set_aliases(
	struct compile *cc, const struct keyword *k, struct end_text *end, const char *value)
{
	char *copy = strdup(value), *rest = copy, *word;
	size_t count = 0;
	bool ok = copy || compile_fail(cc, "out of memory");

	(void)k, (void)end;
	while (ok && (word = strsep(&rest, ", \t")))
		if (*word)
			ok = add_alias(cc, word, &count);
	free(copy);
	return ok;
}

static bool set_end_bool(
	struct compile *cc, const struct keyword *k, struct end_text *end, const char *value)
{
	return conf_bool(value, (bool *)((char *)end + k->field)) ||
	       bad_value(cc, k, end, value, "yes or no");
}

static bool set_narrowing(
	struct compile *cc, const struct keyword *k, struct end_text *end, const char *value)
{
	cc->narrowing_given = true;
	return set_bool(cc, k, end, value);
}

static bool set_share_lease(
	struct compile *cc, const struct keyword *k, struct end_text *end, const char *value)
{
	bool share;

	if (!conf_bool(value, &share))
		return bad_value(cc, k, end, value, "yes or no");
	cc->c->dont_share_lease = !share;
	return true;
}

/* Kept as text; put together when all is known. */
static bool set_text(
	struct compile *cc, const struct keyword *k, struct end_text *end, const char *value)
{
	const char **to;

	if (end)
		to = (const char **)((char *)end + k->field);
	else
		to = (const char **)((char *)cc + k->field);
	if (*to)
		return compile_fail(cc, "%s%s= is given twice", end ? end->side : "", k->name);
	*to = value;
	return true;
}

static bool set_nexthop(
	struct compile *cc, const struct keyword *k, struct end_text *end, const char *value)
{
	if (strcasecmp(value, "%direct") == 0 || strcasecmp(value, "%defaultroute") == 0)
		return true;
	return set_text(cc, k, end, value);
}

/* In IKEv2 "force" has nothing to add: what is too long is cut at once (RFC 7383). */
static bool set_fragmentation(
	struct compile *cc, const struct keyword *k, struct end_text *end, const char *value)
{
	if (strcasecmp(value, "force") == 0)
		cc->c->fragmentation = true;
	else if (!conf_bool(value, &cc->c->fragmentation))
		return bad_value(cc, k, end, value, "yes, no or force");
	return true;
}

static bool set_updown(
	struct compile *cc, const struct keyword *k, struct end_text *end, const char *value)
{
	if (strlen(value) > UPDOWN_COMMAND_MAX)
		return compile_fail(cc, "%supdown= is longer than %d characters", end->side,
			UPDOWN_COMMAND_MAX);
	for (const char *c = value; *c; c++)
		if ((unsigned char)*c < 0x20 || *c == 0x7f)
			return compile_fail(cc, "%supdown= has a control character (0x%02x)",
				end->side, (unsigned char)*c);
	return set_text(cc, k, end, value);
}

/* Of no use with IKEv2, where retransmission decides. */
static bool set_without_effect(
	struct compile *cc, const struct keyword *k, struct end_text *end, const char *value)
{
	(void)end;
	compile_warn(cc, "%s=%s has no effect with IKEv2", k->name, value);
	return true;
}

static bool set_obsolete(
	struct compile *cc, const struct keyword *k, struct end_text *end, const char *value)
{
	(void)end;
	compile_warn(cc, "%s=%s is obsolete and ignored", k->name, value);
	return true;
}

/* ---- the tables --------------------------------------------------------------- */

#define TEXT(f)     offsetof(struct compile, f)
#define END_TEXT(f) offsetof(struct end_text, f)

/* One keyword a line. */
/* clang-format off */
static const struct keyword end_keywords[] = {
	{"", set_text, NULL, END_TEXT(host)},
	{"id", set_text, NULL, END_TEXT(id)},
	{"subnet", set_text, NULL, END_TEXT(subnet)},
	{"protoport", set_text, NULL, END_TEXT(protoport)},
	{"auth", set_text, NULL, END_TEXT(auth)},
	{"ikeport", set_text, NULL, END_TEXT(ikeport)},
	{"nexthop", set_nexthop, NULL, END_TEXT(nexthop)},
	{"updown", set_updown, NULL, END_TEXT(updown)},
	{"updown-config", NULL, "none"},
	{"sourceip", set_text, NULL, END_TEXT(sourceip)},
	{"autheap", NULL, "none"},
	{"xauthserver", NULL, "no"}, {"xauthclient", NULL, "no"},
	{"modecfgserver", set_end_bool, NULL, END_TEXT(modecfg_server)},
	{"modecfgclient", set_end_bool, NULL, END_TEXT(modecfg_client)},
	{"addresspool", set_text, NULL, END_TEXT(addresspool)},
	{"cat", NULL, "no"}, {"groundhog", NULL, "no"},
	{"cert", set_text, NULL, END_TEXT(cert)},
	{"ckaid", set_text, NULL, END_TEXT(ckaid)},
	{"ca", set_text, NULL, END_TEXT(ca)},
	{"sendcert", set_text, NULL, END_TEXT(sendcert)},
	{"rsasigkey", NULL, "%none %cert"}, {"ecdsakey", NULL, "%none %cert"},
	{"subnets"}, {"eddsakey"}, {"pubkey"}, {"username"}, {"xauthusername"},
	{"interface-ip", set_text, NULL, END_TEXT(interface_ip)},
	{"vti", set_text, NULL, END_TEXT(vti)},
};

static const struct keyword keywords[] = {
	{"auto", set_auto},
	{"connalias", set_aliases},
	{"type", set_type},
	{"hostaddrfamily", set_family},
	{"clientaddrfamily", set_family},
	{"keyexchange", set_key_exchange},
	{"ikev2", set_ikev2},
	{"authby", set_text, NULL, TEXT(authby)},
	{"sendca", set_text, NULL, TEXT(sendca)},
	{"ike", set_text, NULL, TEXT(ike)},
	{"esp", set_text, NULL, TEXT(esp)},
	{"ah", set_text, NULL, TEXT(ah)},
	{"phase2alg", set_text, NULL, TEXT(phase2alg)},
	{"phase2", set_phase2},
	{"compress", set_bool, NULL, FIELD(compress)},
	{"tfc", set_tfc},
	{"send-esp-tfc-padding-not-supported", set_bool, NULL, FIELD(refuse_tfc)},
	{"send-no-esp-tfc", set_bool, NULL, FIELD(refuse_tfc)},
	{"pfs", set_bool, NULL, FIELD(pfs)},
	{"esn", set_esn},
	{"replay-window", set_replay_window, NULL, FIELD(replay_window)},
	{"narrowing", set_narrowing, NULL, FIELD(narrowing)},
	{"encapsulation", set_encapsulation},
	{"forceencaps", set_encapsulation},
	{"nat-keepalive", set_bool, NULL, FIELD(nat_keepalive)},
	{"ikelifetime", set_life, NULL, FIELD(ike_life_s)},
	{"ipsec-lifetime", set_life, NULL, FIELD(child_life_s)},
	{"salifetime", set_life, NULL, FIELD(child_life_s)},
	{"keylife", set_life, NULL, FIELD(child_life_s)},
	{"lifetime", set_life, NULL, FIELD(child_life_s)},
	{"ipsec-max-bytes", set_limits, NULL, FIELD(limits.hard_bytes)},
	{"ipsec-max-packets", set_limits, NULL, FIELD(limits.hard_packets)},
	{"rekey", set_bool, NULL, FIELD(rekey)},
	{"reauth", set_bool, NULL, FIELD(reauth)},
	{"rekeymargin", set_seconds, NULL, FIELD(rekey_margin_s)},
	{"rekeyfuzz", set_fuzz},
	{"keyingtries", set_keying_tries, NULL, FIELD(keying_tries)},
	{"retransmit-interval", set_milliseconds, NULL, FIELD(retransmit_interval_ms)},
	{"retransmit-timeout", set_life, NULL, FIELD(retransmit_timeout_s)},
	{"dpddelay", set_seconds, NULL, FIELD(dpd_delay_s)},
	{"initial-contact", set_bool, NULL, FIELD(initial_contact)},
	{"decap-dscp", set_bool, NULL, FIELD(decap_dscp)},
	{"nopmtudisc", set_bool, NULL, FIELD(no_pmtu_discovery)},
	{"priority", set_count32, NULL, FIELD(priority)},
	{"failureshunt", set_failure_shunt},
	{"negotiationshunt", set_negotiation_shunt},
	{"initiateontraffic", set_on_traffic},
	{"metric", set_count32, NULL, FIELD(metric)},
	{"nm-configured", set_bool, NULL, FIELD(nm_configured)},
	{"reqid", set_reqid},
	{"fragmentation", set_fragmentation},
	{"mark", set_text, NULL, TEXT(binding.mark)},
	{"mark-in", set_text, NULL, TEXT(binding.mark_in)},
	{"mark-out", set_text, NULL, TEXT(binding.mark_out)},
	{"ipsec-interface", set_text, NULL, TEXT(binding.ipsec_interface)},
	{"vti-interface", set_text, NULL, TEXT(binding.vti_interface)},
	{"vti-routing", set_text, NULL, TEXT(binding.vti_routing)},
	{"vti-shared", set_text, NULL, TEXT(binding.vti_shared)},
	{"mtu", set_text, NULL, TEXT(binding.mtu)},
	{"nic-offload", set_text, NULL, TEXT(binding.nic_offload)},
	{"modecfgpull", set_bool, NULL, FIELD(modecfg_pull)},
	{"modecfgdns", set_text, NULL, TEXT(modecfgdns)},
	{"modecfgdomains", set_text, NULL, TEXT(modecfgdomains)},
	{"modecfgbanner", set_text, NULL, TEXT(modecfgbanner)},
	{"ignore-peer-dns", set_bool, NULL, FIELD(ignore_peer_dns)},
	{"share-lease", set_share_lease, NULL, FIELD(dont_share_lease)},

	{"dpdtimeout", set_without_effect}, {"ikev1-dpdtimeout", set_without_effect},
	{"dpdaction", set_obsolete},

	/* The values that are what is done anyway. */
	{"mobike", NULL, "no"},
	{"enable-tcp", NULL, "no"},
	{"aggressive", NULL, "no"}, {"aggrmode", NULL, "no"}, {"ikepad", NULL, "auto"},
	{"nat-ikev1-method", NULL, "both"},
	{"remote-peer-type", NULL, "ietf"}, {"remote_peer_type", NULL, "ietf"},
	{"cisco-unity", NULL, "no"},
	{"cisco-split", NULL, "no"}, {"fake-strongswan", NULL, "no"},
	{"send-vendorid", NULL, "no"}, {"sha2-truncbug", NULL, "no"},
	{"ms-dh-downgrade", NULL, "no"},
	{"pfs-rekey-workaround", NULL, "no"}, {"dns-match-id", NULL, "no"},
	{"pam-authorize", NULL, "no"},
	{"ppk", NULL, "no never"}, {"intermediate", NULL, "no"}, {"session-resumption", NULL, "no"},
	{"send-supported-auth-methods", NULL, "no"},
	{"reject-simultaneous-ike-auth", NULL, "no"},
	{"accept-redirect", NULL, "no"}, {"overlapip", NULL, "no"},
	{"encap-dscp", NULL, "yes"},
	{"clones", NULL, "no"}, {"iptfs", NULL, "no"}, {"iptfs-fragmentation", NULL, "yes"},
	{"nflog-group", NULL, "0"}, {"nflog", NULL, "0"},
	{"require-id-on-certificate", NULL, "yes"},
	{"send-redirect", NULL, "auto no"},

	{"tcp-remoteport"}, {"xauthby"}, {"xauthfail"},
	{"ppk-ids"}, {"redirect-to"}, {"accept-redirect-to"},
	{"iptfs-packet-size"}, {"iptfs-max-queue-size"},
	{"iptfs-reorder-window"}, {"iptfs-init-delay"}, {"iptfs-drop-time"},
	{"sec-label"},
	{"policy-label"}, {"debug"},
};
/* clang-format on */

static const struct keyword *find(const struct keyword *table, size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++)
		if (strcasecmp(table[i].name, name) == 0)
			return &table[i];
	return NULL;
}

/* yes is on is true. */
static bool same_value(const char *a, size_t len, const char *b)
{
	char word[32];
	bool x, y;

	if (strlen(b) == len && strncasecmp(a, b, len) == 0)
		return true;
	snprintf(word, sizeof(word), "%.*s", (int)len, a);
	return conf_bool(word, &x) && conf_bool(b, &y) && x == y;
}

static bool is_built(const char *built, const char *value)
{
	for (const char *at = built ? built : ""; *at;) {
		size_t len = strcspn(at, " ");

		if (same_value(at, len, value))
			return true;
		at += len;
		at += strspn(at, " ");
	}
	return false;
}

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

bool compile_parameter(struct compile *cc, const char *key, const char *value)
{
	const struct keyword *k = NULL;
	struct end_text *end = NULL;

	if (strncasecmp(key, "left", 4) == 0) {
		end = &cc->ends[0];
		k = find(end_keywords, COUNT(end_keywords), key + 4);
	} else if (strncasecmp(key, "right", 5) == 0) {
		end = &cc->ends[1];
		k = find(end_keywords, COUNT(end_keywords), key + 5);
	} else {
		k = find(keywords, COUNT(keywords), key);
	}
	if (!k)
		return compile_fail(cc, "unknown keyword '%.64s'", key);
	if (k->set)
		return k->set(cc, k, end, value);
	return is_built(k->built, value) || not_built(cc, k, end, value);
}
