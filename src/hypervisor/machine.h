/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hypervisor/machine.h - a virtual machine as whoever wants one describes it.
 *
 * Everything that the monitor uses is given as a descriptor, which it inherits under the same
 * number; kernel and image, which no monitor takes so, it finds by names in its root directory
 * (qemu.h). Numbers are checked by machine_check(), so that no argument of a monitor is ever made
 * of unchecked text.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define MACHINE_CPUS_MAX 64u /* CONFIG_NR_CPUS of guest/kernel.config */
/* Bytes; with less the kernel and the agent do not start. */
#define MACHINE_MEMORY_MIN (48ull << 20)
#define MACHINE_MEMORY_MAX (1ull << 40)
/* Bytes: memory that is plugged is a multiple (the block size of virtio-mem). */
#define MACHINE_MEMORY_GRAIN (2ull << 20)
/* So many times its first memory a machine may get: the kernel's tables of the rest lie in it. */
#define MACHINE_MEMORY_GROWTH 16u
#define MACHINE_DISKS_MAX     16u
#define MACHINE_NICS_MAX      8u
#define MACHINE_SLOTS_MAX     16u
#define MACHINE_QUEUES_MAX    8u /* of one network device */
/* What a template's first disk seems to have, and a clone's in its place. */
#define MACHINE_SPARE_BYTES (16ull << 40)
/* Devices that MACHINE_MICROVM has places for; three are the machine's own. */
#define MACHINE_MICROVM_DEVICES 24u
#define MACHINE_PMEM_GRAIN	(2ull << 20) /* of persistent memory in the guest's kernel */
#define MACHINE_WORDS_MAX	2048u /* bytes of a kernel's command line (COMMAND_LINE_SIZE) */

enum machine_accel { MACHINE_TCG, MACHINE_KVM, MACHINE_ACCELS };
const char *machine_accel_name(enum machine_accel accel); /* "tcg" (emulated in software), "kvm" */

enum machine_type {
	MACHINE_MICROVM,     /* virtio by memory-mapped registers; nothing is plugged later */
	MACHINE_MICROVM_PCI, /* with ACPI and PCI express ports: devices may be plugged */
	MACHINE_Q35,	     /* memory and CPUs, too */
	MACHINE_TYPES,
};

enum machine_role {
	MACHINE_FRESH,	  /* boots */
	MACHINE_TEMPLATE, /* boots into memory_file and is saved then (control.h) */
	MACHINE_CLONE,	  /* goes on where a template was saved; what it writes is its own */
	MACHINE_COPY,	  /* the same; memory_file is a copy, and files may be plugged */
};

/*
 * A template has one disk, of nothing, which its guest's kernel knows: a clone's first disk, a
 * read-only file, takes its place, or else it stays. What more a clone has than its template, other
 * disks and network devices, its guest finds when it looks at the PCI buses again
 * (/sys/bus/pci/rescan). Kernel and image are in a clone's memory: it needs no files of them.
 */

/* A block device of the guest; vda, vdb ... in the order of the table. */
struct machine_disk {
	int fd; /* of a file or block device, opened as `readonly` says */
	bool readonly;
	bool device; /* a block device, for which QEMU has another driver */
	/*
	 * Of a fresh MACHINE_Q35, if not 0: the file's bytes, a multiple of MACHINE_PMEM_GRAIN. The
	 * guest has it as persistent memory, pmem0, pmem1 ..., whose pages are those of the host's
	 * page cache, read-only. The monitor's user opens the file once more, for reading.
	 */
	uint64_t pmem;
};

/* A network device; eth0 ... in the order of the table. */
struct machine_nic {
	int taps[MACHINE_QUEUES_MAX]; /* queues of one tap device */
	unsigned int taps_len;	      /* 1 or more */
	uint8_t mac[6];
};

struct machine {
	enum machine_accel accel;
	enum machine_type type;
	bool nested; /* the guest's processors can run machines, too */
	unsigned int cpus;
	uint64_t memory; /* bytes */
	/* Of MACHINE_Q35: what may be plugged later, all together; 0: nothing. */
	unsigned int cpus_max;
	uint64_t memory_max;
	int kernel;	   /* a vmlinux with a PVH entry; O_PATH is enough */
	int initrd;	   /* the image, likewise; -EBADF: none */
	const char *words; /* of the kernel's command line besides those of the machine; or NULL */
	uint64_t tsc_khz;  /* of the host's time stamp counter; 0: not known */
	int monitor;	   /* connected socket: the monitor's own protocol */
	int agent;	   /* connected socket: the agent's channel */
	int console;	   /* connected socket: what the guest's kernel says */
	int files;	   /* connected socket to virtiofsd; -EBADF: none. Memory is shared then */
	enum machine_role role;
	/*
	 * Of another role than MACHINE_FRESH: a memfd of `memory` bytes; and a template's state, a
	 * memfd, which a clone reads. Both are reopened, so that many clones may have the same. Of
	 * MACHINE_CLONE both are sealed against writing (machine_seal()): no monitor can change
	 * what the others start from. Templates and clones have no balloon, whose pages would be
	 * the template's.
	 */
	int memory_file, state;
	unsigned int slots; /* ports for what is plugged later; only of a machine with PCI */
	struct machine_disk disks[MACHINE_DISKS_MAX];
	unsigned int disks_len;
	struct machine_nic nics[MACHINE_NICS_MAX];
	unsigned int nics_len;
};

/* The tag under which the guest mounts what virtiofsd serves. */
#define MACHINE_FILES_TAG "caisson"
/* The name of the agent's port: /sys/class/virtio-ports/NAME/name in the guest. */
#define MACHINE_AGENT_PORT "org.caisson.agent"

/*
 * Files for memory_file and state of a template: memfds, the caller's. -ENOMEM, -EMFILE.
 * machine_copy(): a copy of a template's memory, without its holes, for MACHINE_COPY; into a memfd
 * of the caller's, whose monitor may have been started already but not been greeted.
 */
int machine_memory(uint64_t bytes, int *ret);
int machine_copy(int memory_file, int *ret);
int machine_copy_into(int memory_file, int copy);
/* After the template's monitor has ended (-EBUSY while it still maps the memory). */
int machine_seal(int fd);

/* -EINVAL names what is out of its limits. */
int machine_check(const struct machine *m, struct err *err);
