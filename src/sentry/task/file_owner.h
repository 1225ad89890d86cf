/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/task/file_owner.h - signals about a descriptor (fcntl(2), F_SETOWN and F_SETSIG): SIGIO of
 * O_ASYNC and of leases, SIGURG of sockets.
 *
 * The owner is a number in the pid namespace of who set it: it may have gone, or be another's by
 * now.
 */
#pragma once

#include "sentry/vfs/file.h"

struct task;

/* The types of F_SETOWN_EX, by Linux's numbers. */
enum file_owner_type {
	FILE_OWNER_THREAD,
	FILE_OWNER_PROCESS,
	FILE_OWNER_GROUP,
};

/* Number 0: nobody. 0, -ESRCH. One whom the caller may not signal is kept and never told. */
int file_owner_set(struct task *t, struct file *f, int type, int id);

/* The signal of F_SETSIG with what happened (POLL_IN ..., and the bits of poll(2)), or SIGIO. */
void file_owner_tell(const struct file *f, int code, uint32_t band);
/* The function of file.async. */
void file_owner_ready(struct wait_entry *entry, uint32_t events);
/* Urgent data has come. */
void file_owner_urgent(const struct file *f);
