/* The IKE header (RFC 7296, section 3.1). */
#include "ike/engine.h"
#include "message.h"

bool ike_header_decode(struct bytes message, struct ike_header *header)
{
	struct reader r = reader_of(message);

	header->spi_i = read_u64(&r);
	header->spi_r = read_u64(&r);
	header->next_payload = read_u8(&r);
	header->version = read_u8(&r);
	header->exchange = read_u8(&r);
	header->flags = read_u8(&r);
	header->message_id = read_u32(&r);
	header->length = read_u32(&r);
	return !r.failed;
}

bool ike_message_is_first(struct bytes message)
{
	struct ike_header header;

	return ike_header_decode(message, &header) && !header.spi_r &&
	       header.next_payload != PAYLOAD_NOTIFY;
}

const char *exchange_name(uint8_t exchange)
{
	switch (exchange) {
	case EXCHANGE_IKE_SA_INIT:
		return "IKE_SA_INIT";
	case EXCHANGE_IKE_AUTH:
		return "IKE_AUTH";
	case EXCHANGE_CREATE_CHILD_SA:
		return "CREATE_CHILD_SA";
	case EXCHANGE_INFORMATIONAL:
		return "INFORMATIONAL";
	default:
		return "unknown exchange";
	}
}
