/* Can a network device do ESP by itself (ETHTOOL's "esp-hw-offload")? Control thread; one ioctl or
 * three. */
#ifndef KERNEL_NIC_OFFLOAD_H
#define KERNEL_NIC_OFFLOAD_H

#include <stdbool.h>

/* True: it can, and that is switched on. Else the reason in words. */
bool nic_offload_check(const char *interface, char *reason, unsigned reason_size);

#endif
