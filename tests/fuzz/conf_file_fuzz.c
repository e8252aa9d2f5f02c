#include "config/conf_file.h"
#include "fuzz_file.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void try_values(const char *text)
{
	bool flag;
	unsigned percent;
	unsigned long long number;

	conf_bool(text, &flag);
	conf_duration_ms(text, 1000, &number);
	conf_count(text, &number);
	conf_bytes(text, &number);
	conf_percent(text, &percent);
}

static void check_section(const struct conf_section *section)
{
	for (size_t i = 0; i < section->parameters.count; i++) {
		const struct keyvalue *kv = &section->parameters.items[i];

		if (keyvalues_get(&section->parameters, kv->key) != kv->value ||
			section->origins[i].line == 0 || section->origins[i].file == NULL)
			abort();
		try_values(kv->value);
	}
}

static void take_warning(const char *text, void *arg)
{
	*(size_t *)arg += strlen(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct conf_file conf;
	char error[256] = "";
	size_t warned = 0;

	if (conf_file_read(
		    fuzz_file(data, size), &conf, take_warning, &warned, error, sizeof(error))) {
		check_section(&conf.setup);
		for (size_t i = 0; i < conf.conn_count; i++)
			check_section(&conf.conns[i]);
		conf_file_release(&conf);
	} else if (error[0] == '\0') {
		abort();
	}
	return 0;
}
