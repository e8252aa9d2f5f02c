/* The responder's half of IKE_SA_INIT, and what both halves share. Private. */
#ifndef IKE_IKE_SA_INIT_RESPONDER_H
#define IKE_IKE_SA_INIT_RESPONDER_H

#include "ike_sa_init.h"

/* Reads job->result; the job stays the caller's. */
void init_responder_job_done(struct ike_sa *sa, struct crypto_job *job);

/* Gives the SA's job to the host. False: overloaded; the job waits in the negotiation. */
/* One that finds the workers overloaded is submitted again later. */
void init_submit_or_wait(struct ike_sa *sa, struct crypto_job *job);
bool init_submit(struct ike_sa *sa, struct crypto_job *job);
/* Keeps a copy of the initiator's, of the responder's IKE_SA_INIT message in the place of what was kept.
 * False: no memory, and all is as before. */
bool init_keep_message_i(struct ike_sa *sa, struct bytes message);
bool init_keep_message_r(struct ike_sa *sa, struct bytes message);
/* "192.0.2.1:UDP/500" */
const char *ike_endpoint_text(const struct ip_endpoint *e, char out[IP_RANGE_TEXT_MAX]);

#endif
