#include "report.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"

void report_names(char *text, size_t size, enum transform_type type, uint64_t set)
{
	const struct algorithm *a;

	for (size_t i = 0; (a = algorithm_at(type, i)); i++) {
		size_t len = strlen(text);

		if (a->esp_capable && set & 1ull << a->id)
			snprintf(text + len, size - len, " %s", a->name);
	}
}

void report_left_over(unsigned sas, unsigned policies)
{
	if (sas || policies)
		log_line(LOG_LINE_INFO,
			"removed %u SAs and %u policies that an earlier run has left in the kernel",
			sas, policies);
}
