/* How tests of two gateways begin and end, with cmocka's assertions. */
#ifndef SIMULATOR_FIXTURE_ASSERTS_H
#define SIMULATOR_FIXTURE_ASSERTS_H

#include "fixture.h"
#include "invariants.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* West initiates, and both have the IKE SA. */
static inline void come_up(struct fixture *f)
{
	fixture_initiate(f);
	fixture_pass(f, 2000);
	assert_int_equal(count_established(f->west), 1);
	assert_int_equal(count_established(f->east), 1);
}

static inline struct fixture *up(const struct side_config *west, const struct side_config *east)
{
	struct fixture *f = fixture_new(west, east, false);

	come_up(f);
	return f;
}

static inline void end(struct fixture *f)
{
	assert_string_equal(f->world->failure, "");
	fixture_free(f);
}

#endif
