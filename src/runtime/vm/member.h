/* SPDX-License-Identifier: Apache-2.0 */
/*
 * runtime/vm/member.h - a container that joins the machine of its pod's sandbox.
 *
 * Its process on the host is a keeper (sandbox/keeper.h). Its files become an entry of the tree
 * that the machine's virtiofsd serves, under a name that no container of the machine had before: a
 * child of the runtime gathers them as for a machine of its own (share.h), in a mount namespace of
 * its own, enters virtiofsd's, and puts a clone of the whole there. The entry goes when the
 * container is deleted, and with virtiofsd's namespace.
 */
#pragma once

#include "base/err.h"
#include "runtime/creation.h"
#include "runtime/sandbox/sandbox.h"

/* sandbox_launch_fn, for a creation with a sandbox. */
int member_launch(struct creation *cr, struct sandbox *ret, struct err *err);

/*
 * Where the machine lives: wait until the container has left it, and take the entry away, and those
 * of containers that are no more. Where it is paused nobody answers, and that is left to
 * member_sweep().
 */
int member_forget(const struct container *c, struct err *err);

/*
 * Of a machine, which was paused a moment ago: take away the entries of all containers that are
 * deleted. Who still leaves keeps what it has open, as after every lazy umount(2).
 */
int member_sweep(const struct container *sandbox, struct err *err);
