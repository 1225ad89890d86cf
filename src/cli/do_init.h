/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli/do_init.h - process 1 of a `caisson do` sandbox.
 *
 * The kernel keeps signals without a handler from process 1 of a pid namespace, so a program that
 * runs as such cannot be ended by Ctrl-C. Therefore a copy of this binary is process 1: it starts
 * the program in a process group of its own, passes signals on, reaps orphans, and ends as the
 * program does.
 */
#pragma once

/* The name by which the copy is called; cli_main() looks for it. */
#define DO_INIT_NAME "caisson-do-init"
#define DO_INIT_PATH "/run/" DO_INIT_NAME /* in the sandbox */

#define EXIT_NOT_EXECUTABLE 126
#define EXIT_NOT_FOUND	    127

/* Run argv[0] with its arguments. Returns the exit code: the program's, 128 + N for signal N, or
 * above. */
int do_init_run(char **argv);
