/* SPDX-License-Identifier: Apache-2.0 */
/* sentry/task/pid.c - see pid.h. */
#include "sentry/task/pid.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "sentry/core/user_ns.h"
#include "sentry/task/namespaces.h"

struct pid_ns {
	unsigned int refs;
	unsigned int level;
	struct pid_ns *parent; /* one reference */
	struct rb_tree numbers;
	unsigned int count;
	int last;
	bool closed;
	struct waitq drained; /* a number was freed after it closed */
	struct thread_group *init;
	uint64_t id;
	struct user_ns *user; /* one reference; NULL: the initial one */
};

int pid_ns_new(struct pid_ns *parent, struct pid_ns **ret)
{
	struct pid_ns *ns;

	if (parent && parent->level + 1 >= PID_NS_LEVELS_MAX)
		return -ENOSPC;
	ns = calloc(1, sizeof(*ns));
	if (!ns)
		return -ENOMEM;
	ns->refs = 1;
	ns->id = ns_new_id();
	waitq_init(&ns->drained);
	if (parent) {
		ns->parent = pid_ns_ref(parent);
		ns->level = parent->level + 1;
	}
	*ret = ns;
	return 0;
}

struct user_ns *pid_ns_user(const struct pid_ns *ns)
{
	return ns->user;
}

void pid_ns_set_user(struct pid_ns *ns, struct user_ns *user)
{
	ns->user = user_ns_ref(user);
}

struct pid_ns *pid_ns_ref(struct pid_ns *ns)
{
	ns->refs++;
	return ns;
}

void pid_ns_unref(struct pid_ns *ns)
{
	while (ns && --ns->refs == 0) {
		struct pid_ns *parent = ns->parent;

		assert(ns->count == 0);
		user_ns_unref(ns->user);
		free(ns);
		ns = parent;
	}
}

struct pid_ns *pid_ns_parent(const struct pid_ns *ns)
{
	return ns->parent;
}

struct thread_group *pid_ns_init(const struct pid_ns *ns)
{
	return ns->init;
}

void pid_ns_set_init(struct pid_ns *ns, struct thread_group *tg)
{
	ns->init = tg;
}

void pid_ns_close(struct pid_ns *ns)
{
	ns->closed = true;
}

unsigned int pid_ns_count(const struct pid_ns *ns)
{
	return ns->count;
}

uint64_t pid_ns_id(const struct pid_ns *ns)
{
	return ns->id;
}

bool pid_ns_inside(const struct pid_ns *ns, const struct pid_ns *outer)
{
	for (; ns; ns = ns->parent)
		if (ns == outer)
			return true;
	return false;
}

int pid_ns_last(const struct pid_ns *ns)
{
	return ns->last;
}

void pid_ns_set_last(struct pid_ns *ns, int nr)
{
	ns->last = nr;
}

/* The first number >= nr in the tree, or NULL. */
static struct pid_number *number_from(const struct pid_ns *ns, int nr)
{
	struct rb_node *node = ns->numbers.root;
	struct pid_number *best = NULL;

	while (node) {
		struct pid_number *n = rb_entry(node, struct pid_number, node);

		if (n->nr >= nr) {
			best = n;
			node = node->left;
		} else {
			node = node->right;
		}
	}
	return best;
}

/* The first free number in [from, end), or 0. */
static int number_gap(const struct pid_ns *ns, int from, int end)
{
	struct pid_number *n = number_from(ns, from);

	while (n && n->nr == from) {
		struct rb_node *next = rb_next(&n->node);

		from++;
		n = next ? rb_entry(next, struct pid_number, node) : NULL;
	}
	return from < end ? from : 0;
}

/* A free number, or `wanted` (0: any): the number or -errno. */
static int number_choose(const struct pid_ns *ns, int wanted)
{
	int nr;

	if (ns->closed)
		return -ENOMEM; /* as alloc_pid() of Linux says it */
	if (wanted) {
		if (wanted < 1 || wanted >= PID_MAX || (wanted != 1 && !ns->init))
			return -EINVAL;
		return pid_find(ns, wanted) ? -EEXIST : wanted;
	}
	nr = number_gap(ns, ns->last + 1, PID_MAX);
	if (!nr)
		nr = number_gap(ns, ns->last < PID_RESERVED ? 1 : PID_RESERVED, PID_MAX);
	return nr ? nr : -EAGAIN;
}

static int number_take(struct pid_ns *ns, struct pid *pid, struct pid_number *number, int wanted)
{
	struct rb_node **link = &ns->numbers.root, *parent = NULL;
	const int nr = number_choose(ns, wanted);

	if (nr < 0)
		return nr;
	while (*link) {
		parent = *link;
		link = nr < rb_entry(parent, struct pid_number, node)->nr ? &parent->left
									  : &parent->right;
	}
	number->nr = nr;
	number->ns = ns;
	number->pid = pid;
	rb_insert(&ns->numbers, &number->node, parent, link);
	ns->count++;
	if (!wanted)
		ns->last = nr;
	return 0;
}

static void number_drop(struct pid_number *number)
{
	rb_erase(&number->ns->numbers, &number->node);
	number->ns->count--;
	if (number->ns->closed)
		waitq_wake(&number->ns->drained, POLLIN);
}

void pid_ns_drain(struct pid_ns *ns, unsigned int keep)
{
	WAIT_EVENT_ALWAYS(&ns->drained, ns->count <= keep);
}

int pid_alloc(struct pid_ns *ns, struct pid **ret)
{
	return pid_alloc_at(ns, NULL, 0, ret);
}

int pid_alloc_at(struct pid_ns *ns, const int *wanted, size_t wanted_len, struct pid **ret)
{
	const unsigned int levels = ns->level + 1;
	struct pid *pid = calloc(1, sizeof(*pid) + levels * sizeof(pid->numbers[0]));
	struct pid_ns *at = ns;
	int r;

	if (wanted_len > levels || !pid) {
		free(pid);
		return wanted_len > levels ? -EINVAL : -ENOMEM;
	}
	pid->refs = 1;
	pid->levels = levels;
	for (unsigned int i = levels; i-- > 0; at = at->parent) {
		const size_t depth = levels - 1 - i;

		r = number_take(at, pid, &pid->numbers[i], depth < wanted_len ? wanted[depth] : 0);
		if (r < 0) {
			while (++i < levels)
				number_drop(&pid->numbers[i]);
			free(pid);
			return r;
		}
	}
	pid->hashed = true;
	waitq_init(&pid->exited);
	pid_ns_ref(ns);
	*ret = pid;
	return 0;
}

struct pid *pid_ref(struct pid *pid)
{
	pid->refs++;
	return pid;
}

void pid_release(struct pid *pid)
{
	if (!pid->hashed || pid->task || pid->tg || pid->pgrp || pid->session)
		return;
	pid->hashed = false;
	for (unsigned int i = 0; i < pid->levels; i++)
		number_drop(&pid->numbers[i]);
}

void pid_unref(struct pid *pid)
{
	struct pid_ns *ns;

	if (!pid || --pid->refs)
		return;
	pid_release(pid);
	assert(!pid->hashed);
	ns = pid_ns_of(pid);
	free(pid);
	pid_ns_unref(ns);
}

int pid_nr(const struct pid *pid, const struct pid_ns *ns)
{
	if (!pid || ns->level >= pid->levels || pid->numbers[ns->level].ns != ns)
		return 0;
	return pid->numbers[ns->level].nr;
}

struct pid_ns *pid_ns_of(const struct pid *pid)
{
	return pid->numbers[pid->levels - 1].ns;
}

struct pid *pid_find(const struct pid_ns *ns, int nr)
{
	struct pid_number *n = nr > 0 ? number_from(ns, nr) : NULL;

	return n && n->nr == nr ? n->pid : NULL;
}

struct pid *pid_next(const struct pid_ns *ns, int nr)
{
	struct pid_number *n = number_from(ns, nr);

	return n ? n->pid : NULL;
}
