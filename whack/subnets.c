/* Connections for all pairs of subnets. */
#include "subnets.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAME_MAX_LEN 300
#define SEPARATORS   ", \t"

/* A side's subnets in order; the first may be NULL: what the side has without any. */
struct side {
	const char *key;
	char *text; /* that the members lie in */
	const char *members[SUBNETS_CONNECTIONS_MAX];
	size_t count, first_number;
};

bool subnets_given(const struct keyvalues *parameters)
{
	return keyvalues_get(parameters, "leftsubnets") ||
	       keyvalues_get(parameters, "rightsubnets");
}

/* Without the braces; false: one of them is missing. */
static bool strip_braces(char **text)
{
	size_t len;

	*text += strspn(*text, " \t");
	len = strlen(*text);
	while (len && strchr(" \t", (*text)[len - 1]))
		(*text)[--len] = '\0';
	if (**text == '{' && len > 1 && (*text)[len - 1] == '}') {
		(*text)[len - 1] = '\0';
		(*text)++;
	}
	return !strpbrk(*text, "{}");
}

static bool take_list(struct side *side, const char *list, char *error, size_t error_size)
{
	char *at, *word;

	side->text = at = strdup(list);
	if (!at) {
		snprintf(error, error_size, "out of memory");
		return false;
	}
	if (!strip_braces(&at)) {
		snprintf(error, error_size, "%ss=%.80s: a brace is missing", side->key, list);
		return false;
	}
	while ((word = strsep(&at, SEPARATORS))) {
		if (!*word)
			continue;
		if (side->count == SUBNETS_CONNECTIONS_MAX) {
			snprintf(error, error_size, "%ss= has more than %d subnets", side->key,
				SUBNETS_CONNECTIONS_MAX);
			return false;
		}
		side->members[side->count++] = word;
	}
	return true;
}

static bool take_side(struct side *side, const char *key, const struct keyvalues *parameters,
	char *error, size_t error_size)
{
	char list_key[32];
	const char *own = keyvalues_get(parameters, key), *list;

	snprintf(list_key, sizeof(list_key), "%ss", key);
	list = keyvalues_get(parameters, list_key);
	*side = (struct side){.key = key, .first_number = own || !list ? 0 : 1};
	if (own || !list)
		side->members[side->count++] = own;
	return !list || take_list(side, list, error, error_size);
}

static bool copy_rest(struct keyvalues *to, const struct keyvalues *from)
{
	static const char *const replaced[] = {
		"leftsubnet", "leftsubnets", "rightsubnet", "rightsubnets", "connalias"};

	for (size_t i = 0; i < from->count; i++) {
		bool skip = false;

		for (size_t k = 0; k < sizeof(replaced) / sizeof(replaced[0]); k++)
			skip |= !strcmp(from->items[i].key, replaced[k]);
		if (!skip && !keyvalues_set(to, from->items[i].key, from->items[i].value))
			return false;
	}
	return true;
}

static bool set_alias(struct keyvalues *to, const struct keyvalues *from, const char *name)
{
	const char *aliases = keyvalues_get(from, "connalias");
	size_t size = strlen(name) + (aliases ? strlen(aliases) : 0) + 2;
	char *text = malloc(size);
	bool ok;

	if (!text)
		return false;
	snprintf(text, size, "%s%s%s", name, aliases ? " " : "", aliases ? aliases : "");
	ok = keyvalues_set(to, "connalias", text);
	free(text);
	return ok;
}

static bool set_subnet(struct keyvalues *to, const struct side *side, size_t i)
{
	return !side->members[i] || keyvalues_set(to, side->key, side->members[i]);
}

static bool visit_pair(const char *name, const struct keyvalues *parameters,
	const struct side *left, size_t l, const struct side *right, size_t r, subnets_visit *visit,
	void *arg, char *error, size_t error_size)
{
	struct keyvalues own = {0};
	char full[NAME_MAX_LEN];
	bool ok = copy_rest(&own, parameters) && set_alias(&own, parameters, name) &&
		  set_subnet(&own, left, l) && set_subnet(&own, right, r);

	if (!ok) {
		snprintf(error, error_size, "out of memory");
	} else {
		snprintf(full, sizeof(full), "%.255s/%zux%zu", name, left->first_number + l,
			right->first_number + r);
		ok = visit(full, &own, arg);
	}
	keyvalues_release(&own);
	return ok;
}

static bool visit_all(const char *name, const struct keyvalues *parameters, const struct side *left,
	const struct side *right, subnets_visit *visit, void *arg, char *error, size_t error_size)
{
	if (left->count * right->count > SUBNETS_CONNECTIONS_MAX || !left->count || !right->count) {
		snprintf(error, error_size, "leftsubnets= and rightsubnets= make %zu connections%s",
			left->count * right->count,
			left->count && right->count ? ": too many" : "");
		return false;
	}
	for (size_t l = 0; l < left->count; l++) {
		for (size_t r = 0; r < right->count; r++) {
			if (!visit_pair(name, parameters, left, l, right, r, visit, arg, error,
				    error_size))
				return false;
		}
	}
	return true;
}

bool subnets_expand(const char *name, const struct keyvalues *parameters, subnets_visit *visit,
	void *arg, char *error, size_t error_size)
{
	struct side *sides = calloc(2, sizeof(*sides));
	bool ok;

	*error = '\0';
	if (!sides) {
		snprintf(error, error_size, "out of memory");
		return false;
	}
	ok = take_side(&sides[0], "leftsubnet", parameters, error, error_size) &&
	     take_side(&sides[1], "rightsubnet", parameters, error, error_size) &&
	     visit_all(name, parameters, &sides[0], &sides[1], visit, arg, error, error_size);
	free(sides[0].text);
	free(sides[1].text);
	free(sides);
	return ok;
}
