/* A connection description as everybody hands it on: a name and ipsec.conf keywords with their
 * values, as text. whack makes one from its options, addconn from a file; src/pluto compiles it.
 * Knows no meaning of any keyword. */
#ifndef CONFIG_KEYVALUE_H
#define CONFIG_KEYVALUE_H

#include <stdbool.h>
#include <stddef.h>

struct keyvalue {
	char *key, *value;
};

struct keyvalues {
	size_t count, room;
	struct keyvalue *items;
};

/* Copies both; false when memory is out. Keys are folded to lower case. A key may be set once: a
 * second time returns false with errno EEXIST. */
bool keyvalues_set(struct keyvalues *kv, const char *key, const char *value);
/* NULL: not set. */
const char *keyvalues_get(const struct keyvalues *kv, const char *key);
void keyvalues_release(struct keyvalues *kv);

#endif
