/* SPDX-License-Identifier: Apache-2.0 */
#include "sentry/net/scm.h"

#include <linux/capability.h>
#include <stdlib.h>
#include <string.h>

#include "base/list.h"
#include "sentry/core/fiber.h"
#include "sentry/net/unix_gc.h"
#include "sentry/task/task.h"

static unsigned int in_flight; /* files in messages */

#define FILES_SPARE 2 /* behind an array: the next one to close, and its length */

/* A fiber that closes files of messages, and those that it has met while it did. */
struct closing {
	struct list_head node;
	const struct fiber *fiber;
	struct file **next;
	unsigned int next_len;
};

static struct list_head closings = LIST_HEAD_INIT(closings);

static struct closing *own_closing(void)
{
	struct closing *c;

	list_for_each(c, &closings, node)
	{
		if (c->fiber == fiber_self())
			return c;
	}
	return NULL;
}

static void closing_put(struct closing *c, struct file **files, unsigned int n)
{
	const uintptr_t spare[FILES_SPARE] = { (uintptr_t)c->next, c->next_len };

	memcpy(files + n, spare, sizeof(spare));
	c->next = files;
	c->next_len = n;
}

static void closing_take(struct closing *c, struct file ***ret, unsigned int *ret_len)
{
	uintptr_t spare[FILES_SPARE];

	*ret = c->next;
	*ret_len = c->next_len;
	memcpy(spare, c->next + c->next_len, sizeof(spare));
	memcpy(&c->next, &spare[0], sizeof(spare[0]));
	c->next_len = (unsigned int)spare[1];
}

/*
 * A message may carry a socket whose messages carry sockets: the innermost go on a list of the
 * fiber's outermost close, as no stack is as deep as guests can nest them.
 */
static void scm_files_done(struct scm *scm)
{
	struct file **files = TAKE_PTR(scm->files);
	unsigned int n = scm->files_len;
	struct closing *outer = own_closing(), mine = { .fiber = fiber_self() };

	scm->files_len = 0;
	if (!files)
		return;
	closing_put(outer ? outer : &mine, files, n);
	if (outer)
		return;
	list_add(&mine.node, &closings);
	while (mine.next) {
		closing_take(&mine, &files, &n);
		for (unsigned int i = 0; i < n; i++) {
			in_flight--;
			unix_gc_landed(files[i]);
			file_unref(files[i]);
		}
		free(files);
	}
	list_del(&mine.node);
}

void scm_creds_done(struct scm_creds *creds)
{
	if (creds->pid)
		pid_unref(creds->pid);
	*creds = (struct scm_creds){ 0 };
}

void scm_done(struct scm *scm)
{
	scm_creds_done(&scm->creds);
	scm_files_done(scm);
}

int scm_files_copy(const struct scm *from, struct scm *ret)
{
	if (!from->files_len)
		return 0;
	ret->files = calloc(from->files_len + FILES_SPARE, sizeof(struct file *));
	if (!ret->files)
		return -ENOMEM;
	for (unsigned int i = 0; i < from->files_len; i++) {
		ret->files[i] = file_ref(from->files[i]);
		in_flight++;
		unix_gc_sent(ret->files[i]);
	}
	ret->files_len = from->files_len;
	return 0;
}

void scm_creds_of(const struct task *t, struct scm_creds *ret)
{
	*ret = (struct scm_creds){
		.pid = pid_ref(t->tg->pid), .uid = t->cred->euid, .gid = t->cred->egid, .set = true
	};
}

void scm_creds_copy(const struct scm_creds *from, struct scm_creds *ret)
{
	*ret = *from;
	if (ret->pid)
		pid_ref(ret->pid);
}

struct ucred scm_ucred(const struct scm_creds *creds)
{
	const struct task *t = task_current();
	struct ucred u = { .uid = creds->uid, .gid = creds->gid };

	if (!creds->set)
		return (struct ucred){ .uid = (uid_t)-1, .gid = (gid_t)-1 };
	if (creds->pid && t)
		u.pid = pid_nr(creds->pid, task_pid_ns(t));
	if (t) {
		u.uid = task_uid_out(t, u.uid);
		u.gid = task_gid_out(t, u.gid);
	}
	return u;
}

static int take_files(struct task *t, const uint8_t *data, size_t len, struct scm *scm)
{
	const size_t n = len / sizeof(int);
	struct file **files;

	if (scm->files_len + n > SCM_FILES_MAX)
		return -EINVAL;
	if (in_flight + n > SCM_IN_FLIGHT_MAX)
		return -ETOOMANYREFS;
	files = reallocarray(scm->files, scm->files_len + n + FILES_SPARE, sizeof(struct file *));
	if (!files)
		return -ENOMEM;
	scm->files = files;
	for (size_t i = 0; i < n; i++) {
		struct file *f;
		int fd;

		memcpy(&fd, data + i * sizeof(fd), sizeof(fd));
		f = fd_get_any(t->files, fd);
		if (!f)
			return -EBADF;
		scm->files[scm->files_len++] = f;
		in_flight++;
		unix_gc_sent(f);
	}
	return 0;
}

/* The ids of SCM_CREDENTIALS have to be the sender's own, or it is privileged (unix(7)). */
static int take_creds(struct task *t, const uint8_t *data, size_t len, struct scm *scm)
{
	const struct cred *c = t->cred;
	struct thread_group *tg;
	struct ucred u;

	if (len != sizeof(u))
		return -EINVAL;
	memcpy(&u, data, sizeof(u));
	u.uid = user_ns_uid_in(c->user_ns, u.uid);
	u.gid = user_ns_gid_in(c->user_ns, u.gid);
	if (u.uid == ID_INVALID || u.gid == ID_INVALID)
		return -EINVAL;
	if (u.pid != task_tgid(t, task_pid_ns(t)) &&
	    !task_ns_capable(t, pid_ns_user(task_pid_ns(t)), CAP_SYS_ADMIN))
		return -EPERM;
	if (u.uid != c->uid && u.uid != c->euid && u.uid != c->suid &&
	    !task_own_capable(t, CAP_SETUID))
		return -EPERM;
	if (u.gid != c->gid && u.gid != c->egid && u.gid != c->sgid &&
	    !task_own_capable(t, CAP_SETGID))
		return -EPERM;
	tg = thread_group_find(task_pid_ns(t), u.pid);
	if (!tg)
		return -ESRCH;
	scm_creds_done(&scm->creds);
	scm->creds = (struct scm_creds){
		.pid = pid_ref(tg->pid), .uid = u.uid, .gid = u.gid, .set = true
	};
	thread_group_unref(tg);
	return 0;
}

static int take_message(struct task *t, const struct cmsghdr *head, const uint8_t *data, size_t len,
			struct scm *scm, struct buf *others)
{
	if (head->cmsg_level != SOL_SOCKET) {
		buf_append(others, head, sizeof(*head));
		buf_append(others, data, len);
		/* Whole records of CMSG_ALIGN()ed length, as the reader walks them. */
		while (!buf_error(others) && others->len % sizeof(uint64_t))
			buf_append(others, "", 1);
		return buf_error(others);
	}
	switch (head->cmsg_type) {
	case SCM_RIGHTS:
		return take_files(t, data, len, scm);
	case SCM_CREDENTIALS:
		return take_creds(t, data, len, scm);
	default:
		return -EINVAL;
	}
}

int scm_decode(struct task *t, const uint8_t *control, size_t len, struct scm *scm,
	       struct buf *others)
{
	size_t at = 0;

	while (at + sizeof(struct cmsghdr) <= len) {
		struct cmsghdr head;
		int r;

		memcpy(&head, control + at, sizeof(head));
		if (head.cmsg_len < sizeof(head) || head.cmsg_len > len - at)
			return -EINVAL;
		r = take_message(t, &head, control + at + sizeof(head),
				 head.cmsg_len - sizeof(head), scm, others);
		if (r < 0)
			return r;
		at += CMSG_ALIGN(head.cmsg_len);
	}
	return 0;
}

int scm_put(struct buf *control, int level, int type, const void *data, size_t len)
{
	const struct cmsghdr head = { .cmsg_len = CMSG_LEN(len),
				      .cmsg_level = level,
				      .cmsg_type = type };

	buf_append(control, &head, sizeof(head));
	buf_append(control, data, len);
	while (!buf_error(control) && control->len % sizeof(uint64_t))
		buf_append(control, "", 1);
	return buf_error(control);
}

/* One message; *ret_len is how much of it (with its head) fits. */
static int put_one(struct task *t, struct scm_sink *sink, struct cmsghdr *head, const void *data)
{
	const size_t space = CMSG_ALIGN(head->cmsg_len);
	size_t len = head->cmsg_len;

	if (sink->room < sizeof(*head)) {
		sink->truncated = true;
		return 0;
	}
	if (len > sink->room) {
		sink->truncated = true;
		len = sink->room;
		head->cmsg_len = len;
	}
	if (user_copy_out(task_um(t), sink->addr, head, sizeof(*head)) < 0 ||
	    user_copy_out(task_um(t), sink->addr + sizeof(*head), data, len - sizeof(*head)) < 0)
		return -EFAULT;
	len = space < sink->room ? space : sink->room;
	sink->addr += len;
	sink->room -= len;
	sink->used += len;
	return 0;
}

int scm_copy_out(struct task *t, struct scm_sink *sink, const struct buf *control)
{
	size_t at = 0;
	int r = 0;

	while (r >= 0 && at + sizeof(struct cmsghdr) <= control->len) {
		struct cmsghdr head;

		memcpy(&head, control->data + at, sizeof(head));
		at += CMSG_ALIGN(head.cmsg_len);
		r = put_one(t, sink, &head,
			    control->data + at - CMSG_ALIGN(head.cmsg_len) + sizeof(head));
	}
	return r;
}

int scm_install(struct task *t, struct scm_sink *sink, struct scm *scm, bool cloexec)
{
	const uint64_t limit = task_rlimit(t, RLIMIT_NOFILE);
	struct cmsghdr head = { .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS };
	int numbers[SCM_FILES_MAX];
	unsigned int n = 0, room = 0;
	int r = 0;

	if (!scm->files_len)
		return 0;
	if (sink->room > sizeof(head))
		room = (unsigned int)((sink->room - sizeof(head)) / sizeof(int) < SCM_FILES_MAX
					      ? (sink->room - sizeof(head)) / sizeof(int)
					      : SCM_FILES_MAX);
	for (; n < scm->files_len && n < room; n++) {
		numbers[n] = fd_install(t->files, file_ref(scm->files[n]), cloexec, limit);
		if (numbers[n] < 0)
			break;
	}
	if (n < scm->files_len)
		sink->truncated = true;
	if (n) {
		head.cmsg_len = CMSG_LEN(n * sizeof(int));
		r = put_one(t, sink, &head, numbers);
	}
	scm_files_done(scm);
	return r;
}
