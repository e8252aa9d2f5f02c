#include "secrets.h"

#include "pluto.h"
#include "tell.h"

#include "config/secrets_file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct loading {
	struct secret_store *store;
	FILE *list; /* for --listpsks: kinds and indices, never a secret */
	unsigned psks, others;
};

static bool add_psk(
	struct loading *l, const struct secret_line *line, char *error, size_t error_size)
{
	struct identity *ids[SECRET_IDENTITIES_MAX] = {NULL};
	char reason[256];
	size_t count = 0;
	int failed = E2BIG;

	for (; count < line->index_count && count < SECRET_IDENTITIES_MAX; count++) {
		const char *index = line->indices[count];

		/* Old files say so for %any. */
		if (strcmp(index, "0.0.0.0") == 0 || strcmp(index, "%any6") == 0 ||
			strcmp(index, "::") == 0 || strcmp(index, "0::0") == 0)
			index = "%any";
		ids[count] = identity_parse(index, reason, sizeof(reason));
		if (!ids[count]) {
			snprintf(error, error_size, "%s:%u: %s", line->file, line->line, reason);
			failed = -1;
			break;
		}
	}
	if (count == line->index_count)
		failed = secret_store_add_psk(
			l->store, (const struct identity *const *)ids, count, line->value);
	while (count)
		identity_unref(ids[--count]);
	if (failed > 0)
		snprintf(error, error_size, "%s:%u: %s", line->file, line->line,
			failed == EEXIST  ? "there is another secret for the same identities"
			: failed == E2BIG ? "too many identities in one entry"
					  : "out of memory");
	return failed == 0;
}

static bool take_line(const struct secret_line *line, void *arg, char *error, size_t error_size)
{
	static const char *const kinds[] = {
		[SECRET_PSK] = "PSK", [SECRET_XAUTH] = "XAUTH", [SECRET_PPKS] = "PPKS"};
	struct loading *l = arg;

	if (line->kind == SECRET_IGNORED)
		return true;
	if (line->kind != SECRET_PSK)
		l->others++;
	else if (!add_psk(l, line, error, error_size))
		return false;
	else
		l->psks++;
	fprintf(l->list, "%s", kinds[line->kind]);
	for (size_t i = 0; i < line->index_count; i++)
		fprintf(l->list, " %s", line->indices[i]);
	fputc('\n', l->list);
	return true;
}

static void publish(struct pluto *p, struct client *client, struct loading *l, char **list)
{
	tell(client, RC_OK, "forgetting secrets");
	tell(client, RC_OK, "loading secrets from \"%s\"", p->options.secrets_file);
	secret_vault_replace(p->vault, l->store);
	l->store = NULL;
	free(p->secrets_list);
	p->secrets_list = *list;
	*list = NULL;
	if (l->others)
		tell(client, RC_OK, "%u XAUTH and PPKS secrets are not used yet", l->others);
	log_line(LOG_LINE_INFO, "loaded %u preshared secrets", l->psks);
}

void secrets_load(struct pluto *p, struct client *client)
{
	struct loading l = {.store = secret_store_new()};
	char *list = NULL, error[512];
	size_t list_size;
	bool ok;

	if (access(p->options.secrets_file, F_OK) != 0) {
		tell(client, RC_OK, "no secrets filename matched \"%s\"", p->options.secrets_file);
		secret_store_free(l.store);
		return;
	}
	l.list = open_memstream(&list, &list_size);
	if (!l.store || !l.list) {
		tell(client, RC_INTERNAL, "out of memory: the secrets are not loaded");
		ok = false;
	} else {
		ok = secrets_file_read(
			p->options.secrets_file, take_line, &l, error, sizeof(error));
		if (!ok)
			tell(client, RC_FATAL, "%s; the secrets loaded before stay", error);
	}
	if (l.list && fclose(l.list) != 0)
		ok = false;
	if (ok)
		publish(p, client, &l, &list);
	free(list);
	if (l.store)
		secret_store_free(l.store);
}
