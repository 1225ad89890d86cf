/* SPDX-License-Identifier: Apache-2.0 */
/*
 * caisson-vm: the supervisor of one virtual machine. wire/vmm_msg.h says how it is started, vm.h
 * how it lives.
 */
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdio.h>
#include <unistd.h>

#include "base/json.h"
#include "base/log.h"
#include "vmm/boot.h"
#include "vmm/cage.h"
#include "vmm/channel.h"
#include "vmm/description.h"
#include "vmm/monitor.h"
#include "vmm/report.h"
#include "vmm/signals.h"
#include "vmm/vm.h"

/* What is large goes back to the kernel when it is freed: descriptions, answers. */
#define MMAP_BYTES (64 << 10)

/*
 * A number of the container's that is closed must not become something of ours, which it would then
 * be given: 0, /dev/null, holds its place.
 */
static int hold_places(struct vm *vm, struct err *err)
{
	for (int i = 0; i < 3; i++) {
		const int fd = VMM_FD_STDIO + i;

		vm->stdio[i] = fd;
		if (fcntl(fd, F_GETFD) >= 0)
			continue;
		vm->stdio[i] = -EBADF;
		if (dup3(0, fd, O_CLOEXEC) < 0)
			return err_sys(err, -errno, "hold descriptor %d", fd);
	}
	return 0;
}

static int begin(struct vm *vm, struct err *err)
{
	int r = hold_places(vm, err);

	if (r == 0)
		r = description_read(VMM_FD_DESCRIPTION, vm->id, &vm->description, err);
	(void)close(VMM_FD_DESCRIPTION);
	if (r < 0)
		return r;
	vm->head = vm->description->head;
	vm->memory = vm->head.memory;
	vm->cpus_there = vm->cpus_online = vm->head.cpus;
	log_setup(VMM_FD_LOG, vm->head.flags & VMM_LOG_JSON,
		  vm->head.flags & VMM_LOG_DEBUG ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO);
	r = loop_new(&vm->loop);
	if (r < 0)
		return err_sys(err, r, "make the loop");
	r = signals_start(vm, err);
	if (r == 0)
		r = cage_close(err);
	if (r == 0)
		r = monitor_new(vm, &vm->monitor, err);
	if (r == 0)
		r = channel_new(vm, VMM_FD_AGENT, &vm->channel, err);
	if (r == 0)
		r = boot_begin(vm, err);
	/* Who ended before signals were waited for has left none. */
	if (r == 0)
		monitor_reap(vm->monitor);
	return r;
}

int main(int argc, char **argv)
{
	static struct vm vm;
	struct err err = { 0 };
	int r;

	if (argc != 2) {
		(void)fprintf(stderr, "usage: caisson-vm ID (started by caisson)\n");
		return VM_EXIT_BOOT;
	}
	json_setup();
	(void)mallopt(M_MMAP_THRESHOLD, MMAP_BYTES);
	(void)mallopt(M_TRIM_THRESHOLD, MMAP_BYTES);
	vm.id = argv[1];
	vm.times.entered = vm_now_ns();
	list_init(&vm.containers);
	list_init(&vm.processes);
	if (begin(&vm, &err) < 0) {
		report_say(SENTRY_REPORT_FAILED, &err);
		return VM_EXIT_BOOT;
	}
	r = loop_run(vm.loop);
	return r < 0 ? VM_EXIT_LOST : r;
}
