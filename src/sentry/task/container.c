/* SPDX-License-Identifier: Apache-2.0 */
/* sentry/task/container.c - see container.h. */
#include "sentry/task/container.h"

#include <stdlib.h>
#include <string.h>

#include "sentry/task/seccomp.h"

struct container *container_new(const char *id, unsigned int tasks_max)
{
	struct container *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->refs = 1;
	waitq_init(&c->emptied);
	waitq_init(&c->frost);
	c->id = strdup(id);
	c->tasks_max =
		tasks_max && tasks_max < CONTAINER_TASKS_MAX ? tasks_max : CONTAINER_TASKS_MAX;
	c->allow_setid = true;
	if (!c->id) {
		free(c);
		return NULL;
	}
	return c;
}

struct container *container_ref(struct container *c)
{
	c->refs++;
	return c;
}

void container_unref(struct container *c)
{
	if (!c || --c->refs)
		return;
	seccomp_filter_unref(c->seccomp);
	free(c->id);
	free(c);
}
