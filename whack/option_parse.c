#include "option_parse.h"
#include "option_table.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#ifndef PLUTONIUM_RUNDIR
#define PLUTONIUM_RUNDIR "/run/pluto"
#endif

#define OPTIONS_MAX 512

struct parse {
	struct whack_call *call;
	FILE *err;
	/* The option that gave each: for error texts. */
	const char *command_option;
	bool connection, right, delete_first;
	unsigned char seen[2][OPTIONS_MAX];
};

static int problem(const struct parse *p, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static int problem(const struct parse *p, const char *format, ...)
{
	va_list args;

	fputs("whack error: ", p->err);
	if (p->call->label)
		fprintf(p->err, "%s ", p->call->label);
	if (p->call->name)
		fprintf(p->err, "\"%s\" ", p->call->name);
	va_start(args, format);
	vfprintf(p->err, format, args);
	va_end(args);
	fputc('\n', p->err);
	return WHACK_EXIT_PROBLEM;
}

static int out_of_memory(const struct parse *p)
{
	return problem(p, "out of memory");
}

static int usage(const struct parse *p, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static int usage(const struct parse *p, const char *format, ...)
{
	va_list args;

	fputs("ipsec whack: ", p->err);
	va_start(args, format);
	vfprintf(p->err, format, args);
	va_end(args);
	fputs("\nFor usage information: ipsec whack --help\n", p->err);
	return WHACK_EXIT_USAGE;
}

bool control_path_of_rundir(const char *rundir, char *out, size_t size)
{
	int n = snprintf(out, size, "%s/pluto.ctl", rundir);

	return n > 0 && (size_t)n < size;
}

/* ---- finding an option ------------------------------------------------------ */

static bool same_meaning(const struct whack_option *a, const struct whack_option *b)
{
	return a->kind == b->kind && a->value == b->value && a->key && b->key &&
	       strcmp(a->key, b->key) == 0 &&
	       (a->fixed == b->fixed || (a->fixed && b->fixed && strcmp(a->fixed, b->fixed) == 0));
}

static void say_candidates(const struct parse *p, const char *text, size_t len)
{
	for (size_t i = 0; i < whack_option_count; i++)
		if (whack_options[i].kind != OPTION_GONE &&
			strncmp(whack_options[i].name, text, len) == 0)
			fprintf(p->err, " '--%s'", whack_options[i].name);
}

/* By its name or an abbreviation that can mean one thing only. */
static int find_option(
	const struct parse *p, const char *text, size_t len, const struct whack_option **out)
{
	const struct whack_option *found = NULL;
	bool ambiguous = false;

	for (size_t i = 0; i < whack_option_count; i++) {
		const struct whack_option *o = &whack_options[i];

		if (strncmp(o->name, text, len) != 0)
			continue;
		if (o->name[len] == '\0') {
			*out = o;
			return 0;
		}
		if (o->kind == OPTION_GONE)
			continue;
		if (!found)
			found = o;
		else if (!same_meaning(found, o))
			ambiguous = true;
	}
	if (len == 0 || !found)
		return usage(p, "unrecognized option '--%.*s'", (int)len, text);
	if (ambiguous) {
		fprintf(p->err,
			"ipsec whack: option '--%.*s' is ambiguous; possibilities:", (int)len,
			text);
		say_candidates(p, text, len);
		fputs("\nFor usage information: ipsec whack --help\n", p->err);
		return WHACK_EXIT_USAGE;
	}
	*out = found;
	return 0;
}

/* ---- what an option does ---------------------------------------------------- */

/* Is `value` one of the words? */
static bool has_word(const char *words, const char *value)
{
	size_t len = strlen(value);

	for (const char *at = words; *at;) {
		size_t n = strcspn(at, " ");

		if (n == len && strncasecmp(at, value, n) == 0)
			return true;
		at += n;
		at += strspn(at, " ");
	}
	return false;
}

static int set(struct parse *p, struct keyvalues *kv, const struct whack_option *o, const char *key,
	const char *value)
{
	if (keyvalues_set(kv, key, value))
		return 0;
	if (errno == EEXIST)
		return problem(p, "option '--%s' contradicts an option given before (%s=%s)",
			o->name, key, keyvalues_get(kv, key));
	return out_of_memory(p);
}

/* Adds to a list value: keyvalues take a key once. */
static int append(struct parse *p, struct keyvalues *kv, const struct whack_option *o,
	const char *key, const char *value)
{
	for (size_t i = 0; i < kv->count; i++) {
		char *joined;

		if (strcmp(kv->items[i].key, key) != 0)
			continue;
		if (asprintf(&joined, "%s,%s", kv->items[i].value, value) < 0)
			return out_of_memory(p);
		free(kv->items[i].value);
		kv->items[i].value = joined;
		return 0;
	}
	return set(p, kv, o, key, value);
}

static int set_local(struct parse *p, const struct whack_option *o, const char *value)
{
	struct whack_call *call = p->call;

	if (strcmp(o->key, "help") == 0) {
		call->help = true;
	} else if (strcmp(o->key, "version") == 0) {
		call->version = true;
	} else if (strcmp(o->key, "label") == 0) {
		call->label = value;
	} else if (strcmp(o->key, "name") == 0) {
		if (*value == '\0')
			return problem(p, "option '--name' needs a name");
		call->name = value;
	} else if (strcmp(o->key, "rundir") == 0) {
		if (!control_path_of_rundir(value, call->ctlsocket, sizeof(call->ctlsocket)))
			return problem(
				p, "option '--%s': the path is too long: %s", o->name, value);
	} else if ((size_t)snprintf(call->ctlsocket, sizeof(call->ctlsocket), "%s", value) >=
		   sizeof(call->ctlsocket)) {
		return problem(p, "option '--%s': the path is too long: %s", o->name, value);
	}
	return 0;
}

static int set_command(struct parse *p, const struct whack_option *o, const char *value)
{
	struct control_request *request = &p->call->request;

	if (p->command_option)
		return problem(p, "conflicing command options '--%s' and '--%s'", p->command_option,
			o->name);
	p->command_option = o->name;
	request->command = strdup(o->key);
	if (!request->command)
		return out_of_memory(p);
	return value ? set(p, &request->arguments, o, "value", value) : 0;
}

static int set_end(struct parse *p, const struct whack_option *o, const char *value)
{
	char key[64];

	snprintf(key, sizeof(key), "%s%s", p->right ? "right" : "left", o->key);
	/* The file's words for what whack calls otherwise. */
	if (strcmp(o->key, "auth") == 0 && strcasecmp(value, "psk") == 0)
		value = "secret";
	if (strcmp(o->key, "updown") == 0 && *value == '\0')
		value = "%disabled";
	return set(p, &p->call->request.connection, o, key, value);
}

static int apply(struct parse *p, const struct whack_option *o, const char *given)
{
	const char *value = given ? given : o->fixed;
	struct control_request *request = &p->call->request;

	if (o->replaced_by)
		fprintf(p->err, "ipsec whack: warning: option \"--%s\" was replaced by \"--%s\"\n",
			o->name, o->replaced_by);
	if (o->built && !has_word(o->built, *value ? value : "%disabled"))
		return problem(p,
			given ? "option '--%s' with value '%s' is not implemented yet"
			      : "option '--%s' is not implemented yet",
			o->name, value);
	switch (o->kind) {
	case OPTION_LOCAL:
		return set_local(p, o, value);
	case OPTION_COMMAND:
		return set_command(p, o, value);
	case OPTION_ARGUMENT:
		return set(p, &request->arguments, o, o->key, value);
	case OPTION_TO:
		if (p->right)
			return problem(p, "only one '--to' can be");
		p->right = p->connection = true;
		return 0;
	case OPTION_END:
		p->connection = true;
		return set_end(p, o, value);
	case OPTION_CONN:
		p->connection = true;
		return o->list ? append(p, &request->connection, o, o->key, value)
			       : set(p, &request->connection, o, o->key, value);
	case OPTION_IGNORED:
		fprintf(p->err, "ipsec whack: warning: option \"--%s\" is ignored\n", o->name);
		return 0;
	case OPTION_GONE:
		return problem(
			p, "option '--%s' is of an older release and is not supported", o->name);
	case OPTION_NOT_YET:
		return problem(p, "option '--%s' is not implemented yet", o->name);
	}
	return 0;
}

/* Once a side for an end's options, once for all others. */
static int once(struct parse *p, const struct whack_option *o)
{
	unsigned char *seen = &p->seen[o->kind == OPTION_END && p->right][o - whack_options];
	bool repeatable = o->kind == OPTION_LOCAL && o->value == VALUE_REQUIRED &&
			  strcmp(o->key, "name") != 0;

	if (*seen && !repeatable)
		return problem(p, "duplicated flag '--%s'", o->name);
	*seen = 1;
	return 0;
}

/* ---- the whole line --------------------------------------------------------- */

static int check_name(struct parse *p, const struct whack_command *command)
{
	const char *name = p->call->name;

	if (command->use == NAME_NEEDED && !name)
		return problem(p, "missing --name <connection_name>");
	if (command->use == NAME_NONE && name)
		return problem(p, "no reason for --name");
	if (name && !keyvalues_set(&p->call->request.arguments, "name", name))
		return out_of_memory(p);
	return 0;
}

static int check_arguments(struct parse *p, const struct whack_command *command)
{
	const struct keyvalues *kv = &p->call->request.arguments;

	for (size_t i = 0; i < kv->count; i++) {
		const char *const *allowed = command->arguments;

		while (*allowed && strcmp(*allowed, kv->items[i].key) != 0)
			allowed++;
		if (!*allowed)
			return problem(p, "no reason for --%s", kv->items[i].key);
	}
	return 0;
}

static int check_connection(struct parse *p)
{
	struct control_request *request = &p->call->request;
	bool replace = request->command && strcmp(request->command, "delete") == 0;

	if (request->command && !replace)
		return problem(
			p, "conflicing command options '--%s' and '--to'", p->command_option);
	if (!p->right)
		return problem(p, "connection description option, but no --to");
	if (!keyvalues_get(&request->connection, "left") ||
		!keyvalues_get(&request->connection, "right"))
		return problem(p, "connection missing --host %s",
			keyvalues_get(&request->connection, "left") ? "after --to" : "before --to");
	free(request->command);
	request->command = strdup("add");
	/* The manual page's --delete of the connection form: without a word when there was none. */
	if (!request->command || (replace && !keyvalues_set(&request->arguments, "replace", "yes")))
		return out_of_memory(p);
	return 0;
}

static int finish(struct parse *p)
{
	struct control_request *request = &p->call->request;
	const struct whack_command *command;
	int status = 0;

	if (p->call->help || p->call->version)
		return 0;
	if (!p->connection && !request->command)
		return problem(p, request->arguments.count ? "no command is given"
							   : "nothing to do: see --help");
	command = whack_command_by_name(p->connection ? "add" : request->command);
	if (!command)
		return problem(p, "option '--%s' is not implemented yet", p->command_option);
	status = check_arguments(p, command);
	if (status == 0 && p->connection)
		status = check_connection(p);
	return status ? status : check_name(p, command);
}

static int parse_option(struct parse *p, int argc, char *const argv[], int *i)
{
	const char *text = argv[*i] + 2;
	size_t len = strcspn(text, "=");
	const char *value = text[len] == '=' ? text + len + 1 : NULL;
	const struct whack_option *o = NULL;
	int status = find_option(p, text, len, &o);

	if (!o)
		return status;
	if (value && o->value == VALUE_NONE && o->kind != OPTION_NOT_YET && o->kind != OPTION_GONE)
		return usage(p, "option '--%s' doesn't allow an argument", o->name);
	if (!value && o->value == VALUE_REQUIRED) {
		if (*i + 1 >= argc)
			return usage(p, "option '--%s' requires an argument", o->name);
		value = argv[++*i];
	}
	status = once(p, o);
	return status ? status : apply(p, o, value);
}

int whack_parse(struct whack_call *call, int argc, char *const argv[], FILE *err)
{
	struct parse parse = {.call = call, .err = err};

	memset(call, 0, sizeof(*call));
	control_path_of_rundir(PLUTONIUM_RUNDIR, call->ctlsocket, sizeof(call->ctlsocket));
	if (whack_option_count > OPTIONS_MAX)
		return problem(&parse, "the option table is too long");
	for (int i = 1; i < argc; i++) {
		int status;

		if (strncmp(argv[i], "--", 2) != 0 || argv[i][2] == '\0')
			return usage(&parse, "unexpected argument \"%s\"", argv[i]);
		status = parse_option(&parse, argc, argv, &i);
		if (status)
			return status;
	}
	return finish(&parse);
}

void whack_call_release(struct whack_call *call)
{
	control_request_release(&call->request);
}

void whack_usage(FILE *out)
{
	static const char *const heads[] = {[OPTION_LOCAL] = "All forms:",
		[OPTION_COMMAND] = "Commands:",
		[OPTION_ARGUMENT] = "Of commands:",
		[OPTION_TO] = "A connection is described by --name NAME (left end) --to (right "
			      "end) (connection):",
		[OPTION_END] = "Each end:",
		[OPTION_CONN] = "The connection:",
		[OPTION_IGNORED] = "Accepted and ignored:",
		[OPTION_GONE] = NULL,
		[OPTION_NOT_YET] = "Not implemented yet:"};

	fputs("Usage: whack OPTION...\n", out);
	for (unsigned kind = OPTION_LOCAL; kind <= OPTION_NOT_YET; kind++) {
		if (!heads[kind])
			continue;
		fprintf(out, "%s\n", heads[kind]);
		for (size_t i = 0; i < whack_option_count; i++) {
			const struct whack_option *o = &whack_options[i];

			if (o->kind != kind)
				continue;
			fprintf(out, "\t--%s%s%s%s\n", o->name,
				o->kind == OPTION_NOT_YET    ? ""
				: o->value == VALUE_REQUIRED ? " VALUE"
				: o->value == VALUE_OPTIONAL ? "[=VALUE]"
							     : "",
				o->built ? "   (so far only: " : "", o->built ? o->built : "");
			if (o->built)
				fputs("", out);
		}
	}
}
