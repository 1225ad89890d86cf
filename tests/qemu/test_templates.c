/* SPDX-License-Identifier: Apache-2.0 */
/* A machine that was booted once goes on many times, and what is plugged then is there. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "hypervisor/control.h"
#include "lib/unit.h"
#include "qemu/devices.h"
#include "qemu/vm.h"

#define SLOTS 4u

static int memory = -EBADF, state = -EBADF; /* of the one template that all tests share */

static const struct hypervisor_ops *const ops = &hypervisor_qemu;

/* The client of its monitor, with all answers to its greeting. */
static struct qmp *greet(struct vm *vm)
{
	struct err err = { 0 };
	unsigned int asked = 0;
	struct qmp *qmp = NULL;

	assert_int_equal(qmp_new(vm->monitor, NULL, NULL, &qmp), 0);
	vm->monitor = -EBADF;
	if (ops->greet(qmp, &vm->machine, &asked, &err) < 0)
		fail_msg("%s", err.msg);
	while (asked--) {
		if (qmp_answer(qmp, VM_PATIENCE_MS, NULL, &err) < 0)
			fail_msg("%s", err.msg);
	}
	return qmp;
}

static void describe(struct vm *vm, enum machine_role role)
{
	vm_init(vm);
	vm->machine.type = MACHINE_MICROVM_PCI;
	vm->machine.slots = SLOTS;
	vm->machine.role = role;
	vm->machine.memory_file = memory;
	vm->machine.state = state;
}

static int make_template(void **unused)
{
	struct err err = { 0 };
	struct qmp *qmp;
	struct vm vm;

	(void)unused;
	if (machine_memory(256ull << 20, &memory) < 0 || machine_memory(0, &state) < 0)
		return -1;
	describe(&vm, MACHINE_TEMPLATE);
	vm_start(&vm);
	assert_string_equal(vm_hear(&vm), "HELLO");
	qmp = greet(&vm);
	if (ops->save(qmp, state, VM_PATIENCE_MS, &err) < 0)
		fail_msg("%s", err.msg);
	assert_int_equal(machine_seal(memory), -EBUSY);
	qmp_free(qmp);
	vm_done(&vm);
	assert_int_equal(machine_seal(memory), 0);
	assert_int_equal(machine_seal(state), 0);
	return 0;
}

static int drop_template(void **unused)
{
	(void)unused;
	(void)close(memory);
	(void)close(state);
	return 0;
}

/* A clone that runs. */
static struct qmp *start_clone(struct vm *vm, enum machine_role role)
{
	struct qmp *qmp;

	describe(vm, role);
	if (role == MACHINE_COPY)
		assert_int_equal(machine_copy(memory, &vm->machine.memory_file), 0);
	vm_start(vm);
	if (role == MACHINE_COPY)
		(void)close(vm->machine.memory_file);
	qmp = greet(vm);
	return qmp;
}

static void a_clone_goes_on_where_its_template_was(void **unused)
{
	struct qmp *qmp;
	struct vm vm;

	(void)unused;
	qmp = start_clone(&vm, MACHINE_CLONE);
	assert_string_equal(vm_ask(&vm, "cpus"), "1");
	(void)vm_ask(&vm, "sleep 50");
	qmp_free(qmp);
	vm_done(&vm);
}

static void what_a_clone_writes_no_other_sees(void **unused)
{
	char path[64];
	struct qmp *a, *b;
	struct vm one, two;
	int fd;

	(void)unused;
	a = start_clone(&one, MACHINE_CLONE);
	(void)vm_ask(&one, "write /mark one");
	b = start_clone(&two, MACHINE_CLONE);
	vm_tell(&two, "read /mark 3");
	assert_non_null(strstr(vm_hear(&two), "No such file"));
	(void)vm_ask(&two, "write /mark two");
	assert_string_equal(vm_ask(&one, "read /mark 3"), "one");
	/* Nor can its monitor, which has it open for writing. */
	(void)snprintf(path, sizeof(path), "/proc/%d/fd/201", (int)two.pid);
	fd = open(path, O_RDWR | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, "x", 1, 0), -1);
	assert_int_equal(errno, EPERM);
	assert_ptr_equal(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), MAP_FAILED);
	assert_int_equal(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096), -1);
	(void)close(fd);
	qmp_free(a);
	qmp_free(b);
	vm_done(&one);
	vm_done(&two);
}

/* The first takes the place of the template's, the others are found when somebody looks. */
static void a_clone_has_devices_that_its_template_had_not(void **unused)
{
	struct machine_nic nic = { .taps_len = 1, .mac = { 2, 0, 0, 0, 0, 0xfe } };
	struct qmp *qmp;
	int ns, echo;
	struct vm vm;
	pid_t pid;

	(void)unused;
	describe(&vm, MACHINE_CLONE);
	make_net(&ns, &nic.taps[0], &echo);
	vm.machine.disks_len = 2;
	for (int i = 0; i < 2; i++)
		vm.machine.disks[i] = (struct machine_disk){ .fd = make_disk("ext4", O_RDONLY),
							     .readonly = true };
	vm.machine.nics_len = 1;
	vm.machine.nics[0] = nic;
	pid = start_echo(echo);
	vm_start(&vm);
	qmp = greet(&vm);
	(void)vm_ask(&vm, "mount ext4 /dev/vda ro");
	assert_string_equal(vm_ask(&vm, "read /mnt/greeting 17"), "hello from a disk");
	(void)vm_ask(&vm, "umount");
	(void)vm_ask(&vm, "gone /dev/vdb");
	(void)vm_ask(&vm, "rescan");
	(void)vm_ask(&vm, "wait /dev/vdb");
	(void)vm_ask(&vm, "mount ext4 /dev/vdb ro");
	assert_string_equal(vm_ask(&vm, "read /mnt/greeting 17"), "hello from a disk");
	assert_string_equal(vm_ask(&vm, "net eth0"), "02:00:00:00:00:fe");
	(void)vm_ask(&vm, "ping 5");
	(void)kill(pid, SIGKILL);
	(void)waitpid(pid, NULL, 0);
	for (int i = 0; i < 2; i++)
		(void)close(vm.machine.disks[i].fd);
	(void)close(ns);
	(void)close(echo);
	(void)close(nic.taps[0]);
	qmp_free(qmp);
	vm_done(&vm);
}

static void files_are_plugged_into_a_copy(void **unused)
{
	char dir[] = "/tmp/caisson-test-files-XXXXXX", file[64];
	struct err err = { 0 };
	unsigned int asked;
	struct qmp *qmp;
	struct vm vm;
	pid_t pid;
	int files;

	(void)unused;
	if (!has_virtiofsd()) {
		print_message("needs virtiofsd: CAVEATS.md#vm-guest\n");
		skip();
	}
	assert_non_null(mkdtemp(dir));
	(void)snprintf(file, sizeof(file), "%s/note", dir);
	qmp = start_clone(&vm, MACHINE_COPY);
	(void)vm_ask(&vm, "write /mark copy");
	pid = start_files(dir, &files);
	if (ops->ask_files(qmp, 2, files, &asked, &err) < 0)
		fail_msg("%s", err.msg);
	while (asked--) {
		if (qmp_answer(qmp, VM_PATIENCE_MS, NULL, &err) < 0)
			fail_msg("%s", err.msg);
	}
	(void)vm_ask(&vm, "wait-mount virtiofs " MACHINE_FILES_TAG " rw");
	(void)vm_ask(&vm, "write /mnt/note inside");
	assert_int_equal(access(file, F_OK), 0);
	(void)close(files);
	qmp_free(qmp);
	vm_done(&vm);
	(void)kill(pid, SIGKILL);
	(void)waitpid(pid, NULL, 0);
	(void)unlink(file);
	(void)rmdir(dir);
}

/* A state that is none ends in a sentence of QEMU's, not in a wait. */
static void a_torn_state_ends_the_clone(void **unused)
{
	struct err err = { 0 };
	unsigned int asked;
	struct qmp *qmp = NULL;
	struct vm vm;
	int torn = -EBADF;
	char text[512];

	(void)unused;
	assert_int_equal(machine_memory(4096, &torn), 0);
	describe(&vm, MACHINE_CLONE);
	vm.machine.state = torn;
	vm_start(&vm);
	assert_int_equal(qmp_new(vm.monitor, NULL, NULL, &qmp), 0);
	vm.monitor = -EBADF;
	assert_int_equal(ops->greet(qmp, &vm.machine, &asked, &err), 0);
	assert_true(vm_await_end(&vm, VM_PATIENCE_MS));
	assert_int_not_equal(vm.status, 0);
	(void)vm_console_telling(&vm.complained, text, sizeof(text));
	assert_non_null(strstr(text, "migration"));
	(void)close(torn);
	qmp_free(qmp);
	vm_done(&vm);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_clone_goes_on_where_its_template_was),
		cmocka_unit_test(what_a_clone_writes_no_other_sees),
		cmocka_unit_test(a_clone_has_devices_that_its_template_had_not),
		cmocka_unit_test(files_are_plugged_into_a_copy),
		cmocka_unit_test(a_torn_state_ends_the_clone),
	};

	if (!vm_possible())
		return 77;
	return cmocka_run_group_tests_name("qemu/templates", tests, make_template, drop_template);
}
