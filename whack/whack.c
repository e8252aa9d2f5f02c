/* The command line client of pluto. */
#include "control_client.h"
#include "option_parse.h"

int main(int argc, char **argv)
{
	struct whack_call call;
	int status = whack_parse(&call, argc, argv, stderr);
	char program[160];

	snprintf(program, sizeof(program), "ipsec whack%s%.128s", call.label ? ": " : "",
		call.label ? call.label : "");
	if (status == 0 && call.help)
		whack_usage(stdout);
	else if (status == 0 && call.version)
		puts("plutonium " PLUTONIUM_VERSION);
	else if (status == 0)
		status = control_talk(program, call.ctlsocket, &call.request, stdout, stderr);
	whack_call_release(&call);
	if (fflush(stdout) != 0 && status == 0)
		status = WHACK_EXIT_PROBLEM;
	return status;
}
