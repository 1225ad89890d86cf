/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The systrap platform: start, spaces and threads, running guest code.
 *
 * A host thread never ends alone: when its task has gone it waits in its slot for the next one of
 * the same space, so that a slot has one host thread for ever and a process's leader, whose pid
 * names the memory, lives as long as the space.
 */
#include "sentry/platform/systrap/systrap.h"

#include <cpuid.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "sentry/arch/auxv.h"
#include "sentry/arch/fpu.h"
#include "sentry/core/kclock.h"
#include "sentry/platform/systrap/systrap_internal.h"

#define HWCAP2_FSGSBASE_BIT (1u << 1)
#define CPUID_RDPID	    (1u << 22) /* leaf 7, ECX */
#define TEMPLATE_YIELDS	    200

struct systrap systrap = {
	.options = { .stub_fd = -EBADF },
	.doorbell = -EBADF,
	.listener = -EBADF,
	.zygote_sock = -EBADF,
	.gro_fd = -EBADF,
	.wro_fd = -EBADF,
	.ids_fd = -EBADF,
};

void systrap_set_options(const struct systrap_options *options)
{
	systrap.options = *options;
}

/* Pages that stubs map read-only: nobody can make them writable once they are sealed. */
static int shared_page(const char *name, size_t len, int *ret_fd, void *ret)
{
	AUTO_CLOSE int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	void *map;

	if (fd < 0 || ftruncate(fd, (off_t)len) < 0)
		return -errno;
	map = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED)
		return -errno;
	if (fcntl(fd, F_ADD_SEALS,
		  F_SEAL_FUTURE_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
		return -errno;
	*ret_fd = TAKE_FD(fd);
	memcpy(ret, &map, sizeof(map));
	return 0;
}

/* Of Intel's since Ice Lake, of AMD's since Zen 2; QEMU 7.2 emulates none. */
static bool has_rdpid(void)
{
	unsigned int a, b, c, d;

	return __get_cpuid_count(7, 0, &a, &b, &c, &d) && c & CPUID_RDPID;
}

static int make_shared(void)
{
	int r = shared_page("stub-global", STUB_GRO_LEN, &systrap.gro_fd, &systrap.global);

	if (r == 0)
		r = shared_page("stub-words", STUB_WRO_LEN, &systrap.wro_fd, &systrap.words);
	if (r == 0)
		r = shared_page("stub-ids", STUB_IDS_LEN, &systrap.ids_fd, &systrap.ids);
	if (r < 0)
		return r;
	systrap.global->poller = UINT32_MAX;
	systrap.global->patch = !systrap.options.no_patching;
	systrap.global->rdpid = has_rdpid();
	systrap.doorbell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return systrap.doorbell < 0 ? -errno : 0;
}

/*
 * Not in a fiber yet: the template's first request is waited for by hand. It takes the time of
 * installing a filter, perhaps on this CPU.
 */
static int await_template(struct platform_thread *t)
{
	const struct timespec pause = { .tv_nsec = 100000 };

	for (unsigned int i = 0; i < 100000; i++) {
		if (__atomic_load_n(&t->ctx->req_seq, __ATOMIC_ACQUIRE) == 1) {
			t->seq = 1;
			t->req.kind = t->ctx->kind;
			t->req.nr = t->ctx->nr;
			t->guest = false;
			list_del(&t->guest_node);
			return t->req.kind == STUB_REQ_LISTENER ? 0 : -EPROTO;
		}
		if (i < TEMPLATE_YIELDS)
			(void)sched_yield();
		else
			(void)nanosleep(&pause, NULL);
	}
	return -ETIMEDOUT;
}

static int take_listener(struct platform_thread *t)
{
	const int fd = (int)syscall(SYS_pidfd_getfd, t->space->pidfd, (int)t->req.nr, 0);

	if (fd < 0)
		return -errno;
	if (fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
		return -errno;
	systrap.listener = fd;
	arch_auxv_set_vdso(t->ctx->args[0]);
	systrap.entry = t->ctx->args[1];
	return systrap_births_start(fd);
}

/* The zygote goes to work. */
static int order_template(void)
{
	struct platform_thread *t;
	struct platform_space *s;
	int r;

	r = systrap_space_new(&systrap.nursery, &s);
	if (r == 0)
		r = systrap_thread_new(s, 0, &t);
	if (r == 0)
		r = systrap_zygote_setup(s->prw.fd);
	if (r == 0)
		systrap.nursery.template = t;
	return r;
}

static int take_template(void)
{
	struct platform_thread *t = systrap.nursery.template;
	pid_t pid = 0;
	int r, pidfd;

	r = systrap_zygote_hello(&pid);
	if (r < 0)
		return r;
	pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (pidfd < 0)
		return -errno;
	r = systrap_space_born(t->space, pidfd, pid);
	if (r < 0)
		return r;
	systrap_thread_born(t, pid);
	r = await_template(t);
	if (r == 0)
		r = take_listener(t);
	if (r < 0)
		return r;
	policy_begin(t);
	systrap_reply(t, STUB_ACT_RESULT); /* goes on to wait for work */
	return 0;
}

static int systrap_begin(void)
{
	int r;

	if (!(getauxval(AT_HWCAP2) & HWCAP2_FSGSBASE_BIT))
		return -ENOTSUP;
	list_init(&systrap.guests);
	list_init(&systrap.taken);
	list_init(&systrap.births);
	list_init(&systrap.dying);
	for (unsigned int i = 0; i < SYSTRAP_TID_BUCKETS; i++)
		list_init(&systrap.tids[i]);
	systrap_nursery_init(&systrap.nursery);
	systrap.self = getpid();
	r = systrap_choose_base();
	if (r == 0)
		r = make_shared();
	if (r == 0)
		policy_init();
	if (r == 0)
		r = systrap_talk_init();
	if (r == 0)
		r = systrap.options.zygote_sock > 0
			    ? systrap_zygote_adopt(systrap.options.zygote_sock)
			    : systrap_zygote_start(systrap.options.stub_fd);
	if (r == 0)
		r = order_template();
	return r;
}

static int systrap_init(void)
{
	int r = systrap.nursery.template ? 0 : systrap_begin();

	if (r == 0)
		r = fpu_init();
	if (r == 0)
		r = take_template();
	return r;
}

static int thread_fork(struct platform_thread *t, struct platform_thread **ret)
{
	int r = systrap_settle(t);

	if (r == 0)
		r = systrap_frame_ensure(t);
	if (r < 0)
		return r;
	kmutex_lock(&t->space->lock);
	r = systrap_fork_stub(t, ret);
	kmutex_unlock(&t->space->lock);
	if (r < 0)
		return r;
	systrap_frame_copy(t, *ret);
	systrap_patches_inherit(t->space, (*ret)->space);
	return 0;
}

static int thread_clone(struct platform_thread *t, struct platform_thread **ret)
{
	struct platform_space *s = t->space;
	int r = systrap_flush(s);

	if (r == 0)
		r = systrap_settle(t);
	if (r == 0)
		r = systrap_frame_ensure(t);
	if (r < 0)
		return r;
	kmutex_lock(&s->lock);
	if (!list_empty(&s->idle)) {
		*ret = list_first(&s->idle, struct platform_thread, node);
		list_move_tail(&(*ret)->node, &s->threads);
		policy_inherit(t, *ret);
		s->refs++;
	} else {
		r = systrap_clone_thread(t, ret);
	}
	kmutex_unlock(&s->lock);
	if (r == 0)
		systrap_frame_copy(t, *ret);
	return r;
}

/* The host thread waits for its next task, if it is known to wait at all. */
static bool keep_for_reuse(struct platform_thread *t)
{
	if (t->guest || t->posted || t->space->dead)
		return false;
	t->uc = 0;
	systrap_answers(t, NULL);
	t->have_result = t->in_handler = t->in_syscall = t->interrupted = t->kicked = false;
	t->ending = false;
	t->fast = t->patch_wanted = false;
	list_del(&t->guest_node);
	ktimer_cancel(&t->deaf);
	t->waiter = NULL;
	list_move_tail(&t->node, &t->space->idle);
	return true;
}

static void thread_free(struct platform_thread *t)
{
	struct platform_space *s = t->space;

	systrap_flush_wait(t);
	systrap_batch_drop(t);
	systrap_window_drop(t);
	t->fiber = NULL;
	t->on_end = NULL;
	s->ended_guest_ticks += t->guest_ticks;
	t->guest_ticks = t->cpu_shown = 0;
	if (!keep_for_reuse(t))
		systrap_thread_forget(t);
	if (list_empty(&s->threads))
		systrap_space_kill(s);
	systrap_space_unref(s);
}

static void go(struct platform_thread *t)
{
	enum stub_action action = STUB_ACT_RESUME;

	if (t->frame_changed) {
		t->ctx->act[0] = t->uc;
		t->ctx->act[1] = systrap_fs_base(t);
		t->ctx->act[2] = systrap_gs_register(t);
		action = STUB_ACT_SIGRETURN;
	} else if (t->have_result || t->fast) {
		if (t->patch_wanted && systrap_patch_apply(t))
			action = STUB_ACT_PATCH;
		else
			action = STUB_ACT_RESULT;
		t->ctx->ret = t->have_result ? t->result : t->req.nr;
	}
	t->frame_changed = t->have_result = t->in_handler = t->fast = t->patch_wanted = false;
	t->uc = 0;
	systrap_tell_alone(t);
	policy_leaving(t);
	systrap_reply(t, action);
}

static void read_fault(struct platform_thread *t, struct platform_event *ret)
{
	memcpy(&ret->info, t->ctx->siginfo, sizeof(ret->info));
	ret->info.si_signo = (int)t->req.nr;
	ret->trap_no = t->ctx->trap_no;
	ret->error_code = t->ctx->error_code;
}

static void syscall_event(struct platform_thread *t, struct platform_event *ret)
{
	ret->kind = PLATFORM_SYSCALL;
	ret->nr = t->req.nr;
	memcpy(ret->args.v, t->req.args, sizeof(ret->args.v));
	t->in_syscall = true;
	t->syscall_nr = t->req.nr;
}

/* By a trap: the frame is where the stub says, if that is in its slot. */
static bool take_frame(struct platform_thread *t)
{
	const uint64_t uc = __atomic_load_n(&t->ctx->uc, __ATOMIC_RELAXED);

	if (!systrap_frame_ok(t, uc))
		return false;
	t->uc = uc;
	t->in_handler = true;
	systrap_take_gs(t);
	return true;
}

enum verdict {
	BROKEN,	 /* the stub broke the protocol */
	EVENT,	 /* *ret is filled */
	NOTHING, /* the guest goes on */
};

static enum verdict interpret(struct platform_thread *t, struct platform_event *ret)
{
	bool go_on;

	t->posted = t->in_syscall = false;
	t->fs_known = false;
	switch (t->req.kind) {
	case STUB_REQ_FAST:
		t->fast = true;
		t->gs_base = 0; /* or it would have trapped */
		systrap.counts.calls_patched++;
		syscall_event(t, ret);
		return EVENT;
	case STUB_REQ_FAST_INTERRUPT:
		t->fast = true;
		t->gs_base = 0;
		break;
	case STUB_REQ_SYSCALL:
		if (!take_frame(t))
			return BROKEN;
		syscall_event(t, ret);
		systrap.counts.calls_trapped++;
		systrap_patch_note(t, t->req.nr);
		return EVENT;
	case STUB_REQ_FAULT:
		if (!take_frame(t) || t->req.nr == 0 || t->req.nr > 31)
			return BROKEN;
		ret->kind = PLATFORM_FAULT;
		read_fault(t, ret);
		if (systrap_patch_fault(t, ret, &go_on) && go_on)
			return NOTHING;
		return EVENT;
	case STUB_REQ_INTERRUPT:
		if (!take_frame(t))
			return BROKEN;
		break;
	default:
		return BROKEN;
	}
	/* A kick that came too late for its reason is nobody's event. */
	if (!t->interrupted)
		return NOTHING;
	t->interrupted = false;
	ret->kind = PLATFORM_INTERRUPT;
	return EVENT;
}

static void thread_interrupt(struct platform_thread *t)
{
	t->interrupted = true;
	if (!t->running || !t->guest || t->kicked || t->space->dead || t->tid == 0)
		return;
	systrap_kick(t);
}

static void thread_end(struct platform_thread *t)
{
	t->ending = true;
	thread_interrupt(t);
}

static void thread_run(struct platform_thread *t, struct platform_event *ret)
{
	enum verdict verdict = NOTHING;

	*ret = (struct platform_event){ .kind = PLATFORM_DEAD };
	while (verdict == NOTHING) {
		if (t->interrupted) {
			t->interrupted = false;
			ret->kind = PLATFORM_INTERRUPT;
			return;
		}
		if (!systrap_answer_early(t) && systrap_settle(t) < 0)
			return;
		t->fiber = fiber_self();
		go(t);
		t->running = true;
		/* It came while this fiber was parked on the way here: nobody was kicked. */
		if (t->interrupted)
			thread_interrupt(t);
		if (systrap_await(t, NSEC_NEVER) < 0) {
			t->running = false;
			return;
		}
		t->running = false;
		verdict = interpret(t, ret);
	}
	if (verdict == BROKEN) {
		systrap_space_kill(t->space);
		ret->kind = PLATFORM_DEAD;
	}
}

static void thread_set_result(struct platform_thread *t, uint64_t value)
{
	if (t->space->dead)
		return;
	if (t->fast || (t->in_handler && !t->frame_changed)) {
		t->result = value;
		t->have_result = true;
	} else if (t->uc) {
		systrap_frame_set_rax(t, value);
	}
}

static struct platform_space *thread_space(struct platform_thread *t)
{
	return t->space;
}

static void thread_on_end(struct platform_thread *t, void (*fn)(void *arg), void *arg)
{
	t->on_end = fn;
	t->on_end_arg = arg;
}

static bool space_dead(const struct platform_space *s)
{
	return s->dead;
}

/*
 * The host tells the time of a whole process; a thread has the part of it that its own stay in
 * guest code is of all. Never less than was said before.
 */
static uint64_t thread_cpu_ns(struct platform_thread *t)
{
	const uint64_t used = systrap_cpu_ns(t->space), own = policy_guest_ticks(t);
	const struct platform_thread *other;
	double all = (double)t->space->ended_guest_ticks, part;

	list_for_each(other, &t->space->threads, node) all += (double)policy_guest_ticks(other);
	part = all > 0 ? (double)used * (double)own / all : 0;
	if (part > (double)t->cpu_shown)
		t->cpu_shown = (uint64_t)part;
	return t->cpu_shown;
}

static unsigned int count_threads(unsigned int *ret_most)
{
	unsigned int n = 0;

	for (uint32_t i = 0; i < STUB_THREADS; i++)
		n += systrap.index_used[i];
	*ret_most = STUB_THREADS;
	return n;
}

static void counts(struct platform_counts *ret)
{
	*ret = systrap.counts;
}

const struct platform_ops platform_systrap = {
	.name = "systrap",
	.init = systrap_init,
	.begin = systrap_begin,
	.nursery_new = systrap_nursery_new,
	.nursery_placed = systrap_nursery_placed,
	.nursery_on_end = systrap_nursery_on_end,
	.nursery_hold = systrap_nursery_hold,
	.nursery_free = systrap_nursery_free,
	.space_new = systrap_space_from,
	.thread_fork = thread_fork,
	.thread_clone = thread_clone,
	.thread_free = thread_free,
	.thread_run = thread_run,
	.thread_interrupt = thread_interrupt,
	.thread_end = thread_end,
	.thread_on_end = thread_on_end,
	.thread_set_result = thread_set_result,
	.thread_get_regs = systrap_get_regs,
	.thread_set_regs = systrap_set_regs,
	.thread_get_fpu = systrap_get_fpu,
	.thread_set_fpu = systrap_set_fpu,
	.map = systrap_map,
	.unmap = systrap_unmap,
	.protect = systrap_protect,
	.advise = systrap_advise,
	.move = systrap_move,
	.read = systrap_read,
	.write = systrap_write,
	.thread_space = thread_space,
	.space_ref = systrap_space_ref,
	.space_unref = systrap_space_unref,
	.space_dead = space_dead,
	.thread_answers = systrap_answers,
	.thread_cpu_ns = thread_cpu_ns,
	.space_resident = systrap_resident,
	.space_usage = systrap_usage,
	.thread_usage = systrap_thread_usage,
	.counts = counts,
	.threads = count_threads,
	.thread_affinity = policy_affinity,
	.thread_cpu = policy_cpu,
};
