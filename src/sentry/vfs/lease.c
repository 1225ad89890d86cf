/* SPDX-License-Identifier: Apache-2.0 */
/* sentry/vfs/lease.c - leases of files: see lease.h. */
#include "sentry/vfs/lease.h"

#include <stdlib.h>

#include "sentry/core/kclock.h"

struct lease {
	struct list_head node; /* of inode->leases */
	struct file *holder;   /* whose end ends it */
	int type;	       /* F_RDLCK, F_WRLCK */
	int becomes;	       /* what somebody waits for; the type when nobody does */
	nsec_t deadline;       /* of that, monotonic */
	void (*tell)(struct file *f);
};

static struct lease *find(const struct file *f, const struct inode *inode)
{
	struct lease *l;

	list_for_each(l, &inode->leases, node)
	{
		if (l->holder == f)
			return l;
	}
	return NULL;
}

static void end(struct inode *inode, struct lease *l)
{
	list_del(&l->node);
	free(l);
	waitq_wake(&inode->lease_waiters, WAIT_ALL);
}

/* Nobody else may have the file open in a way that the lease is to tell of. */
static bool is_free(const struct file *f, const struct inode *inode, int type)
{
	const struct lease *l;

	if (type == F_RDLCK && inode->writers > 0)
		return false;
	if (type == F_WRLCK && inode->opens > 1)
		return false;
	list_for_each(l, &inode->leases, node)
	{
		if (l->holder != f && (type == F_WRLCK || l->becomes != l->type))
			return false;
	}
	return true;
}

int lease_set(struct file *f, int type, void (*tell)(struct file *f))
{
	struct inode *inode = file_named_inode(f);
	struct lease *l;

	if (!inode || !S_ISREG(inode->mode))
		return -EINVAL;
	l = find(f, inode);
	if (type == F_UNLCK) {
		if (!l)
			return -EAGAIN;
		end(inode, l);
		return 0;
	}
	if (!is_free(f, inode, type))
		return -EAGAIN;
	if (!l) {
		l = calloc(1, sizeof(*l));
		if (!l)
			return -ENOMEM;
		l->holder = f;
		list_add_tail(&l->node, &inode->leases);
	}
	l->type = l->becomes = type;
	l->tell = tell;
	waitq_wake(&inode->lease_waiters, WAIT_ALL);
	return 0;
}

int lease_get(const struct file *f)
{
	const struct inode *inode = file_named_inode(f);
	const struct lease *l = inode ? find(f, inode) : NULL;

	return l ? l->becomes : F_UNLCK;
}

/* Tell the holders in the way; those whose time is over lose theirs. Returns when the next one's
 * is, 0: nobody is in the way. */
static nsec_t ask(struct inode *inode, bool write)
{
	const nsec_t now = kclock_monotonic();
	struct lease *l, *next;
	nsec_t first = 0;

	list_for_each_safe(l, next, &inode->leases, node)
	{
		if (!write && l->type == F_RDLCK)
			continue;
		if (l->becomes == l->type) {
			l->deadline = nsec_add(now, LEASE_BREAK_NS);
			l->becomes = write ? F_UNLCK : F_RDLCK;
			l->tell(l->holder);
		} else if (write) {
			l->becomes = F_UNLCK;
		}
		if (now < l->deadline)
			first = !first || l->deadline < first ? l->deadline : first;
		else if (l->becomes == F_UNLCK)
			end(inode, l);
		else
			l->type = l->becomes;
	}
	return first;
}

int lease_break(struct inode *inode, bool write, bool nonblock)
{
	nsec_t until;
	int r;

	if (list_empty(&inode->leases))
		return 0;
	while ((until = ask(inode, write)) != 0) {
		struct wait_fiber wait;

		if (nonblock)
			return -EAGAIN;
		wait_fiber_init(&wait, WAIT_ALL);
		waitq_add(&inode->lease_waiters, &wait.entry);
		r = wait_result(fiber_park(until, true));
		waitq_remove(&wait.entry);
		if (r < 0 && r != -ETIMEDOUT)
			return r;
	}
	return 0;
}

void lease_release(struct file *f)
{
	struct inode *inode = file_named_inode(f);
	struct lease *l = inode && !list_empty(&inode->leases) ? find(f, inode) : NULL;

	if (l)
		end(inode, l);
}
