/* The store that is in force, and how a new one takes its place under the readers' hands. */
#include "rcu_list.h"
#include "secret_store.h"

#include <stdlib.h>

struct secret_vault {
	struct secret_store *store; /* NULL: no secrets */
};

struct secret_vault *secret_vault_new(void)
{
	return calloc(1, sizeof(struct secret_vault));
}

void secret_vault_free(struct secret_vault *vault)
{
	if (vault == NULL)
		return;
	secret_store_free(vault->store);
	free(vault);
}

void secret_vault_replace(struct secret_vault *vault, struct secret_store *store)
{
	struct secret_store *old = __atomic_exchange_n(&vault->store, store, __ATOMIC_ACQ_REL);

	if (old == NULL)
		return;
	urcu_qsbr_synchronize_rcu();
	rcu_grace_over();
	secret_store_free(old);
}

size_t secret_vault_bytes(const struct secret_vault *vault)
{
	const struct secret_store *store = __atomic_load_n(&vault->store, __ATOMIC_ACQUIRE);

	return store != NULL ? secret_store_bytes(store) : 0;
}

bool secret_vault_find_psk(const struct secret_vault *vault, const struct identity *local,
	const struct identity *remote, struct bytes *psk)
{
	const struct secret_store *store = __atomic_load_n(&vault->store, __ATOMIC_ACQUIRE);
	bool ok = store != NULL && secret_store_find_psk(store, local, remote, psk);

	rcu_reader_done();
	return ok;
}
