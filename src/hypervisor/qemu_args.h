/* SPDX-License-Identifier: Apache-2.0 */
/* hypervisor/qemu_args.h - a machine as QEMU's command line (qemu(1)); private to the room. */
#pragma once

#include "base/err.h"
#include "hypervisor/machine.h"

/* Where the monitor finds them (qemu.c). */
#define QEMU_KERNEL "/kernel"
#define QEMU_IMAGE  "/image"
/*
 * Translated code of an emulated guest: what is full is emptied and translated again. Without a
 * bound it grows to a gigabyte.
 */
#define QEMU_TRANSLATED_MIB 64u
/* The device that has the memory of machine.memory_max. */
#define QEMU_ROOM "room0"
/* Of a template and its clones: its own /proc/self/fd, and the numbers that its files have. */
#define QEMU_FDS       "/fd"
#define QEMU_STATE_FD  200
#define QEMU_MEMORY_FD 201

/*
 * The arguments for `program`, NULL-terminated, the caller's (strv_free()). Nothing is opened, and
 * no argument depends on anything but `m`: two machines of one description have the same. -EINVAL
 * of machine_check(), -ENOMEM.
 */
int qemu_args(const char *program, const struct machine *m, char ***ret, struct err *err);

/* The kernel's command line, a part of it; the caller's. */
int qemu_words(const struct machine *m, char **ret);
