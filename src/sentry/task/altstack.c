/* SPDX-License-Identifier: Apache-2.0 */
/* sentry/task/altstack.c - see altstack.h. */
#include "sentry/task/altstack.h"

#define FLAG_BITS ((int)SS_AUTODISARM)

bool altstack_enabled(const struct task *t)
{
	return !(t->sig.altstack_flags & SS_DISABLE) && t->sig.altstack_len;
}

bool altstack_contains(const struct task *t, uint64_t sp)
{
	/* With SS_AUTODISARM the stack may be left by a jump: it is never "in use". */
	if (t->sig.altstack_flags & FLAG_BITS)
		return false;
	return sp > t->sig.altstack_addr && sp - t->sig.altstack_addr <= t->sig.altstack_len;
}

void altstack_reset(struct task *t)
{
	t->sig.altstack_addr = 0;
	t->sig.altstack_len = 0;
	t->sig.altstack_flags = SS_DISABLE;
}

void altstack_describe(const struct task *t, uint64_t sp, struct sigframe_stack *ret)
{
	*ret = (struct sigframe_stack){
		.sp = t->sig.altstack_addr,
		.size = t->sig.altstack_len,
		.flags = t->sig.altstack_flags & FLAG_BITS,
	};
	if (!altstack_enabled(t))
		ret->flags |= SS_DISABLE;
	else if (altstack_contains(t, sp))
		ret->flags |= SS_ONSTACK;
}

int altstack_set(struct task *t, uint64_t sp, const struct sigframe_stack *s)
{
	const int mode = s->flags & ~FLAG_BITS;

	if (altstack_enabled(t) && altstack_contains(t, sp))
		return -EPERM;
	if (mode != SS_DISABLE && mode != SS_ONSTACK && mode != 0)
		return -EINVAL;
	if (mode == SS_DISABLE) {
		t->sig.altstack_addr = 0;
		t->sig.altstack_len = 0;
	} else {
		if (s->size < ALTSTACK_MIN)
			return -ENOMEM;
		t->sig.altstack_addr = s->sp;
		t->sig.altstack_len = s->size;
	}
	t->sig.altstack_flags = s->flags & (FLAG_BITS | SS_DISABLE);
	return 0;
}

void altstack_restore(struct task *t, const struct sigframe_stack *s, uint64_t sp)
{
	const struct sigframe_stack copy = { .sp = s->sp,
					     .size = s->size,
					     .flags = s->flags & ~SS_ONSTACK };

	(void)altstack_set(t, sp, &copy);
}
