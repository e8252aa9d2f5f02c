/* The keys of --globalstatus, in their order. Constant data. */
#ifndef PLUTO_GLOBAL_KEYS_H
#define PLUTO_GLOBAL_KEYS_H

#include <stddef.h>

struct global_family {
	const char *prefix; /* a whole key, when there are no words */
	const char *words;  /* separated by blanks; or NULL */
};

extern const struct global_family global_families[];
extern const size_t global_family_count;

#endif
