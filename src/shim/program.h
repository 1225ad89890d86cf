/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shim/program.h - containerd-shim-caisson-v2, the program, by its calls (containerd, "Runtime
 * v2"): `start` prints where a shim listens and leaves one there, `delete` cleans up after one.
 */
#pragma once

#include <stdbool.h>

#include "base/err.h"

#define SOCKET_DIR "/run/containerd/s" /* as containerd has it, whatever its state directory is */

/* As given; NULL: not given. */
struct program_options {
	const char *program; /* argv[0] */
	const char *ns, *address, *publish_binary, *id, *bundle;
	bool debug;
};

/* Where a shim listens: for containerd's calls, and for whoever manages the node (or -EBADF). */
struct program_sockets {
	int calls, manage;
};

/* In the bundle's directory. 0; *ret_serve is true in the new shim, which goes on with serve(). */
int program_start(const struct program_options *options, struct program_sockets *ret_sockets,
		  bool *ret_serve, struct err *err);

/* The shim itself, until its last task is gone. The sockets become its own. */
int program_serve(const struct program_options *options, const struct program_sockets *sockets,
		  struct err *err);

/* End and remove the container of a shim that is dead; writes a DeleteResponse. */
int program_delete(const struct program_options *options, struct err *err);
