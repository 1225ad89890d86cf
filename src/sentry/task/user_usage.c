/* SPDX-License-Identifier: Apache-2.0 */
/* sentry/task/user_usage.c - see user_usage.h. */
#include "sentry/task/user_usage.h"

#include <errno.h>
#include <stdlib.h>

static struct rb_tree users;
static uint64_t signals_of_all;

struct user_usage *user_usage_get(uint32_t uid)
{
	struct rb_node **link = &users.root, *parent = NULL;
	struct user_usage *u;

	while (*link) {
		parent = *link;
		u = rb_entry(parent, struct user_usage, node);
		if (u->uid == uid)
			return user_usage_ref(u);
		link = uid < u->uid ? &parent->left : &parent->right;
	}
	u = calloc(1, sizeof(*u));
	if (!u)
		return NULL;
	u->refs = 1;
	u->uid = uid;
	rb_insert(&users, &u->node, parent, link);
	return u;
}

struct user_usage *user_usage_ref(struct user_usage *u)
{
	u->refs++;
	return u;
}

void user_usage_unref(struct user_usage *u)
{
	if (!u || --u->refs)
		return;
	rb_erase(&users, &u->node);
	free(u);
}

int user_usage_add_signal(struct user_usage *u, uint64_t limit)
{
	if (u->signals >= limit || u->signals >= USER_SIGNALS_MAX ||
	    signals_of_all >= SANDBOX_SIGNALS_MAX)
		return -EAGAIN;
	u->signals++;
	signals_of_all++;
	user_usage_ref(u);
	return 0;
}

void user_usage_drop_signal(struct user_usage *u)
{
	u->signals--;
	signals_of_all--;
	user_usage_unref(u);
}
