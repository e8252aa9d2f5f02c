/* whack's command line as a table: what each option is called, whether it takes a value, and what
 * it says in a request. Constant data. */
#ifndef WHACK_OPTION_TABLE_H
#define WHACK_OPTION_TABLE_H

#include <stddef.h>

enum option_kind {
	OPTION_LOCAL,   /* for whack itself; `key` is what it sets */
	OPTION_COMMAND, /* `key` is the command; a value, fixed or given, is its argument "value" */
	OPTION_ARGUMENT, /* `key` is an argument of the command */
	OPTION_TO,
	OPTION_END,     /* of the left end before --to, of the right one behind it: `key` without
			   left/right */
	OPTION_CONN,    /* `key` is a keyword of the connection */
	OPTION_IGNORED, /* said to be without effect */
	OPTION_GONE,    /* older releases had it */
	OPTION_NOT_YET, /* known, and not built */
};

enum option_value {
	VALUE_NONE, /* a flag: says `fixed` */
	VALUE_REQUIRED,
	VALUE_OPTIONAL, /* without one it says `fixed` */
};

struct whack_option {
	const char *name;
	enum option_kind kind;
	enum option_value value;
	const char *key;
	const char *fixed;
	/* Not NULL: anything but these values (separated by blanks) is not built yet. */
	const char *built;
	/* Not NULL: a deprecated spelling of that option. */
	const char *replaced_by;
	/* Values are collected, separated by commas. */
	unsigned list : 1;
};

extern const struct whack_option whack_options[];
extern const size_t whack_option_count;

enum name_use { NAME_NONE, NAME_OPTIONAL, NAME_NEEDED };

#define COMMAND_ARGUMENTS_MAX 4

struct whack_command {
	const char *name;
	enum name_use use;
	/* What may stand beside it; NULL ends. */
	const char *arguments[COMMAND_ARGUMENTS_MAX + 1];
};

/* NULL: a command that is known and not built yet. */
const struct whack_command *whack_command_by_name(const char *name);

#endif
