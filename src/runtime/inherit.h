/* SPDX-License-Identifier: Apache-2.0 */
/*
 * runtime/inherit.h - descriptors that an invocation passes into the container, and what it hands
 * out.
 */
#pragma once

#include <sys/types.h>

#include "base/err.h"

#define INHERIT_FDS_MAX 1024 /* of --preserve-fds, and of LISTEN_FDS */

/*
 * The number of descriptors passed by socket activation (sd_listen_fds(3)): LISTEN_FDS, if
 * LISTEN_PID is this process. 0 without it or when it makes no sense.
 */
unsigned int inherit_listen_fds(void);

/*
 * Check that descriptors 3 .. 2 + listen + preserve were given to this program: open, and not one
 * of ours (ours are close-on-exec). -EBADF: "unable to stat preserved-fd 1 (of 2): ...".
 */
int inherit_check(unsigned int listen, unsigned int preserve, struct err *err);

/* Write a pid file atomically, mode 0644. */
int pid_file_write(const char *path, pid_t pid, struct err *err);

/* Send a process descriptor to a socket (--pidfd-socket, run.oci.pidfd_receiver). */
int pidfd_send(const char *socket_path, int pidfd, struct err *err);
