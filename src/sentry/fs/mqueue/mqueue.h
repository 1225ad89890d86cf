/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/fs/mqueue/mqueue.h - POSIX message queues (mq_overview(7)) and the filesystem that shows
 * them, one instance per IPC namespace.
 */
#pragma once

#include <mqueue.h>

#include "sentry/vfs/file.h"

#define MQ_HARD_QUEUES	1024u	  /* queues_max at most */
#define MQ_HARD_MSG_MAX 65536u	  /* HARD_MSGMAX */
#define MQ_HARD_MSGSIZE 16777216u /* HARD_MSGSIZEMAX */
#define MQ_PRIORITY_MAX 32768u	  /* priorities are below */

struct task;

/* The type "mqueue". */
void mqueue_register(void);

/*
 * The calls, for the running task; names without the leading slash as the C library passes them.
 * mq_open: attr may be NULL. 0 and a file, or -errno of mq_open(3).
 */
int mqueue_open(struct task *t, const char *name, int oflag, uint32_t mode,
		const struct mq_attr *attr, struct file **ret);
int mqueue_unlink(struct task *t, const char *name);

/* Is it a queue's descriptor? The others are -EBADF for the calls below. */
bool mqueue_file(const struct file *f);
/* deadline: of CLOCK_MONOTONIC, NSEC_NEVER: none. Messages are copied by the uio. */
int mqueue_send(struct file *f, struct uio *u, unsigned int priority, nsec_t deadline);
ssize_t mqueue_receive(struct file *f, struct uio *u, unsigned int *ret_priority, nsec_t deadline);
/* SIGEV_THREAD: the C library waits at a socket for the bytes that it gave, the last one changed.
 */
#define MQUEUE_COOKIE_LEN 32 /* NOTIFY_COOKIE_LEN of linux/mqueue.h */
struct mqueue_thread {
	struct file *socket;
	uint8_t cookie[MQUEUE_COOKIE_LEN];
	/* What cannot be sent is lost. */
	void (*send)(struct file *socket, const uint8_t *bytes, size_t len);
};
/*
 * event NULL: end the registration of this process. `thread` is for SIGEV_THREAD; the queue takes a
 * reference on its socket. 0, -EBUSY, -EINVAL.
 */
int mqueue_notify(struct task *t, struct file *f, const struct sigevent *event,
		  const struct mqueue_thread *thread);
void mqueue_getattr(struct file *f, struct mq_attr *ret);
int mqueue_setattr(struct file *f, const struct mq_attr *attr); /* mq_flags only */

/* fs.mqueue.*, of the sandbox (one set for all its IPC namespaces). */
struct mqueue_limits {
	uint32_t queues_max; /* of an IPC namespace */
	uint32_t msg_default, msgsize_default;
	uint32_t msg_max, msgsize_max; /* without CAP_SYS_RESOURCE */
};
extern struct mqueue_limits mqueue_limits;

/* fs/proc's sysctls: the limit that the node's name says. */
struct kern_inode;
struct buf;
int mqueue_limit_show(struct kern_inode *ki, struct buf *b);
int mqueue_limit_store(struct kern_inode *ki, struct file *f, char *text, size_t len);
