/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/net/scm.h - what travels beside the bytes: descriptors and credentials (unix(7)), and the
 * control messages of sendmsg(2) and recvmsg(2).
 */
#pragma once

#include <sys/socket.h>

#include "base/buf.h"
#include "sentry/task/pid.h"
#include "sentry/vfs/file.h"

#define SCM_FILES_MAX	  253	/* of one message: Linux's SCM_MAX_FD */
#define SCM_CONTROL_MAX	  20480 /* bytes of msg_control: net.core.optmem_max */
#define SCM_IN_FLIGHT_MAX 16384 /* files in messages of one sandbox */

struct task;
struct socket;

/* Credentials of a sender or peer. */
struct scm_creds {
	struct pid *pid; /* one reference, or NULL */
	uint32_t uid, gid;
	bool set;
};

struct scm {
	struct scm_creds creds;
	struct file **files; /* owned array of references */
	unsigned int files_len;
};

void scm_done(struct scm *scm); /* may park: files are closed */
/* Once more the files of `from` (MSG_PEEK). 0, -ENOMEM. */
int scm_files_copy(const struct scm *from, struct scm *ret);

/* The credentials of a task as SO_PEERCRED and SCM_CREDENTIALS show them. */
void scm_creds_of(const struct task *t, struct scm_creds *ret);
void scm_creds_copy(const struct scm_creds *from, struct scm_creds *ret);
void scm_creds_done(struct scm_creds *creds);
/* struct ucred as the running task sees it: a pid of another namespace is 0. */
struct ucred scm_ucred(const struct scm_creds *creds);

/*
 * Decode msg_control of a sender: SOL_SOCKET messages fill *scm (cleared first); others are kept
 * for the family in `others` as they came. -EINVAL, -EBADF, -EPERM (foreign credentials),
 * -ETOOMANYREFS, -ENOMEM.
 */
int scm_decode(struct task *t, const uint8_t *control, size_t len, struct scm *scm,
	       struct buf *others);

/* Append one control message to a receiver's buffer. */
int scm_put(struct buf *control, int level, int type, const void *data, size_t len);

/* Where a receiver's control messages go. */
struct scm_sink {
	uaddr_t addr;
	uint64_t room; /* bytes left at addr */
	uint64_t used;
	bool truncated; /* MSG_CTRUNC */
};

/* Copy formatted messages to the guest, cut where the room ends. 0, -EFAULT. */
int scm_copy_out(struct task *t, struct scm_sink *sink, const struct buf *control);
/* Install the files of *scm and tell their numbers; those without room are closed. 0, -EFAULT. */
int scm_install(struct task *t, struct scm_sink *sink, struct scm *scm, bool cloexec);
