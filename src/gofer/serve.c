/* SPDX-License-Identifier: Apache-2.0 */
/* The connection: one message in, checked whole, done, one message out. */
#include "gofer/server.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "base/sys.h"

void gofer_server_init(struct gofer_server *s, int sock, int proc_fd, uint64_t nofile)
{
	const uint64_t others = GOFER_ROOTS_MAX + GOFER_STREAMS_MAX + GOFER_FDS_SPARE;
	const uint64_t nodes = nofile > others ? nofile - others : 0;

	s->sock = sock;
	s->proc_fd = proc_fd;
	s->came = -EBADF;
	s->nodes_max = nodes < GOFER_NODES_MAX ? (uint32_t)nodes : GOFER_NODES_MAX;
}

int gofer_server_add_root(struct gofer_server *s, int fd, uint32_t flags)
{
	if (s->roots_len >= GOFER_ROOTS_MAX)
		return -ENFILE;
	s->roots[s->roots_len++] = (struct gofer_root){ .fd = fd, .flags = flags };
	return 0;
}

void gofer_server_done(struct gofer_server *s)
{
	for (uint32_t i = 0; i < s->nodes_top; i++) {
		if (s->nodes[i].id)
			gofer_node_close(s, &s->nodes[i]);
	}
	for (uint32_t i = 0; i < s->roots_len; i++)
		(void)gofer_close_fd(s->roots[i].fd);
	s->roots_len = 0;
}

static int dispatch(struct gofer_server *s, const struct gofer_request *r, struct gofer_out *out)
{
	switch (r->type) {
	case GOFER_ATTACH:
		return gofer_do_attach(s, r, out);
	case GOFER_WALK:
		return gofer_do_walk(s, r, out);
	case GOFER_LOOKUP:
		return gofer_do_lookup(s, r, out);
	case GOFER_GETATTR:
		return gofer_do_getattr(s, r, out);
	case GOFER_SETATTR:
		return gofer_do_setattr(s, r, out);
	case GOFER_OPEN:
		return gofer_do_open(s, r, out);
	case GOFER_OPEN_MANY:
		return gofer_do_open_many(s, r, out);
	case GOFER_READER:
		return gofer_do_reader(s, r, out);
	case GOFER_CREATE:
		return gofer_do_create(s, r, out);
	case GOFER_TMPFILE:
		return gofer_do_tmpfile(s, r, out);
	case GOFER_STAY:
		return gofer_do_stay(s, r, out);
	case GOFER_MKDIR:
		return gofer_do_mkdir(s, r, out);
	case GOFER_SYMLINK:
		return gofer_do_symlink(s, r, out);
	case GOFER_MKNOD:
		return gofer_do_mknod(s, r, out);
	case GOFER_LINK:
		return gofer_do_link(s, r, out);
	case GOFER_UNLINK:
		return gofer_do_unlink(s, r, out);
	case GOFER_RENAME:
		return gofer_do_rename(s, r, out);
	case GOFER_READLINK:
		return gofer_do_readlink(s, r, out);
	case GOFER_READDIR:
		return gofer_do_readdir(s, r, out);
	case GOFER_STATFS:
		return gofer_do_statfs(s, r, out);
	case GOFER_GETXATTR:
		return gofer_do_getxattr(s, r, out);
	case GOFER_SETXATTR:
		return gofer_do_setxattr(s, r, out);
	case GOFER_LISTXATTR:
		return gofer_do_listxattr(s, r, out);
	case GOFER_REMOVEXATTR:
		return gofer_do_removexattr(s, r, out);
	case GOFER_FSYNC:
		return gofer_do_fsync(s, r, out);
	case GOFER_CLOSE:
		return gofer_do_close(s, r, out);
	case GOFER_COPY_RANGE:
		return gofer_do_copy_range(s, r, out);
	case GOFER_CONNECT:
		return gofer_do_connect(s, r, out);
	case GOFER_BIND:
		return gofer_do_bind(s, r, out);
	default:
		return -EPROTO; /* the decoder knows no others */
	}
}

static int finish(struct gofer_server *s, const struct gofer_request *r, int error, size_t len,
		  unsigned int fds)
{
	struct gofer_reply head = {
		.size = (uint32_t)sizeof(head),
		.type = r->type,
		.tag = r->tag,
		.error = error,
		.fds = fds,
	};

	if (error == 0)
		head.size += (uint32_t)len;
	memcpy(s->out, &head, sizeof(head));
	return (int)head.size;
}

int gofer_handle(struct gofer_server *s, const void *message, size_t len, struct gofer_fds *ret)
{
	struct gofer_out out = {
		.bytes = (char *)s->out + sizeof(struct gofer_reply),
		.room = GOFER_MESSAGE_MAX - sizeof(struct gofer_reply),
	};
	struct gofer_request request;
	int r = gofer_request_decode(message, len, &request);

	ret->len = 0;
	if (r == -EBADMSG || (s->came >= 0 && request.type != GOFER_READER))
		return -EBADMSG;
	if (r == 0)
		r = dispatch(s, &request, &out);
	*ret = out.fds;
	return finish(s, &request, r < 0 ? r : 0, out.len, out.fds.len);
}

static long send_reply(const struct gofer_server *s, size_t len, const struct gofer_fds *fds)
{
	const size_t fds_size = fds->len * sizeof(int);
	union {
		char bytes[CMSG_SPACE(GOFER_OPEN_MAX * sizeof(int))];
		struct cmsghdr head;
	} control = { 0 };
	struct iovec iov = { .iov_base = (void *)(uintptr_t)s->out, .iov_len = len };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	long r;

	if (fds_size) {
		msg.msg_control = control.bytes;
		msg.msg_controllen = CMSG_SPACE(fds_size);
		control.head.cmsg_level = SOL_SOCKET;
		control.head.cmsg_type = SCM_RIGHTS;
		control.head.cmsg_len = CMSG_LEN(fds_size);
		memcpy(CMSG_DATA(&control.head), fds->fd, fds_size);
	}
	do {
		r = SYS3(SYS_sendmsg, s->sock, &msg, MSG_NOSIGNAL);
	} while (r == -EINTR);
	return r;
}

/* Sends and closes `fds`. Descriptors that cannot travel now are an error of this request alone. */
static long reply_with(struct gofer_server *s, size_t len, const struct gofer_fds *fds)
{
	const struct gofer_fds none = { 0 };
	long r = send_reply(s, len, fds);

	for (unsigned int i = 0; i < fds->len; i++)
		(void)gofer_close_fd(fds->fd[i]);
	if (fds->len && (r == -ETOOMANYREFS || r == -ENOMEM)) {
		struct gofer_reply head;

		memcpy(&head, s->out, sizeof(head));
		head.size = sizeof(head);
		head.error = r == -ENOMEM ? -ENOMEM : -EMFILE;
		head.fds = 0;
		memcpy(s->out, &head, sizeof(head));
		r = send_reply(s, sizeof(head), &none);
	}
	return r;
}

/* Into s->in; a descriptor into s->came: there is room for one, more are dropped and told. */
static long receive(struct gofer_server *s)
{
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr head;
	} control;
	struct iovec iov = { .iov_base = s->in, .iov_len = sizeof(s->in) };
	struct msghdr msg = { .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = &control,
			      .msg_controllen = sizeof(control.bytes) };
	const long n = SYS3(SYS_recvmsg, s->sock, &msg, MSG_CMSG_CLOEXEC);

	if (n >= 0 && msg.msg_controllen >= CMSG_LEN(sizeof(int)) &&
	    control.head.cmsg_level == SOL_SOCKET && control.head.cmsg_type == SCM_RIGHTS)
		memcpy(&s->came, CMSG_DATA(&control.head), sizeof(s->came));
	return n > 0 && msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC) ? -EBADMSG : n;
}

int gofer_serve(struct gofer_server *s)
{
	for (;;) {
		const long n = receive(s);
		struct gofer_fds fds;
		long r;

		if (n == -EINTR)
			continue;
		if (n <= 0)
			return n == -ECONNRESET ? 0 : (int)n;
		r = gofer_handle(s, s->in, (size_t)n, &fds);
		if (s->came >= 0)
			(void)gofer_close_fd(s->came);
		s->came = -EBADF;
		if (r < 0)
			return (int)r;
		r = reply_with(s, (size_t)r, &fds);
		if (r < 0)
			return r == -EPIPE || r == -ECONNRESET ? 0 : (int)r;
	}
}
