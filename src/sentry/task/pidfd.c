/* SPDX-License-Identifier: Apache-2.0 */
/* sentry/task/pidfd.c - see pidfd.h. */
#include "sentry/task/pidfd.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "sentry/vfs/anon.h"

struct pidfd {
	struct file file;
	struct pid *pid; /* one reference */
};

static uint32_t pidfd_poll(struct file *f)
{
	return container_of(f, struct pidfd, file)->pid->ended ? POLLIN : 0;
}

/* pid_namespaces of the reader: 0 where it is not seen, -1 when it has ended. */
static int pidfd_show(struct file *f, char *buf, size_t len)
{
	const struct pid *pid = container_of(f, struct pidfd, file)->pid;
	const struct task *reader = task_current();
	const int nr = pid->ended || !reader ? -1 : pid_nr(pid, task_pid_ns(reader));

	(void)snprintf(buf, len, "Pid:\t%d\nNSpid:\t%d\n", nr, nr);
	return 0;
}

static void pidfd_release(struct file *f)
{
	struct pidfd *p = container_of(f, struct pidfd, file);

	file_fini(f);
	pid_unref(p->pid);
	free(p);
}

static const struct file_ops pidfd_ops = {
	.poll = pidfd_poll,
	.show_fdinfo = pidfd_show,
	.release = pidfd_release,
};

int pidfd_file_new(struct pid *pid, uint32_t flags, struct file **ret)
{
	struct pidfd *p = calloc(1, sizeof(*p));
	int r;

	if (!p)
		return -ENOMEM;
	r = anon_file_init(&p->file, &pidfd_ops, "[pidfd]", NULL, O_RDWR | flags);
	if (r < 0) {
		free(p);
		return r;
	}
	p->pid = pid_ref(pid);
	p->file.wq = &pid->exited;
	*ret = &p->file;
	return 0;
}

struct pid *pidfd_pid(const struct file *f)
{
	return f->ops == &pidfd_ops ? container_of(f, const struct pidfd, file)->pid : NULL;
}
