#include "config/secrets_file.h"
#include "fuzz_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool take(const struct secret_line *line, void *arg, char *error, size_t error_size)
{
	size_t *sum = arg;

	for (size_t i = 0; i < line->index_count; i++)
		*sum += strlen(line->indices[i]);
	if (line->kind != SECRET_IGNORED && line->value.len == 0)
		abort();
	for (size_t i = 0; i < line->value.len; i++)
		*sum += line->value.data[i];
	if (line->kind == SECRET_PPKS && line->ppk_id == NULL)
		abort();
	snprintf(error, error_size, "full");
	return *sum < 100000;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char error[256] = "";
	size_t sum = 0;

	if (!secrets_file_read(fuzz_file(data, size), take, &sum, error, sizeof(error)) &&
		error[0] == '\0')
		abort();
	return 0;
}
