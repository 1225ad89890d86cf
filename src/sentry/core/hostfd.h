/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/core/hostfd.h - the last descriptors of our table are not a guest's to use up.
 *
 * What a guest has the sentry open (files of the host, memory files, sockets) leaves room for
 * processes, and these for the control server: a container whose guest has opened all that it can
 * is still listed and signalled, and who enters it is told. The kernel gives the lowest number that
 * is free, so a number tells how full the table is.
 */
#pragma once

#include <stdbool.h>

enum hostfd_for {
	HOSTFD_GUEST,	/* opened for a guest */
	HOSTFD_PROCESS, /* of a new stub */
};

#define HOSTFD_SPARE 256 /* that guests leave, half of them for the control server; see init */

/* By RLIMIT_NOFILE, of which an eighth is spared if that is less. Until then: no limit. */
void hostfd_init(void);

/* False: the descriptor is one of those that are left. */
bool hostfd_fits(int fd, enum hostfd_for what);

/* Whether the next one would be one of those that are left; *ret_most: how many are not. */
bool hostfd_is_full(enum hostfd_for what, unsigned int *ret_most);

/* The descriptor, or -1 and EMFILE: it was closed. A negative one stays what it is, with errno. */
int hostfd_keep(int fd, enum hostfd_for what);
