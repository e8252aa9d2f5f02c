#include "text_file.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NAME_MAX_LEN 255

bool text_fail(struct text_reading *reading, const struct text_file *file, const char *format, ...)
{
	int used = 0;
	if (file != NULL) {
		used = snprintf(reading->error.text, reading->error.size, "%s:%u: ", file->path,
			file->line);
	}
	if (used >= 0 && (size_t)used < reading->error.size) {
		va_list args;
		va_start(args, format);
		vsnprintf(reading->error.text + used, reading->error.size - (size_t)used, format,
			args);
		va_end(args);
	}
	return false;
}

/* ---- whole files -------------------------------------------------------- */

/* Grows by copying into new memory, so that no copy of the text is left behind unwiped. */
static bool grow(struct secret *s, size_t len)
{
	struct secret bigger;
	if (!secret_new(&bigger, len))
		return false;
	if (s->len != 0)
		memcpy(bigger.data, s->data, s->len);
	secret_release(s);
	*s = bigger;
	return true;
}

/* Reads until the end, also when the file grows meanwhile. False with errno; EFBIG: too long. */
static bool read_all(int fd, size_t expected, struct secret *content, size_t *len)
{
	*len = 0;
	if (!secret_new(content, expected + 1)) {
		errno = ENOMEM;
		return false;
	}
	for (;;) {
		if (*len == content->len && !grow(content, content->len * 2)) {
			errno = ENOMEM;
			return false;
		}
		ssize_t n = read(fd, content->data + *len, content->len - *len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return false;
		if (n == 0)
			return true;
		*len += (size_t)n;
		if (*len > TEXT_FILE_MAX) {
			errno = EFBIG;
			return false;
		}
	}
}

static bool is_open_already(const struct text_file *file)
{
	for (const struct text_file *f = file->includer; f != NULL; f = f->includer)
		if (f->device == file->device && f->inode == file->inode)
			return true;
	return false;
}

/* An error about a file that could not be read belongs to the line that includes it. */
static bool fail_at_includer(
	struct text_reading *reading, const struct text_file *file, const char *reason)
{
	if (file->includer != NULL)
		return text_fail(reading, file->includer, "%s: %s", file->path, reason);
	return text_fail(reading, NULL, "%s: %s", file->path, reason);
}

static bool load_opened(struct text_reading *reading, struct text_file *file, int fd)
{
	struct stat st;
	if (fstat(fd, &st) != 0)
		return fail_at_includer(reading, file, strerror(errno));
	/* A pipe could let the reader wait for ever; of the devices only null has an end. */
	if (!S_ISREG(st.st_mode) && !S_ISCHR(st.st_mode))
		return fail_at_includer(reading, file, "is not a regular file");
	file->device = st.st_dev;
	file->inode = st.st_ino;
	if (is_open_already(file))
		return fail_at_includer(reading, file, "includes itself");
	size_t expected = S_ISREG(st.st_mode) && st.st_size > 0 ? (size_t)st.st_size : 0;
	size_t len = 0;
	errno = EFBIG;
	if (expected > TEXT_FILE_MAX || !read_all(fd, expected, &file->content, &len)) {
		return fail_at_includer(
			reading, file, errno == EFBIG ? "is longer than 64 MiB" : strerror(errno));
	}
	file->len = len;
	reading->used.bytes += len;
	if (reading->used.bytes > TEXT_TOTAL_MAX || ++reading->used.files > TEXT_FILES_MAX) {
		return fail_at_includer(
			reading, file, "too much is included (256 MiB, 1,000,000 files)");
	}
	return true;
}

static bool read_file(
	struct text_reading *reading, const struct text_file *includer, const char *path)
{
	struct text_file file = {.includer = includer, .path = path};
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0)
		return fail_at_includer(reading, &file, strerror(errno));
	bool ok = load_opened(reading, &file, fd);
	close(fd);
	ok = ok && reading->each(reading, &file);
	secret_release(&file.content);
	return ok;
}

bool text_read_file(struct text_reading *reading, const char *path)
{
	return read_file(reading, NULL, path);
}

/* ---- include ------------------------------------------------------------ */

static unsigned include_depth(const struct text_file *file)
{
	unsigned depth = 0;
	for (; file->includer != NULL; file = file->includer)
		depth++;
	return depth;
}

/* The name as seen from the directory of the including file. */
static char *resolve_name(const struct text_file *file, struct bytes name)
{
	const char *slash = strrchr(file->path, '/');
	int dir_len = name.data[0] == '/' || slash == NULL ? 0 : (int)(slash + 1 - file->path);
	char *path = NULL;
	if (asprintf(&path, "%.*s%.*s", dir_len, file->path, (int)name.len,
		    (const char *)name.data) < 0)
		return NULL;
	return path;
}

static bool include_pattern(
	struct text_reading *reading, const struct text_file *file, const char *pattern)
{
	glob_t found = {0};
	int r = glob(pattern, 0, NULL, &found);
	bool ok = true;
	if (r == GLOB_NOSPACE || r == GLOB_ABORTED)
		ok = text_fail(reading, file, "%s: the pattern cannot be expanded", pattern);
	for (size_t i = 0; r == 0 && ok && i < found.gl_pathc; i++)
		ok = read_file(reading, file, found.gl_pathv[i]);
	globfree(&found);
	return ok;
}

bool text_include(struct text_reading *reading, const struct text_file *file, struct bytes name)
{
	if (name.len == 0 || name.len > 4096)
		return text_fail(reading, file, "include needs the name of a file");
	if (include_depth(file) >= TEXT_INCLUDE_MAX) {
		return text_fail(
			reading, file, "include files are nested deeper than %d", TEXT_INCLUDE_MAX);
	}
	char *path = resolve_name(file, name);
	if (path == NULL)
		return text_fail(reading, file, "out of memory");
	bool ok = strpbrk(path, "*?[") != NULL ? include_pattern(reading, file, path)
					       : read_file(reading, file, path);
	free(path);
	return ok;
}

/* ---- lines and words ---------------------------------------------------- */

static bool check_line(
	struct text_reading *reading, const struct text_file *file, struct bytes line)
{
	if (line.len > TEXT_LINE_MAX)
		return text_fail(reading, file, "the line is longer than %u bytes", TEXT_LINE_MAX);
	for (size_t i = 0; i < line.len; i++) {
		uint8_t c = line.data[i];
		if ((c < ' ' && c != '\t') || c == 0x7f) {
			return text_fail(
				reading, file, "control character \\%03o at column %zu", c, i + 1);
		}
	}
	return true;
}

bool text_next_line(
	struct text_reading *reading, struct text_file *file, struct bytes *line, bool *failed)
{
	*failed = false;
	if (file->at >= file->len)
		return false;
	const uint8_t *start = file->content.data + file->at;
	size_t left = file->len - file->at;
	const uint8_t *end = memchr(start, '\n', left);
	size_t len = end != NULL ? (size_t)(end - start) : left;
	file->at += len + 1;
	file->line++;
	if (len > 0 && start[len - 1] == '\r')
		len--;
	*line = bytes_of(start, len);
	*failed = !check_line(reading, file, *line);
	return !*failed;
}

bool text_is_name(struct bytes word)
{
	if (word.len == 0 || word.len > NAME_MAX_LEN || word.data[0] == '.' || word.data[0] == '-')
		return false;
	for (size_t i = 0; i < word.len; i++) {
		uint8_t c = word.data[i];
		bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
		if (!letter && !(c >= '0' && c <= '9') && c != '.' && c != '_' && c != '-')
			return false;
	}
	return true;
}

bool text_skip_blanks(struct bytes *rest, bool line_start)
{
	bool behind_blank = line_start;
	while (rest->len > 0 && text_is_blank(rest->data[0])) {
		*rest = bytes_of(rest->data + 1, rest->len - 1);
		behind_blank = true;
	}
	return rest->len > 0 && !(behind_blank && rest->data[0] == '#');
}

struct bytes text_bare_word(struct bytes *rest)
{
	size_t len = 0;
	while (len < rest->len && !text_is_blank(rest->data[len]))
		len++;
	struct bytes word = bytes_of(rest->data, len);
	*rest = bytes_of(rest->data + len, rest->len - len);
	return word;
}

bool text_quoted(struct bytes *rest, uint8_t end, struct bytes *out)
{
	if (rest->len < 2)
		return false;
	const uint8_t *start = rest->data + 1;
	const uint8_t *mark = memchr(start, end, rest->len - 1);
	if (mark == NULL)
		return false;
	*out = bytes_of(start, (size_t)(mark - start));
	*rest = bytes_of(mark + 1, rest->len - 2 - out->len);
	return true;
}

bool text_equal(struct bytes word, const char *text)
{
	return word.len == strlen(text) &&
	       strncasecmp((const char *)word.data, text, word.len) == 0;
}

char *text_copy(struct bytes word)
{
	return strndup((const char *)word.data, word.len);
}

const char *text_keep_name(char ***names, size_t *count, const char *name)
{
	/* The room is always the next power of two. */
	if ((*count & (*count - 1)) == 0) {
		char **more = reallocarray(*names, *count == 0 ? 1 : *count * 2, sizeof(*more));
		if (more == NULL)
			return NULL;
		*names = more;
	}
	char *copy = strdup(name);
	if (copy != NULL)
		(*names)[(*count)++] = copy;
	return copy;
}
