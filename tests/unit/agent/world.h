/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/agent/world.h - the agent as an ordinary process, in namespaces of its own, with a
 * root file system of busybox for its containers, and the host's end of its channel in this
 * program.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "base/str.h"
#include "vm/container.h"

struct CMUnitTest;

extern struct host host;
extern pid_t agent;		 /* its child is the agent */
extern int channel;		 /* a second descriptor of it */
extern char root[64];		 /* removed, as its cgroups are, also when the test is killed */
extern char cgroups[64];	 /* "/caisson-agent-PID" */
extern bool world_has_slow_file; /* /slow/file of the root file system (slowfile.h) */

struct container_plan plan(const char *id, const char *command);
/* The last answer has these words in it. */
void says(const char *words);

/* The agent's pid here. */
pid_t agent_itself(void);
/* Name and state of a process; ' ' without one. */
char look_at(pid_t pid, char name[static 32]);

/* Skips the test where there is none. Returns how often it has been read. */
unsigned int need_slow_file(void);
/* Until somebody reads it: more reads have begun than need_slow_file() said before. */
void await_reads(unsigned int before);
/* For cmocka_unit_test_teardown(): slowfile_release(). */
int slowfile_let_go(void **state);

/* What main() returns. */
int world_run(const char *name, const struct CMUnitTest *tests, size_t len);
