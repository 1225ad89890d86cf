/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shim/start.c - `start`: the address of the group's shim; a new one is a copy of this process, in
 * a session of its own and without the caller's streams, whose end containerd waits for.
 *
 * Whichever of the two is killed, nothing stays: the copy makes the sockets, so that `start` sees
 * its end and removes them, and serves nobody before `start` has said the address, without which
 * containerd would never come.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
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
#include "shim/protocol.h"
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

/* In the new process: nothing of the caller's, but the log and what comes from `start`. */
static int detach(const struct program_options *o, int *channel, struct err *err)
{
	const int log = open_log();
	const int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	int fds[] = { *channel, log };

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
	*channel = fds[0];
	return fds[0] < 0 ? err_sys(err, -EMFILE, "keep the channel of start") : 0;
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

/* Of a shim that has died; what somebody else listens at stays. */
static void remove_sockets(const char *path)
{
	char manage[ADDRESS_MAX];

	if (manage_path(path, manage, sizeof(manage)) == 0)
		(void)address_remove(manage, NULL);
	(void)address_remove(path, NULL);
}

/* The copy. Tells `start` how it went and waits for its word; ends itself when there is none. */
static void become_shim(const struct program_options *o, const char *path, int channel,
			struct program_sockets *ret)
{
	struct program_sockets sockets = { -EBADF, -EBADF };
	struct err err = { 0 }, problem = { 0 };
	char word;
	int r;

	adjust_score();
	r = detach(o, &channel, &err);
	if (r == 0) {
		sockets.calls = address_listen(path, &err);
		err.code = sockets.calls < 0 ? sockets.calls : 0;
	}
	if (sockets.calls >= 0)
		sockets.manage = listen_for_managers(path, &problem);
	if (sockets.calls >= 0 && sockets.manage < 0)
		log_warning("no management socket: %s", problem.msg);
	r = fd_send(channel, &err, sizeof(err), NULL, 0);
	if (r < 0 || err.code < 0 || fd_recv(channel, &word, sizeof(word), NULL, NULL) != 1) {
		if (sockets.calls >= 0)
			take_back(path, sockets.manage >= 0);
		_exit(EXIT_FAILURE);
	}
	(void)close(channel);
	*ret = sockets;
}

/*
 * In `start`, whose copy `pid` has begun: 0 when somebody listens at `path` and is in the bundle;
 * *ret_other: it is another one, which was faster.
 */
static int await_shim(const char *path, pid_t pid, int channel, bool *ret_other, struct err *err)
{
	AUTO_FREE char *cgroup = NULL;
	struct err news;
	const ssize_t n = fd_recv(channel, &news, sizeof(news), NULL, NULL);
	int r;

	if (n != (ssize_t)sizeof(news)) {
		remove_sockets(path);
		return err_set(err, -EIO, "the shim died during its start");
	}
	if (news.code < 0 && news.code != -EEXIST) {
		news.msg[sizeof(news.msg) - 1] = '\0';
		return err_set(err, news.code, "%s", news.msg);
	}
	*ret_other = news.code == -EEXIST;
	cgroup = news.code == 0 ? shim_cgroup_read(STDIN_FILENO) : NULL;
	r = cgroup ? shim_cgroup_enter(cgroup, pid, err) : 0;
	return r < 0 ? r : address_save(AT_FDCWD, path, err);
}

/* `version`: of the protocol that the shim there speaks. */
static int say(const char *path, unsigned int version, struct err *err)
{
	AUTO_FREE char *text = protocol_answer(path, version);

	return !text || printf("%s\n", text) < 0 || fflush(stdout) != 0
		       ? err_sys(err, -EIO, "say the address")
		       : 0;
}

int program_start(const struct program_options *o, struct program_sockets *ret_sockets,
		  bool *ret_serve, struct err *err)
{
	AUTO_CLOSE int mine = -EBADF;
	const unsigned int asked = protocol_asked();
	char path[ADDRESS_MAX];
	bool other = false;
	int pair[2];
	pid_t pid;
	int r = choose_path(o, path, err);

	*ret_serve = false;
	if (r < 0)
		return r;
	if (address_answers(path)) {
		r = address_save(AT_FDCWD, path, err);
		return r < 0 ? r : say(path, protocol_of_shim(path, asked), err);
	}
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return err_sys(err, -errno, "make a socket");
	mine = pair[0];
	pid = fork();
	if (pid == 0) {
		(void)close(TAKE_FD(mine));
		become_shim(o, path, pair[1], ret_sockets);
		*ret_serve = true;
		return 0;
	}
	r = pid < 0 ? err_sys(err, -errno, "fork") : 0;
	(void)close(pair[1]);
	if (r == 0)
		r = await_shim(path, pid, mine, &other, err);
	if (r == 0)
		r = say(path, other ? protocol_of_shim(path, asked) : asked, err);
	/* Without it the shim goes. One that has died is `delete`'s. */
	if (r == 0)
		(void)fd_send(mine, "", 1, NULL, 0);
	(void)close(TAKE_FD(mine));
	if (r < 0 && pid > 0)
		(void)waitpid(pid, NULL, 0);
	return r;
}
