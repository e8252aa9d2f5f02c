/* ipsec.secrets between its words and its finished entries. */
#ifndef CONFIG_SECRETS_READING_H
#define CONFIG_SECRETS_READING_H

#include "config/secrets_file.h"
#include "text_file.h"

/* A word with the quotes that it had: a quoted one is never a mark. */
struct secret_word {
	struct bytes text;
	bool quoted;
};

/* "text", 0xHEX, 0sBASE64 or 0tTEXT. False with a reason that tells nothing of the value. */
bool secret_value_parse(struct secret_word word, struct secret *value, const char **reason);

#endif
