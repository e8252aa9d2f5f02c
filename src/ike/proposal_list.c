/* Lists of proposals: shared by reference, compared, shown. How they are read from ike= and esp= is
 * in proposal_text.c. */
#include "ike/proposal.h"

#include "hash_pair.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct proposal_list *proposal_list_ref(struct proposal_list *list)
{
	__atomic_add_fetch(&list->references, 1, __ATOMIC_RELAXED);
	return list;
}

void proposal_list_unref(struct proposal_list *list)
{
	if (list != NULL && __atomic_sub_fetch(&list->references, 1, __ATOMIC_ACQ_REL) == 0)
		free(list);
}

static bool transform_equal(const struct transform *a, const struct transform *b)
{
	return a->type == b->type && a->id == b->id && a->key_bits == b->key_bits &&
	       a->unknown_attribute == b->unknown_attribute;
}

static bool proposal_equal(const struct proposal *a, const struct proposal *b)
{
	if (a->number != b->number || a->protocol != b->protocol || a->spi_len != b->spi_len ||
		a->spi != b->spi || a->transform_count != b->transform_count)
		return false;
	for (unsigned i = 0; i < a->transform_count; i++)
		if (!transform_equal(&a->transforms[i], &b->transforms[i]))
			return false;
	return true;
}

bool proposal_list_equal(const struct proposal_list *a, const struct proposal_list *b)
{
	if (a->count != b->count)
		return false;
	for (unsigned i = 0; i < a->count; i++)
		if (!proposal_equal(&a->proposals[i], &b->proposals[i]))
			return false;
	return true;
}

/* ---- key exchange methods --------------------------------------------------------- */

static void add_ke(struct proposal *p, const struct algorithm *ke)
{
	for (unsigned i = 0; i < p->transform_count; i++)
		if (p->transforms[i].type == TRANSFORM_KE)
			return;
	if (p->transform_count < TRANSFORMS_MAX)
		p->transforms[p->transform_count++] =
			(struct transform){.type = TRANSFORM_KE, .id = ke->id};
}

/* The caller's own, to be changed. */
static struct proposal_list *copy_of(const struct proposal_list *list)
{
	size_t size = sizeof(*list) + list->count * sizeof(list->proposals[0]);
	struct proposal_list *copy = malloc(size);

	if (copy == NULL)
		return NULL;
	memcpy(copy, list, size);
	copy->references = 1;
	return copy;
}

struct proposal_list *proposal_list_with_ke(
	const struct proposal_list *list, const struct algorithm *ke)
{
	struct proposal_list *copy = copy_of(list);

	for (unsigned i = 0; copy && i < copy->count; i++)
		add_ke(&copy->proposals[i], ke);
	return copy;
}

struct proposal_list *proposal_list_without_ke(const struct proposal_list *list)
{
	struct proposal_list *copy = copy_of(list);

	for (unsigned i = 0; copy && i < copy->count; i++) {
		struct proposal *p = &copy->proposals[i];
		unsigned kept = 0;
		for (unsigned t = 0; t < p->transform_count; t++)
			if (p->transforms[t].type != TRANSFORM_KE)
				p->transforms[kept++] = p->transforms[t];
		p->transform_count = (uint16_t)kept;
	}
	return copy;
}

const struct algorithm *proposal_list_first_ke(const struct proposal_list *list)
{
	for (unsigned i = 0; i < list->count; i++) {
		const struct proposal *p = &list->proposals[i];
		for (unsigned t = 0; t < p->transform_count; t++)
			if (p->transforms[t].type == TRANSFORM_KE && p->transforms[t].id != KE_NONE)
				return algorithm_by_id(TRANSFORM_KE, p->transforms[t].id);
	}
	return NULL;
}

bool proposal_list_has_ke(const struct proposal_list *list, uint16_t ke_id)
{
	for (unsigned i = 0; i < list->count; i++) {
		const struct proposal *p = &list->proposals[i];
		for (unsigned t = 0; t < p->transform_count; t++)
			if (p->transforms[t].type == TRANSFORM_KE && p->transforms[t].id == ke_id)
				return true;
	}
	return false;
}

/* ---- shown ----------------------------------------------------------------------- */

/* Text that grows within a caller's buffer and is cut at its end. */
struct text {
	char *out;
	size_t size, used;
};

static void text_add(struct text *t, const char *word)
{
	int n = snprintf(t->out + t->used, t->size - t->used, "%s", word);

	if (n < 0 || (size_t)n >= t->size - t->used)
		t->used = t->size - 1;
	else
		t->used += (size_t)n;
}

static const char *transform_text(const struct transform *t, char out[ALGORITHM_TEXT_MAX])
{
	const struct algorithm *alg =
		t->type < TRANSFORM_TYPES ? algorithm_by_id(t->type, t->id) : NULL;

	if (alg == NULL)
		snprintf(out, ALGORITHM_TEXT_MAX, "%u?", t->id);
	else if (t->type == TRANSFORM_ENCR)
		algorithm_encr_text(alg, t->key_bits, out);
	else
		snprintf(out, ALGORITHM_TEXT_MAX, "%s", alg->name);
	return out;
}

/* "AES_CBC_256+AES_CBC_128", with a '-' in front where something stands before it. */
static void add_type(
	struct text *text, const struct proposal *p, enum transform_type type, bool *first_field)
{
	const char *separator = *first_field ? "" : "-";
	char name[ALGORITHM_TEXT_MAX];

	for (unsigned i = 0; i < p->transform_count; i++) {
		if (p->transforms[i].type != type)
			continue;
		text_add(text, separator);
		text_add(text, transform_text(&p->transforms[i], name));
		separator = "+";
		*first_field = false;
	}
}

static bool next_of_type(
	const struct proposal *p, enum transform_type type, unsigned *at, uint16_t *id)
{
	while (*at < p->transform_count) {
		const struct transform *t = &p->transforms[(*at)++];
		if (t->type == type) {
			*id = t->id;
			return true;
		}
	}
	return false;
}

/* Do the PRFs tell the integrity algorithms, one by one? Then these need not be shown. */
static bool integ_follows_prf(const struct proposal *p)
{
	unsigned integ_at = 0, prf_at = 0;
	uint16_t integ, prf;

	for (;;) {
		bool more_integ = next_of_type(p, TRANSFORM_INTEG, &integ_at, &integ);
		bool more_prf = next_of_type(p, TRANSFORM_PRF, &prf_at, &prf);
		if (!more_integ || !more_prf)
			return more_integ == more_prf;
		if (integ_of_prf(prf) != integ)
			return false;
	}
}

const char *proposal_list_text(const struct proposal_list *list, char *out, size_t size)
{
	struct text text = {.out = out, .size = size};

	if (size == 0)
		return out;
	out[0] = '\0';
	for (unsigned i = 0; i < list->count; i++) {
		const struct proposal *p = &list->proposals[i];
		bool first_field = true;
		if (i > 0)
			text_add(&text, ", ");
		add_type(&text, p, TRANSFORM_ENCR, &first_field);
		if (p->protocol != PROTOCOL_IKE || !integ_follows_prf(p))
			add_type(&text, p, TRANSFORM_INTEG, &first_field);
		add_type(&text, p, TRANSFORM_PRF, &first_field);
		add_type(&text, p, TRANSFORM_KE, &first_field);
	}
	return out;
}

const char *chosen_ike_text(const struct chosen_proposal *chosen, char out[CHOSEN_TEXT_MAX])
{
	char encr[ALGORITHM_TEXT_MAX] = "n/a";

	if (chosen->encr != NULL)
		algorithm_encr_text(chosen->encr, chosen->encr_key_bits, encr);
	snprintf(out, CHOSEN_TEXT_MAX, "cipher=%s integ=%s prf=%s ke=%s", encr,
		chosen->integ != NULL ? chosen->integ->name : "n/a",
		chosen->prf != NULL ? chosen->prf->name : "n/a",
		chosen->ke != NULL ? chosen->ke->name : "n/a");
	return out;
}

const char *chosen_child_text(const struct chosen_proposal *chosen, char out[CHOSEN_TEXT_MAX])
{
	char encr[ALGORITHM_TEXT_MAX] = "";
	const char *integ = chosen->integ != NULL ? chosen->integ->name : "";

	if (chosen->encr != NULL)
		algorithm_encr_text(chosen->encr, chosen->encr_key_bits, encr);
	snprintf(out, CHOSEN_TEXT_MAX, "%s%s%s%s%s", encr,
		*encr != '\0' && *integ != '\0' ? "-" : "", integ, chosen->ke != NULL ? "-" : "",
		chosen->ke != NULL ? chosen->ke->name : "");
	return out;
}
