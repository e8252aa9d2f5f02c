/* Signatures as jobs. */
#include "authentication_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/x509.h>

/* ---- made and released ------------------------------------------------------------- */

/* The job and all its copies are one piece of memory. */
struct packing {
	uint8_t *at;
};

static struct bytes pack(struct packing *p, struct bytes from)
{
	struct bytes packed = bytes_of(p->at, from.len);

	if (from.len)
		memcpy(p->at, from.data, from.len);
	p->at += from.len;
	return packed;
}

static struct authentication_job *new_job(enum crypto_job_kind kind, size_t room, struct packing *p)
{
	struct authentication_job *job = calloc(1, sizeof(*job) + room);

	if (!job)
		return NULL;
	job->job.kind = kind;
	job->job.result = CRYPTO_JOB_FAILED;
	p->at = (uint8_t *)(job + 1);
	return job;
}

struct crypto_job *sign_job_new(const struct own_certificate *own, enum signature_scheme scheme,
	bool raw_ecdsa, struct bytes octets)
{
	struct packing p;
	struct authentication_job *job = new_job(CRYPTO_SIGN, octets.len + SIGNATURE_LEN_MAX, &p);

	if (!job)
		return NULL;
	job->own = own_certificate_ref(own);
	job->scheme = scheme;
	job->raw_ecdsa = raw_ecdsa;
	job->octets = pack(&p, octets);
	job->signature = bytes_of(p.at, 0);
	return &job->job;
}

struct crypto_job *verify_job_new(
	struct credentials *credentials, const struct authentication_job *wanted)
{
	struct bytes text = bytes_of(wanted->name_text, strlen(wanted->name_text) + 1);
	size_t room = wanted->octets.len + wanted->signature.len + wanted->name.len +
		      wanted->authority.len + text.len;
	struct authentication_job *job;
	struct packing p;

	for (unsigned i = 0; i < wanted->certificate_count; i++)
		room += wanted->certificates[i].len;
	job = new_job(CRYPTO_VERIFY, room, &p);
	if (!job)
		return NULL;
	job->credentials = credentials;
	job->scheme = wanted->scheme;
	job->raw_ecdsa = wanted->raw_ecdsa;
	job->name_kind = wanted->name_kind;
	job->octets = pack(&p, wanted->octets);
	job->signature = pack(&p, wanted->signature);
	job->name = pack(&p, wanted->name);
	job->authority = pack(&p, wanted->authority);
	job->certificate_count = wanted->certificate_count;
	for (unsigned i = 0; i < wanted->certificate_count; i++)
		job->certificates[i] = pack(&p, wanted->certificates[i]);
	job->name_text = (const char *)pack(&p, text).data;
	return &job->job;
}

void authentication_job_release(struct crypto_job *job)
{
	own_certificate_unref(authentication_job_of(job)->own);
}

/* ---- run ----------------------------------------------------------------------------- */

static enum crypto_job_result sign(struct authentication_job *job)
{
	size_t len;

	if (!job->own->key)
		return CRYPTO_JOB_FAILED;
	len = private_key_sign(job->own->key, job->scheme, job->raw_ecdsa, job->octets,
		(uint8_t *)(uintptr_t)job->signature.data);
	job->signature.len = len;
	return len ? CRYPTO_JOB_OK : CRYPTO_JOB_FAILED;
}

__attribute__((format(printf, 2, 3))) static enum crypto_job_result refuse(
	struct authentication_job *job, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(job->refusal, sizeof(job->refusal), format, args);
	va_end(args);
	return CRYPTO_JOB_REFUSED;
}

/* RFC 4754, section 3: each of the methods 9 to 11 is for one curve. */
static bool curve_fits(const struct authentication_job *job, const struct peer_certificate *peer)
{
	static const unsigned bits[] = {[SIGNATURE_ECDSA_SHA256] = 256,
		[SIGNATURE_ECDSA_SHA384] = 384,
		[SIGNATURE_ECDSA_SHA512] = 521};

	return !job->raw_ecdsa || peer->key_bits == bits[job->scheme];
}

static enum crypto_job_result judge(
	struct authentication_job *job, const struct peer_certificate *peer)
{
	const struct signature_scheme_info *info = signature_scheme_info(job->scheme);

	if (!peer_certificate_has_name(peer, job->name_kind, job->name))
		return refuse(job, "its certificate '%.120s' is not for its identity '%.80s'",
			peer->subject_text, job->name_text);
	if (job->authority.len && !peer_certificate_has_authority(peer, job->authority))
		return refuse(job,
			"its certificate '%.120s' is not of the authority that the connection asks "
			"for",
			peer->subject_text);
	if (peer->kind != info->kind || !curve_fits(job, peer))
		return refuse(job,
			"its signature, %s, is not one of its certificate's %u-bit %s key",
			info->name, peer->key_bits, key_kind_name(peer->kind));
	if (!signature_verify(peer->pkey, job->scheme, job->raw_ecdsa, job->octets, job->signature))
		return refuse(job, "its signature, %s, is wrong", info->name);
	snprintf(job->peer, sizeof(job->peer),
		"certificate '%s' and %u-bit %s digital signature issued by '%s'",
		peer->subject_text, peer->key_bits, info->name, peer->issuer_text);
	return CRYPTO_JOB_OK;
}

static enum crypto_job_result verify(struct authentication_job *job)
{
	struct validated *validated = credentials_validated(job->credentials);
	int64_t now_s = (int64_t)time(NULL);
	struct peer_certificate *peer = validated_find(validated, job->certificates[0], now_s);
	enum crypto_job_result result;

	if (!peer && !credentials_ask_of_each(job->credentials))
		peer = validated_by_issuer(validated, job->certificates[0], now_s);
	if (!peer)
		return CRYPTO_JOB_UNKNOWN_CHAIN;
	result = judge(job, peer);
	peer_certificate_unref(peer);
	return result;
}

static enum crypto_job_result validate(struct authentication_job *job)
{
	struct validated *validated = credentials_validated(job->credentials);
	uint64_t generation = validated_generation(validated);
	int64_t now_s = (int64_t)time(NULL), until_s = 0;
	struct peer_certificate *peer;
	enum crypto_job_result result;
	X509 *x509;

	/* Another job may have brought it meanwhile. */
	result = verify(job);
	if (result != CRYPTO_JOB_UNKNOWN_CHAIN)
		return result;
	peer = peer_certificate_new(
		job->certificates[0], now_s, &x509, job->refusal, sizeof(job->refusal));
	X509_free(x509);
	if (!peer)
		return CRYPTO_JOB_REFUSED;
	if (validate_chain(job->credentials, job, peer, now_s, &until_s, job->refusal,
		    sizeof(job->refusal))) {
		validated_add(validated, generation, job->certificates[0], peer, until_s);
		result = judge(job, peer);
	} else {
		result = CRYPTO_JOB_REFUSED;
	}
	peer_certificate_unref(peer);
	return result;
}

void authentication_job_run(struct crypto_job *crypto_job)
{
	struct authentication_job *job = authentication_job_of(crypto_job);

	if (crypto_job->kind == CRYPTO_SIGN)
		crypto_job->result = sign(job);
	else if (!credentials_are_open(job->credentials) || job->certificate_count == 0)
		crypto_job->result = CRYPTO_JOB_FAILED;
	else if (crypto_job->kind == CRYPTO_VERIFY)
		crypto_job->result = verify(job);
	else
		crypto_job->result = validate(job);
}
