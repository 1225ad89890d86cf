/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/fs/proc/pid_mounts.c - /proc/PID/mounts, mountinfo and mountstats: the mount namespace as
 * seen from the process's root. poll(2) reports POLLERR | POLLPRI once after each change.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sentry/fs/proc/internal.h"
#include "sentry/vfs/mount.h"

struct mounts_file {
	struct file file;
	struct mount_ns *ns; /* one reference */
	struct path root;    /* references */
	bool mountinfo;
	bool changed; /* since the last poll */
	struct wait_entry entry;
	struct kmutex lock; /* of the text: copying it may park */
	char *text;
	size_t len;
};

static void on_change(struct wait_entry *entry, uint32_t events)
{
	container_of(entry, struct mounts_file, entry)->changed = true;
}

static ssize_t put_text(struct mounts_file *mf, struct uio *u, uint64_t *pos)
{
	ssize_t n;
	int r;

	if (*pos == 0 || !mf->text) {
		free(TAKE_PTR(mf->text));
		r = mount_ns_show(mf->ns, &mf->root, mf->mountinfo, &mf->text, &mf->len);
		if (r < 0)
			return r;
	}
	if (*pos >= mf->len || u->left == 0)
		return 0;
	n = uio_put(u, mf->text + *pos, mf->len - *pos);
	if (n > 0)
		*pos += (uint64_t)n;
	return n;
}

static ssize_t mounts_read(struct file *f, struct uio *u, uint64_t *pos)
{
	struct mounts_file *mf = container_of(f, struct mounts_file, file);
	ssize_t n;

	kmutex_lock(&mf->lock);
	n = put_text(mf, u, pos);
	kmutex_unlock(&mf->lock);
	return n;
}

static uint32_t mounts_poll(struct file *f)
{
	struct mounts_file *mf = container_of(f, struct mounts_file, file);
	const bool changed = mf->changed;

	mf->changed = false;
	return POLLIN | POLLRDNORM | (changed ? POLLERR | POLLPRI : 0);
}

static void mounts_release(struct file *f)
{
	struct mounts_file *mf = container_of(f, struct mounts_file, file);

	waitq_remove(&mf->entry);
	free(mf->text);
	path_unref(&mf->root);
	mount_ns_unref(mf->ns);
	file_fini(f);
	free(mf);
}

static const struct file_ops mounts_ops = {
	.read = mounts_read,
	.poll = mounts_poll,
	.release = mounts_release,
};

static int open_mounts(struct kern_inode *ki, uint32_t flags, bool mountinfo, struct file **ret)
{
	AUTO_TASK struct task *t = proc_task(ki);
	struct mounts_file *mf;

	if (!t || !t->fs || !t->ns || !t->ns->mnt)
		return -EINVAL;
	if (!proc_may_access(t, false))
		return -EACCES;
	mf = calloc(1, sizeof(*mf));
	if (!mf)
		return -ENOMEM;
	file_init(&mf->file, &mounts_ops, NULL, NULL, flags);
	kmutex_init(&mf->lock);
	mf->ns = mount_ns_ref(t->ns->mnt);
	mf->root = path_ref(&t->fs->root);
	mf->mountinfo = mountinfo;
	mf->file.wq = &mf->ns->changed;
	mf->entry = (struct wait_entry){ .mask = WAIT_ALL, .fn = on_change };
	waitq_add(&mf->ns->changed, &mf->entry);
	*ret = &mf->file;
	return 0;
}

int proc_open_mounts(struct kern_inode *ki, uint32_t flags, struct file **ret)
{
	return open_mounts(ki, flags, false, ret);
}

int proc_open_mountinfo(struct kern_inode *ki, uint32_t flags, struct file **ret)
{
	return open_mounts(ki, flags, true, ret);
}

/* "device SOURCE mounted on TARGET with fstype TYPE", from the lines of mounts. */
int proc_show_mountstats(struct kern_inode *ki, struct buf *b)
{
	AUTO_TASK struct task *t = proc_task(ki);
	AUTO_FREE char *text = NULL;
	char *save = NULL;
	size_t len;
	int r;

	if (!t || !t->fs || !t->ns || !t->ns->mnt)
		return -EINVAL;
	if (!proc_may_access(t, false))
		return -EACCES;
	r = mount_ns_show(t->ns->mnt, &t->fs->root, false, &text, &len);
	if (r < 0)
		return r;
	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		char *word = NULL;
		const char *source = strtok_r(line, " ", &word);
		const char *target = strtok_r(NULL, " ", &word);
		const char *type = strtok_r(NULL, " ", &word);

		if (type)
			(void)buf_printf(b, "device %s mounted on %s with fstype %s\n", source,
					 target, type);
	}
	return 0;
}
