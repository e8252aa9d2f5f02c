/* The table of backends, and the way from the public calls to the one in use. */
#include <stdio.h>
#include <string.h>

#include "backend.h"

static const struct kernel_backend *const kernel_backends[] = {
	&kernel_dpdk_backend,
	&kernel_none_backend,
	&kernel_xfrm_backend,
	&kernel_pfkey_backend,
};

struct kernel *kernel_open(const struct kernel_config *config, char *error, size_t error_size)
{
	const char *name = config->backend ? config->backend : "";
	for (size_t i = 0; i < sizeof(kernel_backends) / sizeof(kernel_backends[0]); i++) {
		const struct kernel_backend *backend = kernel_backends[i];
		if (strcmp(backend->name, name) != 0)
			continue;
		return backend->open(config, error, error_size);
	}
	snprintf(error, error_size,
		"unknown kernel interface \"%s\": this build has dpdk, xfrm, pfkey and none", name);
	return NULL;
}

void kernel_close(struct kernel *kernel)
{
	if (kernel)
		kernel->backend->close(kernel);
}

const char *kernel_name(const struct kernel *kernel)
{
	return kernel->backend->name;
}

bool kernel_supports(
	const struct kernel *kernel, uint16_t encr, uint16_t key_bits, uint16_t integ, bool esn)
{
	return kernel->backend->supports(kernel, encr, key_bits, integ, esn);
}

bool kernel_binds(const struct kernel *kernel)
{
	return kernel->backend->binds;
}

bool kernel_supports_ah(const struct kernel *kernel, uint16_t integ, bool esn)
{
	return kernel->backend->supports_ah && kernel->backend->supports_ah(kernel, integ, esn);
}

unsigned kernel_abilities(const struct kernel *kernel)
{
	return kernel->backend->abilities ? kernel->backend->abilities(kernel) : 0;
}

void kernel_leave_state(struct kernel *kernel)
{
	if (kernel->backend->leave_state)
		kernel->backend->leave_state(kernel);
}

struct kernel_stats kernel_stats(const struct kernel *kernel)
{
	struct kernel_stats out = {0};

	if (kernel->backend->stats)
		kernel->backend->stats(kernel, &out);
	return out;
}

bool kernel_prepare_socket(const struct kernel *kernel, int fd, uint8_t family, bool nat)
{
	return !kernel->backend->prepare_socket ||
	       kernel->backend->prepare_socket(kernel, fd, family, nat);
}

struct kernel_channel *kernel_channel_open(
	struct kernel *kernel, const struct kernel_channel_config *config)
{
	return kernel->backend->channel_open(kernel, config);
}

void kernel_channel_close(struct kernel_channel *channel)
{
	if (channel)
		channel->backend->channel_close(channel);
}

int kernel_channel_fd(const struct kernel_channel *channel)
{
	return channel->backend->channel_fd(channel);
}

bool kernel_channel_sleep(struct kernel_channel *channel)
{
	return channel->backend->channel_sleep(channel);
}

void kernel_channel_poll(struct kernel_channel *channel)
{
	channel->backend->channel_poll(channel);
}

void kernel_channel_submit(struct kernel_channel *channel, const struct ipsec_request *request)
{
	channel->backend->channel_submit(channel, request);
}

uint32_t kernel_channel_allocate_spi(struct kernel_channel *channel)
{
	return channel->backend->channel_allocate_spi(channel);
}

void kernel_channel_release_spi(struct kernel_channel *channel, uint32_t spi)
{
	channel->backend->channel_release_spi(channel, spi);
}

uint16_t kernel_channel_allocate_cpi(struct kernel_channel *channel)
{
	return kernel_abilities(channel->kernel) & KERNEL_IPCOMP
		       ? channel->backend->channel_allocate_cpi(channel)
		       : 0;
}

void kernel_channel_release_cpi(struct kernel_channel *channel, uint16_t cpi)
{
	if (cpi)
		channel->backend->channel_release_cpi(channel, cpi);
}

uint64_t kernel_channel_pending(const struct kernel_channel *channel)
{
	return channel->backend->channel_pending(channel);
}
