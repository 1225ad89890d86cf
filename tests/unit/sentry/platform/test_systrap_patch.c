/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Patched call sites under interrupts at any instruction: the guest checks every register, two
 * words of its red zone and a vector register after each call, while the kernel interrupts it at
 * random, sends it through a handler that spoils everything, forks and clones it.
 * Arguments: the stub's path, the profile.
 */
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "sentry/arch/fpu.h"
#include "sentry/core/kclock.h"
#include "sentry/core/kloop.h"
#include "sentry/core/ktimer.h"
#include "sentry/platform/systrap/patch.h"
#include "sentry/platform/systrap/systrap_internal.h"
#include "lib/unit.h"

#define CODE	0x400000ull
#define STACK	0x500000ull
#define PAGE	4096ull
#define ROUNDS	20000u
#define NR_WORK 110 /* getppid: any number does */
#define NR_BACK 15  /* the handler's end */
#define RESULT	42

extern const uint8_t guest_code[], guest_end[], guest_handler[];

/* r15: rounds left. Both forms of call sites in each round; exit(0) is right, exit(1) wrong. */
__asm__(".section .rodata\n"
	"guest_code:\n"
	".skip 256, 0x90\n"
	"	movabs $0x1111111111, %rbx\n"
	"	movabs $0x2222222222, %rbp\n"
	"	movabs $0x3333333333, %r12\n"
	"	movabs $0x4444444444, %r13\n"
	"	movabs $0x5555555555, %r14\n"
	"	movq %rbx, %xmm9\n"
	"1:	mov $3, %ecx\n"
	"2:	movabs $0x6666666666, %rdi\n"
	"	movabs $0x7777777777, %rsi\n"
	"	movabs $0x8888888888, %rdx\n"
	"	movabs $0x9999999999, %r10\n"
	"	movabs $0xaaaaaaaaaa, %r8\n"
	"	movabs $0xbbbbbbbbbb, %r9\n"
	"	movq %r15, -8(%rsp)\n"
	"	movq %rbx, -128(%rsp)\n"
	"	test $1, %r15b\n"
	"	jz 4f\n"
	"	mov $110, %eax\n"
	"	nop\n"
	"	syscall\n"
	"	cmp $-4096, %rax\n" /* the second form */
	"	ja 7f\n"
	"	jmp 5f\n"
	"4:	mov $110, %eax\n" /* the first */
	"	syscall\n"
	"5:	cmp $42, %rax\n"
	"	jne 7f\n"
	"	cmpq %r15, -8(%rsp)\n"
	"	jne 7f\n"
	"	cmpq %rbx, -128(%rsp)\n"
	"	jne 7f\n"
	"	movabs $0x6666666666, %rax\n"
	"	cmp %rax, %rdi\n"
	"	jne 7f\n"
	"	movabs $0x7777777777, %rax\n"
	"	cmp %rax, %rsi\n"
	"	jne 7f\n"
	"	movabs $0x8888888888, %rax\n"
	"	cmp %rax, %rdx\n"
	"	jne 7f\n"
	"	movabs $0x9999999999, %rax\n"
	"	cmp %rax, %r10\n"
	"	jne 7f\n"
	"	movabs $0xaaaaaaaaaa, %rax\n"
	"	cmp %rax, %r8\n"
	"	jne 7f\n"
	"	movabs $0xbbbbbbbbbb, %rax\n"
	"	cmp %rax, %r9\n"
	"	jne 7f\n"
	"	movabs $0x1111111111, %rax\n"
	"	cmp %rax, %rbx\n"
	"	jne 7f\n"
	"	movabs $0x2222222222, %rax\n"
	"	cmp %rax, %rbp\n"
	"	jne 7f\n"
	"	movabs $0x3333333333, %rax\n"
	"	cmp %rax, %r12\n"
	"	jne 7f\n"
	"	movabs $0x4444444444, %rax\n"
	"	cmp %rax, %r13\n"
	"	jne 7f\n"
	"	movabs $0x5555555555, %rax\n"
	"	cmp %rax, %r14\n"
	"	jne 7f\n"
	"	movq %xmm9, %rax\n"
	"	cmp %rax, %rbx\n"
	"	jne 7f\n"
	"	dec %r15\n"
	"	jnz 1b\n"
	"	mov $0, %edi\n"
	"	jmp 8f\n"
	"7:	mov $1, %edi\n"
	"8:	mov $231, %eax\n"
	"	nop\n"
	"	syscall\n"
	"	hlt\n"
	"guest_handler:\n"
	"	xor %ebx, %ebx\n"
	"	xor %ebp, %ebp\n"
	"	pcmpeqd %xmm9, %xmm9\n"
	"	mov $-1, %r12\n"
	"	mov $-2, %r13\n"
	"	mov $-3, %r14\n"
	"	mov $-4, %r15\n"
	"	mov $-5, %rsi\n"
	"	mov $-6, %r8\n"
	"	mov $15, %eax\n"
	"	syscall\n"
	"	hlt\n"
	"guest_end:\n"
	".text\n");

static struct {
	struct platform_thread *t;
	struct ktimer timer;
	uint64_t random, gs;
	unsigned int interrupts, handled, fast, trapped, in_site, forks;
	bool ended;
} run;

static uint64_t next_random(void)
{
	run.random = run.random * 6364136223846793005ull + 1442695040888963407ull;
	return run.random >> 33;
}

static void kick(struct ktimer *timer)
{
	if (run.ended)
		return;
	platform->thread_interrupt(run.t);
	ktimer_arm(timer, kclock_monotonic() + 1000 + next_random() % 60000);
}

static struct platform_thread *new_guest(uint64_t rounds)
{
	const struct platform_map code = {
		.addr = CODE, .len = PAGE, .prot = PROT_READ | PROT_WRITE, .host_fd = -1
	};
	const struct platform_map stack = {
		.addr = STACK, .len = PAGE, .prot = PROT_READ | PROT_WRITE, .host_fd = -1
	};
	const size_t len = (size_t)(guest_end - guest_code);
	struct platform_thread *t;
	struct arch_regs regs;

	assert_int_equal(platform->space_new(NULL, &t), 0);
	assert_int_equal(platform->map(t, &code), 0);
	assert_int_equal(platform->map(t, &stack), 0);
	assert_int_equal(platform->write(platform->thread_space(t), CODE, guest_code, len), len);
	assert_int_equal(platform->protect(t, CODE, PAGE, PROT_READ | PROT_EXEC), 0);
	assert_int_equal(platform->thread_get_regs(t, &regs), 0);
	regs.r.rip = CODE;
	regs.r.rsp = STACK + PAGE - 256;
	regs.r.r15 = rounds;
	assert_int_equal(platform->thread_set_regs(t, &regs), 0);
	return t;
}

struct saved {
	struct arch_regs regs;
	uint8_t fpu[FPU_SIZE_MAX];
};

/* As a signal would: away to the handler, everything kept. */
static void enter_handler(struct platform_thread *t, struct saved *s)
{
	struct arch_regs regs;
	const uint64_t code_end = CODE + (uint64_t)(guest_end - guest_code);

	assert_int_equal(platform->thread_get_regs(t, &s->regs), 0);
	assert_int_equal(platform->thread_get_fpu(t, s->fpu, fpu_size()), 0);
	/* A guest never sees a trampoline. */
	assert_in_range(s->regs.r.rip, CODE, code_end);
	assert_int_equal(s->regs.r.gs_base, run.gs);
	regs = s->regs;
	regs.r.rip = CODE + (uint64_t)(guest_handler - guest_code);
	regs.r.rsp -= 512;
	assert_int_equal(platform->thread_set_regs(t, &regs), 0);
	run.handled++;
}

static void leave_handler(struct platform_thread *t, const struct saved *s)
{
	assert_int_equal(platform->thread_set_regs(t, &s->regs), 0);
	assert_int_equal(platform->thread_set_fpu(t, s->fpu, fpu_size()), 0);
}

/* Until exit_group: its argument. */
static uint64_t serve(struct platform_thread *t, bool with_handlers)
{
	struct saved *saved = calloc(1, sizeof(*saved));
	bool in_handler = false;
	struct platform_event e;

	for (;;) {
		platform->thread_run(t, &e);
		if (e.kind == PLATFORM_INTERRUPT) {
			run.interrupts++;
			if (with_handlers && !in_handler && next_random() % 4 != 0) {
				enter_handler(t, saved);
				in_handler = true;
			}
			continue;
		}
		if (e.kind != PLATFORM_SYSCALL)
			fail_msg("event %d, signal %d", (int)e.kind, e.info.si_signo);
		if (e.nr == SYS_exit_group)
			break;
		if (t->fast)
			run.fast++;
		else
			run.trapped++;
		if (e.nr == NR_BACK) {
			assert_true(in_handler);
			in_handler = false;
			leave_handler(t, saved);
			continue;
		}
		assert_int_equal(e.nr, NR_WORK);
		assert_int_equal(e.args.v[5], 0xbbbbbbbbbb);
		platform->thread_set_result(t, RESULT);
	}
	free(saved);
	return e.args.v[0];
}

static void (*body)(void);

static void fiber_body(void *arg)
{
	body();
	kloop_stop(0);
}

static void on_fiber(void (*fn)(void))
{
	body = fn;
	assert_int_equal(fiber_spawn("test", fiber_body, NULL, NULL), 0);
	(void)kloop_run();
}

static void do_plain(void)
{
	struct platform_thread *t = new_guest(1000);

	run.fast = run.trapped = 0;
	assert_int_equal(serve(t, false), 0);
	assert_true(run.trapped < 40);
	assert_true(run.fast > 900);
	platform->thread_free(t);
}

static void both_forms_of_sites_are_patched(void **state)
{
	on_fiber(do_plain);
}

static void serve_with_interrupts(struct platform_thread *t)
{
	run.t = t;
	run.ended = false;
	run.interrupts = run.handled = 0;
	ktimer_init(&run.timer, kick);
	ktimer_arm(&run.timer, kclock_monotonic() + 100000);
	assert_int_equal(serve(t, true), 0);
	run.ended = true;
	ktimer_cancel(&run.timer);
	assert_true(run.handled > 100);
	print_message("%u interrupts, %u handlers, %u fast, %u trapped\n", run.interrupts,
		      run.handled, run.fast, run.trapped);
}

static void do_interrupts(void)
{
	struct platform_thread *t = new_guest(ROUNDS);

	serve_with_interrupts(t);
	platform->thread_free(t);
}

static void an_interrupt_at_any_instruction_keeps_all_registers(void **state)
{
	on_fiber(do_interrupts);
}

/* Stop somewhere in the middle, on the short way. */
static void run_to_fast(struct platform_thread *t)
{
	struct platform_event e;

	do {
		platform->thread_run(t, &e);
		assert_int_equal(e.kind, PLATFORM_SYSCALL);
		platform->thread_set_result(t, RESULT);
	} while (!t->fast);
}

static void do_gs(void)
{
	struct platform_thread *t = new_guest(ROUNDS / 2);
	struct arch_regs regs;

	run_to_fast(t);
	assert_int_equal(platform->thread_get_regs(t, &regs), 0);
	assert_int_equal(regs.r.gs_base, 0);
	regs.r.gs_base = run.gs = STACK;
	assert_int_equal(platform->thread_set_regs(t, &regs), 0);
	run.fast = 0;
	serve_with_interrupts(t);
	assert_int_equal(run.fast, 0);
	assert_int_equal(platform->thread_get_regs(t, &regs), 0);
	assert_int_equal(regs.r.gs_base, STACK);
	run.gs = 0;
	platform->thread_free(t);
}

static void a_guest_with_its_own_gs_is_served_by_traps_at_patched_sites(void **state)
{
	on_fiber(do_gs);
}

static void do_forks(void)
{
	struct platform_thread *t = new_guest(2000);

	for (unsigned int i = 0; i < 5; i++) {
		struct platform_thread *child;

		run_to_fast(t);
		assert_int_equal(platform->thread_fork(t, &child), 0);
		platform->thread_set_result(child, RESULT);
		run.trapped = 0;
		assert_int_equal(serve(child, false), 0);
		assert_true(run.trapped < 20); /* the child inherits what is patched */
		platform->thread_free(child);
	}
	assert_int_equal(serve(t, false), 0);
	platform->thread_free(t);
}

static void a_fork_on_the_short_way_gives_two_whole_processes(void **state)
{
	on_fiber(do_forks);
}

static void do_clones(void)
{
	struct platform_thread *t = new_guest(400);
	struct platform_thread *child;
	struct arch_regs regs;

	run_to_fast(t);
	for (unsigned int i = 0; i < 3; i++) {
		assert_int_equal(platform->thread_clone(t, &child), 0);
		assert_int_equal(platform->thread_get_regs(child, &regs), 0);
		regs.r.rsp -= 1024;
		regs.r.rax = RESULT;
		/* What the parent had in its red zone is not on the child's stack. */
		regs.r.rip = CODE;
		assert_int_equal(platform->thread_set_regs(child, &regs), 0);
		assert_int_equal(serve(child, false), 0);
		platform->thread_free(child);
	}
	assert_int_equal(serve(t, false), 0);
	platform->thread_free(t);
}

static void a_clone_on_the_short_way_is_a_whole_thread(void **state)
{
	on_fiber(do_clones);
}

static void do_beside(void)
{
	struct platform_thread *t = new_guest(1000);
	struct platform_thread *beside;
	struct arch_regs regs;

	assert_int_equal(platform->thread_clone(t, &beside), 0);
	run.fast = run.trapped = 0;
	assert_int_equal(serve(t, false), 0);
	assert_true(run.trapped < 60);
	assert_true(run.fast > 900);
	/* The one beside, which has seen none of it, runs the patched code. */
	assert_int_equal(platform->thread_get_regs(beside, &regs), 0);
	regs.r.rip = CODE;
	regs.r.r15 = 50;
	assert_int_equal(platform->thread_set_regs(beside, &regs), 0);
	assert_int_equal(serve(beside, false), 0);
	platform->thread_free(beside);
	platform->thread_free(t);
}

static void sites_are_patched_while_the_other_threads_are_in_the_kernel(void **state)
{
	on_fiber(do_beside);
}

static void do_unmap(void)
{
	struct platform_thread *t = new_guest(100);
	const uint64_t below = CODE - 4 * STUB_AREA_LEN;
	const struct platform_map over = {
		.addr = below, .len = 4 * STUB_AREA_LEN, .prot = PROT_READ, .host_fd = -1
	};

	run_to_fast(t);
	/* The guest may not replace the trampolines, and unmaps only what is its own. */
	assert_int_equal(platform->map(t, &over), -ENOMEM);
	assert_int_equal(platform->unmap(t, below, 4 * STUB_AREA_LEN), 0);
	assert_int_equal(serve(t, false), 0);
	platform->thread_free(t);
}

static void trampolines_survive_what_a_guest_unmaps(void **state)
{
	on_fiber(do_unmap);
}

static void bytes_that_cannot_move_are_left_alone(void **state)
{
	struct patch_code code;
	uint8_t bytes[STUB_SITE_LEN] = { 0 };
	uint8_t *rip = bytes + STUB_SITE_BACK;

	rip[-2] = 0x0f;
	rip[-1] = 0x05;
	memcpy(rip, "\x0f\x87\x00\x00\x00\x00", 6); /* ja */
	assert_false(patch_code_judge(bytes, 0x400100, 1, &code));
	memcpy(rip, "\x48\x8b\x05\x00\x00\x00\x00", 7); /* relative to rip */
	assert_false(patch_code_judge(bytes, 0x400100, 1, &code));
	memcpy(rip, "\x48\x3d\x01\xf0\xff\xff", 6);
	assert_true(patch_code_judge(bytes, 0x400100, 1, &code));
	assert_int_equal(code.len, 8);
	rip[-7] = 0xb8;
	rip[-6] = 1; /* mov $1,%eax, but rax held something else: not the way it came */
	assert_true(patch_code_judge(bytes, 0x400100, 2, &code));
	assert_false(code.loads_nr);
	assert_true(patch_code_judge(bytes, 0x400100, 1, &code));
	assert_true(code.loads_nr);
	assert_int_equal(code.site, 0x400100 - 7);
	rip[-1] = 0x06;
	assert_false(patch_code_judge(bytes, 0x400100, 1, &code));
}

static int setup(void **state)
{
	return kloop_init() < 0 ? -1 : platform->init();
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bytes_that_cannot_move_are_left_alone),
		cmocka_unit_test(both_forms_of_sites_are_patched),
		cmocka_unit_test(a_fork_on_the_short_way_gives_two_whole_processes),
		cmocka_unit_test(a_clone_on_the_short_way_is_a_whole_thread),
		cmocka_unit_test(sites_are_patched_while_the_other_threads_are_in_the_kernel),
		cmocka_unit_test(trampolines_survive_what_a_guest_unmaps),
		cmocka_unit_test(an_interrupt_at_any_instruction_keeps_all_registers),
		cmocka_unit_test(a_guest_with_its_own_gs_is_served_by_traps_at_patched_sites),
	};
	struct systrap_options options = { 0 };

	if (argc < 3)
		return 2;
	options.stub_fd = open(argv[1], O_RDONLY | O_CLOEXEC);
	options.profile = strcmp(argv[2], "direct") == 0 ? SYSTRAP_DIRECT : SYSTRAP_CHECKED;
	systrap_set_options(&options);
	platform = &platform_systrap;
	run.random = 12345;
	return cmocka_run_group_tests_name("sentry/systrap patching", tests, setup, NULL);
}
