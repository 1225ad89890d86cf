/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/vm/programs.h"

#include <fcntl.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "hypervisor/probe.h"
#include "hypervisor/qemu.h"

void vm_programs_done(struct vm_programs *p)
{
	auto_close_p(&p->qemu);
	auto_close_p(&p->kernel);
	auto_close_p(&p->image);
	*p = (struct vm_programs)VM_PROGRAMS_INIT;
}

static int open_guest_file(const char *key, const char *path, int *ret, struct err *err)
{
	*ret = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	return *ret < 0 ? err_sys(err, -errno, "class vm: vm.%s %s", key, path) : 0;
}

int vm_programs_open(const struct vm_config *config, struct vm_programs *ret, struct err *err)
{
	int r;

	ret->qemu = qemu_find(config->qemu, err);
	if (ret->qemu < 0)
		return err_prefix(err, ret->qemu, "class vm");
	r = open_guest_file("kernel", config->kernel, &ret->kernel, err);
	return r < 0 ? r : open_guest_file("image", config->image, &ret->image, err);
}

int vm_accel_choose(const struct vm_config *config, const struct vm_programs *p, uint32_t uid,
		    enum machine_accel *ret, struct err *err)
{
	char memory[PATH_MAX];
	const struct probe_plan plan = { .program = p->qemu,
					 .kernel = p->kernel,
					 .uid = uid,
					 .gid = uid,
					 .memory = probe_memory(memory) };
	struct probe probe = { .accel = MACHINE_KVM };
	int r = 0;

	if (!config->try_kvm)
		probe.accel = MACHINE_TCG;
	if (config->try_kvm && !config->only_kvm)
		r = hypervisor_probe(&plan, &probe, err);
	if (r == 0 && *probe.reason)
		log_debug("class vm: machines are emulated in software: %s", probe.reason);
	*ret = probe.accel;
	return r < 0 ? err_prefix(err, r, "class vm") : 0;
}
