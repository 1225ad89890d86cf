/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The side that asks. Nothing of an answer is believed: descriptors must be sealed memfds of the
 * size that was said, and the key is compared as a whole.
 */
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/str.h"
#include "runtime/vm/holder.h"

#define SEALS (F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW)

void template_done(struct template *t)
{
	auto_close_p(&t->memory);
	auto_close_p(&t->state);
	*t = (struct template)TEMPLATE_INIT;
}

void holder_done(struct holder *h)
{
	template_done(&h->t);
	free(h->text);
	auto_close_p(&h->pidfd);
	*h = (struct holder)HOLDER_INIT;
}

/* ---- The directory ---- */

int template_dir(const struct runtime *rt, char ret[static PATH_MAX], struct err *err)
{
	const char *dir = rt->vm.template_dir;
	const int n = dir && *dir ? snprintf(ret, PATH_MAX, "%s", dir)
				  : snprintf(ret, PATH_MAX, "%s/@templates", rt->root);

	return n < PATH_MAX ? 0 : err_set(err, -ENAMETOOLONG, "the directory of templates");
}

int holder_open_dir(const struct runtime *rt, bool make, struct err *err)
{
	AUTO_CLOSE int fd = -EBADF;
	char path[PATH_MAX];
	struct stat st;
	int r = template_dir(rt, path, err);

	if (r < 0)
		return r;
	if (make && mkdir(path, 0700) < 0 && errno != EEXIST)
		return err_sys(err, -errno, "make directory of templates %s", path);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		return err_sys(err, -errno, "directory of templates %s", path);
	if (st.st_uid != geteuid() || st.st_mode & 0022)
		return err_set(err, -EPERM,
			       "directory of templates %s: it belongs to user %u and has mode "
			       "%04o, where it must be the caller's, and nobody else may write",
			       path, st.st_uid, st.st_mode & 07777);
	return TAKE_FD(fd);
}

int holder_lock_dir(int dir_fd, bool wait, struct err *err)
{
	while (flock(dir_fd, wait ? LOCK_EX : LOCK_EX | LOCK_NB) < 0) {
		if (errno == EWOULDBLOCK)
			return -EAGAIN;
		if (errno != EINTR)
			return err_sys(err, -errno, "lock the directory of templates");
	}
	return 0;
}

/* ---- The answer ---- */

static struct timeval time_of(int ms)
{
	return (struct timeval){ .tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000 };
}

static int check_file(int fd, uint64_t size)
{
	const int seals = fcntl(fd, F_GET_SEALS);
	struct stat st;

	return seals >= 0 && (seals & SEALS) == SEALS && fstat(fd, &st) == 0 && st.st_size > 0 &&
			       (!size || (uint64_t)st.st_size == size)
		       ? 0
		       : -EPROTO;
}

static int take_answer(const char *bytes, size_t len, const int *fds, size_t nfds,
		       struct holder *ret, struct err *err)
{
	struct template_head head;

	if (len < sizeof(head) || nfds != TEMPLATE_FDS)
		return err_set(err, -EPROTO, "it sends %zu bytes and %zu descriptors", len, nfds);
	memcpy(&head, bytes, sizeof(head));
	if (head.magic != TEMPLATE_MAGIC || head.text_len == 0 ||
	    head.text_len > TEMPLATE_TEXT_MAX || head.text_len != len - sizeof(head) ||
	    memchr(bytes + sizeof(head), '\0', head.text_len))
		return err_set(err, -EPROTO, "its message is not that of a template");
	if (!head.memory || check_file(fds[TEMPLATE_FD_MEMORY], head.memory) < 0 ||
	    check_file(fds[TEMPLATE_FD_STATE], 0) < 0)
		return err_set(err, -EPROTO,
			       "its files are not sealed, or have not the size it says");
	ret->text = strndup(bytes + sizeof(head), head.text_len);
	if (!ret->text)
		return err_sys(err, -ENOMEM, "template");
	ret->memory = head.memory;
	ret->t = (struct template){ .memory = fds[TEMPLATE_FD_MEMORY],
				    .state = fds[TEMPLATE_FD_STATE],
				    .created_ns = head.created_ns };
	return 0;
}

int holder_receive(int sock, int timeout_ms, struct holder *ret, struct err *err)
{
	const struct timeval limit = time_of(timeout_ms);
	/* A byte more than is allowed shows what was cut off. */
	char bytes[sizeof(struct template_head) + TEMPLATE_TEXT_MAX + 1];
	int fds[FD_PASS_MAX];
	size_t nfds = ARRAY_LEN(fds);
	ssize_t n;
	int r;

	(void)setsockopt(sock, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	n = fd_recv(sock, bytes, sizeof(bytes), fds, &nfds);
	if (n == -EAGAIN)
		return err_set(err, -ETIMEDOUT, "it does not answer within %d ms", timeout_ms);
	if (n == 0 || n == -ECONNRESET)
		return err_set(err, -ECONNREFUSED, "it ends without an answer");
	if (n < 0)
		return err_sys(err, -EPROTO, "its message");
	r = take_answer(bytes, (size_t)n, fds, nfds, ret, err);
	for (size_t i = 0; r < 0 && i < nfds; i++)
		(void)close(fds[i]);
	return r;
}

/* ---- Asking ---- */

static int dial(int dir_fd, const char *name, int timeout_ms, struct err *err)
{
	const struct timeval limit = time_of(timeout_ms);
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	AUTO_CLOSE int sock = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	if (sock < 0)
		return err_sys(err, -errno, "socket");
	(void)snprintf(address.sun_path, sizeof(address.sun_path),
		       "/proc/self/fd/%d/%.32s/" HOLDER_SOCKET, dir_fd, name);
	/* unix(7): connect(2) waits for a place in the backlog as long as SO_SNDTIMEO says. */
	(void)setsockopt(sock, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	while (connect(sock, (struct sockaddr *)&address, sizeof(address)) < 0) {
		if (errno == EAGAIN)
			return err_set(err, -ETIMEDOUT, "nobody takes a connection within %d ms",
				       timeout_ms);
		if (errno != EINTR)
			return err_sys(err, errno == ENOENT ? -ENOENT : -ECONNREFUSED,
				       "connect to %s", name);
	}
	return TAKE_FD(sock);
}

/*
 * Who listens: its number is that of a process that lived when it was opened, if the connection has
 * not ended since. -EPERM: whoever it is, it did not begin as one of ours.
 */
static int identify(int sock, struct holder *ret, struct err *err)
{
	struct pollfd p = { .fd = sock, .events = POLLIN };
	struct ucred peer = { 0 };
	socklen_t len = sizeof(peer);
	int fd;

	if (getsockopt(sock, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0 || peer.uid != geteuid())
		return err_set(err, -EPROTO, "user %u listens", peer.uid);
	fd = peer.pid > 0 ? (int)syscall(SYS_pidfd_open, peer.pid, 0) : -1;
	if (fd < 0)
		return 0;
	if (poll(&p, 1, 0) > 0 && p.revents & POLLHUP && !(p.revents & POLLIN)) {
		(void)close(fd);
		return 0;
	}
	ret->pid = peer.pid;
	ret->pidfd = fd;
	return 0;
}

int holder_ask(int dir_fd, const char *name, int timeout_ms, struct holder *ret, struct err *err)
{
	AUTO_CLOSE int sock = dial(dir_fd, name, timeout_ms, err);
	int r;

	if (sock < 0)
		return sock;
	r = identify(sock, ret, err);
	return r < 0 ? r : holder_receive(sock, timeout_ms, ret, err);
}

int template_take(const struct runtime *rt, const struct template_plan *plan, struct template *ret,
		  struct err *err)
{
	AUTO_TEMPLATE_KEY struct template_key key = { 0 };
	AUTO_HOLDER struct holder h = HOLDER_INIT;
	AUTO_CLOSE int dir = -EBADF;
	struct err why = { 0 };
	int r = template_key(plan, &key, err);

	if (r < 0)
		return r;
	dir = holder_open_dir(rt, false, &why);
	r = dir < 0 ? dir : holder_ask(dir, key.hash, TEMPLATE_TAKE_MS, &h, &why);
	if (r == 0 && (!str_eq(h.text, key.text) || h.memory != plan->memory))
		r = err_set(&why, -EPROTO, "it is of another key");
	if (r < 0) {
		log_debug("template %s: %s", key.hash, why.msg);
		return err_set(err, -ENOENT, "template %s: %s", key.hash, why.msg);
	}
	*ret = h.t;
	h.t = (struct template)TEMPLATE_INIT;
	return 0;
}
