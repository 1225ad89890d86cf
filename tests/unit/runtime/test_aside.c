/* SPDX-License-Identifier: Apache-2.0 */
/* What may hang, aside; and how long many that hang are waited for. */
#include "runtime/aside.h"

#include <errno.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "lib/unit.h"

#define PATIENCE_MS 30000

static void hang(void *arg, int out)
{
	(void)out;
	for (;;)
		(void)pause();
}

static void talk(void *arg, int out)
{
	while (fd_write_all(out, arg, strlen(arg)) == 0)
		;
}

static void say(void *arg, int out)
{
	(void)fd_write_all(out, arg, strlen(arg));
}

static void one_that_hangs_or_says_too_much_is_ended(void **state)
{
	AUTO_BUF struct buf text = { .max = 100 };
	struct err err = { 0 };

	assert_int_equal(aside_run(hang, NULL, 10, &text, "it", &err), -ETIMEDOUT);
	assert_says(err, "it");
	assert_int_equal(aside_run(talk, (char[]){ "on and on" }, PATIENCE_MS, &text, "it", &err),
			 -E2BIG);
	assert_int_equal(waitpid(-1, NULL, 0), -1);
	assert_int_equal(errno, ECHILD);
}

static void what_is_said_is_heard(void **state)
{
	AUTO_BUF struct buf text = { .max = 100 };
	struct err err = { 0 };

	assert_int_equal(aside_run(say, (char[]){ "it" }, PATIENCE_MS, &text, "it", &err), 0);
	assert_string_equal(text.data, "it");
}

static void nobody_alone_uses_up_a_patience(void **state)
{
	int64_t patience_ms = 9000;

	assert_int_equal(aside_share(patience_ms, 3000), 3000);
	assert_int_equal(aside_share(patience_ms, 8000), 4500);
	/* Whoever is quick, costs nothing. */
	aside_charge(&patience_ms, clock_ms());
	assert_int_equal(patience_ms, 9000);
	aside_charge(&patience_ms, clock_ms() - 5000);
	assert_in_range(patience_ms, 1, 9000 - 5000 + ASIDE_LEAST_MS);
	/* And who comes last is asked, too. */
	aside_charge(&patience_ms, clock_ms() - 50000);
	assert_int_equal(patience_ms, 0);
	assert_int_equal(aside_share(patience_ms, 3000), ASIDE_LEAST_MS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_that_hangs_or_says_too_much_is_ended),
		cmocka_unit_test(what_is_said_is_heard),
		cmocka_unit_test(nobody_alone_uses_up_a_patience),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
