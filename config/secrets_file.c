#include "secrets_reading.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ENTRIES_MAX   4000000u
#define INDICES_MAX   1024u /* of one entry; a store of secrets may bear less */
#define INDEX_LEN_MAX 1024u

/* What the next word of an entry is. */
enum expected {
	EXPECT_INDEX,
	EXPECT_TYPE,
	EXPECT_PPK_ID,
	EXPECT_VALUE,
	EXPECT_END,
	EXPECT_ANYTHING
};

struct entry {
	enum secret_kind kind;
	const char *file;
	unsigned line;
	size_t index_count;
	char **indices;
	char *ppk_id;
	struct secret value;
};

struct secrets_reading {
	struct text_reading text;
	size_t file_count;
	char **files;
	size_t entry_count, entry_room;
	struct entry **entries;
	struct entry *open; /* the last of them, while lines may still belong to it */
	enum expected expected;
};

/* ---- entries ------------------------------------------------------------ */

static void wipe_and_free(char *text)
{
	if (text != NULL)
		secret_wipe(text, strlen(text));
	free(text);
}

/* Where a colon is missing, a secret may have been taken for an index. */
static void entry_free(struct entry *entry)
{
	for (size_t i = 0; i < entry->index_count; i++)
		wipe_and_free(entry->indices[i]);
	free(entry->indices);
	wipe_and_free(entry->ppk_id);
	secret_release(&entry->value);
	free(entry);
}

static bool begin_entry(struct secrets_reading *reading, const struct text_file *file)
{
	if (reading->entry_count == ENTRIES_MAX)
		return text_fail(&reading->text, file, "more than %u secrets", ENTRIES_MAX);
	if (reading->entry_count == reading->entry_room) {
		size_t room = reading->entry_room == 0 ? 16 : reading->entry_room * 2;
		struct entry **entries = reallocarray(reading->entries, room, sizeof(*entries));
		if (entries == NULL)
			return text_fail(&reading->text, file, "out of memory");
		reading->entries = entries;
		reading->entry_room = room;
	}
	struct entry *entry = calloc(1, sizeof(*entry));
	if (entry == NULL)
		return text_fail(&reading->text, file, "out of memory");
	entry->file = file->path;
	entry->line = file->line;
	reading->entries[reading->entry_count++] = entry;
	reading->open = entry;
	reading->expected = EXPECT_INDEX;
	return true;
}

/* No more lines belong to the open entry: it must be whole. */
static bool end_entry(struct secrets_reading *reading)
{
	static const char *const missing[] = {
		[EXPECT_INDEX] = "the entry has no ':' with white space behind it",
		[EXPECT_TYPE] = "the entry ends behind its ':'",
		[EXPECT_PPK_ID] = "the entry has no name for its PPK",
		[EXPECT_VALUE] = "the entry has no secret",
	};
	const struct entry *entry = reading->open;
	reading->open = NULL;
	if (entry == NULL || reading->expected >= EXPECT_END)
		return true;
	struct text_file place = {.path = entry->file, .line = entry->line};
	return text_fail(&reading->text, &place, "%s", missing[reading->expected]);
}

/* ---- words -------------------------------------------------------------- */

static bool take_index(
	struct secrets_reading *reading, const struct text_file *file, struct bytes word)
{
	struct entry *entry = reading->open;
	if (word.len == 0 || word.len > INDEX_LEN_MAX)
		return text_fail(&reading->text, file, "an index of %zu bytes", word.len);
	if (entry->index_count == INDICES_MAX)
		return text_fail(&reading->text, file, "more than %u indices", INDICES_MAX);
	if (text_keep_name(&entry->indices, &entry->index_count, "") == NULL)
		return text_fail(&reading->text, file, "out of memory");
	char **last = &entry->indices[entry->index_count - 1];
	free(*last);
	*last = text_copy(word);
	if (*last == NULL) {
		entry->index_count--;
		return text_fail(&reading->text, file, "out of memory");
	}
	return true;
}

/* Indices may have colons themselves: one in front of white space ends them, unless it is the end
 * of an address that ends in "::". */
static bool take_index_or_colon(
	struct secrets_reading *reading, const struct text_file *file, struct secret_word word)
{
	struct bytes text = word.text;
	if (word.quoted)
		return take_index(reading, file, text);
	size_t colons = 0;
	while (colons < text.len && text.data[text.len - 1 - colons] == ':')
		colons++;
	if (colons == 1 || colons == 3) {
		reading->expected = EXPECT_TYPE;
		text.len--;
		return text.len == 0 || take_index(reading, file, text);
	}
	if (text.data[0] == ':' && (text.len == 1 || text.data[1] != ':'))
		return text_fail(&reading->text, file, "white space is missing behind the ':'");
	if (memchr(text.data, '"', text.len) != NULL) {
		return text_fail(
			&reading->text, file, "a double quote may only stand around a whole word");
	}
	return take_index(reading, file, text);
}

static bool take_type(
	struct secrets_reading *reading, const struct text_file *file, struct secret_word word)
{
	static const struct {
		const char *name;
		enum secret_kind kind;
		enum expected next;
	} types[] = {
		{"PSK", SECRET_PSK, EXPECT_VALUE},
		{"XAUTH", SECRET_XAUTH, EXPECT_VALUE},
		{"PPKS", SECRET_PPKS, EXPECT_PPK_ID},
		{"RSA", SECRET_IGNORED, EXPECT_ANYTHING},
		{"ECDSA", SECRET_IGNORED, EXPECT_ANYTHING},
		{"PIN", SECRET_IGNORED, EXPECT_ANYTHING},
	};
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]) && !word.quoted; i++) {
		if (text_equal(word.text, types[i].name)) {
			reading->open->kind = types[i].kind;
			reading->expected = types[i].next;
			return true;
		}
	}
	return text_fail(&reading->text, file, "expected PSK, XAUTH or PPKS behind the ':'");
}

static bool take_ppk_id(
	struct secrets_reading *reading, const struct text_file *file, struct secret_word word)
{
	if (word.text.len == 0 || word.text.len > INDEX_LEN_MAX)
		return text_fail(&reading->text, file, "a PPK name of %zu bytes", word.text.len);
	reading->open->ppk_id = text_copy(word.text);
	reading->expected = EXPECT_VALUE;
	return reading->open->ppk_id != NULL || text_fail(&reading->text, file, "out of memory");
}

static bool take_value(
	struct secrets_reading *reading, const struct text_file *file, struct secret_word word)
{
	const char *reason;
	if (!secret_value_parse(word, &reading->open->value, &reason))
		return text_fail(&reading->text, file, "%s", reason);
	reading->expected = EXPECT_END;
	return true;
}

static bool take_word(
	struct secrets_reading *reading, const struct text_file *file, struct secret_word word)
{
	switch (reading->expected) {
	case EXPECT_INDEX:
		return take_index_or_colon(reading, file, word);
	case EXPECT_TYPE:
		return take_type(reading, file, word);
	case EXPECT_PPK_ID:
		return take_ppk_id(reading, file, word);
	case EXPECT_VALUE:
		return take_value(reading, file, word);
	case EXPECT_END:
		return text_fail(&reading->text, file, "unexpected text behind the secret");
	case EXPECT_ANYTHING:
		break;
	}
	return true;
}

/* ---- lines -------------------------------------------------------------- */

static bool next_word(struct secrets_reading *reading, const struct text_file *file,
	struct bytes *rest, struct secret_word *word)
{
	uint8_t c = rest->data[0];
	word->quoted = c == '"' || c == '\'';
	if (!word->quoted) {
		word->text = text_bare_word(rest);
		return true;
	}
	if (!text_quoted(rest, c, &word->text))
		return text_fail(&reading->text, file, "the closing quote is missing");
	if (rest->len > 0 && !text_is_blank(rest->data[0]))
		return text_fail(&reading->text, file, "white space is missing behind a quote");
	return true;
}

static bool read_words(
	struct secrets_reading *reading, const struct text_file *file, struct bytes rest)
{
	bool line_start = true;
	while (text_skip_blanks(&rest, line_start)) {
		struct secret_word word;
		line_start = false;
		if (reading->expected == EXPECT_ANYTHING)
			return true; /* private keys of old files are full of odd text */
		if (!next_word(reading, file, &rest, &word) || !take_word(reading, file, word))
			return false;
	}
	return true;
}

static bool read_include(
	struct secrets_reading *reading, const struct text_file *file, struct bytes rest)
{
	struct secret_word name = {0};
	if (text_skip_blanks(&rest, false) && !next_word(reading, file, &rest, &name))
		return false;
	if (text_skip_blanks(&rest, false))
		return text_fail(&reading->text, file, "unexpected text behind the included file");
	return text_include(&reading->text, file, name.text);
}

/* A line in the first column: a new entry, or an include. */
static bool read_first_line(
	struct secrets_reading *reading, const struct text_file *file, struct bytes line)
{
	if (!end_entry(reading))
		return false;
	struct bytes rest = line;
	struct bytes word = text_bare_word(&rest);
	if (text_equal(word, "include"))
		return read_include(reading, file, rest);
	return begin_entry(reading, file) && read_words(reading, file, line);
}

static bool read_secrets(struct text_reading *text, struct text_file *file)
{
	struct secrets_reading *reading = text->arg;
	file->path = text_keep_name(&reading->files, &reading->file_count, file->path);
	if (file->path == NULL)
		return text_fail(text, NULL, "out of memory");
	struct bytes line;
	bool failed;
	while (text_next_line(text, file, &line, &failed)) {
		struct bytes rest = line;
		bool ok = true;
		if (!text_skip_blanks(&rest, true))
			continue;
		if (rest.data == line.data) {
			ok = read_first_line(reading, file, line);
		} else if (reading->open == NULL) {
			ok = text_fail(text, file,
				"an indented line goes on with an entry, and there is none before "
				"it");
		} else {
			ok = read_words(reading, file, rest);
		}
		if (!ok)
			return false;
	}
	return !failed && end_entry(reading);
}

/* ---- the whole ---------------------------------------------------------- */

static bool give_out(struct secrets_reading *reading,
	bool (*each)(const struct secret_line *line, void *arg, char *error, size_t error_size),
	void *arg)
{
	for (size_t i = 0; i < reading->entry_count; i++) {
		const struct entry *entry = reading->entries[i];
		struct secret_line line = {
			.kind = entry->kind,
			.file = entry->file,
			.line = entry->line,
			.indices = (const char *const *)entry->indices,
			.index_count = entry->index_count,
			.ppk_id = entry->ppk_id,
			.value = secret_bytes(&entry->value),
		};
		if (!each(&line, arg, reading->text.error.text, reading->text.error.size))
			return false;
	}
	return true;
}

bool secrets_file_read(const char *path,
	bool (*each)(const struct secret_line *line, void *arg, char *error, size_t error_size),
	void *arg, char *error, size_t error_size)
{
	struct secrets_reading reading = {0};
	reading.text = (struct text_reading){.error = {.text = error, .size = error_size},
		.each = read_secrets,
		.arg = &reading};
	bool ok = text_read_file(&reading.text, path) && give_out(&reading, each, arg);
	for (size_t i = 0; i < reading.entry_count; i++)
		entry_free(reading.entries[i]);
	free(reading.entries);
	for (size_t i = 0; i < reading.file_count; i++)
		free(reading.files[i]);
	free(reading.files);
	return ok;
}
