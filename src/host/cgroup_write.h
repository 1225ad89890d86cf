/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host/cgroup_write.h - writing one control file with an error that names field, controller, file
 * and value. For host/cgroup_*.c only.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "host/cgroup_internal.h"

/* The open directory of one controller, for a run of writes. */
struct cgroup_ctl {
	int dir_fd; /* O_PATH, owned; -EBADF: empty */
	const char *controller;
	struct cgroup_journal *journal; /* borrowed, or NULL */
	struct err *err;
};

/*
 * Open the directory that `field` ("linux.resources.memory.limit") needs. -ENOTSUP with a message
 * naming the field when the container has no such controller.
 */
int cgroup_ctl_open(const struct cgroup *cg, const char *controller, const char *field,
		    struct err *err, struct cgroup_ctl *ret);
void cgroup_ctl_done(struct cgroup_ctl *ctl);

/* Write formatted text to a file: 0, or -errno with the error set. */
int cgroup_ctl_write(const struct cgroup_ctl *ctl, const char *file, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* The same without setting an error: for a write that may be refused and tried again. */
int cgroup_ctl_try(const struct cgroup_ctl *ctl, const char *file, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* Read a file that holds one number; "max" reads as UINT64_MAX. 0 or -errno, no error set. */
int cgroup_ctl_read(const struct cgroup_ctl *ctl, const char *file, uint64_t *ret);

bool cgroup_ctl_has(const struct cgroup_ctl *ctl, const char *file);
