/* SPDX-License-Identifier: Apache-2.0 */
/*
 * caisson-agent: process 1 of a guest. Tests run it as an ordinary process, with a channel that it
 * inherits: caisson-agent FD CGROUPS, where CGROUPS is where the containers' cgroups go.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/agent.h"
#include "agent/boot.h"
#include "agent/container.h"
#include "agent/devices.h"
#include "agent/forward.h"
#include "agent/warm.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "base/str.h"

#define PORT "org.caisson.agent" /* MACHINE_AGENT_PORT of hypervisor/machine.h */

#define FILES_SOFT 1024	      /* as everywhere: select(2) */
#define FILES_HARD (1u << 20) /* /proc/sys/fs/nr_open */
/* Ours: a process has four or five, and AGENT_STREAMS_MAX of streams are those of 341. */
#define FILES_OURS 16384

static void on_signal(void *arg, const struct signalfd_siginfo *info)
{
	struct agent *a = arg;

	if (info->ssi_signo == SIGCHLD)
		process_reap_all(a);
	else if (!a->guest && (info->ssi_signo == SIGTERM || info->ssi_signo == SIGINT))
		a->ended = true;
}

/* ---- The channel ---------------------------------------------------------------------------- */

static void on_channel(void *arg, int fd, uint32_t events);

static int open_channel(struct agent *a, int fd, struct err *err)
{
	int r = mux_new(fd, MUX_AGENT, &agent_mux_ops, a, &a->mux);

	if (r == 0)
		r = loop_add_fd(a->loop, mux_fd(a->mux), (uint32_t)mux_events(a->mux), on_channel,
				a, &a->channel);
	return r < 0 ? err_sys(err, r, "serve the channel") : 0;
}

static void close_channel(struct agent *a)
{
	process_forget_streams(a);
	forward_forget(a);
	loop_remove(TAKE_PTR(a->channel));
	mux_free(TAKE_PTR(a->mux));
}

/*
 * A host that went away comes back, or the machine ends with it. What is wrong on the channel
 * cannot be mended: the next host begins with a HELLO.
 */
static void reopen_channel(struct agent *a, const struct err *why)
{
	struct err problem = { 0 };
	int fd;

	log_error("the channel: %s", why->msg);
	a->ended = !a->guest;
	if (!a->guest)
		return;
	close_channel(a);
	fd = boot_open_port(PORT, &problem);
	if (fd < 0 || open_channel(a, fd, &problem) < 0)
		boot_fail(&problem);
}

static void on_channel(void *arg, int fd, uint32_t events)
{
	struct agent *a = arg;
	struct err err = { 0 };

	(void)fd;
	/* The bits of EPOLLIN, EPOLLOUT, EPOLLERR and EPOLLHUP are those of poll(2). */
	if (mux_ready(a->mux, (short)events, &err) < 0)
		reopen_channel(a, &err);
}

static int serve(struct agent *a)
{
	int r = 0;

	while (r == 0 && !a->ended)
		r = loop_once(a->loop, -1);
	/* The last answer. */
	for (struct err err = { 0 }; r == 0 && a->mux && mux_events(a->mux) & EPOLLOUT;) {
		if (mux_ready(a->mux, EPOLLOUT, &err) < 0)
			break;
	}
	return r;
}

/* ---- Begin ---------------------------------------------------------------------------------- */

static int open_places(struct agent *a, struct err *err)
{
	if (mkdir(AGENT_GATES, 0700) < 0 && errno != EEXIST)
		return err_sys(err, -errno, "mkdir " AGENT_GATES);
	a->gates = open(AGENT_GATES, O_PATH | O_DIRECTORY | O_CLOEXEC);
	a->null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (a->gates < 0 || a->null < 0)
		return err_sys(err, -errno, "open " AGENT_GATES " and /dev/null");
	return 0;
}

/* What config.json does not set a container has from us; 4096 descriptors are few for a server. */
static int raise_files(struct agent *a, struct err *err)
{
	struct rlimit ours;

	if (a->guest)
		a->files = (struct rlimit){ FILES_SOFT, FILES_HARD };
	else if (getrlimit(RLIMIT_NOFILE, &a->files) < 0)
		return err_sys(err, -errno, "getrlimit RLIMIT_NOFILE");
	ours = (struct rlimit){ FILES_OURS, a->files.rlim_max };
	if (ours.rlim_cur > ours.rlim_max)
		ours.rlim_cur = ours.rlim_max;
	return setrlimit(RLIMIT_NOFILE, &ours) < 0 ? err_sys(err, -errno, "setrlimit RLIMIT_NOFILE")
						   : 0;
}

static int begin_guest(struct agent *a, struct err *err)
{
	int r = boot_early(err);
	int fd;

	devices_are_ours();
	if (r == 0)
		r = boot_load_modules(err);
	if (r == 0)
		r = raise_files(a, err);
	if (r == 0)
		r = open_places(a, err);
	/* Of a template, whose clones find it done. */
	if (r == 0 && getenv(AGENT_TEMPLATE)) {
		r = boot_prepare(err);
		a->prepared = r == 0;
		if (r == 0)
			r = warm_up(a, err);
	}
	if (r < 0)
		return r;
	fd = boot_open_port(PORT, err);
	return fd < 0 ? fd : open_channel(a, fd, err);
}

static int begin_test(struct agent *a, char **argv, struct err *err)
{
	struct err ignored;
	uint64_t fd;
	int r;

	if (!argv[1] || !argv[2] || str_to_u64(argv[1], 1023, &fd) < 0)
		return err_set(err, -EINVAL, "it is a guest's process 1: nothing to be called");
	a->cgroups = argv[2];
	log_setup(fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3), false, LOG_LEVEL_INFO);
	if (fcntl((int)fd, F_SETFD, FD_CLOEXEC) < 0 || prctl(PR_SET_CHILD_SUBREAPER, 1L) < 0)
		return err_sys(err, -errno, "descriptor %s", argv[1]);
	r = raise_files(a, err);
	if (r == 0)
		r = open_places(a, err);
	if (r == 0)
		r = process_stdio_place(a, NULL, NULL, &ignored);
	return r < 0 ? r : open_channel(a, (int)fd, err);
}

/* Of a test's; a guest ends with all that it has. */
static void agent_done(struct agent *a)
{
	if (a->mux)
		close_channel(a);
	loop_free(a->loop);
	auto_close_p(&a->gates);
	auto_close_p(&a->null);
}

int main(int argc, char **argv)
{
	struct agent a = { .kernel_ns = agent_clock_ns(),
			   .guest = getpid() == 1 && argc < 2,
			   .cgroups = "/caisson",
			   .gates = -EBADF,
			   .null = -EBADF };
	struct err err = { 0 };
	int r;

	(void)prctl(PR_SET_NAME, "caisson-agent");
	list_init(&a.containers);
	list_init(&a.processes);
	list_init(&a.workers);
	list_init(&a.forwards);
	r = loop_new(&a.loop);
	if (r == 0)
		r = loop_on_signals(a.loop, on_signal, &a);
	if (r < 0)
		(void)err_sys(&err, r, "make an event loop");
	if (r == 0)
		r = a.guest ? begin_guest(&a, &err) : begin_test(&a, argv, &err);
	if (r == 0) {
		r = serve(&a);
		if (r < 0)
			(void)err_sys(&err, r, "the event loop");
	}
	if (a.guest && r < 0)
		boot_fail(&err);
	if (a.guest)
		boot_end();
	if (r < 0)
		log_error("%s", err.msg);
	agent_done(&a);
	return r < 0;
}
