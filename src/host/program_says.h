/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host/program_says.h - what a program of the host says of itself (--version).
 */
#pragma once

#include <stddef.h>

/*
 * What PATH writes to standard output when it is run with one option: until its end, until `text`
 * is full, or for five seconds; lines of printable characters. "" where it cannot be run or says
 * nothing. It runs as nobody where we are root (in a user namespace that has no nobody as its root,
 * without capabilities), with nothing open, without an environment, is killed and reaped before
 * this returns, and ends with us.
 */
void program_says(const char *path, const char *option, char *text, size_t size);
