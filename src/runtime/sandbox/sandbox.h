/* SPDX-License-Identifier: Apache-2.0 */
/*
 * runtime/sandbox/sandbox.h - what classes sentry and vm share: a container whose processes are
 * behind a supervisor (caisson-sentry, caisson-vm), which is pid 1 of a pid namespace.
 *
 * The supervisor reports on a socket when it is ready, is let go by one byte (wire/sentry_msg.h),
 * and is reached by the socket STORE_CONTROL afterwards (client.h).
 */
#pragma once

#include <errno.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/err.h"
#include "runtime/runtime.h"

/* The processes as their maker holds them. */
struct sandbox {
	pid_t pid;
	int pidfd;  /* owned */
	int report; /* owned; -EBADF once it was released or started */
	int master; /* owned: pty master that stays here, or -EBADF */
};
#define SANDBOX_INIT                                                \
	{                                                           \
		.pidfd = -EBADF, .report = -EBADF, .master = -EBADF \
	}
void sandbox_done(struct sandbox *sandbox);

/* Of class vm: SENTRY_REPORT_NO_CLONE. Nobody else's error. */
#define SANDBOX_NO_CLONE (-EREMCHG)

/* Wait for the report `wanted`. On failure the sentence is the supervisor's, or how it ended. */
int sandbox_await(const struct sandbox *sandbox, uint32_t wanted, struct err *err);

/* Say SENTRY_GO_RELEASE or SENTRY_GO_START; the latter waits for the answer. */
int sandbox_go(struct sandbox *sandbox, char go, struct err *err);

/* An O_PATH descriptor of a program of ours; the caller's. -ENOENT names the path. */
int sandbox_program(const struct runtime *rt, const char *name, struct err *err);

/* A sealed memfd with these bytes, rewound; the caller's. */
int sandbox_seal(const struct buf *bytes, struct err *err);

/* The annotation `key`, or else `otherwise`; borrowed. -EPERM if it is there and not allowed. */
int sandbox_setting(const struct runtime *rt, const struct oci_spec *spec, const char *key,
		    const char *otherwise, const char **ret, struct err *err);
