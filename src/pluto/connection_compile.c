#include "compile.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool compile_fail(struct compile *cc, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(cc->error, cc->error_size, format, args);
	va_end(args);
	return false;
}

void compile_warn(struct compile *cc, const char *format, ...)
{
	char text[512];
	va_list args;

	if (!cc->context->warn)
		return;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	cc->context->warn(cc->context->arg, text);
}

/* It stands between quotes in every line of the log. */
static bool check_name(struct compile *cc, const char *what, const char *name)
{
	size_t len = strlen(name);

	if (len == 0 || len > CONNECTION_NAME_MAX)
		return compile_fail(
			cc, "%s must have 1 to %d characters", what, CONNECTION_NAME_MAX);
	for (size_t i = 0; i < len; i++)
		if (!isgraph((unsigned char)name[i]) || strchr("\"\\'", name[i]))
			return compile_fail(cc, "%s has a character that is not allowed (0x%02x)",
				what, (unsigned char)name[i]);
	return true;
}

static void set_defaults(struct connection *c)
{
	c->protocol = IPSEC_ESP;
	c->mode = IPSEC_TUNNEL;
	c->shunt = IPSEC_PROTECT;
	c->ike_life_s = 28800;
	c->child_life_s = 28800;
	c->rekey_margin_s = 540;
	c->rekey_fuzz_percent = 100;
	c->rekey = true;
	c->retransmit_interval_ms = 500;
	c->retransmit_timeout_s = 30;
	c->replay_window = 128;
	c->encapsulation = CHOICE_AUTO;
	c->nat_keepalive = true;
	c->fragmentation = true;
	c->pfs = true;
}

static bool check_aliases(struct compile *cc)
{
	for (char **alias = cc->c->aliases; alias && *alias; alias++)
		if (!check_name(cc, "connalias=", *alias))
			return false;
	return true;
}

/* The random part comes on top: the margin must fit into the shorter life even then. */
static void fit_rekey_margin(struct compile *cc)
{
	struct connection *c = cc->c;
	uint32_t life = c->ike_life_s < c->child_life_s ? c->ike_life_s : c->child_life_s;
	uint64_t most = (uint64_t)c->rekey_margin_s * (100u + c->rekey_fuzz_percent) / 100u;
	uint32_t fits = (uint32_t)((uint64_t)life / 2 * 100u / (100u + c->rekey_fuzz_percent));

	if (!c->rekey || most < life)
		return;
	compile_warn(cc,
		"rekeymargin=%us with rekeyfuzz=%u%% does not fit into a life of %us: reduced to "
		"%us",
		c->rekey_margin_s, c->rekey_fuzz_percent, life, fits);
	c->rekey_margin_s = fits;
}

static bool compile_all(struct compile *cc, const struct keyvalues *description)
{
	for (size_t i = 0; i < description->count; i++)
		if (!compile_parameter(cc, description->items[i].key, description->items[i].value))
			return false;
	if (!check_aliases(cc) || !compile_ends(cc) || !compile_protocol(cc) ||
		!compile_proposals(cc) || !compile_binding(cc))
		return false;
	fit_rekey_margin(cc);
	return true;
}

struct connection *connection_compile(const char *name, const struct keyvalues *description,
	const struct compile_context *context, char *error, size_t error_size)
{
	struct compile cc = {.context = context,
		.error = error,
		.error_size = error_size,
		.ends = {{.side = "left"}, {.side = "right"}},
		.esn = 2};

	if (!check_name(&cc, "the name", name))
		return NULL;
	cc.c = connection_new(name);
	if (!cc.c) {
		compile_fail(&cc, "out of memory");
		return NULL;
	}
	set_defaults(cc.c);
	if (compile_all(&cc, description))
		return cc.c;
	connection_unref(cc.c);
	return NULL;
}
