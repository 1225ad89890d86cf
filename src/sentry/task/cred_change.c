/* SPDX-License-Identifier: Apache-2.0 */
/* sentry/task/cred_change.c - see cred_change.h. */
#include "sentry/task/cred_change.h"

#include <linux/capability.h>
#include <linux/prctl.h>
#include <linux/securebits.h>

#include "sentry/task/namespaces.h"
#include "sentry/task/user_usage.h"

#define CAP_BIT(cap) (1ull << (cap))

/* Capabilities that follow the file system uid. */
#define CAP_FS_SET                                                                       \
	(CAP_BIT(CAP_CHOWN) | CAP_BIT(CAP_DAC_OVERRIDE) | CAP_BIT(CAP_DAC_READ_SEARCH) | \
	 CAP_BIT(CAP_FOWNER) | CAP_BIT(CAP_FSETID) | CAP_BIT(CAP_LINUX_IMMUTABLE) |      \
	 CAP_BIT(CAP_MAC_OVERRIDE) | CAP_BIT(CAP_MKNOD))

/* "Effect of user ID changes on capabilities" of capabilities(7). */
static void caps_follow_uids(struct cred *c, const struct cred *old)
{
	const uint32_t root = user_ns_uid_in(c->user_ns, 0);
	const bool was_root = old->uid == root || old->euid == root || old->suid == root;
	const bool is_root = c->uid == root || c->euid == root || c->suid == root;

	if (c->securebits & SECBIT_NO_SETUID_FIXUP)
		return;
	if (was_root && !is_root) {
		if (!(c->securebits & SECBIT_KEEP_CAPS)) {
			c->cap_permitted = 0;
			c->cap_effective = 0;
		}
		c->cap_ambient = 0;
	}
	if (old->euid == root && c->euid != root)
		c->cap_effective = 0;
	else if (old->euid != root && c->euid == root)
		c->cap_effective = c->cap_permitted;
}

static void commit(struct task *t, struct cred *c)
{
	const struct cred *old = t->cred;

	if (old->euid != c->euid || old->egid != c->egid || old->fsuid != c->fsuid ||
	    old->fsgid != c->fsgid || (c->cap_permitted & ~old->cap_permitted)) {
		t->mm->dumpable = false;
		t->sig.pdeath_signal = 0;
	}
	task_set_cred(t, c);
}

static void commit_uids(struct task *t, struct cred *c)
{
	const bool moved = c->uid != t->cred->uid;

	caps_follow_uids(c, t->cred);
	commit(t, c);
	if (moved)
		t->tg->nproc_exceeded =
			c->uid != 0 && t->usage->tasks > task_rlimit(t, RLIMIT_NPROC);
}

int cred_new_user_ns(const struct cred *maker, const struct cred **ret)
{
	struct user_ns *ns;
	struct cred *c;
	const int r = user_ns_new(maker, ns_new_id(), &ns);

	if (r < 0)
		return r;
	c = cred_copy(maker);
	if (!c) {
		user_ns_unref(ns);
		return -ENOMEM;
	}
	cred_enter_user_ns(c, ns);
	*ret = c;
	return 0;
}

/* User and group ids change by one rule, that of setresuid(2) and setresgid(2). */
enum id_kind {
	UIDS,
	GIDS,
};

struct ids {
	uint32_t real, effective, saved, fs;
};

static struct ids get_ids(const struct cred *c, enum id_kind kind)
{
	return kind == UIDS ? (struct ids){ c->uid, c->euid, c->suid, c->fsuid }
			    : (struct ids){ c->gid, c->egid, c->sgid, c->fsgid };
}

static void put_ids(struct cred *c, enum id_kind kind, const struct ids *ids)
{
	if (kind == UIDS) {
		c->uid = ids->real;
		c->euid = ids->effective;
		c->suid = ids->saved;
		c->fsuid = ids->fs;
	} else {
		c->gid = ids->real;
		c->egid = ids->effective;
		c->sgid = ids->saved;
		c->fsgid = ids->fs;
	}
}

static bool may_set(const struct task *t, enum id_kind kind)
{
	return task_own_capable(t, kind == UIDS ? CAP_SETUID : CAP_SETGID);
}

static int change_ids(struct task *t, enum id_kind kind, const struct ids *ids)
{
	struct cred *c = cred_copy(t->cred);

	if (!c)
		return -ENOMEM;
	put_ids(c, kind, ids);
	if (kind == UIDS)
		commit_uids(t, c);
	else
		commit(t, c);
	return 0;
}

static bool one_of(uint32_t id, uint32_t a, uint32_t b, uint32_t c)
{
	return id == CRED_KEEP || id == a || id == b || id == c;
}

/* setuid(2) and setgid(2). */
static int set_id(struct task *t, enum id_kind kind, uint32_t id)
{
	struct ids ids = get_ids(t->cred, kind);

	if (id == CRED_KEEP)
		return -EINVAL;
	if (may_set(t, kind))
		ids.real = ids.saved = id;
	else if (id != ids.real && id != ids.saved)
		return -EPERM;
	ids.effective = ids.fs = id;
	return change_ids(t, kind, &ids);
}

/* setreuid(2) and setregid(2). */
static int set_two_ids(struct task *t, enum id_kind kind, uint32_t real, uint32_t effective)
{
	const struct ids old = get_ids(t->cred, kind);
	struct ids ids = old;

	if (!may_set(t, kind) && (!one_of(real, old.real, old.effective, old.real) ||
				  !one_of(effective, old.real, old.effective, old.saved)))
		return -EPERM;
	if (real != CRED_KEEP)
		ids.real = real;
	if (effective != CRED_KEEP)
		ids.effective = effective;
	if (real != CRED_KEEP || (effective != CRED_KEEP && effective != old.real))
		ids.saved = ids.effective;
	ids.fs = ids.effective;
	return change_ids(t, kind, &ids);
}

/* setresuid(2) and setresgid(2). CRED_KEEP keeps; fs is not looked at. */
static int set_three_ids(struct task *t, enum id_kind kind, const struct ids *want)
{
	const struct ids old = get_ids(t->cred, kind);
	struct ids ids = old;

	if (!may_set(t, kind) && (!one_of(want->real, old.real, old.effective, old.saved) ||
				  !one_of(want->effective, old.real, old.effective, old.saved) ||
				  !one_of(want->saved, old.real, old.effective, old.saved)))
		return -EPERM;
	if (want->real != CRED_KEEP)
		ids.real = want->real;
	if (want->effective != CRED_KEEP)
		ids.effective = want->effective;
	if (want->saved != CRED_KEEP)
		ids.saved = want->saved;
	ids.fs = ids.effective;
	return change_ids(t, kind, &ids);
}

/* May setfsuid(2) or setfsgid(2) change the id to this one? */
static bool may_set_fs(const struct task *t, enum id_kind kind, uint32_t id)
{
	const struct ids old = get_ids(t->cred, kind);

	if (id == CRED_KEEP || id == old.fs)
		return false;
	return id == old.real || id == old.effective || id == old.saved || may_set(t, kind);
}

int cred_setuid(struct task *t, uint32_t uid)
{
	return set_id(t, UIDS, uid);
}

int cred_setreuid(struct task *t, uint32_t ruid, uint32_t euid)
{
	return set_two_ids(t, UIDS, ruid, euid);
}

int cred_setresuid(struct task *t, uint32_t ruid, uint32_t euid, uint32_t suid)
{
	return set_three_ids(t, UIDS, &(struct ids){ ruid, euid, suid, CRED_KEEP });
}

uint32_t cred_setfsuid(struct task *t, uint32_t uid)
{
	const uint32_t was = t->cred->fsuid;
	struct cred *c = may_set_fs(t, UIDS, uid) ? cred_copy(t->cred) : NULL;

	if (!c)
		return was;
	c->fsuid = uid;
	if (!(c->securebits & SECBIT_NO_SETUID_FIXUP)) {
		const uint32_t root = user_ns_uid_in(c->user_ns, 0);

		if (was == root)
			c->cap_effective &= ~CAP_FS_SET;
		else if (uid == root)
			c->cap_effective |= CAP_FS_SET & c->cap_permitted;
	}
	commit(t, c);
	return was;
}

int cred_setgid(struct task *t, uint32_t gid)
{
	return set_id(t, GIDS, gid);
}

int cred_setregid(struct task *t, uint32_t rgid, uint32_t egid)
{
	return set_two_ids(t, GIDS, rgid, egid);
}

int cred_setresgid(struct task *t, uint32_t rgid, uint32_t egid, uint32_t sgid)
{
	return set_three_ids(t, GIDS, &(struct ids){ rgid, egid, sgid, CRED_KEEP });
}

uint32_t cred_setfsgid(struct task *t, uint32_t gid)
{
	const uint32_t was = t->cred->fsgid;
	struct cred *c = may_set_fs(t, GIDS, gid) ? cred_copy(t->cred) : NULL;

	if (!c)
		return was;
	c->fsgid = gid;
	commit(t, c);
	return was;
}

bool cred_may_setgroups(const struct task *t)
{
	const struct user_ns *ns = t->cred->user_ns;

	return task_own_capable(t, CAP_SETGID) &&
	       (!ns || (ns->gid.len > 0 && !ns->setgroups_denied));
}

int cred_setgroups(struct task *t, const uint32_t *groups, size_t len)
{
	struct cred *c;
	int r;

	if (!cred_may_setgroups(t))
		return -EPERM;
	c = cred_copy(t->cred);
	if (!c)
		return -ENOMEM;
	r = cred_set_groups(c, groups, len);
	if (r < 0) {
		cred_unref(c);
		return r;
	}
	task_set_cred(t, c);
	return 0;
}

int cred_capset(struct task *t, uint64_t effective, uint64_t permitted, uint64_t inheritable)
{
	const struct cred *old = t->cred;
	struct cred *c;

	effective &= CRED_CAP_ALL;
	permitted &= CRED_CAP_ALL;
	inheritable &= CRED_CAP_ALL;
	if (!task_own_capable(t, CAP_SETPCAP) &&
	    (inheritable & ~(old->cap_inheritable | old->cap_permitted)))
		return -EPERM;
	if (inheritable & ~(old->cap_inheritable | old->cap_bounding))
		return -EPERM;
	if ((permitted & ~old->cap_permitted) || (effective & ~permitted))
		return -EPERM;
	c = cred_copy(old);
	if (!c)
		return -ENOMEM;
	c->cap_effective = effective;
	c->cap_permitted = permitted;
	c->cap_inheritable = inheritable;
	c->cap_ambient &= permitted & inheritable;
	task_set_cred(t, c);
	return 0;
}

int cred_drop_bounding(struct task *t, uint64_t cap)
{
	struct cred *c;

	if (!task_own_capable(t, CAP_SETPCAP))
		return -EPERM;
	if (cap > CRED_CAP_LAST)
		return -EINVAL;
	c = cred_copy(t->cred);
	if (!c)
		return -ENOMEM;
	c->cap_bounding &= ~CAP_BIT(cap);
	task_set_cred(t, c);
	return 0;
}

int cred_ambient(struct task *t, uint64_t what, uint64_t cap)
{
	struct cred *c;

	if (what == PR_CAP_AMBIENT_CLEAR_ALL ? cap != 0 : cap > CRED_CAP_LAST)
		return -EINVAL;
	if (what == PR_CAP_AMBIENT_IS_SET)
		return !!(t->cred->cap_ambient & CAP_BIT(cap));
	if (what == PR_CAP_AMBIENT_RAISE &&
	    (!(t->cred->cap_permitted & t->cred->cap_inheritable & CAP_BIT(cap)) ||
	     (t->cred->securebits & SECBIT_NO_CAP_AMBIENT_RAISE)))
		return -EPERM;
	if (what != PR_CAP_AMBIENT_RAISE && what != PR_CAP_AMBIENT_LOWER &&
	    what != PR_CAP_AMBIENT_CLEAR_ALL)
		return -EINVAL;
	c = cred_copy(t->cred);
	if (!c)
		return -ENOMEM;
	if (what == PR_CAP_AMBIENT_RAISE)
		c->cap_ambient |= CAP_BIT(cap);
	else if (what == PR_CAP_AMBIENT_LOWER)
		c->cap_ambient &= ~CAP_BIT(cap);
	else
		c->cap_ambient = 0;
	task_set_cred(t, c);
	return 0;
}

int cred_set_securebits(struct task *t, uint64_t bits)
{
	const uint64_t old = t->cred->securebits, locks = SECURE_ALL_LOCKS;
	struct cred *c;

	/* No locked bit changes, no lock opens, nothing unknown. */
	if (((old & locks) >> 1 & (old ^ bits)) || (old & locks & ~bits) ||
	    (bits & ~(uint64_t)(SECURE_ALL_LOCKS | SECURE_ALL_BITS)) ||
	    !task_own_capable(t, CAP_SETPCAP))
		return -EPERM;
	c = cred_copy(t->cred);
	if (!c)
		return -ENOMEM;
	c->securebits = (uint32_t)bits;
	task_set_cred(t, c);
	return 0;
}

int cred_set_keepcaps(struct task *t, uint64_t on)
{
	struct cred *c;

	if (on > 1)
		return -EINVAL;
	if (t->cred->securebits & SECBIT_KEEP_CAPS_LOCKED)
		return -EPERM;
	c = cred_copy(t->cred);
	if (!c)
		return -ENOMEM;
	c->securebits &= ~(uint32_t)SECBIT_KEEP_CAPS;
	if (on)
		c->securebits |= SECBIT_KEEP_CAPS;
	task_set_cred(t, c);
	return 0;
}

int cred_set_no_new_privs(struct task *t)
{
	struct cred *c = cred_copy(t->cred);

	if (!c)
		return -ENOMEM;
	c->no_new_privs = true;
	task_set_cred(t, c);
	return 0;
}
