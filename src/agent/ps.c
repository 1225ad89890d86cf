/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AGENT_PS: the processes of a container's cgroup, with numbers of the machine's first pid
 * namespace.
 */
#include "agent/ps.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>

#include "agent/container.h"
#include "agent/worker.h"
#include "base/buf.h"
#include "base/fd.h"

/* So long the commands are waited for; the host waits five seconds for all (vmm/vm.h). */
#define COMMANDS_MS 1000
#define TICK_NS	    10000000u /* USER_HZ is 100 on every architecture that we build for */

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

/*
 * What a worker and we share: it adds the commands, which are read from the processes' memory and
 * may lie in a slow file, while we can answer with what is there. The last byte of a command is
 * never written.
 */
struct listing {
	struct agent *agent;
	uint32_t serial;
	struct sentry_ps *items; /* owned, shared memory of `size` bytes */
	size_t size;
	uint32_t len;
	struct loop_source *late; /* owned */
};

static void listing_free(struct listing *l)
{
	if (!l)
		return;
	loop_remove(l->late);
	if (l->items)
		(void)munmap(l->items, l->size);
	free(l);
}
DEFINE_AUTO(struct listing *, listing_free);

/* All but the command, which nothing holds up. False: it has ended meanwhile. */
static bool look_at(pid_t pid, struct sentry_ps *ret)
{
	AUTO_BUF struct buf stat_text = { .max = 4096 };
	AUTO_CLOSE int dir = -EBADF;
	char path[32];
	struct stat st;

	(void)snprintf(path, sizeof(path), "/proc/%d", (int)pid);
	dir = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0 || fstat(dir, &st) < 0 || fd_read_file(dir, "stat", &stat_text) < 0 ||
	    !stat_text.data || ps_parse_stat(stat_text.data, ret) < 0)
		return false;
	ps_take_command("", 0, ret);
	ret->uid = st.st_uid;
	return true;
}

static int run_commands(struct worker *w, void *arg, struct err *err)
{
	const struct listing *l = arg;

	(void)w;
	(void)err;
	for (uint32_t i = 0; i < l->len; i++) {
		AUTO_BUF struct buf command = { .max = 1u << 20 };
		char path[32];

		(void)snprintf(path, sizeof(path), "/proc/%d/cmdline", (int)l->items[i].pid);
		if (fd_read_file(AT_FDCWD, path, &command) == 0 && command.data)
			ps_take_command(command.data, command.len, &l->items[i]);
	}
	return 0;
}

static void answer(struct listing *l)
{
	const struct agent_processes list = { .items = l->items, .len = l->len };

	agent_answer(l->agent, l->serial, AGENT_PS, 0, &list, NULL);
	listing_free(l);
}

static void commands_done(void *owner, const struct err *result)
{
	(void)result;
	answer(owner);
}

static void on_late(void *arg)
{
	const struct listing *l = arg;

	worker_cancel(l->agent, AGENT_PS, l->serial);
}

static int list_all(const struct container *c, struct listing *l, struct err *err)
{
	AUTO_FREE pid_t *pids = NULL;
	const uint64_t boot = boot_ns();
	size_t len = 0;
	void *shared;
	int r = cgroup_pids(c->cgroup, true, &pids, &len, err);

	if (r < 0)
		return r;
	if (len > AGENT_PROCESSES_MAX)
		len = AGENT_PROCESSES_MAX;
	l->size = (len + 1) * sizeof(*l->items);
	shared = mmap(NULL, l->size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		return err_sys(err, -errno, "processes of container %s", c->id);
	l->items = shared;
	for (size_t i = 0; i < len; i++) {
		if (look_at(pids[i], &l->items[l->len]))
			l->items[l->len++].start_ns += boot;
	}
	return 0;
}

int container_ps(struct container *c, uint32_t serial, struct err *err)
{
	AUTO(listing_free_p) struct listing *l = calloc(1, sizeof(*l));
	const struct worker_job job = { .call = AGENT_PS,
					.serial = serial,
					.container = c,
					.run = run_commands,
					.arg = l,
					.done = commands_done,
					.owner = l };
	struct err ignored = { 0 };
	int r;

	if (!l)
		return err_sys(err, -ENOMEM, "processes of container %s", c->id);
	l->agent = c->agent;
	l->serial = serial;
	r = list_all(c, l, err);
	if (r < 0)
		return r;
	r = loop_add_timer(c->agent->loop, COMMANDS_MS, on_late, l, &l->late);
	/* Without a worker they have no commands, but names. */
	if (r < 0 || worker_start(c->agent, &job, &ignored) < 0)
		answer(l);
	(void)TAKE_PTR(l);
	return 1;
}
