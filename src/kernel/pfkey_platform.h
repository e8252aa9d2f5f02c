/* What differs between the kernels that speak PF_KEYv2 (RFC 2367) with KAME's policies: Linux's
 * af_key, FreeBSD and NetBSD. All else of the backend is one source. Only Linux's could be tried:
 * what stands here for the others was read from their headers and manual pages. Private to the
 * room. */
#ifndef KERNEL_PFKEY_PLATFORM_H
#define KERNEL_PFKEY_PLATFORM_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#ifdef __linux__

#include <linux/ipsec.h>
#include <linux/pfkeyv2.h>
#include <linux/sock_diag.h>
#include <linux/udp.h>

#define PFKEY_DIR_FORWARD   IPSEC_DIR_FWD

#define PFKEY_AALG_SHA2_256 SADB_X_AALG_SHA2_256HMAC
#define PFKEY_AALG_SHA2_384 SADB_X_AALG_SHA2_384HMAC
#define PFKEY_AALG_SHA2_512 SADB_X_AALG_SHA2_512HMAC
/* HMAC-SHA-256 is cut to 96 bits here, as a draft of RFC 4868 had it: no peer's of today. */
#define PFKEY_SHA2_256_USABLE 0

/* The window is said in packets, and more than this is not taken. */
#define PFKEY_WINDOW_MAX        32
#define PFKEY_WINDOW_SAID(size) (size)

/* An SA carries the family of its own end points unless a proxy address says another. */
#define PFKEY_INNER_BY_PROXY                   1

#define PFKEY_FLAG_DECAP_DSCP                  SADB_SAFLAGS_DECAP_DSCP
#define PFKEY_FLAG_NO_PMTU                     SADB_SAFLAGS_NOPMTUDISC

#define PFKEY_POLICY_HAS_PRIORITY              1
#define pfkey_policy_priority(policy)          ((policy)->sadb_x_policy_priority)
#define pfkey_policy_set_priority(policy, v)   ((policy)->sadb_x_policy_priority = (v))
#define pfkey_set_sockaddr_len(address, value) ((void)(value))

/* Bytes that wait in a socket's receive queue, as the kernel counts them against the buffer. */
static inline uint32_t pfkey_queued(int fd)
{
	uint32_t info[SK_MEMINFO_VARS] = {0};
	socklen_t len = sizeof(info);

	return getsockopt(fd, SOL_SOCKET, SO_MEMINFO, info, &len) == 0 ? info[SK_MEMINFO_RMEM_ALLOC]
								       : UINT32_MAX;
}

static inline bool pfkey_widen_queue(int fd, int bytes)
{
	return setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes)) == 0 ||
	       setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes)) == 0;
}

#else /* the BSDs */

#include <net/pfkeyv2.h>
#include <netinet/udp.h>
#include <netipsec/ipsec.h>

/* What passes through the host is inbound, then outbound. */
#define PFKEY_DIR_FORWARD       0

#define PFKEY_AALG_SHA2_256     SADB_X_AALG_SHA2_256
#define PFKEY_AALG_SHA2_384     SADB_X_AALG_SHA2_384
#define PFKEY_AALG_SHA2_512     SADB_X_AALG_SHA2_512
#define PFKEY_SHA2_256_USABLE   1

/* In bytes of the bitmap. */
#define PFKEY_WINDOW_MAX        (255 * 8)
#define PFKEY_WINDOW_SAID(size) (((size) + 7) / 8)

#define PFKEY_INNER_BY_PROXY    0

#define PFKEY_FLAG_DECAP_DSCP   0
#define PFKEY_FLAG_NO_PMTU      0

#ifdef __FreeBSD__
#define PFKEY_POLICY_HAS_PRIORITY            1
#define pfkey_policy_priority(policy)        ((policy)->sadb_x_policy_priority)
#define pfkey_policy_set_priority(policy, v) ((policy)->sadb_x_policy_priority = (v))
#else
#define PFKEY_POLICY_HAS_PRIORITY            0
#define pfkey_policy_priority(policy)        0
#define pfkey_policy_set_priority(policy, v) ((void)(v))
#endif
#define pfkey_set_sockaddr_len(address, value) ((address)->sa_len = (uint8_t)(value))

static inline uint32_t pfkey_queued(int fd)
{
	int bytes;

	return ioctl(fd, FIONREAD, &bytes) == 0 ? (uint32_t)bytes : UINT32_MAX;
}

static inline bool pfkey_widen_queue(int fd, int bytes)
{
	/* More than the system's limit is refused, not cut. */
	for (; bytes >= 65536; bytes /= 2)
		if (setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes)) == 0)
			return true;
	return false;
}

#endif

/* Larger request IDs are replaced by the kernel's own choice, one for each policy. */
#define PFKEY_REQID_MAX IPSEC_MANUAL_REQID_MAX

#endif
