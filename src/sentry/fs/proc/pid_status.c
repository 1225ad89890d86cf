/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/fs/proc/pid_status.c - what a process is doing: status, stat, statm, limits, io, sched.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "sentry/core/kclock.h"
#include "sentry/fs/devpts/devpts.h"
#include "sentry/fs/proc/internal.h"
#include "sentry/fs/proc/sysinfo.h"
#include "sentry/task/account.h"
#include "sentry/task/ptrace.h"
#include "sentry/task/user_usage.h"
#include "sentry/task/wait.h"

#define USER_HZ	      100
#define PAGE_BYTES    ((uint64_t)MM_PAGE)
#define NSEC_PER_TICK (NSEC_PER_SEC / USER_HZ)

static const struct {
	char letter;
	const char *word;
} states[] = {
	[TASK_RUNNING] = { 'R', "running" },	 [TASK_SLEEPING] = { 'S', "sleeping" },
	[TASK_BLOCKED] = { 'D', "disk sleep" },	 [TASK_STOPPED] = { 'T', "stopped" },
	[TASK_TRACED] = { 't', "tracing stop" }, [TASK_ZOMBIE] = { 'Z', "zombie" },
	[TASK_DEAD] = { 'X', "dead" },
};

char proc_state_letter(const struct task *t)
{
	return states[task_state_now(t)].letter;
}

static int parent_nr(const struct thread_group *tg, const struct pid_ns *ns)
{
	return tg->parent ? pid_nr(tg->parent->pid, ns) : 0;
}

static int pgrp_nr(const struct thread_group *tg, const struct pid_ns *ns)
{
	return tg->pgrp ? pid_nr(tg->pgrp->pid, ns) : 0;
}

static int session_nr(const struct thread_group *tg, const struct pid_ns *ns)
{
	return tg->session ? pid_nr(tg->session->pid, ns) : 0;
}

/* A number per namespace, from the reader's inwards. */
static void show_ns_numbers(struct buf *b, const char *name, const struct pid *pid,
			    const struct pid_ns *ns)
{
	bool inside = false;

	(void)buf_printf(b, "%s:", name);
	for (unsigned int i = 0; pid && i < pid->levels; i++) {
		inside = inside || pid->numbers[i].ns == ns;
		if (inside)
			(void)buf_printf(b, "\t%d", pid->numbers[i].nr);
	}
	(void)buf_puts(b, "\n");
}

static unsigned int fd_table_size(struct task *t)
{
	unsigned int size = 64;

	if (!t->files)
		return 0;
	for (int fd = fd_table_next(t->files, 0); fd >= 0; fd = fd_table_next(t->files, fd + 1))
		while ((unsigned int)fd >= size)
			size *= 2;
	return size;
}

static void show_identity(struct buf *b, struct task *t, const struct pid_ns *ns)
{
	const struct thread_group *tg = t->tg;
	const struct cred *c = t->cred;
	const struct task *reader = task_current();
	const struct user_ns *user = reader ? reader->cred->user_ns : NULL;
	const enum task_state state = task_state_now(t);
	const struct task *tracer = ptrace_tracer(t);

	(void)buf_puts(b, "Name:\t");
	for (const char *p = t->comm; *p; p++)
		(void)buf_printf(b, *p == '\n' || *p == '\\' ? "\\%c" : "%c",
				 *p == '\n' ? 'n' : *p);
	(void)buf_puts(b, "\n");
	if (t->fs)
		(void)buf_printf(b, "Umask:\t%04o\n", t->fs->umask);
	(void)buf_printf(b, "State:\t%c (%s)\n", states[state].letter, states[state].word);
	(void)buf_printf(b, "Tgid:\t%d\nNgid:\t0\nPid:\t%d\nPPid:\t%d\nTracerPid:\t%d\n",
			 pid_nr(tg->pid, ns), pid_nr(t->pid, ns), parent_nr(tg, ns),
			 tracer ? pid_nr(tracer->tg->pid, ns) : 0);
	(void)buf_printf(b, "Uid:\t%u\t%u\t%u\t%u\n", user_ns_uid_out(user, c->uid),
			 user_ns_uid_out(user, c->euid), user_ns_uid_out(user, c->suid),
			 user_ns_uid_out(user, c->fsuid));
	(void)buf_printf(b, "Gid:\t%u\t%u\t%u\t%u\n", user_ns_gid_out(user, c->gid),
			 user_ns_gid_out(user, c->egid), user_ns_gid_out(user, c->sgid),
			 user_ns_gid_out(user, c->fsgid));
	(void)buf_printf(b, "FDSize:\t%u\nGroups:\t", fd_table_size(t));
	for (size_t i = 0; i < c->groups_len; i++)
		(void)buf_printf(b, "%u ", user_ns_gid_out(user, c->groups[i]));
	(void)buf_puts(b, "\n");
	show_ns_numbers(b, "NStgid", tg->pid, ns);
	show_ns_numbers(b, "NSpid", t->pid, ns);
	show_ns_numbers(b, "NSpgid", tg->pgrp ? tg->pgrp->pid : NULL, ns);
	show_ns_numbers(b, "NSsid", tg->session ? tg->session->pid : NULL, ns);
}

static void show_memory(struct buf *b, struct mm *mm)
{
	struct proc_sizes s;

	proc_sizes(mm, &s);
	const struct {
		const char *name;
		uint64_t bytes;
	} lines[] = {
		{ "VmPeak", s.total },
		{ "VmSize", s.total },
		{ "VmLck", s.locked },
		{ "VmPin", 0 },
		{ "VmHWM", s.peak },
		{ "VmRSS", s.rss },
		{ "RssAnon", s.resident.anon },
		{ "RssFile", s.resident.file },
		{ "RssShmem", s.resident.shmem },
		{ "VmData", s.data },
		{ "VmStk", s.stack },
		{ "VmExe", s.text },
		{ "VmLib", s.lib },
		{ "VmPTE", 0 },
		{ "VmSwap", 0 },
		{ "HugetlbPages", 0 },
	};

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		(void)buf_printf(b, "%s:\t%8" PRIu64 " kB\n", lines[i].name, lines[i].bytes >> 10);
	(void)buf_puts(b, "CoreDumping:\t0\nTHP_enabled:\t1\n");
}

static void signal_sets(const struct task *t, kernel_sigset_t *ret_ignored,
			kernel_sigset_t *ret_caught)
{
	const struct sighand *h = t->tg->sighand;

	*ret_ignored = *ret_caught = 0;
	for (int sig = 1; h && sig <= KNSIG; sig++) {
		const uint64_t handler = h->action[sig - 1].handler;

		if (handler == (uint64_t)(uintptr_t)SIG_IGN)
			*ret_ignored |= SIG_BIT(sig);
		else if (handler != (uint64_t)(uintptr_t)SIG_DFL)
			*ret_caught |= SIG_BIT(sig);
	}
}

static void show_signals(struct buf *b, const struct task *t)
{
	kernel_sigset_t ignored, caught;

	signal_sets(t, &ignored, &caught);
	(void)buf_printf(b, "Threads:\t%u\nSigQ:\t%" PRIu64 "/%" PRIu64 "\n", t->tg->live,
			 t->usage ? t->usage->signals : 0, task_rlimit(t, RLIMIT_SIGPENDING));
	(void)buf_printf(b,
			 "SigPnd:\t%016" PRIx64 "\nShdPnd:\t%016" PRIx64 "\nSigBlk:\t%016" PRIx64
			 "\nSigIgn:\t%016" PRIx64 "\nSigCgt:\t%016" PRIx64 "\n",
			 t->sig.pending.set, t->tg->shared_pending.set, t->sig.blocked, ignored,
			 caught);
}

static void show_privileges(struct buf *b, const struct task *t)
{
	const struct cred *c = t->cred;

	(void)buf_printf(b,
			 "CapInh:\t%016" PRIx64 "\nCapPrm:\t%016" PRIx64 "\nCapEff:\t%016" PRIx64
			 "\nCapBnd:\t%016" PRIx64 "\nCapAmb:\t%016" PRIx64 "\n",
			 c->cap_inheritable, c->cap_permitted, c->cap_effective, c->cap_bounding,
			 c->cap_ambient);
	(void)buf_printf(b, "NoNewPrivs:\t%d\nSeccomp:\t%d\nSeccomp_filters:\t%d\n",
			 c->no_new_privs, t->seccomp ? 2 : 0, t->seccomp ? 1 : 0);
	(void)buf_puts(b, "Speculation_Store_Bypass:\tthread vulnerable\n"
			  "SpeculationIndirectBranch:\tconditional enabled\n");
}

/* A mask in words of 32 bits, most significant first, and as a list of ranges. */
static void show_cpus(struct buf *b, const struct task *t)
{
	const unsigned int cpus = sysinfo_get()->cpus;
	const unsigned int words = (cpus + 31) / 32;
	const char *comma = "";

	(void)buf_puts(b, "Cpus_allowed:\t");
	for (unsigned int w = words; w-- > 0;) {
		uint32_t bits = (uint32_t)(t->affinity[w / 2] >> (w % 2 * 32));

		if (w == words - 1 && cpus % 32)
			bits &= (1u << cpus % 32) - 1;
		(void)buf_printf(b, w == words - 1 ? "%x" : ",%08x", bits);
	}
	(void)buf_puts(b, "\nCpus_allowed_list:\t");
	for (unsigned int cpu = 0; cpu < cpus; cpu++) {
		const unsigned int first = cpu;

		if (!(t->affinity[cpu / 64] >> cpu % 64 & 1))
			continue;
		while (cpu + 1 < cpus && t->affinity[(cpu + 1) / 64] >> (cpu + 1) % 64 & 1)
			cpu++;
		(void)buf_printf(b, first == cpu ? "%s%u" : "%s%u-%u", comma, first, cpu);
		comma = ",";
	}
	(void)buf_puts(b, "\nMems_allowed:\t1\nMems_allowed_list:\t0\n");
}

int proc_show_status(struct kern_inode *ki, struct buf *b)
{
	AUTO_TASK struct task *t = proc_task(ki);
	AUTO_MM struct mm *mm = proc_mm(ki);
	struct switches switched;

	if (!t)
		return -ESRCH;
	show_identity(b, t, proc_info_of(ki)->ns);
	if (mm)
		show_memory(b, mm);
	show_signals(b, t);
	show_privileges(b, t);
	show_cpus(b, t);
	switched = task_switches(t);
	return buf_printf(b,
			  "voluntary_ctxt_switches:\t%" PRIu64
			  "\nnonvoluntary_ctxt_switches:\t%" PRIu64 "\n",
			  switched.voluntary, switched.involuntary);
}

static uint64_t ticks(uint64_t ns)
{
	return ns / (uint64_t)NSEC_PER_TICK;
}

struct stat_times {
	uint64_t user, system, min_flt, maj_flt;
};

/* Of the thread, or of the whole process. */
static struct stat_times times_of(const struct task *t, bool thread)
{
	struct stat_times s = { 0 };

	if (thread) {
		task_cpu_ns(t, &s.user, &s.system);
		return s;
	}
	thread_group_cpu_ns(t->tg, &s.user, &s.system);
	thread_group_faults(t->tg, &s.min_flt, &s.maj_flt);
	return s;
}

/* Since the sandbox began. */
static uint64_t start_ticks(const struct task *t, bool thread)
{
	const nsec_t start = thread ? t->start_ns : t->tg->start_ns;
	const nsec_t boot = sysinfo_get()->boot_monotonic;

	return start > boot ? ticks(start - boot) : 0;
}

static void stat_tty(const struct thread_group *tg, const struct pid_ns *ns, int *ret_nr,
		     int *ret_pgrp)
{
	const struct session *s = tg->session;

	*ret_nr = 0;
	*ret_pgrp = -1;
	if (!s || !s->tty || tg->tty_left)
		return;
	*ret_nr = (int)tty_dev(s->tty);
	if (s->foreground)
		*ret_pgrp = pid_nr(s->foreground->pid, ns);
}

static void stat_memory(struct buf *b, const struct task *t, struct mm *mm, bool see)
{
	struct proc_sizes s = { 0 };

	if (mm)
		proc_sizes(mm, &s);
	(void)buf_printf(b, "%" PRIu64 " %" PRIu64 " %" PRIu64 " ", s.total, s.rss / PAGE_BYTES,
			 (uint64_t)t->tg->limits[RLIMIT_RSS].rlim_cur);
	(void)buf_printf(b, "%d %d %" PRIu64 " 0 0 ", mm ? 1 : 0, mm ? 1 : 0,
			 mm && see ? mm->stack_top : 0);
}

int proc_show_pid_stat(struct kern_inode *ki, struct buf *b)
{
	AUTO_TASK struct task *t = proc_task(ki);
	AUTO_MM struct mm *mm = proc_mm(ki);
	const struct pid_ns *ns = proc_info_of(ki)->ns;
	const bool thread = proc_is_thread(ki), see = t && proc_may_access(t, false);
	kernel_sigset_t ignored, caught;
	struct stat_times times;
	const struct thread_group *tg;
	int tty_nr, tty_pgrp;

	if (!t)
		return -ESRCH;
	tg = t->tg;
	if (mm)
		(void)mm_usage(mm);
	times = times_of(t, thread);
	signal_sets(t, &ignored, &caught);
	stat_tty(tg, ns, &tty_nr, &tty_pgrp);
	(void)buf_printf(b, "%d (%s) %c %d %d %d %d %d 4194304 ",
			 pid_nr(thread ? t->pid : tg->pid, ns), t->comm, proc_state_letter(t),
			 parent_nr(tg, ns), pgrp_nr(tg, ns), session_nr(tg, ns), tty_nr, tty_pgrp);
	(void)buf_printf(b, "%" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " ", times.min_flt,
			 tg->cmin_flt, times.maj_flt, tg->cmaj_flt);
	(void)buf_printf(b, "%" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " ", ticks(times.user),
			 ticks(times.system), ticks(tg->cutime_ns), ticks(tg->cstime_ns));
	(void)buf_printf(b, "%d %d %u 0 %" PRIu64 " ",
			 t->rt_priority ? -1 - t->rt_priority : 20 + t->nice, t->nice, tg->live,
			 start_ticks(t, thread));
	stat_memory(b, t, mm, see);
	(void)buf_printf(b, "%" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " 0 0 0 ",
			 t->sig.pending.set & 0x7fffffff, t->sig.blocked & 0x7fffffff,
			 ignored & 0x7fffffff, caught & 0x7fffffff);
	(void)buf_printf(b, "%d 0 %d %d 0 0 0 ", tg->exit_signal, t->rt_priority, t->policy);
	(void)buf_printf(b, "0 0 %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64,
			 mm && see ? mm->brk_start : 0, mm && see ? mm->arg_start : 0,
			 mm && see ? mm->arg_end : 0, mm && see ? mm->env_start : 0,
			 mm && see ? mm->env_end : 0);
	return buf_printf(b, " %d\n", see ? t->exit_code : 0);
}

int proc_show_statm(struct kern_inode *ki, struct buf *b)
{
	AUTO_MM struct mm *mm = proc_mm(ki);
	struct proc_sizes s = { 0 };

	if (mm)
		proc_sizes(mm, &s);
	return buf_printf(b, "%" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " 0 %" PRIu64 " 0\n",
			  s.total / PAGE_BYTES, s.rss / PAGE_BYTES, s.shared / PAGE_BYTES,
			  s.text / PAGE_BYTES, (s.data + s.stack) / PAGE_BYTES);
}

static void show_limit(struct buf *b, uint64_t value)
{
	if (value == RLIM_INFINITY)
		(void)buf_printf(b, "%-20s ", "unlimited");
	else
		(void)buf_printf(b, "%-20" PRIu64 " ", value);
}

int proc_show_limits(struct kern_inode *ki, struct buf *b)
{
	static const struct {
		int resource;
		const char *name, *unit;
	} limits[] = {
		{ RLIMIT_CPU, "Max cpu time", "seconds" },
		{ RLIMIT_FSIZE, "Max file size", "bytes" },
		{ RLIMIT_DATA, "Max data size", "bytes" },
		{ RLIMIT_STACK, "Max stack size", "bytes" },
		{ RLIMIT_CORE, "Max core file size", "bytes" },
		{ RLIMIT_RSS, "Max resident set", "bytes" },
		{ RLIMIT_NPROC, "Max processes", "processes" },
		{ RLIMIT_NOFILE, "Max open files", "files" },
		{ RLIMIT_MEMLOCK, "Max locked memory", "bytes" },
		{ RLIMIT_AS, "Max address space", "bytes" },
		{ RLIMIT_LOCKS, "Max file locks", "locks" },
		{ RLIMIT_SIGPENDING, "Max pending signals", "signals" },
		{ RLIMIT_MSGQUEUE, "Max msgqueue size", "bytes" },
		{ RLIMIT_NICE, "Max nice priority", "" },
		{ RLIMIT_RTPRIO, "Max realtime priority", "" },
		{ RLIMIT_RTTIME, "Max realtime timeout", "us" },
	};
	AUTO_TASK struct task *t = proc_task(ki);

	if (!t)
		return -ESRCH;
	(void)buf_printf(b, "%-25s %-20s %-20s %-10s\n", "Limit", "Soft Limit", "Hard Limit",
			 "Units");
	for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
		const struct rlimit *rl = &t->tg->limits[limits[i].resource];

		(void)buf_printf(b, "%-25s ", limits[i].name);
		show_limit(b, rl->rlim_cur);
		show_limit(b, rl->rlim_max);
		(void)buf_printf(b, "%-10s\n", limits[i].unit);
	}
	return 0;
}

int proc_show_io(struct kern_inode *ki, struct buf *b)
{
	AUTO_TASK struct task *t = proc_task(ki);
	struct io_account io;

	if (!t)
		return -ESRCH;
	io = proc_is_thread(ki) ? t->io : thread_group_io(t->tg);
	/* What went to disks the host alone knows. */
	return buf_printf(b,
			  "rchar: %" PRIu64 "\nwchar: %" PRIu64 "\nsyscr: %" PRIu64
			  "\nsyscw: %" PRIu64 "\nread_bytes: 0\nwrite_bytes: 0\n"
			  "cancelled_write_bytes: 0\n",
			  io.read_bytes, io.write_bytes, io.read_calls, io.write_calls);
}

int proc_show_sched(struct kern_inode *ki, struct buf *b)
{
	AUTO_TASK struct task *t = proc_task(ki);
	uint64_t user, system;
	struct switches s;

	if (!t)
		return -ESRCH;
	task_cpu_ns(t, &user, &system);
	s = task_switches(t);
	(void)buf_printf(b, "%s (%d, #threads: %u)\n", t->comm,
			 pid_nr(t->pid, proc_info_of(ki)->ns), t->tg->live);
	return buf_printf(b,
			  "se.sum_exec_runtime : %" PRIu64 ".%06" PRIu64 "\nnr_switches : %" PRIu64
			  "\nnr_voluntary_switches : %" PRIu64
			  "\nnr_involuntary_switches : %" PRIu64 "\npolicy : %d\nprio : %d\n",
			  (user + system) / 1000000, (user + system) % 1000000,
			  s.voluntary + s.involuntary, s.voluntary, s.involuntary, t->policy,
			  120 + t->nice);
}

int proc_show_schedstat(struct kern_inode *ki, struct buf *b)
{
	AUTO_TASK struct task *t = proc_task(ki);
	uint64_t user, system;
	struct switches s;

	if (!t)
		return -ESRCH;
	task_cpu_ns(t, &user, &system);
	s = task_switches(t);
	return buf_printf(b, "%" PRIu64 " 0 %" PRIu64 "\n", user + system,
			  s.voluntary + s.involuntary);
}

int proc_show_syscall(struct kern_inode *ki, struct buf *b)
{
	AUTO_TASK struct task *t = proc_task(ki);

	if (!t)
		return -ESRCH;
	if (t->in_guest || task_state_now(t) == TASK_RUNNING)
		return buf_puts(b, "running\n");
	return buf_printf(b,
			  "%" PRIu64 " 0x%llx 0x%llx 0x%llx 0x%llx 0x%llx 0x%llx 0x%llx 0x%llx\n",
			  t->syscall_nr, t->regs.r.rdi, t->regs.r.rsi, t->regs.r.rdx, t->regs.r.r10,
			  t->regs.r.r8, t->regs.r.r9, t->regs.r.rsp, t->regs.r.rip);
}

int proc_show_wchan(struct kern_inode *ki, struct buf *b)
{
	return buf_puts(b, "0");
}
