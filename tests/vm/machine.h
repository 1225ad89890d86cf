/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/vm/machine.h - a guest for a test: QEMU with our kernel and image, virtiofsd with a
 * directory that has a busybox.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

struct guest {
	pid_t qemu, files;
	int agent, console, monitor; /* our ends */
	char share[64];		     /* directory that the guest sees, made for the test */
};

/* Whether kernel, QEMU and virtiofsd are there and we are root; says what is missing. */
bool guest_is_possible(void);
/* Start it; with its console in the message if it cannot be. `agent` is the caller's to take. */
void guest_start(struct guest *g);
/* What the guest's kernel has said until now. */
const char *guest_console(struct guest *g);
/* The exit status of QEMU, as wait(2) has it, within a minute. */
int guest_wait(struct guest *g);
void guest_stop(struct guest *g);

/* Directories with a static busybox and links for its words: a container's root. */
void guest_make_root(const char *path);
