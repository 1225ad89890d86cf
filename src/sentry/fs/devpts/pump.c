/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/fs/devpts/pump.c - moves bytes between a master inside and the host's terminal.
 */
#include "sentry/fs/devpts/pump.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "sentry/fs/devpts/internal.h"
#include "sentry/fs/devtmpfs/host_file.h"

#define PUMP_CHUNK 4096u

struct tty_pump {
	struct file *master, *host; /* one reference each */
	unsigned int running;	    /* fibers */
	bool finished;		    /* no more input is wanted */
	bool out_ended;		    /* everything is out */
	struct waitq changed;
};

static void pump_put(struct tty_pump *p)
{
	if (--p->running)
		return;
	file_unref(p->master);
	file_unref(p->host);
	free(p);
}

static ssize_t write_all(struct tty_pump *p, struct file *to, char *bytes, size_t len)
{
	while (len) {
		struct iovec iov;
		struct uio u;
		ssize_t n;

		uio_init(&u, NULL, &iov, (uint64_t)(uintptr_t)bytes, len);
		n = to->ops->write(to, &u, NULL);
		if (n < 0)
			return n;
		bytes += n;
		len -= (size_t)n;
	}
	return 0;
}

static void pump_bytes(struct tty_pump *p, struct file *from, struct file *to)
{
	char *bytes = malloc(PUMP_CHUNK);

	while (bytes) {
		struct iovec iov;
		struct uio u;
		ssize_t n;

		uio_init(&u, NULL, &iov, (uint64_t)(uintptr_t)bytes, PUMP_CHUNK);
		n = from->ops->read(from, &u, NULL);
		if (n <= 0 || write_all(p, to, bytes, (size_t)n) < 0)
			break;
	}
	free(bytes);
}

/* Until the slave's last file is closed and all is read; a new one may be opened then. */
static void outwards(void *arg)
{
	struct tty_pump *p = arg;

	for (;;) {
		pump_bytes(p, p->master, p->host);
		if (p->finished)
			break;
		(void)WAIT_ON(p->master->wq,
			      p->finished || !(p->master->ops->poll(p->master) & POLLHUP),
			      NSEC_NEVER, false);
	}
	p->out_ended = true;
	waitq_wake(&p->changed, WAIT_ALL);
	pump_put(p);
}

static void inwards(void *arg)
{
	struct tty_pump *p = arg;

	pump_bytes(p, p->host, p->master);
	/* The host's side hung up. */
	if (!p->out_ended)
		tty_master_gone(tty_file_check(p->master)->tty);
	pump_put(p);
}

int tty_pump_start(struct file *master, int host_fd, struct tty_pump **ret)
{
	struct tty_pump *p = calloc(1, sizeof(*p));
	int r = p ? host_file_new(host_fd, 0, 0, &p->host) : -ENOMEM;

	if (r < 0) {
		(void)close(host_fd);
		free(p);
		return r;
	}
	master->flags &= ~(uint32_t)O_NONBLOCK;
	p->master = master;
	waitq_init(&p->changed);
	p->running = 2;
	r = fiber_spawn("tty-out", outwards, p, NULL);
	if (r < 0) {
		p->running = 1;
		file_ref(master);
		pump_put(p);
		return r;
	}
	if (fiber_spawn("tty-in", inwards, p, NULL) < 0)
		p->running--; /* output still works */
	*ret = p;
	return 0;
}

void tty_pump_finish(struct tty_pump *p)
{
	p->finished = true;
	waitq_wake(p->master->wq, WAIT_ALL);
}

void tty_pump_drain(struct tty_pump *p, nsec_t deadline)
{
	p->running++;
	tty_pump_finish(p);
	(void)WAIT_ON(&p->changed, p->out_ended, deadline, false);
	pump_put(p);
}
