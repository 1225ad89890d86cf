/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/task/user_usage.h - what each real uid of the sandbox has of limited things
 * (RLIMIT_NPROC, RLIMIT_SIGPENDING).
 */
#pragma once

#include <stdint.h>

#include "base/rbtree.h"

/* Queued signals and timers, whatever the limits say: of one user, and of the sandbox. */
#define USER_SIGNALS_MAX    65536
#define SANDBOX_SIGNALS_MAX 262144

struct user_usage {
	struct rb_node node;
	unsigned int refs;
	uint32_t uid;
	uint64_t tasks;
	uint64_t signals;      /* queued signals and timers */
	uint64_t mqueue_bytes; /* of POSIX message queues, RLIMIT_MSGQUEUE */
};

struct user_usage *user_usage_get(uint32_t uid); /* one reference; NULL: out of memory */
struct user_usage *user_usage_ref(struct user_usage *u);
void user_usage_unref(struct user_usage *u); /* accepts NULL */

/* One more queued signal within `limit` and the limits above: a reference is taken. 0, -EAGAIN. */
int user_usage_add_signal(struct user_usage *u, uint64_t limit);
void user_usage_drop_signal(struct user_usage *u);
