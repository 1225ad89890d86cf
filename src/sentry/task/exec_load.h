/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/task/exec_load.h - private to task/: from a name to a loaded program.
 */
#pragma once

#include "sentry/task/exec.h"
#include "sentry/vfs/file_caps.h"

struct loaded_program {
	struct platform_thread *thread; /* of the fresh space */
	struct mm *mm;
	struct arch_regs regs;
	const struct cred *cred; /* what the task becomes; one reference */
	bool secure;
	bool raised;	 /* other ids or more capabilities: no parent-death signal, not dumpable */
	bool unreadable; /* the caller may not read the program: not dumpable */
	char comm[16];
};
void loaded_program_done(struct loaded_program *p);

/* Find, judge, open and load. `by` gives credentials, limits; argv of req grows by #! lines. */
struct load_options {
	const struct mm_limits *limits;
	bool allow_setid; /* set-id bits and capabilities of the file count */
	bool unsafe;	  /* somebody else keeps a hand in the process: a tracer, a sharer */
	uint32_t personality;
	/* Whose nursery the space comes of. It may end while the program is looked for. */
	const struct container *container;
};
int program_load(const struct vfs_ctx *ctx, const struct load_options *o, struct exec_request *req,
		 struct loaded_program *ret);

/* cred_exec.c: credentials after exec (capabilities(7)): a new reference in *ret. */
struct exec_privileges {
	uint32_t mode, uid, gid; /* of the program file */
	bool honoured;		 /* set-id bits count: mount, container, no_new_privs */
	struct file_caps caps;	 /* not found where they do not count */
	bool unsafe;		 /* of struct load_options */
};
/* 0, -EPERM (the program would lack capabilities that it must have), -ENOMEM. */
int cred_for_exec(const struct cred *old, const struct exec_privileges *file,
		  const struct cred **ret, bool *ret_secure);
