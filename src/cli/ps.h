/* SPDX-License-Identifier: Apache-2.0 */
/* cli/ps.h - the filter between ps(1) and `caisson ps`. */
#pragma once

#include <stddef.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/err.h"

struct pid_list {
	pid_t *pids; /* owned */
	size_t len;
};

/*
 * Append the first line of `text` and those whose word in the column "PID" is one of the list.
 * -EINVAL if the first line has no such column.
 */
int ps_filter(const struct buf *text, const struct pid_list *list, struct buf *out,
	      struct err *err);
