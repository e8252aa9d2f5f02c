#include "config/control_message.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must_be_equal(const struct keyvalues *a, const struct keyvalues *b)
{
	if (a->count != b->count)
		abort();
	for (size_t i = 0; i < a->count; i++)
		if (strcmp(a->items[i].key, b->items[i].key) != 0 ||
			strcmp(a->items[i].value, b->items[i].value) != 0)
			abort();
}

/* What was understood must survive another journey. */
static void send_on(const struct control_request *request)
{
	struct control_request again;
	char error[256];
	size_t len;
	uint8_t *message = control_request_encode(request, &len);

	if (message == NULL ||
		!control_request_decode(bytes_of(message, len), &again, error, sizeof(error)))
		abort();
	if (strcmp(request->command, again.command) != 0)
		abort();
	must_be_equal(&request->arguments, &again.arguments);
	must_be_equal(&request->connection, &again.connection);
	control_request_release(&again);
	free(message);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct control_request request;
	char error[256] = "";

	control_request_length(bytes_of(data, size < 12 ? size : 12), error, sizeof(error));
	if (control_request_decode(bytes_of(data, size), &request, error, sizeof(error))) {
		send_on(&request);
		control_request_release(&request);
	} else if (error[0] == '\0') {
		abort();
	}
	return 0;
}
