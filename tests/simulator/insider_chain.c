/* What the insider says: chains of payloads, each of them right or wrong in some way. */
#include "insider.h"

#include <string.h>

enum part {
	PART_ID_OWN,
	PART_ID_OTHER,
	PART_AUTH,
	PART_SA,
	PART_TSI,
	PART_TSR,
	PART_NOTIFY,
	PART_DELETE,
	PART_KE,
	PART_NONCE,
	PART_UNKNOWN,
	PART_NESTED,
	PARTS
};

static void random_bytes(struct insider *insider, size_t len)
{
	while (len--)
		write_u8(&insider->m.w, random_next(&insider->dice));
}

static size_t some_length(struct insider *insider)
{
	static const size_t lengths[] = {
		0, 1, 3, 4, 5, 8, 16, 20, 32, 33, 64, 255, 256, 257, 1500, 9000};

	return lengths[insider_dice(insider, sizeof(lengths) / sizeof(lengths[0]))];
}

static uint32_t some_spi(struct insider *insider)
{
	switch (insider_dice(insider, 6)) {
	case 0:
		return 0;
	case 1:
		return UINT32_MAX;
	case 2:
		return insider->child_spi;
	case 3:
		return 0x1000 + insider_dice(insider, 64);
	default:
		return 0xabc00000 + insider_dice(insider, 4); /* what we may have given it */
	}
}

static void raw_payload(struct insider *insider, uint8_t type, size_t len)
{
	payload_begin(&insider->m, type);
	random_bytes(insider, len);
	payload_end(&insider->m);
}

/* ---- the parts ------------------------------------------------------------------------------- */

static void write_id(struct insider *insider, bool own, bool wrong)
{
	static const char *const others[] = {
		"@west", "@east", "@nobody", "192.0.2.1", "::1", "a@b.test", "@#00ff"};
	uint8_t type = own == insider->sa.initiator ? PAYLOAD_IDi : PAYLOAD_IDr;
	struct identity *id;
	char error[100];

	if (!wrong) {
		id_payload_encode(&insider->m, type, own ? insider->id : insider->target_id);
	} else if (insider_chance(insider, 40)) {
		id = identity_parse(others[insider_dice(insider, 7)], error, sizeof(error));
		id_payload_encode(&insider->m, type, id);
		identity_unref(id);
	} else {
		payload_begin(&insider->m, type);
		write_u8(&insider->m.w, insider_dice(insider, 15));
		random_bytes(insider, some_length(insider));
		payload_end(&insider->m);
	}
}

static void write_auth(struct insider *insider, bool wrong)
{
	uint8_t value[PRF_OUTPUT_MAX] = {0};
	struct bytes psk = bytes_of(INSIDER_SECRET, strlen(INSIDER_SECRET));
	size_t len = insider->sa.chosen.prf->output_len;

	keymat_auth_psk(&insider->sa, insider->sa.initiator, insider->id, psk, value);
	if (!wrong) {
		auth_payload_encode(&insider->m, 2, bytes_of(value, len));
	} else if (insider_chance(insider, 40)) {
		value[insider_dice(insider, len)] ^= 1;
		auth_payload_encode(&insider->m, 2, bytes_of(value, len));
	} else if (insider_chance(insider, 40)) {
		auth_payload_encode(&insider->m, insider_dice(insider, 16),
			bytes_of(value, insider_dice(insider, len)));
	} else {
		raw_payload(insider, PAYLOAD_AUTH, some_length(insider));
	}
}

static void write_long_sa(struct insider *insider)
{
	unsigned proposals = 1 + insider_dice(insider, 40), spi_len = insider_dice(insider, 9);

	payload_begin(&insider->m, PAYLOAD_SA);
	for (unsigned p = 1; p <= proposals; p++) {
		unsigned transforms = insider_dice(insider, 80);

		write_u8(&insider->m.w, p < proposals ? 2 : 0);
		write_u8(&insider->m.w, 0);
		write_u16(&insider->m.w, 8 + spi_len + 8 * transforms);
		write_u8(&insider->m.w, p);
		write_u8(&insider->m.w, insider_dice(insider, 5));
		write_u8(&insider->m.w, spi_len);
		write_u8(&insider->m.w, transforms);
		random_bytes(insider, spi_len);
		for (unsigned t = 1; t <= transforms; t++) {
			write_u8(&insider->m.w, t < transforms ? 3 : 0);
			write_u8(&insider->m.w, 0);
			write_u16(&insider->m.w, 8);
			write_u8(&insider->m.w, insider_dice(insider, 7));
			write_u8(&insider->m.w, 0);
			write_u16(&insider->m.w, insider_dice(insider, 36));
		}
	}
	payload_end(&insider->m);
}

static void write_sa(struct insider *insider, bool wrong)
{
	struct chosen_proposal chosen = {.number = 1,
		.protocol = PROTOCOL_ESP,
		.encr = algorithm_by_id(TRANSFORM_ENCR, ENCR_AES_GCM_16),
		.encr_key_bits = 128};
	uint32_t spi = wrong ? some_spi(insider) : 0xabc00000 + insider_dice(insider, 4);

	if (wrong && insider_chance(insider, 30))
		write_long_sa(insider);
	else if (wrong && insider_chance(insider, 30))
		raw_payload(insider, PAYLOAD_SA, some_length(insider));
	else if (insider->sa.initiator)
		sa_payload_encode(&insider->m, insider->child,
			wrong && insider_chance(insider, 30) ? 8 : 4, spi);
	else
		chosen_payload_encode(
			&insider->m, &chosen, wrong && insider_chance(insider, 30) ? 8 : 4, spi);
}

static void write_ts(struct insider *insider, uint8_t type, bool wrong)
{
	static const char *const texts[] = {"10.66.0.0/24", "10.2.0.0/24", "0.0.0.0/0", "::/0",
		"10.66.0.1/32/udp/53", "10.66.0.0/25"};
	/* As the target has them: it is the one with 10.2. */
	bool target_side = (type == PAYLOAD_TSr) == insider->sa.initiator;
	struct traffic_selector ts[255];
	unsigned count = 1;

	memset(ts, 0, sizeof(ts));
	traffic_selector_parse(texts[target_side], ts);
	if (wrong && insider_chance(insider, 40)) {
		count = 1 + insider_dice(insider, 255);
		for (unsigned i = 0; i < count; i++)
			traffic_selector_parse(texts[insider_dice(insider, 6)], &ts[i]);
	} else if (wrong) {
		raw_payload(insider, type, some_length(insider));
		return;
	}
	ts_payload_encode(&insider->m, type, ts, count);
}

static void write_notify(struct insider *insider)
{
	static const uint16_t types[] = {1, 4, 5, 7, 9, 11, 14, 17, 24, 34, 35, 36, 37, 38, 39, 43,
		44, 16384, 16385, 16386, 16387, 16388, 16389, 16390, 16391, 16393, 16394, 16396,
		16430, 40000, 8192, 65535};
	static const uint8_t spi_lens[] = {0, 0, 0, 4, 8, 1, 255};
	uint8_t spi_len = spi_lens[insider_dice(insider, 7)];

	payload_begin(&insider->m, PAYLOAD_NOTIFY);
	write_u8(&insider->m.w, insider_dice(insider, 5));
	write_u8(&insider->m.w, spi_len);
	write_u16(&insider->m.w, types[insider_dice(insider, sizeof(types) / sizeof(types[0]))]);
	if (spi_len == 4)
		write_u32(&insider->m.w, some_spi(insider));
	random_bytes(insider, insider_chance(insider, 50) ? 0 : some_length(insider));
	payload_end(&insider->m);
}

static void write_delete(struct insider *insider, bool wrong)
{
	unsigned count = insider_chance(insider, 80) ? 1 + insider_dice(insider, 4)
						     : insider_dice(insider, 2000);
	bool ike = insider_chance(insider, 10);

	payload_begin(&insider->m, PAYLOAD_DELETE);
	write_u8(&insider->m.w, ike ? PROTOCOL_IKE : wrong ? insider_dice(insider, 256) : 3);
	write_u8(&insider->m.w, ike ? 0 : wrong ? insider_dice(insider, 9) : 4);
	write_u16(&insider->m.w, ike ? 0 : wrong ? insider_dice(insider, 65536) : count);
	for (unsigned i = 0; i < count && !ike; i++)
		write_u32(&insider->m.w, some_spi(insider));
	payload_end(&insider->m);
}

static void write_unknown(struct insider *insider)
{
	static const uint8_t types[] = {37, 38, 43, 47, 48, 49, 53, 100, 200, 255, 1};
	size_t at;

	raw_payload(insider, types[insider_dice(insider, sizeof(types))], some_length(insider));
	at = insider->m.payload_at + 1;
	if (insider_chance(insider, 20))
		patch_u8(&insider->m.w, at, 0x80);
}

static void write_part(struct insider *insider, enum part part, bool wrong)
{
	switch (part) {
	case PART_ID_OWN:
	case PART_ID_OTHER:
		write_id(insider, part == PART_ID_OWN, wrong);
		return;
	case PART_AUTH:
		write_auth(insider, wrong);
		return;
	case PART_SA:
		write_sa(insider, wrong);
		return;
	case PART_TSI:
	case PART_TSR:
		write_ts(insider, part == PART_TSI ? PAYLOAD_TSi : PAYLOAD_TSr, wrong);
		return;
	case PART_NOTIFY:
		write_notify(insider);
		return;
	case PART_DELETE:
		write_delete(insider, wrong);
		return;
	case PART_KE:
		raw_payload(insider, PAYLOAD_KE, wrong ? some_length(insider) : 36);
		return;
	case PART_NONCE:
		raw_payload(insider, PAYLOAD_NONCE, wrong ? some_length(insider) : 32);
		return;
	case PART_NESTED:
		raw_payload(insider, PAYLOAD_SK, some_length(insider));
		return;
	default:
		write_unknown(insider);
	}
}

/* ---- chains ---------------------------------------------------------------------------------- */

static void write_parts(
	struct insider *insider, const enum part *parts, unsigned count, unsigned wrong_percent)
{
	for (unsigned i = 0; i < count; i++)
		write_part(insider, parts[i], insider_chance(insider, wrong_percent));
}

/* Leaves out, doubles, swaps and puts in. */
static unsigned disturb(struct insider *insider, enum part *parts, unsigned count)
{
	unsigned a = insider_dice(insider, count), b = insider_dice(insider, count);
	enum part t = parts[a];

	switch (insider_dice(insider, 4)) {
	case 0:
		parts[a] = parts[b];
		parts[b] = t;
		return count;
	case 1:
		parts[a] = parts[count - 1];
		return count - 1;
	case 2:
		parts[count] = t;
		return count + 1;
	default:
		parts[count] = parts[a];
		parts[a] = insider_dice(insider, PARTS);
		return count + 1;
	}
}

void chain_auth(struct insider *insider, unsigned wrong_percent)
{
	enum part parts[16] = {PART_ID_OWN, PART_AUTH, PART_SA, PART_TSI, PART_TSR};
	unsigned count = 5;

	while (count && count < 15 && insider_chance(insider, wrong_percent * 2))
		count = disturb(insider, parts, count);
	if (insider_chance(insider, 20))
		parts[count++] = PART_NOTIFY;
	write_parts(insider, parts, count, wrong_percent);
}

void chain_informational(struct insider *insider)
{
	static const enum part kinds[] = {PART_NOTIFY, PART_DELETE, PART_UNKNOWN};
	unsigned count =
		insider_chance(insider, 80) ? insider_dice(insider, 4) : insider_dice(insider, 80);

	while (count--)
		write_part(insider,
			insider_chance(insider, 95) ? kinds[insider_dice(insider, 3)]
						    : insider_dice(insider, PARTS),
			insider_chance(insider, 20));
}

static void write_rekey_notify(struct insider *insider)
{
	notify_payload_encode(&insider->m, PROTOCOL_ESP, 4, 0xabc00000 + insider_dice(insider, 4),
		N_REKEY_SA, bytes_of(NULL, 0));
}

static void write_key_exchange(struct insider *insider)
{
	uint8_t value[32];

	for (unsigned i = 0; i < sizeof(value); i++)
		value[i] = insider_dice(insider, 256);
	ke_payload_encode(&insider->m, 31, bytes_of(value, sizeof(value)));
}

/* As it should be: a new Child SA, one that rekeys another, or a new IKE SA. */
static void chain_create_rightly(struct insider *insider)
{
	bool ike = insider_chance(insider, 15), ke = ike || insider_chance(insider, 50);
	struct proposal_list *with_ke =
		proposal_list_with_ke(insider->child, algorithm_by_id(TRANSFORM_KE, 31));

	if (!ike && insider_chance(insider, 70))
		write_rekey_notify(insider);
	if (ike)
		sa_payload_encode(&insider->m, insider->ike, 8, random_next(&insider->dice) | 1);
	else
		sa_payload_encode(&insider->m, ke ? with_ke : insider->child, 4,
			0xabc00000 + insider_dice(insider, 8));
	raw_payload(insider, PAYLOAD_NONCE, 32);
	if (ke)
		write_key_exchange(insider);
	if (!ike) {
		write_ts(insider, PAYLOAD_TSi, false);
		write_ts(insider, PAYLOAD_TSr, false);
	}
	proposal_list_unref(with_ke);
}

void chain_create_child(struct insider *insider)
{
	enum part parts[16] = {PART_NOTIFY, PART_SA, PART_NONCE, PART_KE, PART_TSI, PART_TSR};
	unsigned count = 6;

	if (insider_chance(insider, 50)) {
		chain_create_rightly(insider);
		return;
	}
	if (insider_chance(insider, 30))
		write_rekey_notify(insider);
	while (count && count < 15 && insider_chance(insider, 30))
		count = disturb(insider, parts, count);
	write_parts(insider, parts, count, 20);
}

void chain_garbage(struct insider *insider)
{
	random_bytes(insider, some_length(insider));
	insider->m.w.start[insider->m.sk_at] = insider_chance(insider, 70)
						       ? 33 + insider_dice(insider, 21)
						       : insider_dice(insider, 256);
}

void chain_mutate(struct insider *insider)
{
	unsigned flips = 1 + insider_dice(insider, 6);
	size_t len;
	uint8_t *plaintext = insider_plaintext(insider, &len);

	if (!len)
		return;
	while (flips--) {
		size_t at = insider_dice(insider, len);

		if (insider_chance(insider, 50))
			plaintext[at] ^= 1u << insider_dice(insider, 8);
		else
			plaintext[at] = insider_dice(insider, 2) ? 0xff : 0;
	}
	if (insider_chance(insider, 20))
		insider_cut(insider, insider_dice(insider, len));
}
