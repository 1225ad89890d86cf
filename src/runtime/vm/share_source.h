/* SPDX-License-Identifier: Apache-2.0 */
/*
 * runtime/vm/share_source.h - the source of one of mounts[], opened once and judged by its
 * descriptor (private to share.c).
 */
#pragma once

#include <stdbool.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/err.h"
#include "oci/spec.h"
#include "runtime/vm/share.h"

enum source_kind {
	SOURCE_NONE, /* not a bind mount, or a remount */
	SOURCE_DIRECTORY,
	SOURCE_FILE, /* or a link that is not followed */
	SOURCE_LINK,
	SOURCE_GUESTS, /* the guest has its own */
	SOURCE_DISK, /* a block device; or, where is_directory, one that holds the mount's files */
};

struct share_source {
	const struct oci_spec *spec; /* borrowed, set by the caller: whose devices' rules hold */
	enum source_kind kind;
	int fd;	     /* owned: a detached clone, with the options that concern the host; of a disk:
			opened for reading, or for both */
	char *link;  /* owned: text of a LINK */
	char *guest; /* owned: path of GUESTS */
	bool made;   /* a file system that the host made */
	bool is_directory, readonly, remount, dest_nofollow, rbind;
	uint64_t flags; /* MS_* of the clone, before it is nosuid and nodev for the host */
	struct share_below *below; /* owned: mounts that came along */
	size_t below_len;
};

/*
 * userns_fd: of an idmapped mount, or -1. *ret is the caller's, also half-made.
 */
int share_source_open(const struct oci_mount *m, const char *bundle, int userns_fd,
		      struct share_source *ret, struct err *err);
/*
 * Of a DIRECTORY or FILE whose clone is attached by now, as all others are: the mounts that came
 * along are found, all is made nosuid and nodev for the host, and what is of its kernel is covered.
 * The text of /proc/self/mountinfo is read into an empty *mountinfo where it is needed.
 */
int share_source_settle(const struct oci_mount *m, struct share_source *source,
			struct buf *mountinfo, struct err *err);
/*
 * Whether linux.resources.devices lets the container read (and write) the block device of `st`:
 * what config.json denies nobody opens in the container's name. Other files are allowed, and
 * everything is without rules, as in class ns. -EPERM with the device's numbers.
 */
int share_disk_allowed(const struct oci_spec *spec, const struct stat *st, bool readonly,
		       struct err *err);
/*
 * The device of linux.devices; the caller's. Read-only where the rules, or the device itself, do
 * not let the container write.
 */
int share_device_open(const struct oci_spec *spec, const struct oci_device *device,
		      bool *ret_readonly, struct err *err);
void share_below_free(struct share_below *below, size_t len);
void share_source_done(struct share_source *source);

/*
 * The guest's name for a character device that every Linux has; NULL for another. For tests.
 */
const char *share_device_name(unsigned int major, unsigned int minor);
