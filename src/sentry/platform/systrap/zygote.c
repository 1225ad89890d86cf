/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Starting the zygote and taking the template's listener, before the cage; and telling the zygote
 * whom to reap.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "sentry/platform/systrap/systrap_internal.h"
#include "wire/sentry_msg.h"

#define HELLO_TIMEOUT_MS 10000
/* Above the trampolines of what lies highest of the guest's, below the host's stack and vdso. */
#define BASE_MIN   (PLATFORM_GUEST_TOP + 0x100000000ull)
#define BASE_END   0x7fe000000000ull
#define BASE_ALIGN 4096u

_Static_assert(ZYGOTE_FD == SENTRY_ZYGOTE_SOCKET, "who starts it puts it there");

extern char **environ;

/* In the child of a fork that copied a process with one thread: system calls only. */
__attribute__((noreturn)) static void become_zygote(int stub_fd, int sock)
{
	char name[] = "caisson-stub";
	char *const argv[] = { name, NULL };
	char *const envp[] = { NULL };
	sigset_t none;

	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	/* Above ZYGOTE_FD first, so that neither is overwritten. */
	sock = fcntl(sock, F_DUPFD_CLOEXEC, ZYGOTE_FD + 1);
	stub_fd = fcntl(stub_fd, F_DUPFD_CLOEXEC, ZYGOTE_FD + 1);
	if (sock >= 0 && stub_fd >= 0 && dup2(sock, ZYGOTE_FD) == ZYGOTE_FD &&
	    fd_close_range(ZYGOTE_FD + 1, ~0u, 1u << 2 /* CLOSE_RANGE_CLOEXEC */) == 0)
		(void)syscall(SYS_execveat, stub_fd, "", argv, envp, AT_EMPTY_PATH);
	_exit(127);
}

/*
 * With a user namespace of its own, which belongs to the sentry's user: the sentry needs no
 * capability to reach stubs that nobody else, and no core dump, can read (dumpable is 0). Without
 * one the sentry must be root, or stubs are dumpable and the filter is their only wall.
 */
static long clone_zygote(bool *ret_dumpable)
{
	static const unsigned long kinds[] = { CLONE_NEWUSER | CLONE_NEWPID, CLONE_NEWPID, 0 };
	long pid = -1;

	for (unsigned int i = 0; pid < 0 && i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		*ret_dumpable = !(kinds[i] & CLONE_NEWUSER) && geteuid() != 0;
		pid = syscall(SYS_clone, kinds[i] | SIGCHLD, 0, 0, 0, 0);
	}
	return pid;
}

int systrap_zygote_adopt(int sock)
{
	const int on = 1;

	if (setsockopt(sock, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)) < 0)
		return -errno;
	systrap.zygote_sock = sock;
	return 0;
}

int systrap_zygote_start(int stub_fd)
{
	int sv[2], r;
	long pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sv) < 0)
		return -errno;
	pid = clone_zygote(&systrap.stubs_dumpable);
	if (pid == 0)
		become_zygote(stub_fd, sv[1]);
	(void)close(sv[1]);
	r = pid < 0 ? -errno : systrap_zygote_adopt(sv[0]);
	if (r < 0) {
		(void)close(sv[0]);
		return r;
	}
	systrap.zygote_pid = (pid_t)pid;
	return 0;
}

int systrap_zygote_hello(pid_t *ret)
{
	union {
		struct cmsghdr header;
		uint8_t space[CMSG_SPACE(sizeof(struct ucred))];
	} control;
	char byte;
	struct iovec iov = { &byte, 1 };
	struct msghdr msg = { .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = &control,
			      .msg_controllen = sizeof(control) };
	struct pollfd p = { .fd = systrap.zygote_sock, .events = POLLIN };
	struct ucred who;
	const struct cmsghdr *c;

	if (poll(&p, 1, HELLO_TIMEOUT_MS) <= 0)
		return -ETIMEDOUT;
	if (recvmsg(systrap.zygote_sock, &msg, MSG_CMSG_CLOEXEC) <= 0)
		return -EPIPE;
	c = CMSG_FIRSTHDR(&msg);
	if (!c || c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_CREDENTIALS)
		return -EPROTO;
	memcpy(&who, CMSG_DATA(c), sizeof(who));
	*ret = who.pid;
	return who.pid > 0 ? 0 : -EPROTO;
}

static bool is_good_base(uint64_t base)
{
	const uint64_t distance = base > STUB_BASE ? base - STUB_BASE : STUB_BASE - base;

	/* The filter looks at the halves of an instruction pointer, one after the other. */
	return base >= BASE_MIN && base < BASE_END && distance >= 2 * (STUB_END - STUB_BASE) &&
	       (uint32_t)base < UINT32_MAX - STUB_TEXT_LEN;
}

int systrap_choose_base(void)
{
	uint64_t base;

	if (!systrap.options.random_base)
		return 0;
	do {
		if (getrandom(&base, sizeof(base), 0) != sizeof(base))
			return -EIO;
		base = BASE_MIN + base % (BASE_END - BASE_MIN) / BASE_ALIGN * BASE_ALIGN;
	} while (!is_good_base(base));
	systrap.slide = base - STUB_BASE;
	return 0;
}

int systrap_zygote_setup(int prw_fd)
{
	struct {
		struct zygote_init init;
		struct sock_filter filter[ZYGOTE_FILTER_MAX];
	} msg = { 0 };
	const int fds[ZYGOTE_INIT_FDS] = { systrap.gro_fd, systrap.wro_fd, prw_fd, systrap.doorbell,
					   systrap.ids_fd };

	msg.init.filter_len = systrap_filter(systrap.options.profile, msg.filter);
	msg.init.dumpable = systrap.stubs_dumpable;
	msg.init.slide = systrap.slide;
	return fd_send(systrap.zygote_sock, &msg,
		       sizeof(msg.init) + msg.init.filter_len * sizeof(msg.filter[0]), fds,
		       ZYGOTE_INIT_FDS);
}

/* In batches: who waits to be reaped costs only a number. */
void systrap_zygote_reap(int pidfd)
{
	static int waiting[ZYGOTE_REAP_MAX];
	static unsigned int n;
	const int copy = fcntl(pidfd, F_DUPFD_CLOEXEC, 0);

	if (copy < 0)
		return;
	waiting[n++] = copy;
	if (n < ZYGOTE_REAP_MAX)
		return;
	(void)fd_send(systrap.zygote_sock, "R", 1, waiting, n);
	while (n > 0)
		(void)close(waiting[--n]);
}
