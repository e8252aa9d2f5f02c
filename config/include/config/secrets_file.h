/* The reader of ipsec.secrets: entries as text and secret bytes, by callback. Files are read whole
 * before the first entry is given out: all or nothing. */
#ifndef CONFIG_SECRETS_FILE_H
#define CONFIG_SECRETS_FILE_H

#include "base/secret.h"
#include <stdbool.h>
#include <stddef.h>

enum secret_kind {
	SECRET_PSK,
	SECRET_XAUTH,
	SECRET_PPKS,
	SECRET_IGNORED /* RSA, ECDSA, PIN: private keys live in NSS */
};

struct secret_line {
	enum secret_kind kind;
	const char *file;
	unsigned line;
	const char *const *indices; /* as written, without quotes */
	size_t index_count;
	const char *ppk_id; /* SECRET_PPKS */
	struct bytes value;
};

/* What `line` points to is valid during the call. False with "FILE:LINE: reason" in `error` (which
 * never quotes a secret); `each` was then not called at all, unless it returned false itself (its
 * own error text is then in `error`). Reads include files and globs, 10 deep. */
bool secrets_file_read(const char *path,
	bool (*each)(const struct secret_line *line, void *arg, char *error, size_t error_size),
	void *arg, char *error, size_t error_size);

#endif
