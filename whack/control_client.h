/* A request over pluto's control socket, and its answer: lines "NNN text", of which the text is
 * printed and the number decides the exit status. */
#ifndef WHACK_CONTROL_CLIENT_H
#define WHACK_CONTROL_CLIENT_H

#include "config/control_message.h"

#include <stdio.h>

#define CONTROL_EXIT_PROBLEM 33

/* Blocks until pluto closes. Returns the exit status: the first code of 20..99 that was seen, else
 * 0; CONTROL_EXIT_PROBLEM when pluto cannot be reached (`program` then begins the line written to
 * `err`). */
int control_talk(const char *program, const char *path, const struct control_request *request,
	FILE *out, FILE *err);

/* The answer's line reader, which takes bytes as they come. */
struct answer_reader {
	FILE *out;
	int status;          /* first code of 20..99, or 0 */
	unsigned code_chars; /* of this line's "NNN " so far; past them: 5 */
	bool text;           /* this line has brought some */
	char code[4];
};
void answer_reader_take(struct answer_reader *reader, const char *bytes, size_t len);
/* The rest of a line without an end. */
void answer_reader_end(struct answer_reader *reader);

#endif
