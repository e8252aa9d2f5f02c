/* --briefstatus: how many SAs there are. */
#include "reports.h"

#include "counters.h"
#include "pluto.h"

#include <inttypes.h>

static uint64_t count(const struct pluto *p, const char *key)
{
	return counters_value(p->counters, p->shards, key);
}

static bool some_shard_asks(const struct pluto *p)
{
	struct shard_stats s;

	for (unsigned i = 0; shard_set_stats(p->shards, i, &s); i++) {
		if (s.asks_cookies)
			return true;
	}
	return false;
}

enum step_result brief_status(struct report *r)
{
	const struct pluto *p = r->pluto;
	uint64_t half_open = count(p, "current.states.iketype.halfopen");
	uint64_t anonymous = count(p, "current.states.iketype.anonymous");
	uint64_t children = count(p, "current.states.ipsec");
	bool busy = p->options.ddos_mode == DDOS_BUSY ||
		    (p->options.ddos_mode == DDOS_AUTO &&
			    (half_open >= p->options.ddos_threshold || some_shard_asks(p)));
	bool full = p->options.max_half_open && half_open >= p->options.max_half_open;

	report_text_line(r, "State Information: DDoS cookies %s, %s new IKE connections",
		busy ? "REQUIRED" : "not required",
		!p->listening ? "IGNORING"
		: full        ? "NOT ACCEPTING"
			      : "Accepting");
	report_text_line(r,
		"IKE SAs: total(%" PRIu64 "), half-open(%" PRIu64 "), open(%" PRIu64
		"), authenticated(%" PRIu64 "), anonymous(%" PRIu64 ")",
		count(p, "current.states.ike"), half_open, count(p, "current.states.iketype.open"),
		count(p, "current.states.iketype.authenticated"), anonymous);
	/* NULL authentication does not exist yet: no Child SA is anonymous. */
	report_text_line(r,
		"IPsec SAs: total(%" PRIu64 "), authenticated(%" PRIu64 "), anonymous(0)", children,
		children);
	return STEP_DONE;
}
