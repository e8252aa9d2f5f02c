/* Which proposal and which transforms (RFC 7296, sections 2.7 and 3.3). */
#include "negotiation_rules.h"

static bool has_type(const struct proposal *p, enum transform_type type)
{
	for (unsigned i = 0; i < p->transform_count; i++)
		if (p->transforms[i].type == type)
			return true;
	return false;
}

static bool has_transform(const struct proposal *p, const struct transform *wanted)
{
	for (unsigned i = 0; i < p->transform_count; i++) {
		const struct transform *t = &p->transforms[i];
		if (t->type == wanted->type && t->id == wanted->id &&
			t->key_bits == wanted->key_bits && !t->unknown_attribute)
			return true;
	}
	return false;
}

static bool has_id(const struct proposal *p, enum transform_type type, uint16_t id)
{
	return has_transform(p, &(struct transform){.type = type, .id = id});
}

/* Has the proposal a transform type that means nothing for its protocol? An unknown one is such. */
static bool has_alien_type(const struct proposal *p)
{
	for (unsigned i = 0; i < p->transform_count; i++) {
		bool known;
		switch (p->transforms[i].type) {
		case TRANSFORM_ENCR:
			known = p->protocol != PROTOCOL_AH;
			break;
		case TRANSFORM_PRF:
			known = p->protocol == PROTOCOL_IKE;
			break;
		case TRANSFORM_SN:
			known = p->protocol != PROTOCOL_IKE;
			break;
		case TRANSFORM_INTEG:
		case TRANSFORM_KE:
			known = true;
			break;
		default:
			known = false;
		}
		if (!known)
			return true;
	}
	return false;
}

/* The first local transform of the type that the peer has too and that we know. */
static const struct algorithm *common(
	const struct proposal *local, const struct proposal *remote, enum transform_type type)
{
	for (unsigned i = 0; i < local->transform_count; i++) {
		const struct transform *t = &local->transforms[i];
		if (t->type == type && has_transform(remote, t))
			return algorithm_by_id(type, t->id);
	}
	return NULL;
}

/* Integrity beside an AEAD cipher: none, said by the transform NONE or by silence (section 3.3). */
static bool choose_integ(const struct proposal *local, const struct proposal *remote, bool aead,
	struct chosen_proposal *chosen)
{
	chosen->integ = NULL;
	if (aead)
		return !has_type(remote, TRANSFORM_INTEG) ||
		       has_id(remote, TRANSFORM_INTEG, INTEG_NONE);
	chosen->integ = common(local, remote, TRANSFORM_INTEG);
	return chosen->integ != NULL && chosen->integ->id != INTEG_NONE;
}

static bool choose_protection(
	const struct proposal *local, const struct proposal *remote, struct chosen_proposal *chosen)
{
	if (local->protocol == PROTOCOL_AH)
		return choose_integ(local, remote, false, chosen);
	for (unsigned i = 0; i < local->transform_count; i++) {
		const struct transform *t = &local->transforms[i];
		if (t->type != TRANSFORM_ENCR || !has_transform(remote, t))
			continue;
		chosen->encr = algorithm_by_id(TRANSFORM_ENCR, t->id);
		chosen->encr_key_bits = t->key_bits;
		if (chosen->encr != NULL && choose_integ(local, remote, chosen->encr->aead, chosen))
			return true;
	}
	return false;
}

/* False also if one side insists on a key exchange that the other does not have. */
static bool choose_ke(const struct proposal *local, const struct proposal *remote, uint16_t want_ke,
	struct chosen_proposal *chosen)
{
	bool local_may_omit =
		!has_type(local, TRANSFORM_KE) || has_id(local, TRANSFORM_KE, KE_NONE);
	bool remote_may_omit =
		!has_type(remote, TRANSFORM_KE) || has_id(remote, TRANSFORM_KE, KE_NONE);

	if (want_ke != KE_NONE && has_id(local, TRANSFORM_KE, want_ke) &&
		has_id(remote, TRANSFORM_KE, want_ke))
		chosen->ke = algorithm_by_id(TRANSFORM_KE, want_ke);
	else
		chosen->ke = common(local, remote, TRANSFORM_KE);
	if (chosen->ke != NULL && chosen->ke->id != KE_NONE)
		return true;
	chosen->ke = NULL;
	return local->protocol != PROTOCOL_IKE && local_may_omit && remote_may_omit;
}

static bool choose_within(const struct proposal *local, const struct proposal *remote,
	bool ke_required, uint16_t want_ke, struct chosen_proposal *chosen)
{
	*chosen = (struct chosen_proposal){
		.number = remote->number,
		.protocol = remote->protocol,
		.spi_len = remote->spi_len,
		.spi = remote->spi,
	};
	if (!choose_protection(local, remote, chosen))
		return false;
	if (ke_required && !choose_ke(local, remote, want_ke, chosen))
		return false;
	if (local->protocol == PROTOCOL_IKE) {
		chosen->prf = common(local, remote, TRANSFORM_PRF);
		return chosen->prf != NULL;
	}
	const struct algorithm *sn = common(local, remote, TRANSFORM_SN);
	chosen->esn = sn != NULL && sn->id == SN_EXTENDED;
	return sn != NULL;
}

bool proposal_choose(const struct proposal_list *local, const struct proposal_list *remote,
	uint8_t protocol, bool ke_required, uint16_t want_ke, struct chosen_proposal *chosen)
{
	for (unsigned r = 0; r < remote->count; r++) {
		const struct proposal *offer = &remote->proposals[r];
		if (offer->protocol != protocol || has_alien_type(offer))
			continue;
		for (unsigned l = 0; l < local->count; l++)
			if (local->proposals[l].protocol == protocol &&
				choose_within(
					&local->proposals[l], offer, ke_required, want_ke, chosen))
				return true;
	}
	*chosen = (struct chosen_proposal){0};
	return false;
}

static bool one_of_each_type(const struct proposal *p)
{
	unsigned count[TRANSFORM_TYPES] = {0};

	for (unsigned i = 0; i < p->transform_count; i++) {
		uint8_t type = p->transforms[i].type;
		if (type >= TRANSFORM_TYPES || ++count[type] > 1)
			return false;
	}
	return true;
}

bool proposal_accept(const struct proposal_list *offered, const struct proposal_list *answer,
	uint8_t protocol, bool ke_required, struct chosen_proposal *chosen)
{
	const struct proposal *p = &answer->proposals[0];

	*chosen = (struct chosen_proposal){0};
	if (answer->count != 1 || p->protocol != protocol || has_alien_type(p) ||
		!one_of_each_type(p))
		return false;
	for (unsigned i = 0; i < offered->count; i++) {
		const struct proposal *offer = &offered->proposals[i];
		if (offer->number == p->number && offer->protocol == protocol &&
			choose_within(offer, p, ke_required, KE_NONE, chosen))
			return true;
	}
	*chosen = (struct chosen_proposal){0};
	return false;
}
