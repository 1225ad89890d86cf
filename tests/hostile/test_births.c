/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who a process is, and which file a descriptor is: forged and late births, numbers that come
 * again, descriptors that change under a call. Runs in a pid namespace of its own with few numbers.
 * Arguments: the stub's path, the profile.
 */
#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "hostile/fixture.h"
#include "sentry/core/kclock.h"
#include "sentry/core/ktimer.h"
#include "sentry/platform/systrap/systrap_internal.h"

#define PID_COUNT 600
#define CANARIES  4
#define POISON	  0x6666666666666666ull

static bool few_numbers; /* the namespace has at most PID_COUNT */

static unsigned int scaled(unsigned int full, unsigned int few)
{
	const char *soak = getenv("CAISSON_SOAK");

	return soak && strcmp(soak, "1") == 0 ? full : few;
}

/* Put a thread at a call instruction of the stub's text with these registers. */
static void at_call(struct platform_thread *t, uint64_t nr, const uint64_t a[6])
{
	hostile_at(t, STUB_TEXT + hostile_next_syscall(0), nr, a);
}

static void do_replayed(void)
{
	struct platform_thread *t, *child, *thread;

	hostile_honest_begins();
	t = hostile_guest(hostile_spin_code, SPIN_CODE_LEN);
	assert_int_equal(platform->thread_fork(t, &child), 0);
	at_call(t, STUB_NR_BIRTH, (const uint64_t[6]){ t->ctx->act[0] });
	assert_int_equal(hostile_run_for(t, NSEC_PER_SEC), PLATFORM_DEAD);
	assert_false(platform->space_dead(platform->thread_space(child)));
	/* A thread that is no leader has no pidfd by which it could be named. */
	assert_int_equal(platform->thread_clone(child, &thread), 0);
	at_call(thread, STUB_NR_BIRTH, (const uint64_t[6]){ 77 });
	assert_int_equal(hostile_run_for(thread, NSEC_PER_SEC), PLATFORM_DEAD);
	platform->thread_free(thread);
	platform->thread_free(child);
	platform->thread_free(t);
	hostile_honest_lives();
	platform->thread_free(hostile_honest);
}

static void a_replayed_or_foreign_nonce_ends_who_says_it(void **state)
{
	hostile_on_fiber(do_replayed);
}

/* As if it had never been born: the kernel knows its number no more. */
static void do_unknown(void)
{
	struct platform_thread *t, *thread;
	pid_t tid;

	hostile_honest_begins();
	t = hostile_guest(hostile_spin_code, SPIN_CODE_LEN);
	assert_int_equal(platform->thread_clone(t, &thread), 0);
	assert_int_equal(hostile_run_for(thread, 1000000), PLATFORM_INTERRUPT);
	tid = thread->tid;
	list_del(&thread->tid_node);
	list_init(&thread->tid_node);
	at_call(thread, SYS_munmap, (const uint64_t[6]){ DATA, PAGE });
	if (systrap.options.profile == SYSTRAP_CHECKED) {
		assert_int_equal(hostile_run_for(thread, NSEC_PER_SEC), PLATFORM_DEAD);
		assert_true(platform->space_dead(platform->thread_space(t)));
	}
	assert_null(systrap_thread_by_tid(tid));
	platform->thread_free(thread);
	platform->thread_free(t);
	hostile_honest_lives();
	platform->thread_free(hostile_honest);
}

static void a_thread_that_nobody_knows_costs_its_process_its_life(void **state)
{
	hostile_on_fiber(do_unknown);
}

static struct ktimer timer;
static struct platform_thread *victim;
static void (*act_on)(struct platform_thread *t);

static void on_time(struct ktimer *unused)
{
	act_on(victim);
}

/* While the kernel waits for t, which stands still, something is done to it. */
static void later(struct platform_thread *t, void (*fn)(struct platform_thread *t))
{
	victim = t;
	act_on = fn;
	assert_int_equal(kill(t->space->tgid, SIGSTOP), 0);
	ktimer_init(&timer, on_time);
	ktimer_arm(&timer, kclock_monotonic() + 20000000);
}

static void end_it(struct platform_thread *t)
{
	(void)kill(t->space->tgid, SIGKILL);
}

/* What a sibling of its writes. */
static void say_done(struct platform_thread *t, int64_t result)
{
	t->ctx->kind = STUB_REQ_DONE;
	t->ctx->nr = (uint64_t)result;
	__atomic_store_n(&t->ctx->action, STUB_ACT_SYNC, __ATOMIC_SEQ_CST);
	__atomic_add_fetch(&t->ctx->req_seq, 1, __ATOMIC_SEQ_CST);
}

/* That it has made the clone, and that it is somebody else. */
static void lie(struct platform_thread *t)
{
	say_done(t, hostile_honest->space->tgid);
}

static void do_killed_between(void)
{
	struct platform_thread *t, *child;

	hostile_honest_begins();
	for (unsigned int i = 0; i < 8; i++) {
		t = hostile_guest(hostile_spin_code, SPIN_CODE_LEN);
		assert_int_equal(hostile_run_for(t, 1000000), PLATFORM_INTERRUPT);
		later(t, end_it);
		assert_int_equal(i % 2 ? platform->thread_fork(t, &child)
				       : platform->thread_clone(t, &child),
				 -ESRCH);
		platform->thread_free(t);
		hostile_honest_lives();
	}
	platform->thread_free(hostile_honest);
}

static void a_parent_that_dies_between_grant_and_birth_has_no_child(void **state)
{
	hostile_on_fiber(do_killed_between);
}

static void do_ghost(void)
{
	struct platform_thread *t, *child;
	const nsec_t began = kclock_monotonic();

	hostile_honest_begins();
	t = hostile_guest(hostile_spin_code, SPIN_CODE_LEN);
	assert_int_equal(hostile_run_for(t, 1000000), PLATFORM_INTERRUPT);
	later(t, lie);
	assert_int_equal(platform->thread_fork(t, &child), -ESRCH);
	assert_true(platform->space_dead(platform->thread_space(t)));
	assert_true(kclock_monotonic() - began < 60 * NSEC_PER_SEC);
	platform->thread_free(t);
	hostile_honest_lives();
	platform->thread_free(hostile_honest);
}

static void who_says_that_it_made_a_child_and_did_not_is_ended(void **state)
{
	hostile_on_fiber(do_ghost);
}

/* Its child is born; it says that there is none. */
static void deny(struct platform_thread *t)
{
	list_first(&systrap.births, struct systrap_birth, node)->born = true;
	say_done(t, -EAGAIN);
}

/* There is none, and the lower half of its answer says that all went well. */
static void garble(struct platform_thread *t)
{
	say_done(t, INT64_MIN);
}

static void do_denied(void)
{
	void (*const answers[])(struct platform_thread * t) = { deny, garble };
	struct platform_thread *t, *child;

	hostile_honest_begins();
	for (unsigned int i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
		t = hostile_guest(hostile_spin_code, SPIN_CODE_LEN);
		assert_int_equal(hostile_run_for(t, 1000000), PLATFORM_INTERRUPT);
		later(t, answers[i]);
		assert_int_equal(platform->thread_fork(t, &child), -ESRCH);
		assert_true(platform->space_dead(platform->thread_space(t)));
		platform->thread_free(t);
		hostile_honest_lives();
	}
	platform->thread_free(hostile_honest);
}

static void who_denies_a_child_that_was_born_is_ended(void **state)
{
	hostile_on_fiber(do_denied);
}

/* Instead of the clone that was ordered it says itself that it is the newborn. */
static void say_own_birth(struct platform_thread *t)
{
	t->ctx->act[1] = t->ctx->act[0];
	t->ctx->act[0] = STUB_NR_BIRTH;
	__atomic_store_n(&t->ctx->action, STUB_ACT_CALL, __ATOMIC_SEQ_CST);
	(void)kill(t->space->tgid, SIGCONT);
}

static void do_own_birth(void)
{
	struct platform_thread *t, *child;

	hostile_honest_begins();
	for (unsigned int i = 0; i < 2; i++) {
		t = hostile_guest(hostile_spin_code, SPIN_CODE_LEN);
		assert_int_equal(hostile_run_for(t, 1000000), PLATFORM_INTERRUPT);
		later(t, say_own_birth);
		assert_int_equal(i ? platform->thread_fork(t, &child)
				   : platform->thread_clone(t, &child),
				 -ESRCH);
		assert_true(platform->space_dead(platform->thread_space(t)));
		platform->thread_free(t);
		hostile_honest_lives();
	}
	platform->thread_free(hostile_honest);
}

static void who_says_that_it_is_its_own_child_is_ended(void **state)
{
	hostile_on_fiber(do_own_birth);
}

/* Stops and continues a process until it is gone, at random moments. */
static pid_t tease(pid_t victim_pid)
{
	const pid_t pid = fork();

	if (pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (unsigned int i = 1; kill(victim_pid, SIGSTOP) == 0; i++) {
			(void)usleep(i * 7919 % 150);
			(void)kill(victim_pid, SIGCONT);
			(void)usleep(i * 104729 % 300);
		}
		_exit(0);
	}
	assert_true(pid > 0);
	return pid;
}

static void do_teased(void)
{
	const pid_t self = systrap.self;
	struct platform_thread *t, *child;
	pid_t teaser;

	hostile_honest_begins();
	t = hostile_guest(hostile_spin_code, SPIN_CODE_LEN);
	systrap.self = 0; /* the teaser is a task that no book has: nobody looks for such ones */
	teaser = tease(t->space->tgid);
	for (unsigned int i = 0; i < scaled(2000, 150); i++) {
		assert_int_equal(platform->thread_fork(t, &child), 0);
		platform->thread_free(child);
	}
	assert_int_equal(kill(teaser, SIGKILL), 0);
	assert_int_equal(waitpid(teaser, NULL, 0), teaser);
	assert_int_equal(kill(t->space->tgid, SIGCONT), 0);
	systrap.self = self;
	platform->thread_free(t);
	hostile_honest_lives();
	platform->thread_free(hostile_honest);
}

/* The kernel restarts a clone that a stop meets: it asks twice and has one child. */
static void a_stop_between_word_and_clone_loses_no_child(void **state)
{
	hostile_on_fiber(do_teased);
}

static pid_t unknown_task(unsigned int life_us)
{
	const pid_t pid = fork();

	if (pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		(void)usleep(life_us);
		_exit(0);
	}
	assert_true(pid > 0);
	return pid;
}

static void do_hidden(void)
{
	struct systrap_birth b = { .process = true };
	int status;

	hostile_honest_begins();
	b.parent = hostile_guest(hostile_spin_code, SPIN_CODE_LEN);
	b.since = unknown_task(50000) - 1; /* and is a zombie from then on */
	assert_int_equal(systrap_no_ghost(&b), 0);
	assert_int_equal(waitpid(b.since + 1, &status, 0), b.since + 1);
	assert_true(WIFEXITED(status));
	if (getpid() == 1) {
		b.since = unknown_task(60000000) - 1;
		assert_int_equal(systrap_no_ghost(&b), -ESRCH);
		assert_int_equal(waitpid(b.since + 1, &status, 0), b.since + 1);
		assert_true(WIFSIGNALED(status));
		assert_true(platform->space_dead(platform->thread_space(b.parent)));
	}
	platform->thread_free(b.parent);
	hostile_honest_lives();
	platform->thread_free(hostile_honest);
}

static void a_task_that_a_taken_back_clone_has_made_is_found(void **state)
{
	hostile_on_fiber(do_hidden);
}

static pid_t orphan;

/* Its clone was allowed and has a child that says nothing; then it goes. */
static void leave_an_orphan(struct platform_thread *t)
{
	list_first(&systrap.births, struct systrap_birth, node)->passed = true;
	orphan = unknown_task(60000000);
	end_it(t);
}

static void do_orphan(void)
{
	struct platform_thread *t, *child;
	int status;

	hostile_honest_begins();
	t = hostile_guest(hostile_spin_code, SPIN_CODE_LEN);
	assert_int_equal(hostile_run_for(t, 1000000), PLATFORM_INTERRUPT);
	later(t, leave_an_orphan);
	assert_int_equal(platform->thread_fork(t, &child), -ESRCH);
	platform->thread_free(t);
	if (getpid() != 1)
		(void)kill(orphan, SIGKILL);
	assert_int_equal(waitpid(orphan, &status, 0), orphan);
	assert_true(WIFSIGNALED(status));
	hostile_honest_lives();
	platform->thread_free(hostile_honest);
}

static void a_child_that_is_never_born_does_not_outlive_its_parent(void **state)
{
	hostile_on_fiber(do_orphan);
}

/* Ends its own host thread, whose number is then anybody's. */
static void exit_itself(struct platform_thread *t)
{
	at_call(t, SYS_exit, (const uint64_t[6]){ 0 });
	(void)hostile_run_for(t, 200000);
}

/*
 * There are few numbers, and the zygote reaps behind us: -EAGAIN while they are used up. Who was
 * forked runs, as every child does before it forks in its turn: it is by then at the stub's ground.
 */
static void fork_one(struct platform_thread *t, struct platform_thread **ret)
{
	const nsec_t deadline = kclock_monotonic() + 30 * NSEC_PER_SEC;
	int r = platform->thread_fork(t, ret);

	while (r == -EAGAIN && few_numbers && kclock_monotonic() < deadline) {
		(void)fiber_park(kclock_monotonic() + NSEC_PER_SEC / 100, false);
		r = platform->thread_fork(t, ret);
	}
	assert_int_equal(r, 0);
}

static void storm_round(unsigned int round)
{
	struct platform_thread *t = hostile_guest(hostile_spin_code, SPIN_CODE_LEN), *others[2];
	const uint64_t poison[8] = {
		POISON, POISON, POISON, POISON, POISON, POISON, POISON, POISON
	};
	struct platform_space *s = platform->thread_space(t);

	platform->space_ref(s);
	for (unsigned int i = 0; i < 2; i++) {
		if (i == round % 2)
			fork_one(t, &others[i]);
		else
			assert_int_equal(platform->thread_clone(t, &others[i]), 0);
	}
	(void)platform->write(s, DATA, poison, sizeof(poison));
	switch (round % 4) {
	case 0: /* killed behind the kernel's back; then written to */
		(void)kill(s->tgid, SIGKILL);
		break;
	case 1: /* a leader without its process is found out by time alone */
		if (round % 512 == 1)
			exit_itself(t);
		break;
	case 2:
		exit_itself(others[0]);
		break;
	default:
		break;
	}
	for (unsigned int i = 0; i < 4; i++)
		(void)platform->write(s, DATA + i * PAGE, poison, sizeof(poison));
	platform->thread_free(others[0]);
	platform->thread_free(others[1]);
	platform->thread_free(t);
	/* Everything has gone but the name. */
	for (unsigned int i = 0; i < 4; i++)
		(void)platform->write(s, DATA + i * PAGE, poison, sizeof(poison));
	platform->space_unref(s);
}

static void judge_canary(struct platform_thread *t, uint64_t word)
{
	uint64_t seen[4 * PAGE / 8];

	assert_int_equal(platform->read(platform->thread_space(t), seen, DATA, sizeof(seen)),
			 sizeof(seen));
	for (size_t i = 0; i < ARRAY_LEN(seen); i++)
		assert_true(seen[i] == word + i);
}

static void do_storm(void)
{
	struct platform_thread *canaries[CANARIES];
	pid_t last;
	bool again = false;

	hostile_honest_begins();
	last = hostile_honest->space->tgid;
	for (unsigned int c = 0; c < CANARIES; c++) {
		uint64_t words[4 * PAGE / 8];

		for (size_t i = 0; i < ARRAY_LEN(words); i++)
			words[i] = (c + 1) * 1000003ull + i;
		canaries[c] = hostile_guest(hostile_spin_code, SPIN_CODE_LEN);
		assert_int_equal(platform->write(platform->thread_space(canaries[c]), DATA, words,
						 sizeof(words)),
				 sizeof(words));
	}
	for (unsigned int i = 0; i < scaled(20000, 400); i++) {
		struct platform_thread *old = canaries[i % CANARIES];

		storm_round(i);
		if (i % 8)
			continue;
		/* Canaries are new processes as well: theirs are the numbers that come again. */
		fork_one(old, &canaries[i % CANARIES]);
		assert_int_equal(hostile_run_for(canaries[i % CANARIES], 100000),
				 PLATFORM_INTERRUPT);
		again |= canaries[i % CANARIES]->space->tgid < last;
		last = canaries[i % CANARIES]->space->tgid;
		platform->thread_free(old);
		for (unsigned int c = 0; c < CANARIES; c++)
			judge_canary(canaries[c], (c + 1) * 1000003ull);
		hostile_honest_lives();
	}
	if (few_numbers)
		assert_true(again);
	for (unsigned int c = 0; c < CANARIES; c++)
		platform->thread_free(canaries[c]);
	platform->thread_free(hostile_honest);
}

static void numbers_that_come_again_lead_no_copy_astray(void **state)
{
	hostile_on_fiber(do_storm);
}

#define WORK   0x600000ull
#define SECRET "the host's own words"

static int open_file(const char *text, int flags)
{
	char path[64] = "/tmp/hostile-births-XXXXXX";
	int fd = mkstemp(path), again;

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, PAGE), 0);
	assert_int_equal(pwrite(fd, text, strlen(text), 0), strlen(text));
	again = open(path, flags | O_CLOEXEC);
	assert_true(again >= 0);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(close(fd), 0);
	return again;
}

static struct ktimer watch;

/* As soon as the kernel has let the call pass, a sibling says in its name that it is over. */
static void on_watch(struct ktimer *unused)
{
	if (victim->grants_len == 0 || victim->grants[0].valid) {
		ktimer_arm(&watch, kclock_monotonic());
		return;
	}
	victim->ctx->kind = STUB_REQ_DONE;
	victim->ctx->nr = 0;
	__atomic_add_fetch(&victim->ctx->req_seq, 1, __ATOMIC_SEQ_CST);
}

static void race_round(int writable, int readable, unsigned int round)
{
	struct platform_thread *t = hostile_guest(hostile_spin_code, SPIN_CODE_LEN), *b;
	const struct platform_map mine = { .addr = WORK,
					   .len = PAGE,
					   .prot = PROT_READ | PROT_WRITE,
					   .shared = true,
					   .host_fd = writable };
	const struct platform_map other = { .addr = WORK + PAGE,
					    .len = PAGE,
					    .prot = PROT_READ,
					    .shared = true,
					    .host_fd = readable };
	const uint64_t scribble = 0x4141414141414141;

	assert_int_equal(platform->thread_clone(t, &b), 0);
	assert_int_equal(hostile_run_for(t, 100000), PLATFORM_INTERRUPT);
	assert_int_equal(hostile_run_for(b, 100000), PLATFORM_INTERRUPT);
	victim = t;
	ktimer_init(&watch, on_watch);
	if (round % 4)
		ktimer_arm(&watch, kclock_monotonic());
	(void)platform->map(t, &mine);
	(void)platform->map(b, &other);
	for (uint64_t at = WORK; at < WORK + 2 * PAGE; at += PAGE)
		(void)platform->write(platform->thread_space(t), at, &scribble, 8);
	ktimer_cancel(&watch);
	platform->thread_free(b);
	platform->thread_free(t);
}

static void do_race(void)
{
	const int writable = open_file("its own file", O_RDWR);
	const int readable = open_file(SECRET, O_RDONLY);
	char text[64] = "";

	hostile_honest_begins();
	for (unsigned int i = 0; i < scaled(100000, 500); i++) {
		race_round(writable, readable, i);
		assert_int_equal(pread(readable, text, sizeof(SECRET), 0), sizeof(SECRET));
		assert_string_equal(text, SECRET);
	}
	hostile_honest_lives();
	platform->thread_free(hostile_honest);
	assert_int_equal(close(writable), 0);
	assert_int_equal(close(readable), 0);
}

static void a_descriptor_that_changes_under_a_call_gives_no_right(void **state)
{
	hostile_on_fiber(do_race);
}

static bool limit_numbers(void)
{
	char text[16];
	const int n = snprintf(text, sizeof(text), "%d", PID_COUNT);
	int fd, major, minor;
	bool ok;
	char release[64] = "";

	/* Before Linux 6.14 the limit is the whole host's. */
	fd = open("/proc/sys/kernel/osrelease", O_RDONLY | O_CLOEXEC);
	ok = fd >= 0 && read(fd, release, sizeof(release) - 1) > 0 &&
	     sscanf(release, "%d.%d", &major, &minor) == 2 &&
	     (major > 6 || (major == 6 && minor >= 14));
	if (fd >= 0)
		(void)close(fd);
	if (!ok || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("proc", "/proc", "proc", 0, NULL) < 0)
		return false;
	fd = open("/proc/sys/kernel/pid_max", O_WRONLY | O_CLOEXEC);
	ok = fd >= 0 && write(fd, text, (size_t)n) == n;
	if (fd >= 0)
		(void)close(fd);
	return ok;
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_replayed_or_foreign_nonce_ends_who_says_it),
		cmocka_unit_test(a_thread_that_nobody_knows_costs_its_process_its_life),
		cmocka_unit_test(a_parent_that_dies_between_grant_and_birth_has_no_child),
		cmocka_unit_test(who_says_that_it_made_a_child_and_did_not_is_ended),
		cmocka_unit_test(who_denies_a_child_that_was_born_is_ended),
		cmocka_unit_test(who_says_that_it_is_its_own_child_is_ended),
		cmocka_unit_test(a_stop_between_word_and_clone_loses_no_child),
		cmocka_unit_test(a_task_that_a_taken_back_clone_has_made_is_found),
		cmocka_unit_test(a_child_that_is_never_born_does_not_outlive_its_parent),
		cmocka_unit_test(numbers_that_come_again_lead_no_copy_astray),
		cmocka_unit_test(a_descriptor_that_changes_under_a_call_gives_no_right),
	};
	int status;
	pid_t pid;

	if (unshare(CLONE_NEWPID | CLONE_NEWNS) < 0)
		return hostile_main(argc, argv, "hostile births", tests, ARRAY_LEN(tests));
	pid = fork();
	if (pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		few_numbers = limit_numbers();
		exit(hostile_main(argc, argv, "hostile births", tests, ARRAY_LEN(tests)));
	}
	return pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) ? WEXITSTATUS(status)
									       : 1;
}
