/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/fs/mqueue/internal.h - what the files of mqueue share; nobody else includes it.
 */
#pragma once

#include "sentry/fs/mqueue/mqueue.h"
#include "sentry/task/task.h"

/* The queues of an IPC namespace: ipc_ns->mqueue, and every mount and open queue of it. */
struct mqueue_ns {
	unsigned int refs;
	struct list_head queues;
	unsigned int count;
};

struct mq_message {
	struct list_head node;
	unsigned int priority;
	size_t len;
	char text[];
};

struct mqueue {
	unsigned int refs;
	struct mqueue_ns *ns;  /* one reference */
	struct list_head node; /* in ns, with a reference, as long as it has a name */
	bool unlinked;
	char name[VFS_NAME_MAX + 1];
	uint64_t ino;
	uint32_t mode, uid, gid;
	nsec_t atime, mtime, ctime;

	unsigned int max_messages, count;
	size_t message_size, bytes;
	struct list_head messages; /* highest priority first, then oldest */
	unsigned int receivers;	   /* waiting */
	struct waitq wq;
	struct user_usage *usage; /* who pays; one reference */
	uint64_t charge;	  /* bytes of RLIMIT_MSGQUEUE */

	struct pid *notify; /* process to tell of a message into the empty queue; one reference */
	struct sigevent event;
	struct mqueue_thread thread; /* SIGEV_THREAD; its descriptor is one reference */
};

/* The last byte of a cookie: NOTIFY_WOKENUP and NOTIFY_REMOVED of linux/mqueue.h. */
enum { MQUEUE_WOKEN_UP = 1, MQUEUE_REMOVED = 2 };

struct mq_inode {
	struct inode inode;
	struct mqueue *queue; /* one reference */
};

struct mq_spec {
	const char *name;
	size_t name_len;
	uint32_t mode;		    /* with umask applied */
	const struct mq_attr *attr; /* NULL: the defaults */
};

/* The running task's, made at the first use. Borrowed; NULL: out of memory. */
struct mqueue_ns *mqueue_ns_of(struct task *t);
/* Boot mounts before there is a task: the first ipc namespace that is asked for takes this one. */
struct mqueue_ns *mqueue_ns_boot(void);
struct mqueue_ns *mqueue_ns_ref(struct mqueue_ns *ns);
void mqueue_ns_unref(struct mqueue_ns *ns);

/* 0, -EINVAL (attr), -ENOSPC, -EMFILE (RLIMIT_MSGQUEUE), -ENOMEM. Borrowed. */
int mqueue_new(struct mqueue_ns *ns, struct task *t, const struct mq_spec *spec,
	       struct mqueue **ret);
struct mqueue *mqueue_find(const struct mqueue_ns *ns, const char *name, size_t len);
struct mqueue *mqueue_ref(struct mqueue *q);
void mqueue_unref(struct mqueue *q);
void mqueue_forget(struct mqueue *q); /* its name goes */
void mqueue_drop_notify(struct mqueue *q);

/* fs.c: an inode of a mounted mqueue, or of the internal superblock (sb NULL). */
int mqueue_inode(struct superblock *sb, struct mqueue *q, struct inode **ret);
/* file.c: inode_ops.open. */
int mqueue_open_inode(struct inode *inode, uint32_t flags, struct file **ret);
static inline struct mq_inode *mq_inode_of(struct inode *inode)
{
	return container_of(inode, struct mq_inode, inode);
}
