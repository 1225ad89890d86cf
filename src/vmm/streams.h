/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/streams.h - numbers of the channel's streams, and whose they are.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct pump;

/* The agent has ended the stream; who took it passes that on to *pump, as far as he wants to. */
typedef void stream_ended_fn(void *arg, struct pump **pump, int error);

/*
 * A free number. `pump` is the owner's place for the pump of the stream, and stays until
 * stream_leave(); NULL in it: nobody cares any more for what comes. -EMFILE: all are in use.
 */
int stream_take(struct pump **pump, stream_ended_fn *ended, void *arg, uint32_t *ret_stream);
/* Accepts any number. */
void stream_leave(uint32_t stream);

/* What the channel passes on. */
void stream_on_data(uint32_t stream, const void *bytes, size_t len);
void stream_on_end(uint32_t stream, int error);
void stream_on_room(uint32_t stream);
