/* SPDX-License-Identifier: Apache-2.0 */
/* Volumes that containers of one machine have together. */
#include "ns/rootfs_fixture.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/mount.h>

#include "base/fd.h"
#include "base/str.h"
#include "runtime/vm/share_volume.h"

/* ---- What a directory is -------------------------------------------------------------------- */

/* By a line of mountinfo that begins with the id of "/", and another text behind it. */
static int identify(const char *line, const char *more, char **ret)
{
	AUTO_FREE char *text = NULL;
	bool readonly = false;
	struct statx st;
	int fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC), r;

	assert_true(fd >= 0);
	assert_int_equal(statx(fd, "", AT_EMPTY_PATH, STATX_MNT_ID, &st), 0);
	assert_true(str_printf(&text, "1 0 0:1 / / rw - x x rw\n%llu 1 %s\n%s",
			       (unsigned long long)st.stx_mnt_id, line, more) >= 0);
	*ret = NULL;
	r = share_volume_identify(text, fd, ret, &readonly);
	(void)close(fd);
	return r == 1 && readonly ? 2 : r;
}

static void what_cannot_be_told_from_others_is_not_shared(void **state)
{
	static const char *const lines[] = {
		"",
		"8:1",
		"8:1 /a /place",
		"8:1 /a /place rw",
		"8:1 /a//deleted /place rw - ext4 /dev/x rw",
		"8:1 /a /place rw,idmapped - ext4 /dev/x rw",
		"8:1 /a /place idmapped,rw shared:3 - ext4 /dev/x rw",
		"8:1 /a /place rw unbindable - ext4 /dev/x rw",
	};
	char *identity;

	(void)state;
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		if (identify(lines[i], "", &identity) != 0)
			fail_msg("\"%s\" is shared", lines[i]);
		assert_null(identity);
	}
}

static void what_has_mounts_below_is_not_shared(void **state)
{
	AUTO_FREE char *below = NULL;
	struct statx st;
	char *identity;

	(void)state;
	assert_int_equal(statx(AT_FDCWD, "/", 0, STATX_MNT_ID, &st), 0);
	assert_true(str_printf(&below, "77 %llu 8:2 / /place/b rw - ext4 /dev/y rw\n",
			       (unsigned long long)st.stx_mnt_id) >= 0);
	assert_int_equal(identify("8:1 /a /place rw - ext4 /dev/x rw", below, &identity), 0);
	assert_null(identity);
}

/* File systems of users number as they like: "/" has one number here. */
static void directories_differ_by_device_path_and_propagation(void **state)
{
	static const char *const others[] = {
		"8:2 /a /place rw - ext4 /dev/x rw",
		"8:1 /a/b /place rw - ext4 /dev/x rw",
		"8:1 /a /place rw master:4 - ext4 /dev/x rw",
		"8:1 /a /place rw shared:4 - ext4 /dev/x rw",
	};
	AUTO_FREE char *first = NULL;

	(void)state;
	assert_int_equal(identify("8:1 /a /place rw - ext4 /dev/x rw", "", &first), 1);
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		AUTO_FREE char *other = NULL;

		assert_int_equal(identify(others[i], "", &other), 1);
		assert_string_not_equal(first, other);
	}
}

static void where_it_is_mounted_and_how_does_not_matter(void **state)
{
	AUTO_FREE char *first = NULL;
	AUTO_FREE char *other = NULL;

	(void)state;
	assert_int_equal(identify("8:1 /a /x rw master:4 - ext4 /dev/x rw", "", &first), 1);
	assert_int_equal(
		identify("8:1 /a /y ro,nosuid master:4 propagate_from:2 - ext4 /z rw", "", &other),
		2);
	assert_string_equal(first, other);
}

/* ---- Entries of a share --------------------------------------------------------------------- */

struct world {
	int top, proc; /* of a machine's share, which is the root directory in the end */
};

static void make_world(struct fixture *fx, struct world *w)
{
	char path[128];

	make_dir(fx, "machine");
	make_dir(fx, "tree");
	(void)snprintf(path, sizeof(path), "%s/machine", fx->dir);
	EXPECT(mount("tmpfs", path, "tmpfs", 0, "mode=755") == 0);
	w->top = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	w->proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	EXPECT(w->top >= 0 && w->proc >= 0);
}

/* A container's tree, gathered over "tree" as who joins does it. */
static int gather(struct fixture *fx, const char *name, const char *mounts, struct share *ret)
{
	static char dir[96];
	struct share_options o = {
		.bundle = fx->dir, .rootfs = fx->root, .dir = dir, .name = name
	};
	int fd;

	(void)snprintf(dir, sizeof(dir), "%s/tree", fx->dir);
	given_mounts(fx, mounts);
	o.spec = fx->spec;
	*ret = (struct share){ 0 };
	EXPECT_OK(fx, share_build(&o, ret, &fx->err));
	fd = open_tree(AT_FDCWD, dir, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);
	EXPECT(fd >= 0);
	return fd;
}

static void attach(const struct world *w, const char *name, int tree)
{
	EXPECT(mkdirat(w->top, name, 0755) == 0);
	EXPECT(move_mount(tree, "", w->top, name, MOVE_MOUNT_F_EMPTY_PATH) == 0);
}

static unsigned int count_volumes(void)
{
	DIR *dir = opendir("/");
	const struct dirent *e;
	unsigned int n = 0;

	while (dir && (e = readdir(dir)))
		n += e->d_name[0] == 'v';
	EXPECT(dir && closedir(dir) == 0);
	return n;
}

#define MOUNT(to, from, more) \
	"{\"destination\":\"" to "\",\"source\":\"" from "\",\"options\":[\"bind\"" more "]}"

static void entries_body(struct fixture *fx)
{
	struct share a, b;
	struct world w;
	int tree_a, tree_b;

	make_dir(fx, "host/one");
	make_dir(fx, "host/two");
	make_file(fx, "host/file", "");
	make_world(fx, &w);
	tree_a =
		gather(fx, "pa",
		       MOUNT("/a", "host/one", ",\"ro\"") "," MOUNT("/b", "host/two", "") "," MOUNT(
			       "/c", "host/one", ",\"ro\"") "," MOUNT("/f", "host/file", ""),
		       &a);
	EXPECT(a.volumes_len == 3 && a.mounts[0].volume && !a.mounts[3].volume);
	tree_b = gather(fx, "pb", MOUNT("/a", "host/one", ""), &b);
	/* As in virtiofsd's namespace. */
	EXPECT(fchdir(w.top) == 0 && chroot(".") == 0);
	EXPECT_OK(fx, share_volumes_put(&a, &(struct share_volumes_at){ w.top, w.proc, "pa" },
					&fx->err));
	EXPECT(str_eq(a.mounts[0].path, "/run/caisson/share/va.0/files"));
	EXPECT(str_eq(a.mounts[1].path, "/run/caisson/share/va.1/files"));
	EXPECT(str_eq(a.mounts[2].path, a.mounts[0].path));
	EXPECT(str_eq(a.mounts[3].path, "/run/caisson/share/pa/3"));
	EXPECT(a.storages_len == 4 && str_eq(a.storages[2].target, "/run/caisson/share/va.0"));
	EXPECT(a.storages[2].flags == AGENT_STORAGE_SHARED &&
	       str_eq(a.storages[2].source, "files"));
	EXPECT(mkdir("/va.0/new", 0755) < 0 && errno == EROFS);
	EXPECT(mkdir("/va.0/files/new", 0755) < 0 && errno == EROFS);
	attach(&w, "pa", tree_a);
	/* One that may write comes to one that may not. */
	EXPECT_OK(fx, share_volumes_put(&b, &(struct share_volumes_at){ w.top, w.proc, "pb" },
					&fx->err));
	EXPECT(str_eq(b.mounts[0].path, a.mounts[0].path) && count_volumes() == 2);
	EXPECT(mkdir("/va.0/files/new", 0755) == 0);
	attach(&w, "pb", tree_b);
	EXPECT_OK(fx, share_volumes_sweep(w.top, &fx->err));
	EXPECT(count_volumes() == 2);
	EXPECT(umount2("/pa", MNT_DETACH) == 0);
	EXPECT_OK(fx, share_volumes_sweep(w.top, &fx->err));
	EXPECT(count_volumes() == 1 && access("/va.0/files/new", F_OK) == 0);
	EXPECT(umount2("/pb", MNT_DETACH) == 0);
	EXPECT_OK(fx, share_volumes_sweep(w.top, &fx->err));
	EXPECT(count_volumes() == 0);
	share_done(&a);
	share_done(&b);
}

static void an_entry_is_there_while_a_tree_refers_to_it(void **state)
{
	(void)state;
	in_child(entries_body);
}

static void killed_body(struct fixture *fx)
{
	struct share a;
	struct world w;

	make_dir(fx, "host/one");
	make_world(fx, &w);
	(void)gather(fx, "pa", MOUNT("/a", "host/one", ""), &a);
	EXPECT(fchdir(w.top) == 0 && chroot(".") == 0);
	EXPECT_OK(fx, share_volumes_put(&a, &(struct share_volumes_at){ w.top, w.proc, "pa" },
					&fx->err));
	/* Its tree never came; of another one nothing but the directories. */
	EXPECT(mkdirat(w.top, "vb.0", 0755) == 0 && mkdirat(w.top, "pb", 0755) == 0);
	EXPECT_OK(fx, share_volumes_sweep(w.top, &fx->err));
	EXPECT(count_volumes() == 0 && access("/pb", F_OK) == 0);
	share_done(&a);
}

static void what_a_killed_runtime_has_left_is_taken_away(void **state)
{
	(void)state;
	in_child(killed_body);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_cannot_be_told_from_others_is_not_shared),
		cmocka_unit_test(what_has_mounts_below_is_not_shared),
		cmocka_unit_test(directories_differ_by_device_path_and_propagation),
		cmocka_unit_test(where_it_is_mounted_and_how_does_not_matter),
		cmocka_unit_test(an_entry_is_there_while_a_tree_refers_to_it),
		cmocka_unit_test(what_a_killed_runtime_has_left_is_taken_away),
	};

	return cmocka_run_group_tests_name("runtime/share_volume", tests, NULL, NULL);
}
