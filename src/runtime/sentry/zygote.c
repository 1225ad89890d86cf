/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/sentry/zygote.h"

#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fd.h"
#include "host/pidfd.h"
#include "ns/stage.h"
#include "wire/sentry_msg.h"

#define INSIDE	 1 /* the stubs' user and group in their namespace: not its root */
#define PATH_LEN 64

/* In the child. Not root there: its exec ends every capability. */
__attribute__((noreturn)) static void become_zygote(const struct zygote_plan *plan, int sock)
{
	char name[] = "caisson-stub";
	char *const argv[] = { name, NULL };
	char *const envp[] = { NULL };
	sigset_t none;
	char byte;
	int program;

	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	/* Mapped, and the root directory is empty. */
	if (recv(sock, &byte, 1, 0) != 1 || chdir("/") < 0 || setgroups(0, NULL) < 0 ||
	    setresgid(INSIDE, INSIDE, INSIDE) < 0 || setresuid(INSIDE, INSIDE, INSIDE) < 0 ||
	    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		_exit(126);
	sock = fcntl(sock, F_DUPFD_CLOEXEC, SENTRY_ZYGOTE_SOCKET + 1);
	program = fcntl(plan->program, F_DUPFD_CLOEXEC, SENTRY_ZYGOTE_SOCKET + 1);
	if (sock < 0 || program < 0 || dup2(plan->null, 0) < 0 || dup2(0, 1) < 0 ||
	    dup2(0, 2) < 0 || dup2(sock, SENTRY_ZYGOTE_SOCKET) < 0 ||
	    fd_close_range(SENTRY_ZYGOTE_SOCKET + 1, ~0u, CLOSE_RANGE_CLOEXEC) < 0)
		_exit(126);
	(void)syscall(SYS_execveat, program, "", argv, envp, AT_EMPTY_PATH);
	_exit(127);
}

/* A user namespace belongs to the effective user of who makes it. */
static pid_t clone_as(uint32_t owner, int *ret_pidfd)
{
	pid_t pid;

	if (syscall(SYS_setresuid, -1, owner, -1) < 0)
		return -errno;
	pid = stage_clone(CLONE_NEWUSER | CLONE_NEWPID, -EBADF, ret_pidfd);
	if (pid != 0 && syscall(SYS_setresuid, -1, 0, -1) < 0)
		_exit(1); /* who cannot be root again cannot do anything else */
	return pid;
}

static int write_map(int proc, int pid, const char *file, uint32_t outside)
{
	char path[PATH_LEN], text[PATH_LEN];
	const int len = snprintf(text, sizeof(text), "%d %u 1\n", INSIDE, outside);
	AUTO_CLOSE int fd = -EBADF;

	(void)snprintf(path, sizeof(path), "%d/%s", pid, file);
	fd = openat(proc, path, O_WRONLY | O_CLOEXEC);
	return fd < 0 || write(fd, text, (size_t)len) != len ? -errno : 0;
}

int zygote_clone(const struct zygote_plan *plan, struct zygote *ret, struct err *err)
{
	int pair[2], pidfd = -EBADF, r;
	pid_t pid;

	r = stage_socketpair(pair, err);
	if (r < 0)
		return r;
	pid = clone_as(plan->ids->supervisor, &pidfd);
	if (pid == 0)
		become_zygote(plan, pair[1]);
	(void)close(pair[1]);
	if (pid < 0) {
		(void)close(pair[0]);
		return err_sys(err, pid, "clone the zygote");
	}
	*ret = (struct zygote){ .sock = pair[0], .pidfd = pidfd };
	return 0;
}

int zygote_release(const struct zygote_plan *plan, struct zygote *z, struct err *err)
{
	const int pid = pidfd_number(plan->proc, z->pidfd);
	int r = pid;

	if (r > 0)
		r = write_map(plan->proc, pid, "uid_map", plan->ids->guest);
	if (r == 0)
		r = write_map(plan->proc, pid, "gid_map", plan->ids->guest);
	if (r == 0)
		r = fd_send(z->sock, "", 1, NULL, 0);
	return r < 0 ? err_sys(err, r, "make the zygote user %u", plan->ids->guest) : 0;
}

void zygote_done(struct zygote *z)
{
	auto_close_p(&z->sock);
	auto_close_p(&z->pidfd);
	*z = (struct zygote)ZYGOTE_INIT;
}
