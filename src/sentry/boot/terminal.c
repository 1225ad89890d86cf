/* SPDX-License-Identifier: Apache-2.0 */
#include "sentry/boot/terminal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "sentry/core/kclock.h"
#include "sentry/fs/devpts/devpts.h"
#include "sentry/fs/devpts/pump.h"

#define DRAIN_NS (2 * NSEC_PER_SEC) /* for a slow reader of a terminal whose processes are gone */

struct terminal {
	struct file *master;   /* one reference */
	struct tty_pump *pump; /* owns host_fd */
	int host_fd;
	unsigned int index; /* of the pair in its devpts */
};

static int find_devpts(const struct vfs_ctx *ctx, struct superblock **ret)
{
	struct path at;
	const int r = path_walk(ctx, NULL, "/dev/pts", WALK_FOLLOW, &at);

	if (r < 0)
		return r;
	*ret = superblock_ref(at.dentry->sb);
	path_unref(&at);
	return 0;
}

/* By its name, so that ttyname(3) finds it. */
static int open_slave(const struct vfs_ctx *ctx, struct superblock *sb, unsigned int index,
		      struct file **ret)
{
	AUTO_FILE struct file *f = NULL;
	char name[32];
	int r;

	(void)snprintf(name, sizeof(name), "/dev/pts/%u", index);
	r = vfs_open(ctx, NULL, name, O_RDWR | O_NOCTTY, 0, 0, &f);
	if (r < 0)
		return r;
	/* The container may have put something else there meanwhile. */
	if (!f->inode || f->inode->sb != sb)
		return -ENXIO;
	*ret = TAKE_PTR(f);
	return 0;
}

/*
 * /dev/console is the terminal of the container's first process, which is bound there; a container
 * without one has no console.
 */
void terminal_make_console(const struct terminal *t, const struct vfs_ctx *ctx)
{
	struct cred *root = cred_new_root();
	struct vfs_ctx as_root = *ctx;
	char name[32];

	as_root.cred = root;
	(void)snprintf(name, sizeof(name), "/dev/pts/%u", t->index);
	/* A read-only /dev, or one that has it: as it is. */
	if (root && vfs_mknod(&as_root, NULL, "/dev/console", S_IFREG | 0600, 0) == 0)
		(void)vfs_mount(&as_root, ctx->root->mnt->ns, name, "/dev/console", NULL, MS_BIND,
				NULL);
	cred_unref(root);
}

int terminal_new(const struct sentry_process *p, const struct vfs_ctx *ctx, int host_fd,
		 struct file **ret_slave, struct terminal **ret, struct err *err)
{
	struct terminal *t = calloc(1, sizeof(*t));
	struct superblock *sb = NULL;
	AUTO_FILE struct file *slave = NULL;
	unsigned int index;
	AUTO_CLOSE int left = host_fd; /* until the pump has it */
	int r = t ? find_devpts(ctx, &sb) : -ENOMEM;

	if (r == 0)
		r = devpts_new_pair(sb, p->uid, p->gid, &t->master, &index);
	if (r == 0) {
		r = open_slave(ctx, sb, index, &slave);
		if (r == 0) {
			r = tty_pump_start(file_ref(t->master), TAKE_FD(left), &t->pump);
			if (r < 0)
				file_unref(t->master);
		}
		if (r < 0)
			file_unref(t->master);
	}
	if (sb)
		superblock_unref(sb);
	if (r < 0) {
		free(t);
		return err_sys(err, r, "make the terminal");
	}
	t->host_fd = host_fd;
	t->index = index;
	terminal_resize(t);
	*ret_slave = TAKE_PTR(slave);
	*ret = t;
	return 0;
}

void terminal_control(struct terminal *t, struct file *slave, struct thread_group *tg)
{
	(void)t;
	tty_file_set_session(slave, tg->session);
}

void terminal_resize(struct terminal *t)
{
	struct winsize size;

	if (t && ioctl(t->host_fd, TIOCGWINSZ, &size) == 0)
		tty_file_resize(t->master, &size);
}

void terminal_end(struct terminal *t)
{
	tty_pump_drain(t->pump, nsec_add(kclock_monotonic(), DRAIN_NS));
	file_unref(t->master);
	free(t);
}
