#include "base/counter.h"

#include <stdlib.h>
#include <string.h>

/* Two cache lines: CPUs fetch them in pairs. */
#define LINE 128

struct counter_set counter_set_new(size_t count)
{
	struct counter_set set = {0};
	size_t bytes;

	if (count > (SIZE_MAX - LINE) / sizeof(uint64_t))
		return set;
	bytes = (count * sizeof(uint64_t) + LINE - 1) / LINE * LINE;
	if (bytes == 0)
		bytes = LINE;
	set.cells = aligned_alloc(LINE, bytes);
	if (set.cells) {
		memset(set.cells, 0, bytes);
		set.count = count;
	}
	return set;
}

void counter_set_free(struct counter_set *set)
{
	free(set->cells);
	*set = (struct counter_set){0};
}
