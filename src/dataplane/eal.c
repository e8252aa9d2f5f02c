/* DPDK's environment layer, kept from reaching beyond itself: no signals, no standard output, no
 * telemetry, no pinning of any thread but the one that calls. */
#include <dlfcn.h>
#include <errno.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_log.h>

#include "base/log.h"
#include "dp.h"

#define ARGS_MAX     24
#define HUGEPAGE_MB  2
#define CPU_LIST_MAX 2048

static bool started;

/* DPDK writes lines in pieces; each whole line becomes one of ours. */
static ssize_t log_write(void *cookie, const char *text, size_t len)
{
	static __thread char line[512];
	static __thread size_t used;
	(void)cookie;
	for (size_t i = 0; i < len; i++) {
		if (text[i] != '\n' && used < sizeof(line) - 1) {
			line[used++] = text[i];
			continue;
		}
		if (used > 0)
			log_line(LOG_LINE_WARNING, "dataplane: %.*s", (int)used, line);
		used = 0;
		if (text[i] != '\n')
			line[used++] = text[i];
	}
	return (ssize_t)len;
}

static bool log_to_ours(void)
{
	cookie_io_functions_t functions = {.write = log_write};
	FILE *stream = fopencookie(NULL, "w", functions);
	if (!stream)
		return false;
	setvbuf(stream, NULL, _IONBF, 0);
	rte_log_set_global_level(RTE_LOG_WARNING);
	return rte_openlog_stream(stream) == 0;
}

static int print_nothing(int level, const char *format, va_list arguments)
{
	(void)level;
	(void)format;
	(void)arguments;
	return 0;
}

/* The libraries beneath net_af_xdp write to standard error on their own account, about things that
 * are as they should be. They came with DPDK's driver, if at all, and are no dependency of ours. */
static void quiet_library(const char *library, const char *set_print)
{
	typedef int print_fn(int level, const char *format, va_list arguments);
	typedef print_fn *set_print_fn(print_fn * print);
	void *handle = dlopen(library, RTLD_NOW | RTLD_NOLOAD);
	if (!handle)
		return;
	set_print_fn *set = (set_print_fn *)dlsym(handle, set_print);
	if (set)
		set(print_nothing);
	dlclose(handle);
}

static unsigned hugepages_free_mb(void)
{
	unsigned pages = 0;
	FILE *f = fopen("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages", "re");
	if (f) {
		if (fscanf(f, "%u", &pages) != 1)
			pages = 0;
		fclose(f);
	}
	return pages * HUGEPAGE_MB;
}

/* "0@(0,1,5)": one EAL thread, the caller, free to run wherever the process may. */
static bool lcore_list(char *out, size_t size)
{
	cpu_set_t set;
	memset(&set, 0xff, sizeof(set));
	sched_setaffinity(0, sizeof(set), &set); /* the caller may have inherited somebody's pin */
	if (sched_getaffinity(0, sizeof(set), &set) != 0)
		return false;
	size_t used = (size_t)snprintf(out, size, "0@(");
	for (int cpu = 0; cpu < CPU_SETSIZE && used < size - 8; cpu++)
		if (CPU_ISSET(cpu, &set))
			used += (size_t)snprintf(out + used, size - used, "%d,", cpu);
	out[used - 1] = ')';
	return true;
}

bool eal_start(unsigned memory_mb, const char *file_prefix, char *error, size_t error_size)
{
	static char cpus[CPU_LIST_MAX], memory[16], prefix[80];
	static char *args[ARGS_MAX];
	int count = 0;
	if (!log_to_ours() || !lcore_list(cpus, sizeof(cpus))) {
		snprintf(error, error_size, "dataplane: cannot prepare DPDK: %s", strerror(errno));
		return false;
	}
	bool huge = hugepages_free_mb() >= memory_mb + memory_mb / 2;
	snprintf(memory, sizeof(memory), "%u", memory_mb);
	static char
		name[] = "pluto",
		no_pci[] = "--no-pci", in_memory[] = "--in-memory", no_files[] = "--no-shconf",
		no_huge[] = "--no-huge", no_telemetry[] = "--no-telemetry", lcores[] = "--lcores",
		m[] = "-m", level[] = "--log-level=warning",
		quiet[] = "--log-level=lib.eal:error", /* which sizes of hugepages there are not */
		iova[] = "--iova-mode=va";
	args[count++] = name;
	args[count++] = no_pci;
	args[count++] = no_telemetry;
	args[count++] = lcores;
	args[count++] = cpus;
	args[count++] = m;
	args[count++] = memory;
	args[count++] = level;
	args[count++] = quiet;
	args[count++] = iova;
	if (file_prefix) {
		snprintf(prefix, sizeof(prefix), "--file-prefix=%s", file_prefix);
		args[count++] = prefix;
	} else { /* DPDK refuses --in-memory without hugepages, where it leaves no file anyway */
		args[count++] = huge ? in_memory : no_files;
	}
	if (!huge)
		args[count++] = no_huge;
	/* EAL reads its arguments by getopt, whose state belongs to the whole process. */
	if (rte_eal_init(count, args) < 0) {
		snprintf(error, error_size, "dataplane: DPDK does not start with %u MB of %s: %s",
			memory_mb, huge ? "hugepages" : "ordinary memory", rte_strerror(rte_errno));
		return false;
	}
	started = true;
	quiet_library("libxdp.so.1", "libxdp_set_print");
	quiet_library("libbpf.so.1", "libbpf_set_print");
	return true;
}

void eal_stop(void)
{
	if (started)
		rte_eal_cleanup();
	started = false;
}
