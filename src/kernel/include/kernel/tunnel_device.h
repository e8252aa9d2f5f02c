/* The network devices that connections have in the Linux kernel: xfrm interfaces and VTI. Made when
 * the first user comes, removed when the last one goes; one that was there already is used and
 * left. What is removed by somebody else is made again. Control thread; calls may block for
 * milliseconds (netlink, a module that is loaded). */
#ifndef KERNEL_TUNNEL_DEVICE_H
#define KERNEL_TUNNEL_DEVICE_H

#include "base/address.h"

#define TUNNEL_DEVICE_NAME_MAX 16 /* with its NUL */

enum tunnel_device_kind { TUNNEL_DEVICE_XFRM, TUNNEL_DEVICE_VTI };

struct tunnel_device {
	enum tunnel_device_kind kind;
	char name[TUNNEL_DEVICE_NAME_MAX];
	uint32_t interface_id;           /* TUNNEL_DEVICE_XFRM */
	struct ip_address local, remote; /* TUNNEL_DEVICE_VTI: of the tunnel; remote unset: any */
	uint32_t key_in, key_out;        /* TUNNEL_DEVICE_VTI: the marks */
	bool shared;                     /* TUNNEL_DEVICE_VTI: may others use it, too? */
	bool must_exist;                 /* it is not to be made */
	uint32_t mtu;                    /* 0: the kernel's choice */
	struct ip_address address;       /* of the device; unset: none */
	uint8_t prefix_len;
	const struct ip_subnet
		*routes; /* that lead into the device, as long as the user is there; copied */
	unsigned route_count;
};

struct tunnel_devices;

/* Finds what an earlier run has left. NULL with errno. */
struct tunnel_devices *tunnel_devices_open(void);
/* Removes what was made here, unless `keep`. NULL is allowed. */
void tunnel_devices_close(struct tunnel_devices *devices, bool keep);
/* `user` (not 0) uses it from now on, with its address and routes; again: nothing happens. False
 * with the reason: the user has none then. */
bool tunnel_device_hold(struct tunnel_devices *devices, uint64_t user,
	const struct tunnel_device *wanted, char *error, size_t error_size);
/* Its device goes with the next tunnel_devices_tidy, if nobody has come until then. */
void tunnel_device_release(struct tunnel_devices *devices, uint64_t user);
void tunnel_devices_tidy(struct tunnel_devices *devices);
/* Is it one of those in use? */
bool tunnel_devices_has(const struct tunnel_devices *devices, const char *name);
/* A device of this name has come, changed or (`gone`) left. */
void tunnel_devices_link(struct tunnel_devices *devices, const char *name, bool gone);
/* Anything may have happened to any of them. */
void tunnel_devices_check(struct tunnel_devices *devices);

#endif
