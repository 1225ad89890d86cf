/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What every platform promises (platform.h), with a few bytes of machine code as the guest.
 * Arguments: the platform's name; for systrap the stub's path and the profile.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "sentry/core/kclock.h"
#include "sentry/core/kloop.h"
#include "sentry/core/ktimer.h"
#include "sentry/core/waitq.h"
#include "sentry/platform/platform.h"
#include "sentry/platform/systrap/systrap_internal.h"
#include "lib/unit.h"

#define CODE 0x400000ull
#define DATA 0x500000ull
#define PAGE 4096ull

#define CALLS_MAX 16
#define LATE_NS	  (30 * NSEC_PER_SEC)

/* mov $39,%eax; syscall; mov %rax,%rdi; mov $231,%eax; syscall; hlt */
static const uint8_t calls_twice[] = { 0xb8, 39,   0,	0, 0, 0x0f, 0x05, 0x48, 0x89,
				       0xc7, 0xb8, 231, 0, 0, 0,    0x0f, 0x05, 0xf4 };
/* mov DATA,%eax; mov (%rax),%rdi; mov $60,%eax; syscall */
static const uint8_t reads_data[] = { 0xb8, 0,	0, 0x50, 0, 0x48, 0x8b, 0x38,
				      0xb8, 60, 0, 0,	 0, 0x0f, 0x05 };
static const uint8_t loops[] = { 0xeb, 0xfe };
/* mov $n,%ebx; 1: mov $39,%eax; syscall; dec %ebx; jnz 1b; 2: jmp 2b */
static const uint8_t calls_and_loops[] = { 0xbb, 0,    0,    0,	   0,	 0xb8, 39,   0,	   0,
					   0,	 0x0f, 0x05, 0xff, 0xcb, 0x75, 0xf5, 0xeb, 0xfe };
static void (*body)(void);

static struct platform_thread *guest_from(struct platform_nursery *n, const uint8_t *code,
					  size_t len)
{
	const struct platform_map code_map = {
		.addr = CODE, .len = PAGE, .prot = PROT_READ | PROT_WRITE, .host_fd = -1
	};
	const struct platform_map data_map = {
		.addr = DATA, .len = PAGE, .prot = PROT_READ | PROT_WRITE, .host_fd = -1
	};
	struct platform_thread *t;
	struct arch_regs regs;

	assert_int_equal(platform->space_new(n, &t), 0);
	assert_int_equal(platform->map(t, &code_map), 0);
	assert_int_equal(platform->map(t, &data_map), 0);
	assert_int_equal(platform->write(platform->thread_space(t), CODE, code, len), len);
	assert_int_equal(platform->protect(t, CODE, PAGE, PROT_READ | PROT_EXEC), 0);
	assert_int_equal(platform->thread_get_regs(t, &regs), 0);
	regs.r.rip = CODE;
	regs.r.rsp = DATA + PAGE;
	assert_int_equal(platform->thread_set_regs(t, &regs), 0);
	return t;
}

static struct platform_thread *new_guest(const uint8_t *code, size_t len)
{
	return guest_from(NULL, code, len);
}

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

static void do_calls(void)
{
	struct platform_thread *t = new_guest(calls_twice, sizeof(calls_twice));
	struct platform_event e;

	platform->thread_run(t, &e);
	assert_int_equal(e.kind, PLATFORM_SYSCALL);
	assert_int_equal(e.nr, SYS_getpid);
	platform->thread_set_result(t, 4242);
	platform->thread_run(t, &e);
	assert_int_equal(e.kind, PLATFORM_SYSCALL);
	assert_int_equal(e.nr, SYS_exit_group);
	assert_int_equal(e.args.v[0], 4242);
	platform->thread_run(t, &e);
	assert_int_equal(e.kind, PLATFORM_FAULT); /* hlt is privileged */
	assert_int_equal(e.info.si_signo, SIGSEGV);
	platform->thread_free(t);
}

static void calls_are_reported_and_answered(void **state)
{
	on_fiber(do_calls);
}

static void do_fault(void)
{
	struct platform_thread *t = new_guest(reads_data, sizeof(reads_data));
	struct platform_event e;

	assert_int_equal(platform->unmap(t, DATA, PAGE), 0);
	platform->thread_run(t, &e);
	assert_int_equal(e.kind, PLATFORM_FAULT);
	assert_int_equal(e.info.si_signo, SIGSEGV);
	assert_ptr_equal(e.info.si_addr, (void *)DATA);
	platform->thread_free(t);
}

static void a_fault_has_its_address(void **state)
{
	on_fiber(do_fault);
}

static void do_fork(void)
{
	struct platform_thread *t = new_guest(reads_data, sizeof(reads_data)), *child;
	struct platform_event e;
	uint64_t word = 7;

	assert_int_equal(platform->write(platform->thread_space(t), DATA, &word, 8), 8);
	assert_int_equal(platform->thread_fork(t, &child), 0);
	word = 8;
	assert_int_equal(platform->write(platform->thread_space(t), DATA, &word, 8), 8);
	platform->thread_run(child, &e);
	assert_int_equal(e.nr, SYS_exit);
	assert_int_equal(e.args.v[0], 7);
	platform->thread_free(child);
	assert_int_equal(platform->thread_clone(t, &child), 0);
	word = 9;
	assert_int_equal(platform->write(platform->thread_space(t), DATA, &word, 8), 8);
	platform->thread_run(child, &e);
	assert_int_equal(e.nr, SYS_exit);
	assert_int_equal(e.args.v[0], 9);
	platform->thread_free(t); /* the leader first */
	platform->thread_set_result(child, 0);
	platform->thread_free(child);
}

static void a_fork_copies_memory_and_a_clone_shares_it(void **state)
{
	on_fiber(do_fork);
}

static struct platform_thread *spinning;
static void interrupt_it(struct ktimer *timer)
{
	platform->thread_interrupt(spinning);
}

static void do_interrupt(void)
{
	struct platform_thread *t = new_guest(loops, sizeof(loops));
	struct platform_event e;
	struct ktimer timer;
	struct arch_regs regs;

	spinning = t;
	ktimer_init(&timer, interrupt_it);
	ktimer_arm(&timer, kclock_monotonic() + 10000000);
	platform->thread_run(t, &e);
	assert_int_equal(e.kind, PLATFORM_INTERRUPT);
	assert_int_equal(platform->thread_get_regs(t, &regs), 0);
	assert_int_equal(regs.r.rip, CODE);
	platform->thread_interrupt(t); /* between two runs: the next returns at once */
	platform->thread_run(t, &e);
	assert_int_equal(e.kind, PLATFORM_INTERRUPT);
	platform->thread_free(t);
}

static void an_interrupt_stops_guest_code(void **state)
{
	on_fiber(do_interrupt);
}

static void interrupt_now(void *arg)
{
	platform->thread_interrupt(arg);
}

static bool came_late;
static void interrupt_late(struct ktimer *timer)
{
	came_late = true;
	platform->thread_interrupt(spinning);
}

/*
 * After some calls the platform does more before it lets the thread go (it patches the site) and
 * parks meanwhile: the other fiber's turn.
 */
static void do_interrupt_on_the_way(void)
{
	uint8_t code[sizeof(calls_and_loops)];
	struct platform_event e;
	struct ktimer timer;

	memcpy(code, calls_and_loops, sizeof(code));
	for (uint8_t n = 1; n <= CALLS_MAX; n++) {
		struct platform_thread *t;

		code[1] = n;
		t = spinning = new_guest(code, sizeof(code));
		for (unsigned int i = 0; i < n; i++) {
			platform->thread_run(t, &e);
			assert_int_equal(e.kind, PLATFORM_SYSCALL);
			platform->thread_set_result(t, 0);
		}
		assert_int_equal(fiber_spawn("interrupt", interrupt_now, t, NULL), 0);
		ktimer_init(&timer, interrupt_late);
		ktimer_arm(&timer, kclock_monotonic() + LATE_NS);
		platform->thread_run(t, &e);
		ktimer_cancel(&timer);
		assert_int_equal(e.kind, PLATFORM_INTERRUPT);
		assert_false(came_late);
		platform->thread_free(t);
	}
}

static void an_interrupt_finds_a_thread_that_is_on_its_way_to_guest_code(void **state)
{
	on_fiber(do_interrupt_on_the_way);
}

static void do_file(void)
{
	struct platform_thread *t = new_guest(reads_data, sizeof(reads_data));
	const int fd = memfd_create("data", MFD_CLOEXEC);
	const uint64_t word = 77;
	const struct platform_map map = {
		.addr = DATA, .len = PAGE, .prot = PROT_READ, .shared = true, .host_fd = fd
	};
	struct platform_event e;
	char byte;

	assert_int_equal(ftruncate(fd, PAGE), 0);
	assert_int_equal(pwrite(fd, &word, 8, 0), 8);
	assert_int_equal(platform->map(t, &map), 0);
	assert_int_equal(close(fd), 0);
	/* Not writable for the kernel's copy either; a hole ends a copy early. */
	assert_true(platform->write(platform->thread_space(t), DATA, "x", 1) <= 0);
	assert_true(platform->read(platform->thread_space(t), &byte, DATA + PAGE, 1) <= 0);
	platform->thread_run(t, &e);
	assert_int_equal(e.nr, SYS_exit);
	assert_int_equal(e.args.v[0], 77);
	platform->thread_free(t);
}

static void a_file_is_mapped_with_the_rights_asked_for(void **state)
{
	on_fiber(do_file);
}

static int setup(void **state)
{
	if (kloop_init() < 0)
		return -1;
	return platform->init();
}

static bool is_gone(int pidfd)
{
	struct pollfd p = { .fd = pidfd, .events = POLLIN };

	return poll(&p, 1, 0) == 1;
}

static void do_nursery(void)
{
	struct platform_nursery *n, *other;
	struct platform_thread *t, *child;
	struct platform_event e;
	int pidfds[2], others[2], copy;

	assert_int_equal(platform->nursery_new(&n, pidfds), 0);
	assert_int_equal(platform->nursery_new(&other, others), 0);
	copy = dup(pidfds[0]);
	assert_true(copy >= 0 && !is_gone(copy));
	t = guest_from(n, calls_twice, sizeof(calls_twice));
	platform->thread_run(t, &e);
	assert_int_equal(e.kind, PLATFORM_SYSCALL);
	assert_int_equal(platform->thread_fork(t, &child), 0);
	platform->thread_free(t);
	platform->thread_free(child);
	platform->nursery_free(n);
	assert_true(is_gone(copy));
	close(copy);
	/* The others are as they were. */
	assert_false(is_gone(others[0]));
	t = guest_from(other, calls_twice, sizeof(calls_twice));
	platform->thread_run(t, &e);
	assert_int_equal(e.kind, PLATFORM_SYSCALL);
	platform->thread_free(t);
	platform->nursery_free(other);
	t = new_guest(calls_twice, sizeof(calls_twice));
	platform->thread_run(t, &e);
	assert_int_equal(e.kind, PLATFORM_SYSCALL);
	platform->thread_free(t);
}

static void spaces_come_of_a_nursery_that_ends_alone(void **state)
{
	if (platform->nursery_new)
		on_fiber(do_nursery);
}

/* Who moves the two has moved all there are, whatever is asked for meanwhile. */
static void do_unplaced(void)
{
	struct platform_thread *first, *t;
	struct platform_nursery *n;
	int pidfds[2];

	assert_int_equal(platform->nursery_new(&n, pidfds), 0);
	first = guest_from(n, calls_twice, sizeof(calls_twice));
	assert_int_equal(platform->space_new(n, &t), -EAGAIN);
	platform->nursery_placed(n);
	t = guest_from(n, calls_twice, sizeof(calls_twice));
	platform->thread_free(t);
	assert_false(is_gone(pidfds[1]));
	platform->thread_free(first);
	platform->nursery_free(n);
}

static void one_alone_comes_of_a_nursery_that_is_not_placed(void **state)
{
	if (platform->nursery_new)
		on_fiber(do_unplaced);
}

static struct waitq ends;
static bool ended;

static void on_end(void *arg)
{
	ended = true;
	waitq_wake(arg, WAIT_ALL);
}

static void do_killed_nursery(void)
{
	struct platform_nursery *n;
	struct platform_thread *t, *first;
	int pidfds[2], r;

	waitq_init(&ends);
	assert_int_equal(platform->nursery_new(&n, pidfds), 0);
	platform->nursery_placed(n);
	platform->nursery_on_end(n, on_end, &ends);
	assert_int_equal(platform->space_new(n, &first), 0);
	assert_int_equal(syscall(SYS_pidfd_send_signal, pidfds[0], SIGKILL, NULL, 0), 0);
	(void)WAIT_EVENT_UNTIL(&ends, ended, nsec_add(kclock_monotonic(), LATE_NS));
	assert_true(ended);
	r = platform->space_new(n, &t);
	assert_true(r == -ESRCH || r == -EAGAIN);
	platform->thread_free(first);
	platform->nursery_free(n);
}

/* Whoever takes it over learns that it has ended, though a first space could still be had. */
static void do_dead_nursery(void)
{
	struct platform_nursery *n;
	struct platform_thread *first, *t;
	int pidfds[2], r;

	ended = false;
	waitq_init(&ends);
	assert_int_equal(platform->nursery_new(&n, pidfds), 0);
	assert_int_equal(syscall(SYS_pidfd_send_signal, pidfds[0], SIGKILL, NULL, 0), 0);
	assert_int_equal(platform->space_new(n, &first), 0);
	platform->nursery_placed(n);
	do {
		r = platform->space_new(n, &t);
		if (r == 0)
			platform->thread_free(t);
	} while (r != -ESRCH);
	platform->nursery_on_end(n, on_end, &ends);
	(void)WAIT_EVENT_UNTIL(&ends, ended, nsec_add(kclock_monotonic(), LATE_NS));
	assert_true(ended);
	platform->thread_free(first);
	platform->nursery_free(n);
}

static void a_nursery_that_is_killed_is_told(void **state)
{
	if (!platform->nursery_new)
		return;
	on_fiber(do_killed_nursery);
	on_fiber(do_dead_nursery);
}

static void count_end(void *arg)
{
	(*(unsigned int *)arg)++;
	waitq_wake(&ends, WAIT_ALL);
}

static pid_t youngest_child(pid_t parent)
{
	char path[64];
	pid_t pid, last = 0;
	FILE *f;

	(void)snprintf(path, sizeof(path), "/proc/%d/task/%d/children", parent, parent);
	f = fopen(path, "re");
	assert_non_null(f);
	while (fscanf(f, "%d", &pid) == 1)
		last = pid;
	(void)fclose(f);
	return last;
}

/* A guest, and its process: the youngest of the seed's, where there are no nurseries. */
static struct platform_thread *guest_and_pidfd(int *ret_pidfd, struct platform_nursery **ret)
{
	struct platform_thread *t;
	int pidfds[2];

	*ret = NULL;
	if (platform->nursery_new) {
		assert_int_equal(platform->nursery_new(ret, pidfds), 0);
		*ret_pidfd = pidfds[1];
		return guest_from(*ret, calls_twice, sizeof(calls_twice));
	}
	t = new_guest(calls_twice, sizeof(calls_twice));
	*ret_pidfd = (int)syscall(SYS_pidfd_open, youngest_child(youngest_child(getpid())), 0);
	return t;
}

/* Each thread is told while nobody runs it, but the one that was freed. */
static void do_killed(void)
{
	struct platform_thread *t, *other, *freed;
	unsigned int of_t = 0, of_other = 0, of_freed = 0;
	struct platform_nursery *n;
	struct platform_event e;
	int pidfd;

	waitq_init(&ends);
	t = guest_and_pidfd(&pidfd, &n);
	assert_true(pidfd >= 0);
	platform->thread_run(t, &e);
	assert_int_equal(e.kind, PLATFORM_SYSCALL);
	assert_int_equal(platform->thread_clone(t, &other), 0);
	assert_int_equal(platform->thread_clone(t, &freed), 0);
	platform->thread_on_end(t, count_end, &of_t);
	platform->thread_on_end(other, count_end, &of_other);
	platform->thread_on_end(freed, count_end, &of_freed);
	platform->thread_free(freed);
	assert_int_equal(syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0), 0);
	(void)WAIT_EVENT_UNTIL(&ends, of_t > 0 && of_other > 0,
			       nsec_add(kclock_monotonic(), LATE_NS));
	assert_int_equal(of_t, 1);
	assert_int_equal(of_other, 1);
	assert_int_equal(of_freed, 0);
	platform->thread_run(t, &e);
	assert_int_equal(e.kind, PLATFORM_DEAD);
	platform->thread_free(t);
	platform->thread_free(other);
	if (n)
		platform->nursery_free(n);
	else
		(void)close(pidfd);
}

static void who_sleeps_is_told_that_its_process_was_killed(void **state)
{
	on_fiber(do_killed);
}

/* Its stub, or that of a thread beside it, did what none does. */
static void do_broken(void)
{
	struct platform_thread *t, *other;
	struct platform_event e;
	unsigned int told = 0;

	waitq_init(&ends);
	t = new_guest(calls_twice, sizeof(calls_twice));
	platform->thread_run(t, &e);
	assert_int_equal(platform->thread_clone(t, &other), 0);
	platform->thread_on_end(t, count_end, &told);
	platform->thread_on_end(other, count_end, &told);
	systrap_space_kill(platform->thread_space(t));
	(void)WAIT_EVENT_UNTIL(&ends, told == 2, nsec_add(kclock_monotonic(), LATE_NS));
	assert_int_equal(told, 2);
	platform->thread_free(t);
	platform->thread_free(other);
}

static void who_sleeps_is_told_that_the_platform_has_ended_its_process(void **state)
{
	if (platform == &platform_systrap)
		on_fiber(do_broken);
}

/* The end that was asked for is nothing to tell. */
static void do_ended(void)
{
	struct platform_thread *t, *child;
	struct platform_event e;
	unsigned int told = 0;

	waitq_init(&ends);
	t = new_guest(calls_twice, sizeof(calls_twice));
	platform->thread_on_end(t, count_end, &told);
	platform->thread_run(t, &e);
	assert_int_equal(platform->thread_fork(t, &child), 0);
	platform->thread_free(t);
	platform->thread_run(child, &e);
	platform->thread_free(child);
	for (unsigned int i = 0; i < 5; i++) {
		t = new_guest(calls_twice, sizeof(calls_twice));
		platform->thread_run(t, &e);
		platform->thread_free(t);
	}
	assert_int_equal(told, 0);
}

static void an_end_that_was_asked_for_is_not_told(void **state)
{
	on_fiber(do_ended);
}

static void do_held(void)
{
	struct platform_nursery *n;
	struct platform_thread *t;
	struct platform_usage usage;
	struct platform_space *s;
	uint8_t pages[2];
	int pidfds[2];

	assert_int_equal(platform->nursery_new(&n, pidfds), 0);
	t = guest_from(n, calls_twice, sizeof(calls_twice));
	s = platform->thread_space(t);
	assert_int_equal(platform->space_resident(s, CODE, 1, pages), 0);
	/* What is under way is done when it is held. */
	assert_int_equal(platform->unmap(t, DATA, PAGE), 0);
	platform->nursery_hold(n, true);
	assert_int_equal(platform->space_resident(s, CODE, 1, pages), -EAGAIN);
	assert_int_equal(platform->space_usage(s, &usage), -EAGAIN);
	assert_int_equal(platform->read(s, pages, DATA, 1), 0);
	assert_int_equal(platform->read(s, pages, CODE, 1), 1);
	platform->nursery_hold(n, false);
	assert_int_equal(platform->space_resident(s, CODE, 1, pages), 0);
	platform->thread_free(t);
	platform->nursery_free(n);
}

static void who_is_held_is_not_asked(void **state)
{
	if (platform->nursery_new)
		on_fiber(do_held);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(calls_are_reported_and_answered),
		cmocka_unit_test(spaces_come_of_a_nursery_that_ends_alone),
		cmocka_unit_test(one_alone_comes_of_a_nursery_that_is_not_placed),
		cmocka_unit_test(a_nursery_that_is_killed_is_told),
		cmocka_unit_test(who_is_held_is_not_asked),
		cmocka_unit_test(who_sleeps_is_told_that_its_process_was_killed),
		cmocka_unit_test(who_sleeps_is_told_that_the_platform_has_ended_its_process),
		cmocka_unit_test(an_end_that_was_asked_for_is_not_told),
		cmocka_unit_test(a_fault_has_its_address),
		cmocka_unit_test(a_fork_copies_memory_and_a_clone_shares_it),
		cmocka_unit_test(an_interrupt_stops_guest_code),
		cmocka_unit_test(an_interrupt_finds_a_thread_that_is_on_its_way_to_guest_code),
		cmocka_unit_test(a_file_is_mapped_with_the_rights_asked_for),
	};
	static const struct platform_ops *const all[] = { &platform_ptrace, &platform_systrap };

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		if (argc > 1 && strcmp(argv[1], all[i]->name) == 0)
			platform = all[i];
	}
	if (!platform)
		return 2;
	if (argc > 3) {
		const struct systrap_options options = {
			.stub_fd = open(argv[2], O_RDONLY | O_CLOEXEC),
			.profile =
				strcmp(argv[3], "direct") == 0 ? SYSTRAP_DIRECT : SYSTRAP_CHECKED,
			.random_base = true,
		};

		systrap_set_options(&options);
	}
	return cmocka_run_group_tests_name("sentry/platform", tests, setup, NULL);
}
