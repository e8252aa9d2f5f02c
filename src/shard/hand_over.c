#include "hand_over.h"

#include "shard_set.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct handed_datagram {
	struct mail mail;
	struct ike_path path;
	size_t len;
	uint8_t message[];
};

struct handed_error {
	struct mail mail;
	struct ike_path path;
	int error;
	char origin[IP_TEXT_MAX];
};

static void post(struct shard *shard, unsigned owner, struct mail *mail)
{
	struct mailbox *to = shard->set->shards[owner]->inbox;
	if (mail != NULL && mailbox_depth(to) < HAND_OVER_DEPTH && mailbox_post(to, mail)) {
		tally_add(&shard->tally.handed_over, 1);
		return;
	}
	free(mail);
	tally_add(&shard->tally.hand_over_lost, 1);
}

void shard_hand_over(
	struct shard *shard, unsigned owner, const struct ike_path *path, struct bytes message)
{
	struct handed_datagram *d = malloc(sizeof *d + message.len);
	if (d != NULL) {
		d->mail.kind = INBOX_DATAGRAM;
		d->path = *path;
		d->len = message.len;
		memcpy(d->message, message.data, message.len);
	}
	post(shard, owner, d != NULL ? &d->mail : NULL);
}

void shard_hand_over_error(struct shard *shard, unsigned owner, const struct ike_path *path,
	int error, const char *origin)
{
	struct handed_error *e = calloc(1, sizeof *e);
	if (e != NULL) {
		e->mail.kind = INBOX_ICMP_ERROR;
		e->path = *path;
		e->error = error;
		snprintf(e->origin, sizeof e->origin, "%s", origin);
	}
	post(shard, owner, e != NULL ? &e->mail : NULL);
}

void shard_take_handed_datagram(struct shard *shard, struct mail *mail)
{
	struct handed_datagram *d = (struct handed_datagram *)mail;
	tally_add(&shard->tally.handed_in, 1);
	ike_engine_datagram(shard->engine, &d->path, d->message, d->len);
	free(d);
}

void shard_take_handed_error(struct shard *shard, struct mail *mail)
{
	struct handed_error *e = (struct handed_error *)mail;
	tally_add(&shard->tally.handed_in, 1);
	ike_engine_network_error(shard->engine, &e->path, e->error, e->origin);
	free(e);
}
