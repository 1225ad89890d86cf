/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shim/start.c - `start`: the address of the group's shim; a new one is a copy of this process, in
 * a session of its own and without the caller's streams, whose end containerd waits for.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/log.h"
#include "base/str.h"
#include "shim/address.h"
#include "shim/manage.h"
#include "shim/program.h"
#include "shim/shim_cgroup.h"

#define CONFIG_MAX (32u << 20) /* bytes of config.json */
#define LOG_FIFO   "log"
#define SCORE_MIN  (-999)
#define SCORE_MAX  1000
#define PROC_SCORE "/proc/self/oom_score_adj"

static int choose_path(const struct program_options *o, char path[static ADDRESS_MAX],
		       struct err *err)
{
	AUTO_JSON json_t *config = NULL;
	int r = json_read_file(AT_FDCWD, "config.json", CONFIG_MAX, &config, err);

	return r < 0 ? r
		     : address_path(SOCKET_DIR, o->address, o->ns, address_group(config, o->id),
				    path, err);
}

/*
 * containerd reads the fifo and may be away: a reading end of our own keeps the writing from
 * failing, and nothing waits when it is full.
 */
static int open_log(void)
{
	const int fd = open(LOG_FIFO, O_RDWR | O_NONBLOCK | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

/* One better than containerd's own, as its shims are; what may not be set stays. */
static void adjust_score(void)
{
	AUTO_BUF struct buf text = { .max = 64 };
	char line[16];
	int score = 0;

	if (fd_read_file(AT_FDCWD, PROC_SCORE, &text) < 0 || !text.data ||
	    sscanf(text.data, "%d", &score) != 1)
		return;
	score = score + 1 < SCORE_MIN ? SCORE_MIN : score + 1 > SCORE_MAX ? SCORE_MAX : score + 1;
	(void)snprintf(line, sizeof(line), "%d", score);
	(void)fd_write_file(AT_FDCWD, PROC_SCORE, line);
}

/* In the new process: nothing of the caller's, but the log. */
static int detach(const struct program_options *o, struct program_sockets *sockets, struct err *err)
{
	const int log = open_log();
	const int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	int fds[] = { sockets->calls, log, sockets->manage };

	if (null < 0)
		return err_sys(err, -errno, "open /dev/null");
	(void)setsid();
	for (int i = 0; i < 3; i++) {
		if (dup2(null, i) < 0)
			return err_sys(err, -errno, "leave the caller's streams");
	}
	(void)close(null);
	/* 3 and 4: what the caller may have left open is not ours. */
	for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
		const int high = fds[i] >= 0 ? fcntl(fds[i], F_DUPFD_CLOEXEC, 64) : -EBADF;

		fds[i] = high;
	}
	(void)fd_close_range(3, 63, 0);
	if (fds[1] >= 0)
		log_setup(fds[1], false, o->debug ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO);
	*sockets = (struct program_sockets){ .calls = fds[0], .manage = fds[2] };
	return fds[0] < 0 ? err_sys(err, -EMFILE, "keep the socket") : 0;
}

static int fork_shim(const struct program_options *o, struct program_sockets *sockets,
		     const char *cgroup, bool *ret_serve, struct err *err)
{
	const pid_t pid = fork();
	int r;

	if (pid < 0)
		return err_sys(err, -errno, "fork");
	if (pid > 0) {
		r = cgroup ? shim_cgroup_enter(cgroup, pid, err) : 0;
		/* Nobody has been told of it. */
		if (r < 0 && kill(pid, SIGKILL) == 0)
			(void)waitpid(pid, NULL, 0);
		return r;
	}
	*ret_serve = true;
	adjust_score();
	return detach(o, sockets, err);
}

/* The new shim's own; a pod runs without it, too. -EBADF, and why. */
static int listen_for_managers(const char *path, struct err *err)
{
	char manage[ADDRESS_MAX];
	int fd = manage_path(path, manage, sizeof(manage));

	if (fd < 0)
		(void)err_sys(err, fd, "%s", path);
	else
		fd = address_listen(manage, err);
	if (fd == -EEXIST)
		(void)err_sys(err, fd, "%s", manage);
	return fd < 0 ? -EBADF : fd;
}

/* Nobody will serve there. */
static void take_back(const char *path, bool manage)
{
	char other[ADDRESS_MAX];

	if (manage && manage_path(path, other, sizeof(other)) == 0)
		(void)unlink(other);
	(void)unlink(path);
}

int program_start(const struct program_options *o, struct program_sockets *ret_sockets,
		  bool *ret_serve, struct err *err)
{
	AUTO_CLOSE int calls = -EBADF;
	AUTO_CLOSE int manage = -EBADF;
	AUTO_FREE char *cgroup = NULL;
	struct program_sockets sockets;
	struct err problem = { 0 };
	char path[ADDRESS_MAX];
	int r = choose_path(o, path, err);

	*ret_serve = false;
	if (r < 0)
		return r;
	calls = address_listen(path, err);
	if (calls < 0 && calls != -EEXIST)
		return calls;
	if (calls >= 0) {
		manage = listen_for_managers(path, &problem);
		cgroup = shim_cgroup_read(STDIN_FILENO);
	}
	sockets = (struct program_sockets){ .calls = calls, .manage = manage };
	r = address_save(AT_FDCWD, path, err);
	if (r == 0 && calls >= 0)
		r = fork_shim(o, &sockets, cgroup, ret_serve, err);
	if (r < 0 && calls >= 0 && !*ret_serve)
		take_back(path, manage >= 0);
	if (r < 0)
		return r;
	if (*ret_serve) {
		/* Not before: containerd takes whatever `start` says for the address. */
		if (manage < 0)
			log_warning("no management socket: %s", problem.msg);
		/* Those of before were below, and are closed. */
		calls = manage = -EBADF;
		*ret_sockets = sockets;
		return 0;
	}
	return printf(ADDRESS_SCHEME "%s\n", path) < 0 || fflush(stdout) != 0
		       ? err_sys(err, -EIO, "say the address")
		       : 0;
}
