/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/fs/devpts/pump.h - a container's terminal: bytes between the master of a pair inside and
 * the host's side of it (a pty's descriptor, or what was sent over the console socket).
 *
 * The host's terminal is raw as far as the pair's line discipline does the work; who made it sets
 * it so before the cage.
 */
#pragma once

#include "sentry/vfs/file.h"

struct tty_pump;

/*
 * Two fibers move bytes until one side ends. Takes host_fd (O_NONBLOCK), closed on failure, and on
 * success master (a reference). 0, -ENOMEM, or what host_file_new() says.
 */
int tty_pump_start(struct file *master, int host_fd, struct tty_pump **ret);

/*
 * From a fiber: end the pump once what the slave's side has written is out, or at the deadline. It
 * is not to be used any more.
 */
void tty_pump_drain(struct tty_pump *pump, nsec_t deadline);

/* The container's processes have ended: what they wrote goes out, then the pump ends and frees
 * itself. */
void tty_pump_finish(struct tty_pump *pump);
