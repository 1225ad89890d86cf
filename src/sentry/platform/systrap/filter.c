/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The stub's system call filter, assembled by hand: libseccomp cannot test the instruction pointer.
 *
 * A call from outside STUB_TEXT is the guest's: TRAP. A call from inside is judged as if the guest
 * had made it with registers of its choice (it can jump to any instruction), so what is allowed is
 * harmless with every argument. The reasons stand in seccomp/stub.txt. Long arguments are compared
 * in both halves, int arguments in the lower one, as the kernel reads them.
 */
#include <errno.h>
#include <linux/audit.h>
#include <linux/futex.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "sentry/platform/systrap/systrap_internal.h"

#define FORK_FLAGS (CLONE_PARENT | SIGCHLD)
#define THREAD_FLAGS \
	(CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM)

enum label {
	NEXT, /* the following instruction */
	TRAP,
	ALLOW,
	NOTIFY,
	KILL,
	FUTEX,
	WRITE,
	MMAP,
	MMAP_FILE,
	MMAP_PRW,
	MPROTECT,
	MADVISE,
	CLONE,
	MREMAP,
	RESTRICT,
	LABELS,
};

struct assembler {
	struct sock_filter *out;
	unsigned int len;
	unsigned int at[LABELS];
	struct {
		enum label yes, no;
	} jump[ZYGOTE_FILTER_MAX];
};

#define LOW(i)	(uint32_t)(offsetof(struct seccomp_data, args) + 8 * (i))
#define HIGH(i) (LOW(i) + 4)

static void emit(struct assembler *a, int code, uint32_t k, enum label yes, enum label no)
{
	a->jump[a->len].yes = yes;
	a->jump[a->len].no = no;
	a->out[a->len++] = (struct sock_filter){ .code = (uint16_t)code, .k = k };
}

static void load(struct assembler *a, uint32_t offset)
{
	emit(a, BPF_LD | BPF_W | BPF_ABS, offset, NEXT, NEXT);
}

static void mask(struct assembler *a, uint32_t k)
{
	emit(a, BPF_ALU | BPF_AND | BPF_K, k, NEXT, NEXT);
}

static void equal(struct assembler *a, uint32_t k, enum label yes, enum label no)
{
	emit(a, BPF_JMP | BPF_JEQ | BPF_K, k, yes, no);
}

static void at_least(struct assembler *a, uint32_t k, enum label yes, enum label no)
{
	emit(a, BPF_JMP | BPF_JGE | BPF_K, k, yes, no);
}

static void end(struct assembler *a, enum label label, uint32_t action)
{
	a->at[label] = a->len;
	emit(a, BPF_RET | BPF_K, action, NEXT, NEXT);
}

static void begin(struct assembler *a, enum label label)
{
	a->at[label] = a->len;
}

static void high_zero(struct assembler *a, unsigned int arg)
{
	load(a, HIGH(arg));
	equal(a, 0, NEXT, KILL);
}

static void exactly(struct assembler *a, unsigned int arg, uint64_t value)
{
	load(a, HIGH(arg));
	equal(a, (uint32_t)(value >> 32), NEXT, KILL);
	load(a, LOW(arg));
	equal(a, (uint32_t)value, NEXT, KILL);
}

static void dispatch(struct assembler *a, enum label memory)
{
	const uint64_t text = systrap_at(STUB_TEXT);

	load(a, offsetof(struct seccomp_data, arch));
	equal(a, AUDIT_ARCH_X86_64, NEXT, TRAP);
	load(a, offsetof(struct seccomp_data, instruction_pointer) + 4);
	equal(a, (uint32_t)(text >> 32), NEXT, TRAP);
	load(a, offsetof(struct seccomp_data, instruction_pointer));
	at_least(a, (uint32_t)text, NEXT, TRAP);
	at_least(a, (uint32_t)text + STUB_TEXT_LEN, TRAP, NEXT);
	load(a, offsetof(struct seccomp_data, nr));
	equal(a, SYS_sched_yield, ALLOW, NEXT);
	equal(a, SYS_futex, FUTEX, NEXT);
	equal(a, SYS_write, WRITE, NEXT);
	equal(a, SYS_rt_sigreturn, ALLOW, NEXT);
	equal(a, SYS_mmap, MMAP, NEXT);
	equal(a, SYS_close, ALLOW, NEXT);
	equal(a, SYS_mincore, ALLOW, NEXT);
	equal(a, SYS_getrusage, ALLOW, NEXT);
	equal(a, SYS_munmap, memory, NEXT);
	equal(a, SYS_mprotect, MPROTECT, NEXT);
	equal(a, SYS_madvise, MADVISE, NEXT);
	equal(a, SYS_mremap, MREMAP, NEXT);
	equal(a, SYS_clone, CLONE, NEXT);
	equal(a, STUB_NR_BIRTH, NOTIFY, NEXT);
	equal(a, STUB_NR_RESTRICT, RESTRICT, NEXT);
	equal(a, SYS_exit_group, ALLOW, NEXT);
	equal(a, SYS_restart_syscall, ALLOW, KILL);
}

static void judge_memory(struct assembler *a, enum label memory)
{
	begin(a, MMAP);
	high_zero(a, 2);
	load(a, LOW(2));
	at_least(a, (PROT_READ | PROT_WRITE | PROT_EXEC) + 1, KILL, NEXT);
	high_zero(a, 3);
	load(a, LOW(3));
	mask(a, MAP_ANONYMOUS);
	equal(a, 0, MMAP_FILE, NEXT);
	load(a, LOW(3));
	mask(a, ~(uint32_t)(MAP_NORESERVE | MAP_FIXED));
	equal(a, MAP_PRIVATE | MAP_ANONYMOUS, NEXT, KILL);
	load(a, LOW(4));
	equal(a, UINT32_MAX, memory, KILL);
	/* Of a donated file, always with the sentry's word; of a child's own slots, exactly. */
	begin(a, MMAP_FILE);
	load(a, LOW(4));
	equal(a, STUB_FD_PRW, MMAP_PRW, NEXT);
	equal(a, STUB_FD_DONATED, NEXT, KILL);
	load(a, LOW(3));
	equal(a, MAP_SHARED | MAP_FIXED, NOTIFY, NEXT);
	equal(a, MAP_SHARED | MAP_FIXED_NOREPLACE, NOTIFY, NEXT);
	equal(a, MAP_PRIVATE | MAP_FIXED, NOTIFY, KILL);
	begin(a, MMAP_PRW);
	exactly(a, 0, systrap_at(STUB_PRW));
	exactly(a, 1, STUB_PRW_LEN);
	exactly(a, 3, MAP_SHARED | MAP_FIXED);
	exactly(a, 5, 0);
	load(a, LOW(2));
	equal(a, PROT_READ | PROT_WRITE, ALLOW, KILL);
	begin(a, MPROTECT);
	high_zero(a, 2);
	load(a, LOW(2));
	at_least(a, (PROT_READ | PROT_WRITE | PROT_EXEC) + 1, KILL, memory);
	begin(a, MADVISE);
	load(a, LOW(2));
	equal(a, MADV_DONTNEED, memory, NEXT);
	equal(a, MADV_FREE, memory, NEXT);
	equal(a, MADV_HUGEPAGE, memory, NEXT);
	equal(a, MADV_NOHUGEPAGE, memory, KILL);
	begin(a, MREMAP);
	high_zero(a, 3);
	load(a, LOW(3));
	equal(a, MREMAP_MAYMOVE | MREMAP_FIXED, NOTIFY, KILL);
}

static void judge_others(struct assembler *a)
{
	begin(a, FUTEX);
	load(a, LOW(1));
	mask(a, ~(uint32_t)(FUTEX_PRIVATE_FLAG | FUTEX_CLOCK_REALTIME));
	equal(a, FUTEX_WAIT, ALLOW, NEXT);
	equal(a, FUTEX_WAKE, ALLOW, NEXT);
	equal(a, FUTEX_WAIT_BITSET, ALLOW, KILL);
	begin(a, WRITE);
	high_zero(a, 2);
	load(a, LOW(2));
	equal(a, 8, NEXT, KILL);
	load(a, LOW(0));
	equal(a, STUB_FD_DOORBELL, ALLOW, KILL);
	begin(a, RESTRICT);
	load(a, LOW(0));
	equal(a, STUB_FD_SCOPE, NEXT, KILL);
	load(a, LOW(1));
	equal(a, 0, ALLOW, KILL);
	begin(a, CLONE);
	high_zero(a, 0);
	load(a, LOW(0));
	equal(a, FORK_FLAGS, NOTIFY, NEXT);
	equal(a, THREAD_FLAGS, NOTIFY, KILL);
}

unsigned int systrap_filter(enum systrap_profile profile, struct sock_filter *ret)
{
	const enum label memory = profile == SYSTRAP_DIRECT ? ALLOW : NOTIFY;
	struct assembler a = { .out = ret };

	dispatch(&a, memory);
	judge_others(&a);
	judge_memory(&a, memory);
	end(&a, TRAP, SECCOMP_RET_TRAP);
	end(&a, ALLOW, SECCOMP_RET_ALLOW);
	end(&a, NOTIFY, SECCOMP_RET_USER_NOTIF);
	end(&a, KILL, SECCOMP_RET_KILL_PROCESS);
	for (unsigned int i = 0; i < a.len; i++) {
		struct sock_filter *f = &ret[i];

		if (BPF_CLASS(f->code) != BPF_JMP)
			continue;
		f->jt = (uint8_t)(a.jump[i].yes ? a.at[a.jump[i].yes] - i - 1 : 0);
		f->jf = (uint8_t)(a.jump[i].no ? a.at[a.jump[i].no] - i - 1 : 0);
	}
	return a.len;
}
