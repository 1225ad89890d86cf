/* SPDX-License-Identifier: Apache-2.0 */
/* sentry/task/ptrace_regs.c - registers of a stopped tracee as its tracer reads and sets them. */
#include <elf.h>
#include <linux/audit.h>
#include <linux/ptrace.h>
#include <stdlib.h>
#include <string.h>
#include <sys/user.h>

#include "base/cleanup.h"
#include "sentry/arch/fpu.h"
#include "sentry/task/ptrace_link.h"
#include "sentry/task/run.h"

#define EFLAGS_GUEST 0x00044dd5ull /* what a tracer may set: as a guest, and NT */
#define EFLAGS_FIXED 0x00000202ull
#define USER_CS	     0x33
#define USER_DS	     0x2b

/* A tracer's registers made fit to run. */
static void set_sane(struct task *of, const struct user_regs_struct *from)
{
	struct user_regs_struct *r = &of->regs.r;
	const uint64_t old_fs = r->fs_base, old_gs = r->gs_base;

	*r = *from;
	r->cs = USER_CS;
	r->ss = USER_DS;
	r->eflags = (r->eflags & EFLAGS_GUEST) | EFLAGS_FIXED;
	if (r->fs_base >= PLATFORM_GUEST_TOP)
		r->fs_base = old_fs;
	if (r->gs_base >= PLATFORM_GUEST_TOP)
		r->gs_base = old_gs;
	of->regs_dirty = true;
	/* Linux decides by orig_rax and rax whether a call begins again. */
	if ((int64_t)r->orig_rax < 0) {
		of->no_restart = true;
	} else if ((int64_t)r->rax <= -ERESTARTSYS && (int64_t)r->rax >= -ERESTART_RESTARTBLOCK) {
		of->in_syscall = true;
		of->no_restart = false;
		of->call_result = (int64_t)r->rax;
		of->syscall_nr = r->orig_rax;
	}
}

int64_t ptrace_get_regs(struct task *t, struct task *of, uint64_t to)
{
	if (!of->regs_valid)
		return -ESRCH;
	return user_copy_out(task_um(t), to, &of->regs.r, sizeof(of->regs.r));
}

int64_t ptrace_set_regs(struct task *t, struct task *of, uint64_t from)
{
	struct user_regs_struct r;

	if (!of->regs_valid)
		return -ESRCH;
	if (user_copy_in(task_um(t), &r, from, sizeof(r)) < 0)
		return -EFAULT;
	set_sane(of, &r);
	return 0;
}

/* The tracee's image, *ret is the caller's. */
static int fpu_of(struct task *of, uint8_t **ret)
{
	AUTO_FREE uint8_t *image = calloc(1, fpu_size());
	int r;

	if (!image)
		return -ENOMEM;
	r = platform->thread_get_fpu(of->thread, image, fpu_size());
	if (r == 0)
		*ret = TAKE_PTR(image);
	return r;
}

static int64_t fpu_out(struct task *t, struct task *of, uint64_t to, size_t len)
{
	AUTO_FREE uint8_t *image = NULL;
	const uint64_t features = fpu_features();
	int r = fpu_of(of, &image);

	if (r < 0)
		return r;
	/* XCR0 as gdb looks for it, in the software bytes. */
	memcpy(image + FPU_SW_RESERVED, &features, sizeof(features));
	return user_copy_out(task_um(t), to, image, len);
}

static int64_t fpu_in(struct task *t, struct task *of, uint64_t from, size_t len)
{
	AUTO_FREE uint8_t *image = NULL;
	int r = fpu_of(of, &image);

	if (r < 0)
		return r;
	if (user_copy_in(task_um(t), image, from, len) < 0)
		return -EFAULT;
	if (len == FPU_LEGACY_SIZE) {
		uint64_t has;

		memcpy(&has, image + FPU_XSTATE_BV, sizeof(has));
		has |= 3;
		memcpy(image + FPU_XSTATE_BV, &has, sizeof(has));
	}
	fpu_image_sanitize(image);
	return platform->thread_set_fpu(of->thread, image, fpu_size());
}

int64_t ptrace_get_fpregs(struct task *t, struct task *of, uint64_t to)
{
	return fpu_out(t, of, to, FPU_LEGACY_SIZE);
}

int64_t ptrace_set_fpregs(struct task *t, struct task *of, uint64_t from)
{
	return fpu_in(t, of, from, FPU_LEGACY_SIZE);
}

static size_t regset_size(uint64_t type)
{
	switch (type) {
	case NT_PRSTATUS:
		return sizeof(struct user_regs_struct);
	case NT_PRFPREG:
		return FPU_LEGACY_SIZE;
	case NT_X86_XSTATE:
		return fpu_size();
	default:
		return 0;
	}
}

/* The guest's iovec; its length is cut to the set's size and told. */
static int import_iov(struct task *t, uint64_t type, uint64_t addr, struct iovec *ret)
{
	const size_t size = regset_size(type);

	if (!size)
		return -EINVAL;
	if (user_copy_in(task_um(t), ret, addr, sizeof(*ret)) < 0)
		return -EFAULT;
	if (ret->iov_len % 8)
		return -EINVAL;
	if (ret->iov_len > size)
		ret->iov_len = size;
	return 0;
}

int64_t ptrace_get_regset(struct task *t, struct task *of, uint64_t type, uint64_t addr)
{
	struct iovec iov;
	int64_t r = import_iov(t, type, addr, &iov);

	if (r < 0)
		return r;
	if (!of->regs_valid)
		return -ESRCH;
	if (type == NT_PRSTATUS)
		r = user_copy_out(task_um(t), (uint64_t)(uintptr_t)iov.iov_base, &of->regs.r,
				  iov.iov_len);
	else
		r = fpu_out(t, of, (uint64_t)(uintptr_t)iov.iov_base, iov.iov_len);
	return r < 0 ? r : user_copy_out(task_um(t), addr, &iov, sizeof(iov));
}

int64_t ptrace_set_regset(struct task *t, struct task *of, uint64_t type, uint64_t addr)
{
	struct user_regs_struct regs;
	struct iovec iov;
	int64_t r = import_iov(t, type, addr, &iov);

	if (r < 0)
		return r;
	if (!of->regs_valid)
		return -ESRCH;
	if (type == NT_PRSTATUS) {
		regs = of->regs.r;
		r = user_copy_in(task_um(t), &regs, (uint64_t)(uintptr_t)iov.iov_base, iov.iov_len);
		if (r == 0)
			set_sane(of, &regs);
	} else {
		if (iov.iov_len < regset_size(type))
			return -EINVAL;
		r = fpu_in(t, of, (uint64_t)(uintptr_t)iov.iov_base, iov.iov_len);
	}
	return r < 0 ? r : user_copy_out(task_um(t), addr, &iov, sizeof(iov));
}

/* struct user: registers, then words that are nothing here (debug registers read as zero). */
int64_t ptrace_peek_user(struct task *t, struct task *of, uint64_t offset, uint64_t to)
{
	uint64_t value = 0;

	if (offset % sizeof(value) || offset >= sizeof(struct user))
		return -EIO;
	if (!of->regs_valid)
		return -ESRCH;
	if (offset < sizeof(of->regs.r))
		memcpy(&value, (const char *)&of->regs.r + offset, sizeof(value));
	return user_copy_out(task_um(t), to, &value, sizeof(value));
}

int64_t ptrace_poke_user(struct task *of, uint64_t offset, uint64_t value)
{
	struct user_regs_struct regs;

	if (offset % sizeof(value) || offset >= sizeof(struct user))
		return -EIO;
	if (!of->regs_valid)
		return -ESRCH;
	if (offset >= sizeof(regs))
		return value ? -EIO : 0; /* no debug registers */
	regs = of->regs.r;
	memcpy((char *)&regs + offset, &value, sizeof(value));
	set_sane(of, &regs);
	return 0;
}

int64_t ptrace_syscall_info(struct task *t, struct task *of, uint64_t size, uint64_t to)
{
	const struct user_regs_struct *r = &of->regs.r;
	struct ptrace_syscall_info info;
	size_t len = offsetof(struct ptrace_syscall_info, entry);

	if (!of->regs_valid)
		return -ESRCH;
	memset(&info, 0, sizeof(info));
	info.arch = AUDIT_ARCH_X86_64;
	info.instruction_pointer = r->rip;
	info.stack_pointer = r->rsp;
	switch (of->ptrace->call) {
	case CALL_ENTER:
	case CALL_SECCOMP:
		info.op = of->ptrace->call == CALL_ENTER ? PTRACE_SYSCALL_INFO_ENTRY
							 : PTRACE_SYSCALL_INFO_SECCOMP;
		info.seccomp.nr = r->orig_rax;
		info.seccomp.args[0] = r->rdi;
		info.seccomp.args[1] = r->rsi;
		info.seccomp.args[2] = r->rdx;
		info.seccomp.args[3] = r->r10;
		info.seccomp.args[4] = r->r8;
		info.seccomp.args[5] = r->r9;
		len = offsetof(struct ptrace_syscall_info, entry) + sizeof(info.entry);
		if (of->ptrace->call == CALL_SECCOMP) {
			info.seccomp.ret_data = (uint32_t)of->ptrace->message;
			len = offsetof(struct ptrace_syscall_info, seccomp.ret_data) +
			      sizeof(info.seccomp.ret_data);
		}
		break;
	case CALL_EXIT:
		info.op = PTRACE_SYSCALL_INFO_EXIT;
		info.exit.rval = (int64_t)r->rax;
		info.exit.is_error = (int64_t)r->rax < 0 && (int64_t)r->rax >= -4095;
		len = offsetof(struct ptrace_syscall_info, exit.is_error) + 1;
		break;
	default:
		break;
	}
	if (user_copy_out(task_um(t), to, &info, size < len ? size : len) < 0)
		return -EFAULT;
	return (int64_t)len;
}
