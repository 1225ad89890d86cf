/* SPDX-License-Identifier: Apache-2.0 */
/*
 * runtime/vm/settings.h - what a machine is made of: the configuration's vm.KEY, or a container's
 * annotation io.caisson.vm.KEY where allowed_annotations lists it.
 *
 *   kernel, image      files of the guest; default: guest/vmlinux and guest/image of libexec
 *   qemu, virtiofsd    programs; default: where distributions put them
 *   accel              auto, kvm, tcg
 *   machine            microvm, microvm-pci, q35
 *   memory             of a machine whose container has no limit; default 512M
 *   cpus               likewise; default 1
 *   max_memory         what a machine may have at most, whatever limits and annotations ask for,
 *                      overhead included; default: the host's (of what annotations ask for
 *                      half of it, size.h)
 *   max_cpus           likewise; default: the host's
 *   overhead           what a machine has besides the container's limit; default 64M
 *   boot_timeout       seconds until the agent must have said HELLO; default 60
 *   debug_console      true: `caisson debug ID console` is allowed; default false
 *   cache              auto, always, none: what a guest may remember of the host's files (files.h)
 *   templates          on: a start takes a template that exists (template.h); default off
 *   nested             true: the guest's processors can run virtual machines; default false
 *
 * vm.template_dir is the configuration's alone.
 */
#pragma once

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/json.h"
#include "hypervisor/machine.h"
#include "runtime/runtime.h"

#define VM_ANNOTATION "io.caisson.vm." /* and a key of the configuration without "vm." */

#define VM_BOOT_MAX_S 600u

struct vm_config {
	char kernel[PATH_MAX], image[PATH_MAX];
	const char *qemu, *virtiofsd; /* borrowed; "": where distributions put them */
	bool try_kvm, only_kvm;	      /* accel: auto is the first alone */
	enum machine_type type;
	uint64_t memory, overhead; /* bytes */
	uint32_t cpus;
	uint64_t max_memory, host_memory; /* bytes; the first is never more than the second */
	uint64_t pod_memory; /* bytes that annotations may ask for; 0: as many as max_memory */
	uint32_t max_cpus;
	uint32_t boot_ms;
	bool debug_console;
	bool templates;
	unsigned int cache; /* enum files_cache */
	bool nested;
};

/*
 * `annotations`: an object of texts, the container's, or NULL. -EPERM for an annotation that is not
 * allowed, -EINVAL for a value that is none; both name it.
 */
int vm_settings_get(const struct runtime *rt, const json_t *annotations, struct vm_config *ret,
		    struct err *err);

/*
 * The next annotation io.caisson.vm.* behind `after` (NULL: the first) that nothing here reads, a
 * misspelt one perhaps, or NULL; the object's. OCI says that it is no error.
 */
const char *vm_settings_unknown(const json_t *annotations, const char *after);
