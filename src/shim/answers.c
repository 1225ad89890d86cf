/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/answers.h"
#include "shim/task.pb-c.h"

#include <errno.h>

Caisson__Shim__Timestamp *answer_time(const struct timespec *when, Caisson__Shim__Timestamp *ret)
{
	if (!when->tv_sec)
		return NULL;
	*ret = (Caisson__Shim__Timestamp)CAISSON__SHIM__TIMESTAMP__INIT;
	ret->seconds = when->tv_sec;
	ret->nanos = (int32_t)when->tv_nsec;
	return ret;
}

void answer_empty(struct ttrpc_call *call)
{
	const Caisson__Shim__Empty empty = CAISSON__SHIM__EMPTY__INIT;

	ttrpc_answer(call, &empty.base);
}

void answer_wait(struct ttrpc_call *call, const struct proc *p)
{
	Caisson__Shim__WaitResponse response = CAISSON__SHIM__WAIT_RESPONSE__INIT;
	Caisson__Shim__Timestamp when;

	response.exit_status = p->exit_status;
	response.exited_at = answer_time(&p->exited_at, &when);
	ttrpc_answer(call, &response.base);
}

/* What containerd and its clients look at; of a program that is missing (-ENOENT) they do not. */
static enum ttrpc_code code_of(int code)
{
	switch (code) {
	case -ESRCH:
		return TTRPC_NOT_FOUND;
	case -EEXIST:
		return TTRPC_ALREADY_EXISTS;
	case -EBUSY:
		return TTRPC_FAILED_PRECONDITION;
	case -ENOTSUP:
		return TTRPC_UNIMPLEMENTED;
	case -EAGAIN:
		return TTRPC_UNAVAILABLE;
	default:
		return TTRPC_UNKNOWN;
	}
}

void answer_error(struct ttrpc_call *call, const char *prefix, const struct err *err)
{
	ttrpc_fail(call, code_of(err->code), "%s: %s", prefix, err->msg);
}

struct task *answer_find_task(struct shim *s, struct ttrpc_call *call, const char *id)
{
	struct task *t = task_find(s, id);

	if (!t || t->init.state == PROC_NEW) {
		ttrpc_fail(call, TTRPC_NOT_FOUND, "container %.128s is not created", id);
		return NULL;
	}
	return t;
}

struct proc *answer_find_proc(struct shim *s, struct ttrpc_call *call, const char *id,
			      const char *exec_id)
{
	struct task *t = answer_find_task(s, call, id);
	struct proc *p = t ? proc_find(t, exec_id) : NULL;

	if (t && !p)
		ttrpc_fail(call, TTRPC_NOT_FOUND, "container %.128s: process %.128s does not exist",
			   id, exec_id);
	return p;
}
