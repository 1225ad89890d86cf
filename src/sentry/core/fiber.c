/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fibers: a stack, a saved stack pointer, and a place in the ready list.
 *
 * The scheduler runs on the worker's own stack; a fiber that parks switches back to it. Stacks have
 * a guard page below and are kept for reuse, so that a fork costs no mmap(2). The sanitizers are
 * told about each switch.
 */
#include "sentry/core/fiber.h"

#include <assert.h>
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/list.h"
#include "sentry/core/kclock.h"
#include "sentry/core/ktimer.h"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/common_interface_defs.h>
#endif
#if defined(__SANITIZE_THREAD__)
#include <sanitizer/tsan_interface.h>
#endif

#define FIBER_STACK_BYTES (128u << 10) /* address space; pages count when they are touched */
#define FIBER_GUARD_BYTES 4096u
#define FIBER_POOL_MAX	  64 /* free stacks that are kept */
#define FIBER_SLICE_NS	  50000

enum fiber_state {
	FIBER_READY,
	FIBER_RUNNING,
	FIBER_PARKED,
	FIBER_ENDED,
};

struct fiber {
	void *sp;
	char *stack; /* FIBER_GUARD_BYTES + FIBER_STACK_BYTES */
	const char *name;
	void (*fn)(void *arg);
	void *arg;
	void *owner;
	enum fiber_state state;
	bool woken; /* fiber_wake() came while it ran */
	bool interrupted, interruptible, timed_out;
	nsec_t began; /* its slice */
	uint64_t parks, yields;
	struct ktimer timer;
	struct list_head node; /* ready list */
	struct list_head all;
#if defined(__SANITIZE_ADDRESS__)
	void *fake_stack;
#endif
#if defined(__SANITIZE_THREAD__)
	void *tsan;
#endif
};

void fiber_switch(void **save_sp, void *load_sp);
void fiber_first(void);

static struct list_head ready = LIST_HEAD_INIT(ready);
static struct list_head all = LIST_HEAD_INIT(all);
static unsigned int all_len;
static uint64_t switches;
static __thread struct fiber *running;
static void *scheduler_sp;
static char *pool[FIBER_POOL_MAX];
static unsigned int pool_len;
#if defined(__SANITIZE_ADDRESS__)
static const void *scheduler_stack;
static size_t scheduler_stack_len;
static void *scheduler_fake_stack;
#endif
#if defined(__SANITIZE_THREAD__)
static void *scheduler_tsan;
#endif

static char *stack_get(void)
{
	char *stack;

	if (pool_len > 0)
		return pool[--pool_len];
	stack = mmap(NULL, FIBER_GUARD_BYTES + FIBER_STACK_BYTES, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (stack == MAP_FAILED)
		return NULL;
	if (mprotect(stack, FIBER_GUARD_BYTES, PROT_NONE) < 0) {
		(void)munmap(stack, FIBER_GUARD_BYTES + FIBER_STACK_BYTES);
		return NULL;
	}
	return stack;
}

static void stack_put(char *stack)
{
	if (pool_len < FIBER_POOL_MAX)
		pool[pool_len++] = stack;
	else
		(void)munmap(stack, FIBER_GUARD_BYTES + FIBER_STACK_BYTES);
}

/* From the running fiber to the scheduler. */
static void switch_out(struct fiber *f)
{
#if defined(__SANITIZE_ADDRESS__)
	__sanitizer_start_switch_fiber(f->state == FIBER_ENDED ? NULL : &f->fake_stack,
				       scheduler_stack, scheduler_stack_len);
#endif
#if defined(__SANITIZE_THREAD__)
	__tsan_switch_to_fiber(scheduler_tsan, 0);
#endif
	fiber_switch(&f->sp, scheduler_sp);
#if defined(__SANITIZE_ADDRESS__)
	__sanitizer_finish_switch_fiber(f->fake_stack, &scheduler_stack, &scheduler_stack_len);
#endif
}

static void fiber_body(void *arg)
{
	struct fiber *f = arg;

#if defined(__SANITIZE_ADDRESS__)
	__sanitizer_finish_switch_fiber(NULL, &scheduler_stack, &scheduler_stack_len);
#endif
	f->fn(f->arg);
	f->state = FIBER_ENDED;
	switch_out(f);
	__builtin_unreachable();
}

static void fiber_timer(struct ktimer *timer)
{
	struct fiber *f = container_of(timer, struct fiber, timer);

	f->timed_out = true;
	fiber_wake(f);
}

int fiber_spawn(const char *name, void (*fn)(void *arg), void *arg, struct fiber **ret)
{
	struct fiber *f = calloc(1, sizeof(*f));
	uint64_t *sp;

	if (!f)
		return -ENOMEM;
	f->stack = stack_get();
	if (!f->stack) {
		free(f);
		return -ENOMEM;
	}
	f->name = name;
	f->fn = fn;
	f->arg = arg;
	ktimer_init(&f->timer, fiber_timer);
	sp = (uint64_t *)(void *)(f->stack + FIBER_GUARD_BYTES + FIBER_STACK_BYTES);
	sp -= 2; /* fiber_first() calls with the stack aligned to 16 bytes */
	*--sp = (uint64_t)(uintptr_t)fiber_first;
	*--sp = 0;				 /* rbp */
	*--sp = 0;				 /* rbx */
	*--sp = (uint64_t)(uintptr_t)fiber_body; /* r12 */
	*--sp = (uint64_t)(uintptr_t)f;		 /* r13 */
	*--sp = 0;				 /* r14 */
	*--sp = 0;				 /* r15 */
	f->sp = sp;
#if defined(__SANITIZE_THREAD__)
	f->tsan = __tsan_create_fiber(0);
	__tsan_set_fiber_name(f->tsan, name);
#endif
	f->state = FIBER_READY;
	list_add_tail(&f->node, &ready);
	list_add_tail(&f->all, &all);
	all_len++;
	if (ret)
		*ret = f;
	return 0;
}

struct fiber *fiber_self(void)
{
	return running;
}

void fiber_set_owner(struct fiber *f, void *owner)
{
	f->owner = owner;
}

void *fiber_owner(const struct fiber *f)
{
	return f->owner;
}

int fiber_park(nsec_t deadline, bool interruptible)
{
	struct fiber *f = running;

	assert(f);
	if (interruptible && f->interrupted)
		return -EINTR;
	if (f->woken) {
		f->woken = false;
		return 0;
	}
	f->timed_out = false;
	f->interruptible = interruptible;
	if (deadline != NSEC_NEVER)
		ktimer_arm(&f->timer, deadline);
	f->state = FIBER_PARKED;
	f->parks++;
	switches++;
	switch_out(f);
	ktimer_cancel(&f->timer);
	f->interruptible = false;
	f->woken = false;
	if (f->timed_out)
		return -ETIMEDOUT;
	return interruptible && f->interrupted ? -EINTR : 0;
}

void fiber_wake(struct fiber *f)
{
	if (f->state == FIBER_PARKED) {
		f->state = FIBER_READY;
		list_add_tail(&f->node, &ready);
	} else if (f->state != FIBER_ENDED) {
		f->woken = true;
	}
}

void fiber_interrupt(struct fiber *f)
{
	f->interrupted = true;
	if (f->state == FIBER_PARKED && f->interruptible)
		fiber_wake(f);
}

bool fiber_interrupted(const struct fiber *f)
{
	return f->interrupted;
}

void fiber_clear_interrupt(struct fiber *f)
{
	f->interrupted = false;
}

void fiber_yield(void)
{
	struct fiber *f = running;

	assert(f);
	f->state = FIBER_READY;
	list_add_tail(&f->node, &ready);
	f->yields++;
	switches++;
	switch_out(f);
}

void fiber_resched(void)
{
	if (running && kclock_monotonic() - running->began > FIBER_SLICE_NS)
		fiber_yield();
}

static void fiber_free(struct fiber *f)
{
	list_del(&f->all);
	all_len--;
	stack_put(f->stack);
#if defined(__SANITIZE_THREAD__)
	__tsan_destroy_fiber(f->tsan);
#endif
	free(f);
}

static void run(struct fiber *f)
{
	f->state = FIBER_RUNNING;
	f->began = kclock_monotonic();
	running = f;
#if defined(__SANITIZE_ADDRESS__)
	__sanitizer_start_switch_fiber(&scheduler_fake_stack, f->stack + FIBER_GUARD_BYTES,
				       FIBER_STACK_BYTES);
#endif
#if defined(__SANITIZE_THREAD__)
	scheduler_tsan = __tsan_get_current_fiber();
	__tsan_switch_to_fiber(f->tsan, 0);
#endif
	fiber_switch(&scheduler_sp, f->sp);
#if defined(__SANITIZE_ADDRESS__)
	__sanitizer_finish_switch_fiber(scheduler_fake_stack, NULL, NULL);
#endif
	running = NULL;
	if (f->state == FIBER_ENDED)
		fiber_free(f);
}

void fiber_run_ready(void)
{
	struct list_head now = LIST_HEAD_INIT(now);

	/* Only those that are ready now: one that yields waits for the loop's next round. */
	list_splice_tail(&ready, &now);
	while (!list_empty(&now)) {
		struct fiber *f = list_first(&now, struct fiber, node);

		list_del(&f->node);
		run(f);
	}
}

/* The program's text: what else a frame holds is no return address. */
extern const char __executable_start[], etext[];

/*
 * The words that fiber_switch() pushed, then the chain of frame pointers: the sentry is compiled
 * with them. Nothing outside of the fiber's own stack is read.
 */
__attribute__((no_sanitize("address"))) static void unwind(const struct fiber *f,
							   struct fiber_view *view)
{
	const uintptr_t low = (uintptr_t)f->stack + FIBER_GUARD_BYTES,
			high = low + FIBER_STACK_BYTES - 2 * sizeof(uintptr_t);
	const uintptr_t *saved = f->sp;
	uintptr_t frame = saved[5], ret = saved[6];

	while (view->frames < FIBER_FRAMES_MAX && ret > (uintptr_t)__executable_start &&
	       ret < (uintptr_t)etext) {
		const uintptr_t at = frame;

		view->offset[view->frames++] = ret - (uintptr_t)__executable_start;
		if (at < low || at > high || at % sizeof(uintptr_t))
			break;
		ret = ((const uintptr_t *)at)[1];
		frame = ((const uintptr_t *)at)[0];
		if (frame <= at) /* the outermost, or no chain: its return address is the last */
			frame = 0;
	}
}

void fiber_for_each(void (*fn)(void *arg, const struct fiber_view *view), void *arg)
{
	static const char *const states[] = { [FIBER_READY] = "ready",
					      [FIBER_RUNNING] = "running",
					      [FIBER_PARKED] = "parked",
					      [FIBER_ENDED] = "ended" };
	struct fiber *f;

	list_for_each(f, &all, all)
	{
		struct fiber_view view = { .name = f->name,
					   .owner = f->owner,
					   .state = states[f->state],
					   .interruptible = f->interruptible,
					   .deadline =
						   f->timer.armed ? f->timer.expires : NSEC_NEVER };

		if (f->state != FIBER_RUNNING)
			unwind(f, &view);
		fn(arg, &view);
	}
}

uint64_t fiber_parks(const struct fiber *f)
{
	return f->parks;
}

uint64_t fiber_yields(const struct fiber *f)
{
	return f->yields;
}

uint64_t fiber_switches(void)
{
	return switches;
}

unsigned int fiber_count(void)
{
	return all_len;
}

bool fiber_any_ready(void)
{
	return !list_empty(&ready);
}
