/* SPDX-License-Identifier: Apache-2.0 */
/* sentry/task/seccomp.c - see seccomp.h. */
#include "sentry/task/seccomp.h"

#include <linux/audit.h>
#include <linux/capability.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

#include "base/cleanup.h"
#include "sentry/task/answers.h"
#include "sentry/task/bpf.h"
#include "sentry/task/exec.h"
#include "sentry/task/internal.h"
#include "sentry/task/ptrace.h"
#include "sentry/task/run.h"
#include "sentry/task/seccomp_notify.h"
#include "sentry/vfs/fd_table.h"

#define PATH_PENALTY 4 /* instructions that an older filter counts beyond its own */
#define ERRNO_LIMIT  4095
#define NR_CACHED    512 /* calls */

#ifndef SYS_SECCOMP
#define SYS_SECCOMP 1 /* si_code of SIGSYS */
#endif

struct seccomp_filter {
	unsigned int refs;
	struct seccomp_filter *older; /* one reference */
	size_t total;		      /* instructions of this and all older ones */
	bool log;
	bool uses_ip;		  /* this or an older one */
	struct notify_link *link; /* SECCOMP_RET_USER_NOTIF: who answers, or NULL */
	/* Calls below NR_CACHED: looked at, and allowed by this and all older ones in any case. */
	uint64_t judged[NR_CACHED / 64], always[NR_CACHED / 64];
	size_t len;
	struct sock_filter insns[];
};

static size_t insns_of_all; /* in the sandbox */

struct seccomp_filter *seccomp_filter_ref(struct seccomp_filter *f)
{
	if (f)
		f->refs++;
	return f;
}

void seccomp_filter_unref(struct seccomp_filter *f)
{
	while (f && --f->refs == 0) {
		struct seccomp_filter *older = f->older;

		insns_of_all -= f->len;
		seccomp_link_end(f->link);
		free(f);
		f = older;
	}
}

int seccomp_filter_new(const struct sock_filter *insns, size_t len, bool log,
		       struct seccomp_filter *older, struct seccomp_filter **ret)
{
	struct seccomp_filter *f;
	bool uses_ip;
	int r;

	r = bpf_check(insns, len, &uses_ip);
	if (r < 0)
		return r;
	if (older && older->total + PATH_PENALTY + len > SECCOMP_INSNS_MAX)
		return -ENOMEM;
	if (insns_of_all + len > SECCOMP_INSNS_ALL_MAX)
		return -ENOMEM;
	f = calloc(1, sizeof(*f) + len * sizeof(*insns));
	if (!f)
		return -ENOMEM;
	insns_of_all += len;
	f->refs = 1;
	f->older = older;
	f->total = len + (older ? older->total + PATH_PENALTY : 0);
	f->log = log;
	f->uses_ip = uses_ip || (older && older->uses_ip);
	f->len = len;
	memcpy(f->insns, insns, len * sizeof(*insns));
	*ret = f;
	return 0;
}

/* What Linux has as its cache of actions, filled as calls come. */
static bool always_allowed(struct seccomp_filter *newest, uint64_t nr)
{
	const struct seccomp_data data = { .nr = (int)nr, .arch = AUDIT_ARCH_X86_64 };
	const uint64_t bit = 1ull << nr % 64;
	bool allowed = true;

	if (nr >= NR_CACHED)
		return false;
	if (newest->judged[nr / 64] & bit)
		return newest->always[nr / 64] & bit;
	for (const struct seccomp_filter *f = newest; f && allowed; f = f->older) {
		uint32_t action;

		allowed =
			bpf_run_by_number(f->insns, &data, &action) && action == SECCOMP_RET_ALLOW;
	}
	newest->judged[nr / 64] |= bit;
	newest->always[nr / 64] |= allowed ? bit : 0;
	return allowed;
}

bool seccomp_allows_always(const struct task *t, const uint16_t *nrs, size_t len)
{
	if (t->seccomp_strict)
		return false;
	for (size_t i = 0; t->seccomp && i < len; i++) {
		if (!always_allowed(t->seccomp, nrs[i]))
			return false;
	}
	return true;
}

/* The strictest answer of all filters: actions are ordered as signed numbers. */
static uint32_t run_filters(const struct seccomp_filter *f, const struct seccomp_data *data,
			    const struct seccomp_filter **ret_by)
{
	uint32_t result = SECCOMP_RET_ALLOW;

	for (; f; f = f->older) {
		const uint32_t r = bpf_run(f->insns, data);

		if ((int32_t)(r & SECCOMP_RET_ACTION_FULL) <
		    (int32_t)(result & SECCOMP_RET_ACTION_FULL)) {
			result = r;
			*ret_by = f;
		}
	}
	return result;
}

static siginfo_t sigsys_info(struct task *t, uint64_t nr, uint16_t reason)
{
	const struct arch_regs *regs = task_regs(t);
	siginfo_t info;

	memset(&info, 0, sizeof(info));
	info.si_signo = SIGSYS;
	info.si_code = SYS_SECCOMP;
	info.si_errno = reason;
	info.si_call_addr = regs ? (void *)(uintptr_t)regs->r.rip : NULL;
	info.si_syscall = (int)nr;
	info.si_arch = AUDIT_ARCH_X86_64;
	return info;
}

static void kill_thread(struct task *t)
{
	if (t->tg->live == 1) {
		thread_group_exit(t->tg, SIGSYS);
		return;
	}
	t->exit_code = SIGSYS;
	t->exiting = true;
}

static bool allowed_by_strict(struct task *t, uint64_t nr)
{
	switch (nr) {
	case SYS_read:
	case SYS_write:
	case SYS_exit:
	case SYS_rt_sigreturn:
		return true;
	default:
		t->exit_code = SIGKILL;
		thread_group_exit(t->tg, SIGKILL);
		return false;
	}
}

bool seccomp_allows(struct task *t, uint64_t nr, const struct syscall_args *a, int64_t *ret_result)
{
	struct seccomp_data data = { .nr = (int)nr, .arch = AUDIT_ARCH_X86_64 };
	const struct seccomp_filter *by = NULL;
	uint32_t answer;
	siginfo_t info;

	*ret_result = -ENOSYS;
	if (t->seccomp_strict)
		return allowed_by_strict(t, nr);
	if (!t->seccomp || always_allowed(t->seccomp, nr))
		return true;
	if (t->seccomp->uses_ip) {
		const struct arch_regs *regs = task_regs(t);

		data.instruction_pointer = regs ? regs->r.rip : 0;
	}
	for (int i = 0; i < ARCH_SYSCALL_ARGS; i++)
		data.args[i] = a->v[i];
	answer = run_filters(t->seccomp, &data, &by);
	switch (answer & SECCOMP_RET_ACTION_FULL) {
	case SECCOMP_RET_ALLOW:
	case SECCOMP_RET_LOG:
		return true;
	case SECCOMP_RET_ERRNO:
		answer &= SECCOMP_RET_DATA;
		*ret_result = -(int64_t)(answer > ERRNO_LIMIT ? ERRNO_LIMIT : answer);
		return false;
	case SECCOMP_RET_TRACE:
		return ptrace_seccomp(t, answer & SECCOMP_RET_DATA);
	case SECCOMP_RET_TRAP:
		info = sigsys_info(t, nr, (uint16_t)(answer & SECCOMP_RET_DATA));
		signal_force(t, SIGSYS, &info);
		*ret_result = (int64_t)nr; /* rax as it was */
		return false;
	case SECCOMP_RET_USER_NOTIF:
		return seccomp_ask(t, by->link, &data, ret_result);
	case SECCOMP_RET_KILL_THREAD:
		kill_thread(t);
		return false;
	default:
		thread_group_exit(t->tg, SIGSYS);
		return false;
	}
}

int64_t seccomp_mode(const struct task *t)
{
	if (t->seccomp_strict)
		return SECCOMP_MODE_STRICT;
	return t->seccomp ? SECCOMP_MODE_FILTER : SECCOMP_MODE_DISABLED;
}

int64_t seccomp_set_strict(struct task *t)
{
	if (t->seccomp)
		return -EINVAL;
	t->seccomp_strict = true;
	task_answers_update(t);
	return 0;
}

static int import_program(struct task *t, uint64_t prog, struct sock_filter **ret, size_t *ret_len)
{
	AUTO_FREE struct sock_filter *insns = NULL;
	struct {
		uint16_t len;
		uint64_t filter;
	} head;

	if (user_copy_in(task_um(t), &head, prog, sizeof(head)) < 0)
		return -EFAULT;
	if (!head.len || head.len > BPF_LEN_MAX)
		return -EINVAL;
	insns = malloc(head.len * sizeof(*insns));
	if (!insns)
		return -ENOMEM;
	if (user_copy_in(task_um(t), insns, head.filter, head.len * sizeof(*insns)) < 0)
		return -EFAULT;
	*ret = TAKE_PTR(insns);
	*ret_len = head.len;
	return 0;
}

/* Is `tail` where the list of f ends, or NULL? */
static bool descends(const struct seccomp_filter *f, const struct seccomp_filter *tail)
{
	if (!tail)
		return true;
	for (; f; f = f->older)
		if (f == tail)
			return true;
	return false;
}

/* The first thread that does not run under (a part of) our filters: its number, or 0. */
static int thread_apart(struct task *t)
{
	struct task *other;

	list_for_each(other, &t->tg->tasks,
		      tg_node) if (other != t && !other->exiting &&
				   (other->seccomp_strict ||
				    !descends(t->seccomp,
					      other->seccomp))) return task_tid(other,
										task_pid_ns(t));
	return 0;
}

static void synchronise(struct task *t)
{
	struct task *other;

	list_for_each(other, &t->tg->tasks, tg_node)
	{
		struct seccomp_filter *old = other->seccomp;

		if (other == t)
			continue;
		other->seccomp = seccomp_filter_ref(t->seccomp);
		seccomp_filter_unref(old);
		task_answers_update(other);
		if (t->cred->no_new_privs && !other->cred->no_new_privs) {
			struct cred *c = cred_copy(other->cred);

			if (!c)
				continue;
			c->no_new_privs = true;
			task_set_cred(other, c);
		}
	}
}

static int judge_filter_flags(const struct task *t, unsigned int flags)
{
	const unsigned int known =
		SECCOMP_FILTER_FLAG_TSYNC | SECCOMP_FILTER_FLAG_LOG |
		SECCOMP_FILTER_FLAG_SPEC_ALLOW | SECCOMP_FILTER_FLAG_NEW_LISTENER |
		SECCOMP_FILTER_FLAG_TSYNC_ESRCH | SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV;
	const bool listener = flags & SECCOMP_FILTER_FLAG_NEW_LISTENER;

	if (flags & ~known)
		return -EINVAL;
	/* The result is a descriptor or the number of a thread. */
	if (listener && flags & SECCOMP_FILTER_FLAG_TSYNC &&
	    !(flags & SECCOMP_FILTER_FLAG_TSYNC_ESRCH))
		return -EINVAL;
	return flags & SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV && !listener ? -EINVAL : 0;
}

/* One of a task's filters may have a listener. */
static bool has_listener(const struct seccomp_filter *f)
{
	for (; f; f = f->older)
		if (f->link)
			return true;
	return false;
}

/* In front of t's filters; with NEW_LISTENER the listener's descriptor, else 0. */
static int64_t attach(struct task *t, unsigned int flags, const struct sock_filter *insns,
		      size_t len)
{
	struct notify_link *link = NULL;
	struct file *listener = NULL;
	struct seccomp_filter *f;
	int fd = 0, r = 0;

	if (flags & SECCOMP_FILTER_FLAG_NEW_LISTENER) {
		if (has_listener(t->seccomp))
			return -EBUSY;
		fd = fd_reserve(t->files, 0, task_rlimit(t, RLIMIT_NOFILE));
		if (fd < 0)
			return fd;
		r = seccomp_listener_new(flags & SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV, &listener,
					 &link);
	}
	if (r == 0)
		r = seccomp_filter_new(insns, len, flags & SECCOMP_FILTER_FLAG_LOG, t->seccomp, &f);
	if (r < 0) {
		if (flags & SECCOMP_FILTER_FLAG_NEW_LISTENER)
			fd_release(t->files, fd);
		file_unref(listener);
		seccomp_link_end(link);
		return r;
	}
	f->link = link;
	t->seccomp = f;
	if (listener)
		fd_publish(t->files, fd, listener, true);
	task_answers_update(t);
	return fd;
}

int64_t seccomp_set_filter(struct task *t, unsigned int flags, uint64_t prog)
{
	AUTO_FREE struct sock_filter *insns = NULL;
	int64_t fd;
	size_t len;
	int r = judge_filter_flags(t, flags);

	if (r < 0)
		return r;
	r = import_program(t, prog, &insns, &len);
	if (r < 0)
		return r;
	if (!t->cred->no_new_privs && !task_own_capable(t, CAP_SYS_ADMIN))
		return -EACCES;
	if (t->seccomp_strict)
		return -EINVAL;
	if (flags & SECCOMP_FILTER_FLAG_TSYNC) {
		int apart;

		/* A program that gains rights gets no filter after they were judged. */
		if (task_exec_wait(t, t->tg) < 0)
			return -EINTR;
		apart = thread_apart(t);

		if (apart)
			return flags & SECCOMP_FILTER_FLAG_TSYNC_ESRCH ? -ESRCH : apart;
	}
	fd = attach(t, flags, insns, len);
	if (fd >= 0 && flags & SECCOMP_FILTER_FLAG_TSYNC)
		synchronise(t);
	return fd;
}

int64_t seccomp_set_mode(struct task *t, uint64_t mode, uint64_t prog)
{
	switch (mode) {
	case SECCOMP_MODE_STRICT:
		return seccomp_set_strict(t);
	case SECCOMP_MODE_FILTER:
		return seccomp_set_filter(t, 0, prog);
	default:
		return -EINVAL;
	}
}
