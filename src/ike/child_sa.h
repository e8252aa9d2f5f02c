/* Child SAs: from a negotiation's outcome into the kernel and out of it again. Private. */
#ifndef IKE_CHILD_SA_H
#define IKE_CHILD_SA_H

#include "ike_sa.h"

/* A request's token tells the Child SA and the direction, so that an answer that comes when the
 * Child SA is gone (the last counters of a deleted one) still says what it counts. */
enum token_kind { TOKEN_OTHER, TOKEN_INBOUND, TOKEN_OUTBOUND };
static inline uint64_t ipsec_token(const struct child_sa *child, enum token_kind kind)
{
	return child->serial << 2 | kind;
}
static inline enum token_kind ipsec_token_kind(uint64_t token)
{
	return token & 3;
}
static inline uint64_t ipsec_token_serial(uint64_t token)
{
	return token >> 2;
}

/* A new Child SA with a serial and an inbound SPI, on the IKE SA's list; NULL when memory or SPIs
 * are out. */
struct child_sa *child_sa_new(struct ike_sa *sa);
/* Copies the selectors. False: no memory. */
bool child_sa_set_selectors(struct child_sa *child, const struct traffic_selector *local,
	unsigned local_count, const struct traffic_selector *remote, unsigned remote_count);
/* Asks the kernel for both SAs and the policy, with keys from the IKE SA's negotiation. The answers
 * come through child_sa_answer. False: nothing was asked. */
bool child_sa_install(struct child_sa *child, bool initiator);
/* True when the last answer is there: child->ipsec_error then tells the outcome. */
bool child_sa_answer(struct child_sa *child, const struct ipsec_answer *answer);
/* The last answer was good: counts it, logs it in the one line that operators look for. */
void child_sa_established(struct child_sa *child);
/* Takes the SAs out of the kernel; the policy too, if it belongs to an instance that goes. Stays on
 * the list. */
void child_sa_uninstall(struct child_sa *child);
/* Uninstalls, and forgets as soon as the kernel has told what it carried. */
void child_sa_end(struct child_sa *child, enum finish_reason reason);
/* The kernel has removed one of its SAs; the second of the two is worth a line. The Child SA may be
 * gone afterwards. */
void child_sa_removed(struct child_sa *child, const struct ipsec_answer *answer);
/* Uninstalls and forgets. */
void child_sa_free(struct child_sa *child, enum finish_reason reason);
/* The peer's address has changed: tells the kernel. */
void child_sa_moved(struct child_sa *child);
/* "[10.1.0.0/24===10.2.0.0/24]" without brackets */
const char *child_sa_selectors_text(const struct child_sa *child, char *out, size_t size);
static inline const struct traffic_selector *child_local_ts(const struct child_sa *child)
{
	return child->ts;
}
static inline const struct traffic_selector *child_remote_ts(const struct child_sa *child)
{
	return child->ts + child->local_ts_count;
}

#endif
