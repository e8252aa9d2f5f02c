/* Does a shard keep up with what its sockets bring? When it does not and half-open IKE SAs pile up
 * besides, their initiators are asked for cookies long before the number of half-open SAs alone
 * would ask for it: a forged request would cost a Diffie-Hellman exchange that an honest peer then
 * waits for, or its datagram is lost because the socket is full. The shard's thread only. */
#ifndef SHARD_BACKLOG_H
#define SHARD_BACKLOG_H

#include <stdbool.h>
#include <stdint.h>

/* What is "piling up": this part of --ddos-ike-threshold. */
#define BACKLOG_HALF_OPEN_PART 25

struct backlog {
	bool behind;
	uint64_t since_ms, cookies_until_ms;
};

/* Once each time around the loop; `more`: a socket had more than could be read at once. */
void backlog_note(struct backlog *backlog, uint64_t now_ms, bool more);
/* True: it is not known whether an initiator is who it says, so ask. `piling_up` as above. Once
 * asked for, cookies stay so for as long as forged half-open SAs last: otherwise a steady flood
 * would be let in again each time that the cookies have taken the load away. `*begins` is true when
 * it is news. */
bool backlog_wants_cookies(struct backlog *backlog, uint64_t now_ms, bool piling_up, bool *begins);

#endif
