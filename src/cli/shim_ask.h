/* SPDX-License-Identifier: Apache-2.0 */
/* cli/shim_ask.h - questions to the management sockets of containerd's shims (docs/SHIM.md). */
#pragma once

#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

#define SHIM_SOCKETS	 "/run/containerd/s/*.caisson"
#define SHIM_ANSWER_MAX	 (1u << 20) /* bytes, with its head */
#define SHIM_PATIENCE_MS 2000

/*
 * GET `path` from the socket at `socket`; the whole body becomes *body. wait_ms: at most
 * SHIM_PATIENCE_MS. Only a shim of our own user is believed. -ECONNREFUSED and -ENOENT: nobody
 * listens there; -ETIMEDOUT; -EPROTO: no answer, half of one, or a refusal.
 */
int shim_ask(const char *socket, const char *path, int64_t wait_ms, struct buf *body,
	     struct err *err);
