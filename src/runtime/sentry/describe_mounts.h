/* SPDX-License-Identifier: Apache-2.0 */
/*
 * runtime/sentry/describe_mounts.h - mounts[] and rootfsPropagation as the sentry gets them
 * (wire/sentry_msg.h): private to describe.c.
 */
#pragma once

#include "base/err.h"
#include "oci/spec.h"
#include "runtime/sentry/roots.h"
#include "wire/sentry_msg.h"

/* The texts are the specification's, or owned here. */
struct described_mounts {
	struct sentry_mount *items; /* owned */
	uint32_t len;
	char **texts; /* owned, with what they point to */
	size_t texts_len;
};

/*
 * Every entry in its order, followed by what "rbind" brought along. "remount" changes the last
 * mount at its place; without one here it is an entry of its own. -EINVAL, -ENODEV with the words
 * of the mount, -ENOMEM.
 */
int describe_mounts(const struct oci_spec *spec, const char *bundle, const struct roots *roots,
		    struct described_mounts *ret, struct err *err);
void described_mounts_done(struct described_mounts *mounts);

/* MS_* of rootfsPropagation; 0 for none. -EINVAL names the word. */
int describe_propagation(const struct oci_spec *spec, uint64_t *ret, struct err *err);
