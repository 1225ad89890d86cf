/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/fs/mqueue/mqueue.c - queues and their names: making, finding, opening, removing.
 */
#include "sentry/fs/mqueue/mqueue.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <stdlib.h>
#include <string.h>

#include "sentry/core/kclock.h"
#include "sentry/fs/kernfs/kernfs.h"
#include "sentry/fs/mqueue/internal.h"
#include "sentry/mm/ipc_ns.h"
#include "sentry/task/user_usage.h"
#include "sentry/vfs/anon.h"

struct mqueue_limits mqueue_limits = {
	.queues_max = 256,
	.msg_default = 10,
	.msgsize_default = 8192,
	.msg_max = 10,
	.msgsize_max = 8192,
};

static uint32_t lesser(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

#define MESSAGE_OVERHEAD 48u /* bytes charged per message: msg_msg and a tree's leaf of Linux */

/* The last task of the IPC namespace is gone: so are the names. */
static void ns_free(void *arg)
{
	struct mqueue_ns *ns = arg;
	struct mqueue *q, *n;

	list_for_each_safe(q, n, &ns->queues, node) mqueue_forget(q);
	mqueue_ns_unref(ns);
}

static struct mqueue_ns *ns_new(void)
{
	struct mqueue_ns *ns = calloc(1, sizeof(*ns));

	if (!ns)
		return NULL;
	ns->refs = 1;
	list_init(&ns->queues);
	return ns;
}

static struct mqueue_ns *boot_ns; /* one reference, until a namespace takes it */

struct mqueue_ns *mqueue_ns_boot(void)
{
	if (!boot_ns)
		boot_ns = ns_new();
	return boot_ns;
}

struct mqueue_ns *mqueue_ns_of(struct task *t)
{
	struct ipc_ns *ipc = t->ns ? t->ns->ipc : NULL;
	struct mqueue_ns *ns;

	if (!ipc)
		return NULL;
	if (ipc->mqueue)
		return ipc->mqueue;
	ns = boot_ns ? TAKE_PTR(boot_ns) : ns_new();
	if (!ns)
		return NULL;
	ipc->mqueue = ns;
	ipc->mqueue_free = ns_free;
	return ns;
}

struct mqueue_ns *mqueue_ns_ref(struct mqueue_ns *ns)
{
	ns->refs++;
	return ns;
}

void mqueue_ns_unref(struct mqueue_ns *ns)
{
	if (--ns->refs)
		return;
	free(ns);
}

struct mqueue *mqueue_ref(struct mqueue *q)
{
	q->refs++;
	return q;
}

void mqueue_drop_notify(struct mqueue *q)
{
	struct file *socket = TAKE_PTR(q->thread.socket);

	if (socket) {
		q->thread.cookie[MQUEUE_COOKIE_LEN - 1] = MQUEUE_REMOVED;
		q->thread.send(socket, q->thread.cookie, MQUEUE_COOKIE_LEN);
		file_unref(socket);
	}
	pid_unref(TAKE_PTR(q->notify));
}

void mqueue_unref(struct mqueue *q)
{
	struct mq_message *m, *n;

	if (--q->refs)
		return;
	list_for_each_safe(m, n, &q->messages, node)
	{
		list_del(&m->node);
		free(m);
	}
	mqueue_drop_notify(q);
	if (q->usage)
		q->usage->mqueue_bytes -= q->charge;
	user_usage_unref(q->usage);
	mqueue_ns_unref(q->ns);
	free(q);
}

void mqueue_forget(struct mqueue *q)
{
	if (q->unlinked)
		return;
	q->unlinked = true;
	q->ns->count--;
	q->ctime = kclock_realtime();
	list_del(&q->node);
	mqueue_unref(q);
}

struct mqueue *mqueue_find(const struct mqueue_ns *ns, const char *name, size_t len)
{
	struct mqueue *q;

	list_for_each(q, &ns->queues,
		      node) if (strlen(q->name) == len && !memcmp(q->name, name, len)) return q;
	return NULL;
}

/* mq_attr_ok() of Linux. */
static int judge_attr(const struct task *t, const struct mq_attr *attr)
{
	const bool privileged = task_capable(t, CAP_SYS_RESOURCE);
	const long max_messages = privileged ? MQ_HARD_MSG_MAX : mqueue_limits.msg_max;
	const long max_size = privileged ? MQ_HARD_MSGSIZE : mqueue_limits.msgsize_max;

	if (attr->mq_maxmsg <= 0 || attr->mq_msgsize <= 0 || attr->mq_maxmsg > max_messages ||
	    attr->mq_msgsize > max_size)
		return -EINVAL;
	return 0;
}

/* RLIMIT_MSGQUEUE, for all messages that the queue may ever hold. */
static int charge(struct mqueue *q, const struct task *t)
{
	const uint64_t limit = task_rlimit(t, RLIMIT_MSGQUEUE);

	q->charge = (uint64_t)q->max_messages * (q->message_size + MESSAGE_OVERHEAD);
	if (!t->usage)
		return 0;
	if (limit != RLIM_INFINITY &&
	    (q->charge > limit || t->usage->mqueue_bytes > limit - q->charge))
		return -EMFILE;
	q->usage = user_usage_ref(t->usage);
	q->usage->mqueue_bytes += q->charge;
	return 0;
}

int mqueue_new(struct mqueue_ns *ns, struct task *t, const struct mq_spec *spec,
	       struct mqueue **ret)
{
	static uint64_t next_ino = 16;
	struct mqueue *q;
	int r = spec->attr ? judge_attr(t, spec->attr) : 0;

	if (r < 0)
		return r;
	if (spec->name_len > VFS_NAME_MAX)
		return -ENAMETOOLONG;
	if (ns->count >= mqueue_limits.queues_max && !task_capable(t, CAP_SYS_RESOURCE))
		return -ENOSPC;
	q = calloc(1, sizeof(*q));
	if (!q)
		return -ENOMEM;
	q->refs = 1;
	q->ns = mqueue_ns_ref(ns);
	q->ino = next_ino++;
	list_init(&q->messages);
	waitq_init(&q->wq);
	memcpy(q->name, spec->name, spec->name_len);
	q->mode = S_IFREG | (spec->mode & 07777);
	q->uid = t->cred->fsuid;
	q->gid = t->cred->fsgid;
	q->atime = q->mtime = q->ctime = kclock_realtime();
	q->max_messages = spec->attr ? (unsigned int)spec->attr->mq_maxmsg
				     : lesser(mqueue_limits.msg_default, mqueue_limits.msg_max);
	q->message_size =
		spec->attr ? (size_t)spec->attr->mq_msgsize
			   : lesser(mqueue_limits.msgsize_default, mqueue_limits.msgsize_max);
	r = charge(q, t);
	if (r < 0) {
		q->charge = 0;
		mqueue_unref(q);
		return r;
	}
	list_add_tail(&q->node, &ns->queues);
	ns->count++;
	*ret = q;
	return 0;
}

static int may_open(struct inode *inode, const struct cred *cred, int oflag)
{
	static const unsigned int masks[] = { MAY_READ, MAY_WRITE, MAY_READ | MAY_WRITE };
	const unsigned int access = (unsigned int)oflag & O_ACCMODE;

	if (access > O_RDWR)
		return -EINVAL;
	return inode_permission_generic(inode, cred, masks[access]);
}

static int judge_name(const char *name)
{
	const size_t len = strlen(name);

	if (len == 0)
		return -ENOENT;
	if (len > VFS_NAME_MAX)
		return -ENAMETOOLONG;
	return strchr(name, '/') || !strcmp(name, ".") || !strcmp(name, "..") ? -EACCES : 0;
}

/* A file on a path of its own: queues need no mount to be opened. */
static int open_queue(struct task *t, struct mqueue *q, int oflag, bool made, struct file **ret)
{
	AUTO_FREE char *text = NULL;
	struct inode *inode;
	struct file *f;
	struct path p;
	int r = mqueue_inode(NULL, q, &inode);

	if (r < 0)
		return r;
	r = made ? 0 : may_open(inode, t->cred, oflag);
	if (r == 0)
		r = mqueue_open_inode(inode, (uint32_t)oflag & (O_ACCMODE | O_NONBLOCK | O_CLOEXEC),
				      &f);
	if (r < 0) {
		inode_unref(inode);
		return r;
	}
	f->inode = inode_ref(inode);
	f->cred = cred_ref(t->cred);
	text = malloc(strlen(q->name) + 2);
	if (!text) {
		inode_unref(inode);
		file_unref(f);
		return -ENOMEM;
	}
	text[0] = '/';
	strcpy(text + 1, q->name);
	r = anon_path_for_inode(text, inode, &p);
	if (r < 0) {
		file_unref(f);
		return r;
	}
	p.dentry->unhashed = false;
	f->path = p;
	*ret = f;
	return 0;
}

int mqueue_open(struct task *t, const char *name, int oflag, uint32_t mode,
		const struct mq_attr *attr, struct file **ret)
{
	struct mqueue_ns *ns = mqueue_ns_of(t);
	struct mqueue *q;
	bool made = false;
	int r = judge_name(name);

	if (!ns)
		return -ENOMEM;
	if (r < 0)
		return r;
	q = mqueue_find(ns, name, strlen(name));
	if (q && oflag & O_CREAT && oflag & O_EXCL)
		return -EEXIST;
	if (!q && !(oflag & O_CREAT))
		return -ENOENT;
	if (!q) {
		const struct mq_spec spec = { .name = name,
					      .name_len = strlen(name),
					      .mode = mode & ~t->fs->umask,
					      .attr = attr };

		r = mqueue_new(ns, t, &spec, &q);
		if (r < 0)
			return r;
		made = true;
	}
	r = open_queue(t, q, oflag, made, ret);
	if (r < 0 && made)
		mqueue_forget(q);
	return r;
}

int mqueue_unlink(struct task *t, const char *name)
{
	struct mqueue_ns *ns = mqueue_ns_of(t);
	struct mqueue *q;
	int r = judge_name(name);

	if (!ns)
		return -ENOMEM;
	if (r < 0)
		return r;
	q = mqueue_find(ns, name, strlen(name));
	if (!q)
		return -ENOENT;
	/* The directory is root's with the sticky bit. */
	if (t->cred->fsuid != q->uid && !task_capable(t, CAP_FOWNER))
		return -EPERM;
	mqueue_forget(q);
	return 0;
}

static const struct limit {
	const char *name;
	uint32_t *value;
	uint32_t min, max;
} limits[] = {
	{ "msg_default", &mqueue_limits.msg_default, 1, MQ_HARD_MSG_MAX },
	{ "msg_max", &mqueue_limits.msg_max, 1, MQ_HARD_MSG_MAX },
	{ "msgsize_default", &mqueue_limits.msgsize_default, 128, MQ_HARD_MSGSIZE },
	{ "msgsize_max", &mqueue_limits.msgsize_max, 128, MQ_HARD_MSGSIZE },
	{ "queues_max", &mqueue_limits.queues_max, 0, MQ_HARD_QUEUES },
};

static const struct limit *limit_of(const struct kern_inode *ki)
{
	for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++)
		if (!strcmp(limits[i].name, ki->node->name))
			return &limits[i];
	return NULL;
}

int mqueue_limit_show(struct kern_inode *ki, struct buf *b)
{
	const struct limit *limit = limit_of(ki);

	return limit ? buf_printf(b, "%u\n", *limit->value) : -EIO;
}

int mqueue_limit_store(struct kern_inode *ki, struct file *f, char *text, size_t len)
{
	const struct limit *limit = limit_of(ki);
	int64_t value;

	if (!limit || kern_parse_int(text, limit->min, limit->max, &value) < 0)
		return -EINVAL;
	*limit->value = (uint32_t)value;
	return 0;
}
