/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/fs/proc/sysinfo.c - the machine that the guest sees.
 */
#include "sentry/fs/proc/sysinfo.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <sys/sysinfo.h>

#include "base/buf.h"
#include "base/fd.h"
#include "sentry/core/kclock.h"
#include "sentry/task/task.h"

#define CPUINFO_MAX (8u << 20) /* bytes of the host's /proc/cpuinfo */

static struct sandbox_info the_info = {
	.memory_limit = 2ull << 30,
	.cpus = 1,
	.cpuinfo = "vendor_id\t: unknown\n",
};

void sysinfo_set(const struct sandbox_info *info)
{
	the_info = *info;
	if (the_info.cpus == 0)
		the_info.cpus = 1;
	if (the_info.cpus > SANDBOX_CPUS_MAX)
		the_info.cpus = SANDBOX_CPUS_MAX;
	if (!the_info.cpuinfo)
		the_info.cpuinfo = "";
}

const struct sandbox_info *sysinfo_get(void)
{
	return &the_info;
}

/* Of the processes that there are, and of those that they have waited for. */
static void add_cpu_times(struct sandbox_usage *ret)
{
	const struct task *t = task_current();
	struct pid_ns *ns = t ? task_pid_ns(t) : NULL;
	int nr = 1;

	while (ns && pid_ns_parent(ns))
		ns = pid_ns_parent(ns);
	for (struct pid *p = ns ? pid_next(ns, nr) : NULL; p; p = pid_next(ns, nr)) {
		uint64_t user, system;

		nr = pid_nr(p, ns) + 1;
		if (!p->tg)
			continue;
		thread_group_cpu_ns(p->tg, &user, &system);
		ret->cpu_user_ns += user + p->tg->cutime_ns;
		ret->cpu_system_ns += system + p->tg->cstime_ns;
	}
}

void sysinfo_usage(struct sandbox_usage *ret)
{
	*ret = (struct sandbox_usage){ 0 };
	if (the_info.usage)
		the_info.usage(ret);
	if (ret->cpu_user_ns == 0 && ret->cpu_system_ns == 0)
		add_cpu_times(ret);
	if (ret->memory > the_info.memory_limit)
		ret->memory = the_info.memory_limit;
	if (ret->anon > ret->memory)
		ret->anon = ret->memory;
	if (ret->shmem > ret->memory - ret->anon)
		ret->shmem = ret->memory - ret->anon;
}

/* Lines whose values differ between processors are made by proc for each of them. */
static bool is_per_cpu(const char *line)
{
	static const char *const keys[] = { "processor\t",     "physical id\t", "siblings\t",
					    "core id\t",       "cpu cores\t",	"apicid\t",
					    "initial apicid\t" };

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		if (!strncmp(line, keys[i], strlen(keys[i])))
			return true;
	return false;
}

/* The first processor's lines; the text lives as long as the program. */
static int first_processor(const char *text, const char **ret)
{
	struct buf block = { 0 };

	while (*text && *text != '\n') {
		const size_t len = strcspn(text, "\n");

		if (!is_per_cpu(text)) {
			(void)buf_append(&block, text, len);
			(void)buf_puts(&block, "\n");
		}
		text += len + (text[len] == '\n');
	}
	if (buf_error(&block) || !block.data) {
		buf_done(&block);
		return -ENOMEM;
	}
	*ret = block.data;
	return 0;
}

int sysinfo_from_host(int proc_fd, struct sandbox_info *ret)
{
	struct sandbox_info info = { .cpu_period_us = 100000 };
	AUTO_BUF struct buf text = { .max = CPUINFO_MAX };
	struct sysinfo host;
	cpu_set_t cpus;

	if (sysinfo(&host) < 0)
		return -errno;
	info.memory_limit = (uint64_t)host.totalram * host.mem_unit;
	info.cpus = 1;
	if (sched_getaffinity(0, sizeof(cpus), &cpus) == 0)
		info.cpus = (unsigned int)CPU_COUNT(&cpus);
	info.cpuinfo = "";
	if (fd_read_file(proc_fd, "cpuinfo", &text) >= 0 && text.data &&
	    first_processor(text.data, &info.cpuinfo) < 0)
		return -ENOMEM;
	info.boot_monotonic = kclock_monotonic();
	info.boot_realtime = kclock_realtime();
	*ret = info;
	return 0;
}
