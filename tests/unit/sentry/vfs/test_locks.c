/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Record locks and flock(2). Owners are addresses of `who`; what is on a file is read from the text
 * of /proc/locks, which has one line for each lock of the kernel.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>

#include "unit/sentry/vfs/world.h"

#include "sentry/core/kloop.h"
#include "sentry/vfs/locks.h"

#define TO_END	 ((uint64_t)INT64_MAX)
#define OWNERS	 4u
#define BYTES	 48u
#define WAIT_MAX 1000 /* turns of the loop; what is waited for needs a few */

static char who[OWNERS];
static struct file *file;

static int setup(void **state)
{
	(void)world_setup(state);
	return w_open("/f", O_RDWR | O_CREAT, &file);
}

static int teardown(void **state)
{
	file_unref(file);
	return world_teardown(state);
}

static struct file_lock make(unsigned int owner, int type, uint64_t start, uint64_t end)
{
	return (struct file_lock){ .kind = LOCK_KIND_POSIX,
				   .owner = &who[owner],
				   .pid = (int)owner + 1,
				   .type = type,
				   .start = start,
				   .end = end };
}

static int set(unsigned int owner, int type, uint64_t start, uint64_t end)
{
	const struct file_lock l = make(owner, type, start, end);

	return lock_set(file->inode, &l, false);
}

static struct file_lock test(unsigned int owner, int type, uint64_t start, uint64_t end)
{
	const struct file_lock l = make(owner, type, start, end);
	struct file_lock ret = { .type = F_UNLCK };

	(void)lock_test(file->inode, &l, &ret);
	return ret;
}

static unsigned int count(void)
{
	unsigned int lines = 0;
	size_t len;
	char *text;

	assert_int_equal(locks_show(&text, &len), 0);
	for (size_t i = 0; i < len; i++)
		lines += text[i] == '\n';
	free(text);
	return lines;
}

/* As "W0-9 R20-EOF", what one owner has. */
static void assert_has(unsigned int owner, const char *want)
{
	char *text, *save = NULL, got[256] = "";
	size_t len;

	assert_int_equal(locks_show(&text, &len), 0);
	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		char type[8], start[24], end[24], word[64];
		unsigned int pid;

		if (sscanf(line, "%*s %*s %*s %7s %u %*s %23s %23s", type, &pid, start, end) != 4 ||
		    pid != owner + 1)
			continue;
		(void)snprintf(word, sizeof(word), "%s%c%s-%s", *got ? " " : "", type[0], start,
			       end);
		assert_true(strlen(got) + strlen(word) < sizeof(got));
		(void)strcat(got, word);
	}
	free(text);
	assert_string_equal(got, want);
}

static void another_owner_is_told_to_try_again(void **state)
{
	(void)state;
	assert_int_equal(set(0, F_WRLCK, 10, 19), 0);
	assert_int_equal(set(1, F_WRLCK, 19, 30), -EAGAIN);
	assert_int_equal(set(1, F_RDLCK, 0, 10), -EAGAIN);
	assert_int_equal(set(1, F_WRLCK, 0, 9), 0);
	assert_int_equal(set(1, F_WRLCK, 20, TO_END), 0);
	assert_has(0, "W10-19");
	assert_has(1, "W0-9 W20-EOF");
}

static void readers_share_and_keep_a_writer_out(void **state)
{
	(void)state;
	assert_int_equal(set(0, F_RDLCK, 0, 99), 0);
	assert_int_equal(set(1, F_RDLCK, 50, 149), 0);
	assert_int_equal(set(2, F_WRLCK, 120, 120), -EAGAIN);
	assert_int_equal(set(0, F_WRLCK, 40, 60), -EAGAIN);
	assert_int_equal(set(0, F_WRLCK, 40, 49), 0);
	assert_has(0, "R0-39 W40-49 R50-99");
	assert_has(1, "R50-149");
}

static void a_refused_upgrade_leaves_what_was_there(void **state)
{
	(void)state;
	assert_int_equal(set(0, F_RDLCK, 0, 9), 0);
	assert_int_equal(set(1, F_RDLCK, 5, 5), 0);
	assert_int_equal(set(0, F_WRLCK, 0, 9), -EAGAIN);
	assert_has(0, "R0-9");
	assert_int_equal(set(1, F_UNLCK, 0, TO_END), 0);
	assert_int_equal(set(0, F_WRLCK, 0, 9), 0);
	assert_has(0, "W0-9");
}

static void unlocking_the_middle_makes_two(void **state)
{
	(void)state;
	assert_int_equal(set(0, F_WRLCK, 0, TO_END), 0);
	assert_int_equal(set(0, F_UNLCK, 10, 19), 0);
	assert_has(0, "W0-9 W20-EOF");
	assert_int_equal(set(0, F_UNLCK, 0, 0), 0);
	assert_int_equal(set(0, F_UNLCK, 100, TO_END), 0);
	assert_has(0, "W1-9 W20-99");
	assert_int_equal(set(0, F_UNLCK, 5, 25), 0);
	assert_has(0, "W1-4 W26-99");
	assert_int_equal(set(0, F_UNLCK, 0, TO_END), 0);
	assert_int_equal(count(), 0);
}

static void another_type_in_the_middle_makes_three(void **state)
{
	(void)state;
	assert_int_equal(set(0, F_WRLCK, 0, 99), 0);
	assert_int_equal(set(0, F_RDLCK, 40, 59), 0);
	assert_has(0, "W0-39 R40-59 W60-99");
	assert_int_equal(set(0, F_WRLCK, 40, 59), 0);
	assert_has(0, "W0-99");
}

static void neighbours_of_one_type_become_one(void **state)
{
	(void)state;
	assert_int_equal(set(0, F_RDLCK, 0, 9), 0);
	assert_int_equal(set(0, F_RDLCK, 20, 29), 0);
	assert_int_equal(set(0, F_RDLCK, 40, TO_END), 0);
	assert_has(0, "R0-9 R20-29 R40-EOF");
	assert_int_equal(set(0, F_RDLCK, 10, 19), 0);
	assert_has(0, "R0-29 R40-EOF");
	assert_int_equal(set(0, F_WRLCK, 30, 39), 0);
	assert_has(0, "R0-29 W30-39 R40-EOF");
	assert_int_equal(set(0, F_RDLCK, 5, 50), 0);
	assert_has(0, "R0-EOF");
}

static void the_first_in_the_way_is_told(void **state)
{
	struct file_lock l;

	(void)state;
	assert_int_equal(set(0, F_RDLCK, 30, 39), 0);
	assert_int_equal(set(1, F_WRLCK, 50, TO_END), 0);
	assert_int_equal(set(2, F_RDLCK, 10, 60 - 11), 0);
	l = test(3, F_WRLCK, 0, TO_END);
	assert_int_equal(l.pid, 3);
	assert_int_equal(l.start, 10);
	assert_int_equal(l.end, 49);
	l = test(3, F_RDLCK, 0, TO_END);
	assert_int_equal(l.type, F_WRLCK);
	assert_int_equal(l.end, TO_END);
	assert_int_equal(test(1, F_RDLCK, 0, TO_END).type, F_UNLCK);
	assert_int_equal(test(2, F_WRLCK, 0, 49).pid, 1);
	assert_int_equal(test(3, F_WRLCK, 0, 9).type, F_UNLCK);
}

static void an_open_description_is_an_owner_of_its_own(void **state)
{
	struct file_lock ofd = make(1, F_WRLCK, 0, 9);

	(void)state;
	ofd.kind = LOCK_KIND_OFD;
	ofd.owner = file;
	ofd.pid = -1;
	assert_int_equal(set(0, F_WRLCK, 5, 14), 0);
	assert_int_equal(lock_set(file->inode, &ofd, false), -EAGAIN);
	assert_int_equal(set(0, F_UNLCK, 5, 9), 0);
	assert_int_equal(lock_set(file->inode, &ofd, false), 0);
	assert_int_equal(test(0, F_RDLCK, 0, TO_END).pid, -1);
	assert_int_equal(test(0, F_RDLCK, 0, TO_END).kind, LOCK_KIND_OFD);
	/* flock(2) does not meet them, and goes with the description. */
	assert_int_equal(lock_flock(file, LOCK_EX, false), 0);
	assert_int_equal(count(), 3);
	locks_release(file->inode, file);
	assert_int_equal(count(), 1);
	assert_has(0, "W10-14");
}

static void release_takes_one_owners_only(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < 8; i++)
		for (unsigned int o = 0; o < OWNERS; o++)
			assert_int_equal(set(o, F_RDLCK, 10 * i + o, 10 * i + o), 0);
	assert_int_equal(count(), 8 * OWNERS);
	locks_release(file->inode, &who[2]);
	locks_release(file->inode, &who[2]);
	assert_int_equal(count(), 8 * (OWNERS - 1));
	assert_has(2, "");
}

static void the_limit_refuses_a_lock_and_never_an_unlock(void **state)
{
	(void)state;
	for (uint64_t i = 0; i < LOCKS_MAX - 1; i++)
		assert_int_equal(set(i % 2, F_WRLCK, 4 * i, 4 * i + 2), 0);
	assert_int_equal(set(2, F_WRLCK, 4ull * LOCKS_MAX, TO_END), 0);
	assert_int_equal(count(), LOCKS_MAX);
	assert_int_equal(set(2, F_RDLCK, 3, 3), -ENOLCK);
	assert_int_equal(lock_flock(file, LOCK_SH, false), -ENOLCK);
	/* To cut one in two needs one more. */
	assert_int_equal(set(0, F_UNLCK, 1, 1), -ENOLCK);
	assert_int_equal(set(0, F_UNLCK, 0, 0), 0);
	assert_int_equal(set(2, F_UNLCK, 0, TO_END), 0);
	assert_int_equal(set(0, F_UNLCK, 1, 2), 0);
	assert_int_equal(set(0, F_RDLCK, 8, 8), 0);
	assert_int_equal(test(3, F_WRLCK, 4 * 40001, 4 * 40001).pid, 2);
	assert_int_equal(set(0, F_UNLCK, 0, TO_END), 0);
	assert_int_equal(set(1, F_UNLCK, 0, TO_END), 0);
	assert_int_equal(count(), 0);
}

struct asker {
	struct file_lock want;
	int result;
	bool done;
};

static void ask(void *arg)
{
	struct asker *a = arg;

	a->result = lock_set(file->inode, &a->want, true);
	a->done = true;
}

static void spawn(struct asker *a, unsigned int owner, uint64_t start, uint64_t end)
{
	*a = (struct asker){ .want = make(owner, F_WRLCK, start, end) };
	assert_int_equal(fiber_spawn("asker", ask, a, NULL), 0);
	for (int i = 0; i < 10; i++)
		fiber_yield();
}

static void wait_for(const struct asker *a)
{
	for (int i = 0; i < WAIT_MAX && !a->done; i++)
		fiber_yield();
	assert_true(a->done);
}

static void wait_in_fiber(void *arg)
{
	struct asker a;

	(void)arg;
	assert_int_equal(set(0, F_WRLCK, 0, 9), 0);
	assert_int_equal(set(2, F_WRLCK, 10, 19), 0);
	spawn(&a, 1, 5, 15);
	assert_false(a.done);
	assert_int_equal(set(0, F_UNLCK, 0, 9), 0);
	for (int i = 0; i < 10; i++)
		fiber_yield();
	assert_false(a.done);
	/* Cutting enough off is enough. */
	assert_int_equal(set(2, F_UNLCK, 10, 15), 0);
	wait_for(&a);
	assert_int_equal(a.result, 0);
	assert_has(1, "W5-15");
	/* So is a weaker lock, and the end of the owner. */
	spawn(&a, 0, 16, 16);
	assert_false(a.done);
	locks_release(file->inode, &who[2]);
	wait_for(&a);
	assert_int_equal(a.result, 0);
}

static void who_waits_gets_it_when_there_is_room(void **state)
{
	(void)state;
	in_fiber(wait_in_fiber, NULL);
}

static void deadlock_in_fiber(void *arg)
{
	struct asker first, second;
	const struct file_lock third = make(2, F_WRLCK, 0, 0);

	(void)arg;
	for (unsigned int o = 0; o < 3; o++)
		assert_int_equal(set(o, F_WRLCK, o, o), 0);
	spawn(&first, 0, 1, 1);
	spawn(&second, 1, 2, 2);
	assert_false(first.done || second.done);
	assert_int_equal(lock_set(file->inode, &third, true), -EDEADLK);
	assert_has(2, "W2-2");
	assert_int_equal(set(2, F_UNLCK, 2, 2), 0);
	wait_for(&second);
	assert_int_equal(second.result, 0);
	assert_int_equal(set(1, F_UNLCK, 0, TO_END), 0);
	wait_for(&first);
	assert_int_equal(first.result, 0);
}

static void a_circle_of_three_is_a_deadlock(void **state)
{
	(void)state;
	in_fiber(deadlock_in_fiber, NULL);
}

/* What each owner has on each byte; the last byte stands for all behind it, too. */
static int model[OWNERS][BYTES];

static bool model_excludes(unsigned int owner, int type, unsigned int start, unsigned int end)
{
	for (unsigned int o = 0; o < OWNERS; o++)
		for (unsigned int b = start; b <= end && o != owner; b++)
			if (model[o][b] == F_WRLCK || (model[o][b] == F_RDLCK && type == F_WRLCK))
				return true;
	return false;
}

static unsigned int model_count(void)
{
	unsigned int runs = 0;

	for (unsigned int o = 0; o < OWNERS; o++)
		for (unsigned int b = 0; b < BYTES; b++)
			runs += model[o][b] != F_UNLCK &&
				(b == 0 || model[o][b - 1] != model[o][b]);
	return runs;
}

static void random_step(unsigned int round)
{
	static const int types[] = { F_RDLCK, F_RDLCK, F_WRLCK, F_UNLCK };
	const unsigned int owner = (unsigned int)random() % OWNERS;
	const unsigned int start = (unsigned int)random() % BYTES;
	const unsigned int longest = round % 500 < 480 ? 4 : BYTES;
	const unsigned int span = (unsigned int)random() % longest;
	const unsigned int end = start + span < BYTES ? start + span : BYTES - 1;
	const int type = types[random() % 4];
	const bool excluded = type != F_UNLCK && model_excludes(owner, type, start, end);
	const uint64_t last = end == BYTES - 1 ? TO_END : end;

	if (type != F_UNLCK)
		assert_int_equal(test(owner, type, start, last).type != F_UNLCK, excluded);
	assert_int_equal(set(owner, type, start, last), excluded ? -EAGAIN : 0);
	for (unsigned int b = start; b <= end && !excluded; b++)
		model[owner][b] = type;
	assert_int_equal(count(), model_count());
}

static void random_changes_agree_with_a_table_of_bytes(void **state)
{
	(void)state;
	srandom(11);
	for (unsigned int o = 0; o < OWNERS; o++)
		for (unsigned int b = 0; b < BYTES; b++)
			model[o][b] = F_UNLCK;
	for (unsigned int round = 0; round < 6000; round++)
		random_step(round);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(another_owner_is_told_to_try_again),
		T(readers_share_and_keep_a_writer_out),
		T(a_refused_upgrade_leaves_what_was_there),
		T(unlocking_the_middle_makes_two),
		T(another_type_in_the_middle_makes_three),
		T(neighbours_of_one_type_become_one),
		T(the_first_in_the_way_is_told),
		T(an_open_description_is_an_owner_of_its_own),
		T(release_takes_one_owners_only),
		T(the_limit_refuses_a_lock_and_never_an_unlock),
		T(who_waits_gets_it_when_there_is_room),
		T(a_circle_of_three_is_a_deadlock),
		T(random_changes_agree_with_a_table_of_bytes),
	};

	return cmocka_run_group_tests_name("sentry/vfs/locks", tests, NULL, NULL);
}
