/* SPDX-License-Identifier: Apache-2.0 */
/*
 * runtime/vm/launch.h - the processes of a container of class vm, from the runtime's side.
 *
 * The staged child (sandbox/launch.h) builds the tree of files that the guest sees, takes the
 * network's interfaces, starts virtiofsd and QEMU as its children, each in a cage and with a user
 * of its own, and becomes caisson-vm, pid 1 of their pid namespace: when that dies, the kernel ends
 * both with it.
 */
#pragma once

#include "base/err.h"
#include "hypervisor/machine.h"
#include "ns/idmap.h"
#include "runtime/creation.h"
#include "runtime/sandbox/launch.h"
#include "runtime/vm/files.h"
#include "runtime/vm/host_devices.h"
#include "runtime/vm/programs.h"
#include "runtime/vm/settings.h"
#include "runtime/vm/share.h"
#include "runtime/vm/size.h"
#include "runtime/vm/template.h"

/* What parent and staged child share; the child has the parent's memory at the clone. */
struct launch_vm {
	struct sandbox_launch box;
	struct vm_config config;
	struct vm_size size, room;
	enum machine_accel accel;
	struct files_plan files; /* userns is owned */
	enum share_rootfs rootfs;
	bool pod;	   /* other containers will join it: its annotations say so */
	const char *watch; /* borrowed: annotation SHARE_WATCH, or NULL */
	int program;	   /* owned, O_PATH: caisson-vm */
	struct vm_programs from;
	struct idmap_fds idmaps;
	struct vm_devices devices;
	struct template template; /* owned; memory -EBADF: the machine boots */
	uint64_t begin_ns;	  /* CLOCK_MONOTONIC */
};

/*
 * Make everything up to the gate: returns when the agent has made the container. On failure nothing
 * lives and the sentence is that of whoever failed.
 */
int launch_vm(struct creation *cr, struct sandbox *ret, struct err *err);

uint64_t launch_now_ns(void); /* CLOCK_MONOTONIC */

/* What its template is known by. */
struct template_plan launch_plan(const struct launch_vm *l);

/* In the clone. */
__attribute__((noreturn)) void stage_vm(void *launch);
