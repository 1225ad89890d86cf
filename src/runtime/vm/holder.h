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
#include "host/cgroup.h"
#include "runtime/vm/template.h"

#define HOLDER_SOCKET "socket"
#define HOLDER_CGROUP "cgroup"
/* Behind the name while it is made: nobody else's business, and garbage if its maker has died. */
#define HOLDER_MAKING	".making"
#define HOLDER_NAME_MAX (TEMPLATE_HASH + sizeof(HOLDER_MAKING))

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
 * Only who holds it makes or removes directories. `wait`: for as long as it takes; else -EAGAIN,
 * without a sentence, when somebody else has it. It goes with the last copy of the descriptor.
 */
int holder_lock_dir(int dir_fd, bool wait, struct err *err);

/*
 * Ask the holder of DIR/name. -ENOENT: no such directory or no socket in it; -ECONNREFUSED: nobody
 * listens; -ETIMEDOUT: no answer within timeout_ms; -EPROTO: it says what is not so. Where it
 * could be known *ret has pid and pidfd of whoever listens also then.
 */
int holder_ask(int dir_fd, const char *name, int timeout_ms, struct holder *ret, struct err *err);

/*
 * What a maker waits, who has nothing else to do: on a host that others keep busy a holder may get
 * no CPU for as long as a start waits for it.
 */
#define HOLDER_PROVE_MS 10000

/* The answer to a connected socket, of holder_ask() and its tests. */
int holder_receive(int sock, int timeout_ms, struct holder *ret, struct err *err);

/*
 * End whoever holds DIR/name and remove the directory and the cgroup. With the lock. 0 when nothing
 * was there; -EBUSY when its process does not end.
 */
int holder_discard(int dir_fd, const char *name, struct err *err);

/* What a holder is started with; descriptors are borrowed. */
struct holder_start {
	const struct template_key *key;
	uint64_t memory_bytes;
	int program; /* O_PATH: caisson-template */
	int memory, state;
	uint32_t uid;			/* and gid */
	int held;			/* lock on the uid */
	int cgroup_fd;			/* as of stage_clone() */
	const struct cgroup_join *join; /* or NULL */
};

/*
 * Start it on the socket of DIR/making_dir, an open directory of the name HASH.making; when it has
 * proved itself that becomes HASH. With the lock. On failure no process is left; the directory is
 * the caller's to discard.
 */
int holder_start(int dir_fd, const struct holder_start *start, struct err *err);
