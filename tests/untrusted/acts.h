/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/untrusted/acts.h - twenty hostile acts against a sandbox, the same for every isolation
 * class.
 *
 * An act tries what it names by every way it knows and says what stopped it. It is judged inside
 * the sandbox, with facts about the host that the harness (scripts/run-untrusted) plants and passes
 * in the environment; the harness judges the host's side afterwards. An act whose facts are missing
 * counts as an escape: nothing passes by not being tried.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

enum verdict {
	ESCAPED,   /* it worked, or could not be tried */
	REFUSED,   /* an error stopped it */
	CONTAINED, /* it worked, and reached nothing but the sandbox */
};

/* What stopped it, in a few words. */
struct report {
	char by[160];
};

struct act {
	const char *name;
	enum verdict (*try)(struct report *report);
};

/* Set report->by (printf) and return the verdict. */
enum verdict verdict(struct report *report, enum verdict v, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* REFUSED with the name of errno, after `what`. */
enum verdict refused(struct report *report, const char *what);

/* A fact of the harness; ends the act as ESCAPED when it is missing. */
const char *fact(const char *name);
long fact_number(const char *name);

/* acts_host.c */
enum verdict read_host_file(struct report *report);
enum verdict see_host_process(struct report *report);
enum verdict kill_host_process(struct report *report);
enum verdict trace_host_process(struct report *report);
enum verdict reach_host_sockets(struct report *report);
enum verdict overwrite_runtime(struct report *report);
/* acts_kernel.c */
enum verdict mount_filesystem(struct report *report);
enum verdict lift_mask(struct report *report);
enum verdict load_module(struct report *report);
enum verdict open_raw_socket(struct report *report);
enum verdict open_device(struct report *report);
enum verdict write_sysctl(struct report *report);
enum verdict set_clock(struct report *report);
enum verdict reboot_host(struct report *report);
enum verdict gain_userns(struct report *report);
enum verdict use_kernel_interfaces(struct report *report);
/* acts_limits.c */
enum verdict leave_cgroup(struct report *report);
enum verdict fork_bomb(struct report *report);
enum verdict fill_memory(struct report *report);
enum verdict fill_disk(struct report *report);
