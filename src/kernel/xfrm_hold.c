/* Settings of the kernel, of this network namespace, without which the packet that meets a trap is
 * lost. */
#include "xfrm.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"

#define LARVAL_DROP "/proc/sys/net/core/xfrm_larval_drop"
#define ACQ_EXPIRES "/proc/sys/net/core/xfrm_acq_expires"

static bool read_setting(const char *path, char *out, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd >= 0 ? read(fd, out, size - 1) : -1;

	if (fd >= 0)
		close(fd);
	out[n > 0 ? n : 0] = '\0';
	return n > 0;
}

static bool write_setting(const char *path, const char *value)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	bool ok = fd >= 0 && write(fd, value, strlen(value)) == (ssize_t)strlen(value);

	if (!ok)
		log_line(LOG_LINE_WARNING,
			"XFRM: cannot write %s: %s; packets that meet a trap are lost", path,
			strerror(errno));
	if (fd >= 0)
		close(fd);
	return ok;
}

void xfrm_hold_begin(struct xfrm_kernel *x)
{
	char value[16], before[sizeof(x->larval_drop)];

	if (__atomic_exchange_n(&x->holding, 1, __ATOMIC_RELAXED))
		return;
	if (x->acquire_expires_s) {
		snprintf(value, sizeof(value), "%u", x->acquire_expires_s);
		write_setting(ACQ_EXPIRES, value);
	}
	if (read_setting(LARVAL_DROP, before, sizeof(before)) && before[0] != '0' &&
		write_setting(LARVAL_DROP, "0"))
		memcpy(x->larval_drop, before, sizeof(before));
}

void xfrm_hold_end(struct xfrm_kernel *x)
{
	if (x->larval_drop[0])
		write_setting(LARVAL_DROP, x->larval_drop);
}
