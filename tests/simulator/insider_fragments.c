/* What the insider says in fragments (RFC 7383), rightly and wrongly. */
#include "insider.h"

#include <string.h>

#define PARTS_MAX 70

void insider_send_fragment(struct insider *insider, struct bytes inner, uint8_t first_type,
	unsigned number, unsigned total)
{
	struct sk_keys keys = keymat_sending(&insider->sa);
	struct message_writer m;
	struct ike_header header;
	uint8_t buffer[INSIDER_MESSAGE_MAX + 200], iv[16];

	ike_header_decode(bytes_of(insider->buffer, IKE_HEADER_LEN), &header);
	keymat_iv(&insider->sa, iv);
	message_begin(&m, buffer, sizeof(buffer), &header);
	skf_begin(&m, &keys, iv, first_type, number, total);
	write_bytes(&m.w, inner);
	if (message_end_sealed(&m, insider->world->crypto, &keys))
		insider_send_clear(insider, buffer, writer_len(&m.w));
}

void insider_send_part(struct insider *insider, unsigned number, unsigned total)
{
	size_t len, at, end;
	const uint8_t *plaintext = insider_plaintext(insider, &len);

	at = len * (number - 1) / total;
	end = len * number / total;
	insider_send_fragment(insider, bytes_of(plaintext + at, end - at),
		number == 1 ? insider->buffer[IKE_HEADER_LEN] : 0, number, total);
}

static void shuffle(struct insider *insider, unsigned *numbers, unsigned count)
{
	for (unsigned i = count; i > 1; i--) {
		unsigned other = insider_dice(insider, i), kept = numbers[i - 1];

		numbers[i - 1] = numbers[other];
		numbers[other] = kept;
	}
}

void insider_send_cut(struct insider *insider)
{
	unsigned total = 1 + insider_dice(insider, insider_chance(insider, 90) ? 6 : PARTS_MAX);
	unsigned numbers[PARTS_MAX];

	for (unsigned i = 0; i < total; i++)
		numbers[i] = i + 1;
	if (insider_chance(insider, 50))
		shuffle(insider, numbers, total);
	for (unsigned i = 0; i < total && !insider->dead; i++) {
		if (insider_chance(insider, 3))
			continue;
		if (insider_chance(insider, 3))
			insider_send_fragment(insider, bytes_of(insider->buffer, 40), 0,
				insider_dice(insider, 70), insider_dice(insider, 70));
		insider_send_part(insider, numbers[i], total);
		if (insider_chance(insider, 5))
			insider_send_part(insider, numbers[i], total);
	}
}
