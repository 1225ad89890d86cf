/* SPDX-License-Identifier: Apache-2.0 */
/* The agent of the real image goes on in a clone: it answers a new host, and takes time and
 * entropy. */
#include <errno.h>
#include <fcntl.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "hypervisor/control.h"
#include "lib/unit.h"
#include "qemu/vm.h"
#include "vm/host.h"

static int memory = -EBADF, state = -EBADF;
static unsigned int cpus = 1;

static void describe(struct vm *vm, enum machine_role role)
{
	vm_init(vm);
	(void)close(vm->machine.initrd);
	vm->machine.initrd = open(VM_BUILD "/guest/image", O_PATH | O_CLOEXEC);
	assert_true(vm->machine.initrd > 2);
	vm->machine.type = MACHINE_MICROVM_PCI;
	vm->machine.slots = 4;
	vm->machine.cpus = cpus;
	vm->machine.role = role;
	vm->machine.memory_file = memory;
	vm->machine.state = state;
}

static struct qmp *greet(struct vm *vm)
{
	struct err err = { 0 };
	unsigned int asked = 0;
	struct qmp *qmp = NULL;

	assert_int_equal(qmp_new(vm->monitor, NULL, NULL, &qmp), 0);
	vm->monitor = -EBADF;
	assert_int_equal(hypervisor_qemu.greet(qmp, &vm->machine, &asked, &err), 0);
	while (asked--) {
		if (qmp_answer(qmp, VM_PATIENCE_MS, NULL, &err) < 0)
			fail_msg("%s", err.msg);
	}
	return qmp;
}

static void open_host(struct host *host, struct vm *vm)
{
	host_open(host, vm->agent);
	vm->agent = -EBADF;
}

static void make(void)
{
	const struct agent_online one = { .cpus = 1 };
	const int64_t begin = clock_ms();
	struct err err = { 0 };
	struct host host;
	struct qmp *qmp;
	struct vm vm;

	assert_int_equal(machine_memory(256ull << 20, &memory), 0);
	assert_int_equal(machine_memory(0, &state), 0);
	describe(&vm, MACHINE_TEMPLATE);
	vm_start(&vm);
	open_host(&host, &vm);
	print_message("HELLO after %lld ms\n", (long long)(clock_ms() - begin));
	if (cpus > 1)
		host_must(&host, AGENT_ONLINE, &one, NULL);
	qmp = greet(&vm);
	if (hypervisor_qemu.save(qmp, state, VM_PATIENCE_MS, &err) < 0)
		fail_msg("%s", err.msg);
	qmp_free(qmp);
	host_close(&host);
	vm_done(&vm);
	assert_int_equal(machine_seal(memory), 0);
	assert_int_equal(machine_seal(state), 0);
}

static int make_template(void **unused)
{
	(void)unused;
	make();
	return 0;
}

static void an_agent_that_was_saved_answers_a_new_host(void **unused)
{
	(void)unused;
	for (int i = 0; i < 2; i++) {
		char entropy[64];
		struct agent_reset reset = { .entropy = { entropy, sizeof(entropy) },
					     .hostname = "clone" };
		const int64_t begin = clock_ms();
		struct timespec now;
		struct host host;
		struct qmp *qmp;
		struct vm vm;

		memset(entropy, 'e' + i, sizeof(entropy));
		describe(&vm, MACHINE_CLONE);
		vm_start(&vm);
		qmp = greet(&vm);
		open_host(&host, &vm);
		print_message("HELLO of a clone after %lld ms\n", (long long)(clock_ms() - begin));
		(void)clock_gettime(CLOCK_REALTIME, &now);
		reset.time_ns = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
		host_must(&host, AGENT_RESET, &reset, NULL);
		host_close(&host);
		qmp_free(qmp);
		vm_done(&vm);
	}
}

/* All but one were taken off line before the machine was saved, or nobody would start them again.
 */
static void cpus_that_were_off_line_come_back_in_a_clone(void **unused)
{
	const struct agent_online one = { .cpus = 1 };
	struct agent_online all;

	(void)unused;
	(void)close(memory);
	(void)close(state);
	cpus = 3;
	all.cpus = cpus;
	make();
	for (int i = 0; i < 2; i++) {
		struct host host;
		struct qmp *qmp;
		struct vm vm;

		describe(&vm, MACHINE_CLONE);
		vm_start(&vm);
		qmp = greet(&vm);
		open_host(&host, &vm);
		host_must(&host, AGENT_ONLINE, &all, NULL);
		host_must(&host, AGENT_ONLINE, &one, NULL);
		host_must(&host, AGENT_ONLINE, &all, NULL);
		host_close(&host);
		qmp_free(qmp);
		vm_done(&vm);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_agent_that_was_saved_answers_a_new_host),
		cmocka_unit_test(cpus_that_were_off_line_come_back_in_a_clone),
	};

	if (!vm_possible())
		return 77;
	if (access(VM_BUILD "/guest/image", R_OK) < 0) {
		print_message("skipped: no image (make guest): CAVEATS.md#vm-guest\n");
		return 77;
	}
	return cmocka_run_group_tests_name("qemu/agent_clone", tests, make_template, NULL);
}
