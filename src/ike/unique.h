/* One IKE SA for a pair of identities (uniqueids), and INITIAL_CONTACT: which older SAs go when a
 * new one is established. Private. */
#ifndef IKE_UNIQUE_H
#define IKE_UNIQUE_H

#include "ike_sa.h"

/* Of the pair, for the table of established SAs. */
uint64_t unique_hash(const struct identity *local, const struct identity *remote);
/* The SA carries its traffic: older ones of its peer go, here and in every other engine. */
void unique_established(struct ike_sa *sa, bool initial_contact);

/* What other engines are to know of the SA; identities are the SA's own. */
struct ike_news news_of(const struct ike_sa *sa, enum ike_news_kind kind);

/* Is there another established IKE SA between the identities, so that this one is no initial contact
 * (RFC 7296, section 2.4)? */
bool unique_knows_other(const struct ike_sa *sa);

#endif
