/* SPDX-License-Identifier: Apache-2.0 */
#include "sentry/vfs/splice.h"

#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"

#define CHUNK_BYTES (64u * 1024)

static size_t chunk(uint64_t left)
{
	return left < CHUNK_BYTES ? (size_t)left : CHUNK_BYTES;
}

static ssize_t read_some(struct file *in, void *buf, size_t len, uint64_t *pos)
{
	struct iovec single;
	struct uio u;

	uio_init(&u, NULL, &single, (uintptr_t)buf, len);
	return file_read(in, &u, pos);
}

static ssize_t write_some(struct file *out, const void *buf, size_t len, uint64_t *pos,
			  uint64_t limit)
{
	struct iovec single;
	struct uio u;

	uio_init(&u, NULL, &single, (uintptr_t)buf, len);
	return file_write(out, &u, pos, limit);
}

ssize_t splice_files(struct file *in, uint64_t *in_pos, struct file *out, uint64_t *out_pos,
		     uint64_t len, uint64_t fsize_limit)
{
	AUTO_FREE char *buf = malloc(chunk(len ? len : 1));
	const bool seekable = !(in->mode & FMODE_STREAM);
	uint64_t pos = in_pos ? *in_pos : in->pos;
	uint64_t done = 0;
	ssize_t r = 0;

	if (!buf)
		return -ENOMEM;
	while (done < len) {
		const ssize_t n = read_some(in, buf, chunk(len - done), seekable ? &pos : NULL);

		r = n > 0 ? write_some(out, buf, (size_t)n, out_pos, fsize_limit) : n;
		if (seekable && n > 0) /* what was not written was not read */
			pos -= (uint64_t)(n - (r > 0 ? r : 0));
		if (r <= 0)
			break;
		done += (uint64_t)r;
		if (r < n)
			break;
		fiber_resched();
	}
	if (seekable)
		*(in_pos ? in_pos : &in->pos) = pos;
	return done ? (ssize_t)done : r;
}

/* With the pipe locked: what is in it, at most len bytes. */
static ssize_t empty_into(struct pipe *p, struct file *out, uint64_t *pos, size_t len, char *buf,
			  uint64_t fsize_limit)
{
	size_t done = 0;
	ssize_t r = 0;

	while (done < len) {
		const size_t n = pipe_peek(p, 0, buf, chunk(len - done));

		r = n ? write_some(out, buf, n, pos, fsize_limit) : 0;
		if (r <= 0)
			break;
		pipe_consume(p, (size_t)r);
		done += (size_t)r;
		if ((size_t)r < n)
			break;
	}
	return done ? (ssize_t)done : r;
}

ssize_t splice_from_pipe(struct pipe *p, struct file *out, uint64_t *pos, size_t len, bool nonblock,
			 uint64_t fsize_limit)
{
	AUTO_FREE char *buf = malloc(chunk(len));
	bool came_late;
	ssize_t r;

	if (!buf)
		return -ENOMEM;
	do {
		r = pipe_wait_data(p, nonblock);
		if (r < 0)
			return r;
		pipe_lock(p);
		/* Another reader may have taken it while this one waited for the lock. */
		came_late = !pipe_bytes(p) && pipe_has_writers(p);
		r = empty_into(p, out, pos, len, buf, fsize_limit);
		pipe_unlock(p);
	} while (came_late);
	return r;
}

/* All of it, however long the reader takes. */
static ssize_t put_all(struct pipe *p, char *buf, size_t len)
{
	struct iovec single;
	struct uio u;
	ssize_t done = 0;

	uio_init(&u, NULL, &single, (uintptr_t)buf, len);
	while (u.left > 0) {
		ssize_t r;

		pipe_lock(p);
		r = pipe_put(p, &u);
		pipe_unlock(p);
		if (r > 0)
			done += r;
		else if (r == 0)
			r = pipe_wait_room(p, false);
		if (r < 0)
			return done ? done : r;
	}
	return done;
}

ssize_t splice_to_pipe(struct file *in, uint64_t *pos, struct pipe *p, size_t len, bool nonblock)
{
	const bool seekable = !(in->mode & FMODE_STREAM);
	uint64_t at = pos ? *pos : in->pos;
	AUTO_FREE char *buf = NULL;
	ssize_t n, r = pipe_wait_room(p, nonblock);
	size_t room;

	if (r < 0)
		return r;
	room = pipe_room(p);
	if (len > room)
		len = room ? room : 1;
	buf = malloc(len);
	if (!buf)
		return -ENOMEM;
	n = read_some(in, buf, len, seekable ? &at : NULL);
	if (n <= 0)
		return n;
	r = put_all(p, buf, (size_t)n);
	if (seekable)
		*(pos ? pos : &in->pos) = at - (uint64_t)(n - (r > 0 ? r : 0));
	return r;
}

/* Once, with what is there; 0 also when another one was faster: *ret_late. */
static ssize_t move_some(struct pipe *from, struct pipe *to, size_t len, bool keep, bool *ret_late)
{
	AUTO_FREE char *buf = NULL;
	struct iovec single;
	struct uio u;
	size_t n;
	ssize_t r = 0;

	if (len > pipe_room(to))
		len = pipe_room(to);
	buf = malloc(len ? len : 1);
	if (!buf)
		return -ENOMEM;
	/* Nobody parks from here on, but for guests, whose memory is not touched. */
	pipe_lock(from < to ? from : to);
	pipe_lock(from < to ? to : from);
	n = pipe_peek(from, 0, buf, len < pipe_room(to) ? len : pipe_room(to));
	uio_init(&u, NULL, &single, (uintptr_t)buf, n);
	*ret_late = !n && pipe_has_readers(to) && (pipe_bytes(from) || pipe_has_writers(from));
	if (n)
		r = pipe_put(to, &u);
	else if (!pipe_has_readers(to))
		r = -EPIPE;
	if (r > 0 && !keep)
		pipe_consume(from, (size_t)r);
	pipe_unlock(from);
	pipe_unlock(to);
	return r;
}

ssize_t splice_pipes(struct pipe *from, struct pipe *to, size_t len, bool nonblock, bool keep)
{
	bool came_late = false;
	ssize_t r;

	do {
		r = pipe_wait_data(from, nonblock);
		if (r == 0)
			r = pipe_wait_room(to, nonblock);
		if (r < 0)
			return r;
		r = move_some(from, to, len, keep, &came_late);
	} while (r == 0 && came_late);
	return r;
}
