/* The IKE_SA_INIT exchange (RFC 7296, section 1.2), both roles. Private. */
#ifndef IKE_IKE_SA_INIT_H
#define IKE_IKE_SA_INIT_H

#include "fragment.h"
#include "ike_sa.h"

/* A message that came in, with its decoded chain. */
struct incoming {
	const struct ike_path *path;
	struct ike_header header;
	uint8_t *message;
	size_t len;
	struct payload_list payloads; /* of the message, or of what its SK payload held */
	uint64_t digest;              /* of a request's bytes as they came in */
	struct reassembled whole;     /* if it came in fragments */
};

/* Initiator: key exchange work first, then the request. The SA may be gone afterwards. */
void init_begin(struct ike_sa *sa);
/* A request that belongs to no SA yet. */
void init_request(struct ike_engine *engine, struct incoming *in);
/* The response to ours. The SA may be gone afterwards. */
void init_response(struct ike_sa *sa, struct incoming *in);
/* Key exchange work is done. Takes over the job. The SA may be gone afterwards. */
void init_job_done(struct ike_sa *sa, struct crypto_job *job);
/* Submits the job that found the workers overloaded. */
void init_retry_job(struct ike_sa *sa);

#endif
