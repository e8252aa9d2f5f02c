/* NAT detection and the move to port 4500 (RFC 7296, section 2.23). Private. */
#ifndef IKE_NAT_DETECTION_H
#define IKE_NAT_DETECTION_H

#include "ike_sa.h"

/* Both NAT_DETECTION notifies for a message that goes along `path`. `force`: says that there is a
 * NAT in any case. */
void nat_detection_encode(struct ike_engine *engine, struct message_writer *m, uint64_t spi_i,
	uint64_t spi_r, const struct ike_path *path, bool force);
/* What the peer's notifies say about the path that its message came along. Both false when it sent
 * none. */
void nat_detection_judge(struct ike_engine *engine, const struct payload_list *payloads,
	uint64_t spi_i, uint64_t spi_r, const struct ike_path *path, bool *behind_nat,
	bool *peer_behind_nat);
/* Was one found between the two ends? */
static inline bool nat_is_between(const struct ike_sa *sa)
{
	return sa->behind_nat || sa->peer_behind_nat;
}
/* The initiator's move: our port 4500 to the peer's 4500. Without a NAT-T port of ours nothing
 * moves. */
void nat_float(struct ike_sa *sa);

#endif
