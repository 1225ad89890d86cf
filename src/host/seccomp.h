/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host/seccomp.h - linux.seccomp to a BPF program (libseccomp), and its installation facts.
 *
 * System calls that libseccomp or the profile's author could not know (numbers above the highest
 * that the profile names and libseccomp resolves, per architecture) are answered ENOSYS instead of
 * a refusing default action, as runc does, so that programs fall back. The machine's own
 * architecture is always part of the program. Rules of one call that compare the same argument with
 * overlapping ranges are decided as libseccomp 2.5 decides them
 * (CAVEATS.md#seccomp-overlapping-rules).
 */
#pragma once

#include <linux/filter.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/json.h"
#include "oci/spec.h"

struct seccomp_program {
	struct sock_filter *insns; /* owned; NULL: no seccomp in config.json */
	size_t len;		   /* instructions, at most BPF_MAXINSNS */
	/*
	 * SECCOMP_FILTER_FLAG_* for seccomp(2): NEW_LISTENER included when it notifies; TSYNC
	 * never, since whoever installs it has one thread.
	 */
	unsigned int flags;
	bool notifies; /* SCMP_ACT_NOTIFY is used: the listener goes to listenerPath */
};

/*
 * Compile. Unknown action, operator, architecture or flag, errnoRet where the action takes none:
 * -EINVAL naming it. An unknown system call name is ignored with a debug log (the annotation
 * run.oci.seccomp_fail_unknown_syscall=1 makes it an error). SCMP_ACT_NOTIFY without listenerPath
 * or as the default: -EINVAL. It may name any call: a thread that the filter does not cover hands
 * the listener over (src/init/filter.c), so unlike with runc write and sendmsg are no exceptions.
 */
int seccomp_compile(const struct oci_spec *spec, struct seccomp_program *ret, struct err *err);
void seccomp_program_done(struct seccomp_program *program);

/*
 * Send the listener descriptor to listenerPath: the container process state JSON of the spec
 * (config-linux.md#containerprocessstate) with SCM_RIGHTS. `state` is the container's state object.
 */
int seccomp_send_listener(const struct oci_seccomp *seccomp, int listener_fd, pid_t pid,
			  const json_t *state, struct err *err);

/* What the library and kernel offer, for `features`: NULL-terminated word lists. */
const char *const *seccomp_known_actions(void);
const char *const *seccomp_known_operators(void);
const char *const *seccomp_known_archs(void);
const char *const *seccomp_known_flags(void);
/* The subset of known flags that this kernel takes; the caller frees the array only. */
int seccomp_supported_flags(const char ***ret, struct err *err);
/* "2.5.4" */
const char *seccomp_library_version(char text[static 32]);
