/* SPDX-License-Identifier: Apache-2.0 */
/*
 * runtime/vm/template.h - machines that were booted once, saved, and go on as clones.
 *
 * A template is two memfds, sealed against writing, that a process of its own holds open
 * (src/holder): it answers on DIR/HASH/socket and gives them to root. DIR is vm.template_dir, and
 * HASH that of the key, a text that says everything a clone must have in common with what was
 * saved: the boot of the host, the files of QEMU, kernel and image, and QEMU's arguments. A changed
 * file or flag is another key; the old template is nobody's then, until `remove` ends it.
 *
 * Only who may make templates reads them: DIR belongs to the caller, and nobody else may write
 * there.
 */
#pragma once

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "hypervisor/machine.h"
#include "runtime/runtime.h"
#include "wire/template_msg.h"

/* Ports of a template: a clone's files are plugged. Its disks and network devices are not. */
#define TEMPLATE_SLOTS	 1u
#define TEMPLATE_TAKE_MS 1000 /* for the answer of a holder */

/* What decides; descriptors are borrowed. */
struct template_plan {
	enum machine_accel accel;
	bool nested; /* vm.nested */
	unsigned int cpus;
	uint64_t memory;	 /* bytes */
	int qemu, kernel, image; /* as struct qemu_plan and struct machine have them */
	uint64_t tsc_khz;	 /* hypervisor_tsc_khz(); no part of the key: one boot has one */
	uint32_t uid, gid;	 /* of QEMU while a template is made; else of no meaning */
};

/*
 * A machine as template and clones have it: role FRESH, no descriptors but kernel and image, no
 * disks, no nics. The caller says the role and adds monitor, agent, console, memory_file, state.
 * Files are plugged into slot 0; what else a container has by itself its machine begins with
 * (hypervisor/machine.h).
 *
 * With more than one CPU a template is saved while all but the first are off line
 * (AGENT_ONLINE { 1 }), so that its clone's agent is asked, after AGENT_RESET, for
 * AGENT_ONLINE { cpus }.
 */
void template_machine(const struct template_plan *plan, struct machine *ret);

#define TEMPLATE_HASH 17u /* 16 hexadecimal digits and NUL */

struct template_key {
	char *text; /* owned; lines */
	char hash[TEMPLATE_HASH];
};
void template_key_done(struct template_key *key);
#define AUTO_TEMPLATE_KEY AUTO(template_key_done)

/* -EINVAL of machine_check(); -errno of the files. */
int template_key(const struct template_plan *plan, struct template_key *ret, struct err *err);

/* The descriptors of a template, sealed; owned. Whoever reopens them has positions of his own. */
struct template
{
	int memory, state;
	int64_t created_ns; /* CLOCK_REALTIME */
};
#define TEMPLATE_INIT                              \
	{                                          \
		.memory = -EBADF, .state = -EBADF, \
	}
void template_done(struct template *t);
#define AUTO_TEMPLATE AUTO(template_done)

/*
 * The template of a plan. -ENOENT: there is none, or whoever should hold it is gone, does not
 * answer within TEMPLATE_TAKE_MS, or says what is not so (a line of the log, level debug, tells
 * which): the start is a cold one then. Every other error is a failure of our own.
 */
int template_take(const struct runtime *rt, const struct template_plan *plan, struct template *ret,
		  struct err *err);

/* vm.template_dir, or its default ROOT/@templates ('@' is in no container's id). */
int template_dir(const struct runtime *rt, char ret[static PATH_MAX], struct err *err);

/* What a template is made for. */
struct template_wish {
	uint64_t memory;   /* bytes; 0: vm.memory */
	unsigned int cpus; /* 0: vm.cpus */
};

/*
 * Make the template of a wish under the settings of `rt`, or find that it is there (*ret_made
 * false). Waits for whoever makes another in the same directory. Takes as long as a machine's
 * start; a failure has QEMU's words and what the guest said last, and leaves nothing. -EPERM
 * without root.
 */
int template_make(const struct runtime *rt, const struct template_wish *wish,
		  char ret_hash[static TEMPLATE_HASH], bool *ret_made, struct err *err);

/* The hash that a start of these settings would ask for; nothing is made. */
int template_wanted(const struct runtime *rt, const struct template_wish *wish,
		    char ret_hash[static TEMPLATE_HASH], struct err *err);

enum template_state {
	TEMPLATE_READY,	 /* may be taken */
	TEMPLATE_SILENT, /* its holder does not answer as it should */
	TEMPLATE_STALE,	 /* its holder is gone */
};

struct template_info {
	char hash[TEMPLATE_HASH];
	enum template_state state;
	pid_t pid;	       /* of its holder; 0: not known */
	uint64_t memory;       /* bytes of the guest's */
	uint64_t resident;     /* ... of which the host has pages */
	uint64_t device_state; /* bytes */
	int64_t created_ns;    /* CLOCK_REALTIME */
	char *text;	       /* of the key; owned; NULL unless ready */
};

/*
 * The templates of vm.template_dir, sorted by hash; the caller's (template_list_free()). What dead
 * holders and makers have left is removed first, unless somebody makes a template right now.
 */
int template_list(const struct runtime *rt, struct template_info **ret, size_t *ret_len,
		  struct err *err);
void template_list_free(struct template_info *list, size_t len);

/*
 * End one, or all with NULL (*ret_removed of them). Clones go on: they have its files open. -ENOENT
 * when there is none of the name.
 */
int template_remove(const struct runtime *rt, const char *hash, size_t *ret_removed,
		    struct err *err);
