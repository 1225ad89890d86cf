/* SPDX-License-Identifier: Apache-2.0 */
/* sentry/task/ptrace_request.c - the requests of ptrace(2). */
#include <linux/ptrace.h>
#include <string.h>
#include <sys/mman.h>

#include "sentry/task/exec.h"
#include "sentry/task/internal.h"
#include "sentry/task/ptrace.h"
#include "sentry/task/ptrace_access.h"
#include "sentry/task/ptrace_link.h"
#include "sentry/task/sigqueue.h"

/* Requests of other headers that x86-64 has. */
#define REQ_GETREGS    12
#define REQ_SETREGS    13
#define REQ_GETFPREGS  14
#define REQ_SETFPREGS  15
#define REQ_ARCH_PRCTL 30

#define OPTIONS_KNOWN                                                                             \
	(PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE | \
	 PTRACE_O_TRACEEXEC | PTRACE_O_TRACEVFORKDONE | PTRACE_O_TRACEEXIT |                      \
	 PTRACE_O_TRACESECCOMP | PTRACE_O_EXITKILL)

static int trace_me(struct task *t)
{
	struct thread_group *parent = t->tg->parent;
	struct task *tracer;

	if (t->ptrace || !parent)
		return -EPERM;
	tracer = t->tg->parent_thread ? t->tg->parent_thread : parent->leader;
	/* It has let its tracees go and finds no new one: as if it did so right after. */
	if (tracer->exiting)
		return 0;
	return ptrace_link_new(t, tracer, false, 0);
}

static int attach(struct task *t, struct task *to, bool seize, uint64_t addr, uint64_t data)
{
	int r;

	if (seize && (addr || (data & ~(uint64_t)OPTIONS_KNOWN)))
		return -EIO;
	/* Set-id bits and file capabilities are judged by who traces when the execve begins. */
	if (to->tg != t->tg && task_exec_wait(t, to->tg) < 0)
		return -EINTR;
	if (to->tg == t->tg || !ptrace_may_access(t, to, PTRACE_ACCESS_ATTACH))
		return -EPERM;
	if (to->exiting || to->state >= TASK_ZOMBIE)
		return -EPERM;
	r = ptrace_link_new(to, t, seize, seize ? (uint32_t)data : 0);
	if (r < 0)
		return r;
	if (!seize) {
		to->sig.pending.set |= SIG_BIT(SIGSTOP);
		task_kick(to);
	}
	if (to->state == TASK_STOPPED)
		task_kick(to); /* its stop becomes one of ours */
	return 0;
}

static bool bad_signal(uint64_t sig)
{
	return sig > KNSIG;
}

/* Write a piece of one area whose protection forbids it: with the protection lifted meanwhile. */
static size_t write_lifted(struct mm *mm, struct platform_thread *by, uaddr_t addr, const void *src,
			   size_t len)
{
	const struct vma *vma = mm_find(mm, addr);
	const uaddr_t page = addr & ~(MM_PAGE - 1);
	uint64_t pages;
	size_t done;

	if (!vma || (vma->flags & MAP_SHARED))
		return 0;
	if (len > vma->end - addr)
		len = vma->end - addr;
	pages = ((addr + len - 1) & ~(MM_PAGE - 1)) - page + MM_PAGE;
	if (platform->protect(by, page, pages, vma->prot | PROT_READ | PROT_WRITE) < 0)
		return 0;
	done = mm->um.ops->copy_out(&mm->um, addr, src, len);
	return platform->protect(by, page, pages, vma->prot) < 0 ? 0 : done;
}

/* A thread of the space that is in the kernel and stays there: our own, or a stopped tracee's. */
static struct task *thread_for(struct task *t, const struct mm *mm)
{
	struct task *tracee;

	if (t->mm == mm)
		return t;
	list_for_each(tracee, &t->tracees,
		      tracer_node) if (tracee->mm == mm && tracee->ptrace->stopped) return tracee;
	return NULL;
}

size_t ptrace_write_memory(struct task *t, struct mm *mm, uaddr_t addr, const void *src, size_t len)
{
	size_t done = mm->um.ops->copy_out(&mm->um, addr, src, len), more = 1;
	struct task *by = done < len ? thread_for(t, mm) : NULL;

	if (!by)
		return done;
	ptrace_use(by);
	kmutex_lock(&mm->lock);
	for (; done < len && more; done += more)
		more = write_lifted(mm, by->thread, addr + done, (const char *)src + done,
				    len - done);
	kmutex_unlock(&mm->lock);
	ptrace_unuse(by);
	return done;
}

static int64_t peek(struct task *t, struct task *of, uaddr_t addr, uaddr_t to)
{
	uint64_t value;

	if (!of->mm || user_copy_in(task_um(of), &value, addr, sizeof(value)) < 0)
		return -EIO;
	return user_copy_out(task_um(t), to, &value, sizeof(value));
}

static int64_t poke(struct task *t, struct task *of, uaddr_t addr, uint64_t value)
{
	if (!of->mm)
		return -EIO;
	return ptrace_write_memory(t, of->mm, addr, &value, sizeof(value)) == sizeof(value) ? 0
											    : -EIO;
}

static int64_t get_siginfo(struct task *t, struct task *of, uint64_t to)
{
	const struct ptrace_link *l = of->ptrace;

	/* A group stop of the old kind has no siginfo: that is how tracers tell. */
	if (!l->signal_stop && !(l->code >> 8) && (l->code & 0x7f) != SIGTRAP)
		return -EINVAL;
	return user_copy_out(task_um(t), to, &l->info, sizeof(l->info));
}

static int64_t set_siginfo(struct task *t, struct task *of, uint64_t from)
{
	return user_copy_in(task_um(t), &of->ptrace->info, from, sizeof(of->ptrace->info));
}

static int64_t blocked_mask(struct task *t, struct task *of, uint64_t size, uint64_t addr, bool set)
{
	kernel_sigset_t mask = of->sig.blocked;

	if (size != sizeof(mask))
		return -EINVAL;
	if (!set)
		return user_copy_out(task_um(t), addr, &mask, sizeof(mask));
	if (user_copy_in(task_um(t), &mask, addr, sizeof(mask)) < 0)
		return -EFAULT;
	of->sig.blocked = mask & ~SIG_UNBLOCKABLE;
	return 0;
}

static int64_t set_options(struct task *of, uint64_t options)
{
	if (options & ~(uint64_t)OPTIONS_KNOWN)
		return -EINVAL;
	of->ptrace->options = (uint32_t)options;
	return 0;
}

static int64_t go_on(struct task *of, uint64_t request, uint64_t sig)
{
	if (bad_signal(sig))
		return -EIO;
	if (request == PTRACE_DETACH)
		ptrace_link_free(of, (int)sig);
	else
		ptrace_go_on(of, (int)sig,
			     request == PTRACE_SYSCALL	    ? RESUME_SYSCALL
			     : request == PTRACE_SINGLESTEP ? RESUME_STEP
							    : RESUME_RUN);
	return 0;
}

static int64_t listen(struct task *of)
{
	struct ptrace_link *l = of->ptrace;

	if (!l->seized || l->code >> 8 != PTRACE_EVENT_STOP)
		return -EIO;
	l->listening = true;
	if (l->trap_pending) {
		/* SIGCONT came between its stop and this request. */
		ptrace_go_on(of, 0, RESUME_RUN);
		l->trap_pending = true;
	}
	return 0;
}

/* Requests about registers. *ret_known: it was one. */
static int64_t request_regs(struct task *t, struct task *of, uint64_t request, uint64_t addr,
			    uint64_t data, bool *ret_known)
{
	*ret_known = true;
	switch (request) {
	case REQ_GETREGS:
		return ptrace_get_regs(t, of, data);
	case REQ_SETREGS:
		return ptrace_set_regs(t, of, data);
	case REQ_GETFPREGS:
		return ptrace_get_fpregs(t, of, data);
	case REQ_SETFPREGS:
		return ptrace_set_fpregs(t, of, data);
	case PTRACE_GETREGSET:
		return ptrace_get_regset(t, of, addr, data);
	case PTRACE_SETREGSET:
		return ptrace_set_regset(t, of, addr, data);
	case PTRACE_PEEKUSR:
		return ptrace_peek_user(t, of, addr, data);
	case PTRACE_POKEUSR:
		return ptrace_poke_user(of, addr, data);
	case PTRACE_GET_SYSCALL_INFO:
		return ptrace_syscall_info(t, of, addr, data);
	default:
		*ret_known = false;
		return -EIO;
	}
}

static int64_t request_stopped(struct task *t, struct task *of, uint64_t request, uint64_t addr,
			       uint64_t data)
{
	bool known;
	const int64_t r = request_regs(t, of, request, addr, data, &known);

	if (known)
		return r;
	switch (request) {
	case PTRACE_PEEKTEXT:
	case PTRACE_PEEKDATA:
		return peek(t, of, addr, data);
	case PTRACE_POKETEXT:
	case PTRACE_POKEDATA:
		return poke(t, of, addr, data);
	case PTRACE_CONT:
	case PTRACE_SYSCALL:
	case PTRACE_SINGLESTEP:
	case PTRACE_DETACH:
		return go_on(of, request, data);
	case PTRACE_SETOPTIONS:
		return set_options(of, data);
	case PTRACE_GETEVENTMSG:
		return user_copy_out(task_um(t), data, &of->ptrace->message,
				     sizeof(of->ptrace->message));
	case PTRACE_GETSIGINFO:
		return get_siginfo(t, of, data);
	case PTRACE_SETSIGINFO:
		return set_siginfo(t, of, data);
	case PTRACE_GETSIGMASK:
	case PTRACE_SETSIGMASK:
		return blocked_mask(t, of, addr, data, request == PTRACE_SETSIGMASK);
	case PTRACE_LISTEN:
		return listen(of);
	default:
		return -EIO;
	}
}

/* Requests for a tracee of ours, whatever it does. */
static int64_t request_any(struct task *t, struct task *of, uint64_t request, uint64_t addr,
			   uint64_t data)
{
	struct ptrace_link *l = of->ptrace;
	int64_t r;

	switch (request) {
	case PTRACE_KILL:
		if (l->stopped)
			(void)signal_send_task(of, SIGKILL, NULL);
		return 0;
	case PTRACE_INTERRUPT:
		if (!l->seized)
			return -EIO;
		if (l->listening)
			ptrace_go_on(of, 0, RESUME_RUN);
		l->trap_pending = true;
		task_kick(of);
		return 0;
	default:
		if (!l->stopped || l->listening)
			return -ESRCH;
		ptrace_use(of);
		r = request_stopped(t, of, request, addr, data);
		ptrace_unuse(of);
		return r;
	}
}

int64_t ptrace_request(struct task *t, uint64_t request, int nr, uint64_t addr, uint64_t data)
{
	struct task *of;
	int64_t r;

	if (request == PTRACE_TRACEME)
		return trace_me(t);
	of = task_find(task_pid_ns(t), nr);
	if (!of)
		return -ESRCH;
	if (request == PTRACE_ATTACH || request == PTRACE_SEIZE)
		r = attach(t, of, request == PTRACE_SEIZE, addr, data);
	else if (!of->ptrace || of->ptrace->tracer != t)
		r = -ESRCH;
	else
		r = request_any(t, of, request, addr, data);
	task_unref(of);
	return r;
}
