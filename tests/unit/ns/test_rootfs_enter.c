/* SPDX-License-Identifier: Apache-2.0 */
/* The change of the root: pivot_root(2) and its substitute, propagation, the read-only root. */
#include "rootfs_fixture.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/wait.h>

#include "base/buf.h"
#include "base/fd.h"

#define PROC "{\"destination\":\"/proc\",\"type\":\"proc\",\"source\":\"proc\"}"

static void missing_body(struct fixture *fx)
{
	given(fx, "");
	fx->rootfs.path = "/nonexistent/rootfs";
	EXPECT_ERROR(fx, rootfs_prepare(&fx->rootfs, &fx->err), -ENOENT,
		     "root file system /nonexistent/rootfs");
	rootfs_done(&fx->rootfs);
	make_file(fx, "file", "");
	char path[128];

	(void)snprintf(path, sizeof(path), "%s/file", fx->dir);
	given(fx, "");
	fx->rootfs.path = path;
	EXPECT_ERROR(fx, rootfs_prepare(&fx->rootfs, &fx->err), -ENOTDIR, "root file system");
	rootfs_done(&fx->rootfs);
	rootfs_done(&fx->rootfs); /* twice is harmless */
	rootfs_done(NULL);
}

static void a_missing_root_is_named(void **state)
{
	(void)state;
	in_child(missing_body);
}

/* Every mount that the process sees begins in the container: nothing of the host's is left. */
static void expect_alone(const char *host_dir)
{
	AUTO_BUF struct buf b = { 0 };
	char cwd[16];

	EXPECT(getcwd(cwd, sizeof(cwd)) && strcmp(cwd, "/") == 0);
	EXPECT(exists("/marker") && !exists(host_dir));
	EXPECT(exists("/../../marker"));
	EXPECT(fd_read_file(AT_FDCWD, "/proc/self/mountinfo", &b) == 0);
	EXPECT(!strstr(b.data, host_dir) && !strstr(b.data, " ext4 "));
}

static void pivot_body(struct fixture *fx)
{
	make_file(fx, "rootfs/marker", "");
	given_mounts(fx, PROC);
	enter(fx);
	expect_alone(fx->dir);
}

static void pivot_root_leaves_the_host_behind(void **state)
{
	(void)state;
	in_child(pivot_body);
}

static void no_pivot_body(struct fixture *fx)
{
	struct stat st;

	make_file(fx, "rootfs/marker", "");
	given_mounts(fx, PROC ",{\"destination\":\"/dev\",\"type\":\"tmpfs\"}");
	fx->rootfs.no_pivot = true;
	enter(fx);
	EXPECT(exists("/marker") && exists("/dev/null") && !exists(fx->dir));
	EXPECT(exists("/proc/self/mountinfo") && stat("/..", &st) == 0 && exists("/../marker"));
	/* The host's own procfs and sysfs went: no line of mountinfo shows one besides ours. */
	AUTO_BUF struct buf b = { 0 };

	EXPECT(fd_read_file(AT_FDCWD, "/proc/self/mountinfo", &b) == 0);
	EXPECT(!strstr(b.data, " sysfs "));
}

static void without_pivot_root_the_root_moves(void **state)
{
	(void)state;
	in_child(no_pivot_body);
}

static void readonly_body(struct fixture *fx)
{
	make_dir(fx, "host/m");
	given_mounts(fx, PROC
		     ",{\"destination\":\"/rw\",\"source\":\"host/m\",\"options\":[\"bind\"]}");
	fx->spec->root.readonly = true;
	enter(fx);
	EXPECT(mkdir("/x", 0755) < 0 && errno == EROFS);
	EXPECT(mkdir("/rw/x", 0755) == 0);
	EXPECT(mount_says("/", " ro,"));
}

static void a_readonly_root_leaves_volumes_alone(void **state)
{
	(void)state;
	in_child(readonly_body);
}

/*
 * Run `body` (prepare and enter) in a further mount namespace, with a shared mount at dir/rootfs as
 * the host would have; then the "host" looks for what became visible at dir/rootfs/tmpfs.
 */
static bool host_sees_the_mount(struct fixture *fx, const char *propagation)
{
	char members[256];
	char place[128];
	int status;
	pid_t pid;

	EXPECT(mount(fx->root, fx->root, NULL, MS_BIND, NULL) == 0);
	EXPECT(mount(NULL, fx->root, NULL, MS_SHARED, NULL) == 0);
	(void)snprintf(members, sizeof(members),
		       "\"mounts\":[{\"destination\":\"/t\",\"type\":\"tmpfs\"}," PROC
		       "],\"linux\":{%s%s%s}",
		       propagation ? "\"rootfsPropagation\":\"" : "",
		       propagation ? propagation : "", propagation ? "\"" : "");
	pid = fork();
	if (pid == 0) {
		EXPECT(unshare(CLONE_NEWNS) == 0);
		given(fx, members);
		enter(fx);
		EXPECT(is_mount("/t"));
		EXPECT(!propagation || !strstr(propagation, "shared") ||
		       mount_says("/", " shared:"));
		EXPECT(!propagation || !strstr(propagation, "unbindable") ||
		       mount_says("/", " unbindable"));
		_exit(0);
	}
	EXPECT(pid > 0 && waitpid(pid, &status, 0) == pid && status == 0);
	(void)snprintf(place, sizeof(place), "%s/t", fx->root);
	EXPECT(umount2(fx->root, MNT_DETACH) == 0);
	return exists(place) && is_mount(place);
}

static const char *const words[] = { NULL,	"shared",   "rshared",	  "slave",	"rslave",
				     "private", "rprivate", "unbindable", "runbindable" };

/* Goal: unmounting the old root of the container must not unmount the host's (shared) mounts. */
static void shared_host_body(struct fixture *fx)
{
	char sub[128];

	make_dir(fx, "host/sub");
	(void)snprintf(sub, sizeof(sub), "%s/host/sub", fx->dir);
	EXPECT(mount("tmpfs", sub, "tmpfs", 0, NULL) == 0);
	EXPECT(mount(NULL, fx->dir, NULL, MS_SHARED | MS_REC, NULL) == 0);
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		EXPECT(!host_sees_the_mount(fx, words[i]));
		EXPECT(is_mount(sub) && is_mount(fx->dir));
	}
}

static void the_mounts_of_a_shared_host_survive(void **state)
{
	(void)state;
	in_child(shared_host_body);
}

static void propagation_body(struct fixture *fx)
{

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		EXPECT(!host_sees_the_mount(fx, words[i]));
}

static void nothing_mounted_below_the_root_reaches_the_host(void **state)
{
	(void)state;
	in_child(propagation_body);
}

static void slave_body(struct fixture *fx)
{
	char volume[128];
	char later[160];
	int go[2];
	int status;
	char c;
	pid_t pid;

	make_dir(fx, "host/m");
	make_dir(fx, "host/m/later");
	(void)snprintf(volume, sizeof(volume), "%s/host/m", fx->dir);
	(void)snprintf(later, sizeof(later), "%s/later", volume);
	EXPECT(mount("tmpfs", volume, "tmpfs", 0, NULL) == 0);
	EXPECT(mount(NULL, volume, NULL, MS_SHARED, NULL) == 0);
	EXPECT(mkdir(later, 0755) == 0 && pipe(go) == 0);
	pid = fork();
	if (pid == 0) {
		EXPECT(close(go[1]) == 0 && unshare(CLONE_NEWNS) == 0);
		given_mounts(fx, PROC ",{\"destination\":\"/v\",\"source\":\"host/m\",\"options\":["
				      "\"rbind\",\"rslave\"]}");
		enter(fx);
		EXPECT(mount_says("/v", " master:"));
		EXPECT(read(go[0], &c, 1) == 0);
		_exit(is_mount("/v/later") ? 0 : 1);
	}
	(void)usleep(100000);
	EXPECT(mount("tmpfs", later, "tmpfs", 0, NULL) == 0 && close(go[1]) == 0);
	EXPECT(waitpid(pid, &status, 0) == pid && status == 0);
}

static void a_slave_volume_sees_later_mounts_of_the_host(void **state)
{
	(void)state;
	in_child(slave_body);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_missing_root_is_named),
		cmocka_unit_test(pivot_root_leaves_the_host_behind),
		cmocka_unit_test(without_pivot_root_the_root_moves),
		cmocka_unit_test(a_readonly_root_leaves_volumes_alone),
		cmocka_unit_test(nothing_mounted_below_the_root_reaches_the_host),
		cmocka_unit_test(the_mounts_of_a_shared_host_survive),
		cmocka_unit_test(a_slave_volume_sees_later_mounts_of_the_host),
	};

	return cmocka_run_group_tests_name("ns/rootfs enter", tests, NULL, NULL);
}
