/* SPDX-License-Identifier: Apache-2.0 */
/*
 * runtime/vm/share_volume.h - volumes of files that containers of one machine have together.
 *
 * A guest makes a file system of each mount that it meets in the share: what two containers have of
 * one directory must be one entry there, or sockets, fifos, locks and maps of its files do not lead
 * from one to the other. So a directory that a container which joins binds lies not in the tree of
 * that container but beside it:
 *
 *   /vNAME	a read-only tmpfs, so that the guest forgets all of it when it unmounts it
 *   /vNAME/files	the directory, a clone of the first one's mount
 *   /pNAME/vN	in each tree whose container has it: a link to "vNAME", which is the reference
 *
 * One directory is what the host shows to be one: device and inode, and device, path and
 * propagation of mountinfo (proc_pid_mountinfo(5)), as a file system of a user may number as it
 * likes. It can be written to as soon as one container may; the others' "read-only" is their bind
 * mount's inside. Not shared so are files, idmapped mounts, what has mounts below, copies
 * (share_watch.h) and what the machine's first container has.
 *
 * Entries come and go, and trees come, under a lock of the caller's: whoever is killed leaves an
 * entry that nothing refers to, which the next one takes away.
 */
#pragma once

#include "base/err.h"
#include "runtime/vm/share.h"

/*
 * What the mount at `fd` (O_PATH) is of, as a line of `mountinfo`, the caller's text: two of one
 * text are one. 1; 0: it is not to be shared; -errno. *ret_readonly: of the mount.
 */
int share_volume_identify(const char *mountinfo, int fd, char **ret, bool *ret_readonly);

/*
 * Take mounts[index], which `fd` is, out of the tree `top` (at `dir`), where it can be one of
 * these; it stays there otherwise. `mountinfo`: of now. 0 or -errno.
 */
int share_volume_take(struct share *share, size_t index, int top, const char *dir, int fd,
		      const char *mountinfo);

/* Where entries are, from inside of virtiofsd's mount namespace. */
struct share_volumes_at {
	int top;	  /* the share's directory, writable */
	int proc;	  /* the host's /proc */
	const char *name; /* "p...": of the tree that will refer to them */
};

/*
 * Under the lock: find or make an entry for each that was taken, and put the references into the
 * tree (share->tree). Paths and storages for the guest are complete then. Nothing is undone on
 * failure: share_volumes_sweep().
 */
int share_volumes_put(struct share *share, const struct share_volumes_at *at, struct err *err);
/* Under the lock: take away what no tree refers to. */
int share_volumes_sweep(int top, struct err *err);

void share_volume_free(struct share_volume *volume);
