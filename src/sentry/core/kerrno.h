/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/core/kerrno.h - errnos that never reach the guest (Linux include/linux/errno.h).
 *
 * The exit path of a system call turns them into a restart or into EINTR (task/signal).
 */
#pragma once

#define ERESTARTSYS    512 /* restart if the handler has SA_RESTART or there is none */
#define ERESTARTNOINTR 513 /* always restart */
#define ERESTARTNOHAND 514 /* restart only if no handler runs */
#define EFSIZELIMIT    530 /* EFBIG because of RLIMIT_FSIZE: SIGXFSZ is due (vfs) */
#define ERESTART_RESTARTBLOCK                                               \
	516 /* restart through restart_syscall(2) with an adjusted time-out \
	     */
