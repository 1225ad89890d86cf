/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Images and volumes that want to be mounted elsewhere: native facts, table of escapes
 * (CVE-2019-16884, CVE-2019-19921, CVE-2021-30465, CVE-2023-27561, CVE-2024-45310, CVE-2025-52565).
 * The races run for a second, or for CAISSON_SOAK seconds.
 */
#include "rootfs_fixture.h"

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#include "ns/mount_guard.h"

#ifndef RENAME_EXCHANGE
#define RENAME_EXCHANGE (1 << 1)
#endif

#define PROC "{\"destination\":\"/proc\",\"type\":\"proc\",\"source\":\"proc\"}"

static void expect_refused(struct fixture *fx, const char *mounts, int code, const char *words)
{
	given_mounts(fx, mounts);
	EXPECT_ERROR(fx, rootfs_prepare(&fx->rootfs, &fx->err), code, words);
	rootfs_done(&fx->rootfs);
}

static void proc_body(struct fixture *fx)
{
	make_dir(fx, "rootfs/real");
	make_link(fx, "real", "rootfs/proc");
	make_link(fx, "/real", "rootfs/sys");
	expect_refused(fx, PROC, -ELOOP, "mount proc at /proc: must be mounted on an ordinary");
	expect_refused(fx, "{\"destination\":\"/sys\",\"type\":\"sysfs\"}", -ELOOP,
		       "mount sysfs at /sys: must be mounted on an ordinary directory");
}

static void proc_and_sysfs_go_on_no_link(void **state)
{
	(void)state;
	in_child(proc_body);
}

static void over_proc_body(struct fixture *fx)
{
	make_link(fx, "/proc/sys", "rootfs/innocent");
	expect_refused(fx, "{\"destination\":\"/proc\",\"type\":\"tmpfs\"}", -EPERM,
		       "mount tmpfs at /proc: only a proc file system");
	expect_refused(fx,
		       "{\"destination\":\"/proc\",\"source\":\"host\",\"options\":[\"rbind\"]}",
		       -EPERM, "only a proc file system");
	expect_refused(
		fx, "{\"destination\":\"/proc\",\"source\":\"/proc/self\",\"options\":[\"rbind\"]}",
		-EPERM, "only a proc file system");
	expect_refused(fx, PROC ",{\"destination\":\"/proc/sys\",\"type\":\"tmpfs\"}", -EPERM,
		       "mount tmpfs at /proc/sys: cannot be mounted because it is inside /proc");
	expect_refused(fx, PROC ",{\"destination\":\"//proc/./sys/\",\"type\":\"tmpfs\"}", -EPERM,
		       "inside /proc");
	expect_refused(fx, PROC ",{\"destination\":\"/x/../proc/sys\",\"type\":\"tmpfs\"}", -EPERM,
		       "inside /proc");
	expect_refused(fx, PROC ",{\"destination\":\"/innocent\",\"type\":\"tmpfs\"}", -EPERM,
		       "inside /proc");
	expect_refused(fx,
		       "{\"destination\":\"/proc/self/attr\",\"source\":\"host\",\"options\":["
		       "\"bind\"]}",
		       -EPERM, "inside /proc");
}

static void nothing_else_is_mounted_on_proc(void **state)
{
	(void)state;
	in_child(over_proc_body);
}

static void allowed_body(struct fixture *fx)
{
	make_file(fx, "host/file", "lxcfs");
	given_mounts(
		fx, PROC
		",{\"destination\":\"/proc/meminfo\",\"source\":\"host/"
		"file\",\"options\":[\"bind\"]},"
		"{\"destination\":\"/bound/proc\",\"source\":\"/proc\",\"options\":[\"rbind\"]}");
	enter(fx);
	EXPECT(has_text("/proc/meminfo", "lxcfs") && !is_mount("/proc/stat"));
	EXPECT(exists("/bound/proc/self"));
}

static void files_that_lxcfs_replaces_are_allowed(void **state)
{
	(void)state;
	in_child(allowed_body);
}

static void guard_knows_prefixes(void **state)
{
	struct err err;

	(void)state;
	assert_int_equal(mount_guard_check("/processes", "tmpfs", -1, &err), 0);
	assert_int_equal(mount_guard_check("/", "tmpfs", -1, &err), 0);
	assert_int_equal(mount_guard_check("/proc", "proc", -1, &err), 0);
	assert_int_equal(mount_guard_check("/proc/cpuinfo", NULL, -1, &err), 0);
	assert_int_equal(mount_guard_check("/proc/12/net/dev", NULL, -1, &err), 0);
	assert_int_equal(mount_guard_check("/proc/1/net", NULL, -1, &err), -EPERM);
	assert_int_equal(mount_guard_check("/proc//net/dev", NULL, -1, &err), -EPERM);
	assert_int_equal(mount_guard_check("/proc/cpuinfo2", NULL, -1, &err), -EPERM);
	assert_int_equal(mount_guard_check("/proc/sys/kernel/core_pattern", NULL, -1, &err),
			 -EPERM);
}

/* Goal: no link of the image moves a mount, a mount point or a device out of it. */
static void links_body(struct fixture *fx)
{
	char mounts[1024];
	char link[256];

	make_dir(fx, "host/victim");
	make_file(fx, "host/canary", "alive");
	(void)snprintf(link, sizeof(link), "%s/host/victim", fx->dir);
	make_link(fx, link, "rootfs/absolute");
	make_link(fx, "../host/victim", "rootfs/climbing");
	make_link(fx, "/absolute", "rootfs/dev");
	(void)snprintf(mounts, sizeof(mounts),
		       "{\"destination\":\"/absolute\",\"type\":\"tmpfs\"},"
		       "{\"destination\":\"/climbing/new\",\"type\":\"tmpfs\"},"
		       "{\"destination\":\"/../../host/victim/top\",\"type\":\"tmpfs\"},"
		       "{\"destination\":\"/dev/shm\",\"type\":\"tmpfs\"}");
	given_mounts(fx, mounts);
	EXPECT_OK(fx, rootfs_prepare(&fx->rootfs, &fx->err));
	EXPECT(!is_mount(link));
	EXPECT(rmdir(link) == 0); /* nothing was made in it */
	(void)snprintf(link, sizeof(link), "%s%s/host/victim", fx->root, fx->dir);
	EXPECT(is_mount(link));
	(void)snprintf(link, sizeof(link), "%s%s/host/victim/null", fx->root, fx->dir);
	EXPECT(exists(link));
	(void)snprintf(link, sizeof(link), "%s/host/victim/new", fx->root);
	EXPECT(is_mount(link));
	(void)snprintf(link, sizeof(link), "%s/host/victim/top", fx->root);
	EXPECT(is_mount(link));
	rootfs_done(&fx->rootfs);
}

static void links_of_the_image_stay_inside(void **state)
{
	(void)state;
	in_child(links_body);
}

/* A thread that swaps the directory rootfs/vol/a for a link that leads out, as fast as it can. */
struct swapper {
	char dir[128];
	char link[128];
	atomic_bool stop;
	unsigned long swaps;
};

static void *swap(void *arg)
{
	struct swapper *s = arg;

	while (!atomic_load(&s->stop)) {
		if (syscall(SYS_renameat2, AT_FDCWD, s->dir, AT_FDCWD, s->link, RENAME_EXCHANGE) ==
		    0)
			s->swaps++;
	}
	return NULL;
}

static bool is_empty_dir(const char *path)
{
	return rmdir(path) == 0 && mkdir(path, 0755) == 0;
}

/*
 * One round in a child of its own, since mounts pile up: mount on and make directories below the
 * path that is being swapped. Whatever the outcome, the host's directory stays what it was.
 */
static int race_round(struct fixture *fx, const char *victim)
{
	given_mounts(fx, "{\"destination\":\"/vol/a/made/deeper\",\"type\":\"tmpfs\"},"
			 "{\"destination\":\"/vol/a\",\"type\":\"tmpfs\"},"
			 "{\"destination\":\"/vol/a/file\",\"source\":\"host/canary\",\"options\":["
			 "\"bind\"]}");
	const int r = rootfs_prepare(&fx->rootfs, &fx->err);

	EXPECT(r == 0 || r == -ELOOP || r == -ENOENT || r == -ENOTDIR || r == -EAGAIN ||
	       r == -EINVAL || r == -EEXIST);
	EXPECT(!is_mount(victim));
	rootfs_done(&fx->rootfs);
	return r;
}

static int run_round(struct fixture *fx, const char *victim)
{
	int status;
	const pid_t pid = fork();

	if (pid == 0) {
		EXPECT(unshare(CLONE_NEWNS) == 0);
		_exit(race_round(fx, victim) == 0 ? 0 : 2);
	}
	EXPECT(pid > 0 && waitpid(pid, &status, 0) == pid);
	EXPECT(WIFEXITED(status) && WEXITSTATUS(status) != 1);
	return WEXITSTATUS(status);
}

static void race_body(struct fixture *fx)
{
	struct swapper s = { 0 };
	const time_t end = time(NULL) + race_seconds() + 1;
	unsigned int won = 0;
	unsigned int rounds = 0;
	pthread_t thread;
	char victim[128];

	make_dir(fx, "host/victim");
	make_file(fx, "host/canary", "alive");
	make_dir(fx, "rootfs/vol");
	make_dir(fx, "rootfs/vol/a");
	(void)snprintf(victim, sizeof(victim), "%s/host/victim", fx->dir);
	make_link(fx, victim, "rootfs/vol/b");
	(void)snprintf(s.dir, sizeof(s.dir), "%s/vol/a", fx->root);
	(void)snprintf(s.link, sizeof(s.link), "%s/vol/b", fx->root);
	EXPECT(pthread_create(&thread, NULL, swap, &s) == 0);
	while (time(NULL) < end) {
		won += run_round(fx, victim) == 0;
		rounds++;
		EXPECT(is_empty_dir(victim));
	}
	atomic_store(&s.stop, true);
	EXPECT(pthread_join(thread, NULL) == 0);
	(void)fprintf(stderr, "race: %u rounds, %u mounted, %lu swaps\n", rounds, won, s.swaps);
	EXPECT(rounds > 10 && s.swaps > 100 && won > 0);
}

static void a_swapped_directory_never_leads_out(void **state)
{
	(void)state;
	in_child(race_body);
}

static void console_body(struct fixture *fx)
{
	const int null = open("/dev/null", O_RDWR);

	given_mounts(fx, PROC ",{\"destination\":\"/dev\",\"type\":\"tmpfs\"},"
			      "{\"destination\":\"/dev/pts\",\"type\":\"devpts\"}");
	EXPECT_OK(fx, rootfs_prepare(&fx->rootfs, &fx->err));
	EXPECT_OK(fx, rootfs_enter(&fx->rootfs, &fx->err));
	EXPECT_ERROR(fx, rootfs_console(&fx->rootfs, null, &fx->err), -ENOTTY, "no");
	const int master = open("/dev/pts/ptmx", O_RDWR | O_NOCTTY);
	const int locked = 0;

	EXPECT(ioctl(master, TIOCSPTLCK, &locked) == 0);
	const int slave = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY);

	EXPECT(master >= 0 && slave >= 0);
	EXPECT(symlink("/proc/sys/kernel/core_pattern", "/dev/console") == 0);
	EXPECT_ERROR(fx, rootfs_console(&fx->rootfs, slave, &fx->err), -ELOOP, "/dev/console");
	EXPECT(!is_mount("/proc/sys/kernel/core_pattern") && unlink("/dev/console") == 0);
	EXPECT(mkdir("/dev/console", 0755) == 0);
	EXPECT_ERROR(fx, rootfs_console(&fx->rootfs, slave, &fx->err), -EINVAL, "/dev/console");
	EXPECT(rmdir("/dev/console") == 0);
	EXPECT_OK(fx, rootfs_console(&fx->rootfs, slave, &fx->err));
	EXPECT(is_mount("/dev/console") && isatty(open("/dev/console", O_RDWR | O_NOCTTY)));
}

static void the_console_is_a_terminal_on_no_link(void **state)
{
	(void)state;
	in_child(console_body);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(proc_and_sysfs_go_on_no_link),
		cmocka_unit_test(nothing_else_is_mounted_on_proc),
		cmocka_unit_test(files_that_lxcfs_replaces_are_allowed),
		cmocka_unit_test(guard_knows_prefixes),
		cmocka_unit_test(links_of_the_image_stay_inside),
		cmocka_unit_test(a_swapped_directory_never_leads_out),
		cmocka_unit_test(the_console_is_a_terminal_on_no_link),
	};

	return cmocka_run_group_tests_name("ns/rootfs hostile", tests, NULL, NULL);
}
