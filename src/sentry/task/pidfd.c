/* SPDX-License-Identifier: Apache-2.0 */
/* sentry/task/pidfd.c - see pidfd.h. */
#include "sentry/task/pidfd.h"

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

static void pidfd_release(struct file *f)
{
	struct pidfd *p = container_of(f, struct pidfd, file);

	file_fini(f);
	pid_unref(p->pid);
	free(p);
}

static const struct file_ops pidfd_ops = {
	.poll = pidfd_poll,
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
