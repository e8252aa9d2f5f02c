/* The backend that installs nothing and says yes: for simulators, load generators and tests of the daemon.
 * Answers are kept in the channel until it is polled, as with a real one. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "backend.h"
#include "cpi_set.h"
#include "spi_sequence.h"

#define ANSWERS_FIRST 64

struct none_kernel {
	struct kernel kernel;
	struct spi_sequence spis; /* one for all channels, so that no SPI is given twice */
	struct cpi_set cpis;
};

struct none_channel {
	struct kernel_channel channel;
	int fd;                        /* never readable: answers exist as soon as asked */
	struct ipsec_answer *answers;  /* a ring */
	size_t capacity, first, count; /* capacity is a power of two */
};

static struct kernel *none_open(const struct kernel_config *config, char *error, size_t error_size)
{
	(void)config;
	struct none_kernel *none = calloc(1, sizeof(*none));
	if (!none || !spi_sequence_init(&none->spis)) {
		free(none);
		snprintf(error, error_size, "kernel interface \"none\": %s", strerror(errno));
		return NULL;
	}
	none->kernel.backend = &kernel_none_backend;
	return &none->kernel;
}

static void none_close(struct kernel *kernel)
{
	free(kernel);
}

static bool none_supports(
	const struct kernel *kernel, uint16_t encr, uint16_t key_bits, uint16_t integ, bool esn)
{
	(void)kernel;
	(void)esn;
	const struct algorithm *cipher = algorithm_by_id(TRANSFORM_ENCR, encr);
	if (!cipher || !cipher->esp_capable || !algorithm_has_key_bits(cipher, key_bits))
		return false;
	if (integ == INTEG_NONE)
		return cipher->aead;
	const struct algorithm *hash = algorithm_by_id(TRANSFORM_INTEG, integ);
	return hash && hash->esp_capable && !cipher->aead;
}

static bool none_supports_ah(const struct kernel *kernel, uint16_t integ, bool esn)
{
	(void)kernel;
	(void)esn;
	const struct algorithm *hash = algorithm_by_id(TRANSFORM_INTEG, integ);
	return hash && hash->id != INTEG_NONE && hash->esp_capable;
}

static unsigned none_abilities(const struct kernel *kernel)
{
	(void)kernel;
	return KERNEL_IPCOMP | KERNEL_TFC | KERNEL_BEET;
}

static struct kernel_channel *none_channel_open(
	struct kernel *kernel, const struct kernel_channel_config *config)
{
	struct none_channel *none = calloc(1, sizeof(*none));
	if (!none)
		return NULL;
	none->channel = (struct kernel_channel){&kernel_none_backend, kernel, *config};
	none->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	none->capacity = ANSWERS_FIRST;
	none->answers = calloc(none->capacity, sizeof(*none->answers));
	if (none->fd < 0 || !none->answers) {
		if (none->fd >= 0)
			close(none->fd);
		free(none->answers);
		free(none);
		return NULL;
	}
	return &none->channel;
}

static void none_channel_close(struct kernel_channel *channel)
{
	struct none_channel *none = (struct none_channel *)channel;
	close(none->fd);
	free(none->answers);
	free(none);
}

static int none_channel_fd(const struct kernel_channel *channel)
{
	return ((const struct none_channel *)channel)->fd;
}

static bool none_channel_sleep(struct kernel_channel *channel)
{
	return ((struct none_channel *)channel)->count == 0;
}

static void none_channel_poll(struct kernel_channel *channel)
{
	struct none_channel *none = (struct none_channel *)channel;
	/* Only what was there at the start: an answer that leads to a request must not keep us here. */
	for (size_t left = none->count; left > 0; left--) {
		struct ipsec_answer answer = none->answers[none->first];
		none->first = (none->first + 1) & (none->capacity - 1);
		none->count--;
		channel->config.on_answer(channel->config.arg, &answer);
	}
}

static bool none_grow(struct none_channel *none)
{
	size_t capacity = none->capacity * 2;
	struct ipsec_answer *answers = calloc(capacity, sizeof(*answers));
	if (!answers)
		return false;
	for (size_t i = 0; i < none->count; i++)
		answers[i] = none->answers[(none->first + i) & (none->capacity - 1)];
	free(none->answers);
	none->answers = answers;
	none->capacity = capacity;
	none->first = 0;
	return true;
}

static void none_channel_submit(struct kernel_channel *channel, const struct ipsec_request *request)
{
	struct none_channel *none = (struct none_channel *)channel;
	struct ipsec_answer answer = {.op = request->op, .token = request->token};
	answer.counters.idle_ms = UINT64_MAX;
	answer.counters.add_time = (uint64_t)time(NULL);
	if (request->op == IPSEC_SA_QUERY_ALL)
		answer.error = EOPNOTSUPP;
	if (request->op == IPSEC_SA_DELETE && request->sa.direction == IPSEC_INBOUND)
		kernel_channel_release_cpi(channel, request->sa.ipcomp_cpi);
	if (none->count == none->capacity && !none_grow(none)) {
		answer.error = ENOMEM;
		channel->config.on_answer(channel->config.arg, &answer);
		return;
	}
	none->answers[(none->first + none->count++) & (none->capacity - 1)] = answer;
}

static uint32_t none_channel_allocate_spi(struct kernel_channel *channel)
{
	return spi_sequence_next(&((struct none_kernel *)channel->kernel)->spis);
}

static void none_channel_release_spi(struct kernel_channel *channel, uint32_t spi)
{
	(void)channel;
	(void)spi;
}

static uint16_t none_channel_allocate_cpi(struct kernel_channel *channel)
{
	return cpi_set_take(&((struct none_kernel *)channel->kernel)->cpis);
}

static void none_channel_release_cpi(struct kernel_channel *channel, uint16_t cpi)
{
	cpi_set_give_back(&((struct none_kernel *)channel->kernel)->cpis, cpi);
}

static uint64_t none_channel_pending(const struct kernel_channel *channel)
{
	return ((const struct none_channel *)channel)->count;
}

const struct kernel_backend kernel_none_backend = {
	.name = "none",
	.open = none_open,
	.close = none_close,
	.supports = none_supports,
	.supports_ah = none_supports_ah,
	.abilities = none_abilities,
	.channel_open = none_channel_open,
	.channel_close = none_channel_close,
	.channel_fd = none_channel_fd,
	.channel_sleep = none_channel_sleep,
	.channel_poll = none_channel_poll,
	.channel_submit = none_channel_submit,
	.channel_allocate_spi = none_channel_allocate_spi,
	.channel_release_spi = none_channel_release_spi,
	.channel_allocate_cpi = none_channel_allocate_cpi,
	.channel_release_cpi = none_channel_release_cpi,
	.channel_pending = none_channel_pending,
};
