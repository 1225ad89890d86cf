/* SPDX-License-Identifier: Apache-2.0 */
#include "sentry/vfs/pipe.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "base/cleanup.h"
#include "sentry/vfs/anon.h"

#define POLL_READABLE (POLLIN | POLLRDNORM)
#define POLL_WRITABLE (POLLOUT | POLLWRNORM)

struct pipe_slot {
	char *page;
	unsigned int start, len; /* bytes */
	bool packet;
};

struct pipe {
	struct kmutex lock; /* slots: a copy to or from a guest may park */
	struct waitq wq;
	unsigned int files; /* descriptions that hold it */
	unsigned int readers, writers;
	unsigned int reader_count,
		writer_count;	       /* how many ever came: fifo_open() waits for that */
	unsigned int head, used, size; /* slots; the ring has `size` */
	struct pipe_slot *slots;
	char *spare; /* one page, so that a ping-pong does not allocate */
};

struct pipe_file {
	struct file file;
	struct pipe *pipe;
	unsigned int seen_writers; /* no POLLHUP while no writer came since the open */
};

static const struct file_ops pipe_ops;

static struct pipe *pipe_new(void)
{
	struct pipe *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	kmutex_init(&p->lock);
	waitq_init(&p->wq);
	p->size = PIPE_SLOTS_DEFAULT;
	p->slots = calloc(p->size, sizeof(*p->slots));
	if (!p->slots) {
		free(p);
		return NULL;
	}
	return p;
}

static void pipe_free(struct pipe *p)
{
	for (unsigned int i = 0; i < p->size; i++)
		free(p->slots[i].page);
	free(p->slots);
	free(p->spare);
	free(p);
}

static struct pipe_slot *slot_at(const struct pipe *p, unsigned int i)
{
	return &p->slots[(p->head + i) % p->size];
}

static bool pipe_full(const struct pipe *p)
{
	return p->used == p->size;
}

size_t pipe_bytes(const struct pipe *p)
{
	size_t n = 0;

	for (unsigned int i = 0; i < p->used; i++)
		n += slot_at(p, i)->len;
	return n;
}

size_t pipe_room(const struct pipe *p)
{
	return (size_t)(p->size - p->used) * PIPE_SLOT_BYTES;
}

bool pipe_has_writers(const struct pipe *p)
{
	return p->writers > 0;
}

bool pipe_has_readers(const struct pipe *p)
{
	return p->readers > 0;
}

void pipe_lock(struct pipe *p)
{
	kmutex_lock(&p->lock);
}

void pipe_unlock(struct pipe *p)
{
	kmutex_unlock(&p->lock);
}

/* Wait for events of one side only: a reader is not woken for room, nor a writer for data. */
#define PIPE_WAIT(p, events, cond)                                      \
	({                                                              \
		struct wait_fiber _wait;                                \
		int _r = 0;                                             \
		wait_fiber_init(&_wait, (events) | POLLHUP | POLLERR);  \
		waitq_add(&(p)->wq, &_wait.entry);                      \
		while (!(cond)) {                                       \
			_r = wait_result(fiber_park(NSEC_NEVER, true)); \
			if (_r < 0) {                                   \
				if (cond)                               \
					_r = 0;                         \
				break;                                  \
			}                                               \
		}                                                       \
		waitq_remove(&_wait.entry);                             \
		_r;                                                     \
	})

int pipe_wait_data(struct pipe *p, bool nonblock)
{
	if (p->used > 0 || p->writers == 0)
		return 0;
	if (nonblock)
		return -EAGAIN;
	return PIPE_WAIT(p, POLLIN, p->used > 0 || p->writers == 0);
}

int pipe_wait_room(struct pipe *p, bool nonblock)
{
	if (!pipe_full(p) || p->readers == 0)
		return 0;
	if (nonblock)
		return -EAGAIN;
	return PIPE_WAIT(p, POLLOUT, !pipe_full(p) || p->readers == 0);
}

/* The first slot is used up. */
static void drop_first(struct pipe *p)
{
	struct pipe_slot *slot = slot_at(p, 0);

	if (p->spare)
		free(slot->page);
	else
		p->spare = slot->page;
	*slot = (struct pipe_slot){ 0 };
	p->head = (p->head + 1) % p->size;
	if (p->used-- == p->size)
		waitq_wake(&p->wq, POLL_WRITABLE);
}

static struct pipe_slot *add_slot(struct pipe *p)
{
	struct pipe_slot *slot = slot_at(p, p->used);
	char *page = p->spare ? TAKE_PTR(p->spare) : malloc(PIPE_SLOT_BYTES);

	if (!page)
		return NULL;
	*slot = (struct pipe_slot){ .page = page };
	p->used++;
	return slot;
}

static ssize_t read_locked(struct pipe *p, struct uio *u)
{
	ssize_t done = 0;

	while (p->used > 0 && u->left > 0) {
		struct pipe_slot *slot = slot_at(p, 0);
		const size_t want = slot->len < u->left ? slot->len : u->left;
		const ssize_t n = uio_put(u, slot->page + slot->start, want);
		const bool packet = slot->packet;

		if (n < 0)
			return done ? done : n;
		slot->start += (unsigned int)n;
		slot->len -= (unsigned int)n;
		done += n;
		/* What does not fit of a packet is lost. */
		if (slot->len == 0 || packet)
			drop_first(p);
		if (packet || (size_t)n < want)
			break;
	}
	return done;
}

static ssize_t pipe_read(struct file *f, struct uio *u, uint64_t *pos)
{
	struct pipe *p = container_of(f, struct pipe_file, file)->pipe;
	ssize_t r = 0;

	if (u->left == 0)
		return 0;
	do {
		r = pipe_wait_data(p, file_io_flags(f, u) & O_NONBLOCK);
		if (r < 0)
			return r;
		pipe_lock(p);
		r = read_locked(p, u);
		pipe_unlock(p);
	} while (r == 0 && (p->used > 0 || p->writers > 0));
	return r;
}

/* Fill one slot with at most a page; a short tail is merged into the last one. */
static ssize_t put_some(struct pipe *p, struct uio *u, bool packet)
{
	const size_t tail = u->left % PIPE_SLOT_BYTES;
	struct pipe_slot *last = p->used ? slot_at(p, p->used - 1) : NULL;
	size_t want = u->left < PIPE_SLOT_BYTES ? u->left : PIPE_SLOT_BYTES;
	ssize_t n;

	if (tail && !packet && last && !last->packet &&
	    last->start + last->len + tail <= PIPE_SLOT_BYTES) {
		n = uio_get(u, last->page + last->start + last->len, tail);
		if (n > 0)
			last->len += (unsigned int)n;
		return n;
	}
	if (pipe_full(p))
		return 0;
	last = add_slot(p);
	if (!last)
		return -ENOMEM;
	n = uio_get(u, last->page, want);
	if (n > 0) {
		last->len = (unsigned int)n;
		last->packet = packet;
		return n;
	}
	p->spare = last->page;
	*last = (struct pipe_slot){ 0 };
	p->used--;
	waitq_wake(&p->wq, POLL_WRITABLE); /* it may have looked full meanwhile */
	return n;
}

static ssize_t write_locked(struct pipe *p, struct uio *u, bool packet)
{
	ssize_t done = 0;

	while (u->left > 0) {
		const ssize_t n = p->readers ? put_some(p, u, packet) : -EPIPE;

		if (n < 0)
			return done ? done : n;
		if (n == 0)
			break;
		done += n;
	}
	if (done)
		waitq_wake(&p->wq, POLL_READABLE);
	return done;
}

ssize_t pipe_put(struct pipe *p, struct uio *u)
{
	return write_locked(p, u, false);
}

static ssize_t pipe_write(struct file *f, struct uio *u, uint64_t *pos)
{
	struct pipe *p = container_of(f, struct pipe_file, file)->pipe;
	ssize_t done = 0;

	while (u->left > 0) {
		ssize_t r;

		pipe_lock(p);
		r = write_locked(p, u, f->flags & O_DIRECT);
		pipe_unlock(p);
		if (r > 0)
			done += r;
		else if (r == 0)
			r = pipe_wait_room(p, file_io_flags(f, u) & O_NONBLOCK);
		if (r < 0)
			return done ? done : r;
	}
	return done;
}

size_t pipe_peek(struct pipe *p, size_t skip, void *dst, size_t len)
{
	size_t done = 0;

	for (unsigned int i = 0; i < p->used && done < len; i++) {
		const struct pipe_slot *slot = slot_at(p, i);
		size_t n;

		if (skip >= slot->len) {
			skip -= slot->len;
			continue;
		}
		n = slot->len - skip;
		if (n > len - done)
			n = len - done;
		memcpy((char *)dst + done, slot->page + slot->start + skip, n);
		done += n;
		skip = 0;
		if (slot->packet)
			break;
	}
	return done;
}

void pipe_consume(struct pipe *p, size_t len)
{
	while (len > 0 && p->used > 0) {
		struct pipe_slot *slot = slot_at(p, 0);
		const size_t n = len < slot->len ? len : slot->len;

		slot->start += (unsigned int)n;
		slot->len -= (unsigned int)n;
		len -= n;
		if (slot->len == 0)
			drop_first(p);
	}
}

static uint32_t pipe_poll(struct file *f)
{
	const struct pipe_file *pf = container_of(f, struct pipe_file, file);
	const struct pipe *p = pf->pipe;
	uint32_t events = 0;

	if (f->mode & FMODE_READ) {
		if (p->used > 0)
			events |= POLL_READABLE;
		if (p->writers == 0 && p->writer_count != pf->seen_writers)
			events |= POLLHUP;
	}
	if (f->mode & FMODE_WRITE) {
		if (!pipe_full(p))
			events |= POLL_WRITABLE;
		if (p->readers == 0)
			events |= POLLERR;
	}
	return events;
}

static long pipe_ioctl(struct file *f, unsigned int cmd, uint64_t arg, struct user_memory *um)
{
	const struct pipe *p = container_of(f, struct pipe_file, file)->pipe;
	int n;

	if (cmd != FIONREAD)
		return -ENOTTY;
	n = (int)pipe_bytes(p);
	return user_copy_out(um, arg, &n, sizeof(n));
}

/* A side leaves: the other one sees the end. */
static void leave(struct pipe *p, uint32_t mode)
{
	if (mode & FMODE_READ)
		p->readers--;
	if (mode & FMODE_WRITE)
		p->writers--;
	if (p->readers == 0 || p->writers == 0)
		waitq_wake(&p->wq, POLL_READABLE | POLL_WRITABLE | POLLHUP | POLLERR);
}

static void put_pipe(struct pipe *p, struct inode *inode)
{
	if (--p->files > 0)
		return;
	if (inode && *inode_bound(inode) == p)
		*inode_bound(inode) = NULL;
	pipe_free(p);
}

static void pipe_release(struct file *f)
{
	struct pipe_file *pf = container_of(f, struct pipe_file, file);

	leave(pf->pipe, f->mode);
	put_pipe(pf->pipe, f->inode);
	file_fini(f);
	free(pf);
}

static const struct file_ops pipe_ops = {
	.read = pipe_read,
	.write = pipe_write,
	.poll = pipe_poll,
	.ioctl = pipe_ioctl,
	.release = pipe_release,
};

struct pipe *pipe_of(const struct file *f)
{
	return f->ops == &pipe_ops ? container_of(f, struct pipe_file, file)->pipe : NULL;
}

int pipe_get_size(const struct pipe *p)
{
	return (int)(p->size * PIPE_SLOT_BYTES);
}

int pipe_set_size(struct pipe *p, uint64_t bytes, bool may_exceed)
{
	struct pipe_slot *slots;
	unsigned int size = 1;

	if (bytes == 0 || bytes > INT32_MAX / 2)
		return -EINVAL;
	while ((uint64_t)size * PIPE_SLOT_BYTES < bytes)
		size *= 2;
	if (size > p->size && (uint64_t)size * PIPE_SLOT_BYTES > PIPE_BYTES_MAX && !may_exceed)
		return -EPERM;
	if (size < p->used)
		return -EBUSY;
	slots = calloc(size, sizeof(*slots));
	if (!slots)
		return -ENOMEM;
	pipe_lock(p);
	if (size < p->used) {
		pipe_unlock(p);
		free(slots);
		return -EBUSY;
	}
	for (unsigned int i = 0; i < p->used; i++)
		slots[i] = *slot_at(p, i);
	free(p->slots);
	p->slots = slots;
	p->head = 0;
	p->size = size;
	pipe_unlock(p);
	waitq_wake(&p->wq, POLL_WRITABLE);
	return pipe_get_size(p);
}

static struct pipe_file *pipe_file_new(struct pipe *p, uint32_t flags)
{
	struct pipe_file *pf = calloc(1, sizeof(*pf));

	if (!pf)
		return NULL;
	file_init(&pf->file, &pipe_ops, NULL, NULL, flags);
	pf->file.mode |= FMODE_STREAM;
	pf->file.wq = &p->wq;
	pf->pipe = p;
	p->files++;
	if (pf->file.mode & FMODE_READ) {
		p->readers++;
		p->reader_count++;
	}
	if (pf->file.mode & FMODE_WRITE) {
		p->writers++;
		p->writer_count++;
	}
	return pf;
}

static struct file *pipe_end(struct pipe *p, const struct path *path, const struct cred *cred,
			     uint32_t flags)
{
	struct pipe_file *pf = pipe_file_new(p, flags);

	if (!pf)
		return NULL;
	pf->file.path = path_ref(path);
	pf->file.inode = inode_ref(path->dentry->inode);
	pf->file.cred = cred ? cred_ref(cred) : NULL;
	return &pf->file;
}

int pipe_open(const struct cred *cred, uint32_t flags, struct file **ret_rd, struct file **ret_wr)
{
	struct pipe *p = pipe_new();
	struct file *rd, *wr;
	struct path path;
	int r;

	if (!p)
		return -ENOMEM;
	r = anon_path_new("pipe", NULL, S_IFIFO | 0600, cred, &path);
	if (r < 0) {
		pipe_free(p);
		return r;
	}
	p->files++;
	path.dentry->inode->bound = p;
	rd = pipe_end(p, &path, cred, O_RDONLY | (flags & O_NONBLOCK));
	wr = rd ? pipe_end(p, &path, cred, O_WRONLY | (flags & (O_NONBLOCK | O_DIRECT))) : NULL;
	put_pipe(p, path.dentry->inode);
	path_unref(&path);
	if (!wr) {
		file_unref(rd);
		return -ENOMEM;
	}
	*ret_rd = rd;
	*ret_wr = wr;
	return 0;
}

/* Wait for the other side, as fifo_open() of Linux. */
static int wait_partner(struct pipe_file *pf, uint32_t flags)
{
	struct pipe *p = pf->pipe;
	unsigned int seen;

	switch (pf->file.mode & (FMODE_READ | FMODE_WRITE)) {
	case FMODE_READ:
		if (p->writers > 0)
			return 0;
		if (flags & O_NONBLOCK) {
			pf->seen_writers = p->writer_count;
			return 0;
		}
		seen = p->writer_count;
		return WAIT_EVENT(&p->wq, p->writer_count != seen);
	case FMODE_WRITE:
		if (p->readers > 0)
			return 0;
		seen = p->reader_count;
		return WAIT_EVENT(&p->wq, p->reader_count != seen);
	default:
		return 0;
	}
}

int fifo_open(struct inode *inode, uint32_t flags, struct file **ret)
{
	struct pipe *p = *inode_bound(inode);
	struct pipe_file *pf;
	int r;

	if (!inode->sb->anonymous && (flags & O_ACCMODE) == O_WRONLY && flags & O_NONBLOCK &&
	    (!p || p->readers == 0))
		return -ENXIO;
	if (!p) {
		p = pipe_new();
		if (!p)
			return -ENOMEM;
		*inode_bound(inode) = p;
	}
	pf = pipe_file_new(p, flags);
	if (!pf) {
		p->files++;
		put_pipe(p, inode);
		return -ENOMEM;
	}
	waitq_wake(&p->wq, POLL_READABLE | POLL_WRITABLE);
	/* A pipe(2) that is opened again (/proc/self/fd/N) waits for nobody. */
	r = inode->sb->anonymous ? 0 : wait_partner(pf, flags);
	if (r < 0) {
		pf->file.inode = inode_ref(inode);
		pipe_release(&pf->file);
		return r;
	}
	*ret = &pf->file;
	return 0;
}
