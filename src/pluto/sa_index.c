#include "sa_index.h"

#include "report.h"
#include "view_text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RECORD_MAX 512
/* Different suites in use; of more the text is left out. */
#define SUITES_MAX 256

struct sa_index {
	struct table *entries;
	struct sa_entry *first;
	uint64_t active;
	char *suites[SUITES_MAX];
	size_t suite_count;
	char partial[RECORD_MAX]; /* a record that has not come completely */
	size_t partial_len;
};

struct sa_index *sa_index_new(void)
{
	struct sa_index *index = calloc(1, sizeof(*index));

	if (!index)
		return NULL;
	index->entries = table_new();
	if (index->entries)
		return index;
	free(index);
	return NULL;
}

void sa_index_free(struct sa_index *index)
{
	struct sa_entry *next;

	if (!index)
		return;
	for (struct sa_entry *e = index->first; e; e = next) {
		next = e->next;
		free(e);
	}
	for (size_t i = 0; i < index->suite_count; i++)
		free(index->suites[i]);
	table_free(index->entries);
	free(index);
}

static struct sa_entry *find(const struct sa_index *index, uint64_t connection)
{
	struct table_node *node = table_first(index->entries, table_hash_u64(connection));

	for (; node; node = table_next(node)) {
		struct sa_entry *e =
			(struct sa_entry *)((char *)node - offsetof(struct sa_entry, node));

		if (e->connection == connection)
			return e;
	}
	return NULL;
}

const struct sa_entry *sa_index_find(const struct sa_index *index, uint64_t connection)
{
	return find(index, connection);
}

uint64_t sa_index_active(const struct sa_index *index)
{
	return index->active;
}

/* ---- the shards' side --------------------------------------------------------- */

/* "connection instance ike child ike-suite child-suite", 0 and "-" for what is not established. */
static void say_record(struct report_text *text, const struct ike_sa_view *view,
	const struct connection *c, const struct child_view *child)
{
	char ike[CHOSEN_TEXT_MAX] = "-", esp[CHOSEN_TEXT_MAX] = "-";

	if (view->established)
		view_ike_suite(&view->chosen, ike, sizeof(ike));
	if (child)
		chosen_child_text(&child->chosen, esp);
	report_printf(text, "%llu %u %llu %llu %s %s\n", (unsigned long long)c->serial,
		view->instance, (unsigned long long)(view->established ? view->serial : 0),
		(unsigned long long)(child ? child->serial : 0), ike, esp);
}

/* One for the IKE SA's connection with its newest Child SA, and one for each Child SA of others. */
void sa_index_visit(struct report_text *text, struct ike_engine *engine,
	const struct ike_sa_view *view, const struct ipsec_counters *counters, void *arg)
{
	struct child_view child = view->child, newest = {0};
	const struct report_filter *filter = arg;

	(void)counters;
	if (!view->connection)
		return;
	for (unsigned i = 0; i < view->child_count; i++) {
		if (i && !ike_engine_child_at(engine, view->serial, i, &child))
			continue;
		if (!child.established)
			continue;
		if (child.connection->serial != view->connection->serial) {
			if (view_child_passes(&child, filter))
				say_record(text, view, child.connection, &child);
		} else if (child.serial > newest.serial) {
			newest = child;
		}
	}
	if (view_passes(view, filter))
		say_record(text, view, view->connection, newest.serial ? &newest : NULL);
}

/* ---- the control thread's ----------------------------------------------------- */

static const char *intern(struct sa_index *index, const char *suite)
{
	if (strcmp(suite, "-") == 0)
		return NULL;
	for (size_t i = 0; i < index->suite_count; i++)
		if (strcmp(index->suites[i], suite) == 0)
			return index->suites[i];
	if (index->suite_count == SUITES_MAX)
		return NULL;
	index->suites[index->suite_count] = strdup(suite);
	return index->suites[index->suite_count] ? index->suites[index->suite_count++] : NULL;
}

static struct sa_entry *find_or_add(struct sa_index *index, uint64_t connection)
{
	struct sa_entry *e = find(index, connection);

	if (e)
		return e;
	e = calloc(1, sizeof(*e));
	if (!e)
		return NULL;
	e->connection = connection;
	if (!table_insert(index->entries, &e->node, table_hash_u64(connection))) {
		free(e);
		return NULL;
	}
	e->next = index->first;
	index->first = e;
	return e;
}

static bool take_record(struct sa_index *index, const char *record)
{
	unsigned long long connection, ike, child;
	char ike_suite[CHOSEN_TEXT_MAX], child_suite[CHOSEN_TEXT_MAX];
	unsigned instance;
	struct sa_entry *e;

	_Static_assert(CHOSEN_TEXT_MAX == 160, "the widths below");
	if (sscanf(record, "%llu %u %llu %llu %159s %159s", &connection, &instance, &ike, &child,
		    ike_suite, child_suite) != 6)
		return true;
	e = find_or_add(index, connection);
	if (!e)
		return false;
	if (instance) {
		e->instances += child != 0;
		index->active += child != 0;
		return true;
	}
	if (ike > e->ike) {
		e->ike = ike;
		e->ike_algorithms = intern(index, ike_suite);
	}
	if (child > e->child) {
		index->active += e->child == 0;
		e->child = child;
		e->child_algorithms = intern(index, child_suite);
	}
	return true;
}

bool sa_index_take(struct sa_index *index, const char *text, size_t len)
{
	bool ok = true;

	for (size_t i = 0; i < len; i++) {
		if (text[i] != '\n') {
			if (index->partial_len < RECORD_MAX - 1)
				index->partial[index->partial_len++] = text[i];
			continue;
		}
		index->partial[index->partial_len] = '\0';
		index->partial_len = 0;
		ok = take_record(index, index->partial) && ok;
	}
	return ok;
}
