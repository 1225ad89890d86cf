/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Starts that fail, and how soon and in which words: QEMU ends, and its standard error or the
 * guest's console tells why. And what QEMU sees of the host meanwhile.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fd.h"
#include "hypervisor/qemu.h"
#include "lib/unit.h"
#include "qemu/vm.h"

/* It ends by itself, and `console` or QEMU's own words have this. */
static void ends_with(struct vm *vm, bool by_console, const char *words)
{
	char text[1024];

	vm_start(vm);
	assert_true(vm_await_end(vm, VM_PATIENCE_MS));
	(void)vm_console_telling(by_console ? &vm->said : &vm->complained, text, sizeof(text));
	if (!strstr(text, words))
		fail_msg("\"%s\" does not say \"%s\"", text, words);
	vm_done(vm);
}

static void use_kernel(struct vm *vm, const char *path)
{
	(void)close(vm->machine.kernel);
	vm->machine.kernel = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(vm->machine.kernel > 2);
}

static void what_is_no_kernel_is_named(void **state)
{
	struct vm vm;

	(void)state;
	vm_init(&vm);
	use_kernel(&vm, "/etc/passwd");
	ends_with(&vm, false, "kernel");
}

/* The first mebibyte of one. */
static void a_torn_kernel_does_not_hang(void **state)
{
	char path[] = "/tmp/caisson-test-kernel-XXXXXX";
	const int torn = mkstemp(path), whole = vm_kernel();
	char self[FD_PATH_MAX], *bytes = malloc(1 << 20);
	const int source = open(fd_path(whole, self), O_RDONLY | O_CLOEXEC);
	struct vm vm;

	(void)state;
	assert_non_null(bytes);
	assert_int_equal(read(source, bytes, 1 << 20), 1 << 20);
	assert_int_equal(fd_write_all(torn, bytes, 1 << 20), 0);
	assert_int_equal(fchmod(torn, 0644), 0);
	free(bytes);
	(void)close(source);
	(void)close(whole);
	vm_init(&vm);
	use_kernel(&vm, path);
	ends_with(&vm, false, "kernel");
	(void)close(torn);
	(void)unlink(path);
}

static void a_kernel_that_the_monitor_may_not_read_is_named(void **state)
{
	char path[] = "/tmp/caisson-test-kernel-XXXXXX";
	const int fd = mkstemp(path); /* 0600, root's */
	struct vm vm;

	(void)state;
	vm_init(&vm);
	use_kernel(&vm, path);
	ends_with(&vm, false, "Permission denied");
	(void)close(fd);
	(void)unlink(path);
}

static void a_guest_without_an_init_panics(void **state)
{
	struct vm vm;

	(void)state;
	vm_init(&vm);
	(void)close(vm.machine.initrd);
	vm.machine.initrd = -EBADF;
	ends_with(&vm, true, "Kernel panic - not syncing: VFS");
}

static void an_init_that_ends_is_a_panic(void **state)
{
	struct vm vm;

	(void)state;
	vm_init(&vm);
	vm_start(&vm);
	assert_string_equal(vm_hear(&vm), "HELLO");
	vm_tell(&vm, "exit");
	assert_true(vm_await_end(&vm, VM_PATIENCE_MS));
	assert_true(WIFEXITED(vm.status) && WEXITSTATUS(vm.status) == 0);
	{
		char text[512];

		(void)vm_console_telling(&vm.said, text, sizeof(text));
		assert_non_null(strstr(text, "Kernel panic - not syncing: Attempted to kill init"));
	}
	vm_done(&vm);
}

static void a_guest_out_of_memory_says_so(void **state)
{
	char text[1024];
	struct vm vm;

	(void)state;
	vm_init(&vm);
	vm.machine.memory = 64ull << 20;
	vm_start(&vm);
	assert_string_equal(vm_hear(&vm), "HELLO");
	vm_tell(&vm, "oom");
	assert_true(vm_await_end(&vm, VM_PATIENCE_MS));
	(void)vm_console_telling(&vm.said, text, sizeof(text));
	assert_non_null(strstr(text, "Kernel panic - not syncing: "));
	assert_non_null(strstr(text, "memory"));
	vm_done(&vm);
}

static void the_least_memory_is_enough(void **state)
{
	struct vm vm;

	(void)state;
	vm_init(&vm);
	vm.machine.memory = MACHINE_MEMORY_MIN;
	vm_start(&vm);
	assert_string_equal(vm_hear(&vm), "HELLO");
	vm_done(&vm);
}

static void a_machine_that_powers_off_ends_the_monitor(void **state)
{
	struct vm vm;

	(void)state;
	vm_init(&vm);
	vm_start(&vm);
	assert_string_equal(vm_hear(&vm), "HELLO");
	vm_tell(&vm, "off");
	assert_true(vm_await_end(&vm, VM_PATIENCE_MS));
	assert_true(WIFEXITED(vm.status) && WEXITSTATUS(vm.status) == 0);
	vm_done(&vm);
}

static void a_program_that_is_not_there_is_named(void **state)
{
	struct err err = { 0 };

	(void)state;
	assert_int_equal(qemu_find("/nowhere/qemu", &err), -ENOENT);
	assert_says(err, "/nowhere/qemu");
	assert_int_equal(qemu_find("/etc/passwd", &err), -EACCES);
	assert_int_equal(qemu_find("/tmp", &err), -EACCES);
}

/* ---- The cage ---- */

static void status_has(pid_t pid, const char *words)
{
	AUTO_BUF struct buf status = { 0 };
	char path[64];

	(void)snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	assert_int_equal(fd_read_file(AT_FDCWD, path, &status), 0);
	if (!strstr(status.data, words))
		fail_msg("no \"%s\" in %s", words, status.data);
}

static unsigned int count(const char *path)
{
	DIR *dir = opendir(path);
	unsigned int n = 0;

	assert_non_null(dir);
	for (const struct dirent *e; (e = readdir(dir));)
		n += e->d_name[0] != '.';
	(void)closedir(dir);
	return n;
}

static void the_monitor_sees_little_and_may_nothing(void **state)
{
	static const char *const hidden[] = { "proc",	    "sys",     "etc/passwd", "root",
					      "usr/bin/sh", "dev/kvm", "tmp",	     "home" };
	AUTO_BUF struct buf mounts = { 0 };
	char path[128];
	struct vm vm;

	(void)state;
	vm_init(&vm);
	vm_start(&vm);
	assert_string_equal(vm_hear(&vm), "HELLO");
	status_has(vm.pid, "Uid:\t61234\t61234\t61234\t61234");
	status_has(vm.pid, "Gid:\t61234\t61234\t61234\t61234");
	status_has(vm.pid, "Groups:\t \n");
	status_has(vm.pid, "CapPrm:\t0000000000000000");
	status_has(vm.pid, "CapBnd:\t0000000000000000");
	status_has(vm.pid, "NoNewPrivs:\t1");
	status_has(vm.pid, "Seccomp:\t2");
	status_has(vm.pid, "Seccomp_filters:\t4"); /* three of ours and its own */
	for (size_t i = 0; i < sizeof(hidden) / sizeof(*hidden); i++) {
		(void)snprintf(path, sizeof(path), "/proc/%d/root/%s", (int)vm.pid, hidden[i]);
		if (access(path, F_OK) == 0)
			fail_msg("%s is there", path);
	}
	(void)snprintf(path, sizeof(path), "/proc/%d/root", (int)vm.pid);
	assert_true(count(path) <= 8); /* kernel, image, dev, etc, lib, lib64, usr */
	(void)snprintf(path, sizeof(path), "/proc/%d/mounts", (int)vm.pid);
	assert_int_equal(fd_read_file(AT_FDCWD, path, &mounts), 0);
	for (char *line = strtok(mounts.data, "\n"); line; line = strtok(NULL, "\n")) {
		if (!strstr(line, " ro,") && !strstr(line, " /dev/null "))
			fail_msg("a mount that can be written: %s", line);
	}
	vm_done(&vm);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_no_kernel_is_named),
		cmocka_unit_test(a_torn_kernel_does_not_hang),
		cmocka_unit_test(a_kernel_that_the_monitor_may_not_read_is_named),
		cmocka_unit_test(a_guest_without_an_init_panics),
		cmocka_unit_test(an_init_that_ends_is_a_panic),
		cmocka_unit_test(a_guest_out_of_memory_says_so),
		cmocka_unit_test(the_least_memory_is_enough),
		cmocka_unit_test(a_machine_that_powers_off_ends_the_monitor),
		cmocka_unit_test(a_program_that_is_not_there_is_named),
		cmocka_unit_test(the_monitor_sees_little_and_may_nothing),
	};

	if (!vm_possible())
		return 77;
	return cmocka_run_group_tests_name("qemu/failures", tests, NULL, NULL);
}
