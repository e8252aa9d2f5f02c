/* The responder's half of IKE_AUTH. Private. */
#ifndef IKE_IKE_AUTH_RESPONDER_H
#define IKE_IKE_AUTH_RESPONDER_H

#include "ike_auth.h"

/* As auth_initiator_signed and _verified. */
void auth_responder_signed(struct ike_sa *sa, bool ok);
void auth_responder_verified(struct ike_sa *sa, struct incoming *in, const char *fault);
void auth_responder_child_installed(struct child_sa *child);

#endif
