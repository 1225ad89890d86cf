/* SPDX-License-Identifier: Apache-2.0 */
/*
 * runtime/life_hooks.h - hooks with the container's state and the run.oci.hooks.* annotations.
 */
#pragma once

#include <sys/types.h>

#include "oci/spec.h"
#include "runtime/runtime.h"

/*
 * Run a list of hooks; a shortcut when it is empty. The working directory is the bundle for hooks
 * of the runtime's namespaces (`in_bundle`). Output goes to the files that run.oci.hooks.stdout and
 * run.oci.hooks.stderr name (appended to, made when missing). Errors as hooks_run().
 */
struct life_hooks {
	const struct oci_hook_list *list;
	const char *name;
	enum oci_status status; /* what the state document says */
	pid_t pid;
	bool in_bundle;
};
int life_hooks_run(const struct container *c, const struct life_hooks *hooks, struct err *err);
