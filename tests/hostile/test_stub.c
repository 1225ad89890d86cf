/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Attacks of a guest on its stub, its siblings and the sentry. After each of them an honest guest
 * in another process must still get its answers, and its memory must be what it was.
 * Arguments: the stub's path, the profile; "caged": in the sentry's cage, which ends the program
 * when what a guest does leads it to a call that its list has not.
 */
#include <fcntl.h>
#include <linux/futex.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

#include "jail/jail.h"
#include "sentry/core/kclock.h"
#include "sentry/core/kloop.h"
#include "sentry/platform/systrap/systrap_internal.h"
#include "fixture.h"

#define SYS_MSEAL 462

/* rax: value; rdi: to; rcx: words; rsi: from here again. rep stosq; xor; jmp: writes for ever */
static const uint8_t scribble_code[] = {
	0x48, 0x69, 0xc0, 0x0d, 0x66, 0x19, 0x00, /* imul $0x19660d,%rax,%rax */
	0x48, 0x05, 0x5f, 0xf3, 0x6e, 0x3c,	  /* add $0x3c6ef35f,%rax */
	0x48, 0x89, 0xf7,			  /* mov %rsi,%rdi */
	0x48, 0x89, 0xd1,			  /* mov %rdx,%rcx */
	0xf3, 0x48, 0xab,			  /* rep stosq */
	0xeb, 0xe8,				  /* jmp to the start */
};

extern const struct sock_filter sentry_filter[];
extern const unsigned short sentry_filter_len;

static int zygote_pidfd;
static bool scoped; /* the host has rules of Landlock for signals */

/* Let a guest's thread go on at an address of the stub's program with these registers. */
static enum platform_event_kind jump_thread(struct platform_thread *t, uint64_t rip, uint64_t nr,
					    const uint64_t a[6], nsec_t ns)
{
	hostile_at(t, rip, nr, a);
	return hostile_run_for(t, ns);
}

static enum platform_event_kind jump(uint64_t rip, uint64_t nr, const uint64_t a[6], nsec_t ns)
{
	struct platform_thread *t = hostile_guest(hostile_spin_code, SPIN_CODE_LEN);
	const enum platform_event_kind kind = jump_thread(t, rip, nr, a, ns);

	platform->thread_free(t);
	return kind;
}

static const struct attack {
	const char *name;
	uint64_t nr, a[6];
} attacks[] = {
	{ "execve", SYS_execve, { DATA, DATA, DATA } },
	{ "open", SYS_open, { DATA, 0, 0 } },
	{ "socket", SYS_socket, { 1, 1, 0 } },
	{ "kill all", SYS_kill, { (uint64_t)-1, SIGKILL } },
	{ "kill init", SYS_kill, { 1, SIGKILL } },
	{ "ptrace", SYS_ptrace, { 16, 1 } },
	{ "plain clone", SYS_clone, { SIGCHLD } },
	{ "fork without a grant", SYS_clone, { CLONE_PARENT | SIGCHLD } },
	{ "birth without a clone", STUB_NR_BIRTH, { 0x1234 } },
	{ "birth with nonce 0", STUB_NR_BIRTH, { 0 } },
	{ "unmap the stub", SYS_munmap, { STUB_TEXT, STUB_TEXT_LEN } },
	{ "unmap everything", SYS_munmap, { 0, STUB_ADDRESS_MAX } },
	{ "write the stub", SYS_mprotect, { STUB_TEXT, STUB_TEXT_LEN, 7 } },
	{ "write the global page", SYS_mprotect, { STUB_GRO, STUB_GRO_LEN, 3 } },
	{ "write the wake words", SYS_mprotect, { STUB_WRO, STUB_WRO_LEN, 3 } },
	{ "replace the global page",
	  SYS_mmap,
	  { STUB_GRO, STUB_GRO_LEN, 3, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, UINT64_MAX } },
	{ "move the shared slots", SYS_mremap, { STUB_PRW, PAGE, 2 * PAGE, 3, CODE } },
	{ "unmap the slots", SYS_munmap, { STUB_PRW, STUB_PRW_LEN } },
	{ "drop the slots", SYS_madvise, { STUB_PRW, STUB_PRW_LEN, MADV_DONTNEED } },
	{ "remove the slots", SYS_madvise, { STUB_PRW, STUB_PRW_LEN, MADV_REMOVE } },
	{ "shared anonymous", SYS_mmap, { 0, PAGE, 3, MAP_SHARED | MAP_ANONYMOUS, UINT64_MAX } },
	{ "close the doorbell", SYS_close, { STUB_FD_DOORBELL } },
	{ "map a file of nobody", SYS_mmap, { CODE, PAGE, 1, 0x12, STUB_FD_DONATED } },
	{ "fill the doorbell", SYS_write, { STUB_FD_DOORBELL, DATA, 8 } },
	{ "priority inheritance", SYS_futex, { DATA, FUTEX_LOCK_PI } },
	{ "take a wake-up", SYS_futex, { STUB_WRO, FUTEX_WAIT, 0 } },
	{ "wake everybody", SYS_futex, { STUB_WRO, FUTEX_WAKE, 0x7fffffff } },
	{ "requeue", SYS_futex, { STUB_WRO, FUTEX_REQUEUE, 1, 1, DATA } },
	{ "exit", SYS_exit, { 0 } },
	{ "exit the group", SYS_exit_group, { 0 } },
	{ "sigreturn of nothing", SYS_rt_sigreturn, { 0 } },
	{ "process_vm_writev", SYS_process_vm_writev, { 1 } },
	{ "prctl", SYS_prctl, { 4, 1 } },
	{ "seccomp", SYS_seccomp, { 1, 0, 0 } },
	{ "userfaultfd", SYS_userfaultfd, { 0 } },
};

static void do_attacks(void)
{
	hostile_honest_begins();
	for (uint64_t at = hostile_next_syscall(0); at != UINT64_MAX;
	     at = hostile_next_syscall(at + 1)) {
		for (size_t i = 0; i < sizeof(attacks) / sizeof(attacks[0]); i++) {
			(void)jump(STUB_TEXT + at, attacks[i].nr, attacks[i].a, 3000000);
			hostile_honest_lives();
		}
	}
	platform->thread_free(hostile_honest);
}

static void a_call_from_any_call_instruction_of_the_stub_harms_its_caller_only(void **state)
{
	hostile_on_fiber(do_attacks);
}

/* The same by a thread that is not its process's first: no pidfd names it. */
static void do_attacks_of_a_thread(void)
{
	const uint64_t at = STUB_TEXT + hostile_next_syscall(0);

	hostile_honest_begins();
	for (size_t i = 0; i < sizeof(attacks) / sizeof(attacks[0]); i++) {
		struct platform_thread *t = hostile_guest(hostile_spin_code, SPIN_CODE_LEN),
				       *second;

		assert_int_equal(platform->thread_clone(t, &second), 0);
		(void)jump_thread(second, at, attacks[i].nr, attacks[i].a, 3000000);
		platform->thread_free(second);
		platform->thread_free(t);
		hostile_honest_lives();
	}
	platform->thread_free(hostile_honest);
}

static void a_call_by_a_second_thread_harms_its_process_only(void **state)
{
	hostile_on_fiber(do_attacks_of_a_thread);
}

/* Kept alive, or not: a birth that nobody ordered is the end of its process. */
static void do_births(void)
{
	static const uint64_t nonces[] = { 0, 1, UINT64_MAX };
	const uint64_t at = STUB_TEXT + hostile_next_syscall(0);

	hostile_honest_begins();
	for (size_t i = 0; i < sizeof(nonces) / sizeof(nonces[0]); i++) {
		const uint64_t a[6] = { nonces[i] };
		struct platform_thread *t = hostile_guest(hostile_spin_code, SPIN_CODE_LEN),
				       *second;

		assert_int_equal(platform->thread_clone(t, &second), 0);
		assert_int_equal(jump_thread(second, at, STUB_NR_BIRTH, a, NSEC_PER_SEC),
				 PLATFORM_DEAD);
		assert_true(platform->space_dead(platform->thread_space(t)));
		platform->thread_free(second);
		platform->thread_free(t);
		assert_int_equal(jump(at, STUB_NR_BIRTH, a, NSEC_PER_SEC), PLATFORM_DEAD);
		hostile_honest_lives();
	}
	platform->thread_free(hostile_honest);
}

static void a_birth_without_an_order_ends_its_process(void **state)
{
	hostile_on_fiber(do_births);
}

/* The first call instruction of the stub: an invalid one follows. What the save area says is a
 * request. */
static void notify(struct platform_thread *t, uint64_t addr)
{
	struct platform_event ev;

	t->ctx->kind = STUB_REQ_FAST;
	t->ctx->nr = SYS_getpriority;
	hostile_at(t, STUB_TEXT + hostile_next_syscall(0), SYS_munmap,
		   (const uint64_t[6]){ addr, PAGE });
	platform->thread_run(t, &ev);
	assert_int_equal(ev.kind, PLATFORM_SYSCALL);
	assert_int_equal(ev.nr, SYS_getpriority);
	platform->thread_set_result(t, 0);
}

static bool is_there(struct platform_thread *t, uint64_t addr)
{
	uint8_t byte;

	return platform->read(platform->thread_space(t), &byte, addr, 1) == 1;
}

/* A guest notifies that it unmaps the first page of DATA, the sentry wants `wanted` to go, or 0. */
static bool goes_on(uint64_t wanted)
{
	struct platform_thread *t = hostile_guest(hostile_spin_code, SPIN_CODE_LEN);
	bool gone;

	notify(t, DATA);
	if (wanted)
		assert_int_equal(platform->unmap(t, wanted, PAGE), 0);
	assert_int_equal(hostile_run_for(t, NSEC_PER_SEC), PLATFORM_FAULT);
	gone = !is_there(t, DATA);
	platform->thread_free(t);
	return gone;
}

static void do_notified(void)
{
	struct platform_thread *t, *second;

	if (systrap.options.profile != SYSTRAP_CHECKED)
		return;
	assert_false(goes_on(0));
	assert_false(goes_on(DATA + PAGE));
	assert_true(goes_on(DATA));
	/* Who is not alone has no such requests. */
	t = hostile_guest(hostile_spin_code, SPIN_CODE_LEN);
	assert_int_equal(platform->thread_clone(t, &second), 0);
	assert_int_equal(jump_thread(t, STUB_TEXT + hostile_next_syscall(0), SYS_munmap,
				     (const uint64_t[6]){ DATA, PAGE }, NSEC_PER_SEC),
			 PLATFORM_DEAD);
	platform->thread_free(second);
	platform->thread_free(t);
}

static void a_notified_memory_call_is_made_only_if_it_is_what_the_sentry_wants(void **state)
{
	hostile_on_fiber(do_notified);
}

static void do_every_byte(void)
{
	const uint64_t a[6] = { DATA, DATA, 8, DATA, DATA, DATA };
	const uint64_t step = getenv("CAISSON_SOAK") ? 1 : 5;

	hostile_honest_begins();
	for (uint64_t at = 0; at < hostile_stub_len; at += step) {
		(void)jump(STUB_TEXT + at, at % 400, a, 2000000);
		if (at % 16 == 0)
			hostile_honest_lives();
	}
	hostile_honest_lives();
	platform->thread_free(hostile_honest);
}

static void a_jump_to_any_byte_of_the_stub_harms_its_jumper_only(void **state)
{
	hostile_on_fiber(do_every_byte);
}

static void scribble(uint64_t to, uint64_t words, uint64_t seed)
{
	struct platform_thread *t = hostile_guest(scribble_code, sizeof(scribble_code));
	struct arch_regs regs;

	assert_int_equal(platform->thread_get_regs(t, &regs), 0);
	regs.r.rax = seed;
	regs.r.rsi = to;
	regs.r.rdx = words;
	assert_int_equal(platform->thread_set_regs(t, &regs), 0);
	(void)hostile_run_for(t, 20000000);
	(void)hostile_run_for(t, 20000000);
	platform->thread_free(t);
}

static void do_scribble(void)
{
	hostile_honest_begins();
	for (unsigned int i = 0; i < 20; i++) {
		/* Its own slot; only the request line; only the stack of its signals. */
		scribble(STUB_PRW, STUB_SLOT_LEN / 8, i);
		scribble(STUB_PRW + offsetof(struct stub_ctx, req_seq), 8, i);
		scribble(STUB_PRW + offsetof(struct stub_ctx, req_seq), 1, i);
		scribble(STUB_PRW + STUB_FRAME, (STUB_SLOT_LEN - STUB_FRAME) / 8, i);
		scribble(STUB_STACKS, STUB_STACK_LEN / 8, i);
		hostile_honest_lives();
	}
	platform->thread_free(hostile_honest);
}

static void whoever_writes_its_lines_at_random_harms_itself(void **state)
{
	hostile_on_fiber(do_scribble);
}

/* A sequence number that is not due, frames that lie elsewhere, kinds that do not exist. */
static void do_forged(void)
{
	static const struct {
		uint32_t kind;
		uint32_t step;
		uint64_t uc, nr;
	} forged[] = {
		{ STUB_REQ_SYSCALL, 2, STUB_PRW + STUB_SIGSTACK, 39 },
		{ STUB_REQ_SYSCALL, UINT32_MAX, STUB_PRW + STUB_SIGSTACK, 39 },
		{ STUB_REQ_SYSCALL, 1, 0, 39 },
		{ STUB_REQ_SYSCALL, 1, STUB_PRW, 39 },
		{ STUB_REQ_SYSCALL, 1, STUB_PRW + STUB_SLOT_LEN - 8, 39 },
		{ STUB_REQ_SYSCALL, 1, STUB_PRW + STUB_SLOT_LEN + STUB_SIGSTACK, 39 },
		{ STUB_REQ_SYSCALL, 1, UINT64_MAX - 7, 39 },
		{ STUB_REQ_SYSCALL, 1, STUB_PRW + STUB_SIGSTACK + 1, 39 },
		{ STUB_REQ_FAULT, 1, STUB_PRW + STUB_SIGSTACK, 0 },
		{ STUB_REQ_FAULT, 1, STUB_PRW + STUB_SIGSTACK, 64 },
		{ STUB_REQ_DONE, 1, STUB_PRW + STUB_SIGSTACK, 0 },
		{ STUB_REQ_READY, 1, STUB_PRW + STUB_SIGSTACK, 0 },
		{ STUB_REQ_LISTENER, 1, STUB_PRW + STUB_SIGSTACK, 3 },
		{ STUB_REQ_FRAMED, 1, STUB_PRW + STUB_SIGSTACK, 0 },
		{ 77, 1, STUB_PRW + STUB_SIGSTACK, 0 },
	};

	hostile_honest_begins();
	for (size_t i = 0; i < sizeof(forged) / sizeof(forged[0]); i++) {
		struct platform_thread *t = hostile_guest(hostile_spin_code, SPIN_CODE_LEN);
		struct platform_event e;
		struct stub_ctx *c = t->ctx;

		/* The guest's own words, written here in its place while it spins. */
		assert_int_equal(hostile_run_for(t, 2000000), PLATFORM_INTERRUPT);
		c->kind = forged[i].kind;
		c->nr = forged[i].nr;
		c->uc = forged[i].uc;
		t->frame_changed = true; /* back by the frame, whatever the lines say */
		c->req_seq += forged[i].step;
		platform->thread_run(t, &e);
		assert_int_equal(e.kind, PLATFORM_DEAD);
		assert_true(platform->space_dead(platform->thread_space(t)));
		platform->thread_free(t);
		hostile_honest_lives();
	}
	platform->thread_free(hostile_honest);
}

static void a_forged_request_ends_its_process(void **state)
{
	hostile_on_fiber(do_forged);
}

/* A frame whose mask blocks every signal: the kick is never answered. */
static void do_deaf(void)
{
	struct platform_thread *t = hostile_guest(hostile_spin_code, SPIN_CODE_LEN);
	const nsec_t began = kclock_monotonic();
	const uint64_t sigreturn = hostile_next_syscall(0);
	ucontext_t uc;
	uint64_t at = UINT64_MAX;
	struct arch_regs regs;

	hostile_honest_begins();
	for (uint64_t i = sigreturn; i != UINT64_MAX && at == UINT64_MAX;
	     i = hostile_next_syscall(i + 1)) {
		if (memcmp(&hostile_stub_image[i - 5], "\xb8\x0f\x00\x00\x00", 5) == 0)
			at = i;
	}
	assert_true(at != UINT64_MAX);
	memset(&uc, 0, sizeof(uc));
	uc.uc_mcontext.gregs[REG_RIP] = CODE;
	uc.uc_mcontext.gregs[REG_RSP] = DATA + PAGE;
	uc.uc_mcontext.gregs[REG_EFL] = 0x202;
	uc.uc_mcontext.gregs[REG_CSGSFS] = (greg_t)(0x2bull << 48 | 0x33);
	memset(&uc.uc_sigmask, 0xff, 8);
	assert_true(platform->write(platform->thread_space(t), DATA, &uc, STUB_UC_LEN) > 0);
	assert_int_equal(platform->thread_get_regs(t, &regs), 0);
	regs.r.rip = STUB_TEXT + at;
	regs.r.rsp = DATA;
	regs.r.rax = SYS_rt_sigreturn;
	assert_int_equal(platform->thread_set_regs(t, &regs), 0);
	assert_int_equal(hostile_run_for(t, 1000000), PLATFORM_DEAD);
	assert_true(kclock_monotonic() - began < 15 * NSEC_PER_SEC);
	platform->thread_free(t);
	hostile_honest_lives();
	platform->thread_free(hostile_honest);
}

static void who_hears_no_signal_is_killed_when_it_is_called(void **state)
{
	hostile_on_fiber(do_deaf);
}

/* Descriptors of a stub: nothing that the sentry has. */
static void do_descriptors(void)
{
	struct platform_thread *t = hostile_guest(hostile_honest_code, HONEST_CODE_LEN);
	struct platform_thread *child;
	struct platform_event e;
	char path[64];

	platform->thread_run(t, &e);
	assert_int_equal(platform->thread_fork(t, &child), 0);
	platform->thread_set_result(child, 0);
	platform->thread_run(child, &e);
	for (int fd = 0; fd < STUB_FD_LIMIT; fd++) {
		struct stat st;

		(void)snprintf(path, sizeof(path), "/proc/%d/fd/%d", child->space->tgid, fd);
		if (fd == STUB_FD_DOORBELL)
			assert_int_equal(lstat(path, &st), 0);
		else if (fd != STUB_FD_SCOPE || !scoped)
			assert_int_equal(lstat(path, &st), -1);
	}
	platform->thread_free(child);
	platform->thread_free(t);
}

static void a_stub_holds_doorbell_and_landlock_rules_and_nothing_else(void **state)
{
	if (access("/proc/self/fd", X_OK) == 0)
		hostile_on_fiber(do_descriptors);
}

/* Where the heap of the program that a process was begins (field 47 of /proc/PID/stat, proc(5)). */
static unsigned long start_brk(pid_t tgid)
{
	char path[64], line[1024];
	unsigned long at = 0;
	char *p;
	FILE *stat;

	(void)snprintf(path, sizeof(path), "/proc/%d/stat", tgid);
	stat = fopen(path, "re");
	assert_non_null(stat);
	assert_non_null(fgets(line, sizeof(line), stat));
	(void)fclose(stat);
	p = strrchr(line, ')'); /* ends field 2 */
	for (int field = 2; p && field < 47; field++)
		p = strchr(p + 1, ' ');
	assert_non_null(p);
	assert_int_equal(sscanf(p, " %lu", &at), 1);
	assert_true(at > 0);
	return at;
}

/* Whether the host's flags of the mapping at an address have this one (smaps, proc(5)). */
static bool has_flag(pid_t tgid, uint64_t at, const char *flag)
{
	char path[64], line[512];
	unsigned long start, end, heap = start_brk(tgid);
	bool inside = false, found = false, has = false;
	FILE *maps;

	(void)snprintf(path, sizeof(path), "/proc/%d/smaps", tgid);
	maps = fopen(path, "re");
	assert_non_null(maps);
	while (fgets(line, sizeof(line), maps)) {
		/*
		 * Nothing that grows by itself is left of the program that the stub was. The label
		 * "[heap]" says nothing: any mapping that lies over the empty heap's place has it.
		 */
		assert_null(strstr(line, "[stack]"));
		if (sscanf(line, "%lx-%lx ", &start, &end) == 2) {
			inside = at >= start && at < end;
			assert_true(start != heap);
		}
		if (inside && strncmp(line, "VmFlags:", 8) == 0) {
			found = true;
			has = strstr(line, flag) != NULL;
		}
	}
	(void)fclose(maps);
	assert_true(found);
	return has;
}

/*
 * In profile direct the filter lets it ask, and it asks in vain: the files are sealed, and so is
 * the text where the host has mseal(2).
 */
static void do_shared_pages(void)
{
	static const uint64_t areas[][2] = { { STUB_GRO, STUB_GRO_LEN },
					     { STUB_WRO, STUB_WRO_LEN },
					     { STUB_IDS, STUB_IDS_LEN },
					     { STUB_TEXT, STUB_TEXT_LEN } };
	const size_t n = syscall(SYS_MSEAL, 0, 0, 0) == 0 ? 4 : 3;

	for (size_t i = 0; i < n; i++) {
		struct platform_thread *t = hostile_guest(hostile_spin_code, SPIN_CODE_LEN);

		assert_int_equal(jump_thread(t, STUB_TEXT + hostile_next_syscall(0), SYS_mprotect,
					     (const uint64_t[6]){ areas[i][0], areas[i][1], 7 },
					     30 * NSEC_PER_SEC),
				 PLATFORM_FAULT);
		assert_false(has_flag(t->space->tgid, areas[i][0], " wr "));
		if (areas[i][0] != STUB_TEXT)
			assert_false(has_flag(t->space->tgid, areas[i][0], " mw "));
		platform->thread_free(t);
	}
}

static void what_stubs_share_cannot_be_made_writable(void **state)
{
	if (systrap.options.profile == SYSTRAP_DIRECT && access("/proc/self/smaps", R_OK) == 0)
		hostile_on_fiber(do_shared_pages);
}

/* A thread of t that nobody knows is looked for by its number, of which none is another's. */
static void do_search(void)
{
	struct systrap_birth b = { .parent = hostile_guest(hostile_spin_code, SPIN_CODE_LEN) };
	const pid_t self = systrap.self;

	assert_int_equal(systrap_no_ghost(&b), 0);
	systrap.self = 1;
	assert_int_equal(systrap_no_ghost(&b), 0);
	systrap.self = self;
	platform->thread_free(b.parent);
}

static void a_clone_that_was_taken_back_is_searched_for_in_the_cage(void **state)
{
	hostile_on_fiber(do_search);
}

/* Last: everything goes with the zygote. */
static void do_end(void)
{
	struct platform_thread *t = hostile_guest(hostile_spin_code, SPIN_CODE_LEN);
	struct platform_event e;

	assert_int_equal(syscall(SYS_pidfd_send_signal, zygote_pidfd, SIGKILL, NULL, 0), 0);
	platform->thread_run(t, &e);
	assert_int_equal(e.kind, PLATFORM_DEAD);
	platform->thread_free(t);
}

static void stubs_die_with_their_zygote(void **state)
{
	hostile_on_fiber_until(do_end, 128 + SIGKILL);
}

static int setup(void **state)
{
	const int rules = jail_landlock_signals();

	scoped = rules >= 0;
	if (scoped)
		(void)close(rules);
	if (kloop_init() < 0 || platform->init() < 0)
		return -1;
	zygote_pidfd = (int)syscall(SYS_pidfd_open, systrap.zygote_pid, 0);
	return zygote_pidfd < 0 ? -1 : 0;
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(a_stub_holds_doorbell_and_landlock_rules_and_nothing_else),
	cmocka_unit_test(a_forged_request_ends_its_process),
	cmocka_unit_test(who_hears_no_signal_is_killed_when_it_is_called),
	cmocka_unit_test(a_birth_without_an_order_ends_its_process),
	cmocka_unit_test(a_notified_memory_call_is_made_only_if_it_is_what_the_sentry_wants),
	cmocka_unit_test(whoever_writes_its_lines_at_random_harms_itself),
	cmocka_unit_test(a_call_from_any_call_instruction_of_the_stub_harms_its_caller_only),
	cmocka_unit_test(a_call_by_a_second_thread_harms_its_process_only),
	cmocka_unit_test(a_jump_to_any_byte_of_the_stub_harms_its_jumper_only),
	cmocka_unit_test(what_stubs_share_cannot_be_made_writable),
	cmocka_unit_test(a_clone_that_was_taken_back_is_searched_for_in_the_cage),
	cmocka_unit_test(stubs_die_with_their_zygote),
};

/* The first looks into /proc; without cmocka's loop, which sets signal handlers. */
static int run_caged(void)
{
	if (setup(NULL) < 0)
		return 2;
	tests[0].test_func(NULL);
	if (jail_no_dump() < 0 ||
	    jail_filter(sentry_filter, sentry_filter_len, SECCOMP_FILTER_FLAG_TSYNC) < 0)
		return 2;
	for (size_t i = 1; i < sizeof(tests) / sizeof(tests[0]); i++) {
		print_message("[ CAGED    ] %s\n", tests[i].name);
		tests[i].test_func(NULL);
	}
	return 0;
}

int main(int argc, char **argv)
{
	if (!hostile_choose(argc, argv))
		return 2;
	if (argc > 3)
		return run_caged();
	return cmocka_run_group_tests_name("hostile stub", tests, setup, NULL);
}
