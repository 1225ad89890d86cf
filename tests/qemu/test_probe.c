/* SPDX-License-Identifier: Apache-2.0 */
/* What is said of KVM holds: a verdict always comes, and KVM only when a kernel has run. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
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

/* With its lock. */
static void forget(const char *path)
{
	char lock[64];

	(void)snprintf(lock, sizeof(lock), "%s.lock", path);
	(void)unlink(lock);
	(void)unlink(path);
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
	forget(path);
}

static void verdicts_of_two_kernels_are_kept_beside_each_other(void **state)
{
	char path[] = "/tmp/caisson-test-probe-XXXXXX", other[] = "/tmp/caisson-test-kernel-XXXXXX";
	const int fd = mkstemp(path), no_kernel = mkstemp(other);
	struct probe_plan plan = plan_of(path), second = plan;
	struct probe probe = { 0 };
	struct err err = { 0 };

	(void)state;
	second.kernel = open(other, O_RDONLY | O_CLOEXEC);
	assert_int_equal(fd_write_all(no_kernel, "none", 4), 0);
	assert_int_equal(hypervisor_probe(&plan, &probe, &err), 0);
	assert_int_equal(hypervisor_probe(&second, &probe, &err), 0);
	assert_false(probe.remembered);
	if (access("/dev/kvm", F_OK) == 0) {
		assert_int_equal(hypervisor_probe(&plan, &probe, &err), 0);
		assert_true(probe.remembered);
	}
	(void)close(plan.program);
	(void)close(plan.kernel);
	(void)close(second.kernel);
	(void)close(no_kernel);
	(void)close(fd);
	(void)unlink(other);
	forget(path);
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
	forget(path);
}

static void what_others_can_write_is_not_believed(void **state)
{
	char path[] = "/tmp/caisson-test-probe-XXXXXX";
	const int fd = mkstemp(path);
	struct probe_plan plan = plan_of(path);
	struct probe probe = { 0 };
	struct err err = { 0 };

	(void)state;
	assert_int_equal(hypervisor_probe(&plan, &probe, &err), 0);
	assert_int_equal(chmod(path, 0666), 0);
	assert_int_equal(hypervisor_probe(&plan, &probe, &err), 0);
	assert_false(probe.remembered);
	(void)close(plan.program);
	(void)close(plan.kernel);
	(void)close(fd);
	forget(path);
}

/* The kernel reaps for it then, and there is no status of anybody. */
static void who_ignores_its_children_has_the_same_verdict(void **state)
{
	struct probe_plan plan = plan_of(NULL);
	struct probe probe = { 0 }, other = { 0 };
	struct err err = { 0 };

	(void)state;
	assert_int_equal(hypervisor_probe(&plan, &probe, &err), 0);
	(void)signal(SIGCHLD, SIG_IGN);
	assert_int_equal(hypervisor_probe(&plan, &other, &err), 0);
	(void)signal(SIGCHLD, SIG_DFL);
	assert_int_equal(probe.accel, other.accel);
	assert_string_equal(probe.reason, other.reason);
	(void)close(plan.program);
	(void)close(plan.kernel);
}

/* Two at a time: one tries, the other one waits for its verdict. */
static void of_two_that_ask_one_tries(void **state)
{
	char path[] = "/tmp/caisson-test-probe-XXXXXX";
	const int fd = mkstemp(path);
	struct probe_plan plan = plan_of(path);
	struct probe probe = { 0 };
	struct err err = { 0 };
	int status = 0;
	pid_t pid;

	(void)state;
	if (access("/dev/kvm", F_OK) < 0)
		skip();
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		_exit(hypervisor_probe(&plan, &probe, &err) < 0 ? 2 : probe.remembered);
	assert_int_equal(hypervisor_probe(&plan, &probe, &err), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) < 2);
	if (!probe.passing)
		assert_int_equal(probe.remembered + WEXITSTATUS(status), 1);
	(void)close(plan.program);
	(void)close(plan.kernel);
	(void)close(fd);
	forget(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_verdict_comes_in_time_and_is_remembered),
		cmocka_unit_test(verdicts_of_two_kernels_are_kept_beside_each_other),
		cmocka_unit_test(no_kernel_no_kvm),
		cmocka_unit_test(what_is_torn_is_not_believed),
		cmocka_unit_test(what_others_can_write_is_not_believed),
		cmocka_unit_test(who_ignores_its_children_has_the_same_verdict),
		cmocka_unit_test(of_two_that_ask_one_tries),
	};

	if (!vm_possible())
		return 77;
	return cmocka_run_group_tests_name("qemu/probe", tests, NULL, NULL);
}
