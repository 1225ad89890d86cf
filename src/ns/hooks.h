/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ns/hooks.h - running the hooks of config.json (OCI runtime-spec config.md#posix-platform-hooks).
 */
#pragma once

#include "base/err.h"
#include "oci/spec.h"

/* What a hook gets besides its own args and env. */
struct hooks_io {
	const char *state_json; /* the container's state document, written to standard input */
	int out_fd;		/* standard output, or -EBADF: /dev/null */
	int err_fd;		/* standard error, or -EBADF: its last line goes into the message */
};

/*
 * Run each hook of the list in order, in the caller's namespaces, and wait for it. Standard input
 * is a sealed memory file, so that a hook which does not read it is no error and cannot block
 * anybody. args[0] and env are the hook's own (an absent env is empty); descriptors above 2 are
 * closed. A hook that runs past its timeout is killed with its process group: -ETIMEDOUT. A hook
 * that cannot be run, exits with a status other than 0 or dies by a signal ends the list:
 * -ECANCELED, "NAME hook 0 (/path): exit status 1: LAST LINE OF STDERR". What a hook left running
 * in the background is not waited for.
 */
int hooks_run(const struct oci_hook_list *hooks, const char *name, const struct hooks_io *io,
	      struct err *err);
