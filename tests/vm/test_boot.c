/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A guest of our kernel and our image, and the host's end of its channel in this program: what the
 * agent does where it is at home. Emulated; one machine for all tests, as a boot takes its time.
 */
#include "lib/unit.h"

#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/str.h"
#include "vm/container.h"
#include "vm/machine.h"

static struct guest guest;
static struct host host;

static int boot(void **state)
{
	const int64_t begin = clock_ms();

	(void)state;
	guest_start(&guest);
	host_open(&host, guest.agent);
	print_message("HELLO after %lld ms; of the guest: init at %llu us, HELLO %llu us later\n",
		      (long long)(clock_ms() - begin),
		      (unsigned long long)host.hello.kernel_ns / 1000,
		      (unsigned long long)(host.hello.agent_ns - host.hello.kernel_ns) / 1000);
	return 0;
}

static int stop(void **state)
{
	(void)state;
	host_close(&host);
	guest_stop(&guest);
	return 0;
}

static const struct agent_storage share = { .source = "caisson",
					    .target = "/run/caisson/share",
					    .type = "virtiofs",
					    .options = "",
					    .flags = AGENT_STORAGE_SHARED };

static struct container_plan plan(const char *id, const char *command)
{
	return (struct container_plan){
		.id = id, .root = "/run/caisson/share/root", .command = command, .storage = &share
	};
}

static void the_agent_tells_its_kernel(void **state)
{
	(void)state;
	assert_non_null(strstr(host.hello.release, "6."));
	assert_true(host.hello.agent_ns > host.hello.kernel_ns);
}

static void a_container_runs_and_its_end_is_told(void **state)
{
	struct container_plan p = plan("hello", "echo out; echo err >&2; cat; exit 7");
	const int32_t pid = container_make(&host, &p);

	(void)state;
	host_send(&host, p.in, "in\n");
	host_end(&host, p.in);
	assert_int_equal(container_begin(&host, &p), 0);
	assert_int_equal(host_exited(&host, pid), 7);
	assert_string_equal(host_text(&host, p.out), "out\nin\n");
	assert_string_equal(host_text(&host, p.err), "err\n");
	container_end(&host, &p);
}

static void what_it_writes_is_at_the_host(void **state)
{
	struct container_plan p = plan("files", "echo data > /written");
	const int32_t pid = container_make(&host, &p);
	char path[128], text[16] = "";
	FILE *file;

	(void)state;
	assert_int_equal(container_begin(&host, &p), 0);
	assert_int_equal(host_exited(&host, pid), 0);
	container_end(&host, &p);
	(void)snprintf(path, sizeof(path), "%s/root/written", guest.share);
	file = fopen(path, "re");
	assert_non_null(file);
	assert_non_null(fgets(text, sizeof(text), file));
	(void)fclose(file);
	assert_string_equal(text, "data\n");
}

static void the_guest_has_all_controllers_and_counts(void **state)
{
	struct container_plan p = plan("stats", "sleep 1000");
	const struct agent_container container = { "stats" };
	struct agent_processes list;
	struct agent_stats stats;
	const int32_t pid = container_make(&host, &p);

	(void)state;
	assert_int_equal(container_begin(&host, &p), 0);
	host_must(&host, AGENT_STATS, &container, &stats);
	assert_int_equal(stats.pids, 1);
	assert_true(stats.memory_usage > 0 && stats.memory_limit == 64 << 20);
	assert_true(stats.total_memory > 128 << 20);
	host_must(&host, AGENT_PS, &container, &list);
	assert_int_equal(list.len, 1);
	container_kill(&host, &p, SIGKILL);
	assert_int_equal(host_exited(&host, pid), 137);
	container_end(&host, &p);
}

static void the_kernel_ends_who_takes_too_much_memory(void **state)
{
	struct container_plan p = plan("oom", "head -c 200m /dev/zero > /dev/shm/x");
	const unsigned int before = host.ooms;
	const int32_t pid = container_make(&host, &p);

	(void)state;
	assert_int_equal(container_begin(&host, &p), 0);
	assert_int_equal(host_exited(&host, pid), 137);
	host_until(&host, host.ooms > before);
	container_end(&host, &p);
}

static void a_clone_gets_the_time(void **state)
{
	struct container_plan p = plan("clone", "busybox date +%s");
	const struct agent_reset reset = { .time_ns = 2000000000000000000u,
					   .entropy = { "0123456789abcdef0123456789abcdef", 32 },
					   .hostname = "clone" };
	int32_t pid;

	(void)state;
	host_must(&host, AGENT_RESET, &reset, NULL);
	pid = container_make(&host, &p);
	assert_int_equal(container_begin(&host, &p), 0);
	assert_int_equal(host_exited(&host, pid), 0);
	assert_memory_equal(host_text(&host, p.out), "20000000", 8);
	container_end(&host, &p);
}

static void what_the_agent_knows_can_be_asked(void **state)
{
	static const struct {
		const char *what, *words;
	} asked[] = { { "tasks", "caisson-agent" },
		      { "mounts", "cgroup2" },
		      { "dmesg", "Linux version" },
		      { "metrics", "guest_memory_bytes" } };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(asked); i++) {
		const struct agent_debug debug = { asked[i].what };
		struct agent_text text;

		host_must(&host, AGENT_DEBUG, &debug, &text);
		if (!strstr(text.text, asked[i].words))
			fail_msg("%s: no \"%s\"", asked[i].what, asked[i].words);
	}
	assert_int_equal(
		host_ask(&host, AGENT_DEBUG, &(const struct agent_debug){ "secrets" }, NULL),
		-EINVAL);
}

/* The last one: the machine is gone afterwards. */
static void the_machine_ends_when_it_is_told_to(void **state)
{
	(void)state;
	host_must(&host, AGENT_SHUTDOWN, NULL, NULL);
	assert_int_equal(guest_wait(&guest), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_agent_tells_its_kernel),
		cmocka_unit_test(a_container_runs_and_its_end_is_told),
		cmocka_unit_test(what_it_writes_is_at_the_host),
		cmocka_unit_test(the_guest_has_all_controllers_and_counts),
		cmocka_unit_test(the_kernel_ends_who_takes_too_much_memory),
		cmocka_unit_test(a_clone_gets_the_time),
		cmocka_unit_test(what_the_agent_knows_can_be_asked),
		cmocka_unit_test(the_machine_ends_when_it_is_told_to),
	};

	if (!guest_is_possible())
		return 77;
	return cmocka_run_group_tests(tests, boot, stop);
}
