/* SPDX-License-Identifier: Apache-2.0 */
/*
 * oci/state.h - the state of a container as the specification shows it (runtime.md#state).
 *
 * Two documents: the one that hooks and seccomp agents get (ociVersion, id, status, pid, bundle,
 * annotations) and the one that the verb `state` prints, which has runc's further members. What the
 * runtime itself remembers between verbs is not here.
 */
#pragma once

#include <stddef.h>
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

/* -EINVAL if it is none of them. */
int oci_status_from_name(const char *name, enum oci_status *ret);

/* Strings are borrowed, unless oci_state_parse() made it: then all live until oci_state_free(). */
struct oci_state {
	const char *version; /* ociVersion */
	const char *id;
	enum oci_status status;
	pid_t pid;	    /* 0: none (creating, stopped) */
	const char *bundle; /* absolute */
	struct oci_kvs annotations;
	/* Only in the verb's document; NULL: unknown. */
	const char *rootfs;	 /* absolute */
	const char *created;	 /* clock_rfc3339(), with fraction */
	const char *owner;	 /* user name, may be empty */
	struct oci_arena *arena; /* NULL, or owns the strings */
};

/* Append the specification's document, for a hook's standard input. -ENOMEM. */
int oci_state_hook_print(const struct oci_state *state, struct buf *out, struct err *err);

/* The same as a tree, to be set into another document. *ret is a new reference. */
int oci_state_to_json(const struct oci_state *state, json_t **ret, struct err *err);

/*
 * Append what `state` prints: runc's members in runc's order, indented by two blanks, no final
 * newline. As in runc the pid of a stopped container is 0, annotations are sorted and left out when
 * there are none, and bytes that are not UTF-8 read as U+FFFD. -ENOMEM.
 */
int oci_state_print(const struct oci_state *state, struct buf *out, struct err *err);

/* Read either document. Unknown members are ignored; *ret is the caller's. -EINVAL, -ENOMEM. */
int oci_state_parse(const char *text, size_t len, const char *name, struct oci_state **ret,
		    struct err *err);
/* Only for what oci_state_parse() made. Accepts NULL. */
void oci_state_free(struct oci_state *state);
