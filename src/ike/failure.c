/* Failures in words. */
#include "failure.h"

#include "engine_state.h"

#include <stdarg.h>
#include <stdio.h>

static void end_failed(struct ike_sa *sa, enum finish_reason reason)
{
	if (sa->state != STATE_ESTABLISHED_IKE_SA && sa->state != STATE_ZOMBIE)
		engine_count(sa->engine, COUNT_IKE_FAILED);
	ike_sa_log(sa, LOG_LINE_INFO, RC_OK, "deleting IKE SA (%s)", ike_state_story(sa));
	ike_sa_free(sa, reason);
}

void fail_ike_sa(
	struct ike_sa *sa, enum finish_reason reason, enum ike_rc code, const char *format, ...)
{
	char text[600];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	ike_sa_log(sa, LOG_LINE_ERROR, code, "%s", text);
	end_failed(sa, reason);
}

static const char *no_response_hint(const struct ike_sa *sa)
{
	switch (sa->exchange->purpose) {
	case FOR_INIT:
		return "No response (or no acceptable response) to our first IKEv2 message";
	case FOR_AUTH:
		return "Possible authentication failure: no acceptable response to our first "
		       "encrypted message";
	case FOR_CREATE_CHILD:
		return "No response to our CREATE_CHILD_SA request; the peer is taken for dead";
	case FOR_LIVENESS:
		return "The peer does not answer liveness checks and is taken for dead";
	default:
		return "No response to our Delete; the SA is gone here all the same";
	}
}

void fail_no_response(struct ike_sa *sa)
{
	const struct exchange *x = sa->exchange;
	unsigned waited = (engine_now(sa->engine) - x->started_ms) / 1000;

	fail_ike_sa(sa, FINISHED_RETRANSMITS, RC_RETRANSMISSION,
		"%s: %u second timeout exceeded after %u retransmits.  %s",
		ike_state_name(sa->state), waited, x->retransmits, no_response_hint(sa));
}
