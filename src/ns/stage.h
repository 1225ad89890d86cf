/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ns/stage.h - between ns_create()/ns_exec() and the staged child (private to the room).
 *
 * One SOCK_SEQPACKET pair. The child sends struct stage_msg; caisson-init, which inherits the
 * child's end, sends the shorter struct init_report with the same head. The parent sends single
 * bytes, each of which the child awaits in this order; a byte that nobody awaits yet waits in the
 * socket:
 *
 *   parent                                child
 *   clone3
 *   [uid and gid maps]    STAGE_MAPPED ->   ids of the new user namespace
 *   on_namespaces         STAGE_PLACED ->   joins its cgroups by the descriptors
 *                         <- JOINED         (who is asked to say so)
 *                                           cgroup namespace, mounts
 *   on_environment        <- ENVIRONMENT    (with hooks) before pivot_root
 *                         STAGE_ENVIRONED ->
 *                         <- TERMINAL       pty master, when it stays with the parent
 *                                           execveat caisson-init
 *                         <- FORKED         (a joined pid namespace)
 *                         <- READY          (NS_GATE_LISTEN)
 *   ns_open_gate()       STAGE_GATE ->      exec of the user's program closes the socket
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "base/err.h"
#include "ns/ns.h"
#include "wire/init_msg.h"

enum stage_msg_type {
	STAGE_CLONED = 16, /* head.value: pid; from an intermediate process */
	STAGE_ENVIRONMENT,
	STAGE_TERMINAL, /* carries the pty master */
	STAGE_FAILED,	/* err */
	STAGE_JOINED,	/* it is in its cgroups; of who is asked to say so */
	STAGE_HOOKS,	/* past the gate: startContainer hooks run now, then INIT_REPORT_READY */
};

struct stage_msg {
	struct init_report head; /* type: enum stage_msg_type or enum init_report_type */
	struct err err; /* STAGE_FAILED; of INIT_REPORT_FAILED err.msg is the path, or empty */
};

#define STAGE_MAPPED	'm'
#define STAGE_PLACED	'p'
#define STAGE_ENVIRONED 'e'
#define STAGE_RELEASE	'r' /* NS_GATE_LISTEN: outlive the runtime */
#define STAGE_GATE	'g'

/* A pair of connected sockets for the protocol: [0] the parent's, [1] the child's. */
int stage_socketpair(int ret[2], struct err *err);

/* Signals that our caller ignores are not ignored in the container (exec(2) would keep that). */
void stage_default_signals(void);

/* Child side. stage_await() returns -EPIPE when the parent is gone. */
int stage_send(int sock, enum stage_msg_type type, int32_t value, int fd);
int stage_await(int sock, char byte, struct err *err);

/* Await STAGE_PLACED and enter the cgroups whose files come with it (host/cgroup.h, cgroup_join()).
 */
int stage_await_placed(int sock, struct err *err);
/* Send the error to the parent and end; the exit status is for whoever reads wait(2). */
__attribute__((noreturn)) void stage_fail(int sock, const struct err *err);

#define STAGE_DIED "the container process died during its set-up"

/*
 * Parent side. Receive one message: 1, or 0 at end of file; *ret_fd is -EBADF or the caller's.
 * -EPROTO (STAGE_DIED) when the child ended without reading what it was told.
 */
int stage_recv(int sock, struct stage_msg *ret, int *ret_fd, struct err *err);
/*
 * The same, and 0 as well when the process behind pidfd has ended without a message: a process that
 * it has forked may hold the socket open.
 */
int stage_recv_from(int sock, int pidfd, struct stage_msg *ret, int *ret_fd, struct err *err);
int stage_tell(int sock, char byte, struct err *err);

/* Say STAGE_PLACED with what the child needs to enter `cg` itself; `cloned`: it was born in
 * cgroup2. */
int stage_tell_placed(int sock, const struct cgroup *cg, bool cloned, struct err *err);

/* The sentence of a failed report, as -errno. */
int stage_report_error(const struct stage_msg *msg, struct err *err);

/*
 * INIT_REPORT_FORKED: `pid` is our child by CLONE_PARENT and takes the place of the one that forked
 * it, which has done its work and is reaped.
 */
int stage_adopt_forked(struct ns_child *child, pid_t pid, struct err *err);

/* Kill and reap a child that is not wanted any more, and empty *child. */
void stage_abandon(struct ns_child *child);

/* What the last stage needs, on both ways (create and exec). All pointers are borrowed. */
struct stage_process {
	const struct oci_process *process;
	const struct oci_linux *linux; /* personality, memory policy; NULL for exec */
	const struct seccomp_program *seccomp;
	const struct ns_terminal *terminal;
	const char *keyring; /* session keyring to join, or NULL */
	int sock;
	int init_fd;	/* stage_init_image() */
	int gate_fd;	/* NS_GATE_LISTEN, else -EBADF */
	bool gate_open; /* start_hooks_at_gate() has waited */
	unsigned int preserve_fds;
	bool fork; /* into a joined pid namespace */
	bool is_exec;
	bool keep_original_groups;
};

/* A sealed memfd with the program caisson-init. */
int stage_init_image(struct err *err);

/*
 * In the container's namespaces and root: limits, scheduling, terminal, environment, then become
 * caisson-init. Returns only on failure.
 */
int stage_become_init(const struct stage_process *p, struct err *err);

/* The terminal of `terminal` becomes standard input, output and error; the master goes to its
 * taker. */
int stage_open_terminal(const struct stage_process *p, int *ret_slave, struct err *err);

/* The file to execute for args[0], searched as execvp(3) does in the container's PATH. */
int stage_find_program(const struct oci_process *process, char **ret, struct err *err);

/* HOME=... of the container's /etc/passwd for the process's uid, or HOME=/. */
int stage_home(uint32_t uid, char **ret, struct err *err);

/* "HOME=..." from the text of a passwd(5) file; -ENOENT if it names no such uid. */
int lookup_home(const char *passwd, size_t len, uint32_t uid, char **ret);

/*
 * clone3(2) without a stack of its own: 0 in the child; *ret_pidfd is the caller's unless NULL.
 * cgroup_fd >= 0: the child is born in that cgroup2 directory.
 */
pid_t stage_clone(unsigned long long flags, int cgroup_fd, int *ret_pidfd);
