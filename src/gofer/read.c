/* SPDX-License-Identifier: Apache-2.0 */
/* Requests that change nothing but tables: attach, walk, attributes, open, close. */
#include "gofer/server.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>

#include "base/sys.h"

/* Handlers fill fields of this size at the start of the reply's body; there is always room. */
static void say(struct gofer_out *out, const void *fields, size_t len)
{
	memcpy(out->bytes + out->len, fields, len);
	out->len += len;
}

GOFER_HANDLER(attach)
{
	struct gofer_attach_reply reply = { 0 };
	struct statfs st;
	int fd, ret;

	if (r->attach.version != GOFER_MSG_VERSION)
		return -EPROTONOSUPPORT;
	if (r->attach.root >= s->roots_len)
		return -EBADF;
	fd = (int)SYS3(SYS_fcntl, s->roots[r->attach.root].fd, F_DUPFD_CLOEXEC, 0);
	if (fd < 0)
		return fd;
	ret = (int)SYS2(SYS_fstatfs, fd, &st);
	if (ret < 0) {
		(void)gofer_close_fd(fd);
		return ret;
	}
	ret = gofer_node_add(s, fd, (uint16_t)r->attach.root, &reply.entry);
	if (ret < 0)
		return ret;
	reply.fs_type = (uint32_t)st.f_type;
	reply.flags = s->roots[r->attach.root].flags;
	if (!(st.f_flags & (ST_RDONLY | ST_NOATIME | ST_RELATIME)))
		reply.flags |= GOFER_ROOT_ATIME;
	say(out, &reply, sizeof(reply));
	return 0;
}

/* One component below a directory. */
static int step(struct gofer_server *s, int dir, uint16_t root, const char *name,
		struct gofer_entry *ret)
{
	const int fd = (int)SYS4(SYS_openat, dir, name, O_PATH | O_NOFOLLOW | O_CLOEXEC, 0);

	return fd < 0 ? fd : gofer_node_add(s, fd, root, ret);
}

GOFER_HANDLER(walk)
{
	const struct gofer_held *node = gofer_node(s, r->walk.node);
	struct gofer_walk_reply reply = { 0 };
	struct gofer_entry entry;
	uint16_t root;

	if (!node)
		return -EBADF;
	root = node->root;
	out->len = sizeof(reply);
	for (unsigned int i = 0; i < r->names_len && node->type != S_IFLNK; i++) {
		if (node->type != S_IFDIR)
			reply.stop = -ENOTDIR;
		else
			reply.stop = step(s, node->fd, root, r->names[i], &entry);
		if (reply.stop < 0)
			break;
		say(out, &entry, sizeof(entry));
		reply.found++;
		node = gofer_node(s, entry.node);
	}
	if (reply.found == 0 && (reply.stop == 0 || reply.stop == -ENFILE))
		return reply.stop ? reply.stop : -ENOTDIR; /* no room; from a link */
	memcpy(out->bytes, &reply, sizeof(reply));
	return 0;
}

GOFER_HANDLER(lookup)
{
	const struct gofer_held *dir = gofer_node(s, r->lookup.dir);
	const struct gofer_lookup_reply reply = { .count = r->names_len };

	if (!dir)
		return -EBADF;
	if (dir->type != S_IFDIR)
		return -ENOTDIR;
	say(out, &reply, sizeof(reply));
	for (unsigned int i = 0; i < r->names_len; i++) {
		struct gofer_lookup_result result = { 0 };

		result.error = step(s, dir->fd, dir->root, r->names[i], &result.entry);
		if (result.error)
			result.entry = (struct gofer_entry){ 0 };
		say(out, &result, sizeof(result));
	}
	return 0;
}

GOFER_HANDLER(getattr)
{
	const struct gofer_held *node = gofer_node(s, r->node.node);
	struct gofer_attr attr;
	const int ret = node ? gofer_attr(node->fd, &attr) : -EBADF;

	if (ret == 0)
		say(out, &attr, sizeof(attr));
	return ret;
}

GOFER_HANDLER(open)
{
	struct gofer_held *node = gofer_node(s, r->open.node);
	struct gofer_attr attr;
	int fd, ret;

	if (!node)
		return -EBADF;
	if (r->open.flags & GOFER_OPEN_WRITE) {
		ret = gofer_node_writable(s, r->open.node, &node);
		if (ret < 0)
			return ret;
	}
	fd = gofer_open_regular(s, node, r->open.flags, &attr);
	if (fd < 0)
		return fd;
	say(out, &attr, sizeof(attr));
	gofer_give(out, fd);
	return 0;
}

GOFER_HANDLER(open_many)
{
	const struct gofer_open_many_reply reply = { .count = r->open_many.count };
	const char *ids = r->blob;

	say(out, &reply, sizeof(reply));
	for (uint32_t i = 0; i < reply.count; i++) {
		const struct gofer_held *node;
		struct gofer_attr attr;
		int32_t error = 0;
		uint64_t id;
		int fd;

		memcpy(&id, ids + i * sizeof(id), sizeof(id));
		node = gofer_node(s, id);
		fd = node ? gofer_open_regular(s, node, GOFER_OPEN_READ, &attr) : -EBADF;
		if (fd < 0)
			error = fd;
		else
			gofer_give(out, fd);
		say(out, &error, sizeof(error));
	}
	return 0;
}

GOFER_HANDLER(readlink)
{
	const struct gofer_held *node = gofer_node(s, r->node.node);
	struct gofer_bytes_reply reply = { 0 };
	long n;

	if (!node)
		return -EBADF;
	if (node->type != S_IFLNK)
		return -EINVAL;
	n = SYS4(SYS_readlinkat, node->fd, "", out->bytes + sizeof(reply), GOFER_SYMLINK_MAX + 1);
	if (n < 0)
		return (int)n;
	if (n == 0 || n > GOFER_SYMLINK_MAX)
		return -ENAMETOOLONG;
	reply.len = (uint32_t)n;
	say(out, &reply, sizeof(reply));
	out->len += (size_t)n;
	return 0;
}

GOFER_HANDLER(statfs)
{
	const struct gofer_held *node = gofer_node(s, r->node.node);
	struct gofer_statfs_reply reply;
	struct statfs st;
	long n;

	if (!node)
		return -EBADF;
	n = SYS2(SYS_fstatfs, node->fd, &st);
	if (n < 0)
		return (int)n;
	reply = (struct gofer_statfs_reply){
		.type = (uint64_t)st.f_type,
		.block_size = (uint64_t)st.f_bsize,
		.fragment_size = (uint64_t)st.f_frsize,
		.blocks = st.f_blocks,
		.blocks_free = st.f_bfree,
		.blocks_available = st.f_bavail,
		.files = st.f_files,
		.files_free = st.f_ffree,
		.name_max = (uint64_t)st.f_namelen,
		.flags = (uint64_t)st.f_flags,
	};
	memcpy(&reply.fsid, &st.f_fsid, sizeof(reply.fsid));
	say(out, &reply, sizeof(reply));
	return 0;
}

GOFER_HANDLER(close)
{
	const char *ids = r->blob;
	uint64_t id;

	for (uint32_t i = 0; i < r->close.count; i++) {
		memcpy(&id, ids + i * sizeof(id), sizeof(id));
		if (!gofer_node(s, id))
			return -EBADF;
	}
	for (uint32_t i = 0; i < r->close.count; i++) {
		struct gofer_held *node;

		memcpy(&id, ids + i * sizeof(id), sizeof(id));
		node = gofer_node(s, id); /* NULL: named twice */
		if (node)
			gofer_node_close(s, node);
	}
	return 0;
}
