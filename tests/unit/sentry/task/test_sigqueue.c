/* SPDX-License-Identifier: Apache-2.0 */
/* Queues of signals: order, what is merged, what is bounded. */
#include "lib/unit.h"

#include <errno.h>

#include "sentry/task/sigqueue.h"
#include "sentry/task/user_usage.h"

struct world {
	struct sig_queue q;
	struct user_usage *usage;
};

static int setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	sig_queue_init(&w->q);
	w->usage = user_usage_get(1000);
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;

	sig_queue_flush(&w->q, ~0ull);
	assert_int_equal(w->usage->signals, 0);
	assert_int_equal(w->usage->refs, 1);
	user_usage_unref(w->usage);
	free(w);
	return 0;
}

static int put(struct world *w, int sig, int code, int value, uint64_t limit)
{
	siginfo_t info;

	memset(&info, 0, sizeof(info));
	info.si_signo = sig;
	info.si_code = code;
	info.si_int = value;
	return sig_queue_put(&w->q, sig, &info, w->usage, limit);
}

static void a_queued_signal_beyond_the_limit_is_eagain(void **state)
{
	struct world *w = *state;

	assert_int_equal(put(w, 40, SI_QUEUE, 1, 2), 0);
	assert_int_equal(put(w, 40, SI_QUEUE, 2, 2), 0);
	assert_int_equal(put(w, 40, SI_QUEUE, 3, 2), -EAGAIN);
	assert_int_equal(w->usage->signals, 2);
}

static void kill_beyond_the_limit_loses_only_the_siginfo(void **state)
{
	struct world *w = *state;
	siginfo_t info;

	assert_int_equal(put(w, 40, SI_USER, 1, 0), 0);
	assert_int_equal(sig_queue_take(&w->q, ~0ull, &info), 40);
	assert_int_equal(info.si_code, SI_USER);
	assert_int_equal(info.si_pid, 0);
	assert_int_equal(sig_queue_take(&w->q, ~0ull, &info), 0);
}

static void a_standard_signal_is_pending_once(void **state)
{
	struct world *w = *state;
	siginfo_t info;

	assert_int_equal(put(w, SIGUSR1, SI_QUEUE, 1, 10), 0);
	assert_int_equal(put(w, SIGUSR1, SI_QUEUE, 2, 10), 0);
	assert_int_equal(sig_queue_take(&w->q, ~0ull, &info), SIGUSR1);
	assert_int_equal(info.si_int, 1);
	assert_int_equal(sig_queue_take(&w->q, ~0ull, &info), 0);
}

static void real_time_signals_keep_their_order_and_number(void **state)
{
	struct world *w = *state;
	siginfo_t info;

	put(w, 41, SI_QUEUE, 1, 10);
	put(w, 40, SI_QUEUE, 2, 10);
	put(w, 41, SI_QUEUE, 3, 10);
	put(w, 40, SI_QUEUE, 4, 10);
	for (int i = 0; i < 4; i++) {
		static const int sig[] = { 40, 40, 41, 41 }, value[] = { 2, 4, 1, 3 };

		assert_int_equal(sig_queue_take(&w->q, ~0ull, &info), sig[i]);
		assert_int_equal(info.si_int, value[i]);
	}
	assert_int_equal(w->q.set, 0);
}

static void faults_come_before_lower_numbers(void **state)
{
	struct world *w = *state;
	siginfo_t info;

	put(w, SIGHUP, SI_USER, 0, 10);
	put(w, SIGSEGV, SEGV_MAPERR, 0, 10);
	assert_int_equal(sig_queue_take(&w->q, ~0ull, &info), SIGSEGV);
	assert_int_equal(sig_queue_take(&w->q, ~0ull, &info), SIGHUP);
}

static void a_mask_hides_and_a_flush_drops(void **state)
{
	struct world *w = *state;
	siginfo_t info;

	put(w, SIGINT, SI_USER, 0, 10);
	put(w, SIGTERM, SI_USER, 0, 10);
	assert_int_equal(sig_queue_take(&w->q, SIG_BIT(SIGTERM), &info), SIGTERM);
	sig_queue_flush(&w->q, SIG_BIT(SIGINT));
	assert_int_equal(sig_queue_take(&w->q, ~0ull, &info), 0);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(a_queued_signal_beyond_the_limit_is_eagain),
		T(kill_beyond_the_limit_loses_only_the_siginfo),
		T(a_standard_signal_is_pending_once),
		T(real_time_signals_keep_their_order_and_number),
		T(faults_come_before_lower_numbers),
		T(a_mask_hides_and_a_flush_drops),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
