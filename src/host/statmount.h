/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host/statmount.h - statmount(2) and listmount(2) (Linux 6.8): what mounts are, by ids that do not
 * come again.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define STATMOUNT_WANT_SB_BASIC	 0x00000001u /* device and magic */
#define STATMOUNT_WANT_MNT_BASIC 0x00000002u /* ids */
#define STATMOUNT_WANT_MNT_ROOT	 0x00000008u
#define STATMOUNT_WANT_MNT_POINT 0x00000010u
#define STATMOUNT_WANT_MNT_OPTS	 0x00000080u
#define STATMOUNT_TEXT_MAX	 (4096 + 512)

struct statmount_reply { /* struct statmount */
	uint32_t size, mnt_opts;
	uint64_t mask;
	uint32_t sb_dev_major, sb_dev_minor;
	uint64_t sb_magic;
	uint32_t sb_flags, fs_type;
	uint64_t mnt_id, mnt_parent_id;
	uint32_t mnt_id_old, mnt_parent_id_old;
	uint64_t mnt_attr, mnt_propagation, mnt_peer_group, mnt_master, propagate_from;
	uint32_t mnt_root, mnt_point;
	uint64_t spare[50];
	char text[STATMOUNT_TEXT_MAX]; /* strings; the fields above are offsets into it */
};
_Static_assert(offsetof(struct statmount_reply, text) == 512,
	       "strings of statmount(2) begin at 512");

/*
 * The unique id of the mount that `path` below dir_fd leads into ("": dir_fd itself). -ENOENT,
 * -errno; -ENODATA on a kernel without; -EXDEV where it is not the mount's root and `root` asks for
 * that.
 */
int statmount_id(int dir_fd, const char *path, bool root, uint64_t *ret);
/*
 * STATMOUNT_WANT_*; where no path leads to a mount, its point is "". 0; -ENODATA: an answer without
 * one of the parts, or no statmount(2); else -errno.
 */
int statmount_ask(uint64_t id, uint64_t want, struct statmount_reply *ret);

/* A mount that lies below another one. */
struct mount_below {
	uint64_t id, parent;
	uint64_t magic; /* of statfs(2) */
	char *point;	/* owned: as seen from the root directory; "" where it is not to be seen */
};
#define MOUNTS_BELOW_MAX 65536u /* of a mount namespace */

/*
 * All mounts below the one with this id, in this mount namespace, also such that no path leads to.
 * *ret is the caller's (mounts_below_free()). 0, -ENOMEM, -E2BIG, -ENODATA on a kernel without
 * these calls.
 */
int mounts_below_list(uint64_t id, struct mount_below **ret, size_t *ret_len);
void mounts_below_free(struct mount_below *mounts, size_t len);
