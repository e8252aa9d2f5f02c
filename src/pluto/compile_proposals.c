/* The algorithms of a connection, and the lists that many connections share. */
#include "compile.h"

#include "kernel/kernel.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Different ike= and esp= texts that are in use at a time are few; when a daemon has more, the
 * cache begins anew. */
#define CACHE_MAX 128

struct cached {
	char *key;
	struct proposal_list *list;
};

struct proposal_cache {
	size_t count;
	struct cached items[CACHE_MAX];
};

struct proposal_cache *proposal_cache_new(void)
{
	return calloc(1, sizeof(struct proposal_cache));
}

static void cache_empty(struct proposal_cache *cache)
{
	for (size_t i = 0; i < cache->count; i++) {
		free(cache->items[i].key);
		proposal_list_unref(cache->items[i].list);
	}
	cache->count = 0;
}

void proposal_cache_free(struct proposal_cache *cache)
{
	if (!cache)
		return;
	cache_empty(cache);
	free(cache);
}

static struct proposal_list *cache_find(struct proposal_cache *cache, const char *key)
{
	for (size_t i = 0; cache && i < cache->count; i++)
		if (strcmp(cache->items[i].key, key) == 0)
			return proposal_list_ref(cache->items[i].list);
	return NULL;
}

static void cache_add(struct proposal_cache *cache, const char *key, struct proposal_list *list)
{
	char *copy;

	if (!cache || !(copy = strdup(key)))
		return;
	if (cache->count == CACHE_MAX)
		cache_empty(cache);
	cache->items[cache->count++] =
		(struct cached){.key = copy, .list = proposal_list_ref(list)};
}

/* ---- what the kernel interface can run ---------------------------------------- */

static bool runs(const struct kernel *kernel, const struct proposal *p,
	const struct transform *encr, bool esn)
{
	bool any_integ = false;

	for (unsigned i = 0; i < p->transform_count; i++) {
		if (p->transforms[i].type != TRANSFORM_INTEG || p->transforms[i].id == INTEG_NONE)
			continue;
		any_integ = true;
		if (kernel_supports(kernel, encr->id, encr->key_bits, p->transforms[i].id, esn))
			return true;
	}
	return !any_integ && kernel_supports(kernel, encr->id, encr->key_bits, INTEG_NONE, esn);
}

static void remove_transform(struct proposal *p, unsigned at)
{
	memmove(&p->transforms[at], &p->transforms[at + 1],
		(p->transform_count - at - 1u) * sizeof(p->transforms[0]));
	p->transform_count--;
}

/* Leaves out the ciphers that cannot be run; false with its name when one was asked for. */
static bool fit_proposal(struct compile *cc, struct proposal *p, unsigned *ciphers)
{
	for (unsigned i = 0; i < p->transform_count;) {
		const struct transform *t = &p->transforms[i];
		const struct algorithm *encr = algorithm_by_id(TRANSFORM_ENCR, t->id);
		char name[ALGORITHM_TEXT_MAX];

		if (t->type != TRANSFORM_ENCR || runs(cc->context->kernel, p, t, cc->esn == 1)) {
			*ciphers += t->type == TRANSFORM_ENCR;
			i++;
			continue;
		}
		if (cc->esp)
			return compile_fail(cc, "esp=%s: the kernel interface \"%s\" cannot run %s",
				cc->esp, kernel_name(cc->context->kernel),
				encr ? algorithm_encr_text(encr, t->key_bits, name) : "it");
		remove_transform(p, i);
	}
	return true;
}

/* Has a cipher of the proposal this integrity? Have all of them? */
static bool integrity_runs(
	const struct kernel *kernel, const struct proposal *p, uint16_t integ, bool esn, bool all)
{
	for (unsigned i = 0; i < p->transform_count; i++) {
		const struct transform *t = &p->transforms[i];

		if (t->type == TRANSFORM_ENCR &&
			kernel_supports(kernel, t->id, t->key_bits, integ, esn) != all)
			return !all;
	}
	return all;
}

/* Leaves out what no cipher that is left can be run with; false with its name when it was asked
 * for. */
static bool fit_integrity(struct compile *cc, struct proposal *p)
{
	for (unsigned i = 0; i < p->transform_count;) {
		const struct transform *t = &p->transforms[i];
		const struct algorithm *integ = algorithm_by_id(TRANSFORM_INTEG, t->id);

		if (t->type != TRANSFORM_INTEG || t->id == INTEG_NONE ||
			integrity_runs(cc->context->kernel, p, t->id, cc->esn == 1, false)) {
			i++;
			continue;
		}
		if (cc->esp)
			return compile_fail(cc, "esp=%s: the kernel interface \"%s\" cannot run %s",
				cc->esp, kernel_name(cc->context->kernel),
				integ ? integ->name : "it");
		remove_transform(p, i);
	}
	return true;
}

/* Likewise for AH, of which the integrity algorithms are all. */
static bool fit_ah(struct compile *cc, struct proposal *p, unsigned *left)
{
	for (unsigned i = 0; i < p->transform_count;) {
		const struct transform *t = &p->transforms[i];
		const struct algorithm *integ = algorithm_by_id(TRANSFORM_INTEG, t->id);

		if (t->type != TRANSFORM_INTEG ||
			kernel_supports_ah(cc->context->kernel, t->id, cc->esn == 1)) {
			*left += t->type == TRANSFORM_INTEG;
			i++;
			continue;
		}
		if (cc->ah)
			return compile_fail(cc,
				"ah=%s: the kernel interface \"%s\" cannot run AH with %s", cc->ah,
				kernel_name(cc->context->kernel), integ ? integ->name : "it");
		remove_transform(p, i);
	}
	return true;
}

/* Where there is a choice, extended sequence numbers are offered if each pair can be run with them:
 * the peer may choose any. */
static void fit_sequence_numbers(struct compile *cc, struct proposal *p)
{
	bool all = true, any_integ = false;

	for (unsigned i = 0; i < p->transform_count; i++) {
		const struct transform *t = &p->transforms[i];

		if (t->type != TRANSFORM_INTEG || t->id == INTEG_NONE)
			continue;
		any_integ = true;
		all = all && integrity_runs(cc->context->kernel, p, t->id, true, true);
	}
	if (!any_integ)
		all = integrity_runs(cc->context->kernel, p, INTEG_NONE, true, true);
	for (unsigned i = 0; !all && i < p->transform_count; i++)
		if (p->transforms[i].type == TRANSFORM_SN && p->transforms[i].id == SN_EXTENDED) {
			remove_transform(p, i);
			return;
		}
}

static bool fit_kernel(struct compile *cc, struct proposal_list *list)
{
	bool ah = cc->c->protocol == IPSEC_AH;
	unsigned kept = 0;

	for (unsigned i = 0; i < list->count; i++) {
		unsigned ciphers = 0;

		if (!(ah ? fit_ah : fit_proposal)(cc, &list->proposals[i], &ciphers))
			return false;
		if (!ciphers)
			continue;
		if (!ah && !fit_integrity(cc, &list->proposals[i]))
			return false;
		if (!ah && cc->esn == 2)
			fit_sequence_numbers(cc, &list->proposals[i]);
		if (kept != i)
			list->proposals[kept] = list->proposals[i];
		list->proposals[kept].number = (uint8_t)(kept + 1);
		kept++;
	}
	list->count = (uint16_t)kept;
	return kept ||
	       compile_fail(cc,
		       "the kernel interface \"%s\" can run none of the default %s algorithms",
		       kernel_name(cc->context->kernel), ah ? "AH" : "ESP");
}

/* ---- both lists --------------------------------------------------------------- */

/* It has proposals like any other, for reports, but nobody is ever offered them. */
static bool is_shunt(const struct compile *cc)
{
	return cc->c->shunt != IPSEC_PROTECT;
}

static const char *key_of(const struct compile *cc, bool ike)
{
	return ike ? "ike" : cc->c->protocol == IPSEC_AH ? "ah" : "esp";
}

static const char *text_of(const struct compile *cc, bool ike)
{
	return ike ? cc->ike : cc->c->protocol == IPSEC_AH ? cc->ah : cc->esp;
}

static struct proposal_list *parse(struct compile *cc, bool ike)
{
	char reason[256] = "out of memory";
	bool ah = cc->c->protocol == IPSEC_AH;
	const char *text = text_of(cc, ike);
	struct proposal_list *list =
		ike ? proposal_parse_ike(text, reason, sizeof(reason))
		    : proposal_parse_child(text, ah, cc->esn, reason, sizeof(reason));

	if (!list) {
		compile_fail(cc, "%s=%s: %s", key_of(cc, ike), text ? text : "", reason);
		return NULL;
	}
	if (!ike && cc->context->kernel && !is_shunt(cc) && !fit_kernel(cc, list)) {
		proposal_list_unref(list);
		return NULL;
	}
	return list;
}

static struct proposal_list *find_or_parse(struct compile *cc, bool ike)
{
	const char *text = text_of(cc, ike);
	struct proposal_list *list;
	char *key;

	if (is_shunt(cc))
		return parse(cc, ike);
	/* No text can be "=": it stands for the defaults. */
	if (asprintf(&key, "%s %d %s", key_of(cc, ike), ike ? 0 : cc->esn, text ? text : "=") < 0) {
		compile_fail(cc, "out of memory");
		return NULL;
	}
	list = cache_find(cc->context->proposals, key);
	if (!list) {
		list = parse(cc, ike);
		if (list)
			cache_add(cc->context->proposals, key, list);
	}
	free(key);
	return list;
}

static bool keep_text(struct compile *cc, const char *text, char **out)
{
	if (!text)
		return true;
	*out = strdup(text);
	return *out || compile_fail(cc, "out of memory");
}

bool compile_proposals(struct compile *cc)
{
	struct connection *c = cc->c;

	c->ike_proposals = find_or_parse(cc, true);
	if (!c->ike_proposals)
		return false;
	c->child_proposals = find_or_parse(cc, false);
	return c->child_proposals && keep_text(cc, cc->ike, &c->ike_text) &&
	       keep_text(cc, text_of(cc, false), &c->esp_text);
}
