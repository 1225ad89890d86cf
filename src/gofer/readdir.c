/* SPDX-License-Identifier: Apache-2.0 */
/*
 * READDIR. A few directories that are being read stay open: a file system whose positions mean
 * something only within one open directory (overlayfs, old tmpfs) then neither repeats nor skips
 * entries while a client removes what it has read. The least recently used one makes way; the
 * client goes on at its cookie all the same, as with any directory that is opened again.
 */
#include "gofer/server.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/sys.h"

/* getdents64(2) */
struct host_dirent {
	uint64_t ino;
	int64_t off;
	uint16_t reclen;
	uint8_t type;
	char name[];
} __attribute__((packed));

static void stream_close(struct gofer_stream *stream)
{
	if (stream->node)
		(void)gofer_close_fd(stream->fd);
	*stream = (struct gofer_stream){ .fd = -EBADF };
}

void gofer_streams_forget(struct gofer_server *s, uint64_t node)
{
	for (unsigned int i = 0; i < GOFER_STREAMS_MAX; i++) {
		if (s->streams[i].node == node)
			stream_close(&s->streams[i]);
	}
}

static struct gofer_stream *find_or_oldest(struct gofer_server *s, uint64_t node)
{
	struct gofer_stream *oldest = &s->streams[0];

	for (unsigned int i = 0; i < GOFER_STREAMS_MAX; i++) {
		if (s->streams[i].node == node)
			return &s->streams[i];
		if (s->streams[i].used < oldest->used)
			oldest = &s->streams[i];
	}
	return oldest;
}

/* The open directory of a node, positioned at the cookie. */
static int stream_at(struct gofer_server *s, const struct gofer_held *node, uint64_t cookie,
		     struct gofer_stream **ret)
{
	struct gofer_stream *stream = find_or_oldest(s, node->id);
	long r;

	if (stream->node != node->id) {
		stream_close(stream);
		r = gofer_reopen(s, node->fd, O_RDONLY | O_DIRECTORY | O_NONBLOCK);
		if (r < 0)
			return (int)r;
		*stream = (struct gofer_stream){ .node = node->id, .fd = (int)r };
	}
	stream->used = ++s->uses;
	*ret = stream;
	/* Also from 0 to 0: entries that came after the directory was opened. */
	if (cookie == stream->cookie && cookie != 0)
		return 0;
	r = SYS3(SYS_lseek, stream->fd, cookie, SEEK_SET);
	if (r < 0) {
		stream_close(stream);
		return (int)r;
	}
	stream->cookie = cookie;
	return 0;
}

static bool is_dots(const char *name)
{
	return name[0] == '.' && (name[1] == '\0' || (name[1] == '.' && name[2] == '\0'));
}

/*
 * Copies what the host returned. A host entry is never smaller than ours, and no more bytes were
 * asked of the host than there is room for.
 */
static uint32_t put_batch(struct gofer_stream *stream, const char *batch, long n,
			  struct gofer_out *out)
{
	uint32_t count = 0;

	for (long at = 0; at < n;) {
		const struct host_dirent *d = (const void *)(batch + at);
		const size_t name_len = strlen(d->name);
		const struct gofer_dirent head = { .ino = d->ino,
						   .cookie = (uint64_t)d->off,
						   .type = d->type,
						   .name_len = (uint8_t)name_len };

		at += d->reclen;
		stream->cookie = (uint64_t)d->off;
		if (is_dots(d->name))
			continue;
		memcpy(out->bytes + out->len, &head, sizeof(head));
		memcpy(out->bytes + out->len + sizeof(head), d->name, name_len + 1);
		out->len += sizeof(head) + name_len + 1;
		count++;
	}
	return count;
}

/* Fills the reply up to `end`. 1 at the end of the directory, 0 when full, -errno. */
static int fill(struct gofer_server *s, struct gofer_stream *stream, size_t end,
		struct gofer_out *out, uint32_t *count)
{
	for (;;) {
		const long n = SYS3(SYS_getdents64, stream->fd, s->scratch, end - out->len);

		if (n == -EINVAL && *count)
			return 0; /* the next entry does not fit */
		if (n <= 0)
			return n < 0 ? (int)n : 1;
		*count += put_batch(stream, s->scratch, n, out);
	}
}

GOFER_HANDLER(readdir)
{
	const struct gofer_held *node = gofer_node(s, r->readdir.node);
	struct gofer_readdir_reply reply = { 0 };
	struct gofer_stream *stream;
	const size_t room = out->room - sizeof(reply);
	const size_t max = r->readdir.max_bytes;
	int ret;

	if (!node)
		return -EBADF;
	if (node->type != S_IFDIR)
		return -ENOTDIR;
	ret = stream_at(s, node, r->readdir.cookie, &stream);
	if (ret < 0)
		return ret;
	out->len = sizeof(reply);
	ret = fill(s, stream, sizeof(reply) + (max && max < room ? max : room), out, &reply.count);
	if (ret < 0) {
		stream_close(stream);
		return ret;
	}
	reply.eof = (uint32_t)ret;
	memcpy(out->bytes, &reply, sizeof(reply));
	return 0;
}

_Static_assert(sizeof(struct gofer_dirent) <= offsetof(struct host_dirent, name),
	       "ours is smaller");
