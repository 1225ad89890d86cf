/* SPDX-License-Identifier: Apache-2.0 */
/* vmm/description.h - the description of wire/vmm_msg.h: read and checked before anything else. */
#pragma once

#include "base/err.h"
#include "wire/agent_msg.h"
#include "wire/vmm_msg.h"

struct description {
	struct vmm_head head;
	const void *network; /* body of AGENT_NETWORK; NULL: no links */
	struct agent_create create;
	/* The bytes into which both point. */
	char *bytes;
	size_t len;
};

/*
 * Read a sealed memfd. -EBADMSG and -EPROTO name what is wrong, -ENOMEM. *ret is the caller's.
 */
int description_read(int fd, const char *id, struct description **ret, struct err *err);
void description_free(struct description *d); /* accepts NULL */

/* The whole of a memfd that nobody can change any more; at most `max` bytes, at least 1. */
int description_read_sealed(int fd, const char *what, size_t max, char **ret, size_t *ret_len,
			    struct err *err);
