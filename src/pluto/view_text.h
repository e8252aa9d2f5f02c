/* How SAs are shown: pure functions from what an engine says of an SA to lines. Any thread. */
#ifndef PLUTO_VIEW_TEXT_H
#define PLUTO_VIEW_TEXT_H

#include "ike/engine.h"

struct report_filter;

/* Names may be of any length; this much of them is shown. */
#define VIEW_NAME_MAX 320
#define VIEW_LINE_MAX 8192

/* "v2" or "road"[1] 192.0.2.7, in quotes as all lines have it. */
const char *view_name(const struct ike_sa_view *view, char out[VIEW_NAME_MAX]);
/* Is it the connection that was asked for, by name or alias? */
bool view_passes(const struct ike_sa_view *view, const struct report_filter *filter);
bool view_child_passes(const struct child_view *child, const struct report_filter *filter);
/* "AES_GCM_16_256-HMAC_SHA2_512-DH19" */
void view_ike_suite(const struct chosen_proposal *chosen, char *out, size_t size);

/* Each fills `out` with whole lines, newline included. */
void traffic_status_line(char *out, size_t size, const struct ike_sa_view *view,
	const struct child_view *child, const struct ipsec_counters *counters);
void show_states_ike_line(char *out, size_t size, const struct ike_sa_view *view);
void show_states_child_lines(char *out, size_t size, const struct ike_sa_view *view,
	const struct child_view *child, const struct ipsec_counters *counters);
/* As --briefconnectionstatus has it, from an SA. */
void brief_connection_line(char *out, size_t size, const struct ike_sa_view *view,
	const struct child_view *child, const struct ipsec_counters *counters);

#endif
