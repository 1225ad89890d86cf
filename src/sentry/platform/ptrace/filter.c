/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a stub of this platform may call: only what the kernel has it call on its code page, and of
 * that only what this platform needs. The guest's own calls never come as far (PTRACE_SYSEMU); it
 * is the wall behind the tracer. But for calls of the vsyscall page, which no tracer hears of: they
 * become SIGSYS, and with it the tracer's.
 */
#include <linux/audit.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/syscall.h>

#include "sentry/platform/ptrace/ptrace_internal.h"

#define SYSCALL_LEN   2		 /* the instruction pointer is behind it */
#define VSYSCALL_HIGH 0xffffffff /* of an address; nothing else up there can be executed */
#define NEW_NAMESPACES                                                                 \
	(CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | \
	 CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWTIME)
#define FIELD(name)   (uint32_t) offsetof(struct seccomp_data, name)
#define LOAD(offset)  BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offset)
#define RETURN(what)  BPF_STMT(BPF_RET | BPF_K, what)
#define UNLESS(k)     BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, k, 1, 0), RETURN(SECCOMP_RET_KILL_PROCESS)
#define ALLOWED(call) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call, 0, 1), RETURN(SECCOMP_RET_ALLOW)

unsigned int ptrace_filter(struct sock_filter ret[static PTRACE_FILTER_MAX])
{
	const uint64_t from = ptrace_code_uaddr + SYSCALL_LEN;
	const struct sock_filter filter[] = {
		LOAD(FIELD(arch)),
		UNLESS(AUDIT_ARCH_X86_64),
		LOAD(FIELD(instruction_pointer) + 4),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, VSYSCALL_HIGH, 0, 1),
		RETURN(SECCOMP_RET_TRAP),
		LOAD(FIELD(instruction_pointer)),
		UNLESS((uint32_t)from),
		LOAD(FIELD(instruction_pointer) + 4),
		UNLESS((uint32_t)(from >> 32)),
		LOAD(FIELD(nr)),
		ALLOWED(SYS_mmap),
		ALLOWED(SYS_munmap),
		ALLOWED(SYS_mprotect),
		ALLOWED(SYS_madvise),
		ALLOWED(SYS_mremap),
		ALLOWED(SYS_recvmsg),
		ALLOWED(SYS_close),
		ALLOWED(SYS_mincore),
		ALLOWED(SYS_getrusage),
		ALLOWED(SYS_exit),
		ALLOWED(SYS_restart_syscall),
		UNLESS(SYS_clone),
		LOAD(FIELD(args[0])),
		BPF_STMT(BPF_ALU | BPF_AND | BPF_K, NEW_NAMESPACES),
		UNLESS(0),
		RETURN(SECCOMP_RET_ALLOW),
	};
	const unsigned int len = sizeof(filter) / sizeof(filter[0]);

	_Static_assert(sizeof(filter) / sizeof(filter[0]) <= PTRACE_FILTER_MAX, "room");
	for (unsigned int i = 0; i < len; i++)
		ret[i] = filter[i];
	return len;
}
