/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/task/cred_exec.c - credentials after execve(2): set-id bits, file capabilities, and the
 * transformation of capabilities(7) ("Transformation of capabilities during execve()").
 */
#include <errno.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <sys/stat.h>

#include "sentry/task/exec_load.h"

static void set_ids(struct cred *c, const struct exec_privileges *file)
{
	if (!file->honoured)
		return;
	if (file->mode & S_ISUID)
		c->euid = file->uid;
	if ((file->mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP))
		c->egid = file->gid;
}

/*
 * What the file gives, without the ambient set. A program that expects its capabilities to be
 * effective, because it knows nothing of them, is not begun with fewer.
 */
static int caps_of_file(struct cred *c, const struct cred *old, const struct file_caps *file,
			bool *ret_effective)
{
	const uint32_t root = user_ns_uid_in(c->user_ns, 0);

	c->cap_permitted =
		(old->cap_inheritable & file->inheritable) | (file->permitted & old->cap_bounding);
	*ret_effective = file->effective;
	if (file->effective && file->permitted & ~c->cap_permitted)
		return -EPERM;
	if (c->securebits & SECBIT_NOROOT)
		return 0;
	/* Set-uid root with capabilities of its own: those, for anybody but root. */
	if (file->found && c->uid != root && c->euid == root)
		return 0;
	if (c->uid == root || c->euid == root)
		c->cap_permitted = old->cap_bounding | old->cap_inheritable;
	if (c->euid == root)
		*ret_effective = true;
	return 0;
}

/* Whoever watches, and who gave up new privileges, gets none that the caller had not. */
static void downgrade(struct cred *c, const struct cred *old)
{
	if (old->no_new_privs || !cred_own_capable(old, CAP_SETUID)) {
		c->euid = c->uid;
		c->egid = c->gid;
	}
	c->cap_permitted &= old->cap_permitted;
}

static bool ids_change(const struct cred *c, const struct cred *old)
{
	return c->euid != old->euid || !cred_in_group(old, c->egid);
}

int cred_for_exec(const struct cred *old, const struct exec_privileges *file,
		  const struct cred **ret, bool *ret_secure)
{
	struct cred *c = cred_copy(old);
	bool effective, set_id;
	int r;

	if (!c)
		return -ENOMEM;
	set_ids(c, file);
	r = caps_of_file(c, old, &file->caps, &effective);
	if (r < 0) {
		cred_unref(c);
		return r;
	}
	set_id = ids_change(c, old);
	if ((set_id || c->cap_permitted & ~old->cap_permitted) &&
	    (file->unsafe || old->no_new_privs))
		downgrade(c, old);
	c->suid = c->fsuid = c->euid;
	c->sgid = c->fsgid = c->egid;
	if (file->caps.found || set_id)
		c->cap_ambient = 0;
	c->cap_permitted |= c->cap_ambient;
	c->cap_effective = effective ? c->cap_permitted : c->cap_ambient;
	c->securebits &= ~(uint32_t)SECBIT_KEEP_CAPS;
	*ret_secure = set_id || c->euid != old->uid || c->egid != old->gid ||
		      (c->uid != user_ns_uid_in(c->user_ns, 0) &&
		       (effective || c->cap_permitted & ~c->cap_ambient));
	*ret = c;
	return 0;
}
