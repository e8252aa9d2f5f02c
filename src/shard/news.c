#include "news.h"

#include "shard_set.h"

#include <stdlib.h>

/* News are not urgent, and a letter for each would wake every other shard for each tunnel: they are
 * collected for a moment. */
#define NEWS_MAX      64
#define NEWS_DELAY_MS 10

struct news_mail {
	struct mail mail;
	struct news *news;
};

/* One allocation for all shards; the last one frees it. */
struct news {
	unsigned left; /* atomic, once posted */
	unsigned count;
	struct ike_news what[NEWS_MAX]; /* with references of its own */
	struct news_mail to[];
};

static void news_free(struct news *news)
{
	for (unsigned i = 0; i < news->count; i++) {
		identity_unref(news->what[i].local);
		identity_unref(news->what[i].remote);
	}
	free(news);
}

static void news_leave(struct news *news)
{
	if (__atomic_sub_fetch(&news->left, 1, __ATOMIC_ACQ_REL) == 0) {
		news_free(news);
	}
}

void news_discard(struct mail *mail)
{
	news_leave(((struct news_mail *)mail)->news);
}

static void post(struct shard *shard)
{
	struct news *news = shard->news;
	unsigned shards = shard->set->count, count = news->count;
	shard->news = NULL;
	news->left = shards - 1;
	/* It lives until it has been posted to the last one, and not a moment longer. */
	for (unsigned i = 0; i < shards; i++) {
		if (i == shard->index) {
			continue;
		}
		news->to[i] = (struct news_mail){{INBOX_NEWS}, news};
		if (!outbox_post(&shard->peers[i], &news->to[i].mail)) {
			tally_add(&shard->tally.news_lost, count);
			news_leave(news);
		}
	}
}

void shard_tell(struct shard *shard, const struct ike_news *what)
{
	unsigned shards = shard->set->count;
	if (shards == 1 || (what->kind == IKE_NEWS_ESTABLISHED && !shard->set->config.unique_ids &&
				   !what->initial_contact)) {
		return;
	}
	struct news *news = shard->news;
	if (news == NULL) {
		news = malloc(sizeof *news + shards * sizeof news->to[0]);
		if (news == NULL) {
			tally_add(&shard->tally.news_lost, shards - 1);
			return;
		}
		news->count = 0;
		shard->news = news;
		shard->news_due_ms = shard->now_ms + NEWS_DELAY_MS;
	}
	news->what[news->count++] = *what;
	identity_ref(what->local);
	identity_ref(what->remote);
	if (news->count == NEWS_MAX) {
		post(shard);
	}
}

void shard_post_news(struct shard *shard)
{
	if (shard->news != NULL && shard->now_ms >= shard->news_due_ms) {
		post(shard);
	}
}

void shard_drop_news(struct shard *shard)
{
	if (shard->news != NULL) {
		news_free(shard->news);
		shard->news = NULL;
	}
}

void shard_take_news(struct shard *shard, struct mail *mail)
{
	struct news *news = ((struct news_mail *)mail)->news;
	for (unsigned i = 0; i < news->count; i++) {
		ike_engine_news(shard->engine, &news->what[i]);
	}
	news_leave(news);
}
