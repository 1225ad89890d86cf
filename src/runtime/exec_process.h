/* SPDX-License-Identifier: Apache-2.0 */
/*
 * runtime/exec_process.h - the process that exec asks for, from flags or --process FILE.
 */
#pragma once

#include "base/err.h"
#include "oci/spec.h"
#include "runtime/runtime.h"

/* `spec` is what the class gets; it points into the rest. */
struct exec_process {
	struct oci_spec spec;
	struct oci_spec *container; /* owned: the container's copy of config.json */
	struct oci_spec *file;	    /* owned: --process FILE, or NULL */
	const char **env;	    /* owned array, or NULL */
	uint32_t *gids;		    /* owned, or NULL */
	char *listen;		    /* owned, or NULL */
};

/*
 * With --process FILE the file is the whole process; without, the container's process is the
 * template: args are replaced, env and additional gids appended, cwd, user, labels replaced when
 * given, --cap is added to the bounding, effective and permitted sets (never to inheritable or
 * ambient: CVE-2022-29162), a terminal only with --tty. Seccomp, personality and memory policy are
 * always the container's. `listen`: descriptors of socket activation. -EINVAL names the flag.
 */
int exec_process_make(const struct container *c, const struct exec_options *options,
		      unsigned int listen, struct exec_process *ret, struct err *err);

/* Accepts a half-made one. */
void exec_process_done(struct exec_process *process);

/* "UID[:GID]" in decimal; an absent gid leaves *gid alone. -EINVAL, worded as runc does. */
int exec_parse_user(const char *text, uint32_t *uid, uint32_t *gid, struct err *err);
