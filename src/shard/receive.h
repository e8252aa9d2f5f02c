/* Datagrams and ICMP errors on their way in. */
#ifndef SHARD_RECEIVE_H
#define SHARD_RECEIVE_H

#include "socket.h"

struct shard;
struct receive_batch;

/* Room for 32 datagrams of the greatest length (2 MB of addresses; only pages that were written to
 * are resident). */
struct receive_batch *receive_batch_new(void);
void receive_batch_free(struct receive_batch *batch);
/* Takes one batch at most, so that one busy socket does not keep the others waiting. True: it was
 * full, there may be more. */
bool shard_receive(struct shard *shard, struct ike_socket *socket);
/* Empties the socket's error queue, bounded. */
void shard_receive_errors(struct shard *shard, const struct ike_socket *socket);

#endif
