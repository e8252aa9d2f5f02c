/* The request that whack sends to pluto over the control socket (a stream): a header with magic,
 * version and length, then tagged strings. pluto answers with text lines "NNN text\n" and closes.
 * Both ends of one build and of others understand each other as far as they know the tags; a wrong
 * magic is answered in words. */
#ifndef CONFIG_CONTROL_MESSAGE_H
#define CONFIG_CONTROL_MESSAGE_H

#include "base/bytes.h"
#include "config/keyvalue.h"

#define CONTROL_MAGIC       0x706c7534u
#define CONTROL_REQUEST_MAX (256 * 1024)

/* One command ("initiate", "status", "add", ...) with its arguments ("name", "asynchronous", ...)
 * and, for "add", the connection description. */
struct control_request {
	char *command;
	struct keyvalues arguments;
	struct keyvalues connection;
};

/* An allocated message, to be wiped (a value may be a password) and freed; NULL when memory is out
 * or it would be longer than CONTROL_REQUEST_MAX. */
uint8_t *control_request_encode(const struct control_request *request, size_t *len);
/* How many bytes the whole message has, from its first 12; 0: not a request (`error` says why). */
size_t control_request_length(struct bytes start, char *error, size_t error_size);
/* Keywords are words of at most 64 letters, digits, '-', '_', '.', and given once; values have no
 * control characters but tabs. False with a reason. */
bool control_request_decode(
	struct bytes message, struct control_request *out, char *error, size_t error_size);
void control_request_release(struct control_request *request);

#endif
