/* Where the peer is. Private. */
#ifndef IKE_PATH_H
#define IKE_PATH_H

#include "ike_sa.h"

/* An authenticated message came along this path: the peer is alive, and if it is behind a NAT whose
 * mapping has changed, it is answered where it is now (RFC 7296, section 2.23). */
void path_heard(struct ike_sa *sa, const struct ike_path *path);

#endif
