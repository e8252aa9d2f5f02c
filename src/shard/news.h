/* What one shard's engine has to tell all others: SAs established (uniqueids), connections that went down. */
#ifndef SHARD_NEWS_H
#define SHARD_NEWS_H

#include "ike/engine.h"

struct shard;

void shard_tell(struct shard *shard, const struct ike_news *what);
void shard_take_news(struct shard *shard, struct mail *mail);
void news_discard(struct mail *mail);

#endif
