/* Log lines in pluto's form: `"name"[N] PEER #S: text`, to the log and to whoever watches. */
#include "create_child.h"
#include "engine_state.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define LINE_MAX_LEN 1400

bool rate_limit_pass(struct rate_limit *limit, uint64_t now_ms)
{
	uint64_t refill = (now_ms - limit->since_ms) * limit->rate / 1000;

	if (refill) {
		limit->tokens =
			limit->tokens + refill > limit->rate ? limit->rate : limit->tokens + refill;
		limit->since_ms = now_ms;
	}
	if (!limit->tokens)
		return false;
	limit->tokens--;
	return true;
}

__attribute__((format(printf, 4, 0))) static void log_with_prefix(struct ike_engine *engine,
	enum log_severity severity, const char *prefix, const char *format, va_list args,
	ike_watcher watcher, enum ike_rc code)
{
	char line[LINE_MAX_LEN];
	int n = snprintf(line, sizeof(line), "%s", prefix);

	if (n < 0 || (size_t)n >= sizeof(line))
		n = 0;
	n += vsnprintf(line + n, sizeof(line) - n, format, args);
	if ((size_t)n >= sizeof(line))
		n = sizeof(line) - 1;
	engine->host->log(engine->host, severity, watcher, code, line, n);
}

/* `"name"` or `"name"[N] PEER`; without a connection: the peer's end point. */
static int sa_prefix(
	const struct ike_sa *sa, const struct connection *c, char *out, size_t size)
{
	char peer[IP_RANGE_TEXT_MAX];

	if (!c)
		return snprintf(out, size, "%s", ip_endpoint_text(&sa->path.remote, peer));
	if (!sa->instance)
		return snprintf(out, size, "\"%s\"", c->name);
	return snprintf(out, size, "\"%s\"[%u] %s", c->name, sa->instance,
		ip_text(&sa->path.remote.address, peer));
}

void ike_sa_log(
	struct ike_sa *sa, enum log_severity severity, enum ike_rc code, const char *format, ...)
{
	char prefix[400];
	va_list args;
	int n;

	if (severity == LOG_LINE_DEBUG && !log_debug_on())
		return;
	n = sa_prefix(sa, sa->connection, prefix, sizeof(prefix) - 32);
	if (n > (int)sizeof(prefix) - 33)
		n = sizeof(prefix) - 33;
	snprintf(prefix + n, sizeof(prefix) - n, " #%llu: ", (unsigned long long)sa->serial);
	va_start(args, format);
	log_with_prefix(sa->engine, severity, prefix, format, args, sa->watcher, code);
	va_end(args);
}

/* Who ordered it, or who watches the IKE SA. */
static ike_watcher child_watcher(const struct child_sa *child)
{
	const struct create_child *x = child->ike_sa->creating;

	while (x && (x->child != child || !x->initiator))
		x = x->next;
	return x && x->watcher ? x->watcher : child->ike_sa->watcher;
}

void child_sa_log(const struct child_sa *child, enum log_severity severity, enum ike_rc code,
	const char *format, ...)
{
	char prefix[400];
	va_list args;
	int n;

	if (severity == LOG_LINE_DEBUG && !log_debug_on())
		return;
	n = sa_prefix(child->ike_sa, child->connection, prefix, sizeof(prefix) - 32);
	if (n > (int)sizeof(prefix) - 33)
		n = sizeof(prefix) - 33;
	snprintf(prefix + n, sizeof(prefix) - n, " #%llu: ", (unsigned long long)child->serial);
	va_start(args, format);
	log_with_prefix(child->ike_sa->engine, severity, prefix, format, args,
		child_watcher(child), code);
	va_end(args);
}

void connection_log(struct ike_engine *engine, const struct connection *c, ike_watcher watcher,
	enum log_severity severity, enum ike_rc code, const char *format, ...)
{
	char prefix[400];
	va_list args;

	snprintf(prefix, sizeof(prefix), "\"%s\": ", c->name);
	va_start(args, format);
	log_with_prefix(engine, severity, prefix, format, args, watcher, code);
	va_end(args);
}

void packet_log(struct ike_engine *engine, const struct ike_path *path, const char *format, ...)
{
	char prefix[128], peer[IP_RANGE_TEXT_MAX];
	va_list args;

	if (!rate_limit_pass(&engine->log_limit, engine_now(engine)))
		return;
	snprintf(prefix, sizeof(prefix), "packet from %s: ", ip_endpoint_text(&path->remote, peer));
	va_start(args, format);
	log_with_prefix(engine, LOG_LINE_WARNING, prefix, format, args, 0, RC_OK);
	va_end(args);
}
