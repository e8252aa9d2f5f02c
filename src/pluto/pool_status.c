/* --addresspoolstatus. */
#include "reports.h"

#include "pluto.h"
#include "pools.h"

#include <inttypes.h>
#include <stdio.h>

#define LEASES_A_STEP 64
#define LOOKS_A_STEP  65536

static void say_pool(struct report *r, const struct address_pool *pool)
{
	struct address_pool_stats s = address_pool_stats(pool);
	char text[POOL_TEXT_MAX];

	report_text_line(r,
		"address pool %s: %" PRIu64 " addresses, %" PRIu64 " leases, %" PRIu64
		" in-use, %" PRIu64 " free (%" PRIu64 " reusable)",
		address_pool_text(pool, text), s.size, s.leases, s.in_use,
		s.leases > s.in_use ? s.leases - s.in_use : 0,
		s.remembered > s.in_use ? s.remembered - s.in_use : 0);
}

static void say_holder(struct report *r, const struct lease_view *view)
{
	struct connection *c = view->connection
				       ? catalogue_after(r->pluto->catalogue, view->connection - 1)
				       : NULL;
	char ip[IP_TEXT_MAX];

	if (!c || (uint32_t)c->serial != view->connection)
		report_text_line(r, "    connection $%" PRIu32 " does not exist", view->connection);
	else if (view->instance)
		report_text_line(r, "    \"%s\"[%" PRIu32 "] %s", c->name, view->instance,
			ip_text(&view->peer, ip));
	else
		report_text_line(r, "    \"%s\"", c->name);
	connection_unref(c);
}

static void say_lease(struct report *r, const struct lease_view *view)
{
	char ip[IP_TEXT_MAX], id[IDENTITY_TEXT_MAX], reusable[IDENTITY_TEXT_MAX + 4] = "";

	if (view->id)
		snprintf(reusable, sizeof(reusable), " [%s]", identity_text(view->id, id));
	report_text_line(r, "    %s/%u %s $%" PRIu32 "%s", ip_text(&view->address, ip),
		ip_bits(view->address.family), view->holders ? "assigned to" : "free",
		view->connection, reusable);
	say_holder(r, view);
}

/* alias_at: which pool, after: where in it; some leases a step. */
enum step_result pool_status(struct report *r)
{
	const struct address_pool *pool = pools_at(r->pluto->pools, r->alias_at);
	struct lease_view view;

	if (!pool)
		return STEP_DONE;
	if (r->after == 0)
		say_pool(r, pool);
	for (unsigned i = 0; i < LEASES_A_STEP; i++) {
		if (address_pool_next(pool, &r->after, LOOKS_A_STEP, &view)) {
			say_lease(r, &view);
		} else if (address_pool_at_end(pool, r->after)) {
			r->alias_at++;
			r->after = 0;
			return STEP_MORE;
		}
	}
	return STEP_MORE;
}
