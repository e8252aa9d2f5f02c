/* The cells of an engine's counter set. Private: others go by ike/counters.h. */
#ifndef IKE_COUNTER_IDS_H
#define IKE_COUNTER_IDS_H

#include "ike_sa.h"
#include "ike/counters.h"

enum { /* families are followed by their members' places */
	COUNT_STATES_ALL,
	COUNT_STATES_IPSEC,
	COUNT_STATES_IKE,
	COUNT_STATES_SHUNTS, /* of failed negotiations */
	COUNT_STATES_ANONYMOUS,
	COUNT_STATES_AUTHENTICATED,
	COUNT_STATES_HALF_OPEN,
	COUNT_STATES_OPEN,
	COUNT_STATE,                                  /* + enum ike_state */
	COUNT_STATE_CHILD = COUNT_STATE + IKE_STATES, /* ESTABLISHED_CHILD_SA */
	COUNT_ESP,
	COUNT_AH,
	COUNT_IPCOMP,
	COUNT_ESN,
	COUNT_TFC,
	COUNT_ENCAP,
	COUNT_NON_ENCAP,
	COUNT_ESP_IN,
	COUNT_ESP_OUT,
	COUNT_AH_IN,
	COUNT_AH_OUT,
	COUNT_IKE_ESTABLISHED,
	COUNT_IKE_FAILED,
	COUNT_IKE_COMPLETED,
	COUNT_IKE_STARTED,
	COUNT_IKE_SA_ESTABLISHED,
	COUNT_IKE_FINISHED, /* + enum finish_reason */
	COUNT_IKE_FINISHED_ALL = COUNT_IKE_FINISHED + FINISH_REASONS,
	COUNT_CHILD_STARTED,
	COUNT_CHILD_ESTABLISHED,
	COUNT_CHILD_FINISHED,
	COUNT_CHILD_FINISHED_ALL = COUNT_CHILD_FINISHED + FINISH_REASONS,
	COUNT_DPD_SENT,
	COUNT_DPD_RECEIVED,
	COUNT_DPD_REPLIED,
	COUNT_MANGLED,
	COUNT_TRAFFIC_IN,
	COUNT_TRAFFIC_OUT,
	COUNT_RETRANSMITS,
	COUNT_RESPONSES_RESENT,
	COUNT_COOKIES_SENT,
	COUNT_COOKIES_BAD,
	COUNT_REFUSED_HALF_OPEN,
	COUNT_REFUSED_OVERLOAD,
	COUNT_UNKNOWN_SPI,
	COUNT_BAD_MESSAGE_ID,
	COUNT_BAD_ICV,
	COUNT_NO_CONNECTION,
	COUNT_IKEV1_DROPPED,
	COUNT_REVIVALS,
	COUNT_LEASES, /* + enum lease_kind */
	COUNT_LEASES_REFUSED = COUNT_LEASES + LEASE_NONE,
	COUNT_LEASES_LAST = COUNT_LEASES + LEASE_SHARED,
	COUNT_ACQUIRES,
	COUNT_FIXED /* the families that are sized by tables begin here */
};

/* Each adds one to the cell for what it names; unknown notifies go to `.other`. */
void count_notify(struct ike_engine *engine, bool sent, uint16_t type);
void count_ike_algorithms(struct ike_engine *engine, const struct chosen_proposal *chosen);
void count_child_algorithms(struct ike_engine *engine, const struct chosen_proposal *chosen);
/* One was sent or received that names `suggested` after `used` had been tried. */
void count_invalid_ke(struct ike_engine *engine, bool sent, uint16_t used, uint16_t suggested);

#endif
