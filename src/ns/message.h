/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ns/message.h - builds the message to caisson-init (wire/init_msg.h). Private to the room.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "host/seccomp.h"
#include "oci/spec.h"
#include "wire/init_msg.h"

/* Everything is borrowed. */
struct message_options {
	const struct oci_process *process;
	const struct seccomp_program *seccomp; /* NULL: none */
	const char *path;		       /* the file to execute */
	const char *home;		       /* "HOME=..." to add to the environment, or NULL */
	uint32_t flags;			       /* INIT_FORK, INIT_SET_TTY */
	enum init_gate gate;
	bool keep_original_groups;
	bool may_setgroups; /* setgroups(2) works here: an empty list is set, too */
};

/* The bytes of the message. 0, -ENOMEM, -E2BIG (INIT_MSG_MAX). */
int message_build(struct buf *b, const struct message_options *options);

/* The message in a sealed memfd; asks the kernel whether setgroups(2) is denied. */
int message_memfd(const struct message_options *options, struct err *err);
