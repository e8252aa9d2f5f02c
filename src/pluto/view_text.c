#include "view_text.h"

#include "line.h"
#include "report.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const char *name_of(
	const struct ike_sa_view *view, const struct connection *c, char out[VIEW_NAME_MAX])
{
	char ip[IP_TEXT_MAX];

	if (!c)
		snprintf(out, VIEW_NAME_MAX, "(no connection yet) %s",
			ip_text(&view->path.remote.address, ip));
	else if (view->instance)
		snprintf(out, VIEW_NAME_MAX, "\"%.255s\"[%" PRIu32 "] %s", c->name, view->instance,
			ip_text(&view->path.remote.address, ip));
	else
		snprintf(out, VIEW_NAME_MAX, "\"%.255s\"", c->name);
	return out;
}

const char *view_name(const struct ike_sa_view *view, char out[VIEW_NAME_MAX])
{
	return name_of(view, view->connection, out);
}

/* A Child SA's connection may be another one than its IKE SA's. */
static const char *child_name(const struct ike_sa_view *view, const struct child_view *child,
	char out[VIEW_NAME_MAX])
{
	return name_of(view, child->connection, out);
}

static bool is_meant(const struct connection *c, const struct report_filter *filter)
{
	char **alias;

	if (!filter->name)
		return true;
	if (!c)
		return false;
	if (strcmp(c->name, filter->name) == 0)
		return true;
	for (alias = c->aliases; alias && *alias; alias++)
		if (strcmp(*alias, filter->name) == 0)
			return true;
	return false;
}

bool view_passes(const struct ike_sa_view *view, const struct report_filter *filter)
{
	return is_meant(view->connection, filter);
}

bool view_child_passes(const struct child_view *child, const struct report_filter *filter)
{
	return is_meant(child->connection, filter);
}

void view_ike_suite(const struct chosen_proposal *chosen, char *out, size_t size)
{
	char encr[ALGORITHM_TEXT_MAX];

	snprintf(out, size, "%s-%s-%s",
		chosen->encr ? algorithm_encr_text(chosen->encr, chosen->encr_key_bits, encr)
			     : "NONE",
		chosen->prf ? chosen->prf->name : "NONE", chosen->ke ? chosen->ke->name : "NONE");
}

static const char *protocol_name(enum ipsec_protocol protocol)
{
	return protocol == IPSEC_AH ? "AH" : "ESP";
}

/* "-" 2^63 is what the reports have always said for no limit. */
static const char *limit_text(uint64_t bytes, char out[32])
{
	if (bytes == 0 || bytes >= UINT64_C(1) << 63)
		snprintf(out, 32, "2^63");
	else
		snprintf(out, 32, "%" PRIu64, bytes);
	return out;
}

static const char *scaled(uint64_t bytes, char out[32])
{
	static const char *const units[] = {"B", "KB", "MB"};
	unsigned unit = 0;

	while (bytes >= 1024 && unit < 2) {
		bytes /= 1024;
		unit++;
	}
	snprintf(out, 32, "%" PRIu64 "%s", bytes, units[unit]);
	return out;
}

static uint64_t byte_limit(const struct child_view *child)
{
	return child->connection ? child->connection->limits.hard_bytes : 0;
}

/* ---- trafficstatus ------------------------------------------------------------ */

static void add_leases(struct line *line, const struct ike_sa_view *view)
{
	const char *before = ", lease=";
	char ip[IP_TEXT_MAX];

	for (unsigned i = 0; i < 2; i++) {
		if (ip_is_unset(&view->lent[i]))
			continue;
		line_add(line, "%s%s/%u", before, ip_text(&view->lent[i], ip),
			ip_bits(view->lent[i].family));
		before = ",";
	}
}

void traffic_status_line(char *out, size_t size, const struct ike_sa_view *view,
	const struct child_view *child, const struct ipsec_counters *counters)
{
	static const struct ipsec_counters none;
	const struct ipsec_counters *in = counters ? &counters[0] : &none;
	const struct ipsec_counters *outward = counters ? &counters[1] : &none;
	char name[VIEW_NAME_MAX], limit[32], id[IDENTITY_TEXT_MAX];
	struct line line = line_of(out, size);

	line_add(&line,
		"#%" PRIu64 ": %s, type=%s, add_time=%" PRIu64 ", inBytes=%" PRIu64
		", outBytes=%" PRIu64 ", maxBytes=%sB, id='%s'",
		child->serial, child_name(view, child, name), protocol_name(child->protocol),
		in->add_time, in->bytes, outward->bytes, limit_text(byte_limit(child), limit),
		view->remote_id ? identity_text(view->remote_id, id) : "%none");
	add_leases(&line, view);
	line_end(&line);
}

/* ---- showstates --------------------------------------------------------------- */

static void add_timer(struct line *line, const char *event, uint64_t seconds)
{
	if (seconds != UINT64_MAX)
		line_add(line, " %s in %" PRIu64 "s;", event, seconds);
}

static void add_head(struct line *line, const struct ike_sa_view *view, const char *name,
	uint64_t serial, const char *story)
{
	line_add(line, "#%" PRIu64 ": %s:%u %s;", serial, name, view->path.remote.port, story);
}

void show_states_ike_line(char *out, size_t size, const struct ike_sa_view *view)
{
	struct line line = line_of(out, size);
	char name[VIEW_NAME_MAX];

	add_head(&line, view, view_name(view, name), view->serial, view->story);
	add_timer(&line, "REPLACE", view->replace_in_s);
	add_timer(&line, "EXPIRE", view->expire_in_s);
	add_timer(&line, "RETRANSMIT", view->retransmit_in_s);
	add_timer(&line, "LIVENESS", view->liveness_in_s);
	add_timer(&line, view->initiator ? "TIMEOUT_INITIATOR" : "TIMEOUT_RESPONDER",
		view->timeout_in_s);
	line_add(&line, "%s %s;", view->newest ? " newest;" : "",
		view->crypto_pending ? "crypto_calculating" : "idle");
	line_end(&line);
}

void show_states_child_lines(char *out, size_t size, const struct ike_sa_view *view,
	const struct child_view *child, const struct ipsec_counters *counters)
{
	const char *protocol = child->protocol == IPSEC_AH ? "ah" : "esp";
	const char *shown = protocol_name(child->protocol);
	char name[VIEW_NAME_MAX], local[IP_TEXT_MAX], remote[IP_TEXT_MAX], in[32], outward[32],
		limit[32];
	struct line line = line_of(out, size);

	add_head(&line, view, child_name(view, child, name), child->serial, child->story);
	add_timer(&line, "REPLACE", child->replace_in_s);
	add_timer(&line, "EXPIRE", child->expire_in_s);
	line_add(&line, "%s IKE SA #%" PRIu64 "; idle;",
		child->newest && child->established ? " newest; eroute owner;"
		: child->newest                     ? " newest;"
						    : "",
		view->serial);
	line_end(&line);
	if (!child->established)
		return;
	ip_text(&view->path.local.address, local);
	ip_text(&view->path.remote.address, remote);
	line_add(&line, "#%" PRIu64 ": %s %s.%" PRIx32 "@%s %s.%" PRIx32 "@%s", child->serial,
		name, protocol, child->out_spi, remote, protocol, child->in_spi, local);
	if (child->out_cpi)
		line_add(&line, " comp.%x@%s comp.%x@%s", child->out_cpi, remote, child->in_cpi,
			local);
	if (child->mode == IPSEC_TUNNEL)
		line_add(&line, " tun.0@%s tun.0@%s", remote, local);
	line_add(&line, " Traffic: %sin=%s %sout=%s %smax=%sB ", shown,
		scaled(counters ? counters[0].bytes : 0, in), shown,
		scaled(counters ? counters[1].bytes : 0, outward), shown,
		limit_text(byte_limit(child), limit));
	line_end(&line);
}

/* ---- briefconnectionstatus ---------------------------------------------------- */

static void add_selectors(struct line *line, const struct traffic_selector *ts, unsigned count)
{
	char text[TRAFFIC_SELECTOR_TEXT_MAX];

	for (unsigned i = 0; i < count; i++)
		line_add(line, "%s%s", i ? "," : "", traffic_selector_text(&ts[i], text));
}

void brief_connection_line(char *out, size_t size, const struct ike_sa_view *view,
	const struct child_view *child, const struct ipsec_counters *counters)
{
	char name[VIEW_NAME_MAX], local[IP_TEXT_MAX], remote[IP_TEXT_MAX], in[32], outward[32];
	struct line line = line_of(out, size);

	add_selectors(&line, child->local_ts, child->local_ts_count);
	line_add(&line, " <==> ");
	add_selectors(&line, child->remote_ts, child->remote_ts_count);
	line_add(&line, "\tfrom %s to %s (%s/%s)\t%s, reqid=%" PRIu32,
		ip_text(&view->path.local.address, local),
		ip_text(&view->path.remote.address, remote),
		scaled(counters ? counters[0].bytes : 0, in),
		scaled(counters ? counters[1].bytes : 0, outward), child_name(view, child, name),
		child->reqid);
	line_end(&line);
}
