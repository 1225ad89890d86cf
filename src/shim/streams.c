/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/streams.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/str.h"
#include "shim/logger.h"
#include "shim/pump.h"

#define SCHEME_FILE "file://"

static void close_one(int *fd)
{
	auto_close_p(fd);
	*fd = -EBADF;
}

int streams_init(struct streams *s, struct loop *loop, const char *const paths[static 3],
		 bool terminal, struct err *err)
{
	*s = (struct streams){
		.terminal = terminal,
		.loop = loop,
		.theirs = { -EBADF, -EBADF, -EBADF },
		.keep = { -EBADF, -EBADF, -EBADF },
		.carried = { -EBADF, -EBADF, -EBADF },
		.master = -EBADF,
		.master_writes = -EBADF,
		.logger = { -EBADF, -EBADF },
	};
	for (int i = 0; i < 3; i++) {
		if (strlen(paths[i]) >= STREAM_PATH_MAX)
			return err_set(err, -EINVAL, "the name of a stream is too long");
		s->paths[i] = strdup(paths[i]);
		if (!s->paths[i])
			return err_sys(err, -ENOMEM, "name a stream");
	}
	return 0;
}

static void close_ends(struct streams *s)
{
	for (int i = 0; i < 3; i++) {
		if (i > 0)
			pump_flush(s->pumps[i]);
		pump_free(TAKE_PTR(s->pumps[i]));
		close_one(&s->theirs[i]);
		close_one(&s->keep[i]);
		close_one(&s->carried[i]);
	}
	close_one(&s->master);
	close_one(&s->master_writes);
	close_one(&s->logger[0]);
	close_one(&s->logger[1]);
	free(TAKE_PTR(s->logger_uri));
}

void streams_abort(struct streams *s)
{
	close_ends(s);
}

void streams_done(struct streams *s)
{
	close_ends(s);
	for (int i = 0; i < 3; i++)
		free(TAKE_PTR(s->paths[i]));
}

/* ---- Opening ---- */

static int open_named(const char *path, int flags, struct err *err)
{
	const int fd = open(path, flags | O_CLOEXEC | O_NOCTTY, 0600);

	return fd < 0 ? err_sys(err, -errno, "open stream %s", path) : fd;
}

/* The process's end waits as usual; it was opened without waiting. */
static int make_blocking(int fd)
{
	const int flags = fcntl(fd, F_GETFL);

	return flags < 0 || fcntl(fd, F_SETFL, flags & ~O_NONBLOCK) < 0 ? -errno : 0;
}

static bool is_fifo(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISFIFO(st.st_mode);
}

static int open_stdin(struct streams *s, struct err *err)
{
	const char *path = s->paths[0];
	int *end = s->terminal ? &s->carried[0] : &s->theirs[0];

	*end = open_named(path, O_RDONLY | O_NONBLOCK, err);
	if (*end < 0)
		return *end;
	if (is_fifo(path)) {
		/* There is a reader: it does not fail with ENXIO. */
		s->keep[0] = open_named(path, O_WRONLY | O_NONBLOCK, err);
		if (s->keep[0] < 0)
			return s->keep[0];
	}
	if (s->stdin_closed)
		close_one(&s->keep[0]);
	return s->terminal ? 0 : make_blocking(*end);
}

/* A fifo or another file that is there. */
static int open_output(struct streams *s, int i, bool readers, struct err *err)
{
	const int writing = O_WRONLY | O_APPEND | O_NONBLOCK;
	const char *path = s->paths[i];
	int *end = s->terminal ? &s->carried[i] : &s->theirs[i];

	if (is_fifo(path)) {
		/* Our own reading end would count. */
		if (readers) {
			*end = open(path, writing | O_CLOEXEC | O_NOCTTY);
			if (*end < 0 && errno == ENXIO)
				return -EAGAIN;
		}
		s->keep[i] = open_named(path, O_RDONLY | O_NONBLOCK, err);
		if (s->keep[i] < 0)
			return s->keep[i];
	}
	if (*end < 0)
		*end = open_named(path, writing, err);
	if (*end < 0)
		return *end;
	return s->terminal ? 0 : make_blocking(*end);
}

/* The directories above a file, as containerd makes them. */
static int make_parents(const char *path, struct err *err)
{
	AUTO_FREE char *copy = strdup(path);

	if (!copy)
		return err_sys(err, -ENOMEM, "%s", path);
	for (char *slash = strchr(copy + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (mkdir(copy, 0755) < 0 && errno != EEXIST)
			return err_sys(err, -errno, "make %s", copy);
		*slash = '/';
	}
	return 0;
}

static void on_over(void *arg)
{
	struct pump **pump = arg;

	pump_free(TAKE_PTR(*pump));
}

static int open_file(struct streams *s, int i, const char *path, struct err *err)
{
	int pair[2];
	int r;

	if (path[0] != '/')
		return err_set(err, -EINVAL, "%s: the path is not absolute", s->paths[i]);
	r = make_parents(path, err);
	if (r < 0)
		return r;
	/* Of a fifo without a reader, which would be waited for: ENXIO. */
	s->carried[i] =
		open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0644);
	if (s->carried[i] < 0)
		return err_sys(err, -errno, "open %s", path);
	if (s->terminal)
		return 0;
	if (pipe2(pair, O_CLOEXEC) < 0)
		return err_sys(err, -errno, "make a pipe");
	s->keep[i] = pair[0];
	s->theirs[i] = pair[1];
	if (fcntl(pair[0], F_SETFL, O_NONBLOCK) < 0)
		return err_sys(err, -errno, "fcntl");
	r = pump_new(s->loop, s->keep[i], s->carried[i], on_over, &s->pumps[i], &s->pumps[i]);
	if (r < 0)
		return err_sys(err, r, "carry to %s", path);
	pump_discard(s->pumps[i], s->paths[i]);
	return 0;
}

/* A pipe: the logger's end, and the process's or, with a terminal, the pump's. */
static int open_logger(struct streams *s, int i, struct err *err)
{
	int pair[2];

	if (pipe2(pair, O_CLOEXEC) < 0)
		return err_sys(err, -errno, "make a pipe");
	s->logger[i - 1] = pair[0];
	if (!s->terminal) {
		s->theirs[i] = pair[1];
	} else {
		s->carried[i] = pair[1];
		if (fcntl(pair[1], F_SETFL, O_NONBLOCK) < 0)
			return err_sys(err, -errno, "fcntl");
	}
	if (!s->logger_uri)
		s->logger_uri = strdup(s->paths[i]);
	return s->logger_uri ? 0 : err_sys(err, -ENOMEM, "%s", s->paths[i]);
}

int streams_open(struct streams *s, bool readers, struct err *err)
{
	int r = 0;

	for (int i = 0; r >= 0 && i < 3; i++) {
		const char *path = s->paths[i];

		/* A terminal has one output. */
		if (!path[0] || (s->terminal && i == 2) || s->theirs[i] >= 0 || s->carried[i] >= 0)
			continue;
		if (i == 0)
			r = open_stdin(s, err);
		else if (str_after(path, LOGGER_SCHEME))
			r = open_logger(s, i, err);
		else if (str_after(path, SCHEME_FILE))
			r = open_file(s, i, str_after(path, SCHEME_FILE), err);
		else
			r = open_output(s, i, readers, err);
	}
	return r < 0 ? r : 0;
}

int streams_own(const struct streams *s, uint32_t uid, uint32_t gid, struct err *err)
{
	for (int i = 0; i < 3; i++) {
		struct stat st;

		if (s->theirs[i] < 0 || fstat(s->theirs[i], &st) < 0 || !S_ISFIFO(st.st_mode))
			continue;
		if (fchown(s->theirs[i], uid, gid) < 0)
			return err_sys(err, -errno, "give stream %s to user %u", s->paths[i], uid);
	}
	return 0;
}

int streams_start_logger(const struct streams *s, const char *id, const char *ns, struct err *err)
{
	return s->logger_uri ? logger_start(s->logger_uri, s->logger, id, ns, err) : 0;
}

void streams_given(struct streams *s)
{
	for (int i = 0; i < 3; i++)
		close_one(&s->theirs[i]);
	close_one(&s->logger[0]);
	close_one(&s->logger[1]);
}

/* ---- Terminals ---- */

static void on_output_over(void *arg)
{
	struct streams *s = arg;

	pump_free(TAKE_PTR(s->pumps[1]));
	/* Who reads sees the end. */
	close_one(&s->carried[1]);
}

/* It has no output to carry to: what it writes goes nowhere, and does not stop it. */
static int open_nowhere(struct streams *s)
{
	if (s->carried[1] < 0)
		s->carried[1] = open("/dev/null", O_WRONLY | O_CLOEXEC);
	return s->carried[1] < 0 ? -errno : 0;
}

int streams_take_master(struct streams *s, int master, struct err *err)
{
	int r = 0;

	s->master = master;
	s->master_writes = fcntl(master, F_DUPFD_CLOEXEC, 3);
	if (s->master_writes < 0 || fcntl(master, F_SETFL, O_RDWR | O_NONBLOCK) < 0)
		r = -errno;
	if (r == 0)
		r = open_nowhere(s);
	if (r == 0)
		r = pump_new(s->loop, s->master, s->carried[1], on_output_over, s, &s->pumps[1]);
	if (r == 0) {
		pump_discard(s->pumps[1], s->paths[1]);
		r = pump_outlive_hangups(s->pumps[1]);
	}
	if (r == 0 && s->carried[0] >= 0)
		r = pump_new(s->loop, s->carried[0], s->master_writes, on_over, &s->pumps[0],
			     &s->pumps[0]);
	return r < 0 ? err_sys(err, r, "carry between the terminal and its streams") : 0;
}

void streams_ended(struct streams *s)
{
	pump_end_when_empty(s->pumps[1]);
}

bool streams_carried(const struct streams *s)
{
	return !s->pumps[1] && !s->pumps[2];
}

bool streams_read(const struct streams *s)
{
	for (int i = 1; i < 3; i++) {
		int held = 0;

		if (s->keep[i] >= 0 && ioctl(s->keep[i], FIONREAD, &held) == 0 && held > 0)
			return false;
	}
	return streams_carried(s);
}

int streams_resize(const struct streams *s, uint32_t rows, uint32_t columns)
{
	const struct winsize size = { .ws_row = (unsigned short)rows,
				      .ws_col = (unsigned short)columns };

	if (s->master < 0)
		return 0;
	if (rows > UINT16_MAX || columns > UINT16_MAX)
		return -ERANGE;
	return ioctl(s->master, TIOCSWINSZ, &size) < 0 ? -errno : 0;
}

void streams_close_stdin(struct streams *s)
{
	s->stdin_closed = true;
	close_one(&s->keep[0]);
}
