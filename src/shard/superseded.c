#include "superseded.h"

#include "shard_set.h"

#include <stdlib.h>

struct news;

struct superseded_mail {
	struct mail mail;
	struct news *news;
};

/* One allocation for all shards; the last one frees it. */
struct news {
	unsigned left; /* atomic */
	struct identity *local, *remote;
	uint64_t connection_serial, ike_serial;
	struct superseded_mail to[];
};

static void news_leave(struct news *news)
{
	if (__atomic_sub_fetch(&news->left, 1, __ATOMIC_ACQ_REL) == 0) {
		identity_unref(news->local);
		identity_unref(news->remote);
		free(news);
	}
}

void superseded_discard(struct mail *mail)
{
	news_leave(((struct superseded_mail *)mail)->news);
}

void shard_tell_established(struct shard *shard, const struct identity *local,
	const struct identity *remote, uint64_t connection_serial, uint64_t ike_serial)
{
	unsigned shards = shard->set->count;
	if (!shard->set->config.unique_ids || shards == 1) {
		return;
	}
	struct news *news = calloc(1, sizeof *news + shards * sizeof news->to[0]);
	if (news == NULL) {
		tally_add(&shard->tally.superseded_lost, shards - 1);
		return;
	}
	*news = (struct news){.left = shards - 1,
		.local = identity_ref(local),
		.remote = identity_ref(remote),
		.connection_serial = connection_serial,
		.ike_serial = ike_serial};
	for (unsigned i = 0; i < shards; i++) {
		if (i == shard->index) {
			continue;
		}
		news->to[i] = (struct superseded_mail){{INBOX_SUPERSEDED}, news};
		if (!outbox_post(&shard->peers[i], &news->to[i].mail)) {
			tally_add(&shard->tally.superseded_lost, 1);
			news_leave(news);
		}
	}
}

void shard_take_superseded(struct shard *shard, struct mail *mail)
{
	struct news *news = ((struct superseded_mail *)mail)->news;
	ike_engine_superseded(shard->engine, news->local, news->remote, news->connection_serial,
		news->ike_serial);
	news_leave(news);
}
