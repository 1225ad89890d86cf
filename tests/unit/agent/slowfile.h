/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/agent/slowfile.h - a file system (FUSE) with two files, "file" and "other", that are
 * read when the test says so: who reads one waits in the kernel, and can neither be stopped nor
 * looked into. What was read once is remembered. Who opens "other" when that was opened once maps
 * it past the page cache.
 */
#pragma once

#include <stdbool.h>

/* Mounted at `path`, served by a thread. False: there is no FUSE here. */
bool slowfile_mount(const char *path);
/* How many reads have begun. */
unsigned int slowfile_reads(void);
/* Those that wait are answered with zeros; later ones wait again. */
void slowfile_release(void);
/* And from now on nobody waits. */
void slowfile_stop(void);
