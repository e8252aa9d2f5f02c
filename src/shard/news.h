/* What one shard's engine has to tell all others: SAs established (uniqueids), connections that went down. */
#ifndef SHARD_NEWS_H
#define SHARD_NEWS_H

#include "ike/engine.h"

struct shard;

/* Within 10 ms, together with other news. */
void shard_tell(struct shard *shard, const struct ike_news *what);
/* Each time around the loop: posts what is due. */
void shard_post_news(struct shard *shard);
/* Forgets what has not been posted; the shard ends. */
void shard_drop_news(struct shard *shard);
void shard_take_news(struct shard *shard, struct mail *mail);
void news_discard(struct mail *mail);

#endif
