/* NSS, as a daemon uses it that keeps its keys there: all through PK11, in the internal slot. */
#include "bench.h"
#include "nss.h"

#include <string.h>

#include <nss.h>

SECItem nss_curve_params(SECOidTag curve, struct nss_curve_room *room)
{
	const SECOidData *oid = SECOID_FindOIDByTag(curve);

	if (!oid || oid->oid.len + 2 > sizeof(room->data))
		return (SECItem){siBuffer, NULL, 0};
	room->data[0] = SEC_ASN1_OBJECT_ID;
	room->data[1] = (uint8_t)oid->oid.len;
	memcpy(room->data + 2, oid->oid.data, oid->oid.len);
	return (SECItem){siBuffer, room->data, oid->oid.len + 2};
}

void bench_add_nss(struct bench_list *list)
{
	if (!NSS_IsInitialized() && NSS_NoDB_Init(NULL) != SECSuccess)
		return;
	bench_add_nss_key_exchanges(list);
	bench_add_nss_signatures(list);
	bench_add_nss_symmetric(list);
}
