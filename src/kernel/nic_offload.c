#include "kernel/nic_offload.h"

#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define FEATURE      "esp-hw-offload"
#define FEATURES_MAX 1024

static bool ask(int fd, const char *interface, void *data)
{
	struct ifreq request = {.ifr_data = data};

	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", interface);
	return ioctl(fd, SIOCETHTOOL, &request) == 0;
}

static unsigned feature_count(int fd, const char *interface)
{
	union {
		struct ethtool_sset_info info;
		uint8_t bytes[sizeof(struct ethtool_sset_info) + sizeof(uint32_t)];
	} u = {.info = {.cmd = ETHTOOL_GSSET_INFO, .sset_mask = 1ull << ETH_SS_FEATURES}};
	uint32_t count;

	if (!ask(fd, interface, &u) || !u.info.sset_mask)
		return 0;
	memcpy(&count, u.bytes + sizeof(u.info), sizeof(count));
	return count <= FEATURES_MAX ? count : 0;
}

/* Its number among the features; -1: the kernel knows none of that name. */
static int feature_number(int fd, const char *interface, unsigned count)
{
	struct ethtool_gstrings *names =
		calloc(1, sizeof(*names) + (size_t)count * ETH_GSTRING_LEN);
	int found = -1;

	if (!names)
		return -1;
	names->cmd = ETHTOOL_GSTRINGS;
	names->string_set = ETH_SS_FEATURES;
	names->len = count;
	if (!ask(fd, interface, names))
		names->len = 0;
	for (unsigned i = 0; found < 0 && i < names->len && i < count; i++)
		if (strncmp((const char *)names->data + (size_t)i * ETH_GSTRING_LEN, FEATURE,
			    ETH_GSTRING_LEN) == 0)
			found = (int)i;
	free(names);
	return found;
}

static bool is_active(int fd, const char *interface, unsigned count, unsigned number)
{
	unsigned blocks = (count + 31) / 32;
	struct ethtool_gfeatures *f =
		calloc(1, sizeof(*f) + blocks * sizeof(struct ethtool_get_features_block));
	bool active;

	if (!f)
		return false;
	f->cmd = ETHTOOL_GFEATURES;
	f->size = blocks;
	active = ask(fd, interface, f) && number / 32 < f->size &&
		 (f->features[number / 32].active & 1u << number % 32);
	free(f);
	return active;
}

bool nic_offload_check(const char *interface, char *reason, unsigned reason_size)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), number;
	unsigned count = fd >= 0 ? feature_count(fd, interface) : 0;
	bool able;

	number = count ? feature_number(fd, interface, count) : -1;
	able = number >= 0 && is_active(fd, interface, count, (unsigned)number);
	if (fd >= 0)
		close(fd);
	if (!able)
		snprintf(reason, reason_size, "device %s does no ESP by itself (%s)", interface,
			number < 0 ? "the kernel tells of no " FEATURE : FEATURE " is off");
	return able;
}
