/* Preloaded into a peer's daemon on a machine whose kernel has no ESP: its NETLINK_XFRM sockets
 * speak to this file, which says yes to every SA and policy and installs nothing. So a peer's IKE
 * can be measured with all its own work, without the kernel's share; it corresponds to pluto's
 * --use-none. The peer still pays for its system calls: one write and one read of a socket a
 * request, as with netlink. */
#include <dlfcn.h>
#include <errno.h>
#include <linux/netlink.h>
#include <linux/xfrm.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#define EXPORT   __attribute__((visibility("default")))
#define FD_MAX   1024
#define DATA_MAX 4096

/* The other end of each of the daemon's XFRM sockets, + 1; 0: not one of them. */
static int other_end[FD_MAX];
static uint32_t spis_given;

static void *real(const char *name)
{
	void *found = dlsym(RTLD_NEXT, name);

	if (!found)
		_exit(127);
	return found;
}
/* The C library's function, looked up once; racing threads find the same. */
#define REAL(result, name, ...)                                                                    \
	static result (*real_##name)(__VA_ARGS__);                                                 \
	if (!real_##name)                                                                          \
	real_##name = (result(*)(__VA_ARGS__))real(#name)

static int answering(int fd)
{
	return fd >= 0 && fd < FD_MAX ? __atomic_load_n(&other_end[fd], __ATOMIC_ACQUIRE) : 0;
}

/* ---- answers ----------------------------------------------------------------------- */

union message {
	struct nlmsghdr header;
	uint8_t bytes[DATA_MAX];
};

static void reply(int fd, const struct nlmsghdr *to, uint16_t type, const void *body, size_t len)
{
	REAL(ssize_t, send, int, const void *, size_t, int);
	union message m = {.header = {.nlmsg_len = NLMSG_LENGTH(len),
				   .nlmsg_type = type,
				   .nlmsg_seq = to->nlmsg_seq,
				   .nlmsg_pid = to->nlmsg_pid}};

	memcpy(NLMSG_DATA(&m.header), body, len);
	(void)real_send(fd, m.bytes, m.header.nlmsg_len, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void acknowledge(int fd, const struct nlmsghdr *to, int error)
{
	struct nlmsgerr e = {.error = -error, .msg = *to};

	reply(fd, to, NLMSG_ERROR, &e, sizeof(e));
}

static void give_spi(int fd, const struct nlmsghdr *request)
{
	struct xfrm_userspi_info info;
	uint32_t count = __atomic_fetch_add(&spis_given, 1, __ATOMIC_RELAXED);

	memcpy(&info, request + 1, sizeof(info));
	info.info.id.spi =
		htobe32(info.min + (uint32_t)(count % ((uint64_t)info.max - info.min + 1)));
	reply(fd, request, XFRM_MSG_NEWSA, &info.info, sizeof(info.info));
}

static void show_sa(int fd, const struct nlmsghdr *request)
{
	struct xfrm_usersa_id asked;
	struct xfrm_usersa_info info = {0};

	memcpy(&asked, request + 1, sizeof(asked));
	info.id.daddr = asked.daddr;
	info.id.spi = asked.spi;
	info.id.proto = asked.proto;
	info.family = asked.family;
	reply(fd, request, XFRM_MSG_NEWSA, &info, sizeof(info));
}

static void answer(int fd, const struct nlmsghdr *request)
{
	size_t body = request->nlmsg_len - NLMSG_HDRLEN;

	switch (request->nlmsg_type) {
	case XFRM_MSG_ALLOCSPI:
		if (body >= sizeof(struct xfrm_userspi_info))
			give_spi(fd, request);
		break;
	case XFRM_MSG_GETSA:
		if (body >= sizeof(struct xfrm_usersa_id))
			show_sa(fd, request);
		break;
	case XFRM_MSG_GETPOLICY:
	case XFRM_MSG_GETSADINFO:
	case XFRM_MSG_GETSPDINFO:
		acknowledge(fd, request, ENOENT);
		break;
	default: /* add, update, delete, flush */
		if (request->nlmsg_flags & NLM_F_ACK)
			acknowledge(fd, request, 0);
	}
}

static ssize_t take(int fd, const void *data, size_t len)
{
	union message m;

	if (len < NLMSG_HDRLEN || len > sizeof(m)) {
		errno = EMSGSIZE;
		return -1;
	}
	memcpy(m.bytes, data, len);
	if (NLMSG_OK(&m.header, len))
		answer(fd, &m.header);
	return (ssize_t)len;
}

/* ---- the C library's functions ----------------------------------------------------- */

EXPORT int socket(int domain, int type, int protocol)
{
	REAL(int, socket, int, int, int);
	int pair[2];

	if (domain != AF_NETLINK || protocol != NETLINK_XFRM)
		return real_socket(domain, type, protocol);
	if (socketpair(AF_UNIX, SOCK_DGRAM | (type & (SOCK_CLOEXEC | SOCK_NONBLOCK)), 0, pair))
		return -1;
	if (pair[0] >= FD_MAX) {
		close(pair[0]);
		close(pair[1]);
		errno = EMFILE;
		return -1;
	}
	__atomic_store_n(&other_end[pair[0]], pair[1] + 1, __ATOMIC_RELEASE);
	return pair[0];
}

EXPORT int close(int fd)
{
	REAL(int, close, int);
	int other = answering(fd);

	if (other) {
		__atomic_store_n(&other_end[fd], 0, __ATOMIC_RELEASE);
		real_close(other - 1);
	}
	return real_close(fd);
}

EXPORT int bind(int fd, const struct sockaddr *address, socklen_t len)
{
	REAL(int, bind, int, const struct sockaddr *, socklen_t);

	return answering(fd) ? 0 : real_bind(fd, address, len);
}

EXPORT int setsockopt(int fd, int level, int option, const void *value, socklen_t len)
{
	REAL(int, setsockopt, int, int, int, const void *, socklen_t);

	return answering(fd) ? 0 : real_setsockopt(fd, level, option, value, len);
}

EXPORT ssize_t write(int fd, const void *data, size_t len)
{
	REAL(ssize_t, write, int, const void *, size_t);
	int other = answering(fd);

	return other ? take(other - 1, data, len) : real_write(fd, data, len);
}

EXPORT ssize_t send(int fd, const void *data, size_t len, int flags)
{
	REAL(ssize_t, send, int, const void *, size_t, int);
	int other = answering(fd);

	return other ? take(other - 1, data, len) : real_send(fd, data, len, flags);
}

EXPORT ssize_t sendto(int fd, const void *data, size_t len, int flags,
	const struct sockaddr *address, socklen_t address_len)
{
	REAL(ssize_t, sendto, int, const void *, size_t, int, const struct sockaddr *, socklen_t);
	int other = answering(fd);

	return other ? take(other - 1, data, len)
		     : real_sendto(fd, data, len, flags, address, address_len);
}

EXPORT ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
	REAL(ssize_t, sendmsg, int, const struct msghdr *, int);
	int other = answering(fd);

	if (!other)
		return real_sendmsg(fd, message, flags);
	if (message->msg_iovlen != 1) {
		errno = EINVAL;
		return -1;
	}
	return take(other - 1, message->msg_iov[0].iov_base, message->msg_iov[0].iov_len);
}

/* It came from the kernel, as far as the daemon can see. */
static void name_kernel(void *address, socklen_t *len)
{
	struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};

	if (!address || !len)
		return;
	memcpy(address, &kernel, *len < sizeof(kernel) ? *len : sizeof(kernel));
	*len = sizeof(kernel);
}

EXPORT ssize_t recvfrom(int fd, void *restrict data, size_t len, int flags,
	struct sockaddr *restrict address, socklen_t *restrict address_len)
{
	REAL(ssize_t, recvfrom, int, void *, size_t, int, struct sockaddr *, socklen_t *);
	ssize_t n;

	if (!answering(fd))
		return real_recvfrom(fd, data, len, flags, address, address_len);
	n = real_recvfrom(fd, data, len, flags, NULL, NULL);
	if (n >= 0)
		name_kernel(address, address_len);
	return n;
}

EXPORT ssize_t __recvfrom_chk(int fd, void *restrict data, size_t len, size_t size, int flags,
	struct sockaddr *restrict address, socklen_t *restrict address_len);
EXPORT ssize_t __recvfrom_chk(int fd, void *restrict data, size_t len, size_t size, int flags,
	struct sockaddr *restrict address, socklen_t *restrict address_len)
{
	return recvfrom(fd, data, len < size ? len : size, flags, address, address_len);
}

EXPORT ssize_t recvmsg(int fd, struct msghdr *message, int flags)
{
	REAL(ssize_t, recvmsg, int, struct msghdr *, int);
	ssize_t n = real_recvmsg(fd, message, flags);

	if (n >= 0 && answering(fd))
		name_kernel(message->msg_name, &message->msg_namelen);
	return n;
}
