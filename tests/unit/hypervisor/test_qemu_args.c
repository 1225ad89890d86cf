/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/unit.h"

#include <errno.h>
#include <stdio.h>

#include "base/str.h"
#include "hypervisor/qemu_args.h"

static struct machine small(void)
{
	return (struct machine){
		.type = MACHINE_MICROVM,
		.cpus = 1,
		.memory = 256ull << 20,
		.kernel = 8,
		.initrd = 9,
		.monitor = 4,
		.agent = 5,
		.console = 6,
		.files = -EBADF,
	};
}

/* All arguments with a blank between them; the caller's. */
static char *line_of(const struct machine *m)
{
	char **list = NULL, *line = NULL;
	struct err err = { 0 };

	if (qemu_args("/q", m, &list, &err) < 0)
		fail_msg("%s", err.msg);
	for (size_t i = 0; list[i]; i++) {
		char *longer = NULL;

		assert_int_equal(str_printf(&longer, "%s%s ", line ? line : "", list[i]), 0);
		free(line);
		line = longer;
	}
	strv_free(list);
	return line;
}

static void has(const struct machine *m, const char *words)
{
	AUTO_FREE char *line = line_of(m);

	if (!strstr(line, words))
		fail_msg("\"%s\" has no \"%s\"", line, words);
}

static void has_not(const struct machine *m, const char *words)
{
	AUTO_FREE char *line = line_of(m);

	if (strstr(line, words))
		fail_msg("\"%s\" has \"%s\"", line, words);
}

static void refused(const struct machine *m, const char *words)
{
	struct err err = { 0 };
	char **list = NULL;

	assert_int_equal(qemu_args("/q", m, &list, &err), -EINVAL);
	assert_null(list);
	assert_says(err, words);
}

static void what_is_out_of_its_limits_is_named(void **state)
{
	struct machine m = small();

	(void)state;
	m.cpus = 0;
	refused(&m, "0 CPUs");
	m.cpus = MACHINE_CPUS_MAX + 1;
	refused(&m, "65 CPUs");
	m = small();
	m.memory = MACHINE_MEMORY_MIN - 4096;
	refused(&m, "bytes of memory, where");
	m.memory = MACHINE_MEMORY_MAX + 4096;
	refused(&m, "bytes of memory, where");
	m.memory = MACHINE_MEMORY_MIN + 1;
	refused(&m, "no whole pages");
	m = small();
	m.kernel = -EBADF;
	refused(&m, "no kernel");
	m = small();
	m.type = MACHINE_TYPES;
	refused(&m, "machine type");
	m = small();
	m.agent = -EBADF;
	refused(&m, "no socket");
	m = small();
	m.disks_len = MACHINE_DISKS_MAX + 1;
	refused(&m, "17 disks");
	m.disks_len = MACHINE_DISKS_MAX;
	m.nics_len = 6;
	refused(&m, "has no places for them");
	m = small();
	m.disks_len = 1;
	m.disks[0].fd = -EBADF;
	refused(&m, "disk 0 is not open");
	m.disks[0] = (struct machine_disk){ .fd = 20, .readonly = true, .pmem = 4 << 20 };
	refused(&m, "disk 0 cannot be persistent memory");
	m.type = MACHINE_Q35;
	m.disks[0].pmem++;
	refused(&m, "disk 0 cannot be persistent memory");
	m.disks[0].pmem--;
	m.disks[0].readonly = false;
	refused(&m, "disk 0 cannot be persistent memory");
	m = small();
	m.nics_len = 1;
	refused(&m, "0 queues");
	m.nics[0].taps_len = 1;
	m.nics[0].taps[0] = -EBADF;
	refused(&m, "queue 0 of network device 0 is not open");
	m.nics[0].taps[0] = 30;
	m.nics[0].mac[0] = 1;
	refused(&m, "address of a group");
}

static void words_of_any_length_are_whole_or_refused(void **state)
{
	char words[MACHINE_WORDS_MAX + 1];
	struct machine m = small();

	(void)state;
	memset(words, 'w', sizeof(words));
	words[MACHINE_WORDS_MAX] = '\0';
	m.words = words;
	refused(&m, "command line");
	words[MACHINE_WORDS_MAX - 1] = '\0';
	has(&m, words);
}

static void nothing_is_there_that_nobody_asked_for(void **state)
{
	const struct machine m = small();

	(void)state;
	has(&m, "-nodefaults -no-user-config -no-reboot");
	has(&m, "-sandbox on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny");
	has(&m, "memory-backend-ram,id=memory,size=268435456B,share=off");
	has_not(&m, "vhost-user-fs");
	has_not(&m, "-netdev");
	has_not(&m, "-blockdev");
	has_not(&m, "-pci");
}

static void an_emulated_machine_keeps_what_its_clocks_need(void **state)
{
	struct machine m = small();

	(void)state;
	m.tsc_khz = 2600000;
	has(&m, "rtc=on,pit=on,pic=on,acpi=on,pcie=off");
	has(&m, "-accel tcg,thread=single");
	has(&m, "-cpu max,-erms,-fsrm");
	has(&m, "lapic_hz=1000000000 tsc_early_khz=2600000 tsc=reliable");
	has_not(&m, "mitigations=off");
	m.accel = MACHINE_KVM;
	has(&m, "rtc=off,pit=off,pic=off");
	has(&m, "-accel kvm -cpu host");
	has_not(&m, "tsc_early_khz");
	has_not(&m, "tsc=");
	has_not(&m, "lapic_hz");
	has_not(&m, "mitigations=off");
}

static void files_share_the_memory(void **state)
{
	struct machine m = small();

	(void)state;
	m.files = 12;
	has(&m, "memory-backend-memfd,id=memory,size=268435456B,share=on");
	has(&m, "socket,id=files,fd=12 -device vhost-user-fs-device,chardev=files,tag=caisson");
	m.type = MACHINE_MICROVM_PCI;
	has(&m, "vhost-user-fs-pci");
	has(&m, "acpi=on,pcie=on");
}

static void devices_come_in_their_order(void **state)
{
	struct machine m = small();

	(void)state;
	m.disks_len = 2;
	m.disks[0] = (struct machine_disk){ .fd = 20, .readonly = true };
	m.disks[1].fd = 21;
	m.nics_len = 2;
	m.nics[0] = (struct machine_nic){ .taps = { 30 },
					  .taps_len = 1,
					  .mac = { 2, 0, 0, 0, 0, 0xfe } };
	m.nics[1] = (struct machine_nic){ .taps = { 31, 32 }, .taps_len = 2 };
	has(&m, "-add-fd fd=20,set=0 -blockdev driver=file,node-name=file0,"
		"filename=/dev/fdset/0,read-only=on");
	has(&m, "driver=raw,node-name=disk1,file=file1,read-only=off -device "
		"virtio-blk-device,drive=disk1");
	has(&m, "tap,id=net0,fd=30 -device virtio-net-device,netdev=net0,mac=02:00:00:00:00:fe -n");
	has(&m, "tap,id=net1,fds=31:32 -device "
		"virtio-net-device,netdev=net1,mac=00:00:00:00:00:00,mq=on");
}

static void an_image_is_persistent_memory_that_is_only_read(void **state)
{
	struct machine m = small();

	(void)state;
	m.type = MACHINE_Q35;
	m.disks_len = 2;
	m.disks[0] = (struct machine_disk){ .fd = 20, .readonly = true, .pmem = 4 << 20 };
	m.disks[1] = (struct machine_disk){ .fd = 21, .readonly = true };
	has(&m, "-object memory-backend-file,id=image0,size=4194304B,mem-path=/fd/20,share=on,"
		"readonly=on -device virtio-pmem-pci,memdev=image0");
	has(&m, "-m size=268435456B,maxmem=");
	has(&m, "fd=21,set=1");
}

static void a_clone_is_its_template_but_for_whose_memory_it_is(void **state)
{
	struct machine m = small();

	(void)state;
	m.type = MACHINE_MICROVM_PCI;
	m.role = MACHINE_TEMPLATE;
	m.memory_file = -EBADF;
	refused(&m, "no file of its memory");
	m.memory_file = 20;
	m.slots = 9;
	has(&m, "memory-backend-file,id=memory,size=268435456B,mem-path=/fd/201,share=on");
	has(&m, "pcie-root-port,id=slot0,chassis=1,slot=1,addr=0x1c.0,multifunction=on -device "
		"pcie-root-port,id=slot1,chassis=2,slot=2,addr=0x1c.1 ");
	has(&m, "id=slot8,chassis=9,slot=9,addr=0x1d.0,multifunction=on");
	has_not(&m, "incoming");
	has_not(&m, "balloon");
	has(&m, "driver=null-co,node-name=disk0,size=17592186044416,read-zeroes=on,read-only=on "
		"-device virtio-blk-pci,drive=disk0,");
	has(&m, " caisson_template=1");
	m.disks_len = 1;
	m.disks[0] = (struct machine_disk){ .fd = 30, .readonly = true };
	refused(&m, "a template with devices of its own");
	m.disks_len = 0;
	m.role = MACHINE_CLONE;
	m.state = -EBADF;
	refused(&m, "no file of its state");
	m.state = 21;
	has(&m, "mem-path=/fd/201,share=off -incoming defer");
	/* Both are in its memory. */
	m.kernel = m.initrd = -EBADF;
	has_not(&m, "-kernel");
	has(&m, "null-co");
	m.disks_len = 1;
	has(&m, "node-name=disk0,file=file0,read-only=on -device virtio-blk-pci,drive=disk0,");
	has_not(&m, "null-co");
	has(&m, "node-name=file0,filename=/dev/fdset/0,read-only=on,locking=off,drop-cache=off ");
	m.disks[0].readonly = false;
	refused(&m, "the first disk of a clone is no read-only file");
	m.disks_len = 0;
	m.role = MACHINE_COPY;
	has(&m, "mem-path=/fd/201,share=on -incoming defer");
	m.files = 22;
	refused(&m, "files cannot be a part");
	m = small();
	m.slots = 1;
	refused(&m, "1 slots, where 0 can be");
	m.type = MACHINE_Q35;
	m.slots = MACHINE_SLOTS_MAX + 1;
	refused(&m, "17 slots");
}

static void a_machine_that_may_grow_has_room(void **state)
{
	struct machine m = small();

	(void)state;
	has(&m, ",tb-size=64 ");
	has(&m, " -smp 1 -m 268435456B ");
	m.memory_max = 1ull << 30;
	refused(&m, "a fresh one of type q35 alone");
	m.type = MACHINE_Q35;
	has(&m, " -m size=268435456B,maxmem=1073741824B ");
	has(&m, "memory-backend-ram,id=room,size=805306368B,share=off ");
	has(&m, "virtio-mem-pci,id=room0,memdev=room,requested-size=0,block-size=2097152B ");
	has(&m, "memhp_default_state=online_movable");
	m.files = 7;
	has(&m, "memory-backend-memfd,id=room,size=805306368B,share=on ");
	m.memory_max = (1ull << 30) + 4096;
	refused(&m, "of at most 1073745920");
	m.memory_max = m.memory;
	has_not(&m, "id=room");
	m.cpus_max = 4;
	has(&m, " -smp cpus=1,maxcpus=4 ");
	/* More than one may come. */
	has_not(&m, "noreplace-smp");
	m.cpus = 5;
	refused(&m, "5 CPUs of at most 4");
}

static void most_devices_fit(void **state)
{
	struct machine m = small();
	AUTO_FREE char *line = NULL;

	(void)state;
	m.type = MACHINE_Q35;
	m.disks_len = MACHINE_DISKS_MAX;
	for (unsigned int i = 0; i < MACHINE_DISKS_MAX; i++)
		m.disks[i].fd = INT32_MAX;
	m.nics_len = MACHINE_NICS_MAX;
	for (unsigned int i = 0; i < MACHINE_NICS_MAX; i++) {
		m.nics[i].taps_len = MACHINE_QUEUES_MAX;
		for (unsigned int q = 0; q < MACHINE_QUEUES_MAX; q++)
			m.nics[i].taps[q] = INT32_MAX;
	}
	line = line_of(&m);
	assert_non_null(strstr(line, "node-name=disk15"));
	assert_non_null(strstr(line, "id=net7,fds=2147483647:2147483647:"));
	assert_non_null(strstr(line, "-machine q35,"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_out_of_its_limits_is_named),
		cmocka_unit_test(words_of_any_length_are_whole_or_refused),
		cmocka_unit_test(nothing_is_there_that_nobody_asked_for),
		cmocka_unit_test(an_emulated_machine_keeps_what_its_clocks_need),
		cmocka_unit_test(files_share_the_memory),
		cmocka_unit_test(devices_come_in_their_order),
		cmocka_unit_test(an_image_is_persistent_memory_that_is_only_read),
		cmocka_unit_test(a_clone_is_its_template_but_for_whose_memory_it_is),
		cmocka_unit_test(a_machine_that_may_grow_has_room),
		cmocka_unit_test(most_devices_fit),
	};

	return cmocka_run_group_tests_name("hypervisor/qemu_args", tests, NULL, NULL);
}
