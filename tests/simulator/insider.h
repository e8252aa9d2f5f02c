/* A peer that knows the keys: it speaks IKE by the engine's own codecs, but without the engine, so
 * that it can say whatever it likes, well encrypted. */
#ifndef SIMULATOR_INSIDER_H
#define SIMULATOR_INSIDER_H

#include "node.h"

#include "engine_state.h"
#include "keymat.h"

#define INSIDER_MESSAGE_MAX 60000
#define HEARD_MAX           64

#define INSIDER_SECRET      "what the insider knows"

struct heard {
	uint8_t *bytes;
	size_t len;
	struct ike_path path;
};

struct insider {
	struct world *world;
	struct node *target;
	struct random_source dice;
	struct ip_address address;
	struct ike_path path;      /* as the target sees it */
	struct ike_engine *engine; /* a shell around the crypto context and chance */
	struct ike_sa sa;
	struct negotiation negotiation;
	struct proposal_list *ike, *child;
	struct identity *id, *target_id;
	struct message_writer m;
	uint8_t buffer[INSIDER_MESSAGE_MAX];
	struct heard heard[HEARD_MAX]; /* what the target has sent to it, not looked at yet */
	unsigned heard_count;
	uint8_t last_iv[8]; /* of the target's last message under these keys */
	uint64_t last_sum;
	uint32_t request_id; /* of its next request */
	uint32_t child_spi;  /* the target's, from its IKE_AUTH message; 0: not known */
	bool authenticated, dead;
	uint64_t sent, opened;
};

struct insider *insider_new(struct world *world, struct node *target);
void insider_free(struct insider *insider);
/* Its SA, keys and all. */
void insider_forget(struct insider *insider);
/* For world->wire: takes what is meant for it off the wire. */
bool insider_overhears(
	struct insider *insider, const struct ike_path *path, const uint8_t *bytes, size_t len);
/* Lets time pass. */
void insider_wait(struct insider *insider, uint64_t ms);
/* The oldest message heard, to be freed by heard_free. False: none. */
bool insider_take(struct insider *insider, struct heard *heard);
void heard_free(struct heard *heard);
uint64_t insider_dice(struct insider *insider, uint64_t n);
bool insider_chance(struct insider *insider, unsigned percent);

/* One fragment of the message that is begun: any words, or part `number` of `total` of what was
 * written. */
void insider_send_fragment(struct insider *insider, struct bytes inner, uint8_t first_type,
	unsigned number, unsigned total);
void insider_send_part(struct insider *insider, unsigned number, unsigned total);
/* The message in fragments, by the dice: in any order, some twice, some not at all. */
void insider_send_cut(struct insider *insider);

/* An honest IKE_SA_INIT as initiator, to the keys. */
bool insider_initiate(struct insider *insider, const char *suite);
/* Answers the target's IKE_SA_INIT request honestly, and has the keys. */
bool insider_respond(struct insider *insider, const struct heard *request);
/* Anything unprotected. */
void insider_send_clear(struct insider *insider, const uint8_t *bytes, size_t len);

/* Opens a message; what is written to insider->m goes inside its SK payload. */
void insider_begin(
	struct insider *insider, enum exchange_type type, uint8_t flags, uint32_t message_id);
/* The inner chain as it is now; `len` may be made shorter. */
uint8_t *insider_plaintext(struct insider *insider, size_t *len);
void insider_cut(struct insider *insider, size_t len);
void insider_send(struct insider *insider);
/* The same message once more. */
void insider_send_again(struct insider *insider);
/* Decrypts what was heard. */
bool insider_open(struct insider *insider, struct heard *heard, struct payload_list *payloads);

/* Chains of payloads, right and wrong. */
void chain_auth(struct insider *insider, unsigned wrong_percent);
void chain_informational(struct insider *insider);
void chain_create_child(struct insider *insider);
void chain_garbage(struct insider *insider);
/* Flips, cuts and swaps bytes of what was written. */
void chain_mutate(struct insider *insider);

#endif
