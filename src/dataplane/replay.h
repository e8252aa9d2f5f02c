/* The anti-replay window (RFC 4303, section 3.4.3; RFC 6479's ring of words) and the inference of
 * the high half of an extended sequence number (RFC 4303, appendix A2.2). Plain data of one owner.
 */
#ifndef DATAPLANE_REPLAY_H
#define DATAPLANE_REPLAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define REPLAY_WINDOW_MAX 4096

struct replay {
	uint64_t top;    /* the highest sequence number that was authenticated */
	uint32_t window; /* packets; 0: every number passes, `top` is kept all the same */
	uint32_t mask;   /* words - 1 */
	uint64_t *words;
};

/* How many words the ring of a window takes: one more than the window, so that the word that the
 * top is in can be cleared in one piece. */
size_t replay_words(uint32_t window);
/* `words`: replay_words(window) zeroed words that live as long as the replay. */
void replay_init(struct replay *replay, uint32_t window, uint64_t *words);
/* Is the number new? Before authentication: nothing is changed. */
bool replay_check(const struct replay *replay, uint64_t seq);
/* Takes the number of an authenticated packet; false when it is not new. */
bool replay_accept(struct replay *replay, uint64_t seq);
/* The whole number that the low half on the wire stands for. False when it would lie before the
 * beginning. */
bool replay_infer_esn(const struct replay *replay, uint32_t low, uint64_t *seq);

#endif
