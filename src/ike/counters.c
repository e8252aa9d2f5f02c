/* Counters: one table of keys, built once, and the ways into it. */
#include "counter_ids.h"

#include "engine_state.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#define KEYS_MAX 512
#define KEY_LEN  80

/* Places of the table-sized families behind COUNT_FIXED. */
enum family {
	SENT_ERROR,
	RECEIVED_ERROR,
	SENT_STATUS,
	RECEIVED_STATUS,
	IKE_ENCR,
	IKE_INTEG,
	IKE_GROUP,
	CHILD_ENCR,
	CHILD_INTEG,
	RECEIVED_KE_USING,
	RECEIVED_KE_SUGGESTING,
	SENT_KE_USING,
	SENT_KE_SUGGESTING,
	FAMILIES
};

static const struct {
	const char *prefix;
	enum { NAMES_ERROR, NAMES_STATUS, NAMES_ALGORITHM } names;
	enum transform_type type;
} families[FAMILIES] = {
	[SENT_ERROR] = {"total.ikev2.sent.notifies.error.", NAMES_ERROR, 0},
	[RECEIVED_ERROR] = {"total.ikev2.recv.notifies.error.", NAMES_ERROR, 0},
	[SENT_STATUS] = {"total.ikev2.sent.notifies.status.", NAMES_STATUS, 0},
	[RECEIVED_STATUS] = {"total.ikev2.recv.notifies.status.", NAMES_STATUS, 0},
	[IKE_ENCR] = {"total.ikev2.encr.", NAMES_ALGORITHM, TRANSFORM_ENCR},
	[IKE_INTEG] = {"total.ikev2.integ.", NAMES_ALGORITHM, TRANSFORM_INTEG},
	[IKE_GROUP] = {"total.ikev2.group.", NAMES_ALGORITHM, TRANSFORM_KE},
	[CHILD_ENCR] = {"total.ikev2.ipsec.encr.", NAMES_ALGORITHM, TRANSFORM_ENCR},
	[CHILD_INTEG] = {"total.ikev2.ipsec.integ.", NAMES_ALGORITHM, TRANSFORM_INTEG},
	[RECEIVED_KE_USING] = {"total.ikev2.recv.invalidke.using.", NAMES_ALGORITHM, TRANSFORM_KE},
	[RECEIVED_KE_SUGGESTING] = {"total.ikev2.recv.invalidke.suggesting.", NAMES_ALGORITHM,
		TRANSFORM_KE},
	[SENT_KE_USING] = {"total.ikev2.sent.invalidke.using.", NAMES_ALGORITHM, TRANSFORM_KE},
	[SENT_KE_SUGGESTING] = {"total.ikev2.sent.invalidke.suggesting.", NAMES_ALGORITHM,
		TRANSFORM_KE},
};

static const char *const fixed_keys[COUNT_FIXED] = {
	[COUNT_STATES_ALL] = "current.states.all",
	[COUNT_STATES_IPSEC] = "current.states.ipsec",
	[COUNT_STATES_IKE] = "current.states.ike",
	[COUNT_STATES_SHUNTS] = "current.states.shunts",
	[COUNT_STATES_ANONYMOUS] = "current.states.iketype.anonymous",
	[COUNT_STATES_AUTHENTICATED] = "current.states.iketype.authenticated",
	[COUNT_STATES_HALF_OPEN] = "current.states.iketype.halfopen",
	[COUNT_STATES_OPEN] = "current.states.iketype.open",
	[COUNT_STATE_CHILD] = "current.states.enumerate.ESTABLISHED_CHILD_SA",
	[COUNT_ESP] = "total.ipsec.type.esp",
	[COUNT_AH] = "total.ipsec.type.ah",
	[COUNT_IPCOMP] = "total.ipsec.type.ipcomp",
	[COUNT_ESN] = "total.ipsec.type.esn",
	[COUNT_TFC] = "total.ipsec.type.tfc",
	[COUNT_ENCAP] = "total.ipsec.type.encap",
	[COUNT_NON_ENCAP] = "total.ipsec.type.non_encap",
	[COUNT_ESP_IN] = "total.ipsec.esp.traffic.in",
	[COUNT_ESP_OUT] = "total.ipsec.esp.traffic.out",
	[COUNT_AH_IN] = "total.ipsec.ah.traffic.in",
	[COUNT_AH_OUT] = "total.ipsec.ah.traffic.out",
	[COUNT_IKE_ESTABLISHED] = "total.ike.ikev2.established",
	[COUNT_IKE_FAILED] = "total.ike.ikev2.failed",
	[COUNT_IKE_COMPLETED] = "total.ike.ikev2.completed",
	[COUNT_IKE_STARTED] = "total.ikev2.ike.started",
	[COUNT_IKE_SA_ESTABLISHED] = "total.ikev2.ike.established",
	[COUNT_IKE_FINISHED_ALL] = "total.ikev2.ike.finished",
	[COUNT_CHILD_STARTED] = "total.ikev2.child.started",
	[COUNT_CHILD_ESTABLISHED] = "total.ikev2.child.established",
	[COUNT_CHILD_FINISHED_ALL] = "total.ikev2.child.finished",
	[COUNT_DPD_SENT] = "total.ike.dpd.sent",
	[COUNT_DPD_RECEIVED] = "total.ike.dpd.recv",
	[COUNT_DPD_REPLIED] = "total.ike.dpd.replied",
	[COUNT_MANGLED] = "total.ike.mangled",
	[COUNT_TRAFFIC_IN] = "total.ike.traffic.in",
	[COUNT_TRAFFIC_OUT] = "total.ike.traffic.out",
	[COUNT_RETRANSMITS] = "plutonium.ikev2.retransmits",
	[COUNT_RESPONSES_RESENT] = "plutonium.ikev2.responses_resent",
	[COUNT_COOKIES_SENT] = "plutonium.ikev2.cookies.sent",
	[COUNT_COOKIES_BAD] = "plutonium.ikev2.cookies.bad",
	[COUNT_REFUSED_HALF_OPEN] = "plutonium.ikev2.refused.half_open",
	[COUNT_REFUSED_OVERLOAD] = "plutonium.ikev2.refused.overload",
	[COUNT_UNKNOWN_SPI] = "plutonium.ikev2.dropped.unknown_spi",
	[COUNT_BAD_MESSAGE_ID] = "plutonium.ikev2.dropped.message_id",
	[COUNT_BAD_ICV] = "plutonium.ikev2.dropped.integrity",
	[COUNT_NO_CONNECTION] = "plutonium.ikev2.refused.no_connection",
	[COUNT_IKEV1_DROPPED] = "total.ike.ikev1.dropped",
	[COUNT_REVIVALS] = "plutonium.ikev2.revivals",
	[COUNT_LEASES_REFUSED] = "plutonium.leases.exhausted",
	[COUNT_LEASES + LEASE_FRESH] = "plutonium.leases.fresh",
	[COUNT_LEASES + LEASE_STOLEN] = "plutonium.leases.stolen",
	[COUNT_LEASES + LEASE_KEPT] = "plutonium.leases.kept",
	[COUNT_LEASES + LEASE_SHARED] = "plutonium.leases.shared",
	[COUNT_ACQUIRES] = "plutonium.kernel.acquires",
};

static const char *const finish_names[FINISH_REASONS] = {
	[FINISHED_OTHER] = "other",
	[FINISHED_CRYPTO_TIMEOUT] = "crypto-timeout",
	[FINISHED_EXCHANGE_TIMEOUT] = "exchange-timeout",
	[FINISHED_RETRANSMITS] = "too-many-retransmits",
	[FINISHED_SUPERSEDED] = "superseeded-by-new-sa", /* spelt as reports have always spelt it */
	[FINISHED_CRYPTO_FAILED] = "crypto-failed",
	[FINISHED_AUTH_FAILED] = "auth-failed",
	[FINISHED_TS_UNACCEPTABLE] = "ts-unacceptable",
	[FINISHED_DELETED] = "deleted",
	[FINISHED_COMPLETED] = "completed",
};

static char keys[KEYS_MAX][KEY_LEN];
static size_t key_count, family_at[FAMILIES], family_len[FAMILIES];
static pthread_once_t keys_once = PTHREAD_ONCE_INIT;

static const char *member_name(enum family f, size_t i)
{
	const struct algorithm *alg;

	switch (families[f].names) {
	case NAMES_ERROR:
		return notify_error_name(i);
	case NAMES_STATUS:
		return notify_status_name(i);
	default:
		alg = algorithm_at(families[f].type, i);
		return alg ? alg->name : NULL;
	}
}

static void name_fixed_keys(void)
{
	for (size_t i = 0; i < COUNT_FIXED; i++) {
		if (fixed_keys[i])
			snprintf(keys[i], KEY_LEN, "%s", fixed_keys[i]);
	}
	for (size_t i = 0; i < IKE_STATES; i++)
		snprintf(keys[COUNT_STATE + i], KEY_LEN, "current.states.enumerate.%s",
			ike_state_name(i));
	for (size_t i = 0; i < FINISH_REASONS; i++) {
		snprintf(keys[COUNT_IKE_FINISHED + i], KEY_LEN, "total.ikev2.ike.finished.%s",
			finish_names[i]);
		snprintf(keys[COUNT_CHILD_FINISHED + i], KEY_LEN, "total.ikev2.child.finished.%s",
			finish_names[i]);
	}
}

static void name_keys(void)
{
	name_fixed_keys();
	key_count = COUNT_FIXED;
	for (enum family f = 0; f < FAMILIES; f++) {
		const char *name;

		family_at[f] = key_count;
		for (size_t i = 0; (name = member_name(f, i)) && key_count < KEYS_MAX - 1; i++)
			snprintf(keys[key_count++], KEY_LEN, "%s%s", families[f].prefix, name);
		snprintf(keys[key_count++], KEY_LEN, "%sother", families[f].prefix);
		family_len[f] = key_count - family_at[f];
	}
}

size_t ike_counter_count(void)
{
	pthread_once(&keys_once, name_keys);
	return key_count;
}

const char *ike_counter_key(size_t i)
{
	return i < ike_counter_count() ? keys[i] : NULL;
}

/* `i` below 0 or past the end: the family's `.other`. */
static void count_member(struct ike_engine *engine, enum family f, int i)
{
	size_t other = family_len[f] - 1;

	engine_count(engine, family_at[f] + (i < 0 || (size_t)i > other ? other : (size_t)i));
}

static void count_algorithm(struct ike_engine *engine, enum family f, const struct algorithm *alg)
{
	const struct algorithm *at;
	int i = 0;

	if (!alg)
		return;
	while ((at = algorithm_at(families[f].type, i)) && at != alg)
		i++;
	count_member(engine, f, at ? i : -1);
}

void count_notify(struct ike_engine *engine, bool sent, uint16_t type)
{
	if (NOTIFY_IS_ERROR(type))
		count_member(engine, sent ? SENT_ERROR : RECEIVED_ERROR, notify_error_index(type));
	else
		count_member(
			engine, sent ? SENT_STATUS : RECEIVED_STATUS, notify_status_index(type));
}

void count_ike_algorithms(struct ike_engine *engine, const struct chosen_proposal *chosen)
{
	count_algorithm(engine, IKE_ENCR, chosen->encr);
	count_algorithm(engine, IKE_INTEG, chosen->integ);
	count_algorithm(engine, IKE_GROUP, chosen->ke);
}

void count_child_algorithms(struct ike_engine *engine, const struct chosen_proposal *chosen)
{
	count_algorithm(engine, CHILD_ENCR, chosen->encr);
	count_algorithm(engine, CHILD_INTEG,
		chosen->integ ? chosen->integ : algorithm_by_id(TRANSFORM_INTEG, INTEG_NONE));
}

void count_invalid_ke(struct ike_engine *engine, bool sent, uint16_t used, uint16_t suggested)
{
	count_algorithm(engine, sent ? SENT_KE_USING : RECEIVED_KE_USING,
		algorithm_by_id(TRANSFORM_KE, used));
	count_algorithm(engine, sent ? SENT_KE_SUGGESTING : RECEIVED_KE_SUGGESTING,
		algorithm_by_id(TRANSFORM_KE, suggested));
}
