/* SPDX-License-Identifier: Apache-2.0 */
#include "sentry/vfs/epoll.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/rbtree.h"
#include "base/str.h"
#include "sentry/vfs/anon.h"
#include "sentry/vfs/internal.h"

#define PRIVATE_BITS (EPOLLWAKEUP | EPOLLONESHOT | EPOLLET | EPOLLEXCLUSIVE)
#define EXCLUSIVE_OK \
	(EPOLLIN | EPOLLOUT | EPOLLERR | EPOLLHUP | EPOLLWAKEUP | EPOLLET | EPOLLEXCLUSIVE)
#define READABLE_MASK (POLLIN | POLLRDNORM)

struct eventpoll {
	struct file file;
	struct rb_tree items;
	struct list_head ready; /* items that may have something to tell */
	struct waitq wq;
	unsigned int len;	  /* items */
	unsigned int walk, depth; /* the last walk that came here, and what it found */
};

struct epitem {
	struct rb_node node;
	struct list_head ready_node, file_node;
	struct wait_entry wait;
	struct eventpoll *ep;
	struct file *target;
	int fd;
	struct epoll_event event;
};

static const struct file_ops epoll_ops;
static unsigned int item_count;
static unsigned int walk; /* which one runs: each comes to an epoll once */

static struct eventpoll *ep_of(const struct file *f)
{
	return f->ops == &epoll_ops
		       ? container_of((struct file *)(uintptr_t)f, struct eventpoll, file)
		       : NULL;
}

static int compare(const struct epitem *item, const struct file *target, int fd)
{
	if (item->target != target)
		return (uintptr_t)target < (uintptr_t)item->target ? -1 : 1;
	return fd < item->fd ? -1 : fd > item->fd;
}

static struct epitem *item_find(const struct eventpoll *ep, const struct file *target, int fd)
{
	struct rb_node *n = ep->items.root;

	while (n) {
		struct epitem *item = rb_entry(n, struct epitem, node);
		const int r = compare(item, target, fd);

		if (r == 0)
			return item;
		n = r < 0 ? n->left : n->right;
	}
	return NULL;
}

static void item_insert(struct eventpoll *ep, struct epitem *item)
{
	struct rb_node **link = &ep->items.root, *parent = NULL;

	while (*link) {
		parent = *link;
		link = compare(rb_entry(parent, struct epitem, node), item->target, item->fd) < 0
			       ? &parent->left
			       : &parent->right;
	}
	rb_insert(&ep->items, &item->node, parent, link);
	list_add_tail(&item->file_node, &item->target->epoll_items);
	item_count++;
	ep->len++;
}

static void item_free(struct epitem *item)
{
	waitq_remove(&item->wait);
	rb_erase(&item->ep->items, &item->node);
	list_del(&item->ready_node);
	list_del(&item->file_node);
	item_count--;
	item->ep->len--;
	free(item);
}

static void item_ready(struct epitem *item)
{
	if (list_empty(&item->ready_node))
		list_add_tail(&item->ready_node, &item->ep->ready);
	waitq_wake(&item->ep->wq, READABLE_MASK);
}

static void item_event(struct wait_entry *entry, uint32_t events)
{
	struct epitem *item = container_of(entry, struct epitem, wait);

	if (!(item->event.events & ~(uint32_t)PRIVATE_BITS))
		return; /* one shot, and it was fired */
	if (!(events & (item->event.events | EPOLLERR | EPOLLHUP)))
		return;
	item_ready(item);
}

static uint32_t item_poll(const struct epitem *item)
{
	const uint32_t wanted = item->event.events & ~(uint32_t)PRIVATE_BITS;

	return wanted ? file_poll(item->target) & (wanted | EPOLLERR | EPOLLHUP) : 0;
}

void epoll_forget(struct file *f)
{
	while (!list_empty(&f->epoll_items))
		item_free(list_first(&f->epoll_items, struct epitem, file_node));
}

/* Readable when an item has something to tell; those that have not leave the list. */
static uint32_t ep_poll(struct file *f)
{
	struct eventpoll *ep = container_of(f, struct eventpoll, file);
	struct epitem *item, *next;

	list_for_each_safe(item, next, &ep->ready, ready_node)
	{
		if (item_poll(item))
			return READABLE_MASK;
		list_del(&item->ready_node);
	}
	return 0;
}

static void ep_release(struct file *f)
{
	struct eventpoll *ep = container_of(f, struct eventpoll, file);
	struct rb_node *n;

	while ((n = rb_first(&ep->items)) != NULL)
		item_free(rb_entry(n, struct epitem, node));
	file_fini(f);
	free(ep);
}

static int ep_show_fdinfo(struct file *f, char *buf, size_t len)
{
	const struct eventpoll *ep = container_of(f, struct eventpoll, file);
	size_t done = 0;

	buf[0] = '\0';
	for (struct rb_node *n = rb_first(&ep->items); n && done < len; n = rb_next(n)) {
		const struct epitem *item = rb_entry(n, struct epitem, node);

		done += (size_t)snprintf(
			buf + done, len - done, "tfd: %8d events: %8x data: %16llx\n", item->fd,
			item->event.events, (unsigned long long)item->event.data.u64);
	}
	return 0;
}

static const struct file_ops epoll_ops = {
	.poll = ep_poll,
	.show_fdinfo = ep_show_fdinfo,
	.release = ep_release,
};

int epoll_open(const struct cred *cred, struct file **ret)
{
	struct eventpoll *ep = calloc(1, sizeof(*ep));
	int r;

	if (!ep)
		return -ENOMEM;
	r = anon_file_init(&ep->file, &epoll_ops, "[eventpoll]", cred, O_RDWR);
	if (r < 0) {
		free(ep);
		return r;
	}
	ep->file.mode |= FMODE_STREAM;
	ep->file.wq = &ep->wq;
	list_init(&ep->ready);
	waitq_init(&ep->wq);
	*ret = &ep->file;
	return 0;
}

/* How deep the epolls below f nest; more than the limit when `searched` is among them. */
static unsigned int nesting_below(const struct file *f, const struct eventpoll *searched)
{
	struct eventpoll *ep = ep_of(f);

	if (!ep)
		return 0;
	if (ep == searched)
		return EPOLL_NESTS_MAX + 1;
	if (ep->walk == walk)
		return ep->depth;
	ep->walk = walk;
	ep->depth = 1;
	for (struct rb_node *n = rb_first(&ep->items); n; n = rb_next(n)) {
		const unsigned int d =
			nesting_below(rb_entry(n, struct epitem, node)->target, searched) + 1;

		if (d > ep->depth)
			ep->depth = d;
	}
	return ep->depth;
}

static unsigned int nesting_above(struct eventpoll *ep)
{
	const struct epitem *item;

	if (ep->walk == walk)
		return ep->depth;
	ep->walk = walk;
	ep->depth = 0;
	list_for_each(item, &ep->file.epoll_items, file_node)
	{
		const unsigned int h = nesting_above(item->ep) + 1;

		if (h > ep->depth)
			ep->depth = h;
	}
	return ep->depth;
}

static bool too_deep(struct eventpoll *ep, const struct file *target)
{
	unsigned int depth;

	walk++;
	depth = nesting_below(target, ep);
	walk++;
	return depth + nesting_above(ep) > EPOLL_NESTS_MAX;
}

/* Count the ways from f up to epolls that nobody watches: an event goes along each of them. */
static bool paths_fit(const struct file *f, unsigned int depth, unsigned int *counts)
{
	static const unsigned int limits[] = { UINT_MAX, 500, 100, 50, 10 };
	const struct epitem *item;

	if (depth >= ARRAY_LEN(limits))
		return false;
	list_for_each(item, &f->epoll_items, file_node)
	{
		const struct file *above = &item->ep->file;

		if (list_empty(&above->epoll_items) ? ++counts[depth] > limits[depth]
						    : !paths_fit(above, depth + 1, counts))
			return false;
	}
	return true;
}

/* paths_fit() of every file that f, or an epoll below it, watches. */
static bool sources_fit(const struct file *f)
{
	struct eventpoll *ep = ep_of(f);

	if (!ep) {
		unsigned int counts[EPOLL_NESTS_MAX + 1] = { 0 };

		return paths_fit(f, 0, counts);
	}
	if (ep->walk == walk)
		return true;
	ep->walk = walk;
	for (struct rb_node *n = rb_first(&ep->items); n; n = rb_next(n)) {
		if (!sources_fit(rb_entry(n, struct epitem, node)->target))
			return false;
	}
	return true;
}

static int item_add(struct eventpoll *ep, int fd, struct file *target,
		    const struct epoll_event *event)
{
	struct waitq *q = file_wq(target);
	struct epitem *item;

	if (item_find(ep, target, fd))
		return -EEXIST;
	if (ep_of(target) && too_deep(ep, target))
		return -ELOOP;
	if (item_count >= EPOLL_ITEMS_MAX)
		return -ENOSPC;
	item = calloc(1, sizeof(*item));
	if (!item)
		return -ENOMEM;
	item->ep = ep;
	item->target = target;
	item->fd = fd;
	item->event = *event;
	item->event.events |= EPOLLERR | EPOLLHUP; /* only one shot takes them away */
	list_init(&item->ready_node);
	list_init(&item->file_node);
	list_init(&item->wait.node);
	item->wait.mask = WAIT_ALL;
	item->wait.fn = item_event;
	item_insert(ep, item);
	walk++;
	if ((ep_of(target) || !list_empty(&ep->file.epoll_items)) && !sources_fit(target)) {
		item_free(item);
		return -EINVAL;
	}
	if (q)
		waitq_add(q, &item->wait);
	if (item_poll(item))
		item_ready(item);
	return 0;
}

static int item_modify(struct epitem *item, const struct epoll_event *event)
{
	if (event->events & EPOLLEXCLUSIVE || item->event.events & EPOLLEXCLUSIVE)
		return -EINVAL;
	item->event = *event;
	item->event.events |= EPOLLERR | EPOLLHUP;
	if (item_poll(item))
		item_ready(item);
	return 0;
}

int epoll_change(struct file *f, int op, int fd, struct file *target,
		 const struct epoll_event *event)
{
	struct eventpoll *ep = ep_of(f);
	struct epitem *item;

	if (!target->ops->poll)
		return -EPERM;
	if (!ep || f == target)
		return -EINVAL;
	if (op == EPOLL_CTL_ADD && event->events & EPOLLEXCLUSIVE &&
	    (event->events & ~(uint32_t)EXCLUSIVE_OK || ep_of(target)))
		return -EINVAL;
	item = item_find(ep, target, fd);
	switch (op) {
	case EPOLL_CTL_ADD:
		return item_add(ep, fd, target, event);
	case EPOLL_CTL_MOD:
		return item ? item_modify(item, event) : -ENOENT;
	case EPOLL_CTL_DEL:
		if (!item)
			return -ENOENT;
		item_free(item);
		return 0;
	default:
		return -EINVAL;
	}
}

unsigned int epoll_len(const struct file *f)
{
	const struct eventpoll *ep = ep_of(f);

	return ep ? ep->len : 0;
}

/* One pass over what may be ready. */
static unsigned int collect(struct eventpoll *ep, struct epoll_event *events, unsigned int max)
{
	struct list_head scan = LIST_HEAD_INIT(scan), again = LIST_HEAD_INIT(again);
	unsigned int n = 0;

	list_splice_tail(&ep->ready, &scan);
	while (!list_empty(&scan) && n < max) {
		struct epitem *item = list_first(&scan, struct epitem, ready_node);
		const uint32_t now = item_poll(item);

		list_del(&item->ready_node);
		if (!now)
			continue;
		events[n].events = now;
		events[n++].data = item->event.data;
		if (item->event.events & EPOLLONESHOT)
			item->event.events &= PRIVATE_BITS;
		else if (!(item->event.events & EPOLLET))
			list_add_tail(&item->ready_node, &again);
	}
	/* What was not looked at goes first the next time. */
	list_splice_tail(&ep->ready, &scan);
	list_splice_tail(&scan, &ep->ready);
	list_splice_tail(&again, &ep->ready);
	return n;
}

int epoll_collect(struct file *f, struct epoll_event *events, unsigned int max, nsec_t deadline)
{
	struct eventpoll *ep = ep_of(f);

	if (!ep)
		return -EINVAL;
	if (max > EPOLL_BATCH_MAX)
		max = EPOLL_BATCH_MAX;
	for (;;) {
		const unsigned int n = collect(ep, events, max);
		int r;

		if (n > 0)
			return (int)n;
		if (deadline == 0)
			return 0;
		r = WAIT_EVENT_UNTIL(&ep->wq, !list_empty(&ep->ready), deadline);
		if (r == -ETIMEDOUT)
			return 0;
		if (r < 0)
			return r;
	}
}
