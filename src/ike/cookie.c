/* Cookies: number of the secret | HMAC(secret of that number, Ni | address | port | SPIi). The
 * secret changes with wall time; the daemon's one root secret makes every shard's cookies known to
 * all. */
#include "cookie.h"

#include "engine_state.h"

#define SECRET_PERIOD_S 60

/* The secret of this number; that of the last one asked for is kept, since a flood asks for the
 * same all the time. */
static struct bytes period_secret(struct ike_engine *engine, uint32_t number)
{
	struct cookie_period *period = &engine->cookie_period;
	uint8_t bytes[4];
	struct writer w = writer_of(bytes, sizeof(bytes));
	struct bytes part = bytes_of(bytes, sizeof(bytes));

	if (!period->made || period->number != number) {
		write_u32(&w, number);
		prf(engine->config.crypto, algorithm_by_id(TRANSFORM_PRF, PRF_HMAC_SHA2_256),
			bytes_of(engine->cookie_secret, sizeof(engine->cookie_secret)), &part, 1,
			period->secret);
		period->number = number;
		period->made = true;
	}
	return bytes_of(period->secret, sizeof(period->secret));
}

static void cookie_mac(struct ike_engine *engine, uint32_t number, const struct ike_path *path,
	uint64_t spi_i, struct bytes nonce, uint8_t out[COOKIE_LEN])
{
	const struct algorithm *hmac = algorithm_by_id(TRANSFORM_PRF, PRF_HMAC_SHA2_256);
	uint8_t fixed[32];
	struct writer w = writer_of(fixed, sizeof(fixed)), head = writer_of(out, 4);
	struct bytes parts[2];

	write_u64(&w, spi_i);
	write_copy(&w, path->remote.address.bytes, ip_len(path->remote.address.family));
	write_u16(&w, path->remote.port);
	parts[0] = writer_bytes(&w);
	parts[1] = nonce;
	write_u32(&head, number);
	prf(engine->config.crypto, hmac, period_secret(engine, number), parts, 2, out + 4);
}

static uint32_t secret_number(struct ike_engine *engine)
{
	return engine->host->wall_s(engine->host) / SECRET_PERIOD_S;
}

void cookie_make(struct ike_engine *engine, const struct ike_path *path, uint64_t spi_i,
	struct bytes nonce, uint8_t out[COOKIE_LEN])
{
	cookie_mac(engine, secret_number(engine), path, spi_i, nonce, out);
}

bool cookie_valid(struct ike_engine *engine, const struct ike_path *path, uint64_t spi_i,
	struct bytes nonce, struct bytes cookie)
{
	struct reader r = reader_of(cookie);
	uint32_t number = read_u32(&r), now = secret_number(engine);
	uint8_t wanted[COOKIE_LEN];

	if (cookie.len != COOKIE_LEN || now - number > 1)
		return false;
	cookie_mac(engine, number, path, spi_i, nonce, wanted);
	return secret_equal(wanted, cookie.data, COOKIE_LEN);
}
