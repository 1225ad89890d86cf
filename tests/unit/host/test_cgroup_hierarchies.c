/* SPDX-License-Identifier: Apache-2.0 */
/* Where the hierarchies are: texts of mountinfo and /proc/self/cgroup of many kinds of host. */
#include "hosttest.h"

#include "host/cgroup_internal.h"

#define ROOT_MOUNT  "1 0 8:1 / / rw - ext4 /dev/root rw\n"
#define TMPFS_MOUNT ROOT_MOUNT "2 1 0:2 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n"

static void done(struct cgroup_hierarchies *h)
{
	cgroup_hierarchies_done(h);
}

/* The path that a container "c" would get in hierarchy i. */
static const char *path_by(const struct cgroup_hierarchies *h, const struct cgroup_options *o,
			   const char *key)
{
	static char text[CGROUP_PATH_MAX];
	struct cgroup *cg = NULL;
	const char *path;

	assert_int_equal(cgroup_new_in(h, o, &cg, NULL), 0);
	path = cgroup_path(cg, key);
	snprintf(text, sizeof(text), "%s", path ? path : "(none)");
	cgroup_free(cg);
	return text;
}

static const char *path_of(const struct cgroup_hierarchies *h, const char *wanted, const char *key)
{
	return path_by(h, &(struct cgroup_options){ .path = wanted, .id = "c" }, key);
}

/* ---- failure first */

static void damaged_texts_are_refused(void **state)
{
	static const char *const mounts[] = {
		"x",
		"1",
		"1 2",
		"1 2 3:4 / ",
		"1 2 3:4 / /a",
		"1 2 3:4 / /a rw",
		"1 2 3:4 / /a rw -",
		"x 2 3:4 / /a rw - cgroup cgroup rw",
		"1 y 3:4 / /a rw - cgroup cgroup rw",
		"1 2 3:4 / a rw - cgroup cgroup rw",
		"99999999999999999999 2 3:4 / /a rw - t s o",
		"\n",
		" ",
	};
	static const char *const selves[] = {
		"x", "1", "1:", "1:cpu", "1:cpu:", "1:cpu:a", "x:cpu:/", ":cpu:/", "\n", "-1:cpu:/",
	};
	struct cgroup_hierarchies h;

	for (size_t i = 0; i < ARRAY_LEN(mounts); i++) {
		if (cgroup_parse_hierarchies(mounts[i], "", &h) == 0)
			fail_msg("mountinfo taken: %s", mounts[i]);
	}
	for (size_t i = 0; i < ARRAY_LEN(selves); i++) {
		if (cgroup_parse_hierarchies(ROOT_MOUNT, selves[i], &h) == 0)
			fail_msg("cgroup taken: %s", selves[i]);
	}
}

static void too_many_hierarchies_are_refused(void **state)
{
	AUTO_FREE char *mounts = calloc(1, 65536), *self = calloc(1, 65536);
	struct cgroup_hierarchies h;

	strcat(mounts, TMPFS_MOUNT);
	for (int i = 0; i < CGROUP_DIRS_MAX + 1; i++) {
		sprintf(mounts + strlen(mounts),
			"%d 2 0:%d / /sys/fs/cgroup/n%d rw - cgroup cgroup rw,name=n%d\n", i + 10,
			i, i, i);
		sprintf(self + strlen(self), "%d:name=n%d:/\n", i + 1, i);
	}
	assert_int_equal(cgroup_parse_hierarchies(mounts, self, &h), -E2BIG);
}

static void no_cgroup_mount_is_no_layout(void **state)
{
	struct cgroup_hierarchies h;
	const struct cgroup_options o = { .id = "c" };
	const struct cgroup_options rootless = { .id = "c", .rootless = true };
	struct cgroup *cg = NULL;
	struct err err = { 0 };

	assert_int_equal(cgroup_parse_hierarchies(ROOT_MOUNT, "1:cpu:/\n0::/\n", &h), 0);
	assert_int_equal(h.layout, CGROUP_LAYOUT_NONE);
	assert_int_equal(h.len, 0);
	assert_int_equal(cgroup_new_in(&h, &o, &cg, &err), -ENOTSUP);
	assert_non_null(strstr(err.msg, "no cgroup hierarchy"));
	assert_int_equal(cgroup_new_in(&h, &rootless, &cg, &err), 0);
	assert_int_equal(cgroup_dirs(cg, &(const struct cgroup_dir *){ NULL }), 0);
	cgroup_free(cg);
}

static void the_top_of_a_hierarchy_is_refused(void **state)
{
	static const char *const tops[] = {
		"/", "//", "/.", "/..", "/a/..", "/../../", ".", "a/.."
	};
	struct cgroup_hierarchies h;

	assert_int_equal(cgroup_parse_hierarchies(
				 ROOT_MOUNT "3 1 0:3 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n",
				 "0::/\n", &h),
			 0);
	for (size_t i = 0; i < ARRAY_LEN(tops); i++) {
		const struct cgroup_options o = { .path = tops[i], .id = "c" };
		struct cgroup *cg = NULL;
		struct err err = { 0 };

		if (cgroup_new_in(&h, &o, &cg, &err) != -EINVAL)
			fail_msg("taken: %s", tops[i]);
		assert_non_null(strstr(err.msg, "linux.cgroupsPath"));
	}
	done(&h);
}

static void path_injections_stay_below_the_mount(void **state)
{
	static const char *const bad[] = { "/a\nb", "a/b\n", "\n" };
	struct cgroup_hierarchies h;
	char longname[400], clean[CGROUP_PATH_MAX];
	AUTO_FREE char *longpath = calloc(1, 8192);

	assert_int_equal(cgroup_parse_hierarchies(
				 ROOT_MOUNT "3 1 0:3 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n",
				 "0::/own/leaf\n", &h),
			 0);
	assert_string_equal(path_of(&h, "/../../etc", ""), "/sys/fs/cgroup/etc");
	assert_string_equal(path_of(&h, "../../../etc", ""), "/sys/fs/cgroup/own/etc");
	assert_string_equal(path_of(&h, "/a/../../b/./c//d/", ""), "/sys/fs/cgroup/b/c/d");
	assert_string_equal(path_of(&h, "/..a/b..", ""), "/sys/fs/cgroup/..a/b..");
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(cgroup_clean_path(bad[i], clean), -EINVAL);
	memset(longname, 'x', sizeof(longname));
	longname[256] = '\0';
	assert_int_equal(cgroup_clean_path(longname, clean), -EINVAL);
	longname[255] = '\0';
	assert_int_equal(cgroup_clean_path(longname, clean), 0);
	for (int i = 0; i < 2100; i++)
		strcat(longpath, "/y");
	assert_int_equal(cgroup_clean_path(longpath, clean), -ENAMETOOLONG);
	done(&h);
}

/* Goal: a pod's container is in the pod's slice, and not beside whoever makes it. */
static void systemds_words_lead_into_the_slice(void **state)
{
	static const char *const bad[] = {
		".slice:p:n", "a-.slice:p:n", "-a.slice:p:n", "a--b.slice:p:n", "a.slice:p:",
	};
	static const char *const names[] = {
		"a.slice:p", "a.slice:p:n:m", "a.scope:p:n", "x/a.slice:p:n", "a.slice:p:n/m",
	};
	static const struct {
		const char *wanted, *path;
	} cases[] = {
		{ "kubepods-burstable-pod1_2.slice:cri-containerd:9f",
		  "/sys/fs/cgroup/kubepods.slice/kubepods-burstable.slice/"
		  "kubepods-burstable-pod1_2.slice/cri-containerd-9f.scope" },
		{ "a.slice:p:n", "/sys/fs/cgroup/a.slice/p-n.scope" },
		{ "a.slice::n", "/sys/fs/cgroup/a.slice/-n.scope" },
		{ "a.slice:p:a-b.slice", "/sys/fs/cgroup/a.slice/a-b.slice" },
		{ "-.slice:p:n", "/sys/fs/cgroup/p-n.scope" },
	};
	AUTO_FREE char *longpath = calloc(1, 8192);
	char path[CGROUP_PATH_MAX];
	struct cgroup_hierarchies h;

	assert_int_equal(cgroup_parse_hierarchies(
				 ROOT_MOUNT "2 1 0:2 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n",
				 "0::/system.slice/containerd.service\n", &h),
			 0);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		const struct cgroup_options o = { .path = bad[i], .id = "c" };
		struct cgroup *cg = NULL;
		struct err err = { 0 };

		if (cgroup_new_in(&h, &o, &cg, &err) != -EINVAL)
			fail_msg("taken: %s", bad[i]);
		assert_non_null(strstr(err.msg, bad[i]));
	}
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		assert_int_equal(cgroup_slice_path(names[i], path), 0);
		assert_string_equal(path, "");
	}
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		assert_string_equal(path_of(&h, cases[i].wanted, ""), cases[i].path);
	/* Each dash says the name so far once more. */
	strcpy(longpath, "a");
	for (int i = 0; i < 100; i++)
		strcat(longpath, "-b");
	strcat(longpath, ".slice:p:n");
	assert_int_equal(cgroup_slice_path(longpath, path), -ENAMETOOLONG);
	memset(longpath, 'n', 8000);
	memcpy(longpath, "a.slice:p:", 10);
	assert_int_equal(cgroup_slice_path(longpath, path), -ENAMETOOLONG);
	done(&h);
}

/* An ordinary user's systemd has its slices below its own unit, where he may make cgroups. */
static void a_slice_of_a_user_is_that_of_his_own_systemd(void **state)
{
	static const struct {
		const char *own, *path;
	} cases[] = {
		{ "/user.slice/user-7.slice/user@7.service/app.slice/a.service",
		  "/user.slice/user-7.slice/user@7.service/user.slice/p-n.scope" },
		{ "/user.slice/user-7.slice/user@7.service",
		  "/user.slice/user-7.slice/user@7.service/user.slice/p-n.scope" },
		{ "/user.slice/user-7.slice/session-1.scope", "/user.slice/p-n.scope" },
		{ "/user@7.services/a", "/user.slice/p-n.scope" },
		{ "/user@", "/user.slice/p-n.scope" },
		{ "/", "/user.slice/p-n.scope" },
	};
	struct cgroup_options o = { .path = "user.slice:p:n", .id = "c" };

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct cgroup_hierarchies h;
		char own[128], path[128];

		snprintf(own, sizeof(own), "0::%s\n", cases[i].own);
		snprintf(path, sizeof(path), "/sys/fs/cgroup%s", cases[i].path);
		assert_int_equal(cgroup_parse_hierarchies(
					 ROOT_MOUNT
					 "2 1 0:2 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n",
					 own, &h),
				 0);
		o.rootless = true;
		assert_string_equal(path_by(&h, &o, ""), path);
		o.rootless = false;
		assert_string_equal(path_by(&h, &o, ""), "/sys/fs/cgroup/user.slice/p-n.scope");
		done(&h);
	}
}

/* ---- layouts */

#define V1_MOUNTS                                                                                  \
	TMPFS_MOUNT                                                                                \
	"3 2 0:3 / /sys/fs/cgroup/cpu,cpuacct rw,nosuid shared:5 - cgroup cgroup rw,cpu,cpuacct\n" \
	"4 2 0:4 / /sys/fs/cgroup/memory rw,nosuid shared:6 master:1 - cgroup none rw,memory\n"    \
	"5 2 0:5 / /sys/fs/cgroup/systemd rw - cgroup cgroup "                                     \
	"rw,xattr,release_agent=/x,name=systemd\n"
#define V1_SELF "4:name=systemd:/user.slice\n3:memory:/user\n2:cpu,cpuacct:/\n"

static void v1_pairs_comounted_controllers(void **state)
{
	struct cgroup_hierarchies h;

	assert_int_equal(cgroup_parse_hierarchies(V1_MOUNTS, V1_SELF, &h), 0);
	assert_int_equal(h.layout, CGROUP_LAYOUT_V1);
	assert_int_equal(h.len, 3);
	assert_string_equal(path_of(&h, NULL, "cpu"), "/sys/fs/cgroup/cpu,cpuacct/c");
	assert_string_equal(path_of(&h, NULL, "cpuacct"), "/sys/fs/cgroup/cpu,cpuacct/c");
	assert_string_equal(path_of(&h, "a/b", "memory"), "/sys/fs/cgroup/memory/user/a/b");
	assert_string_equal(path_of(&h, "/a/b", "memory"), "/sys/fs/cgroup/memory/a/b");
	assert_string_equal(path_of(&h, NULL, "name=systemd"),
			    "/sys/fs/cgroup/systemd/user.slice/c");
	assert_string_equal(path_of(&h, NULL, "pids"), "(none)");
	assert_string_equal(path_of(&h, NULL, "mem"), "(none)");
	assert_string_equal(path_of(&h, NULL, ""), "(none)");
	done(&h);
}

static void hybrid_keeps_both(void **state)
{
	struct cgroup_hierarchies h;

	assert_int_equal(cgroup_parse_hierarchies(
				 V1_MOUNTS
				 "6 2 0:6 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n",
				 V1_SELF "0::/own\n", &h),
			 0);
	assert_int_equal(h.layout, CGROUP_LAYOUT_HYBRID);
	assert_int_equal(h.len, 4);
	assert_string_equal(path_of(&h, NULL, ""), "/sys/fs/cgroup/unified/own/c");
	done(&h);
}

/* Goal: our own v2 cgroup has a process in it; the container stands beside it, not in it. */
static void v2_begins_beside_our_own_cgroup(void **state)
{
	struct cgroup_hierarchies h;

	assert_int_equal(
		cgroup_parse_hierarchies(
			ROOT_MOUNT
			"2 1 0:2 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw,nsdelegate\n"
			"3 2 0:3 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,name=systemd\n",
			"1:name=systemd:/\n0::/user.slice/session-1.scope\n", &h),
		0);
	assert_int_equal(h.layout, CGROUP_LAYOUT_V2);
	assert_int_equal(h.len, 1);
	assert_string_equal(path_of(&h, NULL, ""), "/sys/fs/cgroup/user.slice/c");
	assert_string_equal(path_of(&h, "/x", ""), "/sys/fs/cgroup/x");
	done(&h);
}

/* ---- mounts */

static void the_root_of_the_mount_is_cut_off(void **state)
{
	struct cgroup_hierarchies h;
	static const char mounts[] = TMPFS_MOUNT
		"3 2 0:3 /docker/abc /sys/fs/cgroup/pids ro - cgroup cgroup rw,pids\n"
		"4 2 0:4 /docker/abc /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n"
		"5 2 0:5 /.. /sys/fs/cgroup/cpu ro - cgroup cgroup rw,cpu\n";

	assert_int_equal(cgroup_parse_hierarchies(mounts,
						  "3:pids:/docker/abc/sub\n2:memory:/docker/abcd\n"
						  "1:cpu:/\n",
						  &h),
			 0);
	assert_string_equal(path_of(&h, NULL, "pids"), "/sys/fs/cgroup/pids/sub/c");
	/* Outside the mount: its top is all that can be reached; a common beginning is no parent.
	 */
	assert_string_equal(path_of(&h, NULL, "memory"), "/sys/fs/cgroup/memory/c");
	assert_string_equal(path_of(&h, NULL, "cpu"), "/sys/fs/cgroup/cpu/c");
	done(&h);
}

static void a_mount_that_shows_us_is_preferred(void **state)
{
	struct cgroup_hierarchies h;
	static const char mounts[] = ROOT_MOUNT "3 1 0:3 /other /mnt/a rw - cgroup cgroup rw,pids\n"
						"4 1 0:3 / /mnt/b rw - cgroup cgroup rw,pids\n"
						"5 1 0:3 /else /mnt/c rw - cgroup cgroup rw,pids\n";

	assert_int_equal(cgroup_parse_hierarchies(mounts, "3:pids:/me\n", &h), 0);
	assert_string_equal(path_of(&h, NULL, "pids"), "/mnt/b/me/c");
	done(&h);
}

/* Goal: mountinfo goes on to list what a later mount hides. */
static void hidden_mounts_do_not_count(void **state)
{
	struct cgroup_hierarchies h;
	static const char over_all[] =
		V1_MOUNTS "6 2 0:6 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n"
			  "7 2 0:7 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n"
			  "8 7 0:4 / /sys/fs/cgroup/memory rw - cgroup none rw,memory\n";
	static const char over_one[] =
		TMPFS_MOUNT "3 2 0:3 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids\n"
			    "4 3 0:9 / /sys/fs/cgroup/pids rw - tmpfs tmpfs rw\n";
	static const char over_the_root[] =
		TMPFS_MOUNT "3 2 0:3 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids\n"
			    "9 1 8:2 / / rw - ext4 /dev/new rw\n";

	assert_int_equal(cgroup_parse_hierarchies(over_all, V1_SELF "0::/\n", &h), 0);
	assert_int_equal(h.layout, CGROUP_LAYOUT_V1);
	assert_int_equal(h.len, 1);
	assert_string_equal(h.items[0].controllers, "memory");
	done(&h);
	assert_int_equal(cgroup_parse_hierarchies(over_one, "1:pids:/\n", &h), 0);
	assert_int_equal(h.len, 0);
	assert_int_equal(cgroup_parse_hierarchies(over_the_root, "1:pids:/\n", &h), 0);
	assert_int_equal(h.len, 0);
}

static void mountinfo_with_a_cycle_ends(void **state)
{
	struct cgroup_hierarchies h;

	assert_int_equal(cgroup_parse_hierarchies("1 1 0:1 / / rw - tmpfs t rw\n"
						  "2 3 0:2 / /a rw - cgroup2 c rw\n"
						  "3 2 0:3 / /a rw - cgroup2 c rw\n",
						  "0::/\n", &h),
			 0);
	done(&h);
}

static void octal_escapes_are_undone(void **state)
{
	struct cgroup_hierarchies h;

	assert_int_equal(
		cgroup_parse_hierarchies(
			ROOT_MOUNT
			"2 1 0:2 /r\\134t /mnt/a\\040b\\011\\012c rw - cgroup2 c\\040d rw\n",
			"0::/r\\t/x: y/z\n", &h),
		0);
	assert_int_equal(h.len, 1);
	assert_string_equal(h.items[0].mount_point, "/mnt/a b\t\nc");
	assert_string_equal(h.items[0].own_path, "/x: y/z");
	done(&h);
	/* What only looks like an escape is text. */
	assert_int_equal(cgroup_parse_hierarchies(ROOT_MOUNT
						  "2 1 0:2 / /mnt/a\\04\\999\\ rw - cgroup2 c rw\n",
						  "0::/\n", &h),
			 0);
	assert_string_equal(h.items[0].mount_point, "/mnt/a\\04\\999\\");
	done(&h);
}

static void a_removed_own_cgroup_leaves_the_top(void **state)
{
	struct cgroup_hierarchies h;

	assert_int_equal(
		cgroup_parse_hierarchies(TMPFS_MOUNT
					 "3 2 0:3 / /sys/fs/cgroup/pids rw - cgroup c rw,pids\n",
					 "1:pids:/gone (deleted)\n", &h),
		0);
	assert_string_equal(path_of(&h, NULL, "pids"), "/sys/fs/cgroup/pids/c");
	done(&h);
}

/* ---- the set */

static void state_paths_must_be_normalised(void **state)
{
	static const char *const bad[] = { "",	  "relative", "/a/../b", "/a//b",
					   "/a/", "/",	      "/a/.",	 "/a\nb" };
	struct cgroup *cg = NULL;

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		const struct cgroup_dir dir = { "pids", bad[i] };

		if (cgroup_from_paths(&dir, 1, &cg, NULL) != -EINVAL)
			fail_msg("taken: \"%s\"", bad[i]);
	}
}

static void a_set_survives_its_paths(void **state)
{
	struct cgroup_hierarchies h;
	const struct cgroup_options o = { .path = "/a", .id = "c" };
	struct cgroup *cg = NULL, *again = NULL;
	const struct cgroup_dir *one, *two;
	size_t len;

	assert_int_equal(cgroup_parse_hierarchies(V1_MOUNTS, V1_SELF, &h), 0);
	assert_int_equal(cgroup_new_in(&h, &o, &cg, NULL), 0);
	len = cgroup_dirs(cg, &one);
	assert_int_equal(cgroup_from_paths(one, len, &again, NULL), 0);
	assert_int_equal(cgroup_dirs(again, &two), len);
	for (size_t i = 0; i < len; i++) {
		assert_string_equal(one[i].path, two[i].path);
		assert_string_equal(one[i].controllers, two[i].controllers);
	}
	cgroup_free(cg);
	cgroup_free(again);
	done(&h);
}

static void subdir_goes_down_and_not_out(void **state)
{
	struct cgroup_hierarchies h;
	const struct cgroup_options o = { .path = "/a", .id = "c" };
	struct cgroup *cg = NULL, *sub = NULL;
	struct err err = { 0 };

	assert_int_equal(cgroup_parse_hierarchies(V1_MOUNTS, V1_SELF, &h), 0);
	assert_int_equal(cgroup_new_in(&h, &o, &cg, NULL), 0);
	assert_int_equal(cgroup_subdir(cg, "pids", "x", &sub, &err), -EINVAL);
	assert_int_equal(cgroup_subdir(cg, NULL, "x\ny", &sub, &err), -EINVAL);
	assert_int_equal(cgroup_subdir(cg, "cpu,memory", "../x/../../y", &sub, &err), 0);
	assert_string_equal(cgroup_path(sub, "cpu"), "/sys/fs/cgroup/cpu,cpuacct/a/y");
	assert_string_equal(cgroup_path(sub, "memory"), "/sys/fs/cgroup/memory/a/y");
	assert_string_equal(cgroup_path(sub, "name=systemd"), "/sys/fs/cgroup/systemd/a");
	cgroup_free(sub);
	assert_int_equal(cgroup_subdir(cg, NULL, "/", &sub, &err), 0);
	assert_string_equal(cgroup_path(sub, "cpu"), "/sys/fs/cgroup/cpu,cpuacct/a");
	cgroup_free(sub);
	cgroup_free(cg);
	done(&h);
}

static void managers_that_are_not_here(void **state)
{
	const struct cgroup_options systemd = { .id = "c", .manager = CGROUP_MANAGER_SYSTEMD };
	const struct cgroup_options disabled = { .id = "c", .manager = CGROUP_MANAGER_DISABLED };
	struct oci_resources res = { .set = true, .pids_limit = { 5, true } };
	const struct cgroup_dir *dirs;
	struct cgroup *cg = NULL;
	struct err err = { 0 };

	assert_int_equal(cgroup_new(&systemd, &cg, &err), -ENOTSUP);
	assert_non_null(strstr(err.msg, "systemd"));
	assert_int_equal(cgroup_new(&disabled, &cg, &err), 0);
	assert_int_equal(cgroup_dirs(cg, &dirs), 0);
	assert_int_equal(cgroup_create(cg, &err), 0);
	assert_int_equal(cgroup_enter_beside(cg, getpid(), getpid(), &err), 0);
	assert_int_equal(cgroup_freeze(cg, true, &err), -ENOTSUP);
	assert_int_equal(cgroup_apply(cg, &res, false, &err), -ENOTSUP);
	assert_string_equal(err.msg, "linux.resources.pids.limit: cgroups are disabled");
	assert_int_equal(cgroup_signal_all(cg, 9, &err), 0);
	assert_int_equal(cgroup_remove(cg, &err), 0);
	cgroup_free(cg);
	cgroup_free(NULL);
}

/* Goal: looking at the usual places and reading mountinfo agree on the host that runs the test. */
static void probing_agrees_with_mountinfo(void **state)
{
	static char mountinfo[1 << 20], self[65536];
	struct cgroup_hierarchies a, b;
	int fd = open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC), r;
	size_t len = 0;
	ssize_t n;

	while ((n = read(fd, mountinfo + len, sizeof(mountinfo) - 1 - len)) > 0)
		len += (size_t)n;
	close(fd);
	fd = open("/proc/self/cgroup", O_RDONLY | O_CLOEXEC);
	n = read(fd, self, sizeof(self) - 1);
	assert_true(n > 0);
	close(fd);
	assert_int_equal(cgroup_parse_hierarchies(mountinfo, self, &a), 0);
	r = cgroup_probe_hierarchies(self, &b);
	if (r == -ENODATA) {
		print_message("no statmount(2) or unusual mounts: CAVEATS.md#cgroup-probe\n");
		done(&a);
		skip();
	}
	assert_int_equal(r, 0);
	assert_int_equal(a.layout, b.layout);
	assert_int_equal(a.len, b.len);
	for (size_t i = 0; i < a.len; i++) {
		assert_string_equal(a.items[i].controllers, b.items[i].controllers);
		assert_string_equal(a.items[i].mount_point, b.items[i].mount_point);
		assert_string_equal(a.items[i].own_path, b.items[i].own_path);
	}
	done(&a);
	done(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(damaged_texts_are_refused),
		cmocka_unit_test(too_many_hierarchies_are_refused),
		cmocka_unit_test(no_cgroup_mount_is_no_layout),
		cmocka_unit_test(the_top_of_a_hierarchy_is_refused),
		cmocka_unit_test(path_injections_stay_below_the_mount),
		cmocka_unit_test(systemds_words_lead_into_the_slice),
		cmocka_unit_test(a_slice_of_a_user_is_that_of_his_own_systemd),
		cmocka_unit_test(v1_pairs_comounted_controllers),
		cmocka_unit_test(hybrid_keeps_both),
		cmocka_unit_test(v2_begins_beside_our_own_cgroup),
		cmocka_unit_test(the_root_of_the_mount_is_cut_off),
		cmocka_unit_test(a_mount_that_shows_us_is_preferred),
		cmocka_unit_test(hidden_mounts_do_not_count),
		cmocka_unit_test(mountinfo_with_a_cycle_ends),
		cmocka_unit_test(octal_escapes_are_undone),
		cmocka_unit_test(a_removed_own_cgroup_leaves_the_top),
		cmocka_unit_test(state_paths_must_be_normalised),
		cmocka_unit_test(a_set_survives_its_paths),
		cmocka_unit_test(subdir_goes_down_and_not_out),
		cmocka_unit_test(managers_that_are_not_here),
		cmocka_unit_test(probing_agrees_with_mountinfo),
	};

	return cmocka_run_group_tests_name("host/cgroup_hierarchies", tests, NULL, NULL);
}
