/* Reports over all SAs: each shard writes about its own. Lines come shard by shard, in order of
 * serial number within each. */
#include "reports.h"

#include "report.h"
#include "view_text.h"

typedef void child_lines(char *out, size_t size, const struct ike_sa_view *view,
	const struct child_view *child, const struct ipsec_counters *counters);

/* Every Child SA of the view that the filter and `established` let through. */
static void each_child(struct report_text *text, struct ike_engine *engine,
	const struct ike_sa_view *view, const struct ipsec_counters *counters,
	const struct report_filter *filter, bool established, child_lines *lines)
{
	struct child_view child = view->child;
	char out[VIEW_LINE_MAX];

	for (unsigned i = 0; i < view->child_count; i++) {
		if (i && !ike_engine_child_at(engine, view->serial, i, &child))
			continue;
		if (!view_child_passes(&child, filter) || (established && !child.established))
			continue;
		lines(out, sizeof(out), view, &child, counters ? &counters[2 * i] : NULL);
		report_printf(text, "%s", out);
	}
}

/* It is the connection's that was asked for, or carries something of it. */
static bool is_of_interest(struct ike_engine *engine, const struct ike_sa_view *view,
	const struct report_filter *filter)
{
	struct child_view child = view->child;

	if (view_passes(view, filter))
		return true;
	for (unsigned i = 0; i < view->child_count; i++) {
		if ((!i || ike_engine_child_at(engine, view->serial, i, &child)) &&
			view_child_passes(&child, filter))
			return true;
	}
	return false;
}

static void visit_traffic(struct report_text *text, struct ike_engine *engine,
	const struct ike_sa_view *view, const struct ipsec_counters *counters, void *arg)
{
	each_child(text, engine, view, counters, arg, true, traffic_status_line);
}

enum step_result traffic_status(struct report *r)
{
	return report_walk(r, visit_traffic, true);
}

static void visit_states(struct report_text *text, struct ike_engine *engine,
	const struct ike_sa_view *view, const struct ipsec_counters *counters, void *arg)
{
	char out[VIEW_LINE_MAX];

	if (!is_of_interest(engine, view, arg))
		return;
	show_states_ike_line(out, sizeof(out), view);
	report_printf(text, "%s", out);
	each_child(text, engine, view, counters, arg, false, show_states_child_lines);
}

enum step_result show_states(struct report *r)
{
	return report_walk(r, visit_states, true);
}

static void visit_brief(struct report_text *text, struct ike_engine *engine,
	const struct ike_sa_view *view, const struct ipsec_counters *counters, void *arg)
{
	each_child(text, engine, view, counters, arg, true, brief_connection_line);
}

enum step_result brief_connections(struct report *r)
{
	return report_walk(r, visit_brief, true);
}
