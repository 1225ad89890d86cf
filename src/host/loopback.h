/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host/loopback.h - one listening socket for all TCP ports of a network namespace's loopback
 * addresses (bpf(2), BPF_PROG_TYPE_SK_LOOKUP).
 *
 * A program at the namespace chooses the socket for each new connection from 127.0.0.0/8 to
 * 127.0.0.0/8, and from ::1 to ::1, whatever its port, before the kernel looks for listeners; every
 * other address is left alone. The port that was meant is that of getsockname(2) of the accepted
 * socket, which is one of AF_INET6 (IPv4's addresses are ::ffff:127.0.0.1 and so on), and one of
 * AF_INET where the kernel has no IPv6; both have the port at the same place. The program
 * stays as long as its descriptor is open, in whatever process: nothing is left when that is
 * killed.
 */
#pragma once

#include "base/err.h"

#define LOOPBACK_BACKLOG 64 /* connections that nobody has accepted */

/*
 * In the caller's network namespace. Both descriptors are the caller's; the listening socket is
 * non-blocking, and what it accepts asks its peer after a minute without a word whether it is still
 * there. -EPERM: not the host's root (CAP_BPF, CAP_NET_ADMIN); -EINVAL, -ENOSYS: the kernel has no
 * such programs.
 */
int loopback_take(int *ret_listener, int *ret_link, struct err *err);
