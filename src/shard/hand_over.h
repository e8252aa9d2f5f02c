/* A datagram or an ICMP error that came to a shard that does not own its IKE SA goes through the
 * owner's mailbox: when there is no BPF program, or the order of a reuseport group was disturbed.
 */
#ifndef SHARD_HAND_OVER_H
#define SHARD_HAND_OVER_H

#include "ike/engine.h"

struct shard;

/* `message` without the marker; copied. Lost, and counted, when the owner is flooded. */
void shard_hand_over(
	struct shard *shard, unsigned owner, const struct ike_path *path, struct bytes message);
void shard_hand_over_error(struct shard *shard, unsigned owner, const struct ike_path *path,
	int error, const char *origin);
/* On the owner: into the engine. */
void shard_take_handed_datagram(struct shard *shard, struct mail *mail);
void shard_take_handed_error(struct shard *shard, struct mail *mail);

#endif
