/* INFORMATIONAL exchanges: Delete, liveness (RFC 7296, sections 1.4 and 2.4). Private. */
#ifndef IKE_INFORMATIONAL_H
#define IKE_INFORMATIONAL_H

#include "ike_sa_init.h"

/* The SA may be gone after either. */
void informational_request(struct ike_sa *sa, struct incoming *in);
void informational_response(struct ike_sa *sa, struct incoming *in);

#endif
