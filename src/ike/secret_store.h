/* Preshared keys, found by the identities that their entries list. */
#ifndef IKE_SECRET_STORE_H
#define IKE_SECRET_STORE_H

#include "ike/secrets.h"

/* As secret_vault_find_psk, in one store. Any thread, as long as the store does not change. */
bool secret_store_find_psk(const struct secret_store *store, const struct identity *local,
	const struct identity *remote, struct bytes *psk);

#endif
