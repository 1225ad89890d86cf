/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/boot/member.h - how a container of this sandbox comes to be, and ends.
 */
#pragma once

#include "sentry/boot/sandbox.h"

/* The first of its processes with a number from `from` on, and the number: a reference, or NULL. */
struct thread_group *member_next(const struct member *m, int from, int *ret_pid);

/*
 * Its processes run no guest code from now on; or again, when there is no other reason. Returns
 * when that is so, or -ETIMEDOUT: one does not leave it, and they are let go. From a fiber.
 */
int member_hold(struct member *m);
void member_let_go(struct member *m);

/* The same of all, also of those that are made meanwhile; let go as often as it was held. */
int members_hold(void);
void members_let_go(void);
bool members_are_held(void);

/* As the file says that came with a FREEZE, if one did. From a fiber. */
int member_follow(struct member *m);

/* One that was added is shown its limits from now on. */
void member_show_limits(struct member *m);

/* Once, before any container is made. */
void members_init(void);

/* m->container and m->description are there, and the gofer is connected. From a fiber. */
int member_make_namespaces(struct member *m, struct err *err);

/*
 * Load its first process. fds: 0, 1, 2 and preserve_fds more, taken over, also on failure; on_exit
 * is called with m. From a fiber.
 */
typedef void member_exit_fn(void *arg, struct thread_group *tg, int wait_status);
int member_load(struct member *m, const int *fds, member_exit_fn *on_exit, struct err *err);

/*
 * Add a container to the sandbox, up to its gate: maker->made, which lives by itself until it ends,
 * and then tells its maker. Takes the description over, also on failure; of fds (its control
 * socket, its gofer's connection, then as member_load()) those that are -EBADF afterwards. From a
 * fiber. -EEXIST, -EAGAIN, or what failed, with a sentence.
 */
int member_add(struct sentry_container *description, int *fds, struct client *maker,
	       struct err *err);
