/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Machines that grow, shrink and give back: memory and CPUs of a q35 while it runs, and what the
 * host gets of memory that a guest has freed, with and without files that are shared.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/fd.h"
#include "hypervisor/control.h"
#include "lib/unit.h"
#include "qemu/devices.h"
#include "qemu/vm.h"

#define MIB 1048576ull

static const struct hypervisor_ops *const ops = &hypervisor_qemu;

static struct qmp *greeted(struct vm *vm)
{
	struct err err = { 0 };
	struct qmp *qmp;
	unsigned int asked;

	assert_int_equal(qmp_new(vm->monitor, NULL, NULL, &qmp), 0);
	vm->monitor = -EBADF;
	assert_int_equal(ops->greet(qmp, &vm->machine, &asked, &err), 0);
	while (asked--)
		assert_int_equal(qmp_answer(qmp, VM_PATIENCE_MS, NULL, &err), 0);
	return qmp;
}

/* Until the guest has followed. */
static void await_plugged(struct qmp *qmp, uint64_t wanted)
{
	const int64_t deadline = clock_ms() + VM_PATIENCE_MS;
	struct err err = { 0 };
	uint64_t there = UINT64_MAX;

	while (there != wanted && clock_ms() < deadline) {
		assert_int_equal(ops->plugged_memory(qmp, &there, &err), 0);
		(void)usleep(20000);
	}
	assert_int_equal(there, wanted);
}

static uint64_t guest_memory(struct vm *vm)
{
	return strtoull(vm_ask(vm, "memory"), NULL, 10) << 10;
}

/* A guest's kernel asks for a block first, and has it on line a while after that. */
static void await_guest_memory(struct vm *vm, uint64_t least)
{
	const int64_t deadline = clock_ms() + VM_PATIENCE_MS;

	while (guest_memory(vm) < least && clock_ms() < deadline)
		(void)usleep(20000);
	assert_true(guest_memory(vm) >= least);
}

static void a_q35_grows_and_shrinks(void **state)
{
	struct err err = { 0 };
	struct qmp *qmp;
	uint64_t before;
	struct vm vm;

	(void)state;
	vm_init(&vm);
	vm.machine.type = MACHINE_Q35;
	vm.machine.memory_max = vm.machine.memory + 1024 * MIB;
	vm_start(&vm);
	assert_string_equal(vm_hear(&vm), "HELLO");
	qmp = greeted(&vm);
	before = guest_memory(&vm);
	assert_int_equal(ops->plug_memory(qmp, MIB, &err), -EINVAL);
	assert_int_equal(ops->plug_memory(qmp, 2048 * MIB, &err), -EREMOTEIO);
	assert_int_equal(ops->plug_memory(qmp, 300 * MIB, &err), 0);
	await_plugged(qmp, 300 * MIB);
	await_guest_memory(&vm, before + 280 * MIB);
	(void)vm_ask(&vm, "fill 250");
	(void)vm_ask(&vm, "drop");
	assert_int_equal(ops->plug_memory(qmp, 0, &err), 0);
	await_plugged(qmp, 0);
	assert_true(guest_memory(&vm) < before + 20 * MIB);
	qmp_free(qmp);
	vm_done(&vm);
}

static void a_q35_gets_cpus(void **state)
{
	struct err err = { 0 };
	struct qmp *qmp;
	struct vm vm;

	(void)state;
	vm_init(&vm);
	vm.machine.type = MACHINE_Q35;
	vm.machine.cpus_max = 4;
	vm_start(&vm);
	assert_string_equal(vm_hear(&vm), "HELLO");
	qmp = greeted(&vm);
	assert_string_equal(vm_ask(&vm, "cpus"), "1");
	assert_int_equal(ops->plug_cpus(qmp, 5, &err), -EINVAL);
	assert_int_equal(ops->plug_cpus(qmp, 3, &err), 0);
	/* Those that are there stay. */
	assert_int_equal(ops->plug_cpus(qmp, 2, &err), 0);
	(void)vm_ask(&vm, "wait /sys/devices/system/cpu/cpu2/online");
	(void)vm_ask(&vm, "write /sys/devices/system/cpu/cpu1/online 1");
	(void)vm_ask(&vm, "write /sys/devices/system/cpu/cpu2/online 1");
	assert_string_equal(vm_ask(&vm, "cpus"), "3");
	(void)vm_ask(&vm, "write /sys/devices/system/cpu/cpu2/online 0");
	assert_string_equal(vm_ask(&vm, "cpus"), "2");
	qmp_free(qmp);
	vm_done(&vm);
}

static void a_microvm_has_no_room(void **state)
{
	struct err err = { 0 };
	struct vm vm;

	(void)state;
	vm_init(&vm);
	vm.machine.memory_max = vm.machine.memory + 64 * MIB;
	assert_int_equal(machine_check(&vm.machine, &err), -EINVAL);
	vm.machine.memory_max = 0;
	vm.machine.cpus_max = 2;
	assert_int_equal(machine_check(&vm.machine, &err), -EINVAL);
	vm.machine.type = MACHINE_Q35;
	assert_int_equal(machine_check(&vm.machine, &err), 0);
	vm.machine.memory_max = vm.machine.memory + 4096;
	assert_int_equal(machine_check(&vm.machine, &err), -EINVAL);
	vm.machine.memory_max = 0;
	vm.machine.cpus = 3;
	assert_int_equal(machine_check(&vm.machine, &err), -EINVAL);
	vm.machine.cpus = 1;
	vm_done(&vm);
}

/* ---- What is given back ---- */

static uint64_t resident(pid_t pid)
{
	AUTO_BUF struct buf text = { .max = 1 << 16 };
	char path[64];
	const char *at;

	(void)snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", (int)pid);
	assert_int_equal(fd_read_file(AT_FDCWD, path, &text), 0);
	at = strstr(text.data, "\nRss:");
	assert_non_null(at);
	return strtoull(at + 5, NULL, 10) << 10;
}

static void freed_memory_comes_back(enum machine_type type, bool shared)
{
	const int64_t deadline = clock_ms() + VM_PATIENCE_MS;
	char dir[] = "/tmp/caisson-test-files-XXXXXX";
	uint64_t full, left;
	pid_t files = 0;
	struct vm vm;

	vm_init(&vm);
	vm.machine.type = type;
	if (shared) {
		assert_non_null(mkdtemp(dir));
		files = start_files(dir, &vm.machine.files);
	}
	vm_start(&vm);
	assert_string_equal(vm_hear(&vm), "HELLO");
	(void)vm_ask(&vm, "fill 128");
	full = resident(vm.pid);
	(void)vm_ask(&vm, "drop");
	do {
		(void)usleep(50000);
		left = resident(vm.pid);
	} while (left + 100 * MIB > full && clock_ms() < deadline);
	if (left + 100 * MIB > full)
		fail_msg("type %d, files %d: %" PRIu64 " of %" PRIu64 " bytes are left", (int)type,
			 shared, left, full);
	if (shared)
		(void)close(vm.machine.files);
	vm_done(&vm);
	if (files) {
		(void)kill(files, SIGKILL);
		(void)waitpid(files, NULL, 0);
		(void)rmdir(dir);
	}
}

static void what_a_guest_frees_comes_back_to_the_host(void **state)
{
	(void)state;
	freed_memory_comes_back(MACHINE_MICROVM, false);
	freed_memory_comes_back(MACHINE_Q35, false);
}

static void also_with_files_that_are_shared(void **state)
{
	(void)state;
	if (!has_virtiofsd())
		skip();
	freed_memory_comes_back(MACHINE_MICROVM, true);
	freed_memory_comes_back(MACHINE_Q35, true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_microvm_has_no_room),
		cmocka_unit_test(a_q35_grows_and_shrinks),
		cmocka_unit_test(a_q35_gets_cpus),
		cmocka_unit_test(what_a_guest_frees_comes_back_to_the_host),
		cmocka_unit_test(also_with_files_that_are_shared),
	};

	if (!vm_possible())
		return 77;
	return cmocka_run_group_tests_name("qemu/sizes", tests, NULL, NULL);
}
