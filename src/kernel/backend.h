/* What a backend brings: one table of functions, and the heads of its objects. Private to the room.
 */
#ifndef KERNEL_BACKEND_H
#define KERNEL_BACKEND_H

#include "kernel/kernel.h"

/* First members of each backend's own objects. */
struct kernel {
	const struct kernel_backend *backend;
};

struct kernel_channel {
	const struct kernel_backend *backend;
	struct kernel *kernel;
	struct kernel_channel_config config;
};

/* Contracts are those of the functions of kernel.h that have the same names. */
struct kernel_backend {
	const char *name;
	bool binds; /* see kernel_binds */
	struct kernel *(*open)(const struct kernel_config *config, char *error, size_t error_size);
	void (*close)(struct kernel *kernel);
	bool (*supports)(const struct kernel *kernel, uint16_t encr, uint16_t key_bits,
		uint16_t integ, bool esn);
	/* May be NULL, both: no AH, no abilities. */
	bool (*supports_ah)(const struct kernel *kernel, uint16_t integ, bool esn);
	unsigned (*abilities)(const struct kernel *kernel);
	/* May be NULL, all three: nothing to be left, counted, prepared. */
	void (*leave_state)(struct kernel *kernel);
	void (*stats)(const struct kernel *kernel, struct kernel_stats *out);
	bool (*prepare_socket)(const struct kernel *kernel, int fd, uint8_t family, bool nat);
	struct kernel_channel *(*channel_open)(
		struct kernel *kernel, const struct kernel_channel_config *config);
	void (*channel_close)(struct kernel_channel *channel);
	int (*channel_fd)(const struct kernel_channel *channel);
	bool (*channel_sleep)(struct kernel_channel *channel);
	void (*channel_poll)(struct kernel_channel *channel);
	void (*channel_submit)(struct kernel_channel *channel, const struct ipsec_request *request);
	uint32_t (*channel_allocate_spi)(struct kernel_channel *channel);
	void (*channel_release_spi)(struct kernel_channel *channel, uint32_t spi);
	/* Where KERNEL_IPCOMP is among the abilities. */
	uint16_t (*channel_allocate_cpi)(struct kernel_channel *channel);
	void (*channel_release_cpi)(struct kernel_channel *channel, uint16_t cpi);
	uint64_t (*channel_pending)(const struct kernel_channel *channel);
};

extern const struct kernel_backend kernel_none_backend;
extern const struct kernel_backend kernel_dpdk_backend;
extern const struct kernel_backend kernel_xfrm_backend;
extern const struct kernel_backend kernel_pfkey_backend;

#endif
