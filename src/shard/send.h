/* Datagrams on their way out: collected while the engine works, sent together at the end of the
 * loop. */
#ifndef SHARD_SEND_H
#define SHARD_SEND_H

#include "ike/engine.h"

struct shard;
struct send_queue;

struct send_queue *send_queue_new(void);
/* What was not sent is forgotten. */
void send_queue_free(struct send_queue *queue);
/* Copies. Sends what is queued already when there is no more room; what has no socket or is too
 * long is dropped and counted. */
void shard_send(struct shard *shard, const struct ike_path *path, struct bytes message);
void shard_send_keepalive(struct shard *shard, const struct ike_path *path);
/* Sends all. A full socket buffer loses the rest, counted: IKE retransmits. */
void shard_send_flush(struct shard *shard);

#endif
