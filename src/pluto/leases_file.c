/* The file:
 *
 *   plutonium leases 1
 *   pool 10.5.0.10-10.5.0.20
 *   10.5.0.10 1796000000 2 632e74657374
 *   end
 *
 * A lease is its address, when it was given back (or, if it is in use, when the file was written;
 * seconds since the epoch), and its identity: kind and bytes. Leases of no identity are not
 * remembered. Without "end" the file is not complete. */
#include "leases_file.h"

#include "pools.h"

#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define HEAD         "plutonium leases 1\n"
#define TAIL         "end\n"
#define FILE_MAX     (256l << 20) /* some 4 million leases */
#define LINE_MAX_LEN 2300

/* What is left of the file of an earlier process, of pools that have not come to be yet. */
struct section {
	char *pool, *text; /* in `old` */
	size_t len;
};

struct leases_file {
	char *path, *temporary;
	char *old;
	size_t old_len;
	struct section *sections;
	size_t section_count;
	uint64_t read_s; /* wall clock */
	FILE *out;       /* being written */
	size_t pool;
	uint64_t position;
	bool head_written;
};

/* ---- reading ------------------------------------------------------------------ */

static char *read_all(const char *path, size_t *len, const char **why)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	struct stat st;
	char *text = NULL;
	ssize_t n;

	*why = NULL;
	*len = 0;
	if (fd < 0) {
		*why = errno == ENOENT ? NULL : strerror(errno);
		return NULL;
	}
	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
		*why = "it is no file";
	else if (st.st_size > FILE_MAX)
		*why = "it is too large";
	else if (!(text = malloc((size_t)st.st_size + 1)))
		*why = "out of memory";
	while (text && *len < (size_t)st.st_size &&
		(n = read(fd, text + *len, (size_t)st.st_size - *len)) > 0)
		*len += (size_t)n;
	if (text)
		text[*len] = '\0';
	close(fd);
	return text;
}

static bool is_complete(const char *text, size_t len)
{
	size_t head = strlen(HEAD), tail = strlen(TAIL);

	return len >= head + tail && memchr(text, '\0', len) == NULL &&
	       memcmp(text, HEAD, head) == 0 && memcmp(text + len - tail, TAIL, tail) == 0 &&
	       text[len - tail - 1] == '\n';
}

static bool add_section(struct leases_file *file, char *pool, char *text)
{
	struct section *more = reallocarray(file->sections, file->section_count + 1, sizeof(*more));

	if (!more)
		return false;
	file->sections = more;
	more[file->section_count++] = (struct section){.pool = pool, .text = text};
	return true;
}

/* Cuts the text at its lines "pool ...". */
static void find_sections(struct leases_file *file)
{
	char *end = file->old + file->old_len - strlen(TAIL), *next;

	for (char *at = file->old + strlen(HEAD); at < end; at = next) {
		char *line_end = memchr(at, '\n', (size_t)(end - at));
		struct section *last =
			file->section_count ? &file->sections[file->section_count - 1] : NULL;

		if (!line_end)
			break;
		next = line_end + 1;
		if (strncmp(at, "pool ", 5) != 0) {
			if (last)
				last->len = (size_t)(next - last->text);
			continue;
		}
		*line_end = '\0';
		if (!add_section(file, at + 5, next))
			return;
	}
}

struct leases_file *leases_file_open(const char *path)
{
	struct leases_file *file = calloc(1, sizeof(*file));
	const char *why = NULL;

	if (!file)
		return NULL;
	file->path = strdup(path);
	if (!file->path || asprintf(&file->temporary, "%s.new", path) < 0) {
		file->temporary = NULL;
		leases_file_close(file);
		return NULL;
	}
	file->read_s = (uint64_t)time(NULL);
	file->old = read_all(path, &file->old_len, &why);
	if (file->old && !is_complete(file->old, file->old_len)) {
		why = "it is not complete, or not of this kind";
		free(file->old);
		file->old = NULL;
	}
	if (why)
		log_line(LOG_LINE_WARNING, "leases of earlier are forgotten: %s: %s", path, why);
	if (file->old)
		find_sections(file);
	return file;
}

void leases_file_close(struct leases_file *file)
{
	if (!file)
		return;
	if (file->out) {
		fclose(file->out);
		unlink(file->temporary);
	}
	free(file->sections);
	free(file->old);
	free(file->path);
	free(file->temporary);
	free(file);
}

size_t leases_file_bytes(const struct leases_file *file)
{
	return file->old ? file->old_len : 0;
}

/* ---- restoring ---------------------------------------------------------------- */

static int digit(char c)
{
	const char *digits = "0123456789abcdef", *at = c ? strchr(digits, c) : NULL;

	return at ? (int)(at - digits) : -1;
}

static struct identity *parse_identity(unsigned kind, const char *hex)
{
	uint8_t bytes[IDENTITY_LEN_MAX];
	size_t len = strlen(hex);

	if (len % 2 || len / 2 > sizeof(bytes) || kind == ID_ANY || kind == ID_NULL ||
		kind > UINT8_MAX)
		return NULL;
	for (size_t i = 0; i < len; i += 2) {
		int high = digit(hex[i]), low = digit(hex[i + 1]);

		if (high < 0 || low < 0)
			return NULL;
		bytes[i / 2] = (uint8_t)(high << 4 | low);
	}
	return identity_new((enum identity_kind)kind, bytes_of(bytes, len / 2));
}

/* The clock of leases begins anew with the machine, that of the file does not. */
static uint64_t returned_then(uint64_t wall_s, uint64_t wall_now_s, uint64_t now_s)
{
	uint64_t age = wall_s < wall_now_s ? wall_now_s - wall_s : 0;

	return age < now_s ? now_s - age : 0;
}

static bool restore_line(struct address_pool *pool, const char *line, uint64_t now_s)
{
	char address[IP_TEXT_MAX], hex[LINE_MAX_LEN + 1];
	unsigned long long wall_s;
	struct ip_address ip;
	struct identity *id;
	unsigned kind;
	bool ok;

	if (sscanf(line, "%47s %20llu %3u %2300s", address, &wall_s, &kind, hex) != 4 ||
		!ip_parse(address, &ip))
		return false;
	id = parse_identity(kind, hex);
	if (!id)
		return false;
	ok = address_pool_restore(
		pool, &ip, id, returned_then(wall_s, (uint64_t)time(NULL), now_s));
	identity_unref(id);
	return ok;
}

static void restore_section(struct section *s, struct address_pool *pool, uint64_t now_s)
{
	char line[LINE_MAX_LEN + 100];
	const char *end = s->text + s->len;
	size_t number = 0, good = 0;

	for (const char *at = s->text, *next; at < end; at = next) {
		const char *newline = memchr(at, '\n', (size_t)(end - at));

		next = newline ? newline + 1 : end;
		number++;
		if (!newline || (size_t)(newline - at) >= sizeof(line))
			continue;
		memcpy(line, at, (size_t)(newline - at));
		line[newline - at] = '\0';
		good += restore_line(pool, line, now_s);
	}
	if (good < number)
		log_line(LOG_LINE_WARNING,
			"addresspool %.300s: %zu of %zu leases of earlier are forgotten: they are "
			"no "
			"leases of it",
			s->pool, number - good, number);
	if (good)
		log_line(LOG_LINE_INFO, "addresspool %.300s: %zu leases of earlier are remembered",
			s->pool, good);
}

void leases_file_restore(struct leases_file *file, struct address_pool *pool, uint64_t now_s)
{
	char text[POOL_TEXT_MAX];

	address_pool_text(pool, text);
	for (size_t i = 0; i < file->section_count; i++) {
		if (strcmp(file->sections[i].pool, text) != 0)
			continue;
		restore_section(&file->sections[i], pool, now_s);
		file->sections[i] = file->sections[--file->section_count];
		break;
	}
	if (!file->section_count) {
		free(file->old);
		file->old = NULL;
	}
}

/* ---- writing ------------------------------------------------------------------ */

bool leases_file_begin(struct leases_file *file)
{
	int fd;

	if (file->out)
		fclose(file->out);
	unlink(file->temporary);
	fd = open(file->temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	file->out = fd < 0 ? NULL : fdopen(fd, "w");
	if (!file->out) {
		log_line(LOG_LINE_WARNING, "leases cannot be saved: %s: %s", file->temporary,
			strerror(errno));
		if (fd >= 0)
			close(fd);
		return false;
	}
	fputs(HEAD, file->out);
	file->pool = 0;
	file->position = 0;
	file->head_written = false;
	return true;
}

static void write_lease(FILE *out, const struct lease_view *view, uint64_t now_s)
{
	uint64_t wall_s = (uint64_t)time(NULL);
	char ip[IP_TEXT_MAX];

	if (!view->holders && view->returned_s < now_s)
		wall_s -= now_s - view->returned_s;
	fprintf(out, "%s %" PRIu64 " %u ", ip_text(&view->address, ip), wall_s, view->id->kind);
	for (size_t i = 0; i < view->id->len; i++)
		fprintf(out, "%02x", view->id->data[i]);
	fputc('\n', out);
}

/* False: the pool is done. */
static bool write_some(
	struct leases_file *file, const struct address_pool *pool, uint64_t now_s, unsigned budget)
{
	char text[POOL_TEXT_MAX];
	struct lease_view view;

	if (!file->head_written)
		fprintf(file->out, "pool %s\n", address_pool_text(pool, text));
	file->head_written = true;
	while (budget--) {
		if (address_pool_next(pool, &file->position, 1, &view)) {
			if (view.id)
				write_lease(file->out, &view, now_s);
		} else if (address_pool_at_end(pool, file->position)) {
			return false;
		}
	}
	return true;
}

/* Of pools whose connections have not been loaded yet, or not again. */
static void write_old(struct leases_file *file)
{
	if ((uint64_t)time(NULL) > file->read_s + LEASE_LINGER_S)
		file->section_count = 0;
	for (size_t i = 0; i < file->section_count; i++) {
		const struct section *s = &file->sections[i];

		fprintf(file->out, "pool %s\n", s->pool);
		fwrite(s->text, 1, s->len, file->out);
	}
}

static void finish(struct leases_file *file)
{
	bool ok;

	write_old(file);
	fputs(TAIL, file->out);
	ok = !ferror(file->out);
	ok = fclose(file->out) == 0 && ok;
	file->out = NULL;
	if (ok && rename(file->temporary, file->path) == 0)
		return;
	log_line(LOG_LINE_WARNING, "leases cannot be saved: %s: %s", file->path, strerror(errno));
	unlink(file->temporary);
}

bool leases_file_write(
	struct leases_file *file, const struct pools *pools, uint64_t now_s, unsigned budget)
{
	const struct address_pool *pool = pools_at(pools, file->pool);

	if (pool) {
		if (!write_some(file, pool, now_s, budget)) {
			file->pool++;
			file->position = 0;
			file->head_written = false;
		}
		return false;
	}
	finish(file);
	return true;
}
