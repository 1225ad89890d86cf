/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/task/seccomp.h - seccomp(2) filters of the guest, and that of config.json, interpreted
 * here.
 *
 * A task has a list of filters, newest first; lists share their tails.
 */
#pragma once

#include <linux/filter.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sentry/arch/regs.h"

#define SECCOMP_INSNS_MAX     32768	 /* of all filters of a task, and 4 for each older one */
#define SECCOMP_INSNS_ALL_MAX (8u << 20) /* of all filters of the sandbox: 64 MiB */

struct seccomp_filter;
struct task;

/* A checked filter before `older` (its reference is taken over on success; may be NULL).
 * 0, -EINVAL, -ENOMEM (also: too many instructions). */
int seccomp_filter_new(const struct sock_filter *insns, size_t len, bool log,
		       struct seccomp_filter *older, struct seccomp_filter **ret);
struct seccomp_filter *seccomp_filter_ref(struct seccomp_filter *f); /* accepts NULL */
void seccomp_filter_unref(struct seccomp_filter *f);		     /* accepts NULL */

/* The call may go on (true), or *ret_result is its answer; signals have been sent. */
bool seccomp_allows(struct task *t, uint64_t nr, const struct syscall_args *a, int64_t *ret_result);

/* No filter of the task looks at these calls' arguments or does anything but allow them. */
bool seccomp_allows_always(const struct task *t, const uint16_t *nrs, size_t len);

/* prctl(2) and seccomp(2). prog is the address of a struct sock_fprog. */
int64_t seccomp_mode(const struct task *t);
int64_t seccomp_set_mode(struct task *t, uint64_t mode, uint64_t prog);
int64_t seccomp_set_strict(struct task *t);
int64_t seccomp_set_filter(struct task *t, unsigned int flags, uint64_t prog);
