/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/loop.h"

#define SOURCES 3

struct world {
	struct loop *loop;
	struct loop_source *sources[SOURCES];
	int pipes[SOURCES][2];
	int calls[SOURCES];
	uint32_t events;
	int signal, signals;
	void (*then)(struct world *w, int i);
};

struct slot {
	struct world *w;
	int i;
};

static struct world world;
static struct slot slots[SOURCES];

static int set_up(void **state)
{
	struct world *w = &world;

	memset(w, 0, sizeof(*w));
	for (int i = 0; i < SOURCES; i++) {
		slots[i] = (struct slot){ w, i };
		if (pipe2(w->pipes[i], O_CLOEXEC | O_NONBLOCK) < 0)
			return -1;
	}
	*state = w;
	return loop_new(&w->loop);
}

static int tear_down(void **state)
{
	struct world *w = *state;

	loop_free(w->loop);
	for (int i = 0; i < SOURCES; i++) {
		(void)close(w->pipes[i][0]);
		(void)close(w->pipes[i][1]);
	}
	return 0;
}

static void on_fd(void *arg, int fd, uint32_t events)
{
	struct slot *slot = arg;
	struct world *w = slot->w;

	assert_true(fd >= 0);
	w->calls[slot->i]++;
	w->events = events;
	if (w->then)
		w->then(w, slot->i);
}

static void on_timer(void *arg)
{
	struct slot *slot = arg;

	slot->w->calls[slot->i]++;
	if (slot->w->then)
		slot->w->then(slot->w, slot->i);
}

static void add_pipe(struct world *w, int i, uint32_t events)
{
	assert_int_equal(
		loop_add_fd(w->loop, w->pipes[i][0], events, on_fd, &slots[i], &w->sources[i]), 0);
}

static void fill(struct world *w, int i)
{
	assert_int_equal(write(w->pipes[i][1], "x", 1), 1);
}

static void a_descriptor_that_is_not_open_or_there_already_is_refused(void **state)
{
	struct world *w = *state;
	struct loop_source *none = NULL;

	assert_int_equal(loop_add_fd(w->loop, -EBADF, EPOLLIN, on_fd, NULL, &none), -EBADF);
	add_pipe(w, 0, EPOLLIN);
	assert_int_equal(loop_add_fd(w->loop, w->pipes[0][0], EPOLLIN, on_fd, NULL, &none),
			 -EEXIST);
	assert_null(none);
	assert_int_equal(loop_add_timer(w->loop, -2, on_timer, NULL, &none), -EINVAL);
	assert_int_equal(loop_add_timer(w->loop, INT64_MAX, on_timer, NULL, &none), -EINVAL);
	assert_null(none);
	loop_remove(NULL);
	loop_free(NULL);
}

static void nothing_ready_waits_no_longer_than_asked(void **state)
{
	struct world *w = *state;

	add_pipe(w, 0, EPOLLIN);
	assert_int_equal(loop_once(w->loop, 0), 0);
	assert_int_equal(loop_once(w->loop, 1), 0);
	assert_int_equal(w->calls[0], 0);
}

static void remove_all(struct world *w, int i)
{
	(void)i;
	for (int j = 0; j < SOURCES; j++) {
		loop_remove(w->sources[j]);
		w->sources[j] = NULL;
	}
}

static void a_source_that_another_one_removed_is_not_called_in_the_same_round(void **state)
{
	struct world *w = *state;

	for (int i = 0; i < SOURCES; i++) {
		add_pipe(w, i, EPOLLIN);
		fill(w, i);
	}
	w->then = remove_all;
	assert_int_equal(loop_once(w->loop, 0), 0);
	assert_int_equal(w->calls[0] + w->calls[1] + w->calls[2], 1);
	assert_int_equal(loop_once(w->loop, 0), 0);
	assert_int_equal(w->calls[0] + w->calls[1] + w->calls[2], 1);
}

static void remove_and_add(struct world *w, int i)
{
	loop_remove(w->sources[i]);
	add_pipe(w, i, EPOLLIN);
}

static void a_source_may_be_removed_and_added_again_by_itself(void **state)
{
	struct world *w = *state;

	add_pipe(w, 0, EPOLLIN);
	fill(w, 0);
	w->then = remove_and_add;
	for (int i = 1; i <= 3; i++) {
		assert_int_equal(loop_once(w->loop, 0), 0);
		assert_int_equal(w->calls[0], i);
	}
}

static void events_are_told_as_long_as_they_last_and_as_they_are_wanted(void **state)
{
	struct world *w = *state;

	add_pipe(w, 0, EPOLLIN);
	fill(w, 0);
	assert_int_equal(loop_once(w->loop, 0), 0);
	assert_int_equal(loop_once(w->loop, 0), 0);
	assert_int_equal(w->calls[0], 2);
	assert_int_equal(w->events, EPOLLIN);
	assert_int_equal(loop_set_events(w->sources[0], 0), 0);
	assert_int_equal(loop_once(w->loop, 0), 0);
	assert_int_equal(w->calls[0], 2);
	(void)close(w->pipes[0][1]);
	w->pipes[0][1] = -EBADF;
	assert_int_equal(loop_once(w->loop, 0), 0);
	assert_int_equal(w->events, EPOLLHUP);
}

static void a_regular_file_is_always_ready_for_what_is_wanted(void **state)
{
	struct world *w = *state;
	const int file = memfd_create("file", MFD_CLOEXEC);

	assert_int_equal(loop_add_fd(w->loop, file, EPOLLIN, on_fd, &slots[0], &w->sources[0]), 0);
	assert_int_equal(loop_once(w->loop, -1), 0);
	assert_int_equal(w->calls[0], 1);
	assert_int_equal(w->events, EPOLLIN);
	assert_int_equal(loop_set_events(w->sources[0], 0), 0);
	assert_int_equal(loop_once(w->loop, 0), 0);
	assert_int_equal(w->calls[0], 1);
	assert_int_equal(loop_set_events(w->sources[0], EPOLLOUT), 0);
	w->then = remove_all;
	assert_int_equal(loop_once(w->loop, -1), 0);
	assert_int_equal(w->events, EPOLLOUT);
	assert_int_equal(loop_once(w->loop, 0), 0);
	assert_int_equal(w->calls[0], 2);
	(void)close(file);
}

static void a_file_does_not_keep_others_from_their_turn(void **state)
{
	struct world *w = *state;
	const int file = memfd_create("file", MFD_CLOEXEC);

	assert_int_equal(loop_add_fd(w->loop, file, EPOLLIN, on_fd, &slots[0], &w->sources[0]), 0);
	add_pipe(w, 1, EPOLLIN);
	fill(w, 1);
	assert_int_equal(loop_add_timer(w->loop, 0, on_timer, &slots[2], &w->sources[2]), 0);
	assert_int_equal(loop_once(w->loop, -1), 0);
	for (int i = 0; i < SOURCES; i++)
		assert_int_equal(w->calls[i], 1);
	(void)close(file);
}

static void a_timer_fires_once_and_not_before_its_time(void **state)
{
	struct world *w = *state;
	const int64_t start = clock_ms();

	assert_int_equal(loop_add_timer(w->loop, 20, on_timer, &slots[0], &w->sources[0]), 0);
	while (w->calls[0] == 0)
		assert_int_equal(loop_once(w->loop, -1), 0);
	assert_true(clock_ms() - start >= 19);
	assert_int_equal(loop_once(w->loop, 5), 0);
	assert_int_equal(w->calls[0], 1);
	assert_int_equal(loop_set_timer(w->sources[0], 0), 0);
	assert_int_equal(loop_once(w->loop, -1), 0);
	assert_int_equal(w->calls[0], 2);
}

static void a_timer_that_is_off_does_not_fire(void **state)
{
	struct world *w = *state;

	assert_int_equal(loop_add_timer(w->loop, 0, on_timer, &slots[0], &w->sources[0]), 0);
	assert_int_equal(loop_set_timer(w->sources[0], -1), 0);
	assert_int_equal(loop_once(w->loop, 5), 0);
	assert_int_equal(w->calls[0], 0);
}

static void set_again(struct world *w, int i)
{
	assert_int_equal(loop_set_timer(w->sources[i], 0), 0);
}

static void a_timer_that_sets_itself_for_now_leaves_the_round(void **state)
{
	struct world *w = *state;

	assert_int_equal(loop_add_timer(w->loop, 0, on_timer, &slots[0], &w->sources[0]), 0);
	w->then = set_again;
	for (int i = 1; i <= 3; i++) {
		assert_int_equal(loop_once(w->loop, -1), 0);
		assert_int_equal(w->calls[0], i);
	}
}

static void timers_may_remove_each_other(void **state)
{
	struct world *w = *state;

	for (int i = 0; i < SOURCES; i++)
		assert_int_equal(loop_add_timer(w->loop, 0, on_timer, &slots[i], &w->sources[i]),
				 0);
	w->then = remove_all;
	assert_int_equal(loop_once(w->loop, -1), 0);
	assert_int_equal(loop_once(w->loop, 0), 0);
	assert_int_equal(w->calls[0] + w->calls[1] + w->calls[2], 1);
}

static void quit_now(struct world *w, int i)
{
	loop_quit(w->loop, 7 + i);
}

static void quitting_ends_the_run_before_the_next_callback(void **state)
{
	struct world *w = *state;

	for (int i = 0; i < SOURCES; i++) {
		add_pipe(w, i, EPOLLIN);
		fill(w, i);
	}
	w->then = quit_now;
	assert_in_range(loop_run(w->loop), 7, 6 + SOURCES);
	assert_int_equal(w->calls[0] + w->calls[1] + w->calls[2], 1);
	(void)loop_run(w->loop);
	assert_int_equal(w->calls[0] + w->calls[1] + w->calls[2], 2);
}

static void a_quit_before_the_run_is_not_forgotten(void **state)
{
	struct world *w = *state;

	loop_quit(w->loop, 3);
	assert_int_equal(loop_run(w->loop), 3);
}

static void on_signal(void *arg, const struct signalfd_siginfo *info)
{
	struct world *w = arg;

	w->signals++;
	w->signal = (int)info->ssi_signo;
	loop_quit(w->loop, w->signal);
}

/* In a child: all signals are blocked afterwards. */
static int signals_of_a_child(struct world *w)
{
	if (loop_on_signals(w->loop, on_signal, w) != 0)
		return 1;
	if (loop_on_signals(w->loop, on_signal, w) != -EEXIST)
		return 2;
	(void)raise(SIGTERM);
	if (loop_run(w->loop) != SIGTERM)
		return 3;
	(void)raise(SIGUSR1);
	(void)raise(SIGPIPE);
	(void)loop_run(w->loop);
	(void)loop_run(w->loop);
	return w->signals == 3 ? 0 : 4;
}

static void signals_come_as_events(void **state)
{
	struct world *w = *state;
	const pid_t pid = fork();
	int status;

	if (pid == 0)
		_exit(signals_of_a_child(w));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	static const struct CMUnitTest tests[] = {
		T(a_descriptor_that_is_not_open_or_there_already_is_refused),
		T(nothing_ready_waits_no_longer_than_asked),
		T(a_source_that_another_one_removed_is_not_called_in_the_same_round),
		T(a_source_may_be_removed_and_added_again_by_itself),
		T(events_are_told_as_long_as_they_last_and_as_they_are_wanted),
		T(a_regular_file_is_always_ready_for_what_is_wanted),
		T(a_file_does_not_keep_others_from_their_turn),
		T(a_timer_fires_once_and_not_before_its_time),
		T(a_timer_that_is_off_does_not_fire),
		T(a_timer_that_sets_itself_for_now_leaves_the_round),
		T(timers_may_remove_each_other),
		T(quitting_ends_the_run_before_the_next_callback),
		T(a_quit_before_the_run_is_not_forgotten),
		T(signals_come_as_events),
	};

	return cmocka_run_group_tests_name("base/loop", tests, NULL, NULL);
}
