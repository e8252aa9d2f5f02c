/* What an engine counts, under the names of whack --globalstatus (see the control surface's
 * description). A host gives each engine a counter_set of ike_counter_count() cells and sums over
 * all engines. */
#ifndef IKE_COUNTERS_H
#define IKE_COUNTERS_H

#include <stddef.h>

size_t ike_counter_count(void);
/* The key of the i-th cell in order of report: "current.states.ike",
 * "total.ikev2.sent.notifies.error.INVALID_SYNTAX". Constant text, any thread; NULL past the end.
 * Gauges are summed modulo 2^64. */
const char *ike_counter_key(size_t i);

#endif
