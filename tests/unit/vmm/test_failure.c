/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/failure.h"

#include "lib/unit.h"

#include <errno.h>
#include <signal.h>

#define STATUS(n) ((n) << 8) /* of wait(2) */

static struct failure_facts facts;

static void console(const char *text)
{
	vm_console_put(&facts.console, text, strlen(text));
}

static void words(const char *text)
{
	vm_console_put(&facts.words, text, strlen(text));
}

static struct err compose(int code, const char *why)
{
	struct err first = { 0 }, ret = { 0 };

	(void)err_set(&first, code, "%s", why);
	failure_compose(&first, &facts, &ret);
	assert_int_equal(ret.code, code);
	facts = (struct failure_facts){ 0 };
	return ret;
}

static void without_facts_the_reason_stands_alone(void **state)
{
	assert_string_equal(compose(-ETIMEDOUT, "too slow").msg, "too slow");
}

static void how_qemu_ended_is_more_than_that_its_channel_did(void **state)
{
	struct err err;

	facts.qemu_ended = true;
	facts.qemu_status = STATUS(1);
	words("qemu: no such device\r\n");
	console("[    0.100000] Linux\r\n");
	err = compose(-EPIPE, "the agent's channel has ended");
	assert_string_equal(err.msg, "QEMU ended with status 1; QEMU said: qemu: no such device; "
				     "the guest said last: Linux");
}

static void a_signal_is_called_one(void **state)
{
	facts.qemu_ended = true;
	facts.qemu_status = SIGKILL;
	assert_string_equal(compose(-EPIPE, "x").msg, "QEMU was killed by signal 9");
}

static void a_panic_explains_everything_but_a_lie(void **state)
{
	static const char panic[] = "[    1.0] Kernel panic - not syncing: no init\r\n";
	struct err err;

	facts.qemu_ended = true;
	console(panic);
	err = compose(-EPIPE, "x");
	assert_string_equal(err.msg, "the guest's kernel has panicked: no init");
	console(panic);
	err = compose(-ETIMEDOUT, "silent");
	assert_says(err, "the guest's kernel has panicked: no init");
	console(panic);
	err = compose(-EPROTO, "a frame of type 77");
	assert_ptr_equal(strstr(err.msg, "a frame of type 77"), err.msg);
	facts.panicked = true;
	err = compose(-EPIPE, "x");
	assert_string_equal(err.msg, "the guest's kernel has panicked");
}

static void of_two_the_one_that_did_not_end_by_itself_is_named(void **state)
{
	facts.qemu_ended = facts.files_ended = true;
	facts.files_status = SIGSEGV;
	assert_string_equal(compose(-EPIPE, "x").msg, "virtiofsd was killed by signal 11");
	facts.qemu_ended = facts.files_ended = true;
	facts.qemu_status = SIGSEGV;
	assert_string_equal(compose(-EPIPE, "x").msg, "QEMU was killed by signal 11");
	facts.files_ended = true;
	assert_string_equal(compose(-EPIPE, "x").msg, "virtiofsd ended with status 0");
}

static void much_that_was_said_is_cut_and_the_sentence_ends(void **state)
{
	struct err err;

	for (int i = 0; i < 2000; i++) {
		console("BUG: something very long that goes on and on and on \033[2J\r\n");
		words("more and more words of QEMU that nobody has asked for\n");
	}
	facts.qemu_ended = true;
	err = compose(-EPIPE, "x");
	assert_in_range(strlen(err.msg), 100, ERR_MSG_MAX - 1);
	assert_says(err, "QEMU ended with status 0");
	assert_says(err, "the guest said last: BUG:");
	assert_null(strchr(err.msg, '\033'));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_facts_the_reason_stands_alone),
		cmocka_unit_test(how_qemu_ended_is_more_than_that_its_channel_did),
		cmocka_unit_test(a_signal_is_called_one),
		cmocka_unit_test(a_panic_explains_everything_but_a_lie),
		cmocka_unit_test(of_two_the_one_that_did_not_end_by_itself_is_named),
		cmocka_unit_test(much_that_was_said_is_cut_and_the_sentence_ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
