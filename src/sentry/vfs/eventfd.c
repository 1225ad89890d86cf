/* SPDX-License-Identifier: Apache-2.0 */
#include "sentry/vfs/eventfd.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>

#include "sentry/vfs/anon.h"

#define COUNT_MAX (UINT64_MAX - 1)

struct eventfd {
	struct file file;
	struct waitq wq;
	uint64_t count;
	bool semaphore;
};

static ssize_t efd_read(struct file *f, struct uio *u, uint64_t *pos)
{
	struct eventfd *e = container_of(f, struct eventfd, file);
	uint64_t value;
	ssize_t n;

	if (u->left < sizeof(value))
		return -EINVAL;
	while (e->count == 0) {
		int r;

		if (file_io_flags(f, u) & O_NONBLOCK)
			return -EAGAIN;
		r = WAIT_EVENT(&e->wq, e->count > 0);
		if (r < 0)
			return r;
	}
	value = e->semaphore ? 1 : e->count;
	e->count -= value;
	waitq_wake(&e->wq, POLLOUT | POLLWRNORM);
	n = uio_put(u, &value, sizeof(value));
	return n == (ssize_t)sizeof(value) ? n : -EFAULT;
}

static ssize_t efd_write(struct file *f, struct uio *u, uint64_t *pos)
{
	struct eventfd *e = container_of(f, struct eventfd, file);
	uint64_t value;

	if (u->left < sizeof(value))
		return -EINVAL;
	if (uio_get(u, &value, sizeof(value)) != (ssize_t)sizeof(value))
		return -EFAULT;
	if (value == UINT64_MAX)
		return -EINVAL;
	while (value > COUNT_MAX - e->count) {
		int r;

		if (file_io_flags(f, u) & O_NONBLOCK)
			return -EAGAIN;
		r = WAIT_EVENT(&e->wq, value <= COUNT_MAX - e->count);
		if (r < 0)
			return r;
	}
	e->count += value;
	waitq_wake(&e->wq, POLLIN | POLLRDNORM);
	return sizeof(value);
}

static uint32_t eventfd_poll(struct file *f)
{
	const struct eventfd *e = container_of(f, struct eventfd, file);
	uint32_t events = 0;

	if (e->count > 0)
		events |= POLLIN | POLLRDNORM;
	if (e->count == UINT64_MAX)
		events |= POLLERR;
	if (e->count < COUNT_MAX)
		events |= POLLOUT | POLLWRNORM;
	return events;
}

static int eventfd_show(struct file *f, char *buf, size_t len)
{
	const struct eventfd *e = container_of(f, struct eventfd, file);

	(void)snprintf(buf, len, "eventfd-count: %16llx\n", (unsigned long long)e->count);
	return 0;
}

static void eventfd_release(struct file *f)
{
	file_fini(f);
	free(container_of(f, struct eventfd, file));
}

static const struct file_ops eventfd_ops = {
	.read = efd_read,
	.write = efd_write,
	.poll = eventfd_poll,
	.show_fdinfo = eventfd_show,
	.release = eventfd_release,
};

int eventfd_open(const struct cred *cred, uint64_t count, uint32_t flags, struct file **ret)
{
	struct eventfd *e = calloc(1, sizeof(*e));
	int r;

	if (!e)
		return -ENOMEM;
	r = anon_file_init(&e->file, &eventfd_ops, "[eventfd]", cred,
			   O_RDWR | (flags & EFD_NONBLOCK));
	if (r < 0) {
		free(e);
		return r;
	}
	waitq_init(&e->wq);
	e->file.wq = &e->wq;
	e->file.mode |= FMODE_STREAM;
	e->count = count;
	e->semaphore = flags & EFD_SEMAPHORE;
	*ret = &e->file;
	return 0;
}

int eventfd_signal(struct file *f, uint64_t n)
{
	struct eventfd *e;

	if (f->ops != &eventfd_ops)
		return -EINVAL;
	e = container_of(f, struct eventfd, file);
	e->count = n > UINT64_MAX - e->count ? UINT64_MAX : e->count + n;
	waitq_wake(&e->wq, POLLIN | POLLRDNORM);
	return 0;
}
