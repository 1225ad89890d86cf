/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From the message to the user's program:
 *
 *   terminal and session, working directory, credentials, [fork], gate, filter, exec
 *
 * With INIT_FORK (exec into a container) this process is still in the host's pid namespace: it
 * takes on the container's credentials first, and only then forks into the container's pid
 * namespace, so that what the container's processes can see and trace never had more power than
 * they do.
 */
#include "init/init.h"

#include <asm/ioctls.h>
#include <linux/close_range.h>
#include <linux/errno.h>
#include <linux/fcntl.h>
#include <linux/mman.h>
#include <linux/prctl.h>
#include <linux/sched.h>
#include <stddef.h>
#include <sys/socket.h>

#include "base/start.h"
#include "base/sys.h"

#define SIGNAL_CHLD 17 /* signal(7); <signal.h> belongs to libc */
#define SIGNAL_KILL 9

static long send_report(int sock, const struct init_report *report, const char *text, int fd)
{
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = { 0 };
	struct iovec iov[] = { { .iov_base = (void *)(uintptr_t)report,
				 .iov_len = sizeof(*report) },
			       { .iov_base = (void *)(uintptr_t)text } };
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = 2 };

	while (text && text[iov[1].iov_len] && iov[1].iov_len < INIT_REPORT_TEXT_MAX)
		iov[1].iov_len++;
	if (fd >= 0) {
		msg.msg_control = control.bytes;
		msg.msg_controllen = sizeof(control.bytes);
		control.align.cmsg_level = SOL_SOCKET;
		control.align.cmsg_type = SCM_RIGHTS;
		control.align.cmsg_len = CMSG_LEN(sizeof(int));
		*(int *)CMSG_DATA(&control.align) = fd;
	}
	return SYS3(SYS_sendmsg, sock, &msg, MSG_NOSIGNAL);
}

long init_report(int sock, const struct init_report *report, int fd)
{
	return send_report(sock, report, NULL, fd);
}

__attribute__((noreturn)) static void leave(int status)
{
	for (;;)
		(void)SYS1(SYS_exit_group, status);
}

void init_fail(const struct init *init, enum init_step step, long code)
{
	const struct init_report report = { .type = INIT_REPORT_FAILED,
					    .step = step,
					    .value = (int32_t)code };
	const uint32_t named = step == INIT_STEP_CWD	? init->msg->cwd_off
			       : step == INIT_STEP_EXEC ? init->msg->path_off
							: 0;

	/* The filter of a failed exec may deny sendmsg(2); without a word this would look like an
	 * exec. */
	if (send_report(init->report, &report, named ? init_at(init->msg, named) : NULL, -1) < 0)
		(void)SYS3(SYS_write, init->report, &report, sizeof(report));
	leave(255);
}

static int parse_number(const char *s)
{
	int n = 0;

	while (s && *s >= '0' && *s <= '9' && n < 1000000)
		n = n * 10 + (*s++ - '0');
	return n;
}

static void map_message(struct init *init, int fd)
{
	const long size = SYS3(SYS_lseek, fd, 0, 2 /* SEEK_END */);
	long addr;

	if (size < (long)sizeof(struct init_msg) || size > INIT_MSG_MAX)
		init_fail(init, INIT_STEP_MESSAGE, size < 0 ? size : -EINVAL);
	addr = SYS6(SYS_mmap, 0, size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (addr < 0 && addr > -4096)
		init_fail(init, INIT_STEP_MESSAGE, addr);
	/* Its number serves the gate below a limit that leaves no other (RLIMIT_NOFILE). */
	(void)SYS1(SYS_close, fd);
	init->msg = (const struct init_msg *)addr;
	if (init->msg->magic != INIT_MSG_MAGIC || init->msg->version != INIT_MSG_VERSION ||
	    init->msg->size != (uint32_t)size)
		init_fail(init, INIT_STEP_MESSAGE, -EPROTO);
}

static void take_terminal(const struct init *init)
{
	long r;

	(void)SYS0(SYS_setsid); /* EPERM: already a leader */
	if (!(init->msg->flags & INIT_SET_TTY))
		return;
	r = SYS3(SYS_ioctl, 0, TIOCSCTTY, 0);
	if (r < 0)
		init_fail(init, INIT_STEP_TTY, r);
}

/*
 * chdir(2), then prove that the result lies below our root: the kernel's getcwd answers
 * "(unreachable)/..." for a directory outside (CVE-2024-21626).
 */
static long enter_cwd(const struct init *init)
{
	char path[4096]; /* PATH_MAX, the most that getcwd(2) returns */
	long r = SYS1(SYS_chdir, init_at(init->msg, init->msg->cwd_off));

	if (r < 0)
		return r;
	r = SYS2(SYS_getcwd, path, sizeof(path));
	if (r < 0)
		return r;
	return path[0] == '/' ? 0 : -EXDEV;
}

static void fork_into_pid_namespace(const struct init *init)
{
	const long pid = SYS5(SYS_clone, CLONE_PARENT | SIGNAL_CHLD, 0, 0, 0, 0);

	if (pid < 0)
		init_fail(init, INIT_STEP_FORK, pid);
	if (pid > 0) {
		const struct init_report report = { .type = INIT_REPORT_FORKED,
						    .value = (int32_t)pid };

		leave(init_report(init->report, &report, -1) < 0 ? 255 : 0);
	}
}

/* One byte from a peer: 1, or 0 at end of file. */
static int read_byte(const struct init *init, int fd)
{
	char byte;
	long r;

	do {
		r = SYS3(SYS_read, fd, &byte, 1);
	} while (r == -EINTR);
	if (r < 0)
		init_fail(init, INIT_STEP_GATE, r);
	return r > 0;
}

/* The runtime's end must not be ours any more: it has released us. */
static void outlive_runtime(const struct init *init)
{
	const long r = SYS5(SYS_prctl, PR_SET_PDEATHSIG, 0, 0, 0, 0);

	if (r < 0)
		init_fail(init, INIT_STEP_GATE, r);
}

/* Whoever knocks and goes away without a word, a start that was killed, leaves us waiting. */
static int await_start(const struct init *init)
{
	for (;;) {
		const long fd = SYS4(SYS_accept4, init->gate, 0, 0, 02000000 /* SOCK_CLOEXEC */);

		if (fd == -EINTR || fd == -ECONNABORTED)
			continue;
		if (fd < 0)
			leave(255);
		if (read_byte(init, (int)fd))
			return (int)fd;
		(void)SYS1(SYS_close, fd);
	}
}

static void wait_at_gate(struct init *init)
{
	const struct init_report ready = { .type = INIT_REPORT_READY };
	const long r =
		init->msg->gate == INIT_GATE_STREAM ? 0 : init_report(init->report, &ready, -1);

	/* Behind an open gate the runtime may be gone, and the container goes on. */
	if (init->msg->gate == INIT_GATE_OPEN)
		return;
	if (r < 0)
		leave(255);
	/* End of file: whoever started us is gone, and so are we. */
	if (!read_byte(init, init->report))
		leave(255);
	outlive_runtime(init);
	if (init->msg->gate != INIT_GATE_LISTEN)
		return;
	(void)SYS1(SYS_close, init->report);
	init->report = await_start(init);
	(void)SYS1(SYS_close, init->gate);
}

/* The lists of the message hold offsets; execve(2) wants pointers. */
static const char **make_vector(const struct init_msg *msg, uint32_t off, uint32_t len,
				const char **out)
{
	const uint32_t *offsets = init_at(msg, off);

	for (uint32_t i = 0; i < len; i++)
		out[i] = init_at(msg, offsets[i]);
	out[len] = NULL;
	return out + len + 1;
}

static void execute(const struct init *init)
{
	const struct init_msg *msg = init->msg;
	const size_t size = ((size_t)msg->argv_len + msg->envp_len + 2) * sizeof(char *);
	const long addr =
		SYS6(SYS_mmap, 0, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	const char **argv = (const char **)addr;
	const char **envp;

	if (addr < 0 && addr > -4096)
		init_fail(init, INIT_STEP_EXEC, addr);
	envp = make_vector(msg, msg->argv_off, msg->argv_len, argv);
	(void)make_vector(msg, msg->envp_off, msg->envp_len, envp);
	if (msg->flags & INIT_SECCOMP)
		init_filter(init);
	init_fail(init, INIT_STEP_EXEC, SYS3(SYS_execve, init_at(msg, msg->path_off), argv, envp));
}

/* argv[1]: the number of the message's descriptor. */
void bare_main(int argc, const char *const *argv)
{
	const int first = parse_number(argc > 1 ? argv[1] : NULL);
	struct init init = { .report = first + 1, .gate = first + 2 };
	long cwd, r;

	if (first < 3)
		leave(255); /* started by hand */
	(void)SYS5(SYS_prctl, PR_SET_DUMPABLE, 0, 0, 0, 0);
	r = SYS3(SYS_close_range, first, ~0u, CLOSE_RANGE_CLOEXEC);
	if (r < 0)
		init_fail(&init, INIT_STEP_MESSAGE, r);
	map_message(&init, first);
	if (!(init.msg->flags & INIT_FORK))
		take_terminal(&init);
	cwd = enter_cwd(&init);
	init_credentials(&init);
	/* A directory that only the user may enter (NFS with root squashed). */
	if (cwd < 0)
		cwd = enter_cwd(&init);
	if (cwd < 0)
		init_fail(&init, INIT_STEP_CWD, cwd);
	if (init.msg->flags & INIT_FORK) {
		fork_into_pid_namespace(&init);
		take_terminal(&init);
	}
	/* After the last change of credentials, which clears it (prctl(2)). */
	r = SYS5(SYS_prctl, PR_SET_DUMPABLE, 0, 0, 0, 0);
	if (r == 0 && init.msg->gate != INIT_GATE_OPEN)
		r = SYS5(SYS_prctl, PR_SET_PDEATHSIG, SIGNAL_KILL, 0, 0, 0);
	if (r < 0)
		init_fail(&init, INIT_STEP_GATE, r);
	wait_at_gate(&init);
	execute(&init);
	leave(255);
}
