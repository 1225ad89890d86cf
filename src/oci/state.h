/* SPDX-License-Identifier: Apache-2.0 */
/*
 * oci/state.h - the state of a container as the specification shows it (runtime.md#state).
 *
 * The document that hooks and seccomp agents get: ociVersion, id, status, pid, bundle, annotations.
 * What the verb `state` prints has runc's further members (cli/output.c); neither that nor what the
 * runtime itself remembers between verbs is here.
 */
#pragma once

#include <sys/types.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"
#include "oci/spec.h"

/* "paused" is not in the specification; runc, crun and the engines have it. */
enum oci_status {
	OCI_CREATING,
	OCI_CREATED,
	OCI_RUNNING,
	OCI_PAUSED,
	OCI_STOPPED,
	OCI_STATUS_MAX,
};

/* "creating", "created" ... */
const char *oci_status_name(enum oci_status status);

/* Strings are borrowed. */
struct oci_state {
	const char *version; /* ociVersion */
	const char *id;
	enum oci_status status;
	pid_t pid;	    /* 0: none (creating, stopped) */
	const char *bundle; /* absolute */
	struct oci_kvs annotations;
};

/* Append the specification's document, for a hook's standard input. -ENOMEM. */
int oci_state_hook_print(const struct oci_state *state, struct buf *out, struct err *err);

/* The same as a tree, to be set into another document. *ret is a new reference. */
int oci_state_to_json(const struct oci_state *state, json_t **ret, struct err *err);
