#include "updown_variables.h"

#include "updown.h"

#include "ike/binding.h"

#include <stdio.h>
#include <string.h>

static void add_address(struct environment *e, const char *key, const struct ip_address *a)
{
	char text[IP_TEXT_MAX];

	environment_add(e, key, ip_is_unset(a) ? "" : ip_text(a, text));
}

static void add_identity(struct environment *e, const char *key, const struct identity *id)
{
	char text[IDENTITY_TEXT_MAX];

	environment_add(e, key, id ? identity_text(id, text) : "");
}

static void add_policy(struct environment *e, const struct connection *c)
{
	static const char *const auth[] = {[AUTH_METHOD_SECRET] = "PSK",
		[AUTH_METHOD_NULL] = "AUTH_NULL",
		[AUTH_METHOD_NEVER] = "AUTH_NEVER",
		[AUTH_METHOD_SIGNATURE] = "SIGNATURE"};

	environment_addf(e, "PLUTO_CONN_POLICY", "%s+%s+%s+%s%s%s%s", c->ikev1 ? "IKEv1" : "IKEv2",
		auth[c->local.auth], c->protocol == IPSEC_AH ? "AUTHENTICATE" : "ENCRYPT",
		c->mode == IPSEC_TUNNEL ? "TUNNEL" : "TRANSPORT", c->pfs ? "+PFS" : "",
		c->rekey ? "" : "+DONT_REKEY", c->narrowing ? "+IKEV2_ALLOW_NARROWING" : "");
}

static void add_connection(struct environment *e, const struct ike_updown *w, const char *backend)
{
	const struct connection *c = w->connection;

	environment_add(e, "PLUTO_VERSION", "2.0");
	environment_add(e, "PLUTO_CONNECTION", c->name);
	environment_add(e, "PLUTO_CONNECTION_TYPE",
		w->mode == IPSEC_TUNNEL ? "tunnel" : "transport");
	environment_add(e, "PLUTO_CONN_KIND",
		connection_is_template(c) ? "CK_INSTANCE" : "CK_PERMANENT");
	environment_add(e, "PLUTO_CONN_ADDRFAMILY", w->local.family == AF_INET6 ? "ipv6" : "ipv4");
	add_policy(e, c);
	environment_add(e, "PLUTO_STACK", backend);
	if (w->instance)
		environment_addf(e, "PLUTO_INSTANCE", "%u", w->instance);
	if (c->metric)
		environment_addf(e, "PLUTO_METRIC", "%u", c->metric);
	if (c->mtu)
		environment_addf(e, "PLUTO_MTU", "%u", c->mtu);
	environment_add(e, "PLUTO_NM_CONFIGURED", c->nm_configured ? "1" : "0");
	environment_add(e, "PLUTO_UPDOWN_CONFIG", "");
}

static void add_ends(struct environment *e, const struct ike_updown *w)
{
	const struct connection *c = w->connection;
	struct ip_address source = updown_source(w);

	add_address(e, "PLUTO_ME", &w->local);
	add_identity(e, "PLUTO_MY_ID", w->local_id);
	add_address(e, "PLUTO_PEER", &w->remote);
	add_identity(e, "PLUTO_PEER_ID", w->remote_id);
	add_identity(e, "PLUTO_PEER_CA", c->remote.authority);
	if (!ip_is_unset(&source)) {
		add_address(e, "PLUTO_MY_SOURCEIP", &source);
		environment_add(e, "PLUTO_MOBIKE_EVENT", "");
	}
}

static void add_sa(struct environment *e, const struct ike_updown *w, uint64_t wall_s)
{
	environment_addf(e, "PLUTO_ADDTIME", "%llu", w->serial ? (unsigned long long)wall_s : 0ull);
	environment_addf(e, "PLUTO_SA_REQID", "%u", w->reqid);
	environment_add(e, "PLUTO_SA_TYPE",
		!w->serial                ? "none"
		: w->protocol == IPSEC_AH ? "AH"
					  : "ESP");
	environment_addf(e, "SPI_IN", "0x%x", w->in_spi);
	environment_addf(e, "SPI_OUT", "0x%x", w->out_spi);
}

static bool is_client(const struct ike_updown *w)
{
	return !ip_is_unset(&w->given[0]) || !ip_is_unset(&w->given[1]);
}

static void add_configuration(struct environment *e, const struct ike_updown *w)
{
	environment_add(e, "PLUTO_PEER_DNS_INFO", w->dns ? w->dns : "");
	environment_add(e, "PLUTO_PEER_DOMAIN_INFO", w->domains ? w->domains : "");
	environment_add(e, "PLUTO_PEER_BANNER", w->banner ? w->banner : "");
	environment_add(e, "PLUTO_CFG_SERVER", w->gives_address ? "1" : "0");
	environment_add(e, "PLUTO_CFG_CLIENT", is_client(w) ? "1" : "0");
}

/* Functions that are not there have the values that say so. */
static void add_what_is_off(struct environment *e)
{
	environment_add(e, "XAUTH_FAILED", "0");
	environment_add(e, "PLUTO_IS_PEER_CISCO", "0");
}

static void add_device(struct environment *e, const struct connection_binding *b)
{
	bool xfrm = b && b->device == BINDING_XFRM, vti = b && b->device == BINDING_VTI;

	environment_add(e, "PLUTO_VIRT_INTERFACE", xfrm || vti ? b->name : "NULL");
	environment_add(e, "PLUTO_XFRMI_ROUTE", xfrm ? "yes" : "");
	environment_add(e, "VTI_IFACE", vti ? b->name : "");
	environment_add(e, "VTI_ROUTING", vti && b->vti_routing ? "yes" : "no");
	environment_add(e, "VTI_SHARED", vti && b->vti_shared ? "yes" : "no");
}

void variables_common(struct environment *e, const struct ike_updown *wish, const char *backend,
	uint64_t wall_s)
{
	add_connection(e, wish, backend);
	add_ends(e, wish);
	add_sa(e, wish, wall_s);
	add_device(e, wish->connection->binding);
	add_configuration(e, wish);
	add_what_is_off(e);
}

static struct ip_address mask_of(uint8_t family, unsigned prefix_len)
{
	struct ip_address mask = {.family = family};

	for (unsigned i = 0; i < prefix_len; i++)
		mask.bytes[i / 8] |= (uint8_t)(0x80 >> i % 8);
	return mask;
}

static void add_client(
	struct environment *e, const char *side, const struct traffic_selector *ts)
{
	char key[48], text[IP_RANGE_TEXT_MAX];
	struct ip_subnet subnet = {
		.address = ts->range.first, .prefix_len = (uint8_t)ip_bits(ts->range.first.family)};
	struct ip_address mask;
	unsigned port = ts->port_first == ts->port_last ? ts->port_first : 0;

	snprintf(key, sizeof(key), "PLUTO_%s_CLIENT", side);
	environment_add(e, key, ip_range_text(&ts->range, text));
	/* A range that is no subnet is told by PLUTO_x_CLIENT only; these name its first address. */
	ip_subnet_of_range(&ts->range, &subnet);
	snprintf(key, sizeof(key), "PLUTO_%s_CLIENT_NET", side);
	add_address(e, key, &subnet.address);
	mask = mask_of(subnet.address.family, subnet.prefix_len);
	snprintf(key, sizeof(key), "PLUTO_%s_CLIENT_MASK", side);
	add_address(e, key, &mask);
	snprintf(key, sizeof(key), "PLUTO_%s_PROTOCOL", side);
	environment_addf(e, key, "%u", ts->protocol);
	snprintf(key, sizeof(key), "PLUTO_%s_PORT", side);
	environment_addf(e, key, "%u", port);
}

void variables_of_pair(struct environment *e, const struct traffic_selector *local,
	const struct traffic_selector *remote)
{
	environment_add(e, "PLUTO_CLIENT_FAMILY",
		local->range.first.family == AF_INET6 ? "ipv6" : "ipv4");
	add_client(e, "MY", local);
	add_client(e, "PEER", remote);
}
