/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Unix sockets of the host, where a root allows them. An address is a path and there is no
 * connectat(2): the working directory becomes /proc/self/fd, and the paths are "N" for a node and
 * "N/name" for a new name in one. Nothing else of the server's looks at the working directory.
 */
#include "gofer/server.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "base/sys.h"

#define MODE_BITS 07777u

static int new_socket(const struct gofer_server *s, uint32_t type)
{
	const long r = SYS1(SYS_fchdir, s->proc_fd);

	return r < 0 ? (int)r
		     : (int)SYS3(SYS_socket, AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
}

/* "N", or "N/name". -ENAMETOOLONG: an address is shorter than a path. */
static int name_socket(int fd, const char *name, struct sockaddr_un *ret)
{
	char text[GOFER_NUMBER_MAX];
	const char *number = gofer_number(fd, text);
	const size_t len = strlen(number), name_len = name ? strlen(name) : 0;

	*ret = (struct sockaddr_un){ .sun_family = AF_UNIX };
	if (len + 1 + name_len >= sizeof(ret->sun_path))
		return -ENAMETOOLONG;
	memcpy(ret->sun_path, number, len);
	if (name) {
		ret->sun_path[len] = '/';
		memcpy(ret->sun_path + len + 1, name, name_len);
	}
	return 0;
}

GOFER_HANDLER(connect)
{
	const struct gofer_held *node = gofer_node(s, r->connect.node);
	struct sockaddr_un un;
	int fd, ret;

	if (!node)
		return -EBADF;
	if (!(s->roots[node->root].flags & GOFER_ROOT_CONNECT))
		return GOFER_NO_SOCKETS;
	if (node->type != S_IFSOCK)
		return -ECONNREFUSED;
	fd = new_socket(s, r->connect.socket_type);
	if (fd < 0)
		return fd;
	ret = name_socket(node->fd, NULL, &un);
	if (ret == 0)
		ret = (int)SYS3(SYS_connect, fd, &un, sizeof(un));
	if (ret < 0) {
		(void)gofer_close_fd(fd);
		return ret;
	}
	gofer_give(out, fd);
	return 0;
}

/*
 * The node of a name that `sock` was just bound to, with owner and mode as asked; it listens last.
 * On failure the name is removed, unless it leads to another file by then or could not be looked
 * at.
 */
static int adopt(struct gofer_server *s, const struct gofer_held *dir, int sock,
		 const struct gofer_request *r, struct gofer_entry *ret)
{
	const struct gofer_bind *want = &r->bind;
	const int fd =
		(int)SYS4(SYS_openat, dir->fd, r->names[0], O_PATH | O_NOFOLLOW | O_CLOEXEC, 0);
	char text[GOFER_NUMBER_MAX];
	long e = fd < 0 ? fd : gofer_attr(fd, &ret->attr);

	if (e == 0 && !S_ISSOCK(ret->attr.mode))
		e = -ESTALE; /* the name was taken over on a shared volume */
	if (e < 0) {
		if (fd >= 0)
			(void)gofer_close_fd(fd);
		return (int)e;
	}
	if (ret->attr.uid != want->uid || ret->attr.gid != want->gid)
		e = SYS5(SYS_fchownat, fd, "", want->uid, want->gid, AT_EMPTY_PATH);
	if (e == 0 && (ret->attr.mode & MODE_BITS) != want->mode)
		e = SYS3(SYS_fchmodat, s->proc_fd, gofer_number(fd, text), want->mode);
	if (e == 0)
		e = gofer_attr(fd, &ret->attr);
	if (e == 0 && want->socket_type != SOCK_DGRAM)
		e = SYS2(SYS_listen, sock, GOFER_BACKLOG);
	if (e == 0)
		e = gofer_node_add_known(s, fd, dir->root, ret);
	else
		(void)gofer_close_fd(fd);
	if (e < 0)
		gofer_undo(dir->fd, r->names[0], &ret->attr);
	return (int)e;
}

GOFER_HANDLER(bind)
{
	struct gofer_entry *entry = (struct gofer_entry *)out->bytes;
	struct sockaddr_un un;
	struct gofer_held *dir;
	int fd, ret = gofer_node_writable(s, r->bind.dir, &dir);

	if (ret < 0)
		return ret;
	if (!(s->roots[dir->root].flags & GOFER_ROOT_BIND))
		return GOFER_NO_SOCKETS;
	if (dir->type != S_IFDIR)
		return -ENOTDIR;
	if (s->nodes_len >= s->nodes_max)
		return -ENFILE;
	fd = new_socket(s, r->bind.socket_type);
	if (fd < 0)
		return fd;
	ret = name_socket(dir->fd, r->names[0], &un);
	if (ret == 0)
		ret = (int)SYS3(SYS_bind, fd, &un, sizeof(un));
	if (ret == 0)
		ret = adopt(s, dir, fd, r, entry);
	if (ret < 0) {
		(void)gofer_close_fd(fd);
		return ret;
	}
	out->len = sizeof(*entry);
	gofer_give(out, fd);
	return 0;
}
