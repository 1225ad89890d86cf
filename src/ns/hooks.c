/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hooks are started with posix_spawn(3) (vfork inside: the cost does not grow with our memory),
 * each in a process group of its own so that a time-out ends what a shell hook has started.
 * Everything is waited for with poll(2): the process by its pidfd, standard error by a pipe of
 * which only the tail is kept.
 */
#include "ns/hooks.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fd.h"

#define TAIL_MAX 1024 /* bytes of standard error that are kept */

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U
#endif

struct tail {
	char bytes[TAIL_MAX];
	size_t len;
};

static void tail_add(struct tail *tail, const char *bytes, size_t len)
{
	size_t drop;

	if (len > TAIL_MAX) {
		bytes += len - TAIL_MAX;
		len = TAIL_MAX;
	}
	drop = tail->len + len > TAIL_MAX ? tail->len + len - TAIL_MAX : 0;
	memmove(tail->bytes, tail->bytes + drop, tail->len - drop);
	tail->len -= drop;
	memcpy(tail->bytes + tail->len, bytes, len);
	tail->len += len;
}

/* The last line that holds anything, NUL-terminated in `line`. */
static void tail_last_line(const struct tail *tail, char line[static TAIL_MAX + 1])
{
	size_t end = tail->len;
	size_t start;

	while (end > 0 && (tail->bytes[end - 1] == '\n' || tail->bytes[end - 1] == '\r'))
		end--;
	start = end;
	while (start > 0 && tail->bytes[start - 1] != '\n')
		start--;
	memcpy(line, tail->bytes + start, end - start);
	line[end - start] = '\0';
	for (char *p = line; p < line + (end - start); p++) {
		if (*p == '\0')
			*p = ' ';
	}
}

/* Read what is there without blocking. False at end of file or on an error. */
static bool tail_read(struct tail *tail, int fd)
{
	char bytes[4096];
	ssize_t n;

	/* A hook that writes without end must not keep us here past its time-out. */
	for (int i = 0; i < 64; i++) {
		n = read(fd, bytes, sizeof(bytes));
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 && errno == EAGAIN;
		tail_add(tail, bytes, (size_t)n);
	}
	return true;
}

/* A file in memory that holds `text`, at its start and sealed against changes. */
static int text_fd(const char *text)
{
	AUTO_CLOSE int fd =
		memfd_create("state.json", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL);
	int r;

	if (fd < 0 && errno == EINVAL) /* before Linux 6.3 */
		fd = memfd_create("state.json", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return -errno;
	r = fd_write_all(fd, text, strlen(text));
	if (r < 0)
		return r;
	if (lseek(fd, 0, SEEK_SET) < 0 ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) < 0)
		return -errno;
	return TAKE_FD(fd);
}

/* `fds` become 0, 1 and 2 of the hook. 0 or -errno, -ENOENT and -EACCES of execve(2) included. */
static int spawn(const struct oci_hook *hook, const int fds[3], pid_t *ret_pid)
{
	char *const no_env[] = { NULL };
	char *const only_path[] = { (char *)hook->path, NULL };
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	sigset_t none, all;
	int r;

	(void)sigemptyset(&none);
	(void)sigfillset(&all);
	r = -posix_spawn_file_actions_init(&actions);
	if (r < 0)
		return r;
	for (int i = 0; r == 0 && i < 3; i++)
		r = -posix_spawn_file_actions_adddup2(&actions, fds[i], i);
	if (r == 0)
		r = -posix_spawn_file_actions_addclosefrom_np(&actions, 3);
	if (r < 0)
		goto out_actions;
	r = -posix_spawnattr_init(&attributes);
	if (r < 0)
		goto out_actions;
	(void)posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK |
							    POSIX_SPAWN_SETSIGDEF);
	(void)posix_spawnattr_setpgroup(&attributes, 0);
	(void)posix_spawnattr_setsigmask(&attributes, &none);
	(void)posix_spawnattr_setsigdefault(&attributes, &all);
	r = -posix_spawn(ret_pid, hook->path, &actions, &attributes,
			 hook->args.len ? (char *const *)hook->args.items : only_path,
			 hook->env.len ? (char *const *)hook->env.items : no_env);
	(void)posix_spawnattr_destroy(&attributes);
out_actions:
	(void)posix_spawn_file_actions_destroy(&actions);
	return r;
}

/* Wait for the end of the process. 0, or -ETIMEDOUT when `timeout_s` (0: none) went by. */
static int wait_end(int pidfd, int pipe_fd, int timeout_s, struct tail *tail)
{
	const int64_t deadline = clock_ms() + (int64_t)timeout_s * 1000;
	struct pollfd polls[] = { { .fd = pidfd, .events = POLLIN },
				  { .fd = pipe_fd, .events = POLLIN } };

	for (;;) {
		int64_t left = timeout_s ? deadline - clock_ms() : -1;

		if (timeout_s && left <= 0)
			return -ETIMEDOUT;
		if (left > INT32_MAX)
			left = INT32_MAX;
		if (poll(polls, 2, (int)left) < 0 && errno != EINTR)
			return -errno;
		if (polls[1].revents && !tail_read(tail, pipe_fd))
			polls[1].fd = -1;
		if (polls[0].revents)
			break;
		polls[0].revents = 0;
		polls[1].revents = 0;
	}
	if (polls[1].fd >= 0)
		(void)tail_read(tail, pipe_fd);
	return 0;
}

static int reap(pid_t pid)
{
	int status = 0;

	while (waitpid(pid, &status, 0) < 0) {
		if (errno != EINTR)
			return -errno;
	}
	return status;
}

/* The sentence for a hook that did not exit with 0. */
static int judge(int status, const struct tail *tail, struct err *err)
{
	char line[TAIL_MAX + 1];
	const char *colon;

	if (status < 0)
		return err_set(err, -ECANCELED, "its exit status is lost: %s",
			       strerrordesc_np(-status));
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	tail_last_line(tail, line);
	colon = line[0] ? ": " : "";
	if (WIFSIGNALED(status))
		return err_set(err, -ECANCELED, "killed by signal %d%s%s", WTERMSIG(status), colon,
			       line);
	return err_set(err, -ECANCELED, "exit status %d%s%s", WEXITSTATUS(status), colon, line);
}

static int run_one(const struct oci_hook *hook, const struct hooks_io *io, struct err *err)
{
	AUTO_CLOSE int in = text_fd(io->state_json);
	AUTO_CLOSE int null = -EBADF;
	AUTO_CLOSE int pipe_read = -EBADF, pipe_write = -EBADF;
	AUTO_CLOSE int pidfd = -EBADF;
	struct tail tail = { .len = 0 };
	int fds[3], pair[2];
	pid_t pid;
	int r, status;

	if (in < 0)
		return err_sys(err, in, "write the state");
	if (pipe2(pair, O_CLOEXEC) < 0)
		return err_sys(err, -errno, "pipe");
	pipe_read = pair[0];
	pipe_write = pair[1];
	if (fcntl(pipe_read, F_SETFL, O_NONBLOCK) < 0)
		return err_sys(err, -errno, "pipe");
	if (io->out_fd < 0)
		null = open("/dev/null", O_WRONLY | O_CLOEXEC | O_NOCTTY);

	fds[0] = in;
	/* Inside a container without /dev/null, output joins the errors. */
	fds[1] = io->out_fd >= 0 ? io->out_fd : null >= 0 ? null : pipe_write;
	fds[2] = io->err_fd >= 0 ? io->err_fd : pipe_write;
	r = spawn(hook, fds, &pid);
	if (r < 0)
		return err_set(err, -ECANCELED, "exec: %s", strerrordesc_np(-r));
	(void)close(TAKE_FD(pipe_write));

	pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	r = pidfd < 0 ? -errno : wait_end(pidfd, pipe_read, hook->timeout_s, &tail);
	if (r < 0) {
		(void)kill(-pid, SIGKILL);
		(void)kill(pid, SIGKILL);
	}
	status = reap(pid);
	if (r == -ETIMEDOUT)
		return err_set(err, r, "still running after %d s, killed", hook->timeout_s);
	if (r < 0)
		return err_sys(err, r, "wait");
	return judge(status, &tail, err);
}

int hooks_run(const struct oci_hook_list *hooks, const char *name, const struct hooks_io *io,
	      struct err *err)
{
	for (size_t i = 0; i < hooks->len; i++) {
		const int r = run_one(&hooks->items[i], io, err);

		if (r < 0)
			return err_prefix(err, r, "%s hook %zu (%s)", name, i,
					  hooks->items[i].path);
	}
	return 0;
}
