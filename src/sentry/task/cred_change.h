/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/task/cred_change.h - the set*id(2) family and capset(2): what may become what, and what
 * becomes of capabilities (credentials(7), capabilities(7)).
 *
 * An id of CRED_KEEP leaves the old one. 0, -EPERM, -EINVAL, -ENOMEM.
 */
#pragma once

#include "sentry/task/task.h"

#define CRED_KEEP     UINT32_MAX
#define CRED_CAP_ALL  ((2ull << 40) - 1) /* CAP_CHECKPOINT_RESTORE is the last */
#define CRED_CAP_LAST 40

/*
 * unshare(2), clone(2): `maker`'s credentials in a new user namespace, with every capability there.
 * 0, -EPERM, -ENOSPC, -ENOMEM.
 */
int cred_new_user_ns(const struct cred *maker, const struct cred **ret);

int cred_setuid(struct task *t, uint32_t uid);
int cred_setreuid(struct task *t, uint32_t ruid, uint32_t euid);
int cred_setresuid(struct task *t, uint32_t ruid, uint32_t euid, uint32_t suid);
uint32_t cred_setfsuid(struct task *t, uint32_t uid); /* the old one, always */
int cred_setgid(struct task *t, uint32_t gid);
int cred_setregid(struct task *t, uint32_t rgid, uint32_t egid);
int cred_setresgid(struct task *t, uint32_t rgid, uint32_t egid, uint32_t sgid);
uint32_t cred_setfsgid(struct task *t, uint32_t gid);
bool cred_may_setgroups(const struct task *t); /* else -EPERM */
int cred_setgroups(struct task *t, const uint32_t *groups, size_t len);
int cred_capset(struct task *t, uint64_t effective, uint64_t permitted, uint64_t inheritable);

/* prctl(2): -EINVAL for what is no capability. */
int cred_drop_bounding(struct task *t, uint64_t cap);
int cred_ambient(struct task *t, uint64_t what, uint64_t cap); /* PR_CAP_AMBIENT_*: also 0 or 1 */
int cred_set_securebits(struct task *t, uint64_t bits);
int cred_set_keepcaps(struct task *t, uint64_t on);
int cred_set_no_new_privs(struct task *t);
