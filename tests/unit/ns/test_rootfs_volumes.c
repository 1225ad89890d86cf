/* SPDX-License-Identifier: Apache-2.0 */
/* Bind mounts: sources, places, attributes, propagation, links, idmapped mounts. */
#include "rootfs_fixture.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/wait.h>

#include "base/fd.h"
#include "ns/mount_bind.h"

#define PROC "{\"destination\":\"/proc\",\"type\":\"proc\",\"source\":\"proc\"}"

static void expect_refused(struct fixture *fx, const char *mounts, int code, const char *words)
{
	given_mounts(fx, mounts);
	EXPECT_ERROR(fx, rootfs_prepare(&fx->rootfs, &fx->err), code, words);
	rootfs_done(&fx->rootfs);
}

static void errors_body(struct fixture *fx)
{
	make_file(fx, "host/file", "");
	make_dir(fx, "rootfs/dir");
	make_link(fx, "nowhere", "host/dangling");
	expect_refused(fx, "{\"destination\":\"/x\",\"type\":\"bind\"}", -EINVAL,
		       "mount (no source) at /x: a bind mount needs a source");
	expect_refused(fx,
		       "{\"destination\":\"/x\",\"source\":\"host/gone\",\"options\":[\"bind\"]}",
		       -ENOENT, "mount host/gone at /x: No such file");
	expect_refused(
		fx, "{\"destination\":\"/x\",\"source\":\"host/dangling\",\"options\":[\"bind\"]}",
		-ENOENT, "mount host/dangling at /x");
	expect_refused(fx,
		       "{\"destination\":\"/dir\",\"source\":\"host/file\",\"options\":[\"bind\"]}",
		       -ENOTDIR, "a file cannot be mounted on a directory");
	make_file(fx, "rootfs/file", "");
	expect_refused(fx, "{\"destination\":\"/file\",\"source\":\"host\",\"options\":[\"bind\"]}",
		       -ENOTDIR, "a directory cannot be mounted on a file");
}

static void errors_name_source_and_place(void **state)
{
	(void)state;
	in_child(errors_body);
}

static void places_body(struct fixture *fx)
{
	char mounts[1024];

	make_file(fx, "host/file", "text");
	make_dir(fx, "host/dir");
	make_file(fx, "host/dir/inner", "inner");
	(void)snprintf(mounts, sizeof(mounts),
		       PROC
		       ",{\"destination\":\"/new/dir\",\"source\":\"%s/host/dir\",\"options\":["
		       "\"bind\"]},"
		       "{\"destination\":\"new/file\",\"source\":\"host/file\",\"type\":\"bind\"},"
		       "{\"destination\":\"/typed\",\"source\":\"host/file\",\"type\":\"tmpfs\","
		       "\"options\":[\"rbind\",\"ro\"]}",
		       fx->dir);
	given_mounts(fx, mounts);
	enter(fx);
	EXPECT(has_text("/new/dir/inner", "inner") && has_text("/new/file", "text"));
	EXPECT(has_text("/typed", "text") && mount_says("/typed", " ro,"));
}

static void files_and_directories_get_places_that_fit(void **state)
{
	(void)state;
	in_child(places_body);
}

/* Goal: "bind" takes one mount, "rbind" the tree; "ro" is for the top, "rro" for all. */
static void recursion_body(struct fixture *fx)
{
	char path[128];

	make_dir(fx, "host/sub");
	(void)snprintf(path, sizeof(path), "%s/host/sub", fx->dir);
	EXPECT(mount("tmpfs", path, "tmpfs", MS_NOSUID, NULL) == 0);
	make_file(fx, "host/sub/seen", "");
	given_mounts(
		fx, PROC
		",{\"destination\":\"/one\",\"source\":\"host\",\"options\":[\"bind\"]},"
		"{\"destination\":\"/tree\",\"source\":\"host\",\"options\":[\"rbind\",\"ro\"]},"
		"{\"destination\":\"/all\",\"source\":\"host\",\"options\":[\"rbind\",\"rro\","
		"\"rsuid\",\"rnoatime\"]},"
		"{\"destination\":\"/mixed\",\"source\":\"host\",\"options\":[\"rbind\",\"ro\","
		"\"nodev\",\"rrw\"]}");
	enter(fx);
	EXPECT(!exists("/one/sub/seen") && exists("/tree/sub/seen"));
	EXPECT(mount_says("/tree", " ro,") && mount_says("/tree/sub", " rw,nosuid,"));
	EXPECT(mount_says("/all", " ro,noatime") && mount_says("/all/sub", " ro,noatime"));
	EXPECT(mount_says("/mixed", " rw,nodev,"));
}

static void attributes_reach_as_far_as_asked(void **state)
{
	(void)state;
	in_child(recursion_body);
}

static void keep_body(struct fixture *fx)
{
	char path[128];

	make_dir(fx, "host/m");
	(void)snprintf(path, sizeof(path), "%s/host/m", fx->dir);
	EXPECT(mount("tmpfs", path, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) == 0);
	given_mounts(
		fx, PROC
		",{\"destination\":\"/kept\",\"source\":\"host/m\",\"options\":[\"bind\",\"ro\"]},"
		"{\"destination\":\"/taken\",\"source\":\"host/m\",\"options\":[\"bind\",\"suid\","
		"\"exec\",\"dev\"]}");
	enter(fx);
	EXPECT(mount_says("/kept", " ro,nosuid,nodev,noexec,"));
	EXPECT(mount_says("/taken", " rw,relatime"));
}

static void a_clone_keeps_what_no_word_takes_away(void **state)
{
	(void)state;
	in_child(keep_body);
}

static void propagation_body(struct fixture *fx)
{
	char path[128];

	make_dir(fx, "host/m");
	make_dir(fx, "host/m/sub");
	(void)snprintf(path, sizeof(path), "%s/host/m", fx->dir);
	EXPECT(mount("tmpfs", path, "tmpfs", 0, NULL) == 0);
	EXPECT(mount(NULL, path, NULL, MS_SHARED, NULL) == 0);
	given_mounts(
		fx, PROC
		",{\"destination\":\"/default\",\"source\":\"host/m\",\"options\":[\"bind\"]},"
		"{\"destination\":\"/private\",\"source\":\"host/m\",\"options\":[\"bind\","
		"\"rprivate\"]},"
		"{\"destination\":\"/shared\",\"source\":\"host/m\",\"options\":[\"bind\","
		"\"rshared\"]},"
		"{\"destination\":\"/shared/below\",\"source\":\"host/m\",\"options\":[\"bind\","
		"\"private\"]},"
		"{\"destination\":\"/unbindable\",\"source\":\"host/m\",\"options\":[\"bind\","
		"\"unbindable\"]}");
	enter(fx);
	EXPECT(!mount_says("/default", " shared:") && !mount_says("/private", "shared:"));
	EXPECT(!mount_says("/private", "master:") && mount_says("/shared", " shared:"));
	EXPECT(!mount_says("/shared/below", " shared:"));
	EXPECT(mount_says("/unbindable", " unbindable"));
}

static void propagation_is_per_mount(void **state)
{
	(void)state;
	in_child(propagation_body);
}

static void links_body(struct fixture *fx)
{
	char text[64];

	make_file(fx, "host/file", "text");
	make_link(fx, "file", "host/link");
	make_link(fx, "/elsewhere", "rootfs/here");
	given_mounts(
		fx, PROC
		",{\"destination\":\"/followed\",\"source\":\"host/link\",\"options\":[\"bind\"]},"
		"{\"destination\":\"/copied/link\",\"source\":\"host/link\",\"options\":[\"bind\","
		"\"copy-symlink\"]},"
		"{\"destination\":\"/copied/link\",\"source\":\"host/link\",\"options\":[\"bind\","
		"\"copy-symlink\"]},"
		"{\"destination\":\"/here\",\"source\":\"host/link\",\"options\":[\"bind\","
		"\"src-nofollow\",\"dest-nofollow\"]}");
	enter(fx);
	EXPECT(has_text("/followed", "text"));
	EXPECT(readlink("/copied/link", text, sizeof(text)) == 4 && memcmp(text, "file", 4) == 0);
	/* The link of the host is mounted over the link of the image. */
	EXPECT(readlink("/here", text, sizeof(text)) == 4 && memcmp(text, "file", 4) == 0);
	EXPECT(!exists("/elsewhere"));
}

static void links_are_followed_copied_or_mounted(void **state)
{
	(void)state;
	in_child(links_body);
}

static void copy_conflict_body(struct fixture *fx)
{
	make_link(fx, "file", "host/link");
	make_link(fx, "other", "rootfs/there");
	expect_refused(fx,
		       "{\"destination\":\"/there\",\"source\":\"host/link\",\"options\":[\"bind\","
		       "\"copy-symlink\"]}",
		       -EEXIST, "mount host/link at /there: make the link");
}

static void a_copied_link_replaces_nothing(void **state)
{
	(void)state;
	in_child(copy_conflict_body);
}

/* A user namespace that maps 0 to 100000: its descriptor. */
static int mapped_userns(void)
{
	const char map[] = "0 100000 65536";
	char path[64];
	int ready[2];
	int fd;
	pid_t pid;
	char c;

	EXPECT(pipe(ready) == 0);
	pid = fork();
	if (pid == 0) {
		EXPECT(unshare(CLONE_NEWUSER) == 0);
		EXPECT(write(ready[1], "x", 1) == 1);
		for (;;)
			(void)pause();
	}
	EXPECT(pid > 0 && read(ready[0], &c, 1) == 1);
	(void)snprintf(path, sizeof(path), "/proc/%d/uid_map", (int)pid);
	EXPECT(fd_write_file(AT_FDCWD, path, map) == 0);
	(void)snprintf(path, sizeof(path), "/proc/%d/gid_map", (int)pid);
	EXPECT(fd_write_file(AT_FDCWD, path, map) == 0);
	(void)snprintf(path, sizeof(path), "/proc/%d/ns/user", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	EXPECT(fd >= 0);
	EXPECT(kill(pid, SIGKILL) == 0 && waitpid(pid, NULL, 0) == pid);
	return fd;
}

static void idmap_body(struct fixture *fx)
{
	AUTO_CLOSE int userns = mapped_userns();
	const int fds[] = { -1, userns, userns, -1 };
	struct stat st;
	char path[128];

	make_file(fx, "host/file", "");
	make_dir(fx, "host/sub");
	(void)snprintf(path, sizeof(path), "%s/host/sub", fx->dir);
	EXPECT(mount("tmpfs", path, "tmpfs", 0, NULL) == 0);
	make_file(fx, "host/sub/file", "");
	given_mounts(
		fx, PROC
		",{\"destination\":\"/top\",\"source\":\"host\",\"options\":[\"rbind\",\"idmap\"]},"
		"{\"destination\":\"/all\",\"source\":\"host\",\"options\":[\"rbind\",\"ridmap\"]},"
		"{\"destination\":\"/plain\",\"source\":\"host\",\"options\":[\"rbind\"]}");
	fx->rootfs.idmap_fds = fds;
	enter(fx);
	EXPECT(stat("/top/file", &st) == 0 && st.st_uid == 100000);
	EXPECT(stat("/top/sub/file", &st) == 0 && st.st_uid == 0);
	EXPECT(stat("/all/sub/file", &st) == 0 && st.st_uid == 100000 && st.st_gid == 100000);
	EXPECT(stat("/plain/file", &st) == 0 && st.st_uid == 0);
}

static void ids_are_mapped_for_one_mount_or_the_tree(void **state)
{
	(void)state;
	in_child(idmap_body);
}

/* Goal: what the parent opened is used, even where the path leads nowhere for the child. */
static void source_body(struct fixture *fx)
{
	int fds[] = { -1, -1 };
	char path[128];
	char away[128];

	make_dir(fx, "host/m");
	make_file(fx, "host/m/file", "text");
	EXPECT(mount(NULL, fx->dir, NULL, MS_SHARED, NULL) == 0);
	given_mounts(fx,
		     PROC ",{\"destination\":\"/v\",\"source\":\"host/m\",\"options\":[\"rbind\","
			  "\"ro\"]}");
	EXPECT_OK(fx, mount_source_open(&fx->spec->mounts[1], fx->dir, -1, &fds[1], &fx->err));
	(void)snprintf(path, sizeof(path), "%s/host/m", fx->dir);
	(void)snprintf(away, sizeof(away), "%s/host/away", fx->dir);
	EXPECT(rename(path, away) == 0);
	/* The parent's namespace lives on, as the host's does. */
	EXPECT(open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC) >= 0 && unshare(CLONE_NEWNS) == 0);
	fx->rootfs.source_fds = fds;
	enter(fx);
	EXPECT(has_text("/v/file", "text") && mount_says("/v", " ro,"));
	EXPECT(mount_says("/v", " master:") && !mount_says("/v", " shared:"));
}

static void a_source_of_the_parent_is_taken(void **state)
{
	(void)state;
	in_child(source_body);
}

/* Goal: in a user namespace the host's attributes are locked: "rw" is forgiven, "suid" is not. */
static void locked_body(struct fixture *fx)
{
	char path[128];

	make_dir(fx, "host/m");
	(void)snprintf(path, sizeof(path), "%s/host/m", fx->dir);
	EXPECT(mount("tmpfs", path, "tmpfs", MS_NOSUID | MS_RDONLY, NULL) == 0);
	EXPECT(mount("proc", "/proc", "proc", 0, NULL) == 0);
	enter_userns();
	given_mounts(
		fx,
		"{\"destination\":\"/v\",\"source\":\"host/m\",\"options\":[\"rbind\",\"suid\"]}");
	fx->rootfs.new_userns = true;
	EXPECT_ERROR(fx, rootfs_prepare(&fx->rootfs, &fx->err), -EPERM,
		     "mount host/m at /v: the source is nosuid and locked so");
	rootfs_done(&fx->rootfs);
	given_mounts(fx,
		     "{\"destination\":\"/v\",\"source\":\"host/m\",\"options\":[\"rbind\",\"rw\","
		     "\"nodev\",\"rprivate\"]},"
		     "{\"destination\":\"/sys\",\"type\":\"sysfs\",\"options\":[\"ro\"]},"
		     "{\"destination\":\"/dev\",\"type\":\"tmpfs\"},"
		     "{\"destination\":\"/dev/pts\",\"type\":\"devpts\",\"options\":[\"gid=5\","
		     "\"mode=620\"]},"
		     "{\"destination\":\"/p\",\"source\":\"/proc\",\"options\":[\"rbind\"]}");
	fx->rootfs.new_userns = true;
	EXPECT_OK(fx, rootfs_prepare(&fx->rootfs, &fx->err));
	EXPECT_OK(fx, rootfs_enter(&fx->rootfs, &fx->err));
	EXPECT_OK(fx, rootfs_finish(&fx->rootfs, &fx->err));
	EXPECT(symlink("/p", "/proc") == 0); /* for mount_says() */
	EXPECT(mount_says("/v", " ro,nosuid,nodev,"));
	EXPECT(mount_says("/sys", " ro,"));
	EXPECT(mount_says("/dev/null", " - devtmpfs") || is_mount("/dev/null"));
	EXPECT(open("/dev/null", O_RDWR) >= 0 && is_mount("/dev/pts"));
}

static void a_user_namespace_respects_locks_and_binds_devices(void **state)
{
	(void)state;
	in_child(locked_body);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(errors_name_source_and_place),
		cmocka_unit_test(a_copied_link_replaces_nothing),
		cmocka_unit_test(files_and_directories_get_places_that_fit),
		cmocka_unit_test(attributes_reach_as_far_as_asked),
		cmocka_unit_test(a_clone_keeps_what_no_word_takes_away),
		cmocka_unit_test(propagation_is_per_mount),
		cmocka_unit_test(links_are_followed_copied_or_mounted),
		cmocka_unit_test(ids_are_mapped_for_one_mount_or_the_tree),
		cmocka_unit_test(a_source_of_the_parent_is_taken),
		cmocka_unit_test(a_user_namespace_respects_locks_and_binds_devices),
	};

	return cmocka_run_group_tests_name("ns/rootfs volumes", tests, NULL, NULL);
}
