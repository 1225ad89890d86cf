/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests that are notifications (stub/notify.c): a host call of a stub that waits for our word.
 *
 * What the guest wants is in the save area, as with any request from a patched site. What the
 * kernel told of the call gives no right by itself: the call goes on only if it is to the last bit
 * the one call that the sentry, having served the request, would have granted with its reply. Every
 * other answer ends the call without effect, and the stub looks at the action.
 */
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>

#include "sentry/platform/systrap/systrap_internal.h"

void systrap_tell_alone(struct platform_thread *t)
{
	const bool alone = systrap.options.profile == SYSTRAP_CHECKED && systrap_is_alone(t);
	struct stub_ids *ids = &systrap.ids[t->index];

	if (alone == t->told_alone)
		return;
	t->told_alone = alone;
	__atomic_store_n(&ids->valid,
			 alone ? ids->valid | STUB_IDS_ALONE : ids->valid & ~STUB_IDS_ALONE,
			 __ATOMIC_RELEASE);
}

/* Everything else that is notified without a grant is a breach. */
static bool may_be_request(const struct seccomp_data *call)
{
	switch (call->nr) {
	case SYS_mmap:
		return call->args[4] == UINT64_MAX;
	case SYS_munmap:
	case SYS_mprotect:
	case SYS_madvise:
		return true;
	default:
		return false;
	}
}

bool systrap_notified(struct platform_thread *t, const struct seccomp_notif *n)
{
	const struct stub_ctx *c = t->ctx;

	/* Only from guest code, and only who was told that it may. */
	if (!may_be_request(&n->data) || !t->running || !t->guest || t->posted || t->early ||
	    !t->told_alone || t->space->dead || t->notified.id)
		return false;
	t->notified.id = n->id;
	t->notified.nr = n->data.nr;
	for (unsigned int i = 0; i < 6; i++)
		t->notified.args[i] = n->data.args[i];
	t->req.kind = __atomic_load_n(&c->kind, __ATOMIC_RELAXED);
	t->req.nr = __atomic_load_n(&c->nr, __ATOMIC_RELAXED);
	for (unsigned int i = 0; i < 6; i++)
		t->req.args[i] = __atomic_load_n(&c->args[i], __ATOMIC_RELAXED);
	t->in_len = 0;
	systrap_taken(t);
	return true;
}

/* The batch is that call and nothing else is to be done. */
static bool is_wanted(const struct platform_thread *t, enum stub_action action)
{
	const struct systrap_grant *g = &t->grants[2];

	return action == STUB_ACT_RESULT && t->batch_len == 1 && t->outs == 0 && g->valid &&
	       g->fd < 0 && g->nr == t->notified.nr &&
	       memcmp(g->args, t->notified.args, sizeof(g->args)) == 0;
}

bool systrap_notified_reply(struct platform_thread *t, enum stub_action action)
{
	struct seccomp_notif_resp resp = { .id = t->notified.id };

	if (resp.id == 0)
		return false;
	t->notified.id = 0;
	if (is_wanted(t, action)) {
		systrap_batch_drop(t);
		action = STUB_ACT_CONTINUED;
		resp.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
	} else {
		systrap_batch_sent(t);
		systrap_window_sent(t);
		if (t->grants_len > 0)
			systrap_grants_sent(t);
	}
	__atomic_store_n(&t->ctx->action, (uint32_t)action, __ATOMIC_RELEASE);
	policy_expect();
	(void)ioctl(systrap.listener, SECCOMP_IOCTL_NOTIF_SEND, &resp);
	return true;
}
