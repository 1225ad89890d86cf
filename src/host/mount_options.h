/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host/mount_options.h - the words of mounts[].options (OCI runtime-spec config.md#mounts,
 * mount(8)).
 *
 * Parsing has no side effects. A later word overrides an earlier one that contradicts it ("ro",
 * "rw"), as runc and mount(8) have it. A word that the table does not know belongs to the file
 * system and goes to `data` in its order. Words that only tell mount(8) when to mount ("nofail",
 * "x-...") mean nothing here and are dropped.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "oci/spec.h"

struct mount_options {
	unsigned long flags;	   /* MS_* to set; MS_BIND, MS_REC and MS_REMOUNT included */
	unsigned long clear_flags; /* MS_* that a word cleared ("rw", "dev"); never in flags too */
	unsigned long propagation; /* one of MS_SHARED, MS_SLAVE, MS_PRIVATE, MS_UNBINDABLE, or with
				      MS_REC */
	/* The same as mount_setattr(2) wants it: this mount only. */
	uint64_t attr_set, attr_clr;
	/* "rro", "rnosuid" ...: this mount and all below (AT_RECURSIVE). */
	uint64_t rec_attr_set, rec_attr_clr;
	bool bind;  /* "bind" or "rbind" */
	bool rbind; /* "rbind" */
	bool remount;
	bool tmpcopyup;
	bool copy_symlink;  /* a source that is a link is made again, not followed (crun) */
	bool src_nofollow;  /* the source's last component is not followed (crun) */
	bool dest_nofollow; /* the destination's last component is not followed (crun) */
	bool idmap;	    /* "idmap" or "ridmap" */
	bool ridmap;
	const char
		*idmap_spec; /* text after "idmap=" or "ridmap=", borrowed from the options; NULL */
	char *data;	     /* owned: "size=64k,mode=755"; NULL if there is none */
};

/*
 * Read all words. -EINVAL for an empty word and for "idmap=" without text, -ENOMEM. *ret is set on
 * success only.
 */
int mount_options_parse(const struct oci_strs *options, struct mount_options *ret, struct err *err);

/* Frees what it owns; accepts a zeroed struct. */
void mount_options_done(struct mount_options *options);
#define AUTO_MOUNT_OPTIONS AUTO(mount_options_done)

/* Every word that the table knows, sorted, NULL-terminated: `features`' mountOptions. */
const char *const *mount_options_known(void);

/*
 * The per-mount part of mount(2) flags as MOUNT_ATTR_* of mount_setattr(2). Flags of the superblock
 * (MS_SYNCHRONOUS, MS_MANDLOCK, MS_DIRSYNC, MS_LAZYTIME, MS_I_VERSION, MS_SILENT) have no
 * attribute.
 */
uint64_t mount_flags_to_attr(unsigned long ms_flags);
