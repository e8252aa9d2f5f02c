#include "config/keyvalue.h"

#include "base/secret.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static bool make_room(struct keyvalues *kv)
{
	if (kv->count < kv->room)
		return true;
	size_t room = kv->room == 0 ? 8 : kv->room * 2;
	struct keyvalue *items = reallocarray(kv->items, room, sizeof(*items));
	if (items == NULL)
		return false;
	kv->items = items;
	kv->room = room;
	return true;
}

bool keyvalues_set(struct keyvalues *kv, const char *key, const char *value)
{
	if (keyvalues_get(kv, key) != NULL) {
		errno = EEXIST;
		return false;
	}
	if (!make_room(kv))
		return false;
	struct keyvalue new = {.key = strdup(key), .value = strdup(value)};
	if (new.key == NULL || new.value == NULL) {
		free(new.key);
		free(new.value);
		errno = ENOMEM;
		return false;
	}
	for (char *at = new.key; *at != '\0'; at++)
		*at = (char)tolower((unsigned char)*at);
	kv->items[kv->count++] = new;
	return true;
}

const char *keyvalues_get(const struct keyvalues *kv, const char *key)
{
	for (size_t i = 0; i < kv->count; i++)
		if (strcasecmp(kv->items[i].key, key) == 0)
			return kv->items[i].value;
	return NULL;
}

void keyvalues_release(struct keyvalues *kv)
{
	for (size_t i = 0; i < kv->count; i++) {
		/* A value may be a password that a user gave to whack. */
		secret_wipe(kv->items[i].value, strlen(kv->items[i].value));
		free(kv->items[i].value);
		free(kv->items[i].key);
	}
	free(kv->items);
	*kv = (struct keyvalues){0};
}
