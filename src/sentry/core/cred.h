/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/core/cred.h - credentials(7) of guest tasks: immutable once published, reference counted.
 *
 * A task changes its credentials by copying, changing the copy and replacing the pointer. Ids are
 * kernel ids (user_ns.h). capabilities(7) are bit masks of CAP_*.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sentry/core/user_ns.h"

#define CRED_GROUPS_MAX 65536 /* NGROUPS_MAX of Linux */

struct cred {
	unsigned int refs;
	uint32_t uid, euid, suid, fsuid;
	uint32_t gid, egid, sgid, fsgid;
	uint64_t cap_permitted, cap_effective, cap_inheritable, cap_bounding, cap_ambient;
	uint32_t securebits;
	bool no_new_privs;
	struct user_ns *user_ns; /* one reference; NULL: the sandbox's initial user namespace */
	uint32_t *groups;	 /* sorted */
	size_t groups_len;
};

/* A copy with one reference, to be changed by the caller; NULL: out of memory. */
struct cred *cred_copy(const struct cred *cred);
struct cred *cred_new_root(void); /* ids 0, every capability */
struct cred *cred_ref(const struct cred *cred);
void cred_unref(const struct cred *cred); /* accepts NULL */

/* Replace the groups (copied and sorted). 0, -ENOMEM. */
int cred_set_groups(struct cred *cred, const uint32_t *groups, size_t len);

bool cred_in_group(const struct cred *cred, uint32_t gid);  /* fsgid or a supplementary group */
bool cred_in_egroup(const struct cred *cred, uint32_t gid); /* egid or a supplementary group */

/*
 * Capabilities count in cred's own user namespace and below it. cred_capable: over the sandbox as a
 * whole; cred_ns_capable: over what belongs to ns; cred_own_capable: over its own namespace.
 */
bool cred_capable(const struct cred *cred, unsigned int cap);
bool cred_ns_capable(const struct cred *cred, const struct user_ns *ns, unsigned int cap);
bool cred_own_capable(const struct cred *cred, unsigned int cap);

/* Every capability, over a user namespace (its reference is taken over) that it enters. */
void cred_enter_user_ns(struct cred *cred, struct user_ns *ns);
