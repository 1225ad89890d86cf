/* SPDX-License-Identifier: Apache-2.0 */
/*
 * runtime/vm/files.h - virtiofsd, which serves the share (share.h) to one virtual machine.
 *
 * A process that was cloned for it becomes virtiofsd. It makes mount, network and pid namespaces of
 * its own, whose root is the share; it has the capabilities that acting for others on files takes
 * and no more, no_new_privs, a bounded number of descriptors, and dies with its parent. Of its
 * socket nobody else ever knew a name.
 */
#pragma once

#include "base/err.h"

#define FILES_DESCRIPTORS (1u << 19) /* one for each file that the guest knows */

/* They have the same work and different arguments. */
enum files_kind {
	FILES_QEMU, /* from QEMU's own source, in C */
	FILES_RUST, /* virtiofsd 1.x */
};

struct files_program {
	const char *path; /* borrowed or static */
	enum files_kind kind;
};

/*
 * `configured`, or, where that is NULL or empty, the first that is installed. The place tells the
 * kind: QEMU's lies in a directory "qemu". -ENOENT with a sentence.
 */
int files_find(const char *configured, struct files_program *ret, struct err *err);

struct files_plan {
	struct files_program program;
	const char *dir; /* the share, in this mount namespace */
	int listener;	 /* of files_socketpair() */
	int words;	 /* becomes standard error */
};

/*
 * In a process that was cloned with CLONE_NEWNS and is root of its user namespace. Returns on
 * failure only: -errno with a sentence.
 */
int files_become(const struct files_plan *plan, struct err *err);

/*
 * A listening unix socket and a client (the monitor's end) that is connected to it; both the
 * caller's. The name is gone when this returns.
 */
int files_socketpair(int *ret_listener, int *ret_client, struct err *err);

/* The arguments, NULL-terminated, the caller's (strv_free()). 0 or -ENOMEM. For tests. */
int files_args(const struct files_plan *plan, int listener, unsigned int descriptors, char ***ret);
