/* The first byte says whether the rest is text of a configuration or the body of an ID payload. */
#include "ike/identity.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct identity *id)
{
	struct identity *copy = identity_new(id->kind, bytes_of(id->data, id->len));
	char text[IDENTITY_TEXT_MAX];

	if (copy == NULL || !identity_equal(id, copy) || identity_hash(id) != identity_hash(copy))
		abort();
	for (const char *at = identity_text(id, text); *at != '\0'; at++)
		if (*at < ' ' || *at > '~')
			abort();
	identity_unref(copy);
}

/* What a report shows can be written into a configuration again, unless it was cut or is a DN. */
static void read_again(const struct identity *id)
{
	char text[IDENTITY_TEXT_MAX], error[256];
	struct identity *again;

	identity_text(id, text);
	if (id->kind != ID_KEY_ID || strlen(text) + 1 == sizeof(text) || id->len > 100)
		return;
	again = identity_parse(text, error, sizeof(error));
	if (again == NULL || !identity_equal(id, again))
		abort();
	identity_unref(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char error[256] = "";
	struct identity *id;

	if (size == 0)
		return 0;
	if (data[0] & 1) {
		char *text = strndup((const char *)data + 1, size - 1);

		id = identity_parse(text, error, sizeof(error));
		free(text);
	} else {
		id = identity_from_payload(bytes_of(data + 1, size - 1), error, sizeof(error));
	}
	if (id == NULL) {
		if (error[0] == '\0')
			abort();
		return 0;
	}
	check(id);
	read_again(id);
	identity_unref(id);
	return 0;
}
