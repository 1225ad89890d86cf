/* SPDX-License-Identifier: Apache-2.0 */
/* scripts/gen-seccomp: every form of a rule, at its edges. */
#include "unit/jail/cbpf.h"

#include <errno.h>
#include <sys/syscall.h>

extern const struct sock_filter every_form[];
extern const unsigned short every_form_len;

#define YES    SECCOMP_RET_ALLOW
#define NO     (SECCOMP_RET_ERRNO | ENOSYS)
#define HIGH   0x100000000ull
#define WRAP32 0xffffffffull

static const struct cbpf_case cases[] = {
	{ "==", SYS_read, { 5 }, YES },
	{ "== other", SYS_read, { 4 }, NO },
	{ "== in the lower half alone", SYS_read, { HIGH | 5 }, NO },
	{ "!=", SYS_write, { 4 }, YES },
	{ "!= the same", SYS_write, { 5 }, NO },
	{ "!= in the upper half alone", SYS_write, { HIGH | 5 }, YES },
	{ "<= zero", SYS_close, { 0 }, YES },
	{ "<= with a big lower half", SYS_close, { WRAP32 }, YES },
	{ "<= at the edge", SYS_close, { HIGH | 2 }, YES },
	{ "<= past the edge", SYS_close, { HIGH | 3 }, NO },
	{ "<= past in the upper half", SYS_close, { 2 * HIGH }, NO },
	{ "<= minus one", SYS_close, { UINT64_MAX }, NO },
	{ ">= zero", SYS_lseek, { 0 }, NO },
	{ ">= with a big lower half", SYS_lseek, { WRAP32 }, NO },
	{ ">= below the edge", SYS_lseek, { HIGH | 1 }, NO },
	{ ">= at the edge", SYS_lseek, { HIGH | 2 }, YES },
	{ ">= above", SYS_lseek, { 2 * HIGH }, YES },
	{ "in, first", SYS_openat, { 0, 0, 1 }, YES },
	{ "in, middle", SYS_openat, { 0, 0, 2 * HIGH | 2 }, YES },
	{ "in, halves of it", SYS_openat, { 0, 0, 2 }, NO },
	{ "in, halves of two", SYS_openat, { 0, 0, 2 * HIGH | 1 }, NO },
	{ "in, negative", SYS_openat, { 0, 0, UINT64_MAX }, YES },
	{ "in, negative as an int", SYS_openat, { 0, 0, WRAP32 }, NO },
	{ "mask", SYS_mmap, { 0, 0, 7, 2 }, YES },
	{ "mask, more bits", SYS_mmap, { 0, 0, 12, 2 }, NO },
	{ "mask, bits above", SYS_mmap, { 0, 0, HIGH | 4, 2 }, NO },
	{ "mask, second condition", SYS_mmap, { 0, 0, 7, 3 }, NO },
	{ "second rule", SYS_mmap, { 0, 0, 0x1000 }, SECCOMP_RET_USER_NOTIF },
	{ "int mask", SYS_futex, { 0, 128 | 256 | 9 }, YES },
	{ "int mask, upper half ignored", SYS_futex, { 0, HIGH | 1 }, YES },
	{ "int mask, other", SYS_futex, { 0, 3 }, NO },
	{ "int order", SYS_fcntl, { 0, 3, 2, 0 }, YES },
	{ "int order, upper half ignored", SYS_fcntl, { 0, HIGH, HIGH | 2, HIGH }, YES },
	{ "int order, too much", SYS_fcntl, { 0, 4, 2, 0 }, NO },
	{ "int order, too little", SYS_fcntl, { 0, 3, 1, 0 }, NO },
	{ "int inequality", SYS_fcntl, { 0, 3, 2, HIGH | 7 }, NO },
	{ "no condition", SYS_getpid, { 1, 2, 3, 4, 5, 6 }, YES },
	{ "errno", SYS_gettid, { 0 }, SECCOMP_RET_ERRNO | EPERM },
	{ "kill", SYS_kill, { 0 }, SECCOMP_RET_KILL_PROCESS },
	{ "trap", SYS_tgkill, { 0 }, SECCOMP_RET_TRAP },
	{ "not listed", SYS_execve, { 0 }, NO },
	{ "number 1023", 1023, { 0 }, NO },
};

static void each_form_decides_at_its_edges(void **state)
{
	(void)state;
	cbpf_check(every_form, every_form_len, cases, sizeof(cases) / sizeof(cases[0]),
		   SECCOMP_RET_TRAP);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_form_decides_at_its_edges),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
