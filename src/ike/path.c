/* Paths that change under an SA. */
#include "path.h"

#include "child_sa.h"
#include "deadlines.h"
#include "engine_state.h"

static bool path_equal(const struct ike_path *a, const struct ike_path *b)
{
	return ip_endpoint_equal(&a->local, &b->local) &&
	       ip_endpoint_equal(&a->remote, &b->remote) && a->non_esp_marker == b->non_esp_marker;
}

/* What transport mode carries is between the very addresses (RFC 7296, section 2.23.1): with
 * another one it begins anew, and whoever wants it sees to that. */
static void move_child(struct child_sa *child, bool other_address)
{
	if (child->mode != IPSEC_TRANSPORT || !other_address || child->state != CHILD_ESTABLISHED) {
		child_sa_moved(child);
		return;
	}
	child_sa_log(child, LOG_LINE_INFO, RC_OK,
		"transport mode ends with the peer's address; deleting the Child SA");
	child_sa_delete(child);
}

void path_heard(struct ike_sa *sa, const struct ike_path *path)
{
	char peer[IP_RANGE_TEXT_MAX];
	bool moved, other_address;
	struct child_sa *next;

	sa->last_heard_ms = engine_now(sa->engine);
	if (path_equal(&sa->path, path))
		return;
	/* A responder follows the initiator to port 4500. Later only a peer behind a NAT may move
	 * without MOBIKE: who is behind one itself stays (RFC 7296, section 2.23). */
	if (sa->state == STATE_ESTABLISHED_IKE_SA && (!sa->peer_behind_nat || sa->behind_nat))
		return;
	if (sa->initiator && !sa->peer_behind_nat)
		return;
	moved = !ip_endpoint_equal(&sa->path.remote, &path->remote);
	other_address = !ip_equal(&sa->path.remote.address, &path->remote.address);
	sa->path = *path;
	if (sa->state != STATE_ESTABLISHED_IKE_SA || !moved)
		return;
	ike_sa_log(sa, LOG_LINE_INFO, RC_OK, "peer has moved to %s (NAT mapping changed)",
		ip_endpoint_text(&path->remote, peer));
	for (struct child_sa *child = sa->children; child; child = next) {
		next = child->next;
		move_child(child, other_address);
	}
}
