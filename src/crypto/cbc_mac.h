/* Private to this room: the chain of AES blocks under XCBC, CMAC and CCM, in the context's
 * cbc_mac room. (intel-ipsec-mb's own XCBC job gives 12 bytes and no more, of which no PRF
 * can be made; its CCM takes 46 bytes of AAD and no 192-bit key. Its CBC encryption is as fast.) */
#ifndef CRYPTO_CBC_MAC_PRIVATE_H
#define CRYPTO_CBC_MAC_PRIVATE_H

#include "context.h"

/* Keys; then a message by update and one of the finish calls; then the next message or wipe. */
bool cbc_mac_set_key(struct crypto_context *context, struct bytes key);
void cbc_mac_set_xcbc_key(struct crypto_context *context, const uint8_t key[AES_BLOCK]);
void cbc_mac_set_cmac_key(struct crypto_context *context, const uint8_t key[AES_BLOCK]);
bool cbc_mac_update(struct crypto_context *context, struct bytes data);
/* Zeros up to a whole block, if there is a part of one (CCM). */
bool cbc_mac_pad(struct crypto_context *context);
/* The last block as it is; the message is a whole number of blocks. */
bool cbc_mac_finish(struct crypto_context *context, uint8_t out[AES_BLOCK]);
/* The last block masked by a subkey: XCBC and CMAC. */
bool cbc_mac_finish_masked(struct crypto_context *context, uint8_t out[AES_BLOCK]);
void cbc_mac_wipe(struct crypto_context *context);

#endif
