/* Child SAs: from a negotiation's outcome into the kernel and out of it again. Private. */
#ifndef IKE_CHILD_SA_H
#define IKE_CHILD_SA_H

#include "ike_sa.h"
#include "keymat.h"

/* A request's token tells the Child SA, its protocol and the direction, so that an answer that
 * comes when the Child SA is gone (the last counters of a deleted one) still says what it counts.
 */
enum token_kind { TOKEN_OTHER, TOKEN_INBOUND, TOKEN_OUTBOUND, TOKEN_TRAP /* see trap.c */ };
static inline uint64_t ipsec_token(const struct child_sa *child, enum token_kind kind)
{
	return child->serial << 3 | (child->chosen.protocol == PROTOCOL_AH) << 2 | kind;
}
static inline bool ipsec_token_is_ah(uint64_t token)
{
	return token & 4;
}
static inline enum token_kind ipsec_token_kind(uint64_t token)
{
	return token & 3;
}
static inline uint64_t ipsec_token_serial(uint64_t token)
{
	return token >> 3;
}

/* A new Child SA of the connection with a serial and an inbound SPI, on the IKE SA's list; NULL
 * when memory or SPIs are out. */
struct child_sa *child_sa_new(struct ike_sa *sa, struct connection *c);
/* The same, to replace `old`: with its connection, reqid and mode, so that the policies stay. */
struct child_sa *child_sa_new_rekeyed(struct child_sa *old);
/* Copies the selectors. False: no memory. */
bool child_sa_set_selectors(struct child_sa *child, const struct traffic_selector *local,
	unsigned local_count, const struct traffic_selector *remote, unsigned remote_count);
/* Asks the kernel for both SAs and the policy, with keys from the IKE SA's negotiation. The answers
 * come through child_sa_answer. False: nothing was asked. */
bool child_sa_install(struct child_sa *child, bool initiator);
/* The same with what CREATE_CHILD_SA has brought. `replaces` not 0: only the inbound SA for now;
 * the outbound one follows when the SA of that serial goes (RFC 7296, section 2.8: then the
 * initiator of the rekeying is sure to have the new one). */
bool child_sa_install_created(struct child_sa *child, bool initiator,
	const struct child_seed *seed, uint64_t replaces);
/* True when the last answer is there: child->ipsec_error then tells the outcome. */
bool child_sa_answer(struct child_sa *child, const struct ipsec_answer *answer);
/* The kernel, or what goes with the SA, has refused it: says why. */
void child_sa_log_refused(const struct child_sa *child);
/* The last answer was good: counts it, logs it in the one line that operators look for. `replaced`:
 * the serial of the one that it has rekeyed, or 0. `initiator`: of the exchange. */
void child_sa_established(struct child_sa *child, bool initiator, uint64_t replaced);
/* The kernel has answered for an outbound SA that was added later. */
void child_sa_outbound_answer(struct child_sa *child, const struct ipsec_answer *answer);
/* The peer is about to close it as redundant: its outbound SA is not to be used. */
void child_sa_never_send(struct child_sa *child);
/* The first half of a Delete of ours: nothing is sent by it any more, but what the peer sends until
 * it has heard of it still comes in. The rest is child_sa_end's, when the peer has answered. */
void child_sa_close(struct child_sa *child);
/* Takes the SAs out of the kernel; the policy too, if it belongs to an instance that goes. Stays on
 * the list. */
void child_sa_uninstall(struct child_sa *child);
/* Uninstalls, and forgets as soon as the kernel has told what it carried. */
void child_sa_end(struct child_sa *child, enum finish_reason reason);
/* Since it was established; 0: it is not. */
uint64_t child_sa_lived_ms(const struct child_sa *child);
/* The kernel has removed one of its SAs; the second of the two is worth a line. The Child SA may be
 * gone afterwards. */
void child_sa_removed(struct child_sa *child, const struct ipsec_answer *answer);
/* Uninstalls and tells the peer; a new one follows if the connection is wanted up. */
void child_sa_delete(struct child_sa *child);
/* Uninstalls and forgets. */
void child_sa_free(struct child_sa *child, enum finish_reason reason);
/* The peer's address has changed: tells the kernel. */
void child_sa_moved(struct child_sa *child);
/* The kernel could not: what says established would carry nothing. The peer is told, and whoever wants
 * the connection up makes a new Child SA. */
void child_sa_not_moved(struct child_sa *child, const struct ipsec_answer *answer);
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
