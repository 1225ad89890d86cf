/* SPDX-License-Identifier: Apache-2.0 */
/*
 * runtime/vm/holder.h - who holds a template: its directory, and what its process answers; private
 * to the files of template.h.
 *
 * Below vm.template_dir (mode 0700) a template is a directory of the hash's name with the socket
 * `socket` and, where the process has a cgroup of its own, that one's directories in `cgroup`, a
 * line each. A directory whose socket nobody has is what a dead holder or another boot has left.
 */
#pragma once

#include "base/err.h"
#include "runtime/vm/template.h"

#define HOLDER_SOCKET "socket"
#define HOLDER_CGROUP "cgroup"

/* What was asked for and came; all owned. */
struct holder {
	struct template t;
	char *text;
	uint64_t memory; /* bytes of the guest's */
	int pidfd;
	pid_t pid;
};
#define HOLDER_INIT                                  \
	{                                            \
		.t = TEMPLATE_INIT, .pidfd = -EBADF, \
	}
void holder_done(struct holder *h);
#define AUTO_HOLDER AUTO(holder_done)

/*
 * vm.template_dir. -ENOENT when it is not there and `make` is false; -EPERM with a sentence when it
 * is somebody else's, or others may write to it. The descriptor is the caller's.
 */
int holder_open_dir(const struct runtime *rt, bool make, struct err *err);

/*
 * Ask the holder of DIR/hash. -ENOENT: no such directory or no socket in it; -ECONNREFUSED: nobody
 * listens; -ETIMEDOUT: no answer within TEMPLATE_TAKE_MS; -EPROTO: it says what is not so. Where it
 * could be known *ret has pid and pidfd of whoever listens also then.
 */
int holder_ask(int dir_fd, const char *hash, struct holder *ret, struct err *err);

/* The answer to a connected socket, of holder_ask() and its tests. */
int holder_receive(int sock, struct holder *ret, struct err *err);
