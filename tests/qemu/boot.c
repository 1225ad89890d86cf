/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How long a start takes, by stages: boot [TYPE [CPUS [MIB [RUNS [SLOTS [WORDS]]]]]].
 * QMP: from fork to the monitor's greeting; kernel: to the console's first byte; init: to
 * process 1.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "lib/unit.h"
#include "qemu/vm.h"

static double now_ms(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec * 1e3 + (double)ts.tv_nsec / 1e6;
}

static double await(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	(void)poll(&p, 1, VM_PATIENCE_MS);
	return now_ms();
}

int main(int argc, char **argv)
{
	const int runs = argc > 4 ? atoi(argv[4]) : 1;

	for (int i = 0; i < runs; i++) {
		struct vm vm;
		double began, qmp, init;

		vm_init(&vm);
		vm.machine.type = argc > 1 ? (enum machine_type)atoi(argv[1]) : MACHINE_MICROVM;
		vm.machine.cpus = argc > 2 ? (unsigned int)atoi(argv[2]) : 1;
		vm.machine.memory = (argc > 3 ? (uint64_t)atoi(argv[3]) : 256) << 20;
		vm.machine.slots = argc > 5 ? (unsigned int)atoi(argv[5]) : 0;
		vm.machine.words = argc > 6 ? argv[6] : NULL;
		began = now_ms();
		vm_start(&vm);
		qmp = await(vm.monitor);
		(void)vm_hear(&vm);
		init = now_ms();
		(void)printf("QMP %.1f init %.1f ms\n", qmp - began, init - began);
		if (getenv("SAID")) {
			char text[VM_CONSOLE_BYTES + 1];

			(void)vm_console_tail(&vm.said, text, sizeof(text));
			(void)puts(text);
		}
		vm_done(&vm);
	}
	return 0;
}
