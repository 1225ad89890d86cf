/* SPDX-License-Identifier: Apache-2.0 */
/*
 * runtime/vm/files.h - virtiofsd, which serves the share (share.h) to one virtual machine.
 *
 * A process that was cloned for it becomes virtiofsd. It makes mount, network and pid namespaces of
 * its own, whose root is the share; it has a user of its own, the capabilities that acting for
 * others on files takes and no more, no_new_privs, a bounded number of descriptors, and dies with
 * its parent. Of its socket nobody else ever knew a name.
 *
 * Where config.json maps ids, it is in a user namespace that has the host's ids of that map and no
 * others, under their own numbers: the guest's kernel maps them for the container, and says the
 * host's ids. Of files of others it may do what everybody may.
 */
#pragma once

#include <stdint.h>

#include "base/err.h"
#include "oci/spec.h"

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
 * `configured`, or, where that is NULL or empty, the first that is installed. Where distributions
 * put it the place tells the kind; elsewhere the program is asked (milliseconds). -ENOENT with a
 * sentence.
 */
int files_find(const char *configured, struct files_program *ret, struct err *err);

/* What the guest's kernel may remember of names, attributes and pages. */
enum files_cache {
	FILES_CACHE_AUTO,   /* for a second, and pages until the file is opened again */
	FILES_CACHE_ALWAYS, /* until it needs the memory: nobody else changes the files */
	FILES_CACHE_NONE,
};

struct files_plan {
	struct files_program program;
	const char *dir; /* the share, in this mount namespace */
	int listener;	 /* of files_socketpair() */
	int words;	 /* becomes standard error */
	enum files_cache cache;
	/* Who it is; numbers of `userns` where that is entered first. 0: who we are. */
	uint32_t uid, gid;
	int userns; /* -EBADF: none */
};

/*
 * User namespace and ids of a container with these maps; with none of them the host's id `own`
 * (sandbox/ids.h; 0: the runtime's). *ret has program and ids; userns is the caller's. -EINVAL,
 * -ENOTSUP with a sentence.
 */
int files_ids(const struct files_program *program, const struct oci_linux *from, uint32_t own,
	      struct files_plan *ret, struct err *err);

/*
 * In a process that was cloned with CLONE_NEWNS and is root of its user namespace; of its mount
 * namespace nothing else is needed any more. Returns on failure only: -errno with a sentence.
 */
int files_become(const struct files_plan *plan, struct err *err);

/*
 * A listening unix socket and a client (the monitor's end) that is connected to it; both the
 * caller's. The name is gone when this returns.
 */
int files_socketpair(int *ret_listener, int *ret_client, struct err *err);

/* The arguments, NULL-terminated, the caller's (strv_free()). 0 or -ENOMEM. For tests. */
int files_args(const struct files_plan *plan, int listener, unsigned int descriptors, char ***ret);
