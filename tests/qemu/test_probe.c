/* SPDX-License-Identifier: Apache-2.0 */
/* What is said of KVM holds: a verdict always comes, and KVM only when a kernel has run. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/fd.h"
#include "hypervisor/probe.h"
#include "hypervisor/qemu.h"
#include "lib/unit.h"
#include "qemu/vm.h"

static struct probe_plan plan_of(const char *memory)
{
	struct err err = { 0 };

	return (struct probe_plan){ .program = qemu_find(NULL, &err),
				    .kernel = vm_kernel(),
				    .memory = memory };
}

static void a_verdict_comes_in_time_and_is_remembered(void **state)
{
	char path[] = "/tmp/caisson-test-probe-XXXXXX";
	const int fd = mkstemp(path);
	struct probe_plan plan = plan_of(path);
	struct probe first = { 0 }, second = { 0 };
	struct err err = { 0 };
	const int64_t begin = clock_ms();
	AUTO_BUF struct buf kept = { 0 };

	(void)state;
	assert_int_equal(hypervisor_probe(&plan, &first, &err), 0);
	assert_true(clock_ms() - begin < PROBE_LIMIT_MS + 20000);
	assert_false(first.remembered);
	print_message("KVM: %s\n", *first.reason ? first.reason : "runs");
	assert_int_equal(first.accel == MACHINE_KVM, !*first.reason);
	if (access("/dev/kvm", F_OK) == 0) {
		assert_int_equal(hypervisor_probe(&plan, &second, &err), 0);
		assert_true(second.remembered);
		assert_int_equal(second.accel, first.accel);
		assert_string_equal(second.reason, first.reason);
		/* Of another boot it is worth nothing. */
		assert_int_equal(fd_read_file(AT_FDCWD, path, &kept), 0);
		kept.data[0] = kept.data[0] == 'a' ? 'b' : 'a';
		assert_int_equal(fd_replace_file(AT_FDCWD, path, kept.data, kept.len, 0600), 0);
		assert_int_equal(hypervisor_probe(&plan, &second, &err), 0);
		assert_false(second.remembered);
	}
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	assert_int_equal(errno, ECHILD);
	(void)close(plan.program);
	(void)close(plan.kernel);
	(void)close(fd);
	(void)unlink(path);
}

/* A kernel that nobody can run is no reason to believe in KVM. */
static void no_kernel_no_kvm(void **state)
{
	struct probe_plan plan = plan_of(NULL);
	struct probe probe = { 0 };
	struct err err = { 0 };

	(void)state;
	(void)close(plan.kernel);
	plan.kernel = open("/etc/hostname", O_RDONLY | O_CLOEXEC);
	assert_true(plan.kernel > 2);
	assert_int_equal(hypervisor_probe(&plan, &probe, &err), 0);
	assert_int_equal(probe.accel, MACHINE_TCG);
	assert_true(*probe.reason);
	(void)close(plan.program);
	(void)close(plan.kernel);
}

static void what_is_torn_is_not_believed(void **state)
{
	char path[] = "/tmp/caisson-test-probe-XXXXXX";
	const int fd = mkstemp(path);
	struct probe_plan plan = plan_of(path);
	struct probe probe = { 0 };
	struct err err = { 0 };

	(void)state;
	assert_int_equal(fd_write_all(fd, "kvm\n", 4), 0);
	assert_int_equal(hypervisor_probe(&plan, &probe, &err), 0);
	assert_false(probe.remembered);
	(void)close(plan.program);
	(void)close(plan.kernel);
	(void)close(fd);
	(void)unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_verdict_comes_in_time_and_is_remembered),
		cmocka_unit_test(no_kernel_no_kvm),
		cmocka_unit_test(what_is_torn_is_not_believed),
	};

	if (!vm_possible())
		return 77;
	return cmocka_run_group_tests_name("qemu/probe", tests, NULL, NULL);
}
