#include "tell.h"

#include "client.h"

#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>

void tell(struct client *client, enum ike_rc code, const char *format, ...)
{
	char text[2000];
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (n < 0)
		return;
	if ((size_t)n >= sizeof(text))
		n = sizeof(text) - 1;
	log_text(code == RC_OK ? LOG_LINE_INFO : LOG_LINE_WARNING, text, (size_t)n);
	if (client)
		client_text(client, code, text, (size_t)n);
}
