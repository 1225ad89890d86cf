/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hypervisor/qemu.h - the process of a virtual machine's monitor, qemu(1).
 *
 * A process that was cloned for it becomes QEMU and returns only when it cannot. It is in its
 * cgroups, pid, ipc and network namespaces already and has all capabilities over them (root, or
 * root of its user namespace). Its mount namespace it makes itself: a read-only root directory with
 * what the program needs to start (libraries, firmware), the kernel, the image, /dev/null, and
 * /dev/kvm where the machine is accelerated. No /proc, nothing that can be written.
 */
#pragma once

#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "hypervisor/machine.h"

struct qemu_plan {
	const struct machine *machine;
	int program;	   /* of qemu_find() */
	uint32_t uid, gid; /* whom it runs as; 0: they stay what they are */
	int words;	   /* its standard output and error: the pipe that the supervisor reads */
};

/*
 * Becomes QEMU: descriptors of the machine under their numbers (above 2, or -EINVAL) and no others,
 * an empty environment, no supplementary groups (but that of /dev/kvm), no capabilities,
 * no_new_privs, no core dump; SIGKILL when the parent dies. Signal dispositions and mask are the
 * caller's affair. Returns on failure only: -errno with a sentence. Uses /proc until then.
 */
int qemu_become(const struct qemu_plan *plan, struct err *err);

/*
 * Append QEMU's arguments for `m`, a line each, with numbers of no meaning for its descriptors:
 * what two machines have to have in common when one goes on where the other was saved. Descriptors
 * need not be open. -EINVAL of machine_check().
 */
int qemu_print(const struct machine *m, struct buf *b, struct err *err);

/*
 * Append a line for each file of firmware that `program` may load into a microvm, with what a
 * change of the file changes (device, inode, size, times): it is in the memory of a machine that is
 * saved.
 */
void qemu_print_firmware(int program, struct buf *b);

/*
 * An O_PATH descriptor of the program, the caller's: `path`, or, where that is NULL or empty, where
 * distributions put it. -ENOENT says where it was looked for; -EACCES when it cannot be executed.
 */
int qemu_find(const char *path, struct err *err);
