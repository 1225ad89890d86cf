/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AGENT_PS: the processes of a container's cgroup, with numbers of the machine's first pid
 * namespace.
 */
#include "agent/ps.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "agent/container.h"
#include "base/buf.h"
#include "base/fd.h"

#define TICK_NS 10000000u /* USER_HZ is 100 on every architecture that we build for */

int ps_parse_stat(const char *text, struct sentry_ps *ret)
{
	const char *open = strchr(text, '('), *close = strrchr(text, ')');
	uint64_t user, system, start;
	int pid, ppid, threads;
	char state;
	size_t len;

	if (!open || !close || close < open || sscanf(text, "%d", &pid) != 1)
		return -EINVAL;
	/* state ppid, 9 more, utime stime, 4 more of which the last two are priority and nice,
	 * num_threads itrealvalue starttime */
	if (sscanf(close + 1,
		   " %c %d %*d %*d %*d %*d %*u %*u %*u %*u %*u %" SCNu64 " %" SCNu64
		   " %*d %*d %*d %*d %d %*d %" SCNu64,
		   &state, &ppid, &user, &system, &threads, &start) != 6)
		return -EINVAL;
	len = (size_t)(close - open - 1);
	if (len >= sizeof(ret->comm))
		len = sizeof(ret->comm) - 1;
	memset(ret->comm, 0, sizeof(ret->comm));
	memcpy(ret->comm, open + 1, len);
	ret->pid = pid;
	ret->ppid = ppid;
	ret->threads = threads > 0 ? (uint32_t)threads : 1;
	/* Idle, dead and traced are not among the wire's letters. */
	ret->state = strchr("RSDTZ", state) ? state : state == 't' ? 'T' : state == 'X' ? 'Z' : 'S';
	ret->cpu_ns = (user + system) * TICK_NS;
	ret->start_ns = start * TICK_NS;
	return 0;
}

void ps_take_command(const char *bytes, size_t len, struct sentry_ps *ret)
{
	memset(ret->command, 0, sizeof(ret->command));
	while (len > 0 && !bytes[len - 1])
		len--;
	if (len == 0) {
		(void)snprintf(ret->command, sizeof(ret->command), "[%s]", ret->comm);
		return;
	}
	if (len >= sizeof(ret->command))
		len = sizeof(ret->command) - 1;
	for (size_t i = 0; i < len; i++)
		ret->command[i] = bytes[i] ? bytes[i] : ' ';
}

static uint64_t boot_ns(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec - agent_clock_ns();
}

/* False: it has ended meanwhile. */
static bool look_at(pid_t pid, struct sentry_ps *ret)
{
	AUTO_BUF struct buf stat_text = { .max = 4096 };
	AUTO_BUF struct buf command = { .max = 1u << 20 };
	AUTO_CLOSE int dir = -EBADF;
	char path[32];
	struct stat st;

	(void)snprintf(path, sizeof(path), "/proc/%d", (int)pid);
	dir = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0 || fstat(dir, &st) < 0 || fd_read_file(dir, "stat", &stat_text) < 0 ||
	    !stat_text.data || ps_parse_stat(stat_text.data, ret) < 0)
		return false;
	(void)fd_read_file(dir, "cmdline", &command);
	ps_take_command(command.data ? command.data : "", command.len, ret);
	ret->uid = st.st_uid;
	return true;
}

int container_ps(const struct container *c, struct sentry_ps **ret, uint32_t *ret_len,
		 struct err *err)
{
	AUTO_FREE pid_t *pids = NULL;
	const uint64_t boot = boot_ns();
	struct sentry_ps *items;
	size_t len = 0;
	uint32_t n = 0;
	int r = cgroup_pids(c->cgroup, true, &pids, &len, err);

	if (r < 0)
		return r;
	if (len > AGENT_PROCESSES_MAX)
		len = AGENT_PROCESSES_MAX;
	items = calloc(len ? len : 1, sizeof(*items));
	if (!items)
		return err_sys(err, -ENOMEM, "processes of container %s", c->id);
	for (size_t i = 0; i < len; i++) {
		if (look_at(pids[i], &items[n]))
			items[n++].start_ns += boot;
	}
	*ret = items;
	*ret_len = n;
	return 0;
}
