/* SPDX-License-Identifier: Apache-2.0 */
/* sentry/syscall/sys_futex.c - futex(2), futex_waitv(2), robust lists. */
#include <linux/futex.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "sentry/core/kclock.h"
#include "sentry/syscall/syscall.h"
#include "sentry/syscall/timeout.h"
#include "sentry/task/futex.h"
#include "sentry/task/ptrace_access.h"

#ifndef FUTEX_LOCK_PI2
#define FUTEX_LOCK_PI2 13
#endif

#define WAITV_SIZE_U32 2u /* FUTEX_32 */

static int64_t restart_wait(struct task *t, const struct restart_block *b)
{
	const struct futex_wait_request req = { .addr = b->arg[0],
						.value = (uint32_t)b->arg[1],
						.shared = b->arg[2],
						.bitset = (uint32_t)b->arg[3],
						.deadline = b->arg[4] };
	const int r = futex_wait(t, &req);

	return r == -ERESTARTSYS ? task_restart_block(t, b) : r;
}

static sysret_t wait(struct task *t, const struct syscall_args *a, int op, bool realtime)
{
	struct futex_wait_request req = { .addr = arg_uaddr(a, 0),
					  .value = arg_uint(a, 2),
					  .shared = !(arg_uint(a, 1) & FUTEX_PRIVATE_FLAG),
					  .bitset = FUTEX_BITSET_MATCH_ANY,
					  .deadline = NSEC_NEVER };
	const bool absolute = op == FUTEX_WAIT_BITSET;
	struct restart_block block;
	int r;

	if (absolute)
		req.bitset = arg_uint(a, 5);
	r = timeout_import(t, arg_uaddr(a, 3), absolute, realtime && absolute, &req.deadline);
	if (r < 0)
		return r;
	r = futex_wait(t, &req);
	if (r != -ERESTARTSYS || req.deadline == NSEC_NEVER)
		return r;
	block = (struct restart_block){
		.fn = restart_wait,
		.arg = { req.addr, req.value, req.shared, req.bitset, req.deadline },
	};
	return task_restart_block(t, &block);
}

static sysret_t two_words(struct task *t, const struct syscall_args *a, int op, bool shared)
{
	const struct futex_pair pair = { .addr = arg_uaddr(a, 0),
					 .addr2 = arg_uaddr(a, 4),
					 .shared = shared,
					 .n = arg_int(a, 2),
					 .n2 = arg_int(a, 3) };
	const uint32_t value = arg_uint(a, 5);

	switch (op) {
	case FUTEX_REQUEUE:
		return futex_requeue(t, &pair, NULL);
	case FUTEX_CMP_REQUEUE:
		return futex_requeue(t, &pair, &value);
	case FUTEX_CMP_REQUEUE_PI:
		return futex_cmp_requeue_pi(t, &pair, value);
	default:
		return futex_wake_op(t, &pair, value);
	}
}

static sysret_t lock(struct task *t, const struct syscall_args *a, int op, bool shared,
		     bool realtime)
{
	nsec_t deadline = NSEC_NEVER;
	int r = 0;

	if (op != FUTEX_TRYLOCK_PI)
		r = timeout_import(t, arg_uaddr(a, 3), true, op == FUTEX_LOCK_PI || realtime,
				   &deadline);
	if (r < 0)
		return r;
	return futex_lock_pi(t, arg_uaddr(a, 0), shared, op == FUTEX_TRYLOCK_PI, deadline);
}

static sysret_t wait_requeue(struct task *t, const struct syscall_args *a, bool shared,
			     bool realtime)
{
	struct futex_wait_request req = { .addr = arg_uaddr(a, 0),
					  .value = arg_uint(a, 2),
					  .shared = shared,
					  .bitset = FUTEX_BITSET_MATCH_ANY,
					  .deadline = NSEC_NEVER };
	const int r = timeout_import(t, arg_uaddr(a, 3), true, realtime, &req.deadline);

	return r < 0 ? r : futex_wait_requeue_pi(t, &req, arg_uaddr(a, 4));
}

sysret_t sys_futex(struct task *t, const struct syscall_args *a)
{
	const int op = arg_int(a, 1) & FUTEX_CMD_MASK;
	const bool shared = !(arg_int(a, 1) & FUTEX_PRIVATE_FLAG);
	const bool realtime = arg_int(a, 1) & FUTEX_CLOCK_REALTIME;

	if (realtime && op != FUTEX_WAIT_BITSET && op != FUTEX_LOCK_PI2 &&
	    op != FUTEX_WAIT_REQUEUE_PI)
		return -ENOSYS;
	switch (op) {
	case FUTEX_WAIT:
	case FUTEX_WAIT_BITSET:
		return wait(t, a, op, realtime);
	case FUTEX_WAKE:
		return futex_wake(t, arg_uaddr(a, 0), shared, arg_int(a, 2),
				  FUTEX_BITSET_MATCH_ANY);
	case FUTEX_WAKE_BITSET:
		return futex_wake(t, arg_uaddr(a, 0), shared, arg_int(a, 2), arg_uint(a, 5));
	case FUTEX_REQUEUE:
	case FUTEX_CMP_REQUEUE:
	case FUTEX_CMP_REQUEUE_PI:
	case FUTEX_WAKE_OP:
		return two_words(t, a, op, shared);
	case FUTEX_LOCK_PI:
	case FUTEX_LOCK_PI2:
	case FUTEX_TRYLOCK_PI:
		return lock(t, a, op, shared, realtime);
	case FUTEX_WAIT_REQUEUE_PI:
		return wait_requeue(t, a, shared, realtime);
	case FUTEX_UNLOCK_PI:
		return futex_unlock_pi(t, arg_uaddr(a, 0), shared);
	default:
		return -ENOSYS;
	}
}

static int import_waitv(struct task *t, uaddr_t from, struct futex_wait_request *ret)
{
	struct futex_waitv v;
	int r = user_copy_in(task_um(t), &v, from, sizeof(v));

	if (r < 0)
		return r;
	if (v.__reserved || (v.flags & ~(uint32_t)(FUTEX_PRIVATE_FLAG | WAITV_SIZE_U32)) ||
	    !(v.flags & WAITV_SIZE_U32))
		return -EINVAL;
	*ret = (struct futex_wait_request){ .addr = v.uaddr,
					    .value = (uint32_t)v.val,
					    .shared = !(v.flags & FUTEX_PRIVATE_FLAG),
					    .bitset = FUTEX_BITSET_MATCH_ANY };
	return 0;
}

sysret_t sys_futex_waitv(struct task *t, const struct syscall_args *a)
{
	const unsigned int len = arg_uint(a, 1);
	const int clock = arg_int(a, 4);
	AUTO_FREE struct futex_wait_request *reqs = NULL;
	nsec_t deadline = NSEC_NEVER;
	int r = 0;

	if (arg_uint(a, 2) || !len || len > FUTEX_WAITV_MAX || !arg_uaddr(a, 0))
		return -EINVAL;
	if (arg_uaddr(a, 3)) {
		if (clock != CLOCK_REALTIME && clock != CLOCK_MONOTONIC)
			return -EINVAL;
		r = timeout_import(t, arg_uaddr(a, 3), true, clock == CLOCK_REALTIME, &deadline);
	}
	reqs = calloc(len, sizeof(*reqs));
	if (!reqs)
		return -ENOMEM;
	for (unsigned int i = 0; i < len && r == 0; i++)
		r = import_waitv(t, arg_uaddr(a, 0) + i * sizeof(struct futex_waitv), &reqs[i]);
	if (r < 0)
		return r;
	reqs[0].deadline = deadline;
	return futex_wait_many(t, reqs, len);
}

#define ROBUST_HEAD_SIZE 24

sysret_t sys_set_robust_list(struct task *t, const struct syscall_args *a)
{
	if (arg_u64(a, 1) != ROBUST_HEAD_SIZE)
		return -EINVAL;
	t->robust_list = arg_uaddr(a, 0);
	t->robust_list_len = ROBUST_HEAD_SIZE;
	return 0;
}

sysret_t sys_get_robust_list(struct task *t, const struct syscall_args *a)
{
	const int nr = arg_int(a, 0);
	struct task *of = nr ? task_find(task_pid_ns(t), nr) : task_ref(t);
	const uint64_t len = ROBUST_HEAD_SIZE;
	uint64_t list;
	int r = 0;

	if (!of)
		return -ESRCH;
	if (!ptrace_may_access(t, of, PTRACE_ACCESS_READ_REAL))
		r = -EPERM;
	list = of->robust_list;
	task_unref(of);
	if (r == 0)
		r = user_copy_out(task_um(t), arg_uaddr(a, 2), &len, sizeof(len));
	if (r == 0)
		r = user_copy_out(task_um(t), arg_uaddr(a, 1), &list, sizeof(list));
	return r;
}
