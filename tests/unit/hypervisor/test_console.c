/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/unit.h"

#include <stdio.h>
#include <stdlib.h>

#include "hypervisor/console.h"

static void put(struct vm_console *c, const char *text)
{
	vm_console_put(c, text, strlen(text));
}

static void one_that_said_nothing_tells_nothing(void **state)
{
	struct vm_console c = { 0 };
	char text[32] = "?";

	(void)state;
	assert_int_equal(vm_console_tail(&c, text, sizeof(text)), 0);
	assert_string_equal(text, "");
	assert_int_equal(vm_console_telling(&c, text, sizeof(text)), 0);
	assert_string_equal(text, "");
	put(&c, "\r\n \r\n");
	assert_int_equal(vm_console_telling(&c, text, sizeof(text)), 0);
}

static void a_text_of_one_byte_holds_nothing(void **state)
{
	struct vm_console c = { 0 };
	char text[1] = { 'x' };

	(void)state;
	put(&c, "Kernel panic - not syncing: no\n");
	assert_int_equal(vm_console_tail(&c, text, 1), 0);
	assert_int_equal(text[0], '\0');
	text[0] = 'x';
	assert_int_equal(vm_console_telling(&c, text, 1), 0);
	assert_int_equal(text[0], '\0');
}

static void what_is_no_text_comes_out_as_text(void **state)
{
	struct vm_console c = { 0 };
	char text[128];

	(void)state;
	put(&c, "a\033[1;31mred\033[0m\tb\r\n\x01\xff\033(0x\033\ny");
	(void)vm_console_tail(&c, text, sizeof(text));
	assert_string_equal(text, "ared b\n??0x\ny");
}

static void an_escape_sequence_without_end_does_not_swallow_all(void **state)
{
	struct vm_console c = { 0 };
	char text[256];

	(void)state;
	put(&c, "\033[11111111111111111111111111111111111111111111111111111111 kept\n");
	(void)vm_console_tail(&c, text, sizeof(text));
	assert_non_null(strstr(text, "kept"));
}

static void the_last_lines_that_fit_are_whole(void **state)
{
	struct vm_console c = { 0 };
	char text[12];

	(void)state;
	put(&c, "first\nsecond\nthird\n");
	assert_int_equal(vm_console_tail(&c, text, sizeof(text)), 6);
	assert_string_equal(text, "third\n");
	put(&c, "x");
	(void)vm_console_tail(&c, text, sizeof(text));
	assert_string_equal(text, "third\nx");
	put(&c, "0123456789abcdef");
	(void)vm_console_tail(&c, text, sizeof(text));
	assert_string_equal(text, "56789abcdef");
}

static void the_ring_keeps_the_last_bytes(void **state)
{
	static struct vm_console c;
	static char text[VM_CONSOLE_BYTES + 1];
	char *flood = malloc(3 * VM_CONSOLE_BYTES);

	(void)state;
	assert_non_null(flood);
	memset(flood, 'f', 3 * VM_CONSOLE_BYTES);
	vm_console_put(&c, flood, 3 * VM_CONSOLE_BYTES);
	free(flood);
	assert_int_equal(c.total, 3 * VM_CONSOLE_BYTES);
	for (int i = 0; i < 4000; i++) {
		char line[32];

		(void)snprintf(line, sizeof(line), "line %d\n", i);
		put(&c, line);
	}
	assert_true(vm_console_tail(&c, text, sizeof(text)) <= VM_CONSOLE_BYTES);
	assert_null(strchr(text, 'f'));
	assert_memory_equal(text, "line ", 5);
	assert_non_null(strstr(text, "line 3999\n"));
	assert_int_equal(text[strlen(text) - 1], '\n');
}

static void a_panic_comes_first_and_without_its_time(void **state)
{
	struct vm_console c = { 0 };
	char text[400], few[40];

	(void)state;
	put(&c,
	    "[    0.100000] Linux version 6.1\r\n"
	    "[    0.200000] Out of memory: Killed process 1 (init) total-vm:8kB\r\n"
	    "[    0.300000] Kernel panic - not syncing: System is deadlocked on memory\r\n"
	    "[    0.310000] CPU: 0 PID: 1 Comm: init Not tainted\r\n"
	    "[    0.320000] RIP: 0033:0x401000\r\n"
	    "[    0.400000] ---[ end Kernel panic - not syncing: System is deadlocked ]---\r\n");
	(void)vm_console_telling(&c, text, sizeof(text));
	assert_string_equal(text, "Kernel panic - not syncing: System is deadlocked on memory; "
				  "Out of memory: Killed process 1 (init) total-vm:8kB; "
				  "RIP: 0033:0x401000");
	(void)vm_console_telling(&c, few, sizeof(few));
	assert_string_equal(few, "Kernel panic - not syncing: System is d");
}

static void what_a_check_found_is_told_once(void **state)
{
	struct vm_console c = { 0 };
	char text[400];

	(void)state;
	put(&c, "[    1.100000] VFS: Busy inodes after unmount of vdb (ext4)\r\n"
		"[    1.100001] ------------[ cut here ]------------\r\n"
		"[    1.100002] Kernel BUG at generic_shutdown_super.cold+0x1a/0x1c\r\n"
		"[    1.100003] RIP: 0010:generic_shutdown_super.cold+0x1a/0x1c\r\n"
		"[    1.100004] Call Trace:\r\n"
		"[    1.100005] RIP: 0010:generic_shutdown_super.cold+0x1a/0x1c\r\n"
		"[    1.100006] Kernel panic - not syncing: Fatal exception\r\n");
	(void)vm_console_telling(&c, text, sizeof(text));
	assert_string_equal(text, "Kernel panic - not syncing: Fatal exception; "
				  "VFS: Busy inodes after unmount of vdb (ext4); "
				  "Kernel BUG at generic_shutdown_super.cold+0x1a/0x1c; "
				  "RIP: 0010:generic_shutdown_super.cold+0x1a/0x1c");
}

/* Of a BUG() alone the place is all there is; what stands before it may be anything. */
static void the_place_of_a_check_is_told(void **state)
{
	struct vm_console c = { 0 };
	char text[400];

	(void)state;
	put(&c, "[    1.100000] BUG: one\r\n"
		"[    1.100001] Oops: two\r\n"
		"[    1.100002] BUG: one\r\n"
		"[    1.100003] ------------[ cut here ]------------\r\n"
		"[    1.100004] kernel BUG at fs/inode.c:1!\r\n"
		"[    1.100005] Oops: two\r\n"
		"[    1.100006] kernel BUG at fs/inode.c:1!\r\n");
	(void)vm_console_telling(&c, text, sizeof(text));
	assert_string_equal(text, "BUG: one; Oops: two; kernel BUG at fs/inode.c:1!");
}

static void without_a_reason_the_last_three_lines_are_told(void **state)
{
	struct vm_console c = { 0 };
	char text[64];

	(void)state;
	put(&c, "one\n\n[ 1.2] two\n  three  \n[x] four");
	(void)vm_console_telling(&c, text, sizeof(text));
	assert_string_equal(text, "two; three; [x] four");
}

static void a_guest_that_panics_without_end_is_told_with_an_end(void **state)
{
	static struct vm_console c;
	char text[2000];

	(void)state;
	for (int i = 0; i < 1000; i++)
		put(&c, "BUG: BUG: BUG: BUG: BUG: BUG: BUG: BUG: BUG: BUG: BUG: BUG: BUG: BUG: "
			"BUG: BUG: BUG: BUG: BUG: BUG: BUG: BUG: BUG: BUG: BUG: BUG: BUG: BUG: "
			"BUG: BUG: BUG: BUG: BUG: BUG: BUG: BUG: BUG: BUG: BUG: BUG: BUG: BUG:\n");
	assert_true(vm_console_telling(&c, text, sizeof(text)) < 1000);
	assert_memory_equal(text, "BUG: BUG:", 9);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_that_said_nothing_tells_nothing),
		cmocka_unit_test(a_text_of_one_byte_holds_nothing),
		cmocka_unit_test(what_is_no_text_comes_out_as_text),
		cmocka_unit_test(an_escape_sequence_without_end_does_not_swallow_all),
		cmocka_unit_test(the_last_lines_that_fit_are_whole),
		cmocka_unit_test(the_ring_keeps_the_last_bytes),
		cmocka_unit_test(a_panic_comes_first_and_without_its_time),
		cmocka_unit_test(what_a_check_found_is_told_once),
		cmocka_unit_test(the_place_of_a_check_is_told),
		cmocka_unit_test(without_a_reason_the_last_three_lines_are_told),
		cmocka_unit_test(a_guest_that_panics_without_end_is_told_with_an_end),
	};

	return cmocka_run_group_tests_name("hypervisor/console", tests, NULL, NULL);
}
