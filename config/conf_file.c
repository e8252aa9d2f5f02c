#include "conf_reading.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CONNS_MAX 4000000u
#define SHOWN_MAX 64 /* bytes of a wrong word in a message */

static int shown(struct bytes word)
{
	return word.len < SHOWN_MAX ? (int)word.len : SHOWN_MAX;
}

bool conf_fail_at(struct conf_reading *reading, struct conf_origin origin, const char *format, ...)
{
	char reason[512];
	va_list args;
	va_start(args, format);
	vsnprintf(reason, sizeof(reason), format, args);
	va_end(args);
	struct text_file place = {.path = origin.file, .line = origin.line};
	return text_fail(&reading->text, &place, "%s", reason);
}

static void warn_duplicate(struct conf_reading *reading, struct conf_origin origin,
	const char *section, const char *key)
{
	if (reading->warn == NULL)
		return;
	char text[8192];
	snprintf(text, sizeof(text), "%s:%u: %s: duplicate %s= is ignored", origin.file,
		origin.line, section != NULL ? section : "config setup", key);
	reading->warn(text, reading->warn_arg);
}

/* ---- sections ----------------------------------------------------------- */

int conf_section_set(
	struct conf_section *section, const char *key, const char *value, struct conf_origin origin)
{
	size_t room = section->parameters.room;
	if (section->parameters.count == CONF_PARAMETERS_MAX)
		return keyvalues_get(&section->parameters, key) != NULL ? EEXIST : E2BIG;
	if (!keyvalues_set(&section->parameters, key, value))
		return errno == EEXIST ? EEXIST : ENOMEM;
	if (section->parameters.room != room) {
		struct conf_origin *origins =
			reallocarray(section->origins, section->parameters.room, sizeof(*origins));
		if (origins == NULL)
			return ENOMEM;
		section->origins = origins;
	}
	section->origins[section->parameters.count - 1] = origin;
	return 0;
}

void conf_section_release(struct conf_section *section)
{
	keyvalues_release(&section->parameters);
	free(section->origins);
	free(section->name);
	*section = (struct conf_section){0};
}

static void raw_conn_free(struct raw_conn *conn)
{
	for (size_t i = 0; i < conn->also_count; i++)
		free(conn->also[i].name);
	free(conn->also);
	conf_section_release(&conn->section);
	free(conn);
}

struct raw_conn *conf_find_conn(const struct conf_reading *reading, const char *name)
{
	uint64_t hash = table_hash(&reading->seed, name, strlen(name));
	struct table_node *node = table_first(reading->names, hash);
	for (; node != NULL; node = table_next(node)) {
		struct raw_conn *conn =
			(struct raw_conn *)(void *)((char *)node -
						    offsetof(struct raw_conn, by_name));
		if (strcmp(conn->section.name, name) == 0)
			return conn;
	}
	return NULL;
}

static bool keep_conn(struct conf_reading *reading, struct raw_conn *conn)
{
	if (reading->conn_count == reading->conn_room) {
		size_t room = reading->conn_room == 0 ? 16 : reading->conn_room * 2;
		struct raw_conn **conns = reallocarray(reading->conns, room, sizeof(*conns));
		if (conns == NULL)
			return false;
		reading->conns = conns;
		reading->conn_room = room;
	}
	const char *name = conn->section.name;
	uint64_t hash = table_hash(&reading->seed, name, strlen(name));
	if (!table_insert(reading->names, &conn->by_name, hash))
		return false;
	reading->conns[reading->conn_count++] = conn;
	return true;
}

static bool open_conn(struct conf_reading *reading, struct text_file *file, struct bytes word)
{
	if (!text_is_name(word)) {
		return text_fail(&reading->text, file,
			"\"%.*s\" is not a name for a conn (letters, digits, '.', '_', '-')",
			shown(word), (const char *)word.data);
	}
	struct raw_conn *conn = calloc(1, sizeof(*conn));
	char *name = text_copy(word);
	if (conn == NULL || name == NULL) {
		free(conn);
		free(name);
		return text_fail(&reading->text, file, "out of memory");
	}
	conn->section = (struct conf_section){.name = name, .file = file->path, .line = file->line};
	conn->default_count = reading->defaults.parameters.count;
	const struct raw_conn *other = conf_find_conn(reading, name);
	bool ok = true;
	if (other != NULL) {
		ok = text_fail(&reading->text, file, "conn %s is there already, at %s:%u", name,
			other->section.file, other->section.line);
	} else if (reading->conn_count == CONNS_MAX) {
		ok = text_fail(&reading->text, file, "more than %u conns", CONNS_MAX);
	} else if (!keep_conn(reading, conn)) {
		ok = text_fail(&reading->text, file, "out of memory");
	}
	if (!ok) {
		raw_conn_free(conn);
		return false;
	}
	reading->open = &conn->section;
	reading->open_conn = conn;
	return true;
}

static bool open_section(
	struct conf_reading *reading, struct text_file *file, struct bytes type, struct bytes name)
{
	reading->open_conn = NULL;
	if (text_equal(type, "conn") && !text_equal(name, "%default"))
		return open_conn(reading, file, name);
	if (text_equal(type, "config") && !text_equal(name, "setup")) {
		return text_fail(&reading->text, file,
			"only \"config setup\" is known, not \"%.*s\"", shown(name),
			(const char *)name.data);
	}
	reading->open = text_equal(type, "conn") ? &reading->defaults : &reading->out->setup;
	if (reading->open->file == NULL) {
		reading->open->file = file->path;
		reading->open->line = file->line;
	}
	return true;
}

/* ---- lines -------------------------------------------------------------- */

static bool at_line_end(struct conf_reading *reading, struct text_file *file, struct bytes rest)
{
	if (!text_skip_blanks(&rest, false))
		return true;
	return text_fail(&reading->text, file,
		"unexpected \"%.*s\" (a value with blanks stands in double quotes)", shown(rest),
		(const char *)rest.data);
}

/* A line in the first column. */
static bool read_heading(struct conf_reading *reading, struct text_file *file, struct bytes rest)
{
	struct bytes type = text_bare_word(&rest), name = {0};
	reading->open = NULL;
	if (text_equal(type, "version"))
		return true;
	if (text_skip_blanks(&rest, false)) {
		if (rest.data[0] != '"') {
			name = text_bare_word(&rest);
		} else if (!text_quoted(&rest, '"', &name)) {
			return text_fail(
				&reading->text, file, "the closing double quote is missing");
		}
	}
	if (!at_line_end(reading, file, rest))
		return false;
	if (text_equal(type, "include")) {
		bool ok = text_include(&reading->text, file, name);
		reading->open = NULL;
		return ok;
	}
	if (text_equal(type, "conn") || text_equal(type, "config"))
		return open_section(reading, file, type, name);
	return text_fail(&reading->text, file,
		"\"%.*s\": expected \"config setup\", \"conn NAME\" or \"include FILE\" "
		"(parameters are indented)",
		shown(type), (const char *)type.data);
}

static bool read_value(struct conf_reading *reading, struct text_file *file, struct bytes rest,
	struct bytes *value)
{
	*value = bytes_of("", 0);
	if (!text_skip_blanks(&rest, false))
		return true;
	uint8_t end = rest.data[0] == '"' ? '"' : rest.data[0] == '{' ? '}' : 0;
	if (end == 0) {
		*value = text_bare_word(&rest);
		if (memchr(value->data, '"', value->len) != NULL) {
			return text_fail(&reading->text, file,
				"a double quote may only stand around the whole value");
		}
	} else if (!text_quoted(&rest, end, value)) {
		return text_fail(&reading->text, file, "the closing %c is missing", end);
	}
	return at_line_end(reading, file, rest);
}

static bool split_parameter(struct conf_reading *reading, struct text_file *file, struct bytes rest,
	struct bytes *key, struct bytes *value)
{
	size_t len = 0;
	while (len < rest.len && !text_is_blank(rest.data[len]) && rest.data[len] != '=')
		len++;
	*key = bytes_of(rest.data, len);
	rest = bytes_of(rest.data + len, rest.len - len);
	if (!text_is_name(*key) || (key->data[0] >= '0' && key->data[0] <= '9') ||
		key->data[0] == '_') {
		return text_fail(&reading->text, file, "\"%.*s\" is not the name of a parameter",
			shown(*key), (const char *)key->data);
	}
	if (!text_skip_blanks(&rest, false) || rest.data[0] != '=') {
		return text_fail(&reading->text, file, "'=' is missing behind \"%.*s\"",
			shown(*key), (const char *)key->data);
	}
	return read_value(reading, file, bytes_of(rest.data + 1, rest.len - 1), value);
}

static bool add_also(struct conf_reading *reading, struct text_file *file, struct bytes value)
{
	struct raw_conn *conn = reading->open_conn;
	if (conn == NULL)
		return text_fail(&reading->text, file, "also= may stand in a named conn only");
	if (conn->also_count == CONF_ALSO_MAX) {
		return text_fail(
			&reading->text, file, "more than %d also= in one conn", CONF_ALSO_MAX);
	}
	struct also *also = reallocarray(conn->also, conn->also_count + 1, sizeof(*also));
	if (also == NULL)
		return text_fail(&reading->text, file, "out of memory");
	conn->also = also;
	also[conn->also_count] = (struct also){
		.name = text_copy(value), .origin = {.file = file->path, .line = file->line}};
	if (also[conn->also_count].name == NULL)
		return text_fail(&reading->text, file, "out of memory");
	conn->also_count++;
	return true;
}

static bool add_parameter(
	struct conf_reading *reading, struct text_file *file, struct bytes key, struct bytes value)
{
	struct conf_origin origin = {.file = file->path, .line = file->line};
	char *key_text = text_copy(key), *value_text = text_copy(value);
	int error = ENOMEM;
	if (key_text != NULL && value_text != NULL)
		error = conf_section_set(reading->open, key_text, value_text, origin);
	if (error == EEXIST) {
		warn_duplicate(reading, origin,
			reading->open == &reading->defaults ? "%default" : reading->open->name,
			key_text);
		error = 0;
	}
	free(key_text);
	free(value_text);
	if (error == 0)
		return true;
	return error == E2BIG ? text_fail(&reading->text, file,
					"more than %d parameters in a section", CONF_PARAMETERS_MAX)
			      : text_fail(&reading->text, file, "out of memory");
}

/* An indented line. */
static bool read_parameter(struct conf_reading *reading, struct text_file *file, struct bytes rest)
{
	struct bytes key, value;
	if (reading->open == NULL)
		return text_fail(&reading->text, file, "a parameter outside of a section");
	if (!split_parameter(reading, file, rest, &key, &value))
		return false;
	bool comment = key.len > 1 && (key.data[0] == 'x' || key.data[0] == 'X') &&
		       (key.data[1] == '-' || key.data[1] == '_');
	if (comment)
		return true;
	return text_equal(key, "also") ? add_also(reading, file, value)
				       : add_parameter(reading, file, key, value);
}

static bool read_conf(struct text_reading *text, struct text_file *file)
{
	struct conf_reading *reading = text->arg;
	/* Sections point to the name of their file for as long as the caller has them. */
	const char *name =
		text_keep_name(&reading->out->files, &reading->out->file_count, file->path);
	if (name == NULL)
		return text_fail(text, file, "out of memory");
	file->path = name;
	reading->open = NULL;
	struct bytes line;
	bool failed;
	while (text_next_line(text, file, &line, &failed)) {
		struct bytes rest = line;
		if (!text_skip_blanks(&rest, true))
			continue;
		bool ok = rest.data == line.data ? read_heading(reading, file, rest)
						 : read_parameter(reading, file, rest);
		if (!ok)
			return false;
	}
	return !failed;
}

/* ---- the whole ---------------------------------------------------------- */

static bool hand_over(struct conf_reading *reading)
{
	struct conf_file *out = reading->out;
	out->conns = calloc(reading->conn_count + 1, sizeof(*out->conns));
	if (out->conns == NULL)
		return text_fail(&reading->text, NULL, "out of memory");
	for (size_t i = 0; i < reading->conn_count; i++) {
		out->conns[i] = reading->conns[i]->section;
		reading->conns[i]->section = (struct conf_section){0};
	}
	out->conn_count = reading->conn_count;
	return true;
}

bool conf_file_read(const char *path, struct conf_file *out,
	void (*warn)(const char *text, void *arg), void *arg, char *error, size_t error_size)
{
	*out = (struct conf_file){0};
	struct conf_reading reading = {.out = out, .warn = warn, .warn_arg = arg};
	reading.text = (struct text_reading){
		.error = {.text = error, .size = error_size}, .each = read_conf, .arg = &reading};
	arc4random_buf(&reading.seed, sizeof(reading.seed));
	reading.names = table_new();
	bool ok = reading.names != NULL ? text_read_file(&reading.text, path)
					: text_fail(&reading.text, NULL, "out of memory");
	ok = ok && conf_resolve_also(&reading) && hand_over(&reading);
	for (size_t i = 0; i < reading.conn_count; i++)
		raw_conn_free(reading.conns[i]);
	free(reading.conns);
	conf_section_release(&reading.defaults);
	if (reading.names != NULL)
		table_free(reading.names);
	if (!ok)
		conf_file_release(out);
	return ok;
}

void conf_file_release(struct conf_file *conf)
{
	conf_section_release(&conf->setup);
	for (size_t i = 0; i < conf->conn_count; i++)
		conf_section_release(&conf->conns[i]);
	free(conf->conns);
	for (size_t i = 0; i < conf->file_count; i++)
		free(conf->files[i]);
	free(conf->files);
	*conf = (struct conf_file){0};
}
