/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gofer/cage.h - what the filter of caisson-gofer (seccomp/gofer.list) knows about the program.
 */
#pragma once

#include <linux/filter.h>

/* Descriptor numbers that the filter pins. */
#define CAGE_SOCKET 3
#define CAGE_PROC   4

/* A descriptor, and not AT_FDCWD. */
#define CAGE_FD_MAX 0x7fffffff

#define CAGE_SOCKET_FLAGS (SOCK_CLOEXEC | SOCK_NONBLOCK)

/* Reopened through CAGE_PROC: never to create, never to follow what is not its own magic link. */
#define CAGE_REOPEN (O_NONBLOCK | O_NOCTTY | O_CLOEXEC)

extern const struct sock_filter gofer_filter[];
extern const unsigned short gofer_filter_len;
