/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/task/seccomp_notify.h - SECCOMP_RET_USER_NOTIF: calls that another process answers
 * (seccomp_unotify(2)).
 *
 * A listener is a file that one filter feeds. The two know each other by struct notify_link, which
 * either outlives the other.
 */
#pragma once

#include <linux/seccomp.h>

#include "sentry/task/task.h"

/* One reference each: the filter's and the file's. */
struct notify_link;

/* A listener's file, not installed yet, and the filter's end. 0, -ENOMEM. */
int seccomp_listener_new(bool wait_killable, struct file **ret, struct notify_link **ret_link);
/* The filter is gone: nobody will ask any more. Takes over the reference; accepts NULL. */
void seccomp_link_end(struct notify_link *link);
bool seccomp_link_open(const struct notify_link *link); /* somebody holds the file */

/*
 * Ask and wait. True: the call may go on; else *ret_result is its answer: the listener's, -ENOSYS
 * without one, -ERESTARTSYS after a signal.
 */
bool seccomp_ask(struct task *t, struct notify_link *link, const struct seccomp_data *data,
		 int64_t *ret_result);
