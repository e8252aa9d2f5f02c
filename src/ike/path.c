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

void path_heard(struct ike_sa *sa, const struct ike_path *path)
{
	char peer[IP_RANGE_TEXT_MAX];
	bool moved;

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
	sa->path = *path;
	if (sa->state != STATE_ESTABLISHED_IKE_SA || !moved)
		return;
	ike_sa_log(sa, LOG_LINE_INFO, RC_OK, "peer has moved to %s (NAT mapping changed)",
		ip_endpoint_text(&path->remote, peer));
	for (struct child_sa *child = sa->children; child; child = child->next)
		child_sa_moved(child);
}
