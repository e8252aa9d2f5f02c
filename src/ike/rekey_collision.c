/* Collisions of rekeying with rekeying and with deletion (RFC 7296, sections 2.8.1, 2.8.2 and
 * 2.25). */
#include "create_child.h"

#include <string.h>

static int compare(struct bytes a, struct bytes b)
{
	int order = memcmp(a.data, b.data, a.len < b.len ? a.len : b.len);

	return order ? order : (a.len > b.len) - (a.len < b.len);
}

static struct bytes lower_nonce(const struct create_child *x)
{
	struct bytes ni = bytes_of(x->ni, x->ni_len), nr = bytes_of(x->nr, x->nr_len);

	return compare(ni, nr) < 0 ? ni : nr;
}

bool rekey_collision_lost(const struct create_child *ours, const struct create_child *theirs)
{
	return compare(lower_nonce(ours), lower_nonce(theirs)) < 0;
}

/* New ones of a connection carry the same. */
static bool same_matter(const struct create_child *a, const struct create_child *b)
{
	return a->purpose == b->purpose && a->replaces == b->replaces &&
	       (a->purpose != CREATE_NEW_CHILD ||
		       (a->connection && b->connection &&
			       a->connection->serial == b->connection->serial));
}

struct create_child *rekey_collision_find(const struct create_child *ours)
{
	struct create_child *x = ours->ike_sa->creating;

	while (x && (x->initiator || !same_matter(x, ours)))
		x = x->next;
	return x;
}

const struct create_child *rekey_collision_ours(const struct create_child *theirs)
{
	const struct create_child *x = theirs->ike_sa->creating;

	while (x && (!x->initiator || !create_is_under_way(x) || !same_matter(x, theirs)))
		x = x->next;
	return x;
}

static bool is_closing_a_child(const struct ike_sa *sa)
{
	for (const struct child_sa *child = sa->children; child; child = child->next) {
		if (child->state == CHILD_DELETING && !child->gone)
			return true;
	}
	return false;
}

uint16_t rekey_collision_refusal(const struct ike_sa *sa, bool rekeys_ike)
{
	/* It is on its way out, has been replaced, or IKE_AUTH's own Child SA is not there yet. */
	if (sa->state != STATE_ESTABLISHED_IKE_SA || sa->rekeyed || sa->negotiation)
		return N_TEMPORARY_FAILURE;
	if (rekeys_ike)
		return create_find_ours(sa, CREATE_NEW_CHILD) ||
				       create_find_ours(sa, CREATE_REKEY_CHILD) ||
				       is_closing_a_child(sa)
			       ? N_TEMPORARY_FAILURE
			       : 0;
	for (const struct create_child *x = sa->creating; x; x = x->next) {
		if (x->purpose == CREATE_REKEY_IKE &&
			(x->stage == CREATE_DONE || create_is_under_way(x)))
			return N_TEMPORARY_FAILURE;
	}
	return 0;
}
