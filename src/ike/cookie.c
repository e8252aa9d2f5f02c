/* Cookies: number of the secret | HMAC(secret of that number, Ni | address | port | SPIi). The
 * secret changes with wall time; the daemon's one root secret makes every shard's cookies known to
 * all. */
#include "cookie.h"

#include "engine_state.h"

#include <string.h>

#define SECRET_PERIOD_S 60

static void cookie_mac(struct ike_engine *engine, uint32_t number, const struct ike_path *path,
	uint64_t spi_i, struct bytes nonce, uint8_t out[COOKIE_LEN])
{
	const struct algorithm *hmac = algorithm_by_id(TRANSFORM_PRF, PRF_HMAC_SHA2_256);
	uint8_t fixed[32], period_secret[32], period[4];
	struct writer w = writer_of(fixed, sizeof(fixed)), p = writer_of(period, sizeof(period));
	struct bytes number_part = bytes_of(period, sizeof(period)), parts[2];

	write_u32(&p, number);
	prf(engine->config.crypto, hmac,
		bytes_of(engine->cookie_secret, sizeof(engine->cookie_secret)), &number_part, 1,
		period_secret);
	write_u64(&w, spi_i);
	write_copy(&w, path->remote.address.bytes, ip_len(path->remote.address.family));
	write_u16(&w, path->remote.port);
	parts[0] = writer_bytes(&w);
	parts[1] = nonce;
	memcpy(out, period, sizeof(period));
	prf(engine->config.crypto, hmac, bytes_of(period_secret, sizeof(period_secret)), parts, 2,
		out + 4);
	secret_wipe(period_secret, sizeof(period_secret));
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
