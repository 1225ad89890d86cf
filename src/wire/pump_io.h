/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wire/pump_io.h - reads and writes of descriptors that may be shared with others, without waiting
 * and without O_NONBLOCK, which is not ours to set.
 *
 * Sockets are told with each call. Pipes are read and written with RWF_NOWAIT where the kernel has
 * it for them. What is left (terminals, old kernels) is polled first, and since a poll promises
 * little (a terminal with room for one byte is ready), a timer interrupts the call that waits all
 * the same: SIGALRM has a handler of ours and is not blocked meanwhile.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

enum pump_kind { PUMP_FILE, PUMP_PIPE, PUMP_SOCKET, PUMP_TTY };

struct pump_io {
	int fd; /* borrowed */
	enum pump_kind kind;
	bool nonblock; /* the description is so already */
	bool nowait;   /* RWF_NOWAIT may work */
};

/* 0 or -errno. */
int pump_io_init(struct pump_io *io, int fd);

/* Bytes, 0 at the end of file, -EAGAIN, -errno. A file waits for its disk. */
ssize_t pump_io_read(struct pump_io *io, void *bytes, size_t len);
ssize_t pump_io_write(struct pump_io *io, const void *bytes, size_t len);

/* poll(2) without waiting. */
bool pump_io_ready(const struct pump_io *io, short events);
