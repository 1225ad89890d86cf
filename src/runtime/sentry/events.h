/* SPDX-License-Identifier: Apache-2.0 */
/*
 * runtime/sentry/events.h - the event stream of a container, from the runtime's side: what is told,
 * and where to.
 */
#pragma once

#include "base/err.h"
#include "oci/spec.h"
#include "runtime/runtime.h"

/* Annotations that replace --events and --event-sink where allowed_annotations lists them. */
#define EVENTS_ANNOTATION     "io.caisson.events"
#define EVENT_SINK_ANNOTATION "io.caisson.event-sink"

/*
 * Open the sink: a file (made if need be, appended to), a fifo that somebody reads, or a unix
 * socket (SOCK_SEQPACKET, else SOCK_STREAM) that somebody listens on. *ret_mask: bits of
 * wire/events.def, 0 without a sink; *ret_fd: the caller's, -EBADF without. -EPERM for an
 * annotation that is not allowed.
 */
int events_open(const struct runtime *rt, const struct oci_spec *spec, uint32_t *ret_mask,
		int *ret_fd, struct err *err);
