/* uniqueids across shards: an IKE SA that one shard has established is told to all others. */
#ifndef SHARD_SUPERSEDED_H
#define SHARD_SUPERSEDED_H

#include "ike/engine.h"

struct shard;

void shard_tell_established(struct shard *shard, const struct ike_established *what);
void shard_take_superseded(struct shard *shard, struct mail *mail);
void superseded_discard(struct mail *mail);

#endif
