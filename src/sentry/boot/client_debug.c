/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PS, STATS and DEBUG: what the runtime's ps, stats and debug show of the inside. Nothing here
 * changes anything.
 */
#include "sentry/boot/client.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sentry/boot/member.h"
#include "sentry/core/kclock.h"
#include "sentry/fs/proc/sysinfo.h"
#include "sentry/syscall/syscall.h"
#include "sentry/vfs/mount.h"

#define PS_BATCH       ((SENTRY_FRAME_MAX - sizeof(struct sentry_reply)) / sizeof(struct sentry_ps))
#define DEBUG_TEXT_MAX (4u << 20) /* bytes */

static char state_letter(const struct task *t)
{
	switch (task_state_now(t)) {
	case TASK_RUNNING:
		return 'R';
	case TASK_SLEEPING:
		return 'S';
	case TASK_BLOCKED:
		return 'D';
	case TASK_STOPPED:
	case TASK_TRACED:
		return 'T';
	case TASK_ZOMBIE:
	case TASK_DEAD:
		break;
	}
	return 'Z';
}

/* The arguments as the process has them now, blanks between; its name when they are gone. */
static void read_command(struct task *t, char *ret, size_t size)
{
	struct mm *mm = t->mm ? mm_ref(t->mm) : NULL;
	size_t len = 0;

	if (mm && mm->arg_end > mm->arg_start) {
		len = mm->arg_end - mm->arg_start;
		if (len > size - 1)
			len = size - 1;
		if (user_copy_in(&mm->um, ret, mm->arg_start, len) < 0)
			len = 0;
	}
	if (mm)
		mm_unref(mm);
	while (len > 0 && ret[len - 1] == '\0')
		len--;
	for (size_t i = 0; i < len; i++) {
		if ((unsigned char)ret[i] < ' ' || ret[i] == 0x7f)
			ret[i] = ' ';
	}
	if (len == 0) {
		len = strnlen(t->comm, sizeof(t->comm));
		memcpy(ret, t->comm, len);
	}
	ret[len] = '\0';
}

static void fill(const struct member *m, struct thread_group *tg, int pid, struct sentry_ps *ret)
{
	uint64_t user, system;

	thread_group_cpu_ns(tg, &user, &system);
	*ret = (struct sentry_ps){ .pid = pid,
				   .ppid = tg->parent ? pid_nr(tg->parent->pid, m->pid_ns) : 0,
				   .uid = tg->leader->cred->uid,
				   .threads = tg->live,
				   .start_ns = kclock_realtime() - kclock_monotonic() +
					       tg->leader->start_ns,
				   .cpu_ns = user + system,
				   .state = state_letter(tg->leader) };
	memcpy(ret->comm, tg->leader->comm, sizeof(ret->comm));
	ret->comm[sizeof(ret->comm) - 1] = '\0';
	read_command(tg->leader, ret->command, sizeof(ret->command));
}

int client_ps(struct client *c)
{
	const struct member *m = c->member;
	struct sentry_ps *items = calloc(PS_BATCH, sizeof(*items));
	struct sentry_reply reply = { .type = SENTRY_PS };
	int r = items ? 0 : -ENOMEM;

	if (r < 0)
		return client_answer(c, SENTRY_PS, 0, r, NULL);
	for (int pid = 1; r == 0; pid++) {
		struct thread_group *tg = member_next(m, pid, &pid);

		if (tg) {
			fill(m, tg, pid, &items[reply.count++]);
			thread_group_unref(tg);
		}
		if ((!tg && reply.count) || reply.count == PS_BATCH) {
			r = client_reply(c, &reply, items, reply.count * sizeof(*items));
			reply.count = 0;
		}
		if (!tg)
			break;
	}
	free(items);
	return r < 0 ? r : client_reply(c, &reply, NULL, 0);
}

int client_stats(struct client *c)
{
	const struct member *m = c->member;
	struct sentry_stats stats = { 0 };
	struct sandbox_usage usage;
	const struct sentry_reply reply = { .type = SENTRY_STATS,
					    .value = m->container->nursery != NULL,
					    .count = 1 };

	/* The host's cgroup has the sum of all containers. */
	sysinfo_usage(&usage);
	if (m == &sandbox)
		stats.memory_bytes = usage.memory;
	for (int pid = 1;; pid++) {
		struct thread_group *tg = member_next(m, pid, &pid);
		uint64_t user, system;

		if (!tg)
			break;
		thread_group_cpu_ns(tg, &user, &system);
		stats.user_ns += user;
		stats.system_ns += system;
		stats.processes++;
		stats.threads += tg->live;
		if (m != &sandbox)
			stats.memory_bytes += thread_group_anon(tg);
		thread_group_unref(tg);
	}
	return client_reply(c, &reply, &stats, sizeof(stats));
}

static void show_tasks(const struct member *m, struct buf *b)
{
	buf_puts(b, "pid     tid     state name             call\n");
	for (int pid = 1;; pid++) {
		struct thread_group *tg = member_next(m, pid, &pid);
		struct task *t;

		if (!tg)
			break;
		list_for_each(t, &tg->tasks, tg_node)
		{
			const char *call = syscall_name(t->syscall_nr);

			buf_printf(b, "%-7d %-7d %c     %-16.16s %s\n", pid, task_tid(t, m->pid_ns),
				   state_letter(t), t->comm, call ? call : "-");
		}
		thread_group_unref(tg);
	}
}

static void show_fds(const struct member *m, struct buf *b)
{
	for (int pid = 1;; pid++) {
		struct thread_group *tg = member_next(m, pid, &pid);
		struct fd_table *files;

		if (!tg)
			break;
		files = tg->leader->files;
		for (int fd = files ? fd_table_next(files, 0) : -1; fd >= 0;
		     fd = fd_table_next(files, fd + 1)) {
			struct file *f = fd_get_any(files, fd);

			if (f)
				buf_printf(b, "%d %d mode %x flags %x refs %u\n", pid, fd, f->mode,
					   f->flags, f->refs);
			file_unref(f);
		}
		thread_group_unref(tg);
	}
}

static void show_vmas(const struct member *m, struct buf *b)
{
	for (int pid = 1;; pid++) {
		struct thread_group *tg = member_next(m, pid, &pid);
		struct mm *mm;

		if (!tg)
			break;
		mm = tg->leader->mm ? mm_ref(tg->leader->mm) : NULL;
		thread_group_unref(tg);
		if (!mm)
			continue;
		kmutex_lock(&mm->lock);
		for (struct vma *v = mm_find_from(mm, 0); v; v = vma_next(v))
			buf_printf(b, "%d %012llx-%012llx prot %x flags %x kind %d\n", pid,
				   (unsigned long long)v->start, (unsigned long long)v->end,
				   (unsigned int)v->prot, (unsigned int)v->flags, (int)v->kind);
		kmutex_unlock(&mm->lock);
		mm_unref(mm);
	}
}

static void show_mounts(const struct member *m, struct buf *b)
{
	struct path root;
	AUTO_FREE char *text = NULL;
	size_t len;

	if (!m->mounts)
		return; /* it has ended */
	root = (struct path){ m->mounts->root, m->mounts->root->root };
	if (mount_ns_show(m->mounts, &root, true, &text, &len) == 0)
		(void)buf_append(b, text, len);
}

int client_debug(struct client *c, uint32_t what)
{
	const struct member *m = c->member;
	AUTO_BUF struct buf text = { .max = DEBUG_TEXT_MAX };
	struct err err = { 0 };
	int r = 0;

	switch (what) {
	case SENTRY_DEBUG_STACKS:
		client_show_stacks(m, &text);
		break;
	case SENTRY_DEBUG_TASKS:
		show_tasks(m, &text);
		break;
	case SENTRY_DEBUG_MOUNTS:
		show_mounts(m, &text);
		break;
	case SENTRY_DEBUG_FDS:
		show_fds(m, &text);
		break;
	case SENTRY_DEBUG_VMAS:
		show_vmas(m, &text);
		break;
	case SENTRY_DEBUG_METRICS:
		client_show_metrics(m, &text);
		break;
	default:
		r = err_set(&err, -EOPNOTSUPP, "this sentry does not show that");
	}
	return r < 0 ? client_answer(c, SENTRY_DEBUG, 0, r, &err)
		     : client_text(c, SENTRY_DEBUG, &text);
}
