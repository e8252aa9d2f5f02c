/* Why tunnels failed, counted by what the engine said. */
#ifndef IKE_LOAD_CAUSES_H
#define IKE_LOAD_CAUSES_H

#include <stddef.h>
#include <stdint.h>

#define CAUSES_MAX     16
#define CAUSE_TEXT_MAX 160

struct causes {
	unsigned count;
	struct {
		char text[CAUSE_TEXT_MAX];
		uint64_t times;
	} causes[CAUSES_MAX + 1]; /* the last one: all others */
};

void causes_count(struct causes *causes, const char *text, uint64_t times);
void causes_merge(struct causes *into, const struct causes *from);

#endif
