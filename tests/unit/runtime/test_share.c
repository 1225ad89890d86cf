/* SPDX-License-Identifier: Apache-2.0 */
/* What a virtual machine sees of the host's files; each body in a mount namespace of its own. */
#include "ns/rootfs_fixture.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "base/fd.h"
#include "base/str.h"
#include "runtime/vm/share.h"

/* The tree is made over "tree". */
static const char *const allowed[] = { "io.caisson.vm.rootfs", NULL };
static const struct runtime allowing = { .allowed_annotations = allowed };

static int build(struct fixture *fx, const char *mounts, enum share_rootfs mode, struct share *ret)
{
	static char dir[96];
	struct share_options o = { .bundle = fx->dir, .rootfs = fx->root, .dir = dir };

	(void)snprintf(dir, sizeof(dir), "%s/tree", fx->dir);
	if (!exists(dir))
		make_dir(fx, "tree");
	given_mounts(fx, mounts);
	o.spec = fx->spec;
	o.mode = mode;
	*ret = (struct share){ 0 };
	return share_build(&o, ret, &fx->err);
}

static void expect_refused(struct fixture *fx, const char *mounts, int code, const char *words)
{
	struct share share;

	EXPECT_ERROR(fx, build(fx, mounts, SHARE_ROOTFS_SHARED, &share), code, words);
	share_done(&share);
}

/* A path below the tree; four at a time. */
static const char *in_tree(const struct fixture *fx, const char *name)
{
	static char paths[4][128];
	static unsigned int next;
	char *path = paths[next++ % 4];

	(void)snprintf(path, sizeof(paths[0]), "%s/tree/%s", fx->dir, name);
	return path;
}

static bool is_read_only(const char *path)
{
	const int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);

	return fd < 0 && errno == EROFS;
}

static void make_node(const struct fixture *fx, const char *name, mode_t mode, dev_t dev)
{
	char path[128];

	(void)snprintf(path, sizeof(path), "%s/%s", fx->dir, name);
	EXPECT(mknod(path, mode, dev) == 0);
}

static void refused_body(struct fixture *fx)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	const int sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/host/socket", fx->dir);
	EXPECT(bind(sock, (struct sockaddr *)&addr, sizeof(addr)) == 0);
	make_node(fx, "host/fifo", S_IFIFO | 0644, 0);
	make_node(fx, "host/kvm", S_IFCHR | 0644, makedev(10, 232));
	expect_refused(fx, "{\"destination\":\"/x\",\"type\":\"bind\"}", -EINVAL,
		       "mount bind at /x: a bind mount needs a source");
	expect_refused(fx,
		       "{\"destination\":\"/x\",\"source\":\"host/gone\",\"options\":[\"bind\"]}",
		       -ENOENT, "mount host/gone at /x: No such file");
	expect_refused(fx, "{\"destination\":\"/x\",\"source\":\"host/socket\",\"type\":\"bind\"}",
		       -ENOTSUP, "mount host/socket at /x: a socket of the host cannot be reached");
	expect_refused(fx, "{\"destination\":\"/x\",\"source\":\"host/fifo\",\"type\":\"bind\"}",
		       -ENOTSUP, "mount host/fifo at /x: a fifo does not lead into");
	expect_refused(fx, "{\"destination\":\"/x\",\"source\":\"host/kvm\",\"type\":\"bind\"}",
		       -ENOTSUP, "no character device 10:232 of the host");
	expect_refused(fx,
		       "{\"destination\":\"/x\",\"source\":\"host\",\"options\":[\"bind\",\"\"]}",
		       -EINVAL, "mount at /x");
}

static void sources_that_cannot_be_shared_are_refused_by_name(void **state)
{
	(void)state;
	in_child(refused_body);
}

static void tree_body(struct fixture *fx)
{
	struct share share;
	struct stat st;

	make_file(fx, "host/file", "text");
	make_dir(fx, "host/dir");
	make_file(fx, "host/dir/inner", "inner");
	make_file(fx, "rootfs/etc", "root");
	EXPECT_OK(fx, build(fx,
			    "{\"destination\":\"/proc\",\"type\":\"proc\"},"
			    "{\"destination\":\"/d\",\"source\":\"host/dir\",\"type\":\"bind\"},"
			    "{\"destination\":\"/f\",\"source\":\"host/file\",\"options\":["
			    "\"bind\",\"ro\"]},"
			    "{\"destination\":\"/d\",\"options\":[\"remount\",\"bind\",\"ro\"]}",
			    SHARE_ROOTFS_SHARED, &share));
	EXPECT(share.mounts_len == 4);
	EXPECT(share.mounts[0].kind == SHARE_NOTHING && !share.mounts[0].path);
	EXPECT(share.mounts[1].kind == SHARE_TREE);
	EXPECT(str_eq(share.mounts[1].path, "/run/caisson/share/1"));
	EXPECT(str_eq(share.mounts[2].path, "/run/caisson/share/2"));
	EXPECT(share.mounts[3].kind == SHARE_NOTHING);
	EXPECT(str_eq(share.root, "/run/caisson/share/rootfs"));
	EXPECT(has_text(in_tree(fx, "rootfs/etc"), "root"));
	EXPECT(has_text(in_tree(fx, "1/inner"), "inner") && has_text(in_tree(fx, "2"), "text"));
	/* A file's own mount is read-only, the other is not, the top is. */
	EXPECT(is_read_only(in_tree(fx, "2")) && is_read_only(in_tree(fx, "new")));
	EXPECT(!is_read_only(in_tree(fx, "1/new")) && !is_read_only(in_tree(fx, "rootfs/new")));
	EXPECT(stat(in_tree(fx, "1"), &st) == 0 && S_ISDIR(st.st_mode));
	EXPECT(mount_says(in_tree(fx, "1"), "nosuid,nodev"));
	EXPECT(mount_says(in_tree(fx, "rootfs"), "nosuid,nodev"));
	EXPECT(share.storages_len == 1 && str_eq(share.storages[0].type, "virtiofs"));
	share_done(&share);
}

static void bind_mounts_become_entries_of_one_tree(void **state)
{
	(void)state;
	in_child(tree_body);
}

static void below_body(struct fixture *fx)
{
	char path[128];
	struct share share;

	make_dir(fx, "host/sub");
	(void)snprintf(path, sizeof(path), "%s/host/sub", fx->dir);
	EXPECT(mount("tmpfs", path, "tmpfs", MS_NOEXEC, NULL) == 0);
	make_file(fx, "host/sub/file", "below");
	EXPECT_OK(fx, build(fx,
			    "{\"destination\":\"/a\",\"source\":\"host\",\"options\":[\"rbind\"]},"
			    "{\"destination\":\"/b\",\"source\":\"host\",\"options\":[\"bind\"]},"
			    "{\"destination\":\"/c\",\"source\":\"host\",\"options\":[\"rbind\","
			    "\"rro\"]},"
			    "{\"destination\":\"/d\",\"source\":\"host\",\"options\":[\"rbind\","
			    "\"ro\"]}",
			    SHARE_ROOTFS_SHARED, &share));
	EXPECT(has_text(in_tree(fx, "0/sub/file"), "below"));
	EXPECT(share.mounts[0].below_len == 1 && str_eq(share.mounts[0].below[0].place, "sub"));
	EXPECT(share.mounts[0].below[0].flags == MS_NOEXEC && share.mounts[0].flags == 0);
	EXPECT(share.mounts[2].below[0].flags == (MS_NOEXEC | MS_RDONLY));
	EXPECT(share.mounts[3].below[0].flags == MS_NOEXEC && share.mounts[3].flags == MS_RDONLY);
	EXPECT(!exists(in_tree(fx, "1/sub/file")) && share.mounts[1].below_len == 0);
	EXPECT(is_read_only(in_tree(fx, "2/sub/file")) && is_read_only(in_tree(fx, "2/x")));
	EXPECT(!is_read_only(in_tree(fx, "3/sub/file")) && is_read_only(in_tree(fx, "3/x")));
	share_done(&share);
}

static void recursive_binds_bring_mounts_along(void **state)
{
	(void)state;
	in_child(below_body);
}

static void propagation_body(struct fixture *fx)
{
	char path[128];
	struct share share;

	/* The host's mount is shared with this one, as a staged child has it. */
	(void)snprintf(path, sizeof(path), "%s/host", fx->dir);
	EXPECT(mount(path, path, NULL, MS_BIND, NULL) == 0);
	EXPECT(mount(NULL, path, NULL, MS_SHARED, NULL) == 0);
	make_dir(fx, "host/later");
	EXPECT_OK(fx, build(fx,
			    "{\"destination\":\"/a\",\"source\":\"host\",\"options\":[\"rbind\","
			    "\"rslave\"]},"
			    "{\"destination\":\"/b\",\"source\":\"host\",\"options\":[\"rbind\","
			    "\"rprivate\"]}",
			    SHARE_ROOTFS_SHARED, &share));
	(void)snprintf(path, sizeof(path), "%s/host/later", fx->dir);
	EXPECT(mount("tmpfs", path, "tmpfs", 0, NULL) == 0);
	make_file(fx, "host/later/file", "later");
	EXPECT(has_text(in_tree(fx, "0/later/file"), "later"));
	EXPECT(!exists(in_tree(fx, "1/later/file")));
	/* And nothing goes the other way. */
	EXPECT(umount(path) == 0);
	EXPECT(mount("tmpfs", in_tree(fx, "0/later"), "tmpfs", 0, NULL) == 0);
	EXPECT(!mount_says(path, " rw"));
	share_done(&share);
}

static void later_mounts_of_the_host_come_to_slaves_alone(void **state)
{
	(void)state;
	in_child(propagation_body);
}

static void guests_body(struct fixture *fx)
{
	struct share share;

	make_node(fx, "host/nothing", S_IFCHR | 0666, makedev(1, 3));
	EXPECT_OK(fx, build(fx,
			    "{\"destination\":\"/s\",\"source\":\"/sys\",\"options\":[\"rbind\"]},"
			    "{\"destination\":\"/n\",\"source\":\"host/nothing\",\"options\":["
			    "\"bind\"]},"
			    "{\"destination\":\"/v\",\"source\":\"/proc/version\",\"options\":["
			    "\"bind\"]}",
			    SHARE_ROOTFS_SHARED, &share));
	EXPECT(share.mounts[0].kind == SHARE_GUESTS && str_eq(share.mounts[0].path, "/sys"));
	EXPECT(share.mounts[1].kind == SHARE_GUESTS && str_eq(share.mounts[1].path, "/dev/null"));
	EXPECT(share.mounts[2].kind == SHARE_GUESTS);
	EXPECT(str_eq(share.mounts[2].path, "/proc/version"));
	EXPECT(!exists(in_tree(fx, "0")) && !exists(in_tree(fx, "1")) && !exists(in_tree(fx, "2")));
	share_done(&share);
}

static void files_of_a_kernel_are_the_guests_own(void **state)
{
	(void)state;
	in_child(guests_body);
}

static void links_body(struct fixture *fx)
{
	char text[32] = "";
	struct stat st;
	struct share share;

	make_link(fx, "no/where", "host/link");
	make_file(fx, "host/file", "text");
	make_link(fx, "file", "host/good");
	EXPECT_OK(fx, build(fx,
			    "{\"destination\":\"/a\",\"source\":\"host/link\",\"options\":["
			    "\"bind\",\"copy-symlink\"]},"
			    "{\"destination\":\"/b\",\"source\":\"host/link\",\"options\":["
			    "\"bind\",\"src-nofollow\"]},"
			    "{\"destination\":\"/c\",\"source\":\"host/good\",\"options\":["
			    "\"bind\"]}",
			    SHARE_ROOTFS_SHARED, &share));
	EXPECT(readlink(in_tree(fx, "0"), text, sizeof(text) - 1) == 8 && str_eq(text, "no/where"));
	EXPECT(lstat(in_tree(fx, "1"), &st) == 0 && S_ISLNK(st.st_mode));
	EXPECT(has_text(in_tree(fx, "2"), "text"));
	share_done(&share);
}

static void links_are_copied_kept_or_followed(void **state)
{
	(void)state;
	in_child(links_body);
}

static void readonly_body(struct fixture *fx)
{
	char dir[96];
	struct share share = { 0 };
	struct share_options o = { .bundle = fx->dir, .rootfs = fx->root, .dir = dir };

	(void)snprintf(dir, sizeof(dir), "%s/tree", fx->dir);
	make_dir(fx, "tree");
	given_mounts(fx, "{\"destination\":\"/dev\",\"type\":\"tmpfs\"},"
			 "{\"destination\":\"/dev/x\",\"source\":\"host\",\"type\":\"bind\"},"
			 "{\"destination\":\"/a/b\",\"source\":\"host\",\"type\":\"bind\"}");
	fx->spec->root.readonly = true;
	o.spec = fx->spec;
	EXPECT_OK(fx, share_build(&o, &share, &fx->err));
	EXPECT(exists(in_tree(fx, "rootfs/a/b")) && exists(in_tree(fx, "rootfs/dev")));
	EXPECT(!exists(in_tree(fx, "rootfs/dev/x")));
	EXPECT(is_read_only(in_tree(fx, "rootfs/new")));
	share_done(&share);
}

static void read_only_roots_have_their_places_and_are_not_written(void **state)
{
	(void)state;
	in_child(readonly_body);
}

#define KUBELETS "host/kubernetes.io~empty-dir"

/* Of the mount at "/v" in a share of that alone, or of two. */
static enum share_kind kind_of_volume(struct fixture *fx, const char *source, const char *at,
				      struct share *ret)
{
	char mounts[512];

	(void)snprintf(mounts, sizeof(mounts),
		       "{\"destination\":\"%s\",\"type\":\"bind\",\"source\":\"%s/%s\","
		       "\"options\":[\"rbind\",\"noexec\"]},"
		       "{\"destination\":\"/again\",\"type\":\"bind\",\"source\":\"%s/%s\"}",
		       at, fx->dir, source, fx->dir, source);
	EXPECT_OK(fx, build(fx, mounts, SHARE_ROOTFS_SHARED, ret));
	return ret->mounts[0].kind;
}

static void make_tmpfs(struct fixture *fx, const char *name, const char *data)
{
	char path[128];

	(void)snprintf(path, sizeof(path), "%s/%s", fx->dir, name);
	make_dir(fx, name);
	EXPECT(mount("tmpfs", path, "tmpfs", 0, data) == 0);
}

/* The kernel gives it the device number of the one that has gone, if it can. */
static void another_at_the_same_place(struct fixture *fx)
{
	struct share before, after;
	char path[128];

	(void)snprintf(path, sizeof(path), "%s/" KUBELETS "/one", fx->dir);
	make_tmpfs(fx, KUBELETS "/one", "size=1m");
	EXPECT(kind_of_volume(fx, KUBELETS "/one", "/v", &before) == SHARE_MEMORY);
	EXPECT(umount2(path, MNT_DETACH) == 0);
	make_tmpfs(fx, KUBELETS "/two", "size=1m");
	EXPECT(kind_of_volume(fx, KUBELETS "/two", "/v", &after) == SHARE_MEMORY);
	EXPECT(!str_eq(before.mounts[0].path, after.mounts[0].path));
	share_done(&before);
	share_done(&after);
}

static void memory_body(struct fixture *fx)
{
	struct share share;

	make_dir(fx, KUBELETS);
	make_tmpfs(fx, KUBELETS "/v", "size=1m,mode=2770,uid=7,gid=8,nr_inodes=99");
	EXPECT(kind_of_volume(fx, KUBELETS "/v", "/v", &share) == SHARE_MEMORY);
	EXPECT(share.memories_len == 1 && !exists(in_tree(fx, "0")));
	EXPECT(str_eq(share.memories[0].options,
		      "mode=2770,uid=7,gid=8,size=1048576,nr_inodes=99"));
	EXPECT(share.mounts[0].flags & MS_NOEXEC && !(share.mounts[1].flags & MS_NOEXEC));
	/* One file system of the host is one of the guest. */
	EXPECT(share.mounts[1].kind == SHARE_MEMORY);
	EXPECT(str_eq(share.mounts[0].path, share.mounts[1].path));
	EXPECT(str_eq(share.storages[1].target, share.mounts[0].path));
	share_done(&share);
	make_tmpfs(fx, "host/shm", "mode=1777,size=64k");
	EXPECT(kind_of_volume(fx, "host/shm", "/dev/shm", &share) == SHARE_MEMORY);
	EXPECT(str_after(share.memories[0].options, "mode=1777,uid=0,gid=0,size=65536"));
	/* Only the mount at /dev/shm asks for it. */
	EXPECT(share.mounts[1].kind == SHARE_TREE);
	share_done(&share);
	another_at_the_same_place(fx);
	make_tmpfs(fx, KUBELETS "/unlimited", "size=0,nr_inodes=0,mode=700");
	EXPECT(kind_of_volume(fx, KUBELETS "/unlimited", "/v", &share) == SHARE_MEMORY);
	EXPECT(str_eq(share.memories[0].options, "mode=700,uid=0,gid=0"));
	share_done(&share);
}

static void empty_volumes_in_memory_are_the_guests(void **state)
{
	(void)state;
	in_child(memory_body);
}

static void no_memory_body(struct fixture *fx)
{
	struct share share;

	/* Somebody has a file there; a directory of a disk; one of another's tmpfs; not kubelet's.
	 */
	make_dir(fx, KUBELETS);
	make_tmpfs(fx, KUBELETS "/full", "size=1m");
	make_file(fx, KUBELETS "/full/.file", "");
	EXPECT(kind_of_volume(fx, KUBELETS "/full", "/v", &share) == SHARE_TREE);
	share_done(&share);
	make_tmpfs(fx, KUBELETS "/of", "size=1m");
	make_dir(fx, KUBELETS "/of/v");
	make_dir(fx, KUBELETS "/disk");
	EXPECT(kind_of_volume(fx, KUBELETS "/disk", "/v", &share) == SHARE_TREE);
	share_done(&share);
	EXPECT(kind_of_volume(fx, KUBELETS "/of/v", "/v", &share) == SHARE_TREE);
	share_done(&share);
	EXPECT(kind_of_volume(fx, KUBELETS "/of/v", "/dev/shm", &share) == SHARE_TREE);
	share_done(&share);
	make_tmpfs(fx, "host/plain", "size=1m");
	EXPECT(kind_of_volume(fx, "host/plain", "/v", &share) == SHARE_TREE);
	EXPECT(share.memories_len == 0);
	share_done(&share);
}

static void other_volumes_in_memory_stay_the_hosts(void **state)
{
	(void)state;
	in_child(no_memory_body);
}

static void overlay_body(struct fixture *fx)
{
	struct share share;

	EXPECT_OK(fx, build(fx, "{\"destination\":\"/a\",\"type\":\"tmpfs\"}", SHARE_ROOTFS_OVERLAY,
			    &share));
	EXPECT(is_read_only(in_tree(fx, "rootfs/new")) && !exists(in_tree(fx, "rootfs/a")));
	EXPECT(str_eq(share.root, "/run/caisson/root") && share.storages_len == 3);
	EXPECT(str_eq(share.storages[2].type, "overlay"));
	EXPECT(strstr(share.storages[2].options, "lowerdir=/run/caisson/share/rootfs/,"));
	share_done(&share);
}

static void below_an_overlay_nothing_is_written(void **state)
{
	(void)state;
	in_child(overlay_body);
}

static void image_body(struct fixture *fx)
{
	const uint32_t magic = 0xe0f5e1e2u;
	char path[128];
	enum share_rootfs mode;
	struct share share;
	int fd;

	EXPECT(rmdir(fx->root) == 0);
	make_file(fx, "rootfs", "no image");
	EXPECT_ERROR(fx, build(fx, "", SHARE_ROOTFS_BLOCK, &share), -EINVAL,
		     "neither erofs nor ext4");
	share_done(&share);
	(void)snprintf(path, sizeof(path), "%s/rootfs", fx->dir);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	EXPECT(pwrite(fd, &magic, sizeof(magic), 1024) == sizeof(magic));
	EXPECT_OK(fx, share_rootfs_mode(&allowing, fx->spec, fx->root, &mode, &fx->err));
	EXPECT(mode == SHARE_ROOTFS_BLOCK);
	EXPECT_OK(fx, build(fx, "", mode, &share));
	EXPECT(share.disks_len == 1 && share.disks[0].readonly);
	/* virtiofsd has nothing to do. */
	EXPECT(!share.files && share.storages_len == 3);
	EXPECT(str_eq(share.storages[0].source, "/dev/vda"));
	EXPECT(str_eq(share.storages[0].type, "erofs"));
	EXPECT(strstr(share.storages[2].options, "lowerdir=/run/caisson/lower,"));
	share_done(&share);
}

static void an_image_is_a_disk_below_an_overlay(void **state)
{
	(void)state;
	in_child(image_body);
}

static void annotation_body(struct fixture *fx)
{
	enum share_rootfs mode;

	given(fx, "");
	EXPECT_OK(fx, share_rootfs_mode(&allowing, fx->spec, fx->root, &mode, &fx->err));
	EXPECT(mode == SHARE_ROOTFS_SHARED);
	given(fx, "\"annotations\":{\"io.caisson.vm.rootfs\":\"overlay\"}");
	EXPECT_OK(fx, share_rootfs_mode(&allowing, fx->spec, fx->root, &mode, &fx->err));
	EXPECT(mode == SHARE_ROOTFS_OVERLAY);
	EXPECT_ERROR(fx,
		     share_rootfs_mode(&(const struct runtime){ .root = "/" }, fx->spec, fx->root,
				       &mode, &fx->err),
		     -EPERM, "allowed_annotations");
	given(fx, "\"annotations\":{\"io.caisson.vm.rootfs\":\"local\"}");
	EXPECT_ERROR(fx, share_rootfs_mode(&allowing, fx->spec, fx->root, &mode, &fx->err), -EINVAL,
		     "\"local\" is not shared, overlay or block");
}

static void an_annotation_says_where_writes_go(void **state)
{
	(void)state;
	in_child(annotation_body);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sources_that_cannot_be_shared_are_refused_by_name),
		cmocka_unit_test(bind_mounts_become_entries_of_one_tree),
		cmocka_unit_test(recursive_binds_bring_mounts_along),
		cmocka_unit_test(later_mounts_of_the_host_come_to_slaves_alone),
		cmocka_unit_test(files_of_a_kernel_are_the_guests_own),
		cmocka_unit_test(links_are_copied_kept_or_followed),
		cmocka_unit_test(read_only_roots_have_their_places_and_are_not_written),
		cmocka_unit_test(empty_volumes_in_memory_are_the_guests),
		cmocka_unit_test(other_volumes_in_memory_stay_the_hosts),
		cmocka_unit_test(below_an_overlay_nothing_is_written),
		cmocka_unit_test(an_image_is_a_disk_below_an_overlay),
		cmocka_unit_test(an_annotation_says_where_writes_go),
	};

	return cmocka_run_group_tests_name("runtime/share", tests, NULL, NULL);
}
