/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the host asks of the machine as a whole.
 */
#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/random.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/klog.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>
#include <time.h>
#include <unistd.h>

#include "agent/agent.h"
#include "base/buf.h"
#include "base/fd.h"
#include "base/str.h"

#define CPUS_MAX    64u /* CONFIG_NR_CPUS of guest/kernel.config */
#define ENTROPY_MAX 512u
#define LOG_READ    3 /* SYSLOG_ACTION_READ_ALL of syslog(2) */

uint64_t agent_clock_ns(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_BOOTTIME, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* ---- CPUs ----------------------------------------------------------------------------------- */

/* CPU 0 has no such file where it cannot be taken off line. */
static int set_online(unsigned int cpu, bool online)
{
	char path[64];
	int r;

	(void)snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu%u/online", cpu);
	r = fd_write_file(AT_FDCWD, path, online ? "1" : "0");
	return r == -ENOENT && (cpu == 0 || !online) ? 0 : r;
}

int machine_online(const struct agent_online *call, struct err *err)
{
	if (call->cpus == 0 || call->cpus > CPUS_MAX)
		return err_set(err, -EINVAL, "%u CPUs on line, where 1 to %u can be", call->cpus,
			       CPUS_MAX);
	for (unsigned int cpu = 0; cpu < CPUS_MAX; cpu++) {
		const int r = set_online(cpu, cpu < call->cpus);

		if (r < 0)
			return err_sys(err, r, "take CPU %u %s line", cpu,
				       cpu < call->cpus ? "on" : "off");
	}
	return 0;
}

/* ---- A clone's new self --------------------------------------------------------------------- */

static int add_entropy(const struct agent_bytes *entropy, struct err *err)
{
	struct {
		struct rand_pool_info info;
		unsigned char bytes[ENTROPY_MAX];
	} pool = { .info = { .entropy_count = (int)entropy->len * 8,
			     .buf_size = (int)entropy->len } };
	AUTO_CLOSE int fd = open("/dev/urandom", O_RDWR | O_CLOEXEC);

	if (entropy->len < 32 || entropy->len > ENTROPY_MAX)
		return err_set(err, -EINVAL, "%u bytes of entropy, where 32 to %u can be",
			       entropy->len, ENTROPY_MAX);
	if (fd < 0)
		return err_sys(err, -errno, "open /dev/urandom");
	memcpy(pool.info.buf, entropy->bytes, entropy->len);
	/* The pool alone would be used in five minutes: every clone would draw the same until
	 * then. */
	if (ioctl(fd, RNDADDENTROPY, &pool.info) < 0 || ioctl(fd, RNDRESEEDCRNG) < 0)
		return err_sys(err, -errno, "add entropy");
	return 0;
}

int machine_reset(const struct agent_reset *call, struct err *err)
{
	const struct timespec now = { .tv_sec = (time_t)(call->time_ns / 1000000000u),
				      .tv_nsec = (long)(call->time_ns % 1000000000u) };
	int r = add_entropy(&call->entropy, err);

	if (r == 0 && clock_settime(CLOCK_REALTIME, &now) < 0)
		r = err_sys(err, -errno, "set the time");
	if (r == 0 && call->hostname && *call->hostname &&
	    sethostname(call->hostname, strlen(call->hostname)) < 0)
		r = err_sys(err, -errno, "name the machine %s", call->hostname);
	return r;
}

/* ---- Looking inside ------------------------------------------------------------------------- */

static int copy_file(const char *path, struct buf *b, struct err *err)
{
	AUTO_BUF struct buf text = { .max = b->max };
	int r = fd_read_file(AT_FDCWD, path, &text);

	if (r == 0)
		r = buf_append(b, text.data ? text.data : "", text.len);
	return r < 0 ? err_sys(err, r, "read %s", path) : 0;
}

static int copy_log(struct buf *b, struct err *err)
{
	AUTO_FREE char *text = malloc(AGENT_DEBUG_MAX);
	const int n = text ? klogctl(LOG_READ, text, AGENT_DEBUG_MAX) : -1;

	if (n < 0)
		return err_sys(err, text ? -errno : -ENOMEM, "read the kernel's log");
	return buf_append(b, text, (size_t)n);
}

/* One line of /proc/PID/stat, and where in the kernel it waits. */
static void add_task(const char *pid, struct buf *b)
{
	AUTO_BUF struct buf stat = { .max = 4096 };
	AUTO_BUF struct buf place = { .max = 4096 };
	char path[300];

	(void)snprintf(path, sizeof(path), "/proc/%s/stat", pid);
	if (fd_read_file(AT_FDCWD, path, &stat) < 0 || !stat.data)
		return;
	(void)snprintf(path, sizeof(path), "/proc/%s/wchan", pid);
	(void)fd_read_file(AT_FDCWD, path, &place);
	stat.data[strcspn(stat.data, "\n")] = '\0';
	(void)buf_printf(b, "%s %s\n", place.data && *place.data ? place.data : "-", stat.data);
}

static int list_tasks(struct buf *b, struct err *err)
{
	DIR *dir = opendir("/proc");
	const struct dirent *e;

	if (!dir)
		return err_sys(err, -errno, "open /proc");
	while ((e = readdir(dir)) != NULL) {
		if (e->d_name[0] >= '0' && e->d_name[0] <= '9')
			add_task(e->d_name, b);
	}
	(void)closedir(dir);
	return 0;
}

static int list_metrics(const struct agent *a, struct buf *b, struct err *err)
{
	const struct list_head *at;
	struct sysinfo info;
	unsigned int processes = 0;

	if (sysinfo(&info) < 0)
		return err_sys(err, -errno, "sysinfo");
	for (at = a->processes.next; at != &a->processes; at = at->next)
		processes++;
	(void)buf_printf(b, "guest_init_ns %" PRIu64 "\n", a->kernel_ns);
	(void)buf_printf(b, "guest_uptime_ns %" PRIu64 "\n", agent_clock_ns());
	(void)buf_printf(b, "guest_memory_bytes %llu\n",
			 (unsigned long long)info.totalram * info.mem_unit);
	(void)buf_printf(b, "guest_memory_free_bytes %llu\n",
			 (unsigned long long)info.freeram * info.mem_unit);
	(void)buf_printf(b, "guest_tasks %u\n", (unsigned int)info.procs);
	(void)buf_printf(b, "guest_containers %u\n", a->containers_len);
	(void)buf_printf(b, "guest_processes %u\n", processes);
	return 0;
}

int machine_debug(const struct agent *a, const char *what, struct buf *b, struct err *err)
{
	int r;

	if (str_eq(what, "tasks"))
		r = list_tasks(b, err);
	else if (str_eq(what, "mounts"))
		r = copy_file("/proc/self/mountinfo", b, err);
	else if (str_eq(what, "dmesg"))
		r = copy_log(b, err);
	else if (str_eq(what, "metrics"))
		r = list_metrics(a, b, err);
	else
		r = err_set(err, -EINVAL, "debug: \"%.64s\" is not known", what);
	/* What is too long is cut. */
	return r == 0 && buf_error(b) && buf_error(b) != -E2BIG
		       ? err_sys(err, buf_error(b), "debug %s", what)
		       : r;
}
