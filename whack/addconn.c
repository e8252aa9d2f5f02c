/* Connections of ipsec.conf to pluto: each is sent as it is described, pluto says what it thinks of
 * it. */
#include "control_client.h"
#include "option_parse.h"
#include "subnets.h"

#include "config/conf_file.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define CONFIG_DEFAULT "/etc/ipsec.conf"
#define PROGRAM        "ipsec addconn"

enum { EXIT_USAGE = 1, EXIT_UNKNOWN = 21, EXIT_PROBLEM = 33 };

/* What auto= asks for. */
enum begin { BEGIN_IGNORE, BEGIN_ADD, BEGIN_ROUTE, BEGIN_UP };

struct addconn {
	const char *config;
	char ctlsocket[108];
	bool auto_all, check_only, quiet, verbose, no_export;
	const char *var_prefix, *setup_key;
	bool setup, list, list_stack;
	unsigned listed;    /* bits of enum begin */
	char *const *names; /* CONN... */
	int name_count;
	const char *described; /* --name: the arguments behind it describe it */
	int status;            /* the first that is not 0 */
};

static void say(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void say(const char *format, ...)
{
	va_list args;

	fputs(PROGRAM ": ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
}

static void note_status(struct addconn *a, int status)
{
	if (a->status == 0)
		a->status = status;
}

/* ---- requests ----------------------------------------------------------------- */

static bool set_argument(struct control_request *request, const char *key, const char *value)
{
	return !value || keyvalues_set(&request->arguments, key, value);
}

/* Takes what is in `request`. */
static void talk(
	struct addconn *a, struct control_request *request, const char *command, const char *name)
{
	request->command = strdup(command);
	if (!request->command || !set_argument(request, "name", name)) {
		say("out of memory");
		note_status(a, EXIT_PROBLEM);
	} else {
		note_status(a, control_talk(PROGRAM, a->ctlsocket, request, stdout, stderr));
	}
	control_request_release(request);
}

static void add_one(struct addconn *a, const char *name, const struct keyvalues *parameters)
{
	struct control_request request = {0};
	bool ok = set_argument(&request, "replace", "yes");

	for (size_t i = 0; ok && i < parameters->count; i++)
		ok = keyvalues_set(
			&request.connection, parameters->items[i].key, parameters->items[i].value);
	if (!ok) {
		say("out of memory");
		note_status(a, EXIT_PROBLEM);
		control_request_release(&request);
		return;
	}
	talk(a, &request, "add", name);
}

static bool add_pair(const char *name, const struct keyvalues *parameters, void *arg)
{
	add_one(arg, name, parameters);
	return true;
}

/* Or all that leftsubnets= and rightsubnets= make of it. */
static void add(struct addconn *a, const char *name, const struct keyvalues *parameters)
{
	char error[256];

	if (!subnets_given(parameters)) {
		add_one(a, name, parameters);
	} else if (!subnets_expand(name, parameters, add_pair, a, error, sizeof(error))) {
		say("conn %s: %s", name, error);
		note_status(a, EXIT_PROBLEM);
	}
}

/* A trap is there at once; how a negotiation ends is not waited for. */
static void begin(struct addconn *a, const char *command, const char *name)
{
	struct control_request request = {0};
	bool wait = strcmp(command, "route") == 0;

	if (!set_argument(&request, "asynchronous", wait ? "no" : "yes")) {
		say("out of memory");
		note_status(a, EXIT_PROBLEM);
		return;
	}
	talk(a, &request, command, name);
}

/* ---- what is in the file ------------------------------------------------------ */

static bool begin_of(const struct conf_section *conn, enum begin *out)
{
	static const struct {
		const char *word;
		enum begin begin;
	} words[] = {{"ignore", BEGIN_IGNORE}, {"add", BEGIN_ADD}, {"ondemand", BEGIN_ROUTE},
		{"route", BEGIN_ROUTE}, {"up", BEGIN_UP}, {"start", BEGIN_UP}, {"keep", BEGIN_ADD}};
	const char *value = keyvalues_get(&conn->parameters, "auto");

	*out = BEGIN_IGNORE;
	for (size_t i = 0; value && i < sizeof(words) / sizeof(words[0]); i++)
		if (strcasecmp(value, words[i].word) == 0) {
			*out = words[i].begin;
			return true;
		}
	if (!value)
		return true;
	say("%s:%u: conn %s: auto=%s is not ignore, add, ondemand, up or keep", conn->file,
		conn->line, conn->name, value);
	return false;
}

static bool has_alias(const struct conf_section *conn, const char *name)
{
	const char *at = keyvalues_get(&conn->parameters, "connalias");
	size_t len = strlen(name);

	while (at && *at) {
		size_t n = strcspn(at, ", \t");

		if (n == len && strncmp(at, name, n) == 0)
			return true;
		at += n;
		at += strspn(at, ", \t");
	}
	return false;
}

static void add_named(struct addconn *a, const struct conf_file *conf, const char *name)
{
	bool found = false;

	for (size_t i = 0; i < conf->conn_count && !found; i++)
		if (strcmp(conf->conns[i].name, name) == 0) {
			add(a, name, &conf->conns[i].parameters);
			found = true;
		}
	for (size_t i = 0, aliases = found; i < conf->conn_count && !aliases; i++)
		if (has_alias(&conf->conns[i], name)) {
			add(a, conf->conns[i].name, &conf->conns[i].parameters);
			found = true;
		}
	if (!found) {
		say("conn %s: not found (tried aliases)", name);
		note_status(a, EXIT_UNKNOWN);
	}
}

/* First all are there, then the first is begun. */
static void add_all(struct addconn *a, const struct conf_file *conf)
{
	enum begin how;

	for (size_t i = 0; i < conf->conn_count; i++) {
		if (!begin_of(&conf->conns[i], &how))
			note_status(a, EXIT_PROBLEM);
		else if (how != BEGIN_IGNORE)
			add(a, conf->conns[i].name, &conf->conns[i].parameters);
	}
	for (size_t i = 0; i < conf->conn_count; i++) {
		if (!begin_of(&conf->conns[i], &how))
			continue;
		if (how == BEGIN_ROUTE)
			begin(a, "route", conf->conns[i].name);
		else if (how == BEGIN_UP)
			begin(a, "initiate", conf->conns[i].name);
	}
}

static void list(const struct addconn *a, const struct conf_file *conf)
{
	enum begin how;

	for (size_t i = 0; i < conf->conn_count; i++)
		if (begin_of(&conf->conns[i], &how) && a->listed & 1u << how)
			puts(conf->conns[i].name);
}

static void print_quoted(const char *text)
{
	putchar('\'');
	for (; *text; text++) {
		if (*text == '\'')
			fputs("'\\''", stdout);
		else
			putchar(*text);
	}
	puts("'");
}

/* For shell scripts: the whole section, or one value. */
static void print_setup(const struct addconn *a, const struct conf_file *conf)
{
	const struct keyvalues *kv = &conf->setup.parameters;
	const char *value = a->setup_key ? keyvalues_get(kv, a->setup_key) : NULL;

	if (a->setup_key) {
		puts(value ? value : "");
		return;
	}
	for (size_t i = 0; i < kv->count; i++) {
		if (!a->no_export)
			fputs("export ", stdout);
		/* A shell variable has no '-'. */
		fputs(a->var_prefix ? a->var_prefix : "", stdout);
		for (const char *c = kv->items[i].key; *c; c++)
			putchar(*c == '-' || *c == '.' ? '_' : *c);
		putchar('=');
		print_quoted(kv->items[i].value);
	}
}

static void warn(const char *text, void *arg)
{
	if (!((const struct addconn *)arg)->quiet)
		say("warning: %s", text);
}

static void run(struct addconn *a)
{
	const char *stack;
	struct conf_file conf;
	char error[512];

	if (!conf_file_read(a->config, &conf, warn, a, error, sizeof(error))) {
		say("%s", error);
		note_status(a, EXIT_USAGE);
		return;
	}
	if (a->verbose)
		say("%s: %zu connections", a->config, conf.conn_count);
	stack = keyvalues_get(&conf.setup.parameters, "protostack");
	if (a->list_stack)
		puts(stack ? stack : "auto");
	if (a->setup)
		print_setup(a, &conf);
	if (a->list)
		list(a, &conf);
	if (a->auto_all && !a->check_only)
		add_all(a, &conf);
	for (int i = 0; i < a->name_count && !a->check_only; i++)
		add_named(a, &conf, a->names[i]);
	conf_file_release(&conf);
}

/* ---- a connection on the command line ----------------------------------------- */

static void run_described(struct addconn *a)
{
	struct keyvalues parameters = {0};
	bool ok = true;

	for (int i = 0; ok && i < a->name_count; i++) {
		const char *equals = strchr(a->names[i], '=');
		char key[80];

		if (!equals || (size_t)(equals - a->names[i]) >= sizeof(key)) {
			say("'%s' is not KEYWORD=VALUE", a->names[i]);
			ok = false;
			break;
		}
		snprintf(key, sizeof(key), "%.*s", (int)(equals - a->names[i]), a->names[i]);
		ok = keyvalues_set(&parameters, key, equals + 1);
		if (!ok)
			say("%s= is given twice", key);
	}
	if (ok)
		add(a, a->described, &parameters);
	else
		note_status(a, EXIT_USAGE);
	keyvalues_release(&parameters);
}

/* ---- options ------------------------------------------------------------------ */

static const char usage_text[] =
	"Usage: addconn [--config FILE] [--rundir DIR | --ctlsocket FILE] CONN...\n"
	"       addconn --autoall\n"
	"       addconn --name CONN KEYWORD=VALUE...\n"
	"       addconn --checkconfig | --listall | --listadd | --listroute | --liststart | "
	"--listignore\n"
	"       addconn --liststack | --configsetup[=KEYWORD] [--noexport] [--varprefix PREFIX]\n"
	"       [--verbose] [--quiet]\n";

static bool flag(struct addconn *a, const char *name)
{
	static const struct {
		const char *name;
		unsigned listed;
	} lists[] = {{"--listall", 1u << BEGIN_IGNORE | 1u << BEGIN_ADD | 1u << BEGIN_ROUTE |
					   1u << BEGIN_UP},
		{"--listadd", 1u << BEGIN_ADD | 1u << BEGIN_ROUTE | 1u << BEGIN_UP},
		{"--listroute", 1u << BEGIN_ROUTE | 1u << BEGIN_UP},
		{"--liststart", 1u << BEGIN_UP}, {"--listignore", 1u << BEGIN_IGNORE}};
	const struct {
		const char *name;
		bool *to;
	} flags[] = {{"--autoall", &a->auto_all}, {"--checkconfig", &a->check_only},
		{"--quiet", &a->quiet}, {"--verbose", &a->verbose}, {"--liststack", &a->list_stack},
		{"--configsetup", &a->setup}, {"--noexport", &a->no_export},
		{"--asynchronous", &(bool){false}}};

	for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++)
		if (strcmp(flags[i].name, name) == 0)
			return *flags[i].to = true;
	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++)
		if (strcmp(lists[i].name, name) == 0) {
			a->listed |= lists[i].listed;
			return a->list = true;
		}
	return false;
}

static bool set_path(struct addconn *a, const char *text, bool rundir)
{
	if (rundir ? control_path_of_rundir(text, a->ctlsocket, sizeof(a->ctlsocket))
		   : (size_t)snprintf(a->ctlsocket, sizeof(a->ctlsocket), "%s", text) <
				sizeof(a->ctlsocket))
		return true;
	say("the control socket's path is too long: %s", text);
	return false;
}

/* 1: taken, with its value; 0: not one of these; -1: bad. */
static int with_value(struct addconn *a, const char *name, const char *value)
{
	static const char *const names[] = {
		"--config", "--ctlsocket", "--rundir", "--ctlbase", "--varprefix", "--name"};
	size_t i = 0;

	while (i < sizeof(names) / sizeof(names[0]) && strcmp(names[i], name) != 0)
		i++;
	if (i == sizeof(names) / sizeof(names[0]))
		return 0;
	if (!value) {
		say("option '%s' requires an argument", name);
		return -1;
	}
	switch (i) {
	case 0:
		a->config = value;
		return 1;
	case 4:
		a->var_prefix = value;
		return 1;
	case 5:
		a->described = value;
		return 1;
	default:
		return set_path(a, value, i != 1) ? 1 : -1;
	}
}

/* Names may stand anywhere between options: they move to the front of `argv`. */
static bool parse(struct addconn *a, int argc, char **argv)
{
	a->names = argv + 1;
	for (int i = 1; i < argc; i++) {
		int taken;

		if (strncmp(argv[i], "--", 2) != 0) {
			argv[1 + a->name_count++] = argv[i];
			continue;
		}
		if (strncmp(argv[i], "--configsetup=", 14) == 0) {
			a->setup = true;
			a->setup_key = argv[i] + 14;
			continue;
		}
		if (flag(a, argv[i]))
			continue;
		taken = with_value(a, argv[i], argv[i + 1]);
		if (taken == 0)
			say("unrecognized option '%s'", argv[i]);
		if (taken <= 0)
			return false;
		i++;
	}
	return true;
}

int main(int argc, char **argv)
{
	struct addconn a = {.config = CONFIG_DEFAULT};

	if (argc == 2 && strcmp(argv[1], "--help") == 0) {
		fputs(usage_text, stdout);
		return 0;
	}
	control_path_of_rundir("/run/pluto", a.ctlsocket, sizeof(a.ctlsocket));
	if (!parse(&a, argc, argv)) {
		fputs(usage_text, stderr);
		return EXIT_USAGE;
	}
	if (a.described)
		run_described(&a);
	else if (a.auto_all || a.check_only || a.list || a.list_stack || a.setup || a.name_count)
		run(&a);
	else {
		fputs(usage_text, stderr);
		return EXIT_USAGE;
	}
	return a.status;
}
