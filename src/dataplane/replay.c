#include "replay.h"

#define WORD_BITS 64

size_t replay_words(uint32_t window)
{
	if (window == 0)
		return 0;
	size_t least = (window + WORD_BITS - 1) / WORD_BITS + 1, words = 1;
	while (words < least)
		words *= 2;
	return words;
}

void replay_init(struct replay *replay, uint32_t window, uint64_t *words)
{
	replay->top = 0;
	replay->window = window;
	replay->mask = window ? (uint32_t)replay_words(window) - 1 : 0;
	replay->words = words;
}

static uint64_t *word_of(const struct replay *replay, uint64_t seq)
{
	return &replay->words[(seq / WORD_BITS) & replay->mask];
}

static uint64_t bit_of(uint64_t seq)
{
	return 1ull << (seq % WORD_BITS);
}

bool replay_check(const struct replay *replay, uint64_t seq)
{
	if (seq == 0) /* the first packet of an SA has number 1 */
		return false;
	if (replay->window == 0 || seq > replay->top)
		return true;
	if (replay->top - seq >= replay->window)
		return false;
	return !(*word_of(replay, seq) & bit_of(seq));
}

bool replay_accept(struct replay *replay, uint64_t seq)
{
	if (!replay_check(replay, seq))
		return false;
	if (replay->window == 0) {
		if (seq > replay->top)
			replay->top = seq;
		return true;
	}
	if (seq > replay->top) {
		uint64_t at = replay->top / WORD_BITS, ahead = seq / WORD_BITS - at;
		if (ahead > replay->mask)
			ahead = (uint64_t)replay->mask + 1;
		for (uint64_t i = 1; i <= ahead; i++)
			replay->words[(at + i) & replay->mask] = 0;
		replay->top = seq;
	}
	*word_of(replay, seq) |= bit_of(seq);
	return true;
}

bool replay_infer_esn(const struct replay *replay, uint32_t low, uint64_t *seq)
{
	/* Without a window the nearest number is meant. */
	uint32_t window = replay->window ? replay->window : 1u << 31;
	uint32_t top_low = (uint32_t)replay->top, top_high = (uint32_t)(replay->top >> 32);
	uint32_t bottom = top_low - window + 1; /* modulo 2^32 */
	uint32_t high = top_high;
	if (top_low >= window - 1) { /* case A: the window lies in one subspace */
		if (low < bottom)
			high++;
		if (high < top_high) /* past 2^64 */
			return false;
	} else if (low >= bottom) { /* case B: its bottom lies in the one before */
		if (top_high == 0)
			return false;
		high--;
	}
	*seq = (uint64_t)high << 32 | low;
	return true;
}
