/* The responder's half of IKE_AUTH. Private. */
#ifndef IKE_IKE_AUTH_RESPONDER_H
#define IKE_IKE_AUTH_RESPONDER_H

#include "ike_auth.h"

void auth_responder_child_installed(struct child_sa *child);

#endif
