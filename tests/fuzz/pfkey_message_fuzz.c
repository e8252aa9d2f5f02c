/* A PF_KEY message as a kernel, or anybody with its sockets, may send it. */
#include "pfkey_algorithm.h"
#include "pfkey_message.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint64_t sum(struct bytes bytes)
{
	uint64_t n = 0;

	for (size_t i = 0; i < bytes.len; i++)
		n += bytes.data[i];
	return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct pfkey_algorithms algorithms;
	struct pfkey_message out;
	struct pfkey_told told;

	if (!pfkey_read(bytes_of(data, size), &told))
		return 0;
	if (!told.is_whole && (told.has_sa || told.has_policy || told.source.address.family))
		abort();
	if (told.source.prefix_len > ip_bits(told.source.address.family))
		abort();
	/* What is borrowed lies within the message. */
	if (sum(told.auth_algs) + sum(told.encr_algs) > 255 * (uint64_t)size * 2)
		abort();
	pfkey_algorithms_read(&algorithms, told.auth_algs, told.encr_algs);
	(void)pfkey_counters(&told);
	(void)pfkey_is_ours(&told);
	if (pfkey_put_sa_ports(&out, bytes_of(data, size), 1, 2) == 0) {
		struct pfkey_told again;

		if (!pfkey_read(bytes_of(out.bytes, out.len), &again) ||
			again.type != SADB_UPDATE)
			abort();
		if (told.is_whole && (!again.is_whole || again.nat_source_port != 1))
			abort();
	}
	return 0;
}
