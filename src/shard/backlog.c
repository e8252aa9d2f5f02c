#include "backlog.h"

/* A herd of honest peers and a pause of the thread are over sooner, or do not pile up. */
#define PATIENCE_MS 50
/* How long a half-open IKE SA waits for IKE_AUTH. */
#define COOKIES_MS 30000

void backlog_note(struct backlog *backlog, uint64_t now_ms, bool more)
{
	if (more && !backlog->behind) {
		backlog->since_ms = now_ms;
	}
	backlog->behind = more;
}

bool backlog_wants_cookies(struct backlog *backlog, uint64_t now_ms, bool piling_up, bool *begins)
{
	bool asking = now_ms < backlog->cookies_until_ms;
	*begins = false;
	if (!asking && piling_up && backlog->behind && now_ms - backlog->since_ms >= PATIENCE_MS) {
		backlog->cookies_until_ms = now_ms + COOKIES_MS;
		asking = *begins = true;
	}
	return asking;
}
