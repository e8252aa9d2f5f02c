/* One IKE SA for a pair of identities (uniqueids), and INITIAL_CONTACT: which older SAs go when a
 * new one is established. Private. */
#ifndef IKE_UNIQUE_H
#define IKE_UNIQUE_H

#include "ike_sa.h"

/* Of the pair, for the table of established SAs. */
uint64_t unique_hash(const struct identity *local, const struct identity *remote);
/* The SA carries its traffic: older ones of its peer go, here and in every other engine. */
void unique_established(struct ike_sa *sa, bool initial_contact);

#endif
