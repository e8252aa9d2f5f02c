/* The connections in --status and --connectionstatus. */
#include "reports.h"

#include "connection_text.h"
#include "pluto.h"
#include "sa_index.h"

enum step_result connection_list_head(struct report *r)
{
	report_text_line(r, "Connection list:");
	report_text_line(r, "%s", "");
	return STEP_DONE;
}

static const char *interface_of(const struct pluto *p, const struct connection *c)
{
	for (size_t i = 0; c->oriented && i < p->address_count; i++)
		if (ip_equal(&p->addresses[i].address, &c->local.host))
			return p->addresses[i].interface;
	return "";
}

static void say_connection(struct report *r, const struct connection *c)
{
	char text[CONNECTION_TEXT_MAX];
	struct line line = line_of(text, sizeof(text));
	struct connection_facts facts = {.sas = sa_index_find(r->sas, c->serial),
		.interface = interface_of(r->pluto, c),
		.keep_alive_s = r->pluto->options.keep_alive_s};

	connection_block(&line, c, &facts);
	client_report_text(r->client, text, line.len);
}

static struct connection *next_connection(struct report *r)
{
	const struct catalogue *catalogue = r->pluto->catalogue;
	struct connection *c;

	if (!r->filter.name) {
		c = catalogue_after(catalogue, r->after);
		if (c)
			r->after = c->serial;
		return c;
	}
	return catalogue_by_alias(catalogue, r->filter.name, r->alias_at++);
}

static bool is_routed_without_sa(const struct report *r, const struct connection *c)
{
	const struct sa_entry *sas = sa_index_find(r->sas, c->serial);

	return routing_state(c->routing) != ROUTING_NONE && !(sas && sas->child);
}

/* A connection a step: others may come and go between two. */
enum step_result connection_list(struct report *r)
{
	struct connection *c = next_connection(r);

	if (!c)
		return STEP_DONE;
	say_connection(r, c);
	r->routed += is_routed_without_sa(r, c);
	connection_unref(c);
	return STEP_MORE;
}

enum step_result connection_list_total(struct report *r)
{
	unsigned long long active = sa_index_active(r->sas);

	report_text_line(r, "%s", "");
	/* Instances are routed by their SAs, other connections also without. */
	report_text_line(r, "Total IPsec connections: loaded %zu, routed %llu, active %llu",
		catalogue_count(r->pluto->catalogue), active + r->routed, active);
	report_text_line(r, "%s", "");
	return STEP_DONE;
}

enum step_result connection_brief_total(struct report *r)
{
	report_text_line(r, "# Total IPsec connections: loaded %zu, active %llu",
		catalogue_count(r->pluto->catalogue), (unsigned long long)sa_index_active(r->sas));
	return STEP_DONE;
}
