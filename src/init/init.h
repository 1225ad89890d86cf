/* SPDX-License-Identifier: Apache-2.0 */
/*
 * init/init.h - caisson-init: the last stage of every process of class ns.
 *
 * A program without libc, started by the staged child (src/ns/child.c) with a message
 * (wire/init_msg.h). It is what a container sees as /proc/self/exe of a process that is being
 * started, executed from a read-only detached mount, so that nothing on the host can be overwritten
 * through it (CVE-2019-5736). Small because every page fault of an exec counts, and because it is
 * the only code of ours that runs while the container's processes can see it.
 */
#pragma once

#include <stdint.h>

#include "wire/init_msg.h"

/* State of the one process. */
struct init {
	const struct init_msg *msg;
	int report; /* the socket that failures go to */
	int gate;
};

/* Report `step` with -errno and end. */
__attribute__((noreturn)) void init_fail(const struct init *init, enum init_step step, long code);

/* Send a report; with a descriptor when fd >= 0. 0 or -errno. */
long init_report(int sock, const struct init_report *report, int fd);

/* Ids, capabilities and no_new_privs of the message (init/creds.c). */
void init_credentials(const struct init *init);

/* Install the filter; with INIT_SECCOMP_NOTIFY hand the listener over first (init/filter.c). */
void init_filter(const struct init *init);

static inline const void *init_at(const struct init_msg *msg, uint32_t off)
{
	return off ? (const char *)msg + off : (const void *)0;
}
