#include "connection_text.h"

#include "binding_text.h"
#include "orientation.h"
#include "sa_index.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* ---- topology ----------------------------------------------------------------- */

static bool is_host_itself(const struct connection_end *e)
{
	return e->selector_count == 0 || (e->selector_count == 1 && e->selectors[0].protocol == 0 &&
						 ip_equal(&e->selectors[0].range.first, &e->host) &&
						 ip_equal(&e->selectors[0].range.last, &e->host));
}

static void add_client(struct line *line, const struct connection_end *e)
{
	char text[TRAFFIC_SELECTOR_TEXT_MAX];

	for (unsigned i = 0; i < e->selector_count; i++)
		line_add(line, "%s%s", i ? "," : "", traffic_selector_text(&e->selectors[i], text));
}

/* An identity that is the host's address says nothing. */
static bool id_is_host(const struct connection_end *e)
{
	char id[IDENTITY_TEXT_MAX], host[IP_TEXT_MAX];

	if (e->id->kind == ID_ANY)
		return true;
	return !ip_is_unset(&e->host) &&
	       strcmp(identity_text(e->id, id), ip_text(&e->host, host)) == 0;
}

static void add_host(struct line *line, const struct connection_end *e)
{
	char id[IDENTITY_TEXT_MAX], host[IP_TEXT_MAX];

	line_add(line, "%s", ip_is_unset(&e->host) ? "%any" : ip_text(&e->host, host));
	if (e->ike_port)
		line_add(line, ":%u", e->ike_port);
	if (!id_is_host(e))
		line_add(line, "[%s]", identity_text(e->id, id));
}

void connection_topology(struct line *line, const struct connection *c)
{
	if (!is_host_itself(&c->local)) {
		add_client(line, &c->local);
		line_add(line, "===");
	}
	add_host(line, &c->local);
	line_add(line, "...");
	add_host(line, &c->remote);
	if (!is_host_itself(&c->remote)) {
		line_add(line, "===");
		add_client(line, &c->remote);
	}
}

/* ---- the block ---------------------------------------------------------------- */

static void begin(struct line *line, const struct connection *c)
{
	line_add(line, "\"%s\":   ", c->name);
}

static const char *routing(const struct connection *c, const struct connection_facts *f)
{
	static const char *const words[] = {[ROUTING_NONE] = "unrouted",
		[ROUTING_NEVER_NEGOTIATE] = "routed-never-negotiate",
		[ROUTING_ONDEMAND] = "routed-ondemand",
		[ROUTING_NEGOTIATION] = "routed-negotiation",
		[ROUTING_FAILURE] = "routed-failure",
		[ROUTING_TUNNEL] = "routed-tunnel"};

	return f->sas && f->sas->child ? "routed-tunnel" : words[routing_state(c->routing)];
}

static const char *source_text(const struct connection_end *e, char out[IP_TEXT_MAX])
{
	return ip_is_unset(&e->source_ip) ? "unset" : ip_text(&e->source_ip, out);
}

static void add_head(
	struct line *line, const struct connection *c, const struct connection_facts *f)
{
	char host[IP_TEXT_MAX], mine[IP_TEXT_MAX], theirs[IP_TEXT_MAX];

	line_add(line, "\"%s\": ", c->name);
	connection_topology(line, c);
	line_add(line, "; %s; my_ip=%s; their_ip=%s;\n", c->oriented ? routing(c, f) : "unoriented",
		source_text(&c->local, mine), source_text(&c->remote, theirs));
	begin(line, c);
	if (!c->oriented) {
		line_add(line, "host: unoriented;\n");
		return;
	}
	line_add(line, "host: oriented; local: %s; ", ip_text(&c->local.host, host));
	line_add(line, "remote: %s;",
		ip_is_unset(&c->remote.host) ? "%any" : ip_text(&c->remote.host, host));
	if (f->sas && f->sas->ike)
		line_add(line, " established IKE SA: #%" PRIu64 ";", f->sas->ike);
	line_add(line, "\n");
}

static const char *auth_name(const struct connection_end *e)
{
	switch (e->auth) {
	case AUTH_METHOD_SECRET:
		return "secret";
	case AUTH_METHOD_NULL:
		return "null";
	case AUTH_METHOD_SIGNATURE:
		return e->schemes & SCHEMES_ECDSA
			       ? e->schemes & ~SCHEMES_ECDSA ? "rsasig,ecdsa" : "ecdsa"
			       : "rsasig";
	default:
		return "never";
	}
}

static void add_certificates(struct line *line, const struct connection *c)
{
	if (!c->local.certificate && !c->remote.certificate)
		return;
	begin(line, c);
	if (c->local.certificate)
		line_add(line, "mycert=%s;%s", c->local.certificate->nickname,
			c->remote.certificate ? " " : "");
	if (c->remote.certificate)
		line_add(line, "peercert=%s;", c->remote.certificate->nickname);
	line_add(line, "\n");
}

static const char *modecfg_role(const struct connection_end *e, const struct connection_end *other)
{
	if (e->modecfg_server || other->pools[0] || other->pools[1])
		return "server";
	return e->modecfg_client || e->pools[0] || e->pools[1] ? "client" : "none";
}

static void add_modecfg(struct line *line, const struct connection *c)
{
	const struct modecfg_offer *offer = c->modecfg;
	char ip[IP_TEXT_MAX];

	line_add(line, "modecfg info: us:%s, them:%s, modecfg policy:%s, dns:",
		modecfg_role(&c->local, &c->remote), modecfg_role(&c->remote, &c->local),
		c->modecfg_pull ? "pull" : "push");
	for (unsigned i = 0; offer && i < offer->dns_count; i++)
		line_add(line, "%s%s", i ? ", " : "", ip_text(&offer->dns[i], ip));
	line_add(line, "%s, domains:%s, cat:unset;\n", offer && offer->dns_count ? "" : "unset",
		offer && offer->domains ? offer->domains : "unset");
	if (offer && offer->banner) {
		begin(line, c);
		line_add(line, "banner:%s;\n", offer->banner);
	}
	for (unsigned i = 0; i < 4; i++) {
		const struct connection_end *e = i & 1 ? &c->remote : &c->local;
		char pool[POOL_TEXT_MAX];

		if (!e->pools[i / 2])
			continue;
		begin(line, c);
		line_add(line, "%s addresspool: %s;\n", i & 1 ? "their" : "our",
			address_pool_text(e->pools[i / 2], pool));
	}
}

/* The command, or that routes are made without one, or nothing. */
static const char *updown_text(const struct connection_end *e)
{
	return e->updown_none ? "<disabled>" : e->updown ? e->updown : "<routes>";
}

/* Functions that do not exist yet stand with the value that is true: off. */
static void add_peers(struct line *line, const struct connection *c)
{
	begin(line, c);
	if (c->oriented)
		line_add(line, "my_updown=%s;\n", updown_text(&c->local));
	else
		line_add(line, "left_updown=%s; right_updown=%s;\n",
			updown_text(connection_left(c)), updown_text(connection_right(c)));
	begin(line, c);
	line_add(line, "xauth us:none, xauth them:none, my_username=[any]; their_username=[any]\n");
	begin(line, c);
	line_add(line,
		"our auth:%s, their auth:%s, our autheap:none, their autheap:none, "
		"send-supported-auth-methods:no;\n",
		auth_name(&c->local), auth_name(&c->remote));
	begin(line, c);
	add_modecfg(line, c);
	begin(line, c);
	line_add(line, "cisco-split: no; cisco-unity: no; cisco-peer: no; nm-configured: %s;\n",
		c->nm_configured ? "yes" : "no");
	begin(line, c);
	line_add(line, "sec_label:unset;\n");
}

static const char *limit_text(uint64_t limit, char out[32])
{
	if (limit)
		snprintf(out, 32, "%" PRIu64, limit);
	else
		snprintf(out, 32, "2^63");
	return out;
}

static void add_lives(struct line *line, const struct connection *c)
{
	char bytes[32], packets[32];

	begin(line, c);
	line_add(line,
		"ike_life: %" PRIu32 "s; ipsec_life: %" PRIu32
		"s; ipsec_max_bytes: %sB; ipsec_max_packets: %s; replay_window: %" PRIu32
		"; rekey_margin: %" PRIu32 "s; rekey_fuzz: %u%%; clones: no (unset);\n",
		c->ike_life_s, c->child_life_s, limit_text(c->limits.hard_bytes, bytes),
		limit_text(c->limits.hard_packets, packets), c->replay_window, c->rekey_margin_s,
		c->rekey_fuzz_percent);
	begin(line, c);
	line_add(line,
		"iptfs: no; fragmentation: %s; packet-size: 0; max-queue-size: 0; "
		"drop-time: 0; init-delay: 0; reorder-window: 0;\n",
		c->fragmentation ? "yes" : "no");
	begin(line, c);
	line_add(line,
		"retransmit-interval: %" PRIu32 "ms; retransmit-timeout: %" PRIu32
		"s; iketcp:no; iketcp-port:4500;\n",
		c->retransmit_interval_ms, c->retransmit_timeout_s);
	begin(line, c);
	line_add(line,
		"initial-contact:%s; fake-strongswan:no; send-vendorid:no; send-no-esp-tfc:%s;\n",
		c->initial_contact ? "yes" : "no", c->refuse_tfc ? "yes" : "no");
}

static bool offers_esn(const struct connection *c, uint16_t sn)
{
	for (unsigned i = 0; i < c->child_proposals->count; i++) {
		const struct proposal *p = &c->child_proposals->proposals[i];

		for (unsigned k = 0; k < p->transform_count; k++)
			if (p->transforms[k].type == TRANSFORM_SN && p->transforms[k].id == sn)
				return true;
	}
	return false;
}

static const char *policy_name(const struct connection_end *e)
{
	switch (e->auth) {
	case AUTH_METHOD_SECRET:
		return "PSK";
	case AUTH_METHOD_NULL:
		return "AUTH_NULL";
	case AUTH_METHOD_SIGNATURE:
		return e->schemes & SCHEMES_ECDSA
			       ? e->schemes & ~SCHEMES_ECDSA ? "RSASIG+ECDSA" : "ECDSA"
			       : "RSASIG";
	default:
		return "AUTH_NEVER";
	}
}

/* The hashes that signatures may be made with. */
static void add_hash_policy(struct line *line, const struct connection *c)
{
	static const char *const names[] = {[SIGHASH_SHA1] = "SHA1",
		[SIGHASH_SHA2_256] = "SHA2_256",
		[SIGHASH_SHA2_384] = "SHA2_384",
		[SIGHASH_SHA2_512] = "SHA2_512"};
	uint32_t schemes = c->local.schemes | c->remote.schemes, hashes = 0;
	const char *between = "";

	for (unsigned i = 0; i < SIGNATURE_SCHEMES; i++)
		if (schemes & SCHEME_BIT(i))
			hashes |=
				SIGHASH_BIT(signature_scheme_info((enum signature_scheme)i)->hash);
	line_add(line, "v2-auth-hash-policy: ");
	for (unsigned i = SIGHASH_SHA1; i <= SIGHASH_SHA2_512; i++)
		if (hashes & SIGHASH_BIT(i)) {
			line_add(line, "%s%s", between, names[i]);
			between = "+";
		}
	line_add(line, "%s;\n", hashes ? "" : "none");
}

static void add_policy(struct line *line, const struct connection *c)
{
	begin(line, c);
	if (c->shunt != IPSEC_PROTECT) {
		line_add(line, "policy: %s+%s+%s%s;\n", c->ikev1 ? "IKEv1" : "IKEv2",
			policy_name(&c->local), c->shunt == IPSEC_BYPASS ? "PASS" : "DROP",
			routing_is_wanted(c->routing) ? "+ROUTE" : "");
		return;
	}
	line_add(line, "policy: %s+%s+%s%s+%s%s%s%s%s%s%s%s%s%s%s;\n", c->ikev1 ? "IKEv1" : "IKEv2",
		policy_name(&c->local), c->protocol == IPSEC_AH ? "AUTHENTICATE" : "ENCRYPT",
		c->compress ? "+COMPRESS" : "", c->mode == IPSEC_TUNNEL ? "TUNNEL" : "TRANSPORT",
		c->pfs ? "+PFS" : "", c->rekey ? "" : "+DONT_REKEY", c->reauth ? "+REAUTH" : "",
		c->narrowing ? "+IKEV2_ALLOW_NARROWING" : "",
		offers_esn(c, SN_32BIT) ? "+ESN_NO" : "",
		offers_esn(c, SN_EXTENDED) ? "+ESN_YES" : "",
		c->failure_shunt == IPSEC_BYPASS    ? "+failurePASS"
		: c->failure_shunt == IPSEC_DISCARD ? "+failureDROP"
						    : "",
		c->negotiation_pass ? "+NEGO_PASS" : "", c->keep ? "+KEEP" : "",
		routing_is_wanted(c->routing) ? "+ROUTE" : "");
	begin(line, c);
	add_hash_policy(line, c);
}

static unsigned prefix_of(const struct connection_end *e)
{
	struct ip_subnet subnet;

	if (e->selector_count == 0)
		return ip_is_unset(&e->host) ? 0 : ip_bits(e->host.family);
	return ip_subnet_of_range(&e->selectors[0].range, &subnet) ? subnet.prefix_len : 0;
}

static void add_kernel(
	struct line *line, const struct connection *c, const struct connection_facts *f)
{
	char priority[16] = "auto", mtu[16] = "unset", tfc[16] = "none";

	if (c->mtu)
		snprintf(mtu, sizeof(mtu), "%" PRIu32, c->mtu);
	if (c->priority)
		snprintf(priority, sizeof(priority), "%" PRIu32, c->priority);
	if (c->tfc_padding)
		snprintf(tfc, sizeof(tfc), "%u", c->tfc_padding);
	begin(line, c);
	line_add(line,
		"conn_prio: %u,%u,0; interface: %s; metric: %" PRIu32 "; mtu: %s; sa_prio:%s; "
		"sa_tfc:%s;\n",
		prefix_of(&c->local), prefix_of(&c->remote), f->interface, c->metric, mtu, priority,
		tfc);
	begin(line, c);
	line_add(line, "nflog-group: unset; ");
	binding_text(line, c);
	if (c->binding && c->binding->device != BINDING_NO_DEVICE) {
		begin(line, c);
		binding_device_text(line, c);
	}
}

static void add_identities(struct line *line, const struct connection *c)
{
	static const char *const authorities[] = {[SEND_AUTHORITIES_ALL] = "all",
		[SEND_AUTHORITIES_ISSUER] = "issuer",
		[SEND_AUTHORITIES_NONE] = "none"};
	static const char *const choice[] = {[SEND_CERTIFICATE_ALWAYS] = "always",
		[SEND_CERTIFICATE_IF_ASKED] = "ifasked",
		[SEND_CERTIFICATE_NEVER] = "never"};
	char id[IDENTITY_TEXT_MAX];

	begin(line, c);
	line_add(line, "our idtype: %s; our id=%s; ", identity_kind_name(c->local.id->kind),
		identity_text(c->local.id, id));
	line_add(line, "their idtype: %s; their id=%s\n", identity_kind_name(c->remote.id->kind),
		identity_text(c->remote.id, id));
	begin(line, c);
	if (c->local.auth != AUTH_METHOD_SIGNATURE && c->remote.auth != AUTH_METHOD_SIGNATURE)
		line_add(line, "sendca: none; our sendcert: never; their sendcert: never;\n");
	else
		line_add(line, "sendca: %s; our sendcert: %s; their sendcert: %s;\n",
			authorities[c->send_authorities], choice[c->local.send_certificate],
			choice[c->remote.send_certificate]);
}

static void add_liveness(
	struct line *line, const struct connection *c, const struct connection_facts *f)
{
	static const char *const choice[] = {
		[CHOICE_NO] = "no", [CHOICE_YES] = "yes", [CHOICE_AUTO] = "auto"};

	begin(line, c);
	line_add(line, "liveness: %s; dpddelay:%" PRIu32 "s; retransmit-timeout:%" PRIu32 "s\n",
		c->dpd_delay_s ? "active" : "passive", c->dpd_delay_s, c->retransmit_timeout_s);
	begin(line, c);
	line_add(line, "nat-traversal: encapsulation:%s; keepalive:", choice[c->encapsulation]);
	if (c->nat_keepalive)
		line_add(line, "%" PRIu32 "s\n", f->keep_alive_s);
	else
		line_add(line, "no\n");
}

static void add_routing(
	struct line *line, const struct connection *c, const struct connection_facts *f)
{
	const struct sa_entry *sas = f->sas;

	begin(line, c);
	line_add(line, "routing: %s;", routing(c, f));
	if (sas && sas->child)
		line_add(line, " owner: Child SA #%" PRIu64 ";", sas->child);
	if (sas && sas->ike)
		line_add(line, " established IKE SA: #%" PRIu64 ";", sas->ike);
	if (sas && sas->child)
		line_add(line, " established Child SA: #%" PRIu64 ";", sas->child);
	if (connection_is_template(c) && c->oriented)
		line_add(line, " established instances: %" PRIu64 ";", sas ? sas->instances : 0);
	line_add(line, "\n");
	begin(line, c);
	line_add(line, "reqid: %" PRIu32 ";\n", c->reqid);
	begin(line, c);
	line_add(line, "conn serial: $%" PRIu64 ";\n", c->serial);
	for (char **alias = c->aliases; alias && *alias; alias++) {
		if (alias == c->aliases) {
			begin(line, c);
			line_add(line, "aliases:");
		}
		line_add(line, " %s%s", *alias, alias[1] ? "" : "\n");
	}
}

static void add_algorithms(
	struct line *line, const struct connection *c, const struct connection_facts *f)
{
	const char *protocol = c->protocol == IPSEC_AH ? "AH" : "ESP";
	char text[1024];

	if (c->ike_text) {
		begin(line, c);
		line_add(line, "IKE algorithms: %s\n",
			proposal_list_text(c->ike_proposals, text, sizeof(text)));
	}
	if (f->sas && f->sas->ike_algorithms) {
		begin(line, c);
		line_add(line, "IKEv2 algorithm newest: %s\n", f->sas->ike_algorithms);
	}
	if (c->esp_text) {
		begin(line, c);
		line_add(line, "%s algorithms: %s\n", protocol,
			proposal_list_text(c->child_proposals, text, sizeof(text)));
	}
	if (f->sas && f->sas->child_algorithms) {
		begin(line, c);
		line_add(line, "%s algorithm newest: %s; pfsgroup=%s\n", protocol,
			f->sas->child_algorithms, c->pfs ? "<Phase1>" : "<N/A>");
	}
}

void connection_block(
	struct line *line, const struct connection *c, const struct connection_facts *facts)
{
	add_head(line, c, facts);
	add_certificates(line, c);
	add_peers(line, c);
	add_lives(line, c);
	add_policy(line, c);
	add_kernel(line, c, facts);
	add_identities(line, c);
	add_liveness(line, c, facts);
	add_routing(line, c, facts);
	add_algorithms(line, c, facts);
}
