/* Narrowing of traffic selectors (RFC 7296, section 2.9). */
#include "negotiation_rules.h"

#include <stdio.h>
#include <string.h>

unsigned end_selectors(const struct connection_end *end, const struct ip_address *host,
	struct traffic_selector *out)
{
	struct ip_range host_range = {.first = *host, .last = *host};
	unsigned count = 0;

	if (end->selector_count == 0 && !ip_is_unset(host))
		out[count++] = traffic_selector_of_range(&host_range);
	for (unsigned i = 0; i < end->selector_count && count < IPSEC_SELECTORS_MAX; i++) {
		struct traffic_selector ts = end->selectors[i];
		if (ip_is_unset(&ts.range.first)) {
			if (ip_is_unset(host))
				continue;
			ts.range = host_range;
		}
		out[count++] = ts;
	}
	return count;
}

/* Keeps `out` free of selectors that another one contains. A wider one takes the place of the first
 * that it contains, so that the order of preference stays. False: no room. */
static bool add_selector(
	struct traffic_selector *out, unsigned *count, const struct traffic_selector *ts)
{
	unsigned kept = 0;
	bool placed = false;

	for (unsigned i = 0; i < *count; i++)
		if (traffic_selector_within(ts, &out[i]))
			return true;
	for (unsigned i = 0; i < *count; i++) {
		if (!traffic_selector_within(&out[i], ts)) {
			out[kept++] = out[i];
		} else if (!placed) {
			out[kept++] = *ts;
			placed = true;
		}
	}
	*count = kept;
	if (placed)
		return true;
	if (kept == IPSEC_SELECTORS_MAX)
		return false;
	out[(*count)++] = *ts;
	return true;
}

static bool within_any(const struct traffic_selector *ts, const struct traffic_selector *outer,
	unsigned outer_count)
{
	for (unsigned i = 0; i < outer_count; i++)
		if (traffic_selector_within(ts, &outer[i]))
			return true;
	return false;
}

static bool all_within(const struct traffic_selector *inner, unsigned inner_count,
	const struct traffic_selector *outer, unsigned outer_count)
{
	for (unsigned i = 0; i < inner_count; i++)
		if (!within_any(&inner[i], outer, outer_count))
			return false;
	return true;
}

/* The first of `proposed` may be the selector of the packet that made the initiator act. What is
 * common with it is found first, and what is found to contain that takes its place: it stays the
 * first choice. */
bool selectors_narrow(const struct traffic_selector *mine, unsigned mine_count,
	const struct traffic_selector *proposed, unsigned proposed_count, bool may_narrow,
	struct traffic_selector *out, unsigned *out_count)
{
	bool room = true;

	*out_count = 0;
	if (!may_narrow && !all_within(proposed, proposed_count, mine, mine_count))
		return false;
	for (unsigned p = 0; p < proposed_count; p++) {
		for (unsigned m = 0; m < mine_count; m++) {
			struct traffic_selector both;
			if (traffic_selector_intersect(&proposed[p], &mine[m], &both))
				room &= add_selector(out, out_count, &both);
		}
	}
	if (!room && !may_narrow)
		*out_count = 0;
	return *out_count > 0;
}

bool selectors_accept(const struct traffic_selector *proposed, unsigned proposed_count,
	const struct traffic_selector *answer, unsigned answer_count)
{
	return answer_count > 0 && all_within(answer, answer_count, proposed, proposed_count);
}

/* Appends as much as there is room for. */
static void append(char *out, size_t size, const char *text)
{
	size_t used = strlen(out);

	snprintf(out + used, size - used, "%s", text);
}

static void append_selectors(
	char *out, size_t size, const struct traffic_selector *ts, unsigned count)
{
	char text[TRAFFIC_SELECTOR_TEXT_MAX];

	for (unsigned i = 0; i < count; i++) {
		if (i > 0)
			append(out, size, ",");
		append(out, size, traffic_selector_text(&ts[i], text));
	}
}

const char *selectors_pair_text(const struct traffic_selector *local, unsigned local_count,
	const struct traffic_selector *remote, unsigned remote_count, char *out, size_t size)
{
	if (size == 0)
		return out;
	out[0] = '\0';
	append_selectors(out, size, local, local_count);
	append(out, size, "===");
	append_selectors(out, size, remote, remote_count);
	return out;
}
