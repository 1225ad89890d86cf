/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How long a clone of a template takes: clone [RUNS [SLOTS]]. From fork to the monitor's greeting,
 * to the guest's first answer; of a copy with the copying; then until its files are there.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "hypervisor/control.h"
#include "lib/unit.h"
#include "qemu/devices.h"
#include "qemu/vm.h"

static int memory = -EBADF, state = -EBADF;
static unsigned int slots = 4;

static double now_ms(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec * 1e3 + (double)ts.tv_nsec / 1e6;
}

static void check(int r, const struct err *err)
{
	if (r < 0) {
		(void)fprintf(stderr, "%s\n", err->msg);
		exit(1);
	}
}

static struct qmp *greet(struct vm *vm, double *ret_qmp)
{
	struct pollfd p = { .fd = vm->monitor, .events = POLLIN };
	struct err err = { 0 };
	struct qmp *qmp = NULL;
	unsigned int asked;

	if (ret_qmp) {
		(void)poll(&p, 1, VM_PATIENCE_MS);
		*ret_qmp = now_ms();
	}
	check(qmp_new(vm->monitor, NULL, NULL, &qmp), &err);
	vm->monitor = -EBADF;
	check(hypervisor_qemu.greet(qmp, &vm->machine, &asked, &err), &err);
	while (asked--)
		check(qmp_answer(qmp, VM_PATIENCE_MS, NULL, &err), &err);
	return qmp;
}

static void describe(struct vm *vm, enum machine_role role)
{
	vm_init(vm);
	vm->machine.type = MACHINE_MICROVM_PCI;
	vm->machine.slots = slots;
	vm->machine.role = role;
	vm->machine.memory_file = memory;
	vm->machine.state = state;
}

static void make_template(void)
{
	struct err err = { 0 };
	double began, booted, saved;
	struct stat st = { 0 }, dev = { 0 };
	struct qmp *qmp;
	struct vm vm;

	check(machine_memory(256ull << 20, &memory), &err);
	check(machine_memory(0, &state), &err);
	describe(&vm, MACHINE_TEMPLATE);
	began = now_ms();
	vm_start(&vm);
	(void)vm_hear(&vm);
	booted = now_ms();
	qmp = greet(&vm, NULL);
	check(hypervisor_qemu.save(qmp, state, VM_PATIENCE_MS, &err), &err);
	saved = now_ms();
	qmp_free(qmp);
	vm_done(&vm);
	check(machine_seal(memory), &err);
	check(machine_seal(state), &err);
	(void)fstat(memory, &st);
	(void)fstat(state, &dev);
	(void)printf("template: boot %.1f save %.1f ms, memory %.1f MiB, state %.0f KiB\n",
		     booted - began, saved - booted, (double)st.st_blocks / 2048,
		     (double)dev.st_size / 1024);
}

static void plug_files(struct vm *vm, struct qmp *qmp)
{
	char dir[] = "/tmp/caisson-test-files-XXXXXX";
	struct err err = { 0 };
	unsigned int asked;
	double began;
	int files;
	pid_t pid;

	if (!mkdtemp(dir))
		exit(1);
	began = now_ms();
	pid = start_files(dir, &files);
	check(hypervisor_qemu.ask_files(qmp, 0, files, &asked, &err), &err);
	while (asked--)
		check(qmp_answer(qmp, VM_PATIENCE_MS, NULL, &err), &err);
	(void)vm_ask(vm, "wait-mount virtiofs " MACHINE_FILES_TAG " rw");
	(void)printf("  files %.1f", now_ms() - began);
	(void)kill(pid, SIGKILL);
	(void)waitpid(pid, NULL, 0);
	(void)close(files);
	(void)rmdir(dir);
}

static void clone_once(enum machine_role role)
{
	double began, qmp_at, answered, copied;
	struct err err = { 0 };
	struct qmp *qmp;
	struct vm vm;

	describe(&vm, role);
	began = now_ms();
	if (role == MACHINE_COPY)
		check(machine_copy(memory, &vm.machine.memory_file), &err);
	copied = now_ms();
	vm_start(&vm);
	qmp = greet(&vm, &qmp_at);
	(void)vm_ask(&vm, "cpus");
	answered = now_ms();
	(void)printf("%s: copy %.1f QMP %.1f answer %.1f ms",
		     role == MACHINE_COPY ? "copy" : "clone", copied - began, qmp_at - began,
		     answered - began);
	if (role == MACHINE_COPY)
		plug_files(&vm, qmp);
	(void)printf("\n");
	if (role == MACHINE_COPY)
		(void)close(vm.machine.memory_file);
	qmp_free(qmp);
	vm_done(&vm);
}

int main(int argc, char **argv)
{
	const int runs = argc > 1 ? atoi(argv[1]) : 5;

	slots = argc > 2 ? (unsigned int)atoi(argv[2]) : slots;
	make_template();
	for (int i = 0; i < runs; i++)
		clone_once(MACHINE_CLONE);
	for (int i = 0; i < runs; i++)
		clone_once(MACHINE_COPY);
	return 0;
}
