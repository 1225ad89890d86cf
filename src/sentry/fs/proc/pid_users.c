/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/fs/proc/pid_users.c - /proc/PID/uid_map, gid_map, setgroups (user_namespaces(7)).
 *
 * Who writes is judged twice, as Linux does: by the credentials with which the file was opened,
 * lest somebody have a privileged program write to it, and by those of the running task.
 */
#include <errno.h>
#include <linux/capability.h>
#include <string.h>

#include "sentry/fs/proc/internal.h"
#include "sentry/task/answers.h"

static bool is_gids(const struct kern_inode *ki)
{
	return ki->node->name[0] == 'g';
}

/* How an id of the map's outside looks to the reader; its own namespace's map: to the parent. */
static uint32_t outside(const struct user_ns *ns, uint32_t id, bool gids)
{
	const struct user_ns *reader = task_current()->cred->user_ns;

	if (reader == ns && ns)
		reader = ns->parent;
	return gids ? user_ns_gid_raw(reader, id) : user_ns_uid_raw(reader, id);
}

int proc_show_id_map(struct kern_inode *ki, struct buf *b)
{
	AUTO_TASK struct task *t = proc_task(ki);
	const struct user_ns *ns = t ? t->cred->user_ns : NULL;
	const struct id_map *map = user_ns_map(ns, is_gids(ki));
	int r = 0;

	if (!t)
		return -ESRCH;
	if (!ns && map->len == 0)
		return buf_printf(b, "%10u %10u %10u\n", 0u, 0u, UINT32_MAX);
	for (size_t i = 0; i < map->len && r >= 0; i++) {
		const struct id_range *m = &map->ranges[i];

		r = buf_printf(b, "%10u %10u %10u\n", m->inside,
			       ns ? outside(ns, m->outside, is_gids(ki)) : m->outside, m->count);
	}
	return r;
}

/* Both who opened the file and who writes. */
static bool both_capable(const struct file *f, const struct user_ns *ns, unsigned int cap)
{
	return cred_ns_capable(f->cred, ns, cap) && task_ns_capable(task_current(), ns, cap);
}

/* The parent's root needs CAP_SETFCAP, lest its file capabilities be forged. */
static bool may_map_root(const struct file *f, const struct user_ns *ns, const struct id_map *map)
{
	bool root = false;

	for (size_t i = 0; i < map->len; i++)
		root = root || map->ranges[i].outside == 0;
	if (!root)
		return true;
	return f->cred->user_ns == ns ? ns->parent_had_setfcap
				      : cred_ns_capable(f->cred, ns->parent, CAP_SETFCAP);
}

/* new_idmap_permitted() of Linux; ids outside are those of the parent still. */
static bool may_map(const struct file *f, const struct user_ns *ns, const struct id_map *map,
		    bool gids)
{
	const unsigned int cap = gids ? CAP_SETGID : CAP_SETUID;
	const struct id_range *first = &map->ranges[0];

	if (!gids && !may_map_root(f, ns, map))
		return false;
	/* Without privilege: oneself, alone. */
	if (map->len == 1 && first->count == 1 && ns->owner == f->cred->euid) {
		if (!gids && user_ns_uid_in(ns->parent, first->outside) == f->cred->euid)
			return true;
		if (gids && ns->setgroups_denied &&
		    user_ns_gid_in(ns->parent, first->outside) == f->cred->egid)
			return true;
	}
	return both_capable(f, ns->parent, cap);
}

int proc_store_id_map(struct kern_inode *ki, struct file *f, char *text, size_t len)
{
	AUTO_TASK struct task *t = proc_task(ki);
	const bool gids = is_gids(ki);
	struct user_ns *ns = t ? t->cred->user_ns : NULL;
	struct id_map map, *slot;
	int r;

	if (!t)
		return -ESRCH;
	/* From the namespace itself or its parent, once. */
	if (!ns || !f->cred || (f->cred->user_ns != ns && f->cred->user_ns != ns->parent))
		return -EPERM;
	slot = gids ? &ns->gid : &ns->uid;
	if (slot->len > 0 || !cred_ns_capable(f->cred, ns, CAP_SYS_ADMIN))
		return -EPERM;
	r = id_map_parse(text, &map);
	if (r < 0)
		return r;
	r = may_map(f, ns, &map, gids) ? id_map_translate(&map, ns->parent, gids) : -EPERM;
	if (r < 0) {
		id_map_done(&map);
		return r;
	}
	*slot = map;
	task_answers_mapped(ns);
	return 0;
}

int proc_show_setgroups(struct kern_inode *ki, struct buf *b)
{
	AUTO_TASK struct task *t = proc_task(ki);

	if (!t)
		return -ESRCH;
	return buf_puts(b, t->cred->user_ns && t->cred->user_ns->setgroups_denied ? "deny\n"
										  : "allow\n");
}

int proc_store_setgroups(struct kern_inode *ki, struct file *f, char *text, size_t len)
{
	AUTO_TASK struct task *t = proc_task(ki);
	struct user_ns *ns = t ? t->cred->user_ns : NULL;
	size_t word;

	if (!t)
		return -ESRCH;
	word = strcspn(text, " \t\n");
	if (text[word + strspn(text + word, " \t\n")] || (word != 4 && word != 5))
		return -EINVAL;
	if (!f->cred || !cred_ns_capable(f->cred, ns, CAP_SYS_ADMIN))
		return -EPERM;
	if (strncmp(text, "allow", word) == 0 && word == 5)
		return ns && ns->setgroups_denied ? -EPERM : 0;
	if (strncmp(text, "deny", word) != 0)
		return -EINVAL;
	/* Not once groups are mapped: what a process gave up would come back. */
	if (!ns || ns->gid.len > 0)
		return -EPERM;
	ns->setgroups_denied = true;
	return 0;
}
