/* SPDX-License-Identifier: Apache-2.0 */
/*
 * QEMU's cage from inside: hostile_qemu is executed in its place, as the runtime does it, and tries
 * one act after the other; each ends as hostile_acts.h says.
 */
#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/unit.h"
#include "qemu/devices.h"
#include "qemu/vm.h"

#define ACT_KILLED (-1)
#define NEIGHBOUR  61235 /* another machine's user */

static const struct {
	const char *name;
	int end;
	bool kvm;
} acts[] = {
#define ACT(name, end)	   { #name, end, false },
#define KVM_ACT(name, end) { #name, end, true },
#include "qemu/hostile_acts.h"
#undef ACT
#undef KVM_ACT
};

/* Somebody of another machine, in the same pid namespace: more than a real one has beside it. */
static pid_t start_neighbour(void)
{
	const pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (syscall(SYS_setresuid, NEIGHBOUR, NEIGHBOUR, NEIGHBOUR) < 0)
			_exit(1);
		for (;;)
			(void)pause();
	}
	return pid;
}

/* The errno that the act got, 0: it succeeded, ACT_KILLED. */
static int result_of(size_t act, pid_t neighbour, int netns, int tap)
{
	char text[64];
	struct vm vm;
	ssize_t n;
	int r;

	vm_init(&vm);
	vm.program = VM_HOSTILE;
	if (acts[act].kvm)
		vm.machine.accel = MACHINE_KVM;
	vm.netns = netns;
	vm.machine.nics_len = 1;
	vm.machine.nics[0] =
		(struct machine_nic){ .taps = { tap }, .taps_len = 1, .mac = { 2, 0, 0, 0, 0, 1 } };
	vm_start(&vm);
	n = snprintf(text, sizeof(text), "%zu %d %d", act, (int)neighbour, tap);
	assert_int_equal(write(vm.monitor, text, (size_t)n), n);
	assert_true(vm_await_end(&vm, VM_PATIENCE_MS));
	n = recv(vm.monitor, text, sizeof(text) - 1, MSG_DONTWAIT);
	text[n > 0 ? n : 0] = '\0';
	if (n > 0)
		r = atoi(text);
	else if (WIFSIGNALED(vm.status) && WTERMSIG(vm.status) == SIGSYS)
		r = ACT_KILLED;
	else
		r = -2;
	if (r == -2) {
		(void)vm_console_telling(&vm.complained, text, sizeof(text));
		print_message("%s: status %#x: %s\n", acts[act].name, (unsigned int)vm.status,
			      text);
	}
	vm_done(&vm);
	return r;
}

static void a_fallen_qemu_gets_nowhere(void **state)
{
	const pid_t neighbour = start_neighbour();
	int netns, tap, echo;
	unsigned int wrong = 0;

	(void)state;
	make_net(&netns, &tap, &echo);
	(void)close(echo);
	for (size_t i = 0; i < sizeof(acts) / sizeof(*acts); i++) {
		const int r = result_of(i, neighbour, netns, tap);

		if (r == acts[i].end)
			continue;
		print_message("%s: %d (%s) instead of %d\n", acts[i].name, r,
			      r > 0    ? strerror(r)
			      : r == 0 ? "success"
				       : "ended",
			      acts[i].end);
		wrong++;
	}
	assert_int_equal(waitpid(neighbour, NULL, WNOHANG), 0);
	(void)kill(neighbour, SIGKILL);
	(void)waitpid(neighbour, NULL, 0);
	(void)close(tap);
	(void)close(netns);
	assert_int_equal(wrong, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(a_fallen_qemu_gets_nowhere) };

	if (!vm_possible())
		return 77;
	return cmocka_run_group_tests_name("qemu/cage", tests, NULL, NULL);
}
