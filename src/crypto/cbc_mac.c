#include "cbc_mac.h"

#include "aes.h"
#include "base/secret.h"

#include <string.h>

static void restart(struct cbc_mac_room *room)
{
	memset(room->chain, 0, sizeof(room->chain));
	room->filled = 0;
}

bool cbc_mac_set_key(struct crypto_context *context, struct bytes key)
{
	struct cbc_mac_room *room = &context->cbc_mac;

	restart(room);
	room->key_len = key.len;
	return aes_expand(context, key, &room->aes);
}

void cbc_mac_set_xcbc_key(struct crypto_context *context, const uint8_t key[AES_BLOCK])
{
	struct cbc_mac_room *room = &context->cbc_mac;

	restart(room);
	room->key_len = AES_BLOCK;
	IMB_AES_XCBC_KEYEXP(
		context->lone, key, room->aes.encrypt, room->full_subkey, room->padded_subkey);
}

void cbc_mac_set_cmac_key(struct crypto_context *context, const uint8_t key[AES_BLOCK])
{
	struct cbc_mac_room *room = &context->cbc_mac;

	cbc_mac_set_key(context, bytes_of(key, AES_BLOCK));
	IMB_AES_CMAC_SUBKEY_GEN_128(
		context->lone, room->aes.encrypt, room->full_subkey, room->padded_subkey);
}

/* Chains over the piece, which holds whole blocks. */
static bool run_piece(struct crypto_context *context)
{
	struct cbc_mac_room *room = &context->cbc_mac;

	if (room->filled == 0)
		return true;
	if (!aes_cbc_encrypt(
		    context, &room->aes, room->key_len, room->chain, room->piece, room->filled))
		return false;
	memcpy(room->chain, room->piece + room->filled - AES_BLOCK, AES_BLOCK);
	room->filled = 0;
	return true;
}

bool cbc_mac_update(struct crypto_context *context, struct bytes data)
{
	struct cbc_mac_room *room = &context->cbc_mac;
	size_t at = 0;

	while (at < data.len) {
		size_t take = data.len - at;

		if (room->filled == CBC_MAC_PIECE && !run_piece(context))
			return false;
		if (take > CBC_MAC_PIECE - room->filled)
			take = CBC_MAC_PIECE - room->filled;
		memcpy(room->piece + room->filled, data.data + at, take);
		room->filled += take;
		at += take;
	}
	return true;
}

bool cbc_mac_pad(struct crypto_context *context)
{
	static const uint8_t zeros[AES_BLOCK];
	size_t partial = context->cbc_mac.filled % AES_BLOCK;

	return partial == 0 || cbc_mac_update(context, bytes_of(zeros, AES_BLOCK - partial));
}

bool cbc_mac_finish(struct crypto_context *context, uint8_t out[AES_BLOCK])
{
	struct cbc_mac_room *room = &context->cbc_mac;

	if (room->filled % AES_BLOCK != 0 || !run_piece(context))
		return false;
	memcpy(out, room->chain, AES_BLOCK);
	restart(room);
	return true;
}

bool cbc_mac_finish_masked(struct crypto_context *context, uint8_t out[AES_BLOCK])
{
	struct cbc_mac_room *room = &context->cbc_mac;
	size_t partial = room->filled % AES_BLOCK;
	/* An empty message is padded as well. */
	bool padded = partial != 0 || room->filled == 0;
	const uint8_t *subkey = padded ? room->padded_subkey : room->full_subkey;
	uint8_t *last;

	if (padded) {
		room->piece[room->filled] = 0x80;
		memset(room->piece + room->filled + 1, 0, AES_BLOCK - partial - 1);
		room->filled += AES_BLOCK - partial;
	}
	last = room->piece + room->filled - AES_BLOCK;
	for (size_t i = 0; i < AES_BLOCK; i++)
		last[i] ^= subkey[i];
	return cbc_mac_finish(context, out);
}

void cbc_mac_wipe(struct crypto_context *context)
{
	secret_wipe(&context->cbc_mac, sizeof(context->cbc_mac));
}
