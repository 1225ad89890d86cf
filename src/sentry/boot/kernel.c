/* SPDX-License-Identifier: Apache-2.0 */
#include "sentry/boot/kernel.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "sentry/boot/usage.h"
#include "sentry/core/hostfd.h"
#include "sentry/core/hostwork.h"
#include "sentry/core/klog.h"
#include "sentry/core/kloop.h"
#include "sentry/fs/cgroup/cgroup.h"
#include "sentry/fs/devpts/devpts.h"
#include "sentry/fs/devtmpfs/devtmpfs.h"
#include "sentry/fs/goferfs/goferfs.h"
#include "sentry/fs/mqueue/mqueue.h"
#include "sentry/fs/overlay/overlay.h"
#include "sentry/fs/proc/proc.h"
#include "sentry/fs/proc/sysinfo.h"
#include "sentry/fs/sysfs/sysfs.h"
#include "sentry/fs/tmpfs/tmpfs.h"
#include "sentry/mem/memfile.h"
#include "sentry/net/net_ns.h"
#include "sentry/platform/platform.h"
#include "sentry/platform/systrap/systrap.h"
#include "sentry/syscall/event.h"
#include "sentry/syscall/observe.h"
#include "sentry/syscall/syscall.h"
#include "sentry/task/run.h"

static struct sandbox_info machine; /* the host's, without limits */

void kernel_limit(const struct sentry_limits *limits, struct sandbox_info *info)
{
	if (limits->memory < info->memory_limit)
		info->memory_limit = limits->memory;
	if (limits->swap != UINT64_MAX && limits->swap >= info->memory_limit &&
	    limits->swap - info->memory_limit < info->swap_limit)
		info->swap_limit = limits->swap - info->memory_limit;
	if (limits->cpu_quota_us != UINT64_MAX && limits->cpu_period_us > 0 &&
	    limits->cpu_period_us != UINT64_MAX) {
		const uint64_t cpus =
			(limits->cpu_quota_us + limits->cpu_period_us - 1) / limits->cpu_period_us;

		info->cpu_quota_us = limits->cpu_quota_us;
		info->cpu_period_us = limits->cpu_period_us;
		if (cpus > 0 && cpus < info->cpus)
			info->cpus = (unsigned int)cpus;
	}
	info->pids_limit = limits->pids == UINT64_MAX ? 0 : limits->pids;
}

int kernel_set_limits(const struct sentry_limits *limits)
{
	struct sandbox_info info = machine;

	kernel_limit(limits, &info);
	sysinfo_set(&info);
	return 0;
}

static void register_filesystems(void)
{
	tmpfs_register();
	overlay_register();
	devtmpfs_register();
	devpts_register();
	proc_register();
	sysfs_register();
	cgroup_register();
	mqueue_register();
}

/* /proc/net: proc and net are beside each other and do not know of it. */
static void offer_net_files(void)
{
	static struct proc_net_file files[32];
	size_t n = 0;

	for (; net_proc_files[n].name && n < sizeof(files) / sizeof(files[0]) - 1; n++) {
		files[n].name = net_proc_files[n].name;
		files[n].show = net_proc_files[n].show;
	}
	proc_set_net_files(files);
}

/* Of the zygote that the runtime has started, or -EBADF. */
static int zygote_socket(void)
{
	int type;
	socklen_t len = sizeof(type);

	if (getsockopt(SENTRY_FD_ZYGOTE, SOL_SOCKET, SO_TYPE, &type, &len) == 0)
		return SENTRY_FD_ZYGOTE;
	(void)close(SENTRY_FD_ZYGOTE);
	return -EBADF;
}

static int begin_platform(const struct sentry_container *c, int stub_fd)
{
	if (c->platform == SENTRY_PLATFORM_SYSTRAP) {
		const struct systrap_options options = {
			.stub_fd = stub_fd,
			.zygote_sock = zygote_socket(),
			.random_base = true,
			.profile = c->profile == SENTRY_PROFILE_DIRECT ? SYSTRAP_DIRECT
								       : SYSTRAP_CHECKED,
		};

		systrap_set_options(&options);
		platform = &platform_systrap;
	} else {
		platform = &platform_ptrace;
	}
	return platform->begin ? platform->begin() : 0;
}

/* What the zygote's work takes is time for ours; it costs a wait at the end. */
static int start_machine(const struct sentry_container *c, struct err *err)
{
	struct rlimit files;
	int r = hostwork_init(HOSTWORK_THREADS);

	if (r < 0)
		return err_sys(err, r, "start the helper threads");
	r = sysinfo_from_host(SENTRY_FD_PROC, &machine);
	/* A mount of its own goes with it, after a grace period of RCU. */
	(void)close(SENTRY_FD_PROC);
	machine.usage = boot_usage;
	if (getrlimit(RLIMIT_NOFILE, &files) == 0)
		goferfs_set_limits(c->limits.memory < machine.memory_limit ? c->limits.memory
									   : machine.memory_limit,
				   files.rlim_cur);
	if (r == 0)
		r = kernel_set_limits(&c->limits);
	return r < 0 ? err_sys(err, r, "look at the machine") : 0;
}

/* A second: who has closed its sockets is on its way to be waited for. */
#define END_POLLS   100
#define END_POLL_NS 10000000

/* Where a process that the sandbox needs has ended, which is what -EPIPE says, with how it did. */
static int platform_failed(int r, struct err *err)
{
	const struct timespec pause = { .tv_nsec = END_POLL_NS };
	siginfo_t end = { 0 };

	for (unsigned int i = 0; r == -EPIPE && end.si_pid == 0 && i < END_POLLS; i++) {
		if (i > 0)
			(void)nanosleep(&pause, NULL);
		if (waitid(P_ALL, 0, &end, WEXITED | WNOHANG | WNOWAIT) < 0)
			break;
	}
	if (end.si_pid == 0)
		return err_sys(err, r, "start platform %s", platform->name);
	if (end.si_code == CLD_EXITED)
		return err_set(err, r, "start platform %s: its first process ended with status %d",
			       platform->name, end.si_status);
	return err_set(err, r, "start platform %s: its first process was killed by signal %d (%s)",
		       platform->name, end.si_status, strsignal(end.si_status));
}

int kernel_init(const struct sentry_container *c, int stub_fd, struct err *err)
{
	int r = klog_setup(c->debug, SENTRY_FD_LOG);

	if (r < 0)
		return err_sys(err, r, "--debug=%s", c->debug);
	hostfd_init();
	memfile_init();
	r = kloop_init();
	if (r < 0)
		return err_sys(err, r, "start the event loop");
	r = begin_platform(c, stub_fd);
	if (r < 0)
		return platform_failed(r, err);
	r = start_machine(c, err);
	if (r < 0)
		return r;
	r = platform->init();
	if (r < 0)
		return platform_failed(r, err);
	syscall_init();
	event_init();
	r = strace_setup(c->strace, SENTRY_FD_LOG);
	if (r < 0)
		return err_sys(err, r, "--strace=%s", c->strace);
	klog(boot, "platform %s runs", platform->name);
	register_filesystems();
	net_register();
	offer_net_files();
	return 0;
}
