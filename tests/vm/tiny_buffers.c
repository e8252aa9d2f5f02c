/* For LD_PRELOAD under pluto: its XFRM netlink sockets get the least receive buffer there is, and
 * it believes that they have the one it asked for. So answers and events are lost all the time. */
#include <dlfcn.h>
#include <errno.h>
#include <linux/netlink.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

typedef int (*get_option)(int, int, int, void *, socklen_t *);
typedef int (*set_option)(int, int, int, const void *, socklen_t);

#define ASKED_FOR (8 << 20)

static bool is_xfrm(int fd)
{
	get_option get = (get_option)dlsym(RTLD_NEXT, "getsockopt");
	int domain = 0, protocol = 0;
	socklen_t len = sizeof(int);

	return get(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) == 0 && domain == AF_NETLINK &&
	       get(fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &len) == 0 && protocol == NETLINK_XFRM;
}

int setsockopt(int fd, int level, int name, const void *value, socklen_t len)
{
	set_option set = (set_option)dlsym(RTLD_NEXT, "setsockopt");
	int least = 1;

	if (level == SOL_SOCKET && name == SO_RCVBUFFORCE && is_xfrm(fd))
		return set(fd, SOL_SOCKET, SO_RCVBUF, &least, sizeof(least));
	return set(fd, level, name, value, len);
}

int getsockopt(int fd, int level, int name, void *value, socklen_t *len)
{
	get_option get = (get_option)dlsym(RTLD_NEXT, "getsockopt");

	if (level == SOL_SOCKET && name == SO_RCVBUF && *len == sizeof(int) && is_xfrm(fd)) {
		*(int *)value = ASKED_FOR;
		return 0;
	}
	return get(fd, level, name, value, len);
}
