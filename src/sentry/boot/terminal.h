/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/boot/terminal.h - the terminal of a process that the runtime asks for.
 *
 * The runtime hands over the slave of a host's pseudo-terminal, which it has made raw. Inside, the
 * process gets a pair of the container's devpts with a line discipline, sessions and job control of
 * its own; a pump moves the bytes between the two.
 */
#pragma once

#include "base/err.h"
#include "sentry/task/task.h"
#include "wire/sentry_msg.h"

struct terminal;

/*
 * A pair for p, in the devpts that ctx finds at /dev/pts; *ret_slave is a
 * reference. host_fd is taken over, also on failure. From a fiber.
 */
int terminal_new(const struct sentry_process *p, const struct vfs_ctx *ctx, int host_fd,
		 struct file **ret_slave, struct terminal **ret, struct err *err);

/* /dev/console is this terminal, as it is of a container's first process. */
void terminal_make_console(const struct terminal *t, const struct vfs_ctx *ctx);

/* The slave becomes the controlling terminal of this process's session. */
void terminal_control(struct terminal *t, struct file *slave, struct thread_group *tg);

/* The host's window has changed. Does not park. Accepts NULL. */
void terminal_resize(struct terminal *t);

/* What has been written goes out, for a bounded time; then *t is freed. From a fiber. */
void terminal_end(struct terminal *t);
