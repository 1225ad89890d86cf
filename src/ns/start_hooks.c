/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The hooks are programs of the container's file system, which nobody has to trust: they run with
 * the credentials that the container's program will have, never with the runtime's. So a process
 * between takes those on and executes them, while this one keeps what it needs to become
 * caisson-init.
 *
 * This process waits in the container's pid namespace, with the runtime's credentials and memory,
 * for as long as the container is created. It is not dumpable: without CAP_SYS_PTRACE over the
 * host's user namespace nobody reads its memory or opens its /proc/PID/exe (ptrace(2)).
 */
#include "ns/start_hooks.h"

#include <grp.h>
#include <linux/capability.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/str.h"
#include "ns/message.h"

/* Among what the runtime had open are its locks, which the wait must not prolong. */
static int close_others(const struct stage_process *p, struct err *err)
{
	int keep[] = { p->sock, p->init_fd, p->gate_fd, log_fd() };
	const int r = fd_keep_only(3 + p->preserve_fds, keep, ARRAY_LEN(keep));

	return r < 0 ? err_sys(err, r, "close the runtime's descriptors") : 0;
}

/* Whoever knocks and goes away without a word, a start that was killed, leaves us waiting. */
static int await_knock(int gate, struct err *err)
{
	for (;;) {
		char byte;
		ssize_t n;
		int fd = accept4(gate, NULL, NULL, SOCK_CLOEXEC);

		if (fd < 0 && (errno == EINTR || errno == ECONNABORTED))
			continue;
		if (fd < 0)
			return err_sys(err, -errno, "wait for start");
		do {
			n = recv(fd, &byte, 1, 0);
		} while (n < 0 && errno == EINTR);
		if (n > 0)
			return fd;
		(void)close(fd);
	}
}

static int wait_at_gate(struct child *c, struct stage_process *p, struct err *err)
{
	const bool listens = p->gate_fd >= 0;
	const struct init_report ready = { .type = INIT_REPORT_READY };
	int r = listens ? fd_send(p->sock, &ready, sizeof(ready), NULL, 0) : 0;

	if (r < 0)
		return err_set(err, -EPIPE, "the runtime is gone");
	r = stage_await(p->sock, listens ? STAGE_RELEASE : STAGE_GATE, err);
	if (r < 0)
		return r;
	if (prctl(PR_SET_PDEATHSIG, 0) < 0)
		return err_sys(err, -errno, "prctl PR_SET_PDEATHSIG");
	p->gate_open = true;
	if (!listens)
		return 0;
	/* The end of this socket is the answer to STAGE_RELEASE. */
	(void)close(p->sock);
	c->sock = p->sock = -EBADF;
	r = await_knock(p->gate_fd, err);
	if (r < 0)
		return r;
	c->sock = p->sock = r;
	(void)close(p->gate_fd);
	p->gate_fd = -EBADF;
	return 0;
}

static int set_caps(const struct init_msg *msg)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2];

	for (int i = 0; i < 2; i++) {
		data[i].effective = (uint32_t)(msg->cap_effective >> (32 * i));
		data[i].permitted = (uint32_t)(msg->cap_permitted >> (32 * i));
		data[i].inheritable = (uint32_t)(msg->cap_inheritable >> (32 * i));
	}
	if (syscall(SYS_capset, &header, data) < 0 ||
	    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0L, 0L, 0L) < 0)
		return -errno;
	for (uint32_t cap = 0; cap <= msg->cap_last; cap++) {
		if (msg->cap_ambient & 1ull << cap &&
		    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, (unsigned long)cap, 0L, 0L) < 0)
			return -errno;
	}
	return 0;
}

/* The order is that of init/creds.c. */
static int apply_credentials(const struct init_msg *msg, const struct oci_user *user,
			     bool keep_groups)
{
	for (uint32_t cap = 0; cap <= msg->cap_last; cap++) {
		if (!(msg->cap_bounding & 1ull << cap) &&
		    prctl(PR_CAPBSET_DROP, (unsigned long)cap, 0L, 0L, 0L) < 0)
			return -errno;
	}
	if (prctl(PR_SET_KEEPCAPS, 1L, 0L, 0L, 0L) < 0)
		return -errno;
	/* An empty list where setgroups(2) is denied: there is nothing to take away. */
	if (!keep_groups && setgroups(user->additional_gids_len, user->additional_gids) < 0 &&
	    (errno != EPERM || user->additional_gids_len))
		return -errno;
	if (setresgid(user->gid, user->gid, user->gid) < 0 ||
	    setresuid(user->uid, user->uid, user->uid) < 0)
		return -errno;
	return set_caps(msg);
}

static int take_credentials(const struct ns_create_options *o, struct err *err)
{
	const struct oci_process *process = &o->spec->process;
	const struct message_options options = { .process = process,
						 .path = process->args.items[0],
						 .keep_original_groups = true };
	AUTO_BUF struct buf b = { 0 };
	int r = message_build(&b, &options);

	if (r == 0) {
		struct init_msg *msg = (struct init_msg *)(void *)b.data;

		/* The one capability that would reach our parent, which has the runtime's power. */
		msg->cap_bounding &= ~(1ull << CAP_SYS_PTRACE);
		msg->cap_permitted &= ~(1ull << CAP_SYS_PTRACE);
		msg->cap_effective &= ~(1ull << CAP_SYS_PTRACE);
		msg->cap_inheritable &= ~(1ull << CAP_SYS_PTRACE);
		msg->cap_ambient &= ~(1ull << CAP_SYS_PTRACE);
		r = apply_credentials(msg, &process->user, o->keep_original_groups);
	}
	if (r == 0 && process->no_new_privileges && prctl(PR_SET_NO_NEW_PRIVS, 1L, 0L, 0L, 0L) < 0)
		r = -errno;
	if (r == 0 && prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
		r = -errno;
	return r < 0 ? err_sys(err, r, "take on the container's credentials for its hooks") : 0;
}

static int run_hooks(const struct ns_create_options *o, struct err *err)
{
	const pid_t pid = getpid();
	struct stage_msg msg = { 0 };
	struct err failure = { 0 };
	AUTO_CLOSE int ours = -EBADF;
	AUTO_CLOSE int fd = -EBADF;
	int pair[2], status = 0;
	pid_t runner;
	int r = stage_socketpair(pair, err);

	if (r < 0)
		return r;
	ours = pair[0];
	runner = stage_clone(0, -EBADF, NULL);
	if (runner == 0) {
		r = take_credentials(o, &failure);
		if (r == 0)
			r = o->on_start(o->arg, pid, &failure);
		if (r < 0)
			stage_fail(pair[1], &failure);
		_exit(0);
	}
	(void)close(pair[1]);
	if (runner < 0)
		return err_sys(err, runner, "clone a process for the startContainer hooks");
	r = stage_recv(ours, &msg, &fd, err);
	while (waitpid(runner, &status, 0) < 0 && errno == EINTR)
		;
	if (r > 0)
		return stage_report_error(&msg, err);
	if (r == 0 && status != 0)
		return err_set(err, -ECANCELED, "the process of the startContainer hooks died");
	return r;
}

int start_hooks_at_gate(struct child *c, struct stage_process *process, struct err *err)
{
	int r = close_others(process, err);

	if (r == 0 && prctl(PR_SET_DUMPABLE, 0L, 0L, 0L, 0L) < 0)
		r = err_sys(err, -errno, "prctl PR_SET_DUMPABLE");
	if (r == 0)
		r = wait_at_gate(c, process, err);
	/* Until caisson-init reports that it is ready, the end of the socket is no success. */
	if (r == 0)
		(void)stage_send(c->sock, STAGE_HOOKS, 0, -EBADF);
	if (r == 0)
		r = run_hooks(c->options, err);
	return r;
}
