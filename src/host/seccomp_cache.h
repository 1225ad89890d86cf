/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host/seccomp_cache.h - compiled seccomp programs kept in files below the runtime's root.
 *
 * Compiling a profile of an engine's size costs milliseconds, reading its program back some tens of
 * microseconds. A file holds the whole question (profile, annotations that matter, library version,
 * kernel release, architecture) next to the program, and the question is compared byte by byte: a
 * clash of file names cannot give a wrong program. What is read is trusted only if it is a regular
 * file of the caller's own user, mode 0600, one link, of exactly the stated size, with a matching
 * checksum and a program that passes the limits of BPF; anything else is removed and counts as
 * absent.
 */
#pragma once

#include "base/err.h"
#include "host/seccomp.h"

/*
 * seccomp_compile() through the cache in the directory `dirfd` (mode 0700, the caller's own; it is
 * checked). A cache that cannot be read or written is no error. dirfd < 0: compile only.
 */
int seccomp_compile_cached(int dirfd, const struct oci_spec *spec, struct seccomp_program *ret,
			   struct err *err);

/* 0 and a program, -ENOENT when there is none, -EBADMSG for a file that failed a check. */
int seccomp_cache_load(int dirfd, const struct oci_spec *spec, struct seccomp_program *ret);

/* Write atomically. At most SECCOMP_CACHE_FILES files are kept: -ENOSPC when the directory is full.
 */
int seccomp_cache_store(int dirfd, const struct oci_spec *spec,
			const struct seccomp_program *program);

#define SECCOMP_CACHE_FILES 64
