/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host/cgroup_internal.h - what the files of host/cgroup_*.c share; nobody else includes it.
 *
 * Paths are trusted to this degree: a struct cgroup_dir holds an absolute, normalised path (no
 * "..", no empty component) that lies below a cgroup mount and is not its top. cgroupfs has no
 * symbolic links and only this host's root can make directories above ours, so such a path is safe
 * to use more than once. Below our directory the container may write: there everything goes by
 * descriptor.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "host/cgroup.h"

#define CGROUP_DIRS_MAX 32	   /* hierarchies; Linux has 14 controllers */
#define CGROUP_PATH_MAX 4096	   /* bytes of a directory's path, with the NUL */
#define CGROUP_TREE_MAX 100000	   /* directories below one container */
#define CGROUP_PIDS_MAX 4194304	   /* PID_MAX_LIMIT of a 64-bit kernel */
#define CGROUP_FILE_MAX (4u << 20) /* bytes read from one control file */

struct cgroup {
	bool rootless;
	bool v2_made;  /* by cgroup_clone_fd() */
	bool disabled; /* manager "disabled": no directories, devices are left alone */
	size_t len;
	struct cgroup_dir dirs[CGROUP_DIRS_MAX]; /* strings are owned */
	size_t base_len[CGROUP_DIRS_MAX];	 /* length of the mount point in path; 0: unknown */
	bool made[CGROUP_DIRS_MAX];		 /* by this struct's cgroup_create() */
	bool taken;				 /* cgroup_create() found it in use by others */
	struct cgroup_journal *journal;		 /* owned: of cgroup_journal_begin() */
	const struct cgroup_program *program;	 /* or NULL */
};

/* Before `text` is written to the file. Accepts NULL; what cannot be kept is left out. */
void cgroup_journal_note(struct cgroup_journal *journal, int dir_fd, const char *file,
			 const char *text);

/* One mounted hierarchy and this process's place in it. Strings are owned. */
struct cgroup_hierarchy {
	char *controllers; /* as in /proc/self/cgroup: "cpu,cpuacct", "name=systemd", "" */
	char *mount_point;
	char *own_path; /* below mount_point: "" or "/a/b"; "" too if it lies outside the mount */
};

struct cgroup_hierarchies {
	enum cgroup_layout layout;
	size_t len;
	struct cgroup_hierarchy items[CGROUP_DIRS_MAX];
};

/*
 * Pair the texts of /proc/self/mountinfo and /proc/self/cgroup. Mounts that lie hidden under
 * another mount do not count. *ret is written on success only. -EINVAL for a text the kernel does
 * not write, -E2BIG for more than CGROUP_DIRS_MAX hierarchies, -ENOMEM.
 */
int cgroup_parse_hierarchies(const char *mountinfo, const char *self_cgroup,
			     struct cgroup_hierarchies *ret);
void cgroup_hierarchies_done(struct cgroup_hierarchies *h);

/*
 * The same by looking at the usual places below /sys/fs/cgroup instead of mountinfo. -ENODATA when
 * a hierarchy is not where it is expected, or the kernel cannot tell (before Linux 6.11).
 */
int cgroup_probe_hierarchies(const char *self_cgroup, struct cgroup_hierarchies *ret);

/*
 * Where the hierarchy is mounted in the usual place and with which root. *ret_root is valid until
 * the next call. -ENOENT: not mounted, -ENODATA: cannot tell.
 */
int cgroup_probe_mount(const char *controllers, char *path, size_t size, const char **ret_root);

/* Every controller of the list is among the mount options. */
bool cgroup_carries_all(const char *options, const char *controllers);

/* Those of this process, read once. Borrowed. */
int cgroup_hierarchies(const struct cgroup_hierarchies **ret, struct err *err);

/*
 * Normalise a cgroup path: "a//./b/../c" is "/a/c", a ".." at the top stays there; "" if nothing is
 * left. -EINVAL for a newline or a name above 255 bytes (cgroupfs refuses both), -ENAMETOOLONG.
 */
int cgroup_clean_path(const char *path, char ret[static CGROUP_PATH_MAX]);

/*
 * The path of "SLICE.slice:PREFIX:NAME", from the top: "/a.slice/a-b.slice/PREFIX-NAME.scope", or
 * NAME alone where that is a slice. 1; 0 and "" for a path that is not written so; -EINVAL for a
 * slice or a name that systemd would not take (systemd.slice(5)), -ENAMETOOLONG.
 */
int cgroup_slice_path(const char *path, char ret[static CGROUP_PATH_MAX]);

/*
 * Where the slices of an ordinary user begin, who has a systemd of his own: the length of
 * ".../user@UID.service" in the path of a cgroup below that, or 0: at the top.
 */
size_t cgroup_slice_base(const char *own_path);

/* Build a struct cgroup from hierarchies, without looking at the system. */
int cgroup_new_in(const struct cgroup_hierarchies *h, const struct cgroup_options *options,
		  struct cgroup **ret, struct err *err);

/* Whether `name` is in the comma-separated list. */
bool cgroup_has_controller(const char *controllers, const char *name);

/* The limits of this container stand in cgroup2 files. */
bool cgroup_is_v2(const struct cgroup *cg);

/* -EACCES, -EPERM, -EROFS: what a rootless caller is forgiven. */
bool cgroup_is_permission(int r);

/* Index of the directory of a controller ("" for cgroup2), or -1. */
int cgroup_index(const struct cgroup *cg, const char *controller);

/* An O_PATH descriptor of a controller's directory; -ENOENT without that controller. */
int cgroup_open_dir(const struct cgroup *cg, const char *controller);

/*
 * Call for every directory at and below `path`: `enter` (may be NULL) with a descriptor of the
 * directory before its children, `leave` (may be NULL) after them with the parent's descriptor and
 * the name. The directory `path` itself gets no `leave`. The first negative result ends the walk
 * and is returned. Depth costs memory, not descriptors or stack. -E2BIG above CGROUP_TREE_MAX.
 */
struct cgroup_walk {
	int (*enter)(int dir_fd, void *arg);
	int (*leave)(int parent_fd, const char *name, void *arg);
	void *arg;
};
int cgroup_walk(const char *path, const struct cgroup_walk *walk);

/*
 * Turn controllers ("hugetlb", or "a b" with spaces) on in cgroup.subtree_control of every
 * ancestor from the mount point to the parent of dirs[i]. What cannot be turned on is left: the
 * limit that needs it then fails and names itself.
 */
void cgroup_v2_enable(const struct cgroup *cg, size_t i, const char *controllers);

/* Wait, growing from 50 us to 10 ms; false once deadline_ns (CLOCK_MONOTONIC) is over. */
bool cgroup_pause(unsigned int *wait_us, int64_t deadline_ns);
int64_t cgroup_clock_ns(void);

/* Wait until cgroup.events of cgroup2 says "key value" or the deadline: 1, 0 on time-out, -errno.
 */
int cgroup_wait_event(int dir_fd, const char *key, bool value, int64_t deadline_ns);

/* The two halves of cgroup_apply(). */
int cgroup_apply_v1(const struct cgroup *cg, const struct oci_resources *res, bool update,
		    struct err *err);
int cgroup_apply_v2(const struct cgroup *cg, const struct oci_resources *res, bool update,
		    struct err *err);
int cgroup_apply_unified(const struct cgroup *cg, const struct oci_resources *res, struct err *err);

/* Parts that both layouts share; `controller` is the directory's key ("pids", or "" for cgroup2).
 */
int cgroup_apply_pids(const struct cgroup *cg, const char *controller,
		      const struct oci_resources *res, struct err *err);
int cgroup_apply_rdma(const struct cgroup *cg, const char *controller,
		      const struct oci_resources *res, struct err *err);
int cgroup_apply_hugetlb_v2(const struct cgroup *cg, const struct oci_resources *res,
			    struct err *err);
/* "64KB", "2MB", "1GB"; -EINVAL names the field. */
int cgroup_check_page_size(const char *page_size, struct err *err);
/* cpu.shares (2..262144) as cpu.weight (1..10000); 0 for 0. */
uint64_t cgroup_weight_of_shares(uint64_t shares);

/* The text of cgroup.procs: numbers, one a line. -EINVAL, -ERANGE, or what `add` returned. */
int cgroup_parse_pids(const char *text, int (*add)(pid_t pid, void *arg), void *arg);
