/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli/tar.h - a writer of ustar archives (POSIX.1-2017 pax, "ustar Interchange Format").
 *
 * Regular files from memory only, owned by root with mode 0600, in the order given. Enough for a
 * bug report, and nothing in it can name a path outside the directory where it is unpacked.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

struct tar {
	int fd;		/* borrowed */
	int64_t mtime;	/* seconds; for every member */
	uint64_t bytes; /* written so far */
	uint64_t max;	/* the archive never grows beyond this; 0: no limit */
};

#define TAR_FILE_MAX ((uint64_t)1 << 33) /* eleven octal digits: one byte more does not fit */

/*
 * Add a file. -EINVAL for a name that is empty, absolute, has "..", or fits neither `name` (100)
 * nor `prefix` (155) and `name`; -EFBIG for a file that is too large; -ENOSPC above tar->max.
 */
int tar_add(struct tar *tar, const char *name, const void *bytes, size_t len, struct err *err);

/* The two empty blocks at the end. */
int tar_finish(struct tar *tar, struct err *err);
