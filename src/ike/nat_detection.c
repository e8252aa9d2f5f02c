/* NAT detection. */
#include "nat_detection.h"

#include "engine_state.h"
#include "exchange.h"

#include <string.h>

#define NAT_PORT 4500

/* SHA-1(SPIi | SPIr | address | port), RFC 7296, section 2.23 */
static void detection_hash(struct ike_engine *engine, uint64_t spi_i, uint64_t spi_r,
	const struct ip_endpoint *endpoint, uint8_t out[20])
{
	uint8_t buffer[34];
	struct writer w = writer_of(buffer, sizeof(buffer));
	struct bytes part;

	write_u64(&w, spi_i);
	write_u64(&w, spi_r);
	write_copy(&w, endpoint->address.bytes, ip_len(endpoint->address.family));
	write_u16(&w, endpoint->port);
	part = writer_bytes(&w);
	hash_sha1(engine->config.crypto, &part, 1, out);
}

void nat_detection_encode(struct ike_engine *engine, struct message_writer *m, uint64_t spi_i,
	uint64_t spi_r, const struct ike_path *path, bool force)
{
	uint8_t hash[20];

	detection_hash(engine, spi_i, spi_r, &path->local, hash);
	if (force)
		hash[0] ^= 0xff;
	add_notify(engine, m, N_NAT_DETECTION_SOURCE_IP, bytes_of(hash, sizeof(hash)));
	detection_hash(engine, spi_i, spi_r, &path->remote, hash);
	add_notify(engine, m, N_NAT_DETECTION_DESTINATION_IP, bytes_of(hash, sizeof(hash)));
}

void nat_detection_judge(struct ike_engine *engine, const struct payload_list *payloads,
	uint64_t spi_i, uint64_t spi_r, const struct ike_path *path, bool *behind_nat,
	bool *peer_behind_nat)
{
	bool any_source = false, source_matches = false, any_destination = false,
	     destination_matches = false;
	uint8_t ours[20], theirs[20];
	struct notify notify;

	detection_hash(engine, spi_i, spi_r, &path->remote, theirs);
	detection_hash(engine, spi_i, spi_r, &path->local, ours);
	for (unsigned i = 0; i < payloads->count; i++) {
		const struct payload *p = &payloads->payloads[i];

		if (p->type != PAYLOAD_NOTIFY || !notify_payload_decode(p->body, &notify))
			continue;
		if (notify.type == N_NAT_DETECTION_SOURCE_IP) {
			any_source = true;
			source_matches |=
				bytes_equal(notify.data, bytes_of(theirs, sizeof(theirs)));
		} else if (notify.type == N_NAT_DETECTION_DESTINATION_IP) {
			any_destination = true;
			destination_matches |=
				bytes_equal(notify.data, bytes_of(ours, sizeof(ours)));
		}
	}
	*peer_behind_nat = any_source && !source_matches;
	*behind_nat = any_destination && !destination_matches;
}

void nat_float(struct ike_sa *sa)
{
	if (!sa->engine->config.nat_port || sa->path.non_esp_marker)
		return;
	sa->path.local.port = sa->engine->config.nat_port;
	if (!sa->connection->remote.ike_port)
		sa->path.remote.port = NAT_PORT;
	sa->path.non_esp_marker = true;
}
