/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/task/cred_exec.c - credentials after execve(2): set-id bits, and the transformation of
 * capabilities of capabilities(7) ("Transformation of capabilities during execve()"). File
 * capabilities are not read: a file has those that root's special treatment gives it.
 */
#include <errno.h>
#include <linux/securebits.h>
#include <sys/stat.h>

#include "sentry/task/exec_load.h"

static void set_ids(struct cred *c, const struct exec_ids *ids)
{
	if (ids->honoured && (ids->mode & S_ISUID))
		c->euid = ids->uid;
	if (ids->honoured && (ids->mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP))
		c->egid = ids->gid;
	c->suid = c->fsuid = c->euid;
	c->sgid = c->fsgid = c->egid;
}

static void set_caps(struct cred *c, const struct cred *old, bool privileged)
{
	const bool root_is_special = !(c->securebits & SECBIT_NOROOT);
	const uint32_t root = user_ns_uid_in(c->user_ns, 0);
	uint64_t file_permitted = 0, file_inheritable = 0;
	bool file_effective = false;

	if (root_is_special && (c->uid == root || c->euid == root)) {
		file_permitted = ~0ull;
		file_inheritable = ~0ull;
		file_effective = c->euid == root;
	}
	if (privileged)
		c->cap_ambient = 0;
	c->cap_permitted = (old->cap_inheritable & file_inheritable) |
			   (file_permitted & old->cap_bounding) | c->cap_ambient;
	c->cap_effective = file_effective ? c->cap_permitted : c->cap_ambient;
	c->securebits &= ~(uint32_t)SECBIT_KEEP_CAPS;
}

int cred_for_exec(const struct cred *old, const struct exec_ids *ids, const struct cred **ret,
		  bool *ret_secure)
{
	struct cred *c = cred_copy(old);
	bool changed;

	if (!c)
		return -ENOMEM;
	set_ids(c, ids);
	changed = c->euid != old->uid || c->egid != old->gid;
	set_caps(c, old, c->euid != old->euid || c->egid != old->egid);
	*ret_secure = changed || (c->uid != user_ns_uid_in(c->user_ns, 0) &&
				  c->cap_permitted & ~c->cap_ambient && c->euid != c->uid);
	*ret = c;
	return 0;
}
