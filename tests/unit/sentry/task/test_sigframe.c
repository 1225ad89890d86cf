/* SPDX-License-Identifier: Apache-2.0 */
/* Signal frames: the layout of Linux, and what a guest may not restore. */
#include "lib/unit.h"

#include <ucontext.h>

#include "sentry/arch/fpu.h"
#include "sentry/arch/sigframe.h"

#define UCONTEXT offsetof(struct sigframe, uc_flags)

static void fields_are_where_the_c_library_looks(void **state)
{
	assert_int_equal(offsetof(struct sigframe, stack) - UCONTEXT,
			 offsetof(ucontext_t, uc_stack));
	assert_int_equal(offsetof(struct sigframe, context.r8) - UCONTEXT,
			 offsetof(ucontext_t, uc_mcontext.gregs[REG_R8]));
	assert_int_equal(offsetof(struct sigframe, context.rip) - UCONTEXT,
			 offsetof(ucontext_t, uc_mcontext.gregs[REG_RIP]));
	assert_int_equal(offsetof(struct sigframe, context.eflags) - UCONTEXT,
			 offsetof(ucontext_t, uc_mcontext.gregs[REG_EFL]));
	assert_int_equal(offsetof(struct sigframe, context.trapno) - UCONTEXT,
			 offsetof(ucontext_t, uc_mcontext.gregs[REG_TRAPNO]));
	assert_int_equal(offsetof(struct sigframe, context.cr2) - UCONTEXT,
			 offsetof(ucontext_t, uc_mcontext.gregs[REG_CR2]));
	assert_int_equal(offsetof(struct sigframe, context.fpstate) - UCONTEXT,
			 offsetof(ucontext_t, uc_mcontext.fpregs));
	assert_int_equal(offsetof(struct sigframe, mask) - UCONTEXT,
			 offsetof(ucontext_t, uc_sigmask));
}

static void the_handler_starts_as_if_called(void **state)
{
	siginfo_t info = { .si_signo = SIGUSR1 };
	struct sigframe_input in = {
		.sig = SIGUSR1, .handler = 0x401000, .restorer = 0x402000, .mask = 5, .info = &info
	};
	struct arch_regs regs = { .r = { .rsp = 0x7ffe1234, .rip = 0x400123, .rax = 9, .rdi = 3 } };
	struct sigframe f;
	uint64_t fpu, at;

	regs.r.eflags = 0x10746; /* with DF, TF and RF */
	at = sigframe_place(regs.r.rsp - SIGFRAME_RED_ZONE, sigframe_fpu_size(), &fpu);
	assert_int_equal(at % 16, 8);
	assert_int_equal(fpu % 64, 0);
	assert_true(at + sizeof(f) <= fpu);
	assert_true(fpu + sigframe_fpu_size() <= regs.r.rsp - SIGFRAME_RED_ZONE);
	sigframe_build(&f, at, fpu, &in, &regs);
	assert_int_equal(f.restorer, 0x402000);
	assert_int_equal(f.context.rip, 0x400123);
	assert_int_equal(f.context.rsp, 0x7ffe1234);
	assert_int_equal(f.context.rax, 9);
	assert_int_equal(f.context.fpstate, fpu);
	assert_int_equal(regs.r.rip, 0x401000);
	assert_int_equal(regs.r.rsp, at);
	assert_int_equal(regs.r.rdi, SIGUSR1);
	assert_int_equal(regs.r.rsi, at + offsetof(struct sigframe, info));
	assert_int_equal(regs.r.rdx, at + UCONTEXT);
	assert_int_equal(regs.r.eflags & 0x10500, 0);
}

static void a_round_trip_gives_the_registers_back(void **state)
{
	siginfo_t info = { .si_signo = SIGUSR1 };
	struct sigframe_input in = { .sig = SIGUSR1, .info = &info };
	struct arch_regs before = { .r = { .r8 = 1,
					   .r15 = 2,
					   .rbx = 3,
					   .rbp = 4,
					   .rax = 5,
					   .rcx = 6,
					   .rdx = 7,
					   .rsp = 8,
					   .rip = 9 } };
	struct arch_regs regs = before;
	struct sigframe f;

	sigframe_build(&f, 0x1000, 0, &in, &regs);
	sigframe_restore(&f, &regs);
	assert_int_equal(regs.r.r8, 1);
	assert_int_equal(regs.r.r15, 2);
	assert_int_equal(regs.r.rbx, 3);
	assert_int_equal(regs.r.rbp, 4);
	assert_int_equal(regs.r.rax, 5);
	assert_int_equal(regs.r.rcx, 6);
	assert_int_equal(regs.r.rdx, 7);
	assert_int_equal(regs.r.rsp, 8);
	assert_int_equal(regs.r.rip, 9);
}

static void segments_and_privileged_flags_are_not_the_guests(void **state)
{
	struct arch_regs regs = { .r = { .fs_base = 0x1234 } };
	struct sigframe f;

	memset(&f, 0xff, sizeof(f));
	sigframe_restore(&f, &regs);
	assert_int_equal(regs.r.cs, 0x33);
	assert_int_equal(regs.r.ss, 0x2b);
	assert_int_equal(regs.r.eflags, 0x40dd5 | 0x202); /* no IOPL, NT, VM, VIF, ID */
	assert_int_equal(regs.r.fs_base, 0x1234);
	assert_int_equal((int64_t)regs.r.orig_rax, -1);
}

static void only_a_sealed_image_is_extended(void **state)
{
	uint8_t *image = calloc(1, sigframe_fpu_size());

	assert_false(sigframe_fpu_is_extended(image));
	sigframe_fpu_seal(image);
	assert_true(sigframe_fpu_is_extended(image));
	image[FPU_SW_RESERVED + 4]++; /* extended_size */
	assert_false(sigframe_fpu_is_extended(image));
	free(image);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fields_are_where_the_c_library_looks),
		cmocka_unit_test(the_handler_starts_as_if_called),
		cmocka_unit_test(a_round_trip_gives_the_registers_back),
		cmocka_unit_test(segments_and_privileged_flags_are_not_the_guests),
		cmocka_unit_test(only_a_sealed_image_is_extended),
	};

	return fpu_init() < 0 ? 77 : cmocka_run_group_tests(tests, NULL, NULL);
}
