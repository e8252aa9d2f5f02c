/* Preshared keys, indexed by the identities that they belong to (ipsec.secrets). A store is built
 * by one thread and immutable once it is in a vault; a vault is read by every shard under the
 * catalogue's RCU rules. */
#ifndef IKE_SECRETS_H
#define IKE_SECRETS_H

#include "base/bytes.h"
#include "ike/identity.h"

struct secret_store;
struct secret_vault;

#define SECRET_IDENTITIES_MAX 64 /* of one entry */

struct secret_store *secret_store_new(void);
/* Wipes all secrets. */
void secret_store_free(struct secret_store *store);
/* An entry "id id ... : PSK value"; no identities: it matches everything. The store copies. EEXIST
 * when another entry has another secret and would be as good a match for some pair of identities,
 * ENOMEM, E2BIG. 0.0.0.0 and :: count as %any. */
int secret_store_add_psk(struct secret_store *store, const struct identity *const *ids,
	size_t id_count, struct bytes psk);
size_t secret_store_count(const struct secret_store *store);
/* What its entries and their index take. */
size_t secret_store_bytes(const struct secret_store *store);

struct secret_vault *secret_vault_new(void);
void secret_vault_free(struct secret_vault *vault);
/* Publishes `store` (NULL: forget all secrets) and frees the old one after a grace period. Blocks
 * for it: never on a shard. */
void secret_vault_replace(struct secret_vault *vault, struct secret_store *store);
/* secret_store_bytes of the store in force; the thread that replaces it. */
size_t secret_vault_bytes(const struct secret_vault *vault);
/* The best match: an entry that lists both > ours and %any > ours alone > the peer's and %any > the
 * peer's alone > %any alone > one with no identities. One that lists one of the two beside others,
 * without %any, is no match. The slice is valid until the reader's next quiescent state. False:
 * there is none. O(1). */
bool secret_vault_find_psk(const struct secret_vault *vault, const struct identity *local,
	const struct identity *remote, struct bytes *psk);

#endif
