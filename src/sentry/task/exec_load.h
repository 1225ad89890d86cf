/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/task/exec_load.h - private to task/: from a name to a loaded program.
 */
#pragma once

#include "sentry/task/exec.h"

struct loaded_program {
	struct platform_thread *thread; /* of the fresh space */
	struct mm *mm;
	struct arch_regs regs;
	const struct cred *cred; /* what the task becomes; one reference */
	bool secure;
	bool set_id;	 /* ids changed: the parent-death signal goes */
	bool unreadable; /* the caller may not read the program: not dumpable */
	char comm[16];
};
void loaded_program_done(struct loaded_program *p);

/* Find, judge, open and load. `by` gives credentials, limits; argv of req grows by #! lines. */
struct load_options {
	const struct mm_limits *limits;
	bool allow_setid;
	uint32_t personality;
};
int program_load(const struct vfs_ctx *ctx, const struct load_options *o, struct exec_request *req,
		 struct loaded_program *ret);

/* cred_exec.c: credentials after exec (capabilities(7)): a new reference in *ret. */
struct exec_ids {
	uint32_t mode, uid, gid; /* of the program file */
	bool honoured;		 /* set-id bits count: mount, container, no_new_privs */
};
int cred_for_exec(const struct cred *old, const struct exec_ids *ids, const struct cred **ret,
		  bool *ret_secure);
