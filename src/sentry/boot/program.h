/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/boot/program.h - names that are looked up in the container's tree: the program and the
 * home directory. Everything read there is hostile. The messages are runc's, which engines turn
 * into exit codes 126 and 127.
 */
#pragma once

#include "base/err.h"
#include "sentry/vfs/namei.h"
#include "wire/sentry_msg.h"

/*
 * The path to execute: p->program, or args[0] searched as execvp(3) does in the process's PATH,
 * whose elements count only when they are absolute. *ret is the caller's. -ENOENT: `exec: "sh":
 * executable file not found in $PATH`; -EACCES.
 */
int program_find(const struct vfs_ctx *ctx, const struct sentry_process *p, char **ret,
		 struct err *err);

/* "HOME=..." of the container's /etc/passwd for uid, or HOME=/. *ret is the caller's. -ENOMEM. */
int program_home(const struct vfs_ctx *ctx, uint32_t uid, char **ret);
