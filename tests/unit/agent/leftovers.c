/* SPDX-License-Identifier: Apache-2.0 */
#include "leftovers.h"

#include "lib/unit.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"

#define CGROUPS	 "/sys/fs/cgroup"
#define LIMIT_MS 20000 /* for processes that are being killed */
#define LOOK_US	 10000
#define DEPTH	 16

static pid_t watcher;
static int watched = -1;

/* ---- In the watcher ------------------------------------------------------------------------- */

/* Who is frozen in cgroup v1 is not killed. */
static void thaw(const char *directory)
{
	static const char word[] = "THAWED";
	char path[PATH_MAX];
	int fd;

	(void)snprintf(path, sizeof(path), "%s/freezer.state", directory);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	(void)!write(fd, word, sizeof(word) - 1);
	(void)close(fd);
}

static int remove_cgroup(const char *path, const struct stat *st, int type, struct FTW *at)
{
	(void)st;
	(void)at;
	if (type != FTW_DP)
		return 0;
	thaw(path);
	return rmdir(path) < 0 && errno != ENOENT ? 1 : 0;
}

/* Whether it is gone. */
static bool remove_below(const char *hierarchy, const char *name, const char *suffix)
{
	char path[PATH_MAX];

	(void)snprintf(path, sizeof(path), "%s%s%s", hierarchy, name, suffix);
	return access(path, F_OK) < 0 ||
	       nftw(path, remove_cgroup, DEPTH, FTW_DEPTH | FTW_PHYS) == 0;
}

static bool remove_cgroups(const char *name)
{
	DIR *dir = opendir(CGROUPS);
	const struct dirent *e;
	char hierarchy[sizeof(CGROUPS) + 1 + NAME_MAX];
	bool gone = remove_below(CGROUPS, name, "") && remove_below(CGROUPS, name, "-shells");

	while (dir && (e = readdir(dir)) != NULL) {
		if (e->d_name[0] == '.')
			continue;
		(void)snprintf(hierarchy, sizeof(hierarchy), CGROUPS "/%s", e->d_name);
		gone = remove_below(hierarchy, name, "") && gone;
		gone = remove_below(hierarchy, name, "-shells") && gone;
	}
	if (dir)
		(void)closedir(dir);
	return gone;
}

static int remove_file(const char *path, const struct stat *st, int type, struct FTW *at)
{
	(void)st;
	(void)type;
	(void)at;
	return remove(path) < 0 ? 1 : 0;
}

static int remove_all(const char *root, const char *cgroups)
{
	const int64_t end = clock_ms() + LIMIT_MS;
	char slow[PATH_MAX];

	while (!remove_cgroups(cgroups)) {
		if (clock_ms() > end) {
			(void)fprintf(stderr, "cgroups %s are still there\n", cgroups);
			return 1;
		}
		(void)usleep(LOOK_US);
	}
	(void)snprintf(slow, sizeof(slow), "%s/" LEFTOVERS_SLOW, root);
	(void)umount2(slow, MNT_DETACH);
	if (nftw(root, remove_file, DEPTH, FTW_DEPTH | FTW_PHYS | FTW_MOUNT) != 0) {
		perror(root);
		return 2;
	}
	return 0;
}

/* In a session of its own: who ends the test ends its group. */
__attribute__((noreturn)) static void watch(int sock, const char *cgroups)
{
	char root[] = "/tmp/caisson-agent-XXXXXX", byte;

	(void)setsid();
	if (!mkdtemp(root))
		_exit(3);
	(void)send(sock, root, sizeof(root), MSG_NOSIGNAL);
	while (read(sock, &byte, 1) < 0 && errno == EINTR)
		;
	_exit(remove_all(root, cgroups));
}

/* ---- In the test ---------------------------------------------------------------------------- */

void leftovers_watch(char *root, size_t size, const char *cgroups)
{
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	watcher = fork();
	assert_true(watcher >= 0);
	if (watcher == 0) {
		(void)close(pair[1]);
		watch(pair[0], cgroups);
	}
	(void)close(pair[0]);
	watched = pair[1];
	assert_true(recv(watched, root, size, 0) > 0);
}

void leftovers_remove(void)
{
	int status = -1;

	(void)close(watched);
	assert_int_equal(waitpid(watcher, &status, 0), watcher);
	assert_int_equal(status, 0);
}
