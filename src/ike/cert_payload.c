/* CERT and CERTREQ payloads (RFC 7296, sections 3.6 and 3.7), and which hashes go with signatures.
 */
#include "message.h"

#include "crypto/signature.h"

bool cert_payload_decode(struct bytes body, uint8_t *encoding, struct bytes *data)
{
	struct reader r = reader_of(body);

	*encoding = read_u8(&r);
	*data = read_rest(&r);
	return !r.failed;
}

static void encode(struct message_writer *m, uint8_t type, struct bytes data)
{
	payload_begin(m, type);
	write_u8(&m->w, ENCODING_X509_SIGNATURE);
	write_bytes(&m->w, data);
	payload_end(m);
}

void cert_payload_encode(struct message_writer *m, struct bytes certificate)
{
	encode(m, PAYLOAD_CERT, certificate);
}

void certreq_payload_encode(struct message_writer *m, struct bytes hashes)
{
	encode(m, PAYLOAD_CERTREQ, hashes);
}

uint32_t hash_algorithms_decode(struct bytes data)
{
	struct reader r = reader_of(data);
	uint32_t mask = 0;

	while (reader_left(&r) >= 2) {
		uint16_t hash = read_u16(&r);

		if (hash >= SIGHASH_SHA1 && hash <= SIGHASH_SHA2_512)
			mask |= SIGHASH_BIT(hash);
	}
	return mask;
}
