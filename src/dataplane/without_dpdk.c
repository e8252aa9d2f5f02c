/* The dataplane of a build without DPDK: it cannot be started, and says so. */
#include <stdio.h>

#include "dataplane/dataplane.h"

struct dataplane *dataplane_start(
	const struct dataplane_config *config, char *error, size_t error_size)
{
	(void)config;
	snprintf(
		error, error_size, "this build has no DPDK dataplane (meson setup -Ddpdk=enabled)");
	return NULL;
}

void dataplane_stop(struct dataplane *dp)
{
	(void)dp;
}

bool dataplane_submit(struct dataplane *dp, const struct dataplane_client *client,
	const struct ipsec_request *request)
{
	(void)dp;
	(void)client;
	(void)request;
	return false;
}

uint32_t dataplane_allocate_spi(struct dataplane *dp)
{
	(void)dp;
	return 0;
}

void dataplane_release_spi(struct dataplane *dp, uint32_t spi)
{
	(void)dp;
	(void)spi;
}

void dataplane_set_event_client(struct dataplane *dp, const struct dataplane_client *client)
{
	(void)dp;
	(void)client;
}

bool dataplane_supports(uint16_t encr, uint16_t key_bits, uint16_t integ, bool esn)
{
	(void)encr;
	(void)key_bits;
	(void)integ;
	(void)esn;
	return false;
}

struct dataplane_stats dataplane_stats(const struct dataplane *dp)
{
	(void)dp;
	return (struct dataplane_stats){0};
}

bool dataplane_stat_at(
	const struct dataplane_stats *stats, size_t i, const char **name, uint64_t *value)
{
	(void)stats;
	(void)i;
	(void)name;
	(void)value;
	return false;
}
