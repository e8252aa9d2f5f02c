/* also= and conn %default: a conn's own values come first, then those of the conns that it names,
 * in order and each with what it names itself, then the defaults. */
#include "conf_reading.h"

#include <errno.h>

static bool merge(struct conf_reading *reading, struct conf_section *into,
	const struct conf_section *from, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const struct keyvalue *kv = &from->parameters.items[i];
		int error = conf_section_set(into, kv->key, kv->value, from->origins[i]);
		if (error != 0 && error != EEXIST) {
			return conf_fail_at(reading, (struct conf_origin){into->file, into->line},
				error == E2BIG ? "conn %s has more than %d parameters"
					       : "conn %s: out of memory (%d)",
				into->name, error == E2BIG ? CONF_PARAMETERS_MAX : error);
		}
	}
	return true;
}

/* A conn is resolved once, whoever asks for it, so that a long chain costs no more than its length.
 */
static bool resolve(struct conf_reading *reading, struct raw_conn *conn, unsigned level)
{
	conn->resolving = true;
	for (size_t i = 0; i < conn->also_count; i++) {
		const struct also *also = &conn->also[i];
		struct raw_conn *other = conf_find_conn(reading, also->name);
		if (other == NULL) {
			return conf_fail_at(reading, also->origin, "also=%s: there is no such conn",
				also->name);
		}
		if (other->resolving) {
			return conf_fail_at(reading, also->origin,
				"also=%s: the conn includes itself", also->name);
		}
		if (!other->resolved && level < CONF_ALSO_DEPTH_MAX &&
			!resolve(reading, other, level + 1))
			return false;
		if (!other->resolved || other->height + 1 > CONF_ALSO_DEPTH_MAX) {
			return conf_fail_at(reading, also->origin, "also= is nested deeper than %d",
				CONF_ALSO_DEPTH_MAX);
		}
		if (conn->height < other->height + 1)
			conn->height = other->height + 1;
		if (!merge(reading, &conn->section, &other->section,
			    other->section.parameters.count))
			return false;
	}
	conn->resolving = false;
	conn->resolved = true;
	return true;
}

bool conf_resolve_also(struct conf_reading *reading)
{
	for (size_t i = 0; i < reading->conn_count; i++) {
		struct raw_conn *conn = reading->conns[i];
		if (!conn->resolved && !resolve(reading, conn, 0))
			return false;
	}
	/* Only now: a conn does not hand its defaults on. */
	for (size_t i = 0; i < reading->conn_count; i++) {
		struct raw_conn *conn = reading->conns[i];
		if (!merge(reading, &conn->section, &reading->defaults, conn->default_count))
			return false;
	}
	return true;
}
