/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Posting requests and carrying out what the sentry answers.
 *
 * Waiting: spin while a worker polls on another CPU, then ring the doorbell if the worker sleeps,
 * and sleep on the thread's word in STUB_WRO, which only the sentry writes. `sleep` and rep_seq on
 * this side and rep_seq and `sleep` on the other are exchanged in opposite order, so that no
 * wake-up is lost.
 */
#include "sentry/platform/systrap/stub/stub.h"

#include <linux/futex.h>
#include <linux/sched.h>
#include <signal.h>
#include <sys/mman.h>

#include "sentry/arch/yield.h"

#define FORK_FLAGS (CLONE_PARENT | SIGCHLD)
#define THREAD_FLAGS \
	(CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM)

#define CPU_SEGMENT 0x7b /* of the GDT on 64 bits: its limit is node << 12 | CPU */

#define YIELDS 2
#define LOOKS  16 /* at the reply, between two at anything else */

static uint64_t ticks(void)
{
	uint32_t low, high;

	__asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
	return (uint64_t)high << 32 | low;
}

/* Without RDPID: the limit of a segment, as the host's vdso reads it, 40 times as slow. */
static uint32_t this_cpu(void)
{
	uint64_t v = 0;

	if (stub_global()->rdpid)
		__asm__ volatile("rdpid %0" : "=r"(v));
	else
		__asm__ volatile("lsl %1, %0" : "+r"(v) : "r"((uint64_t)CPU_SEGMENT) : "cc");
	return (uint32_t)v & 0xfff;
}

static bool answered(const struct stub_ctx *c, uint32_t seq)
{
	return __atomic_load_n(&c->rep_seq, __ATOMIC_ACQUIRE) == seq;
}

static bool takes_long(const struct stub_ctx *c, uint32_t seq)
{
	return __atomic_load_n(&c->parked_seq, __ATOMIC_RELAXED) == seq;
}

bool stub_polled(const struct stub_ctx *c)
{
	const uint32_t poller = stub_global()->poller;

	return poller != UINT32_MAX && poller != c->cpu;
}

static bool spin(const struct stub_ctx *c, uint32_t seq)
{
	const uint64_t start = ticks(), limit = stub_global()->spin;

	do {
		for (unsigned int i = 0; i < LOOKS; i++) {
			if (answered(c, seq))
				return true;
			__builtin_ia32_pause();
		}
	} while (!takes_long(c, seq) && stub_polled(c) && ticks() - start <= limit);
	return answered(c, seq);
}

/*
 * Spin while the worker polls on another CPU. While it is on this one and runnable, change places
 * with it, which is cheaper than to sleep; it may leave for another one meanwhile.
 */
static bool wait_awake(const struct stub_ctx *c, uint32_t seq)
{
	for (unsigned int i = 0; i < YIELDS; i++) {
		if (stub_polled(c))
			return spin(c, seq);
		if (!stub_global()->yields)
			break;
		arch_yield();
		if (answered(c, seq))
			return true;
		if (takes_long(c, seq))
			return false;
	}
	return stub_polled(c) && spin(c, seq);
}

static void ring(void)
{
	const uint64_t one = 1;

	/* EAGAIN: it has been rung often enough. */
	(void)SYS3(SYS_write, STUB_FD_DOORBELL, &one, sizeof(one));
}

void stub_mark(struct stub_ctx *c)
{
	uint64_t fs;

	__asm__ volatile("rdfsbase %0" : "=r"(fs));
	c->fs_base = fs;
	c->cpu = this_cpu();
	c->posted = (uint32_t)ticks();
}

void stub_post(struct stub_ctx *c, uint32_t kind, uint64_t nr)
{
	const volatile uint32_t *word = (const volatile uint32_t *)stub_at(STUB_WRO) + c->index;
	const uint32_t seq = c->req_seq + 1;

	stub_mark(c);
	c->kind = kind;
	c->nr = nr;
	(void)__atomic_exchange_n(&c->req_seq, seq, __ATOMIC_SEQ_CST);
	if (wait_awake(c, seq))
		return;
	if (stub_global()->sleeping)
		ring();
	for (;;) {
		const uint32_t seen = *word;

		(void)__atomic_exchange_n(&c->sleep, 1, __ATOMIC_SEQ_CST);
		if (answered(c, seq))
			break;
		(void)SYS4(SYS_futex, word, FUTEX_WAIT, seen, NULL);
		arch_refill_returns();
		if (answered(c, seq))
			break;
	}
	c->sleep = 0;
}

/* While the call waits for the sentry's word, the sentry puts the descriptor in its place. */
static long map_donated(const struct stub_ctx *c)
{
	const long r = sys6(SYS_mmap, (long)c->act[0], (long)c->act[1], (long)c->act[2],
			    (long)c->act[3], STUB_FD_DONATED, (long)c->act[4]);

	(void)SYS1(SYS_close, STUB_FD_DONATED);
	return r;
}

/* Memory calls that the sentry has answered already: one that fails ends the process. */
static void run_batch(struct stub_ctx *c)
{
	const struct stub_op *op =
		(const struct stub_op *)(const void *)((const uint8_t *)c + STUB_BATCH);
	const unsigned int n = c->batch_len;

	c->batch_len = 0;
	for (unsigned int i = 0; i < n && i < STUB_BATCH_MAX; i++, op++) {
		const uint64_t *a = op->args;
		const long r = sys6((long)op->nr, (long)a[0], (long)a[1], (long)a[2], (long)a[3],
				    (long)a[4], (long)a[5]);

		if (op->nr == SYS_mmap && a[4] == STUB_FD_DONATED)
			(void)SYS1(SYS_close, STUB_FD_DONATED);
		if ((uint64_t)r != op->expected)
			stub_post(c, STUB_REQ_FAILED, (uint64_t)r);
	}
}

/* Results of a call. Where they cannot be written, the guest took the memory away meanwhile. */
static void copy_outs(struct stub_ctx *c)
{
	const unsigned int n = c->outs;

	c->outs = 0;
	for (unsigned int i = 0; i < n && i < STUB_OUTS_MAX; i++) {
		const struct stub_out *o = &c->out[i];

		(void)stub_copy((void *)o->addr, (const uint8_t *)c + STUB_OUT + o->offset, o->len);
	}
}

/*
 * Runs on the thread's private stack: the child has its own copy of it, while STUB_PRW is the
 * parent's until the child has mapped the memfd that the birth brought.
 */
long stub_fork(struct stub_ctx *c, uint64_t nonce)
{
	const uint64_t prw = stub_at(STUB_PRW);
	long r = SYS1(SYS_clone, FORK_FLAGS);

	if (r)
		return r;
	if (SYS1(STUB_NR_BIRTH, nonce) < 0)
		stub_die(1);
	r = sys6(SYS_mmap, (long)prw, STUB_PRW_LEN, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
		 STUB_FD_PRW, 0);
	if ((uint64_t)r != prw)
		stub_die(1);
	(void)SYS1(SYS_close, STUB_FD_PRW);
	/*
	 * Behind the filter, should that fall: to the sixteenth level of forks without an exec, as
	 * the kernel has it; not at all before Linux 6.12.
	 */
	(void)SYS2(STUB_NR_RESTRICT, STUB_FD_SCOPE, 0);
	stub_serve(c);
}

void stub_thread(struct stub_ctx *c, uint64_t nonce)
{
	__asm__ volatile("wrgsbase %0" : : "r"(c));
	if (SYS1(STUB_NR_BIRTH, nonce) < 0)
		stub_die(1);
	stub_serve(c);
}

static bool on_private_stack(void)
{
	const uint64_t here = (uint64_t)__builtin_frame_address(0);

	return here - stub_at(STUB_STACKS) < STUB_STACKS_LEN;
}

static unsigned int slot_of(const struct stub_ctx *c)
{
	return (unsigned int)(((uint64_t)c - stub_at(STUB_PRW)) / STUB_SLOT_LEN);
}

static long do_clone(struct stub_ctx *c)
{
	const unsigned int slot = (unsigned int)c->act[1] % STUB_SLOTS;

	return stub_clone(THREAD_FLAGS, stub_stack_top(slot), stub_slot(slot), c->act[0]);
}

uint32_t stub_actions(struct stub_ctx *c)
{
	long r;

	for (;;) {
		if (c->batch_len)
			run_batch(c);
		if (c->outs)
			copy_outs(c);
		switch (c->action) {
		case STUB_ACT_CALL:
			r = sys6((long)c->act[0], (long)c->act[1], (long)c->act[2], (long)c->act[3],
				 (long)c->act[4], (long)c->act[5], (long)c->ret);
			break;
		case STUB_ACT_PATCH_WAIT:
			stub_patch(c);
			r = 0;
			break;
		case STUB_ACT_SYNC:
			r = 0;
			break;
		case STUB_ACT_MAPFD:
			r = map_donated(c);
			break;
		case STUB_ACT_FORK:
			r = on_private_stack()
				    ? stub_fork(c, c->act[0])
				    : stub_on_stack(c, c->act[0], stub_stack_top(slot_of(c)),
						    stub_fork);
			break;
		case STUB_ACT_CLONE:
			r = do_clone(c);
			break;
		case STUB_ACT_SIGRETURN:
			__asm__ volatile("wrfsbase %0" : : "r"(c->act[1]));
			__asm__ volatile("wrgsbase %0" : : "r"(c->act[2]));
			stub_sigreturn(c->act[0]);
		case STUB_ACT_PATCH:
			stub_patch(c);
			return STUB_ACT_RESULT;
		default: /* RESULT, CONTINUED, RESUME, FRAME */
			return c->action;
		}
		stub_post(c, STUB_REQ_DONE, (uint64_t)r);
	}
}

void stub_serve(struct stub_ctx *c)
{
	stub_post(c, STUB_REQ_READY, 0);
	(void)stub_actions(c);
	stub_die(1);
}
