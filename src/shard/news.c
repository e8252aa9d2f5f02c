#include "news.h"

#include "shard_set.h"

#include <stdlib.h>

struct news;

struct news_mail {
	struct mail mail;
	struct news *news;
};

/* One allocation for all shards; the last one frees it. */
struct news {
	unsigned left;               /* atomic */
	struct ike_news what; /* with references of its own */
	struct news_mail to[];
};

static void news_leave(struct news *news)
{
	if (__atomic_sub_fetch(&news->left, 1, __ATOMIC_ACQ_REL) == 0) {
		identity_unref(news->what.local);
		identity_unref(news->what.remote);
		free(news);
	}
}

void news_discard(struct mail *mail)
{
	news_leave(((struct news_mail *)mail)->news);
}

void shard_tell(struct shard *shard, const struct ike_news *what)
{
	unsigned shards = shard->set->count;
	if (shards == 1 || (what->kind == IKE_NEWS_ESTABLISHED && !shard->set->config.unique_ids && !what->initial_contact)) {
		return;
	}
	struct news *news = calloc(1, sizeof *news + shards * sizeof news->to[0]);
	if (news == NULL) {
		tally_add(&shard->tally.news_lost, shards - 1);
		return;
	}
	*news = (struct news){.left = shards - 1, .what = *what};
	identity_ref(what->local);
	identity_ref(what->remote);
	for (unsigned i = 0; i < shards; i++) {
		if (i == shard->index) {
			continue;
		}
		news->to[i] = (struct news_mail){{INBOX_NEWS}, news};
		if (!outbox_post(&shard->peers[i], &news->to[i].mail)) {
			tally_add(&shard->tally.news_lost, 1);
			news_leave(news);
		}
	}
}

void shard_take_news(struct shard *shard, struct mail *mail)
{
	struct news *news = ((struct news_mail *)mail)->news;
	ike_engine_news(shard->engine, &news->what);
	news_leave(news);
}
