/* Bare shunts: what failureshunt= has put in the place of a trap, for a while. */
#include "reports.h"

#include "line.h"
#include "pluto.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define CONNECTIONS_A_STEP 256

/* "10.1.0.0/24:0": a port of 0 is any; of several selectors the first. */
static void add_client(struct line *line, const struct connection_end *e)
{
	char text[TRAFFIC_SELECTOR_TEXT_MAX];
	struct traffic_selector ts = {0};
	uint16_t port = 0;

	if (e->selector_count) {
		ts = e->selectors[0];
		port = ts.port_first == ts.port_last ? ts.port_first : 0;
	} else {
		ts.range.first = ts.range.last = e->host;
	}
	ts.protocol = 0;
	ts.port_first = 0;
	ts.port_last = 65535;
	line_add(line, "%s:%u", traffic_selector_text(&ts, text), port);
}

static void say_shunt(struct report *r, const struct connection *c)
{
	uint64_t until = __atomic_load_n(&c->routing->shunt_until_s, __ATOMIC_RELAXED),
		 now = (uint64_t)time(NULL);
	uint32_t asked = __atomic_load_n(&c->routing->acquires, __ATOMIC_RELAXED);
	char text[512];
	struct line line = line_of(text, sizeof(text));

	add_client(&line, &c->local);
	line_add(&line, " -%u-> ", c->local.selector_count ? c->local.selectors[0].protocol : 0);
	add_client(&line, &c->remote);
	line_add(&line,
		" => %s    negotiation of \"%s\" failed; asked for by %u packets; ends in %llus "
		"$%llu",
		c->failure_shunt == IPSEC_BYPASS ? "%pass" : "%drop", c->name, asked,
		(unsigned long long)(until > now ? until - now : 0), (unsigned long long)c->serial);
	report_text_line(r, "%s", text);
}

static void head(struct report *r)
{
	report_text_line(r, "Bare Shunt list:");
	report_text_line(r, "%s", "");
}

/* Some connections a step: others may come and go between two. */
enum step_result status_shunts(struct report *r)
{
	if (r->after == 0)
		head(r);
	for (unsigned i = 0; i < CONNECTIONS_A_STEP; i++) {
		struct connection *c = catalogue_after(r->pluto->catalogue, r->after);

		if (!c)
			return STEP_DONE;
		r->after = c->serial;
		if (routing_state(c->routing) == ROUTING_FAILURE)
			say_shunt(r, c);
		connection_unref(c);
	}
	return STEP_MORE;
}
