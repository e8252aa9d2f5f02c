#include "causes.h"

#include <stdio.h>
#include <string.h>

static void add(struct causes *causes, unsigned i, const char *text, uint64_t times)
{
	if (i == causes->count) {
		snprintf(causes->causes[i].text, CAUSE_TEXT_MAX, "%s", text);
		causes->count++;
	}
	causes->causes[i].times += times;
}

void causes_count(struct causes *causes, const char *text, uint64_t times)
{
	for (unsigned i = 0; i < causes->count; i++) {
		if (!strncmp(causes->causes[i].text, text, CAUSE_TEXT_MAX - 1)) {
			causes->causes[i].times += times;
			return;
		}
	}
	if (causes->count >= CAUSES_MAX)
		add(causes, CAUSES_MAX, "other causes", times);
	else
		add(causes, causes->count, text, times);
}

void causes_merge(struct causes *into, const struct causes *from)
{
	for (unsigned i = 0; i < from->count; i++)
		causes_count(into, from->causes[i].text, from->causes[i].times);
}
