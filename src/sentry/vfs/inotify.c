/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/vfs/inotify.c - inotify(7): instances, watches, queues.
 *
 * A watch holds a reference on its inode, as in Linux, and hangs in three lists: its inode's, its
 * instance's and that of all watches.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "base/cleanup.h"
#include "sentry/vfs/anon.h"
#include "sentry/vfs/internal.h"
#include "sentry/vfs/notify.h"

#define EVENT_ALIGN sizeof(struct inotify_event)

struct watch_list {
	struct list_head watches;
};

struct instance {
	struct file file;
	struct waitq wq;
	struct list_head events, watches;
	unsigned int queued;
	size_t queued_bytes;
	int next_wd;
};

struct watch {
	struct list_head of_inode, of_instance, of_all;
	struct inode *inode;	   /* one reference */
	struct instance *instance; /* NULL: of F_NOTIFY */
	int wd;
	uint32_t mask;
	struct file *dir; /* F_NOTIFY: who watches, until it is closed */
	void (*tell)(struct file *f);
};

struct event {
	struct list_head node;
	size_t name_len; /* with its padding */
	struct inotify_event ev;
	char name[];
};

static struct list_head all_watches = LIST_HEAD_INIT(all_watches);
static unsigned int watch_count, instance_count;
static uint32_t next_cookie;

uint32_t notify_new_cookie(void)
{
	return ++next_cookie ? next_cookie : ++next_cookie;
}

static void queue_event(struct instance *in, int wd, uint32_t mask, uint32_t cookie,
			const struct vfs_name *name)
{
	const size_t padded = name ? (name->len + EVENT_ALIGN) / EVENT_ALIGN * EVENT_ALIGN : 0;
	struct event *e, *last;

	if (in->queued == INOTIFY_QUEUE_MAX) {
		wd = -1;
		mask = IN_Q_OVERFLOW;
		name = NULL;
	} else if (in->queued > INOTIFY_QUEUE_MAX) {
		return;
	}
	e = calloc(1, sizeof(*e) + padded);
	if (!e)
		return;
	e->ev = (struct inotify_event){ .wd = wd, .mask = mask, .cookie = cookie };
	if (name) {
		e->name_len = padded;
		memcpy(e->name, name->bytes, name->len);
	}
	e->ev.len = (uint32_t)e->name_len;
	/* The same thing twice in a row is told once. */
	if (!list_empty(&in->events)) {
		last = list_last(&in->events, struct event, node);
		if (memcmp(&last->ev, &e->ev, sizeof(e->ev)) == 0 &&
		    memcmp(last->name, e->name, e->name_len) == 0) {
			free(e);
			return;
		}
	}
	list_add_tail(&e->node, &in->events);
	in->queued++;
	in->queued_bytes += sizeof(e->ev) + e->name_len;
	waitq_wake(&in->wq, POLLIN | POLLRDNORM);
}

/* Out of all lists; the inode's reference goes last. */
static void watch_free(struct watch *w)
{
	struct inode *inode = w->inode;

	list_del(&w->of_inode);
	list_del(&w->of_instance);
	list_del(&w->of_all);
	watch_count--;
	free(w);
	inode_unref(inode);
}

static void watch_end(struct watch *w)
{
	if (w->instance)
		queue_event(w->instance, w->wd, IN_IGNORED, 0, NULL);
	watch_free(w);
}

static void tell(struct inode *inode, uint32_t mask, uint32_t cookie, const struct vfs_name *name,
		 bool unhashed)
{
	struct watch *w, *next;

	if (!inode || !inode->watches)
		return;
	inode_ref(inode);
	list_for_each_safe(w, next, &inode->watches->watches, of_inode)
	{
		if (!(w->mask & mask & IN_ALL_EVENTS))
			continue;
		if (name && unhashed && w->mask & IN_EXCL_UNLINK)
			continue;
		if (w->instance)
			queue_event(w->instance, w->wd, mask, cookie, name);
		else if (name)
			w->tell(w->dir);
		else
			continue; /* what happens to the directory itself is not told */
		if (w->mask & IN_ONESHOT)
			watch_end(w);
	}
	inode_unref(inode);
}

void notify_inode(struct inode *inode, uint32_t mask)
{
	if (watch_count > 0)
		tell(inode, mask | (S_ISDIR(inode->mode) ? IN_ISDIR : 0), 0, NULL, false);
}

void notify_path(const struct path *p, uint32_t mask)
{
	const struct dentry *d = p->dentry;

	if (watch_count == 0 || !d || !d->inode)
		return;
	if (S_ISDIR(d->inode->mode))
		mask |= IN_ISDIR;
	if (d->parent != d) {
		const struct vfs_name name = dentry_name(d);

		tell(d->parent->inode, mask, 0, &name, d->unhashed);
	}
	tell(d->inode, mask, 0, NULL, false);
}

void notify_name(struct inode *dir, const struct vfs_name *name, uint32_t mask, uint32_t cookie,
		 bool is_dir)
{
	if (watch_count > 0)
		tell(dir, mask | (is_dir ? IN_ISDIR : 0), cookie, name, false);
}

void notify_deleted(struct inode *inode)
{
	struct watch *w, *next;

	if (watch_count == 0 || !inode->watches)
		return;
	inode_ref(inode);
	list_for_each_safe(w, next, &inode->watches->watches, of_inode)
	{
		if (w->instance && w->mask & IN_DELETE_SELF)
			queue_event(w->instance, w->wd, IN_DELETE_SELF, 0, NULL);
		watch_end(w);
	}
	inode_unref(inode);
}

void notify_unmounted(struct superblock *sb)
{
	struct watch *w, *next;

	list_for_each_safe(w, next, &all_watches, of_all)
	{
		if (w->inode->sb != sb)
			continue;
		if (w->instance)
			queue_event(w->instance, w->wd, IN_UNMOUNT, 0, NULL);
		watch_end(w);
	}
}

void watches_free(struct inode *inode)
{
	/* A watch holds its inode, so none is left. */
	free(TAKE_PTR(inode->watches));
}

static ssize_t take_events(struct instance *in, struct uio *u)
{
	ssize_t done = 0;

	while (!list_empty(&in->events)) {
		struct event *e = list_first(&in->events, struct event, node);
		const size_t len = sizeof(e->ev) + e->name_len;
		ssize_t n;

		if (u->left < len)
			return done ? done : -EINVAL;
		list_del(&e->node);
		in->queued--;
		in->queued_bytes -= len;
		n = uio_put(u, &e->ev, len);
		free(e);
		if (n < 0 || (size_t)n < len)
			return done ? done : -EFAULT;
		done += n;
	}
	return done;
}

static ssize_t instance_read(struct file *f, struct uio *u, uint64_t *pos)
{
	struct instance *in = container_of(f, struct instance, file);

	for (;;) {
		ssize_t r = take_events(in, u);

		if (r != 0)
			return r;
		if (file_io_flags(f, u) & O_NONBLOCK)
			return -EAGAIN;
		r = WAIT_EVENT(&in->wq, !list_empty(&in->events));
		if (r < 0)
			return r;
	}
}

static uint32_t instance_poll(struct file *f)
{
	const struct instance *in = container_of(f, struct instance, file);

	return list_empty(&in->events) ? 0 : POLLIN | POLLRDNORM;
}

static long instance_ioctl(struct file *f, unsigned int cmd, uint64_t arg, struct user_memory *um)
{
	const int n = (int)container_of(f, struct instance, file)->queued_bytes;

	return cmd == FIONREAD ? user_copy_out(um, arg, &n, sizeof(n)) : -ENOTTY;
}

static void instance_release(struct file *f)
{
	struct instance *in = container_of(f, struct instance, file);

	while (!list_empty(&in->watches))
		watch_free(list_first(&in->watches, struct watch, of_instance));
	while (!list_empty(&in->events)) {
		struct event *e = list_first(&in->events, struct event, node);

		list_del(&e->node);
		free(e);
	}
	instance_count--;
	file_fini(f);
	free(in);
}

static const struct file_ops instance_ops = {
	.read = instance_read,
	.poll = instance_poll,
	.ioctl = instance_ioctl,
	.release = instance_release,
};

int inotify_open(const struct cred *cred, uint32_t flags, struct file **ret)
{
	struct instance *in;
	int r;

	if (instance_count >= INOTIFY_INSTANCES_MAX)
		return -EMFILE;
	in = calloc(1, sizeof(*in));
	if (!in)
		return -ENOMEM;
	r = anon_file_init(&in->file, &instance_ops, "inotify", cred, O_RDONLY | flags);
	if (r < 0) {
		free(in);
		return r;
	}
	in->file.mode |= FMODE_STREAM;
	in->file.wq = &in->wq;
	waitq_init(&in->wq);
	list_init(&in->events);
	list_init(&in->watches);
	in->next_wd = 1;
	instance_count++;
	*ret = &in->file;
	return 0;
}

static int change_watch(struct watch *w, uint32_t mask)
{
	if (mask & IN_MASK_CREATE)
		return -EEXIST;
	if (mask & IN_MASK_ADD)
		w->mask |= mask & ~(uint32_t)IN_MASK_ADD;
	else
		w->mask = mask;
	return w->wd;
}

/* A new watch of an inode; the caller fills in who watches. 0, -ENOMEM, -ENOSPC. */
static int watch_new(struct inode *inode, uint32_t mask, struct watch **ret)
{
	struct watch *w;

	if (watch_count >= INOTIFY_WATCHES_MAX)
		return -ENOSPC;
	if (!inode->watches) {
		inode->watches = malloc(sizeof(*inode->watches));
		if (!inode->watches)
			return -ENOMEM;
		list_init(&inode->watches->watches);
	}
	w = calloc(1, sizeof(*w));
	if (!w)
		return -ENOMEM;
	w->inode = inode_ref(inode);
	w->mask = mask;
	list_init(&w->of_instance);
	list_add_tail(&w->of_inode, &inode->watches->watches);
	list_add_tail(&w->of_all, &all_watches);
	watch_count++;
	*ret = w;
	return 0;
}

/* An inode has few watches, an instance may have very many. */
static struct watch *watch_of(const struct instance *in, const struct inode *inode)
{
	struct watch *w;

	if (!inode->watches)
		return NULL;
	list_for_each(w, &inode->watches->watches, of_inode)
	{
		if (w->instance == in)
			return w;
	}
	return NULL;
}

int inotify_add(struct file *f, struct inode *inode, uint32_t mask)
{
	struct instance *in;
	struct watch *w;
	int r;

	if (f->ops != &instance_ops || !(mask & IN_ALL_EVENTS))
		return -EINVAL;
	if (mask & IN_MASK_ADD && mask & IN_MASK_CREATE)
		return -EINVAL;
	in = container_of(f, struct instance, file);
	w = watch_of(in, inode);
	if (w)
		return change_watch(w, mask);
	if (in->next_wd == INT32_MAX)
		return -ENOSPC;
	r = watch_new(inode, mask, &w);
	if (r < 0)
		return r;
	w->instance = in;
	w->wd = in->next_wd++;
	list_add_tail(&w->of_instance, &in->watches);
	return w->wd;
}

int inotify_remove(struct file *f, int wd)
{
	struct instance *in;
	struct watch *w;

	if (f->ops != &instance_ops)
		return -EINVAL;
	in = container_of(f, struct instance, file);
	list_for_each(w, &in->watches, of_instance) if (w->wd == wd)
	{
		watch_end(w);
		return 0;
	}
	return -EINVAL;
}

static struct watch *dnotify_find(const struct file *f, const struct inode *dir)
{
	struct watch *w;

	if (!dir || !dir->watches)
		return NULL;
	list_for_each(w, &dir->watches->watches, of_inode)
	{
		if (w->dir == f)
			return w;
	}
	return NULL;
}

int dnotify_set(struct file *f, uint32_t mask, bool many, void (*changed)(struct file *f))
{
	struct inode *dir = file_named_inode(f);
	struct watch *w = dnotify_find(f, dir);
	int r = 0;

	if (!dir || !S_ISDIR(dir->mode))
		return -ENOTDIR;
	if (!mask) {
		dnotify_release(f);
		return 0;
	}
	if (!w)
		r = watch_new(dir, IN_ONESHOT, &w);
	if (r < 0)
		return r;
	w->dir = f;
	w->tell = changed;
	w->mask |= mask;
	if (many)
		w->mask &= ~(uint32_t)IN_ONESHOT;
	return 0;
}

void dnotify_release(struct file *f)
{
	struct watch *w = dnotify_find(f, file_named_inode(f));

	if (w)
		watch_free(w);
}
