/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/boot/copyup.h - "tmpcopyup": a new tmpfs that starts with what it covers.
 *
 * The source is the container's and hostile: links are copied and never followed, depth and number
 * of entries are limited. Mode and owner are copied; fifos are made again, sockets and devices left
 * out. Hard links become separate files.
 */
#pragma once

#include "base/err.h"
#include "sentry/vfs/namei.h"

#define COPYUP_DEPTH_MAX   64	  /* directories below the top: -ELOOP */
#define COPYUP_ENTRIES_MAX 65536u /* -E2BIG */

/* Everything below the directory `from` into the directory `to`. From a fiber, as ctx->cred. */
int boot_copy_up(const struct vfs_ctx *ctx, const struct path *from, const struct path *to,
		 struct err *err);
