/* SPDX-License-Identifier: Apache-2.0 */
/* Each kind of machine and device that a description can have, in a QEMU that really runs. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fd.h"
#include "lib/unit.h"
#include "qemu/devices.h"
#include "qemu/vm.h"

static void boots(enum machine_type type, unsigned int cpus)
{
	char count[16];
	struct vm vm;

	vm_init(&vm);
	vm.machine.type = type;
	vm.machine.cpus = cpus;
	vm_start(&vm);
	assert_string_equal(vm_hear(&vm), "HELLO");
	(void)snprintf(count, sizeof(count), "%u", cpus);
	assert_string_equal(vm_ask(&vm, "cpus"), count);
	vm_done(&vm);
}

static void a_microvm_boots(void **state)
{
	(void)state;
	boots(MACHINE_MICROVM, 1);
	boots(MACHINE_MICROVM, 2);
}

static void a_microvm_with_pci_boots(void **state)
{
	(void)state;
	boots(MACHINE_MICROVM_PCI, 2);
}

static void a_q35_boots(void **state)
{
	(void)state;
	boots(MACHINE_Q35, 2);
}

/* ---- Disks ---- */

static void disks_are_read_and_written(enum machine_type type)
{
	char text[8] = "";
	struct vm vm;

	vm_init(&vm);
	vm.machine.type = type;
	vm.machine.disks[0].fd = make_disk("ext4", O_RDONLY);
	vm.machine.disks[0].readonly = true;
	vm.machine.disks[1].fd = make_disk("ext4", O_RDWR);
	vm.machine.disks_len = 2;
	vm_start(&vm);
	assert_string_equal(vm_hear(&vm), "HELLO");
	(void)vm_ask(&vm, "mount ext4 /dev/vda ro");
	assert_string_equal(vm_ask(&vm, "read /mnt/greeting 17"), "hello from a disk");
	(void)vm_ask(&vm, "umount");
	vm_tell(&vm, "write /dev/vda changed");
	assert_non_null(strstr(vm_hear(&vm), "error"));
	(void)vm_ask(&vm, "mount ext4 /dev/vdb rw");
	(void)vm_ask(&vm, "write /mnt/greeting HELLO");
	(void)vm_ask(&vm, "umount");
	(void)vm_ask(&vm, "write /dev/vdb boot");
	assert_int_equal(pread(vm.machine.disks[1].fd, text, 4, 0), 4);
	assert_string_equal(text, "boot");
	(void)close(vm.machine.disks[0].fd);
	(void)close(vm.machine.disks[1].fd);
	vm_done(&vm);
}

static void a_guest_reads_and_writes_its_disks_and_no_more(void **state)
{
	(void)state;
	disks_are_read_and_written(MACHINE_MICROVM);
	disks_are_read_and_written(MACHINE_MICROVM_PCI);
}

static void a_guest_reads_an_erofs_image(void **state)
{
	struct vm vm;

	(void)state;
	if (access("/usr/bin/mkfs.erofs", X_OK) < 0) {
		print_message("needs mkfs.erofs: CAVEATS.md#vm-images\n");
		skip();
	}
	vm_init(&vm);
	vm.machine.disks[0].fd = make_disk("erofs", O_RDONLY);
	vm.machine.disks[0].readonly = true;
	vm.machine.disks_len = 1;
	vm_start(&vm);
	assert_string_equal(vm_hear(&vm), "HELLO");
	(void)vm_ask(&vm, "mount erofs /dev/vda ro");
	assert_string_equal(vm_ask(&vm, "read /mnt/greeting 17"), "hello from a disk");
	(void)close(vm.machine.disks[0].fd);
	vm_done(&vm);
}

/* ---- Network ---- */

static const uint8_t mac[6] = { 2, 0, 0, 0, 0, 0xfe };

static void a_guest_speaks_through_a_tap(enum machine_type type)
{
	struct machine_nic *nic;
	struct vm vm;
	int echo;
	pid_t pid;

	vm_init(&vm);
	nic = &vm.machine.nics[0];
	vm.machine.type = type;
	vm.machine.nics_len = 1;
	nic->taps_len = 1;
	memcpy(nic->mac, mac, sizeof(mac));
	make_net(&vm.netns, &nic->taps[0], &echo);
	pid = start_echo(echo);
	vm_start(&vm);
	assert_string_equal(vm_hear(&vm), "HELLO");
	assert_string_equal(vm_ask(&vm, "net eth0"), "02:00:00:00:00:fe");
	(void)vm_ask(&vm, "ping 5");
	(void)kill(pid, SIGKILL);
	(void)waitpid(pid, NULL, 0);
	(void)close(echo);
	(void)close(nic->taps[0]);
	(void)close(vm.netns);
	vm_done(&vm);
}

static void a_network_device_is_a_tap_outside(void **state)
{
	(void)state;
	a_guest_speaks_through_a_tap(MACHINE_MICROVM);
	a_guest_speaks_through_a_tap(MACHINE_MICROVM_PCI);
}

/* ---- Files ---- */

static void a_guest_shares_files(enum machine_type type)
{
	char dir[] = "/tmp/caisson-test-files-XXXXXX", file[64];
	AUTO_BUF struct buf written = { 0 };
	struct vm vm;
	pid_t pid;

	assert_non_null(mkdtemp(dir));
	(void)snprintf(file, sizeof(file), "%s/note", dir);
	vm_init(&vm);
	vm.machine.type = type;
	pid = start_files(dir, &vm.machine.files);
	vm_start(&vm);
	assert_string_equal(vm_hear(&vm), "HELLO");
	(void)vm_ask(&vm, "mount virtiofs " MACHINE_FILES_TAG " rw");
	(void)vm_ask(&vm, "write /mnt/note inside");
	assert_int_equal(fd_read_file(AT_FDCWD, file, &written), 0);
	assert_string_equal(written.data, "inside");
	assert_string_equal(vm_ask(&vm, "read /mnt/note 20"), "inside");
	(void)close(vm.machine.files);
	vm_done(&vm);
	(void)kill(pid, SIGKILL);
	(void)waitpid(pid, NULL, 0);
	(void)unlink(file);
	(void)rmdir(dir);
}

static void files_are_those_of_virtiofsd(void **state)
{
	(void)state;
	if (!has_virtiofsd()) {
		print_message("needs virtiofsd: CAVEATS.md#vm-guest\n");
		skip();
	}
	a_guest_shares_files(MACHINE_MICROVM);
	a_guest_shares_files(MACHINE_MICROVM_PCI);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_microvm_boots),
		cmocka_unit_test(a_microvm_with_pci_boots),
		cmocka_unit_test(a_q35_boots),
		cmocka_unit_test(a_guest_reads_and_writes_its_disks_and_no_more),
		cmocka_unit_test(a_guest_reads_an_erofs_image),
		cmocka_unit_test(a_network_device_is_a_tap_outside),
		cmocka_unit_test(files_are_those_of_virtiofsd),
	};

	if (!vm_possible())
		return 77;
	return cmocka_run_group_tests_name("qemu/machines", tests, NULL, NULL);
}
