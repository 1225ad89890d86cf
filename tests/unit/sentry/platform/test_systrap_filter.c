/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The stub's filter, call by call and in both profiles: each row is made in a process of its own,
 * from inside or outside of STUB_TEXT, under the very program that stubs get.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/futex.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sentry/platform/systrap/systrap_internal.h"
#include "lib/unit.h"
#include "unit/jail/cbpf.h"

#define OUTSIDE	    0x7d0000000000ul
#define AREA	    0x10000000l
#define PA	    (MAP_PRIVATE | MAP_ANONYMOUS)
#define HIGH_BIT(n) (1l << (n))
#define THREAD \
	((long)(CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM))

enum verdict {
	A = 'A', /* allowed */
	T = 'T', /* the guest's: SIGSYS */
	N = 'N', /* waits for the sentry */
	K = 'K', /* the process dies */
	M = 'M', /* memory: N in the checked profile, A in the direct one */
};

typedef long (*caller)(long nr, long a, long b, long c, long d, long e, long f);

static uint32_t word = 1;
static uint64_t one = 1;
#define WORD ((long)&word)

static const struct row {
	const char *name;
	bool outside;
	long nr, args[6];
	enum verdict want;
} rows[] = {
	{ "getpid of the guest", true, SYS_getpid, { 0 }, T },
	{ "futex of the guest", true, SYS_futex, { WORD, 1, 1 }, T },
	{ "x32 of the guest", true, SYS_getpid | 0x40000000, { 0 }, T },
	{ "rt_sigreturn of the guest", true, SYS_rt_sigreturn, { 0 }, T },
	{ "exit_group of the guest", true, SYS_exit_group, { 0 }, T },
	{ "getpid", false, SYS_getpid, { 0 }, K },
	{ "x32 futex", false, SYS_futex | 0x40000000, { WORD, 1, 1 }, K },
	{ "futex wake", false, SYS_futex, { WORD, FUTEX_WAKE, 1 }, A },
	{ "futex wait private", false, SYS_futex, { WORD, FUTEX_WAIT_PRIVATE, 0 }, A },
	{ "futex wait bitset realtime",
	  false,
	  SYS_futex,
	  { WORD, FUTEX_WAIT_BITSET | 128 | 256, 0, 0, 0, -1 },
	  A },
	{ "futex requeue", false, SYS_futex, { WORD, FUTEX_REQUEUE, 1, 1, WORD }, K },
	{ "futex cmp requeue", false, SYS_futex, { WORD, FUTEX_CMP_REQUEUE, 1, 1, WORD, 1 }, K },
	{ "futex cmp requeue pi", false, SYS_futex, { WORD, 12, 1, 1, WORD }, K },
	{ "futex wait requeue pi", false, SYS_futex, { WORD, 11, 1, 0, WORD }, K },
	{ "futex lock pi", false, SYS_futex, { WORD, FUTEX_LOCK_PI }, K },
	{ "futex lock pi2", false, SYS_futex, { WORD, 13 }, K },
	{ "futex trylock pi", false, SYS_futex, { WORD, 8 }, K },
	{ "futex unlock pi", false, SYS_futex, { WORD, 7 }, K },
	{ "futex wake op", false, SYS_futex, { WORD, FUTEX_WAKE_OP, 1, 1, WORD }, K },
	{ "futex wake bitset", false, SYS_futex, { WORD, 10, 1, 0, 0, -1 }, K },
	{ "futex fd", false, SYS_futex, { WORD, 2, 1 }, K },
	{ "futex with high bits", false, SYS_futex, { WORD, HIGH_BIT(32) | 6 }, K },
	{ "futex2 waitv", false, 449, { 0 }, K },
	{ "futex2 wake", false, 454, { 0 }, K },
	{ "futex2 wait", false, 455, { 0 }, K },
	{ "futex2 requeue", false, 456, { 0 }, K },
	{ "doorbell", false, SYS_write, { STUB_FD_DOORBELL, (long)&one, 8 }, A },
	{ "doorbell with nine bytes", false, SYS_write, { STUB_FD_DOORBELL, (long)&one, 9 }, K },
	{ "doorbell with high bits",
	  false,
	  SYS_write,
	  { STUB_FD_DOORBELL, (long)&one, HIGH_BIT(32) | 8 },
	  K },
	{ "mincore", false, SYS_mincore, { 0, 4096, 0 }, A },
	{ "mincore of the guest", true, SYS_mincore, { 0, 4096, 0 }, T },
	{ "getrusage", false, SYS_getrusage, { RUSAGE_SELF, 0 }, A },
	{ "giving up signals", false, STUB_NR_RESTRICT, { STUB_FD_SCOPE, 0 }, A },
	{ "giving up signals with flags", false, STUB_NR_RESTRICT, { STUB_FD_SCOPE, 1 }, K },
	{ "other rules", false, STUB_NR_RESTRICT, { STUB_FD_DONATED, 0 }, K },
	{ "giving up signals of the guest", true, STUB_NR_RESTRICT, { STUB_FD_SCOPE, 0 }, T },
	{ "new rules", false, 444, { 0, 0, 1 }, K },
	{ "write to 1", false, SYS_write, { 1, (long)&one, 8 }, K },
	{ "recvmsg", false, SYS_recvmsg, { 0, 0, 0x40000040 }, K },
	{ "sendmsg", false, SYS_sendmsg, { 3, 0, 0 }, K },
	{ "mmap anonymous", false, SYS_mmap, { 0, 4096, 3, PA, -1 }, M },
	{ "mmap anonymous fixed executable",
	  false,
	  SYS_mmap,
	  { AREA, 4096, 7, PA | MAP_FIXED | MAP_NORESERVE, -1 },
	  M },
	{ "mmap shared anonymous",
	  false,
	  SYS_mmap,
	  { 0, 4096, 3, MAP_SHARED | MAP_ANONYMOUS, -1 },
	  K },
	{ "mmap growsdown", false, SYS_mmap, { 0, 4096, 3, PA | MAP_GROWSDOWN, -1 }, K },
	{ "mmap hugetlb", false, SYS_mmap, { 0, 2 << 20, 3, PA | MAP_HUGETLB, -1 }, K },
	{ "mmap locked", false, SYS_mmap, { 0, 4096, 3, PA | MAP_LOCKED, -1 }, K },
	{ "mmap populate", false, SYS_mmap, { 0, 4096, 3, PA | MAP_POPULATE, -1 }, K },
	{ "mmap 32bit", false, SYS_mmap, { 0, 4096, 3, PA | MAP_32BIT, -1 }, K },
	{ "mmap droppable", false, SYS_mmap, { 0, 4096, 3, MAP_ANONYMOUS | 8, -1 }, K },
	{ "mmap with high flags", false, SYS_mmap, { 0, 4096, 3, PA | HIGH_BIT(40), -1 }, K },
	{ "mmap prot growsdown", false, SYS_mmap, { 0, 4096, 0x1000003, PA, -1 }, K },
	{ "mmap prot with high bits", false, SYS_mmap, { 0, 4096, HIGH_BIT(33) | 3, PA, -1 }, K },
	{ "mmap anonymous with a descriptor", false, SYS_mmap, { 0, 4096, 1, PA, 3 }, K },
	{ "mmap of a file",
	  false,
	  SYS_mmap,
	  { AREA, 4096, 1, MAP_PRIVATE | MAP_FIXED, STUB_FD_DONATED },
	  N },
	{ "mmap of a file shared",
	  false,
	  SYS_mmap,
	  { AREA, 4096, 3, MAP_SHARED | MAP_FIXED, STUB_FD_DONATED },
	  N },
	{ "mmap of a file sync", false, SYS_mmap, { AREA, 4096, 1, 0x80003, STUB_FD_DONATED }, K },
	{ "mmap of a file anywhere",
	  false,
	  SYS_mmap,
	  { 0, 4096, 1, MAP_PRIVATE, STUB_FD_DONATED },
	  K },
	{ "mmap of another descriptor",
	  false,
	  SYS_mmap,
	  { AREA, 4096, 1, MAP_PRIVATE | MAP_FIXED, 3 },
	  K },
	{ "mmap of the own slots",
	  false,
	  SYS_mmap,
	  { STUB_PRW, STUB_PRW_LEN, 3, MAP_SHARED | MAP_FIXED, STUB_FD_PRW },
	  A },
	{ "mmap of the own slots elsewhere",
	  false,
	  SYS_mmap,
	  { AREA, STUB_PRW_LEN, 3, MAP_SHARED | MAP_FIXED, STUB_FD_PRW },
	  K },
	{ "mmap of a part of the own slots",
	  false,
	  SYS_mmap,
	  { STUB_PRW, STUB_PRW_LEN, 3, MAP_SHARED | MAP_FIXED, STUB_FD_PRW, 4096 },
	  K },
	{ "mmap of the own slots executable",
	  false,
	  SYS_mmap,
	  { STUB_PRW, STUB_PRW_LEN, 7, MAP_SHARED | MAP_FIXED, STUB_FD_PRW },
	  K },
	{ "mprotect", false, SYS_mprotect, { AREA, 4096, 3 }, M },
	{ "mprotect growsdown", false, SYS_mprotect, { AREA, 4096, 0x1000003 }, K },
	{ "mprotect with high bits", false, SYS_mprotect, { AREA, 4096, HIGH_BIT(32) | 3 }, K },
	{ "pkey_mprotect", false, SYS_pkey_mprotect, { AREA, 4096, 3 }, K },
	{ "munmap", false, SYS_munmap, { AREA, 4096 }, M },
	{ "madvise dontneed", false, SYS_madvise, { AREA, 4096, 4 }, M },
	{ "madvise free", false, SYS_madvise, { AREA, 4096, 8 }, M },
	{ "madvise hugepage", false, SYS_madvise, { AREA, 4096, 14 }, M },
	{ "madvise mergeable", false, SYS_madvise, { AREA, 4096, 12 }, K },
	{ "madvise remove", false, SYS_madvise, { AREA, 4096, 9 }, K },
	{ "madvise hwpoison", false, SYS_madvise, { AREA, 4096, 100 }, K },
	{ "madvise willneed", false, SYS_madvise, { AREA, 4096, 3 }, K },
	{ "madvise wipeonfork", false, SYS_madvise, { AREA, 4096, 18 }, K },
	{ "madvise cold", false, SYS_madvise, { AREA, 4096, 20 }, K },
	{ "madvise pageout", false, SYS_madvise, { AREA, 4096, 21 }, K },
	{ "madvise populate", false, SYS_madvise, { AREA, 4096, 23 }, K },
	{ "madvise guard", false, SYS_madvise, { AREA, 4096, 102 }, K },
	{ "process_madvise", false, 440, { 3, 0, 0, 4 }, K },
	{ "mremap to a place", false, SYS_mremap, { AREA, 4096, 8192, 3, AREA }, N },
	{ "mremap anywhere", false, SYS_mremap, { AREA, 4096, 8192, 1 }, K },
	{ "mremap dontunmap", false, SYS_mremap, { AREA, 4096, 4096, 7 }, K },
	{ "mremap with high flags", false, SYS_mremap, { AREA, 4096, 4096, HIGH_BIT(32) | 3 }, K },
	{ "remap_file_pages", false, SYS_remap_file_pages, { AREA, 4096 }, K },
	{ "membarrier global", false, SYS_membarrier, { 1 }, K },
	{ "membarrier query", false, SYS_membarrier, { 0 }, K },
	{ "clone as a fork", false, SYS_clone, { CLONE_PARENT | SIGCHLD }, N },
	{ "clone as a thread", false, SYS_clone, { THREAD }, N },
	{ "clone plain", false, SYS_clone, { SIGCHLD }, K },
	{ "clone vm", false, SYS_clone, { CLONE_VM | CLONE_PARENT | SIGCHLD }, K },
	{ "clone newuser",
	  false,
	  SYS_clone,
	  { (long)(CLONE_NEWUSER | CLONE_PARENT | SIGCHLD) },
	  K },
	{ "clone with high bits", false, SYS_clone, { HIGH_BIT(33) | CLONE_PARENT | SIGCHLD }, K },
	{ "clone3", false, SYS_clone3, { 0 }, K },
	{ "fork", false, SYS_fork, { 0 }, K },
	{ "vfork", false, SYS_vfork, { 0 }, K },
	{ "execve", false, SYS_execve, { 0 }, K },
	{ "birth", false, STUB_NR_BIRTH, { 1 }, N },
	{ "close", false, SYS_close, { 3 }, A },
	{ "close_range", false, SYS_close_range, { 3, 4 }, K },
	{ "dup2", false, SYS_dup2, { 3, 4 }, K },
	{ "sigaltstack", false, SYS_sigaltstack, { 0 }, K },
	{ "rt_sigaction", false, SYS_rt_sigaction, { 0 }, K },
	{ "rt_sigprocmask", false, SYS_rt_sigprocmask, { 0 }, K },
	{ "clock_nanosleep", false, SYS_clock_nanosleep, { 0 }, K },
	{ "kill", false, SYS_kill, { 1 }, K },
	{ "tgkill", false, SYS_tgkill, { 1, 1 }, K },
	{ "ptrace", false, SYS_ptrace, { 16, 1 }, K },
	{ "process_vm_readv", false, SYS_process_vm_readv, { 1 }, K },
	{ "ioctl", false, SYS_ioctl, { 0 }, K },
	{ "seccomp", false, SYS_seccomp, { 1 }, K },
	{ "prctl", false, SYS_prctl, { 4, 1 }, K },
	{ "arch_prctl", false, SYS_arch_prctl, { 0x1002 }, K },
	{ "openat", false, SYS_openat, { -100 }, K },
	{ "socket", false, SYS_socket, { 1, 1 }, K },
	{ "userfaultfd", false, SYS_userfaultfd, { 0 }, K },
	{ "io_uring_setup", false, 425, { 1 }, K },
	{ "rseq", false, 334, { 0 }, K },
	{ "set_robust_list", false, SYS_set_robust_list, { 0, 24 }, K },
	{ "sched_yield", false, SYS_sched_yield, { 0 }, A },
	{ "restart_syscall", false, SYS_restart_syscall, { 0 }, A },
	{ "exit", false, SYS_exit, { 0 }, K },
	{ "exit_group", false, SYS_exit_group, { A }, A },
};

/* mov %rdi,%rax; ...; syscall; ret: the arguments of a C call, shifted by one. */
static const uint8_t thunk[] = { 0x48, 0x89, 0xf8, 0x48, 0x89, 0xf7, 0x48, 0x89, 0xd6,
				 0x48, 0x89, 0xca, 0x4d, 0x89, 0xc2, 0x4d, 0x89, 0xc8,
				 0x4c, 0x8b, 0x4c, 0x24, 0x08, 0x0f, 0x05, 0xc3 };

static caller place(unsigned long at)
{
	void *page = mmap((void *)at, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);

	memcpy(page, thunk, sizeof(thunk));
	return (caller)at;
}

static void on_sigsys(int sig)
{
	(void)((caller)STUB_TEXT)(SYS_exit_group, T, 0, 0, 0, 0, 0);
}

__attribute__((noreturn)) static void make_call(const struct row *row, enum systrap_profile profile)
{
	struct sock_filter filter[ZYGOTE_FILTER_MAX];
	const struct sock_fprog program = { .len = (unsigned short)systrap_filter(profile, filter),
					    .filter = filter };
	const struct sigaction act = { .sa_handler = on_sigsys };
	const struct rlimit core = { 1, 1 };
	const caller inside = place(STUB_TEXT), outside = place(OUTSIDE);
	const long *a = row->args;
	long r;

	(void)setrlimit(RLIMIT_CORE, &core);
	(void)sigaction(SIGSYS, &act, NULL);
	(void)dup2(eventfd(0, EFD_NONBLOCK), STUB_FD_DOORBELL);
	(void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER,
		    &program) < 0)
		_exit(2);
	r = (row->outside ? outside : inside)(row->nr, a[0], a[1], a[2], a[3], a[4], a[5]);
	(void)inside(SYS_exit_group, r == -ENOSYS && row->nr != SYS_restart_syscall ? N : A, 0, 0,
		     0, 0, 0);
	for (;;)
		;
}

/* It waits for something; who waits for a CPU does not sleep. */
static bool sleeps(pid_t pid)
{
	char path[64], text[512], *state;
	ssize_t n;
	int fd;

	(void)snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	fd = open(path, O_RDONLY);
	n = read(fd, text, sizeof(text) - 1);
	(void)close(fd);
	text[n > 0 ? n : 0] = 0;
	state = strrchr(text, ')');
	return state && state[1] == ' ' && state[2] == 'S';
}

static char judge(const struct row *row, enum systrap_profile profile)
{
	const pid_t pid = fork();
	int status = 0;

	if (pid == 0)
		make_call(row, profile);
	for (unsigned int asleep = 0; asleep < 50; asleep = sleeps(pid) ? asleep + 1 : 0) {
		if (waitpid(pid, &status, WNOHANG) == pid)
			goto ended;
		(void)usleep(1000);
	}
	/* It holds its own listener and waits there for ever. */
	(void)kill(pid, SIGKILL);
	(void)waitpid(pid, &status, 0);
	return N;
ended:
	if (WIFSIGNALED(status))
		return WTERMSIG(status) == SIGSYS ? K : '?';
	return WEXITSTATUS(status) == 0 ? A : (char)WEXITSTATUS(status);
}

static void each_row(enum systrap_profile profile)
{
	unsigned int bad = 0;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct row *row = &rows[i];
		const char got = judge(row, profile);
		char want = (char)row->want;

		if (want == M)
			want = profile == SYSTRAP_DIRECT ? A : N;
		if (got != want) {
			print_error("%s: %c instead of %c\n", row->name, got, want);
			bad++;
		}
	}
	assert_int_equal(bad, 0);
}

static void the_checked_profile_judges_every_row_as_written(void **state)
{
	each_row(SYSTRAP_CHECKED);
}

static void the_direct_profile_judges_every_row_as_written(void **state)
{
	each_row(SYSTRAP_DIRECT);
}

static void a_32_bit_call_is_the_guests(void **state)
{
	struct sock_filter filter[ZYGOTE_FILTER_MAX];
	const unsigned int n = systrap_filter(SYSTRAP_CHECKED, filter);

	/* The first two instructions: another architecture traps, whatever else. */
	assert_true(n > 60 && n < ZYGOTE_FILTER_MAX);
	assert_int_equal(filter[0].k, offsetof(struct seccomp_data, arch));
	assert_int_equal(filter[1 + 1 + filter[1].jf].k, SECCOMP_RET_TRAP);
	for (unsigned int i = 0; i < n; i++) {
		if (BPF_CLASS(filter[i].code) == BPF_JMP)
			assert_true(i + 1 + filter[i].jt < n && i + 1 + filter[i].jf < n);
	}
}

/* Beside the text, in its place of another 4 GiB, the vsyscall page, int 0x80 and sysenter. */
static void from_anywhere_else_every_call_is_the_guests(void **state)
{
	static const struct {
		uint64_t ip;
		uint32_t arch;
	} from[] = {
		{ STUB_TEXT - 1, AUDIT_ARCH_X86_64 },
		{ STUB_TEXT + STUB_TEXT_LEN, AUDIT_ARCH_X86_64 },
		{ STUB_TEXT & 0xffffffff, AUDIT_ARCH_X86_64 },
		{ STUB_TEXT ^ 1ull << 32, AUDIT_ARCH_X86_64 },
		{ STUB_TEXT | 1ull << 63, AUDIT_ARCH_X86_64 },
		{ STUB_GRO, AUDIT_ARCH_X86_64 },
		{ STUB_VDSO, AUDIT_ARCH_X86_64 },
		{ STUB_PRW, AUDIT_ARCH_X86_64 },
		{ 0, AUDIT_ARCH_X86_64 },
		{ 0x400000, AUDIT_ARCH_X86_64 },
		{ 0xffffffffff600000, AUDIT_ARCH_X86_64 },
		{ STUB_TEXT, AUDIT_ARCH_I386 },
		{ STUB_TEXT, 0 },
	};
	struct sock_filter filter[ZYGOTE_FILTER_MAX];

	for (int profile = SYSTRAP_CHECKED; profile <= SYSTRAP_DIRECT; profile++) {
		const unsigned int n = systrap_filter((enum systrap_profile)profile, filter);

		for (size_t i = 0; i < sizeof(from) / sizeof(from[0]); i++) {
			for (int nr = 0; nr < 1024; nr++) {
				const struct seccomp_data data = { .nr = nr,
								   .arch = from[i].arch,
								   .instruction_pointer =
									   from[i].ip };

				assert_int_equal(cbpf_run(filter, n, &data), SECCOMP_RET_TRAP);
			}
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_32_bit_call_is_the_guests),
		cmocka_unit_test(from_anywhere_else_every_call_is_the_guests),
		cmocka_unit_test(the_checked_profile_judges_every_row_as_written),
		cmocka_unit_test(the_direct_profile_judges_every_row_as_written),
	};

	return cmocka_run_group_tests_name("sentry/systrap filter", tests, NULL, NULL);
}
