/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/core/fiber.h - kernel fibers: stacks of their own, switched in user space.
 *
 * The kernel is a monitor: at any moment one fiber runs kernel code, until it parks, yields or
 * ends. Kernel state therefore needs no locks; what must hold across a park needs a struct kmutex
 * (kmutex.h). Helper threads (hostwork.h) and platform threads never touch kernel state.
 * A loop over guest-sized data calls fiber_resched() at least every 50 us of work.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

typedef uint64_t nsec_t; /* nanoseconds; as a deadline: of the host's CLOCK_MONOTONIC */
#define NSEC_NEVER   UINT64_MAX
#define NSEC_PER_SEC 1000000000ull

struct fiber;

/*
 * A new fiber that is ready to run fn(arg); it ends when fn returns. `name` is static text. *ret
 * (may be NULL) is valid until the fiber has ended. 0 or -ENOMEM.
 */
int fiber_spawn(const char *name, void (*fn)(void *arg), void *arg, struct fiber **ret);

/* The running fiber. NULL outside of fibers: in the loop and in helper threads. */
struct fiber *fiber_self(void);

/* A pointer for the fiber's owner (the task of a task fiber). */
void fiber_set_owner(struct fiber *f, void *owner);
void *fiber_owner(const struct fiber *f);

/*
 * Sleep until fiber_wake(), the deadline, or (with `interruptible`) fiber_interrupt(). May return 0
 * spuriously: callers wait in a loop around a predicate (waitq.h). 0, -ETIMEDOUT, -EINTR. With a
 * pending interrupt an interruptible park returns -EINTR at once.
 */
int fiber_park(nsec_t deadline, bool interruptible);

/* Make a parked fiber ready; remembered when it runs or is ready already. From kernel code only. */
void fiber_wake(struct fiber *f);

/* Set the interrupt flag and end an interruptible park. The flag stays until cleared. */
void fiber_interrupt(struct fiber *f);
bool fiber_interrupted(const struct fiber *f);
void fiber_clear_interrupt(struct fiber *f);

/* Let every other ready fiber and the event loop run first. */
void fiber_yield(void);

/* Yield if this fiber has run for more than 50 us since it was switched to. */
void fiber_resched(void);

/* How often it has slept and yielded; how often any fiber did. */
uint64_t fiber_parks(const struct fiber *f);
uint64_t fiber_yields(const struct fiber *f);
uint64_t fiber_switches(void);

/* Fibers that have not ended. */
unsigned int fiber_count(void);

/* A fiber as it is found: for people who look for what hangs. */
#define FIBER_FRAMES_MAX 24
struct fiber_view {
	const char *name;
	void *owner;	     /* of fiber_set_owner(), or NULL */
	const char *state;   /* "running", "ready", "parked" */
	bool interruptible;  /* of a parked one */
	nsec_t deadline;     /* NSEC_NEVER: none */
	unsigned int frames; /* 0 of the running one */
	/* Return addresses, innermost first, as offsets from the beginning of the program. */
	uint64_t offset[FIBER_FRAMES_MAX];
};
/* Call fn for each; it must not park. */
void fiber_for_each(void (*fn)(void *arg, const struct fiber_view *view), void *arg);

/* The scheduler: run ready fibers until none is; called by the loop on the worker thread. */
void fiber_run_ready(void);
bool fiber_any_ready(void);
