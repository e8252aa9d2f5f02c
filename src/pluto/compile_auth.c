/* How the two ends of a connection prove who they are: methods, certificates, authorities. */
#include "compile.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define SCHEMES_SHA2   (SCHEMES_RSA_PSS | SCHEMES_RSA_PKCS1 | SCHEMES_ECDSA)
#define RSA_WITH(hash) (SCHEME_BIT(SIGNATURE_RSA_PSS_##hash) | SCHEME_BIT(SIGNATURE_RSA_##hash))

/* ---- methods ------------------------------------------------------------------ */

static const struct {
	const char *name;
	enum auth_method method;
	uint32_t schemes;
} methods[] = {
	{"secret", AUTH_METHOD_SECRET, 0},
	{"psk", AUTH_METHOD_SECRET, 0},
	{"never", AUTH_METHOD_NEVER, 0},
	/* The old names allow the old method too: RSA with SHA-1 (RFC 7296, section 3.8). */
	{"rsasig", AUTH_METHOD_SIGNATURE,
		SCHEMES_RSA_PSS | SCHEMES_RSA_PKCS1 | SCHEME_BIT(SIGNATURE_RSA_SHA1)},
	{"rsa", AUTH_METHOD_SIGNATURE,
		SCHEMES_RSA_PSS | SCHEMES_RSA_PKCS1 | SCHEME_BIT(SIGNATURE_RSA_SHA1)},
	{"rsa-sha1", AUTH_METHOD_SIGNATURE, SCHEME_BIT(SIGNATURE_RSA_SHA1)},
	{"rsa-sha2", AUTH_METHOD_SIGNATURE, SCHEMES_RSA_PSS | SCHEMES_RSA_PKCS1},
	{"rsa-sha2_256", AUTH_METHOD_SIGNATURE, RSA_WITH(SHA256)},
	{"rsa-sha2_384", AUTH_METHOD_SIGNATURE, RSA_WITH(SHA384)},
	{"rsa-sha2_512", AUTH_METHOD_SIGNATURE, RSA_WITH(SHA512)},
	{"ecdsa", AUTH_METHOD_SIGNATURE, SCHEMES_ECDSA},
	{"ecdsa-sha2", AUTH_METHOD_SIGNATURE, SCHEMES_ECDSA},
	{"ecdsa-sha2_256", AUTH_METHOD_SIGNATURE, SCHEME_BIT(SIGNATURE_ECDSA_SHA256)},
	{"ecdsa-sha2_384", AUTH_METHOD_SIGNATURE, SCHEME_BIT(SIGNATURE_ECDSA_SHA384)},
	{"ecdsa-sha2_512", AUTH_METHOD_SIGNATURE, SCHEME_BIT(SIGNATURE_ECDSA_SHA512)},
};
#define METHOD_COUNT (sizeof(methods) / sizeof(methods[0]))

static bool add_method(
	struct compile *cc, const char *key, const char *word, struct connection_end *e, bool first)
{
	size_t i = 0;

	while (i < METHOD_COUNT && strcasecmp(methods[i].name, word) != 0)
		i++;
	if (i == METHOD_COUNT)
		return compile_fail(cc,
			"%s=%s is not implemented yet: only secret, and signatures by RSA and "
			"ECDSA, are",
			key, word);
	if (!first && (e->auth != methods[i].method || e->auth != AUTH_METHOD_SIGNATURE))
		return compile_fail(
			cc, "%s=: %s beside another method is not implemented yet", key, word);
	e->auth = methods[i].method;
	e->schemes |= methods[i].schemes;
	return true;
}

static bool parse_methods(
	struct compile *cc, const char *key, const char *text, struct connection_end *e)
{
	char *copy = strdup(text), *rest = copy, *word;
	bool ok = copy || compile_fail(cc, "out of memory"), first = true;

	while (ok && (word = strsep(&rest, ", \t"))) {
		if (!*word)
			continue;
		ok = add_method(cc, key, word, e, first);
		first = false;
	}
	free(copy);
	return ok && (!first || compile_fail(cc, "%s= is empty", key));
}

static bool compile_method(struct compile *cc, const struct end_text *t, struct connection_end *e)
{
	char key[16];

	if (t->auth) {
		snprintf(key, sizeof(key), "%sauth", t->side);
		return parse_methods(cc, key, t->auth, e);
	}
	if (cc->authby)
		return parse_methods(cc, "authby", cc->authby, e);
	if (cc->c->shunt != IPSEC_PROTECT) {
		e->auth = AUTH_METHOD_NEVER;
		return true;
	}
	e->auth = AUTH_METHOD_SIGNATURE;
	e->schemes = SCHEMES_SHA2;
	return true;
}

/* ---- certificates --------------------------------------------------------------- */

static bool load_certificate(struct compile *cc, const struct end_text *t, struct connection_end *e)
{
	struct credentials *credentials = cc->context->credentials;
	char why[256] = "there is no NSS database";

	if (t->cert && t->ckaid)
		return compile_fail(cc, "%scert= and %sckaid= are both given", t->side, t->side);
	if (!t->cert && !t->ckaid)
		return true;
	if (credentials && t->cert)
		e->certificate = credentials_by_nickname(credentials, t->cert, why, sizeof(why));
	else if (credentials)
		e->certificate = credentials_by_ckaid(credentials, t->ckaid, why, sizeof(why));
	return e->certificate ||
	       compile_fail(cc, "%s%s=%s: %s", t->side, t->cert ? "cert" : "ckaid",
		       t->cert ? t->cert : t->ckaid, why);
}

static bool key_is_allowed(
	struct compile *cc, const struct end_text *t, const struct connection_end *e)
{
	enum signature_scheme scheme;

	if (!e->certificate || e->auth != AUTH_METHOD_SIGNATURE ||
		signature_scheme_choose(e->certificate->kind, e->certificate->key_bits, e->schemes,
			UINT32_MAX, &scheme))
		return true;
	return compile_fail(cc, "%scert=%s has an %s key, whose signatures authby= does not allow",
		t->side, e->certificate->nickname, key_kind_name(e->certificate->kind));
}

static bool compile_authority(
	struct compile *cc, const struct end_text *t, struct connection_end *e)
{
	char why[256];

	if (!t->ca || strcasecmp(t->ca, "%any") == 0)
		return true;
	if (t->ca[0] == '%')
		return compile_fail(cc, "%sca=%s is not implemented yet", t->side, t->ca);
	if (!strchr(t->ca, '='))
		return compile_fail(cc, "%sca=%s is not a distinguished name", t->side, t->ca);
	e->authority = identity_parse(t->ca, why, sizeof(why));
	return e->authority || compile_fail(cc, "%sca=: %s", t->side, why);
}

static bool compile_send_certificate(
	struct compile *cc, const struct end_text *t, struct connection_end *e)
{
	static const struct {
		const char *name;
		enum send_certificate value;
	} names[] = {{"always", SEND_CERTIFICATE_ALWAYS}, {"yes", SEND_CERTIFICATE_ALWAYS},
		{"ifasked", SEND_CERTIFICATE_IF_ASKED}, {"sendifasked", SEND_CERTIFICATE_IF_ASKED},
		{"never", SEND_CERTIFICATE_NEVER}, {"no", SEND_CERTIFICATE_NEVER}};

	for (size_t i = 0; t->sendcert && i < sizeof(names) / sizeof(names[0]); i++)
		if (strcasecmp(names[i].name, t->sendcert) == 0) {
			e->send_certificate = names[i].value;
			return true;
		}
	return !t->sendcert || compile_fail(cc, "%ssendcert=%s is not always, ifasked or never",
				       t->side, t->sendcert);
}

static bool compile_send_authorities(struct compile *cc)
{
	const char *text = cc->sendca;

	if (!text || strcasecmp(text, "all") == 0)
		cc->c->send_authorities = SEND_AUTHORITIES_ALL;
	else if (strcasecmp(text, "issuer") == 0)
		cc->c->send_authorities = SEND_AUTHORITIES_ISSUER;
	else if (strcasecmp(text, "none") == 0)
		cc->c->send_authorities = SEND_AUTHORITIES_NONE;
	else
		return compile_fail(cc, "sendca=%s is not none, issuer or all", text);
	return true;
}

/* A shunt never negotiates, and nothing else is told never to. */
static bool method_fits(
	struct compile *cc, const struct end_text *t, const struct connection_end *e)
{
	if (cc->c->shunt != IPSEC_PROTECT && e->auth != AUTH_METHOD_NEVER)
		return compile_fail(cc, "type=%s goes with authby=never only",
			cc->c->shunt == IPSEC_BYPASS ? "passthrough" : "drop");
	if (cc->c->shunt != IPSEC_PROTECT && cc->on_traffic)
		return compile_fail(cc, "initiateontraffic= does not go with type=%s",
			cc->c->shunt == IPSEC_BYPASS ? "passthrough" : "drop");
	return cc->c->shunt != IPSEC_PROTECT || e->auth != AUTH_METHOD_NEVER ||
	       compile_fail(cc, "%s%s=never needs type=passthrough or type=drop",
		       t->auth ? t->side : "", t->auth ? "auth" : "authby");
}

bool compile_auth(struct compile *cc, const struct end_text *t, struct connection_end *e)
{
	return compile_method(cc, t, e) && method_fits(cc, t, e) && load_certificate(cc, t, e) &&
	       key_is_allowed(cc, t, e) && compile_authority(cc, t, e) &&
	       compile_send_certificate(cc, t, e);
}

/* ---- identities that certificates give --------------------------------------------- */

/* The subject as the certificate has it, octet by octet, where nothing else is said; and where the
 * same name is written in other words. */
bool compile_identity_of_certificate(
	struct compile *cc, const struct end_text *t, struct connection_end *e, bool *done)
{
	struct bytes subject = e->certificate ? e->certificate->subject : (struct bytes){0};
	bool asked = t->id && strcasecmp(t->id, "%fromcert") == 0;

	*done = false;
	if (asked && !e->certificate)
		e->id = identity_new(ID_ANY, (struct bytes){0}); /* whatever it proves */
	else if (e->certificate && (asked || !t->id))
		e->id = identity_new(ID_DER_ASN1_DN, subject);
	else
		return true;
	*done = true;
	return e->id || compile_fail(cc, "%sid=: out of memory", t->side);
}

void compile_adopt_subject(struct connection_end *e)
{
	struct identity *subject;

	if (!e->certificate || e->id->kind != ID_DER_ASN1_DN)
		return;
	subject = identity_new(ID_DER_ASN1_DN, e->certificate->subject);
	if (subject && identity_equal(subject, e->id)) {
		identity_unref(e->id);
		e->id = subject;
	} else {
		identity_unref(subject);
	}
}

/* ---- both ends ------------------------------------------------------------------------ */

static bool can_sign(const struct connection_end *e)
{
	return e->certificate && e->certificate->key;
}

bool compile_auth_of_both(struct compile *cc)
{
	const struct connection_end *left = &cc->c->local, *right = &cc->c->remote;
	const struct connection_end *with = left->certificate ? left : right;
	bool signs = left->auth == AUTH_METHOD_SIGNATURE, verified;

	verified = right->auth == AUTH_METHOD_SIGNATURE;
	if (!compile_send_authorities(cc))
		return false;
	if (!signs && !verified)
		return true;
	if (!cc->context->credentials || !credentials_are_open(cc->context->credentials))
		return compile_fail(cc,
			"authby=%s needs an NSS database with certificates, and none is open "
			"(authby=secret does not)",
			cc->authby ? cc->authby : "rsasig,ecdsa (the default)");
	cc->c->authorities = credentials_authorities(cc->context->credentials);
	if (!cc->c->authorities)
		return compile_fail(cc, "out of memory");
	if (!signs || !verified || can_sign(left) || can_sign(right))
		return true;
	if (with->certificate)
		return compile_fail(cc, "%scert=%s has no private key in the NSS database",
			with == left ? "left" : "right", with->certificate->nickname);
	return compile_fail(cc, "authby=%s needs leftcert= or rightcert= (authby=secret does not)",
		cc->authby ? cc->authby : "rsasig,ecdsa (the default)");
}
