/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host/seccomp_cache.h - compiled seccomp programs kept in files below the runtime's root.
 *
 * Compiling a profile of an engine's size costs milliseconds, reading its program back some tens of
 * microseconds. A file holds the whole question (profile, annotation, library version, kernel
 * release, architecture) next to the program, and the question is compared byte by byte: a clash of
 * file names cannot give a wrong program. What is read is trusted only if the directory is the
 * caller's own and closed to others, and the file a regular one of the caller's user, mode 0600,
 * one link, of exactly the stated size, with a matching checksum and a program within the rules of
 * classic BPF; anything else is removed and counts as absent.
 */
#pragma once

#include "base/err.h"
#include "host/seccomp.h"

#define SECCOMP_CACHE_FILES 64

/*
 * seccomp_compile() through the cache, a directory of mode 0700 that the caller owns. A cache that
 * cannot be read, written or trusted is no error. dirfd < 0: compile only.
 */
int seccomp_compile_cached(int dirfd, const struct oci_spec *spec, struct seccomp_program *ret,
			   struct err *err);

/*
 * 0 and a program (the caller's), -ENOENT when there is none, -EBADMSG for a file that fails a
 * check, -EPERM for a directory that others can reach.
 */
int seccomp_cache_load(int dirfd, const struct oci_spec *spec, struct seccomp_program *ret);

/* Write atomically. A directory that holds SECCOMP_CACHE_FILES programs is emptied first. */
int seccomp_cache_store(int dirfd, const struct oci_spec *spec,
			const struct seccomp_program *program);
