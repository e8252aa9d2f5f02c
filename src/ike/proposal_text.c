/* Reads ike=, esp= and ah=.
 *
 *     PROPOSAL{,PROPOSAL}
 *     PROPOSAL = FIELD{-FIELD}{;PART}
 *     FIELD    = NAME{+NAME}              alternatives, the preferred one first
 *     PART     = key exchange methods, or encrypt=FIELD, integ=FIELD, prf=FIELD, ke=FIELD
 *
 * The first field names the encryption (with ah=: the integrity), the others the hash (integrity,
 * PRF or both) and the key exchange methods, told apart by their names. A cipher's key length
 * stands behind its name, with or without '_' or '-'; without it 256 and 128 bits are meant, in
 * this order. What is left out takes the default, which never has weak algorithms. */
#include "ike/proposal.h"

#include "hash_pair.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define DEFAULT_HASH "sha2_512+sha2_256"
#define DEFAULT_KE   "dh19+dh31+dh20+dh21+modp2048+modp3072+modp4096+modp8192"
#define DEFAULT_IKE  "aes_gcm_16,aes_cbc"
#define DEFAULT_ESP  "aes_gcm_16+chacha20_poly1305,aes_cbc"
#define DEFAULT_AH   DEFAULT_HASH

#define QUOTED_MAX   64
#define FIELDS_MAX   4

/* A piece of the text; NULL: not given. */
struct word {
	const char *at;
	size_t len;
};

struct proposal_parser {
	const char *key; /* "ike", "esp", "ah" */
	const char *text;
	uint8_t protocol;
	int esn;
	char *error;
	size_t error_size;
};

/* One proposal's text, taken apart. `hash` is one field for integrity and PRF. */
struct fields {
	struct word encr, hash, integ, prf, ke;
};

/* ---- errors -------------------------------------------------------------------- */

static const char *quote(struct word w, char out[QUOTED_MAX])
{
	size_t n = w.len < QUOTED_MAX - 4 ? w.len : QUOTED_MAX - 4;

	for (size_t i = 0; i < n; i++)
		out[i] = w.at[i] >= 0x20 && w.at[i] < 0x7f ? w.at[i] : '?';
	snprintf(out + n, QUOTED_MAX - n, "%s", n < w.len ? "..." : "");
	return out;
}

__attribute__((format(printf, 2, 3))) static bool refuse(
	const struct proposal_parser *p, const char *format, ...)
{
	struct word whole = {p->text, strlen(p->text)};
	char quoted[QUOTED_MAX];
	va_list args;
	int n = snprintf(p->error, p->error_size, "%s=%s: ", p->key, quote(whole, quoted));

	if (n >= 0 && (size_t)n < p->error_size) {
		va_start(args, format);
		vsnprintf(p->error + n, p->error_size - (size_t)n, format, args);
		va_end(args);
	}
	return false;
}

static bool refuse_word(
	const struct proposal_parser *p, const char *what, struct word w, const char *why)
{
	char quoted[QUOTED_MAX];

	return refuse(p, "%s '%s' %s", what, quote(w, quoted), why);
}

static const char *type_text(enum transform_type type)
{
	switch (type) {
	case TRANSFORM_ENCR:
		return "encryption algorithm";
	case TRANSFORM_PRF:
		return "PRF";
	case TRANSFORM_INTEG:
		return "integrity algorithm";
	default:
		return "key exchange method";
	}
}

/* ---- words ---------------------------------------------------------------------- */

static struct word word_of(const char *text)
{
	return (struct word){text, strlen(text)};
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Takes off `*rest` what stands before `separator`; all of it, and `*rest` then is NULL, if there
 * is none. */
static struct word cut(struct word *rest, char separator)
{
	const char *at = memchr(rest->at, separator, rest->len);
	struct word first = *rest;

	if (at == NULL) {
		*rest = (struct word){0};
		return first;
	}
	first.len = (size_t)(at - first.at);
	*rest = (struct word){at + 1, rest->len - first.len - 1};
	return first;
}

/* Is `w` from `at` on a key length, up to the next name? */
static bool key_length_follows(struct word w, size_t at)
{
	size_t i = at;

	while (i < w.len && is_digit(w.at[i]))
		i++;
	return i > at && (i == w.len || w.at[i] == '-' || w.at[i] == '+');
}

/* Like cut at '-', but the '-' of "aes-256" joins. */
static struct word cut_field(struct word *rest)
{
	struct word first = *rest;

	for (size_t i = 0; i < rest->len; i++) {
		if (rest->at[i] != '-' || key_length_follows(*rest, i + 1))
			continue;
		first.len = i;
		*rest = (struct word){rest->at + i + 1, rest->len - i - 1};
		return first;
	}
	*rest = (struct word){0};
	return first;
}

static struct word trim(struct word w)
{
	while (w.len > 0 && (w.at[0] == ' ' || w.at[0] == '\t')) {
		w.at++;
		w.len--;
	}
	while (w.len > 0 && (w.at[w.len - 1] == ' ' || w.at[w.len - 1] == '\t'))
		w.len--;
	return w;
}

static bool word_is(struct word w, const char *text)
{
	return w.len == strlen(text) && strncasecmp(w.at, text, w.len) == 0;
}

/* ---- from a proposal's text to its fields ------------------------------------------ */

static bool is_name(enum transform_type type, struct word name)
{
	return algorithm_by_name(type, name.at, name.len) != NULL;
}

/* Would a reader take it for a key exchange method, known or not? */
static bool looks_like_ke(struct word name)
{
	static const char *const prefixes[] = {"dh", "modp", "ecp", "curve", "x25519", "ml_kem"};

	for (unsigned i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++)
		if (name.len >= strlen(prefixes[i]) &&
			strncasecmp(name.at, prefixes[i], strlen(prefixes[i])) == 0)
			return true;
	return false;
}

static bool set_field(
	const struct proposal_parser *p, struct word *field, struct word value, const char *what)
{
	if (field->at != NULL)
		return refuse_word(p, what, value, "comes when others were given before");
	*field = value;
	return true;
}

/* The fields behind the first: which is the hash, which the key exchange? */
static bool classify_field(const struct proposal_parser *p, struct fields *f, struct word field)
{
	struct word rest = field;
	struct word name = cut(&rest, '+');
	bool is_hash = is_name(TRANSFORM_PRF, name) || is_name(TRANSFORM_INTEG, name);
	bool is_ke = is_name(TRANSFORM_KE, name) || looks_like_ke(name);
	bool hash_has_place = p->protocol == PROTOCOL_IKE ? f->prf.at == NULL : f->hash.at == NULL;

	/* "none" is both: it is what is still missing. */
	if (is_ke && !(is_hash && hash_has_place))
		return set_field(p, &f->ke, field, type_text(TRANSFORM_KE));
	if (f->hash.at == NULL)
		return set_field(p, &f->hash, field, "hash");
	if (p->protocol != PROTOCOL_IKE)
		return refuse_word(p, is_hash ? "integrity algorithm" : "field", field,
			is_hash ? "comes when others were given before" : "is not recognized");
	/* The first of two hashes is for integrity, the second for the PRF. */
	f->integ = f->hash;
	return set_field(p, &f->prf, field, type_text(TRANSFORM_PRF));
}

static bool split_fields(const struct proposal_parser *p, struct fields *f, struct word text)
{
	struct word rest = text;

	/* Everything may be in named parts. */
	if (text.len == 0)
		return true;
	for (unsigned count = 0; rest.at != NULL; count++) {
		struct word field = cut_field(&rest);
		if (count == FIELDS_MAX)
			return refuse_word(p, "field", field, "is one too many");
		if (field.len == 0)
			return refuse_word(p, "proposal", text, "has an empty field");
		if (count == 0) {
			*(p->protocol == PROTOCOL_AH ? &f->hash : &f->encr) = field;
			continue;
		}
		if (!classify_field(p, f, field))
			return false;
	}
	return true;
}

static bool split_part(const struct proposal_parser *p, struct fields *f, struct word part)
{
	struct word value = part;
	struct word name = cut(&value, '=');

	if (value.at == NULL)
		return set_field(p, &f->ke, part, type_text(TRANSFORM_KE));
	if (word_is(name, "encrypt") && p->protocol != PROTOCOL_AH)
		return set_field(p, &f->encr, value, type_text(TRANSFORM_ENCR));
	if (word_is(name, "integ"))
		return set_field(p, &f->integ, value, type_text(TRANSFORM_INTEG));
	if (word_is(name, "prf") && p->protocol == PROTOCOL_IKE)
		return set_field(p, &f->prf, value, type_text(TRANSFORM_PRF));
	if (word_is(name, "ke"))
		return set_field(p, &f->ke, value, type_text(TRANSFORM_KE));
	if (name.len == 6 && strncasecmp(name.at, "addke", 5) == 0)
		return refuse_word(p, "additional key exchange", part, "is not supported");
	if (word_is(name, "sn"))
		return refuse_word(p, "sequence number type", part, "is set by esn= instead");
	return refuse_word(p, "part", part, "is not recognized");
}

static bool split_proposal(const struct proposal_parser *p, struct fields *f, struct word text)
{
	struct word rest = text;
	struct word positional = trim(cut(&rest, ';'));

	*f = (struct fields){0};
	bool named = positional.len > 0 && memchr(positional.at, '=', positional.len) != NULL;
	if (!(named ? split_part(p, f, positional) : split_fields(p, f, positional)))
		return false;
	while (rest.at != NULL) {
		struct word part = trim(cut(&rest, ';'));
		if (part.len == 0)
			return refuse_word(p, "proposal", text, "has an empty part");
		if (!split_part(p, f, part))
			return false;
	}
	if (f->hash.at != NULL && p->protocol != PROTOCOL_IKE)
		return set_field(p, &f->integ, f->hash, type_text(TRANSFORM_INTEG));
	/* Two positional hashes have become integrity and PRF already. */
	if (f->integ.at != NULL || f->prf.at != NULL) {
		if (f->hash.at != NULL && f->hash.at != f->integ.at)
			return refuse_word(p, "hash", f->hash, "comes beside integ= or prf=");
		f->hash = (struct word){0};
	}
	return true;
}

/* ---- from fields to transforms --------------------------------------------------------- */

static bool add_transform(const struct proposal_parser *p, struct proposal *out,
	enum transform_type type, uint16_t id, uint16_t key_bits)
{
	for (unsigned i = 0; i < out->transform_count; i++)
		if (out->transforms[i].type == type && out->transforms[i].id == id &&
			out->transforms[i].key_bits == key_bits)
			return true;
	if (out->transform_count == TRANSFORMS_MAX)
		return refuse(p, "more than %u transforms in a proposal", TRANSFORMS_MAX);
	out->transforms[out->transform_count++] =
		(struct transform){.type = (uint8_t)type, .id = id, .key_bits = key_bits};
	return true;
}

static bool capable(const struct proposal_parser *p, const struct algorithm *alg)
{
	return p->protocol == PROTOCOL_IKE ? alg->ike_capable : alg->esp_capable;
}

static const struct algorithm *find(
	const struct proposal_parser *p, enum transform_type type, struct word name)
{
	const struct algorithm *alg = algorithm_by_name(type, name.at, name.len);

	if (alg == NULL) {
		refuse_word(p, type_text(type), name, "is not recognized");
		return NULL;
	}
	if (!capable(p, alg)) {
		refuse_word(p, type_text(type), name,
			p->protocol == PROTOCOL_IKE ? "is not for IKE" : "is not for ESP or AH");
		return NULL;
	}
	return alg;
}

/* "aes_gcm_16_256", "aes256", "aes-256": splits off the key length. A whole name that ends in
 * digits wins. */
static struct word cut_key_length(struct word *name)
{
	size_t len = name->len;

	if (is_name(TRANSFORM_ENCR, *name))
		return (struct word){0};
	while (len > 0 && is_digit(name->at[len - 1]))
		len--;
	struct word digits = {name->at + len, name->len - len};
	if (digits.len == 0)
		return (struct word){0};
	if (len > 0 && (name->at[len - 1] == '_' || name->at[len - 1] == '-'))
		len--;
	name->len = len;
	return digits;
}

/* UINT16_MAX for what is too long to be a key length; no cipher has it. */
static uint16_t key_bits_of(struct word digits)
{
	unsigned bits = 0;

	for (size_t i = 0; i < digits.len; i++) {
		bits = bits * 10 + (unsigned)(digits.at[i] - '0');
		if (bits > UINT16_MAX)
			return UINT16_MAX;
	}
	return (uint16_t)bits;
}

static bool add_encr(const struct proposal_parser *p, struct proposal *out, struct word word)
{
	struct word name = word;
	struct word digits = cut_key_length(&name);
	const struct algorithm *alg = algorithm_by_name(TRANSFORM_ENCR, name.at, name.len);

	if (alg == NULL)
		return refuse_word(p, type_text(TRANSFORM_ENCR), word, "is not recognized");
	if (!capable(p, alg))
		return refuse_word(p, type_text(TRANSFORM_ENCR), word, "is not for IKE");
	if (alg->fixed_key && digits.len > 0)
		return refuse_word(p, type_text(TRANSFORM_ENCR), word, "takes no key length");
	if (alg->fixed_key)
		return add_transform(p, out, TRANSFORM_ENCR, alg->id, 0);
	if (digits.len == 0)
		return add_transform(p, out, TRANSFORM_ENCR, alg->id, 256) &&
		       add_transform(p, out, TRANSFORM_ENCR, alg->id, 128);
	uint16_t bits = key_bits_of(digits);
	if (!algorithm_has_key_bits(alg, bits))
		return refuse_word(p, type_text(TRANSFORM_ENCR), word, "has no such key length");
	return add_transform(p, out, TRANSFORM_ENCR, alg->id, bits);
}

static bool add_named(const struct proposal_parser *p, struct proposal *out,
	enum transform_type type, struct word name)
{
	const struct algorithm *alg = find(p, type, name);

	return alg != NULL && add_transform(p, out, type, alg->id, 0);
}

/* Calls add_encr or add_named for each alternative. */
static bool add_field(const struct proposal_parser *p, struct proposal *out,
	enum transform_type type, struct word field)
{
	struct word rest = field;

	while (rest.at != NULL) {
		struct word name = cut(&rest, '+');
		if (name.len == 0)
			return refuse_word(p, type_text(type), field, "has an empty alternative");
		if (!(type == TRANSFORM_ENCR ? add_encr(p, out, name)
					     : add_named(p, out, type, name)))
			return false;
	}
	return true;
}

static bool add_encryption(
	const struct proposal_parser *p, struct proposal *out, struct word field, bool *aead)
{
	if (field.at == NULL)
		return refuse(p, "a proposal names no encryption algorithm");
	if (!add_field(p, out, TRANSFORM_ENCR, field))
		return false;
	for (unsigned i = 0; i < out->transform_count; i++) {
		bool is_aead = algorithm_by_id(TRANSFORM_ENCR, out->transforms[i].id)->aead;
		if (i > 0 && is_aead != *aead)
			return refuse_word(p, "encryption", field,
				"mixes AEAD and other algorithms: write them as two proposals");
		*aead = is_aead;
	}
	return true;
}

static bool is_none(struct word field)
{
	const struct algorithm *alg = algorithm_by_name(TRANSFORM_INTEG, field.at, field.len);

	return alg != NULL && alg->id == INTEG_NONE;
}

static bool check_integ(
	const struct proposal_parser *p, const struct proposal *out, struct word field)
{
	for (unsigned i = 0; i < out->transform_count; i++)
		if (out->transforms[i].type == TRANSFORM_INTEG &&
			out->transforms[i].id == INTEG_NONE)
			return refuse_word(p, type_text(TRANSFORM_INTEG), field,
				"goes only with AEAD encryption");
	return true;
}

static bool add_integrity(
	const struct proposal_parser *p, struct proposal *out, struct word field, bool aead)
{
	if (aead && field.at != NULL && !is_none(field))
		return refuse_word(
			p, type_text(TRANSFORM_INTEG), field, "does not go with AEAD encryption");
	if (aead)
		return true;
	if (field.at == NULL)
		field = word_of(DEFAULT_HASH);
	return add_field(p, out, TRANSFORM_INTEG, field) && check_integ(p, out, field);
}

/* One field for both: "sha2" is the PRF and the integrity algorithm of this hash, whichever of the
 * two is named. */
static bool add_hash(const struct proposal_parser *p, struct proposal *out, struct word field)
{
	struct word rest = field;

	while (rest.at != NULL) {
		struct word name = cut(&rest, '+');
		const struct algorithm *prf = algorithm_by_name(TRANSFORM_PRF, name.at, name.len);
		const struct algorithm *integ =
			algorithm_by_name(TRANSFORM_INTEG, name.at, name.len);
		uint16_t prf_id = prf != NULL ? prf->id : 0;
		uint16_t integ_id = integ != NULL ? integ->id : INTEG_NONE;

		if (prf == NULL && integ == NULL)
			return refuse_word(
				p, "PRF or integrity algorithm", name, "is not recognized");
		if (prf == NULL)
			prf_id = prf_of_integ(integ_id);
		else
			integ_id = integ_of_prf(prf_id);
		if (prf_id == 0 || integ_id == INTEG_NONE)
			return refuse_word(p, type_text(TRANSFORM_INTEG), name,
				"goes only with AEAD encryption");
		if (!add_transform(p, out, TRANSFORM_PRF, prf_id, 0) ||
			!add_transform(p, out, TRANSFORM_INTEG, integ_id, 0))
			return false;
	}
	return true;
}

static bool add_ike_hash(
	const struct proposal_parser *p, struct proposal *out, const struct fields *f, bool aead)
{
	struct word hash = f->hash, prf = f->prf, integ = f->integ;

	if (aead) {
		if (hash.at != NULL)
			*(is_none(hash) ? &integ : &prf) = hash;
		if (prf.at == NULL)
			prf = word_of(DEFAULT_HASH);
		return add_field(p, out, TRANSFORM_PRF, prf) && add_integrity(p, out, integ, true);
	}
	if (prf.at != NULL && integ.at != NULL)
		return add_field(p, out, TRANSFORM_PRF, prf) && add_integrity(p, out, integ, false);
	if (hash.at == NULL)
		hash = prf.at != NULL ? prf : integ;
	return add_hash(p, out, hash.at != NULL ? hash : word_of(DEFAULT_HASH));
}

static bool add_key_exchange(
	const struct proposal_parser *p, struct proposal *out, struct word field)
{
	const struct algorithm *alg;

	if (field.at == NULL)
		return p->protocol != PROTOCOL_IKE ||
		       add_field(p, out, TRANSFORM_KE, word_of(DEFAULT_KE));
	/* "none" alone: as if no method had been named. */
	alg = algorithm_by_name(TRANSFORM_KE, field.at, field.len);
	if (p->protocol != PROTOCOL_IKE && alg != NULL && alg->id == KE_NONE)
		return true;
	return add_field(p, out, TRANSFORM_KE, field);
}

static bool add_sequence_numbers(const struct proposal_parser *p, struct proposal *out)
{
	if (p->protocol == PROTOCOL_IKE)
		return true;
	if (p->esn != 0 && !add_transform(p, out, TRANSFORM_SN, SN_EXTENDED, 0))
		return false;
	return p->esn == 1 || add_transform(p, out, TRANSFORM_SN, SN_32BIT, 0);
}

static bool parse_proposal(const struct proposal_parser *p, struct word text, struct proposal *out)
{
	struct fields f;
	bool aead = false;

	if (text.len == 0)
		return refuse(p, "a proposal is empty");
	if (!split_proposal(p, &f, text))
		return false;
	if (p->protocol != PROTOCOL_AH && !add_encryption(p, out, f.encr, &aead))
		return false;
	if (!(p->protocol == PROTOCOL_IKE ? add_ike_hash(p, out, &f, aead)
					  : add_integrity(p, out, f.integ, aead)))
		return false;
	return add_key_exchange(p, out, f.ke) && add_sequence_numbers(p, out);
}

static unsigned count_proposals(const char *text)
{
	unsigned count = 1;

	for (const char *c = text; *c != '\0' && count <= PROPOSALS_MAX; c++)
		count += *c == ',';
	return count;
}

static struct proposal_list *parse(const struct proposal_parser *p)
{
	struct word rest = word_of(p->text);
	unsigned count = count_proposals(p->text);
	struct proposal_list *list;

	if (count > PROPOSALS_MAX) {
		refuse(p, "more than %u proposals", PROPOSALS_MAX);
		return NULL;
	}
	list = calloc(1, sizeof(*list) + count * sizeof(list->proposals[0]));
	if (list == NULL) {
		refuse(p, "out of memory");
		return NULL;
	}
	list->references = 1;
	while (rest.at != NULL) {
		struct proposal *proposal = &list->proposals[list->count++];
		proposal->number = (uint8_t)list->count;
		proposal->protocol = p->protocol;
		if (!parse_proposal(p, trim(cut(&rest, ',')), proposal)) {
			proposal_list_unref(list);
			return NULL;
		}
	}
	return list;
}

struct proposal_list *proposal_parse_ike(const char *text, char *error, size_t error_size)
{
	struct proposal_parser p = {
		.key = "ike",
		.text = text != NULL ? text : DEFAULT_IKE,
		.protocol = PROTOCOL_IKE,
		.error = error,
		.error_size = error_size,
	};

	return parse(&p);
}

struct proposal_list *proposal_parse_child(
	const char *text, bool ah, int esn, char *error, size_t error_size)
{
	struct proposal_parser p = {
		.key = ah ? "ah" : "esp",
		.text = text,
		.protocol = ah ? PROTOCOL_AH : PROTOCOL_ESP,
		.esn = esn,
		.error = error,
		.error_size = error_size,
	};

	if (text == NULL)
		p.text = ah ? DEFAULT_AH : DEFAULT_ESP;
	return parse(&p);
}
