/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/net/unix_gc.h - sockets that only messages refer to: a socket sent to itself, or two sent
 * to each other, would live for ever.
 */
#pragma once

struct file;

/* A file goes into a message, or out of it. */
void unix_gc_sent(struct file *f);
void unix_gc_landed(struct file *f);

/* A unix socket was closed: free the messages that nobody can receive any more. May park. */
void unix_gc_run(void);
