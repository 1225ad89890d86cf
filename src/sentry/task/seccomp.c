/* SPDX-License-Identifier: Apache-2.0 */
/* sentry/task/seccomp.c - see seccomp.h. */
#include "sentry/task/seccomp.h"

#include <stdlib.h>

struct seccomp_filter {
	unsigned int refs;
	struct seccomp_filter *older;
};

struct seccomp_filter *seccomp_filter_ref(struct seccomp_filter *f)
{
	if (f)
		f->refs++;
	return f;
}

void seccomp_filter_unref(struct seccomp_filter *f)
{
	while (f && --f->refs == 0) {
		struct seccomp_filter *older = f->older;

		free(f);
		f = older;
	}
}
