/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/failure.h"

#include "lib/unit.h"

#include <errno.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include "vmm/host_memory.h"

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

static void a_machine_that_the_host_starved_says_what_to_change(void **state)
{
	struct err err;

	facts = (struct failure_facts){ .qemu_ended = true,
					.qemu_status = SIGKILL,
					.starved = true,
					.memory = 128ull << 20,
					.host_limit = UINT64_MAX };
	err = compose(-EPIPE, "x");
	assert_says(err, "the host has killed QEMU for want of memory");
	assert_says(err, "128 MiB needs up to 320 MiB");
	assert_says(err, "a cgroup above its own, or the host, has less: raise that limit");
	facts = (struct failure_facts){ .files_ended = true,
					.files_status = SIGKILL,
					.starved = true,
					.memory = 128ull << 20,
					.host_limit = 200ull << 20 };
	err = compose(-EPIPE, "x");
	assert_says(err, "the host has killed virtiofsd");
	assert_says(err, "the limit of its cgroup is 200 MiB");
	/* Somebody else did. */
	facts = (struct failure_facts){ .qemu_ended = true,
					.qemu_status = SIGTERM,
					.starved = true };
	assert_string_equal(compose(-EPIPE, "x").msg, "QEMU was killed by signal 15");
}

/* ---- Where that is known from ---- */

static int file_with(const char *content)
{
	const int fd = memfd_create("f", MFD_CLOEXEC);

	assert_int_equal(write(fd, content, strlen(content)), strlen(content));
	return fd;
}

static void kills_and_limits_are_read_from_either_version(void **state)
{
	static const struct {
		const char *text;
		uint64_t kills, limit;
	} rows[] = {
		{ "", 0, UINT64_MAX },
		{ "max\n", 0, UINT64_MAX },
		{ "9223372036854771712\n", 0, UINT64_MAX },
		{ "104857600\n", 0, 104857600 },
		{ "low 1\nhigh 2\nmax 3\noom 4\noom_kill 5\noom_group_kill 6\n", 5, UINT64_MAX },
		{ "oom_kill_disable 0\nunder_oom 0\noom_kill 7\n", 7, UINT64_MAX },
		{ "oom_kill x\n", 0, UINT64_MAX },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const int fd = file_with(rows[i].text);

		assert_int_equal(host_memory_kills(fd), rows[i].kills);
		assert_int_equal(host_memory_limit(fd), rows[i].limit);
		(void)close(fd);
	}
	assert_int_equal(host_memory_kills(-1), 0);
	assert_int_equal(host_memory_limit(-1), UINT64_MAX);
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
		cmocka_unit_test(a_machine_that_the_host_starved_says_what_to_change),
		cmocka_unit_test(kills_and_limits_are_read_from_either_version),
		cmocka_unit_test(a_panic_explains_everything_but_a_lie),
		cmocka_unit_test(of_two_the_one_that_did_not_end_by_itself_is_named),
		cmocka_unit_test(much_that_was_said_is_cut_and_the_sentence_ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
