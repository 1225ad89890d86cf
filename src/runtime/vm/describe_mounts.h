/* SPDX-License-Identifier: Apache-2.0 */
/*
 * runtime/vm/describe_mounts.h - mounts[] as a guest's agent gets them.
 *
 * A bind mount has its source in the share, or is the guest's own file. Flags are those that the
 * clone on the host has (its source's and the options'), so that inside a mount is what it would be
 * on the host. The mounts that "rbind" brings along follow it, each as a mount of its own.
 */
#pragma once

#include "base/err.h"
#include "oci/spec.h"
#include "runtime/vm/share.h"

/* Borrows from the specification and the share. */
struct guest_mounts {
	struct oci_mount *items; /* owned */
	size_t len;
	const char **words; /* owned: lists of options, each ends with NULL */
	size_t words_len;
	char **texts; /* owned: strv of places and sources below others */
};

/* *ret is the caller's, also half-made. -EINVAL for options, -ENOMEM. */
int describe_guest_mounts(const struct oci_spec *spec, const struct share *share,
			  struct guest_mounts *ret, struct err *err);
void guest_mounts_done(struct guest_mounts *mounts);
