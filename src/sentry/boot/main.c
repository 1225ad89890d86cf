/* SPDX-License-Identifier: Apache-2.0 */
/*
 * caisson-sentry: the application kernel of one sandbox. wire/sentry_msg.h says how it is started.
 *
 * The order: description, kernel, then on the first fiber the cage, the container (files, mounts,
 * first process), control server, READY, the gate.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fd.h"
#include "sentry/boot/cage.h"
#include "sentry/boot/control.h"
#include "sentry/boot/events.h"
#include "sentry/boot/kernel.h"
#include "sentry/boot/member.h"
#include "sentry/boot/terminal.h"
#include "sentry/core/klog.h"
#include "sentry/core/kloop.h"
#include "sentry/mem/memfile.h"
#include "sentry/fs/goferfs/goferfs.h"
#include "sentry/syscall/event.h"
#include "sentry/task/container.h"
#include "wire/sentry_codec.h"

#define EXIT_BOOT_FAILED 125

/* Until the gate opens, the runtime is at the other end of SENTRY_FD_REPORT. */
static struct kloop_fd report_source;
static struct waitq report_waiters;
static char go; /* the byte that it said; -1 at end of file */

static void say(uint32_t type, const struct err *err)
{
	struct sentry_report report = { .type = type, .code = err ? err->code : 0 };

	if (err)
		(void)snprintf(report.text, sizeof(report.text), "%s", err->msg);
	(void)send(SENTRY_FD_REPORT, &report, sizeof(report), MSG_NOSIGNAL);
}

static void fail(const struct err *err)
{
	say(SENTRY_REPORT_FAILED, err);
	kloop_stop(EXIT_BOOT_FAILED);
}

/* On a fiber where there are last words to wait for: of a terminal, of the event stream. */
static void end_sandbox(void *arg)
{
	if (fiber_self() && sandbox.terminal)
		terminal_end(TAKE_PTR(sandbox.terminal));
	if (fiber_self())
		events_end();
	klog(boot, "the sandbox ends: wait status %#x", (unsigned int)sandbox.wait_status);
	control_flush();
	kloop_stop(exit_code_of(sandbox.wait_status));
}

static void on_init_exit(void *arg, struct thread_group *tg, int wait_status)
{
	sandbox.ended = true;
	sandbox.wait_status = wait_status;
	if (event_wanted(EVENT_container_exit))
		event_container_exit(sandbox.container, exit_code_of(wait_status));
	if ((!sandbox.terminal && event_sinks_idle()) ||
	    fiber_spawn("end", end_sandbox, NULL, NULL) < 0)
		end_sandbox(NULL);
}

/* Without its files the container cannot go on: as after SIGKILL. */
static void on_gofer_death(void *arg)
{
	kloop_stop(128 + SIGKILL);
}

static void tell_time(const struct sentry_container *c)
{
	sandbox_time_ns = (struct time_ns_told){
		.id = c->time_ns,
		.monotonic = { c->monotonic_offset.secs, c->monotonic_offset.nanosecs },
		.boottime = { c->boottime_offset.secs, c->boottime_offset.nanosecs },
	};
}

/* uid_map and gid_map show what config.json says; no id beyond it exists inside. */
static int tell_users(const struct sentry_container *c)
{
	AUTO_FREE struct id_range *uids = NULL, *gids = NULL;

	if (!c->user_ns)
		return 0;
	uids = calloc(c->uid_maps_len + 1, sizeof(*uids));
	gids = calloc(c->gid_maps_len + 1, sizeof(*gids));
	if (!uids || !gids)
		return -ENOMEM;
	for (uint32_t i = 0; i < c->uid_maps_len; i++)
		uids[i] = (struct id_range){ c->uid_maps[i].inside, c->uid_maps[i].outside,
					     c->uid_maps[i].size };
	for (uint32_t i = 0; i < c->gid_maps_len; i++)
		gids[i] = (struct id_range){ c->gid_maps[i].inside, c->gid_maps[i].outside,
					     c->gid_maps[i].size };
	return user_ns_set_initial(ns_new_id(), uids, c->uid_maps_len, gids, c->gid_maps_len);
}

static int make_namespaces(struct err *err)
{
	const int r = tell_users(sandbox.description);

	tell_time(sandbox.description);
	goferfs_set_on_death(sandbox.files, on_gofer_death, NULL);
	memfile_set_reader(goferfs_reader);
	return r < 0 ? err_sys(err, r, "make the user namespace")
		     : member_make_namespaces(&sandbox, err);
}

static int load_init(struct err *err)
{
	const unsigned int count = 3 + sandbox.description->process.preserve_fds;
	AUTO_FREE int *fds = calloc(count, sizeof(*fds));

	if (!fds)
		return err_sys(err, -ENOMEM, "load the first process");
	for (unsigned int i = 0; i < count; i++) {
		struct stat st;

		fds[i] = SENTRY_FD_STDIO + (int)i;
		if (fstat(fds[i], &st) < 0)
			fds[i] = -EBADF;
	}
	return member_load(&sandbox, fds, on_init_exit, err);
}

static void on_report(struct kloop_fd *source, uint32_t events)
{
	char byte;
	struct iovec iov = { &byte, 1 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	const ssize_t n = recvmsg(source->host_fd, &msg, MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	go = n == 1 ? byte : -1;
	kloop_remove(source);
	waitq_wake(&report_waiters, WAIT_ALL);
}

/* READY has been said: what next? */
static int pass_gate(struct err *err)
{
	int r;

	WAIT_EVENT_ALWAYS(&report_waiters, go);
	if (go == SENTRY_GO_START) {
		r = member_start(&sandbox);
		if (r < 0)
			return err_sys(err, r, "start the first process");
		say(SENTRY_REPORT_STARTED, NULL);
	} else if (go != SENTRY_GO_RELEASE) {
		kloop_stop(EXIT_BOOT_FAILED);
	}
	(void)close(SENTRY_FD_REPORT);
	return 0;
}

static void boot(void *arg)
{
	struct err err = { 0 };
	const struct sentry_limits *limits = &sandbox.description->limits;
	const uint64_t pids =
		limits->pids < CONTAINER_TASKS_MAX ? limits->pids : CONTAINER_TASKS_MAX;
	int r, connected;

	members_init();
	waitq_init(&report_waiters);
	report_source = (struct kloop_fd){ .host_fd = SENTRY_FD_REPORT, .fn = on_report };
	sandbox.container = container_new(sandbox.description->id, (unsigned int)pids);
	/* The gofer is only spoken to: its words wait until the cage is closed. */
	connected = goferfs_connect(SENTRY_FD_GOFER, &sandbox.files);
	if (connected == 0)
		goferfs_call_near(sandbox.files);
	/* Before anything of the container is looked at: names, images, the runtime's requests. */
	r = cage_close(sandbox.description, &err);
	klog(boot, "the cage is closed: %d", r);
	if (r == 0 && connected < 0)
		r = err_sys(&err, connected, "connect to the gofer");
	if (r == 0 && !sandbox.container)
		r = err_sys(&err, -ENOMEM, "make the container");
	if (r == 0)
		r = make_namespaces(&err);
	klog(boot, "container %s: namespaces and mounts: %d", sandbox.description->id, r);
	if (r == 0)
		r = events_start(sandbox.description, &err);
	if (r == 0)
		r = load_init(&err);
	klog(boot, "first process loaded: %d", r);
	if (r == 0)
		r = control_start(SENTRY_FD_CONTROL, &err);
	if (r == 0)
		r = kloop_add(&report_source, EPOLLIN);
	if (r < 0) {
		fail(&err);
		return;
	}
	klog(boot, "waiting at the gate");
	say(SENTRY_REPORT_READY, NULL);
	if (pass_gate(&err) < 0)
		fail(&err);
}

static int read_description(struct err *err)
{
	AUTO_BUF struct buf b = { .max = SENTRY_MSG_MAX };
	int r = fd_read_all(SENTRY_FD_DESCRIPTION, &b);

	(void)close(SENTRY_FD_DESCRIPTION);
	if (r < 0)
		return err_sys(err, r, "read the description");
	return sentry_container_decode(b.data, b.len, &sandbox.description, err);
}

int main(int argc, char **argv)
{
	struct err err = { 0 };
	int r = read_description(&err);

	control_block_signals();
	if (r == 0)
		r = kernel_init(sandbox.description, SENTRY_FD_STUB, &err);
	if (r == 0) {
		r = fiber_spawn("boot", boot, NULL, NULL);
		if (r < 0)
			(void)err_sys(&err, r, "boot");
	}
	if (r < 0) {
		say(SENTRY_REPORT_FAILED, &err);
		return EXIT_BOOT_FAILED;
	}
	r = kloop_run();
	/* Gofer and zygote end beside us, not when the kernel has taken down our memory. */
	(void)close(SENTRY_FD_GOFER);
	(void)close(SENTRY_FD_ZYGOTE);
	return r;
}
