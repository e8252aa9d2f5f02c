/* Which shard owns a message: decided by the SPI that we chose ourselves (RFC 7296, section 2.6),
 * the same in the kernel's BPF program and in C. */
#ifndef SHARD_STEERING_H
#define SHARD_STEERING_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define STEERING_ANY   UINT_MAX /* too short to tell, or not IKE: whoever has it keeps it */
#define IKE_HEADER_LEN 28       /* RFC 7296, section 3.1 */
#define ESP_MARKER_LEN 4        /* RFC 3948, section 2.2 */

/* Immutable after steering_init: any thread. The keys are secret, so that nobody outside can aim
 * first requests at one shard. */
struct steering {
	unsigned shards;
	uint32_t add[2], multiply[3]; /* multipliers are odd */
};

/* False when the system has no random bytes. */
bool steering_init(struct steering *steering, unsigned shards);
unsigned steering_of_spi(const struct steering *steering, uint64_t spi);
/* Of a UDP payload as received; `nat_port`: it starts with the non-ESP marker. */
unsigned steering_owner(
	const struct steering *steering, bool nat_port, const uint8_t *payload, size_t len);
/* Of a UDP payload that one of us sent (an ICMP message quotes it). */
unsigned steering_owner_of_sent(
	const struct steering *steering, bool nat_port, const uint8_t *payload, size_t len);
/* Has the kernel do the same for the reuseport group of this bound socket, whose i-th socket is
 * shard i's. False with errno. */
bool steering_attach(const struct steering *steering, bool nat_port, int fd);

#endif
