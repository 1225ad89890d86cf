/* SPDX-License-Identifier: Apache-2.0 */
/* File systems of the host's kernel below a volume, whose directories others rename. */
#include "ns/rootfs_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "runtime/vm/share_cover.h"

#define ROUNDS 200

static void mount_in(const struct fixture *fx, const char *type, const char *name)
{
	char path[128];

	(void)snprintf(path, sizeof(path), "%s/%s", fx->dir, name);
	EXPECT(mount(type, path, type, 0, NULL) == 0);
}

/* A clone of "host/v" with all below, at "tree/7". */
static int attach(const struct fixture *fx)
{
	char from[128], to[128];
	int fd;

	(void)snprintf(from, sizeof(from), "%s/host/v", fx->dir);
	(void)snprintf(to, sizeof(to), "%s/tree/7", fx->dir);
	fd = open_tree(AT_FDCWD, from, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);
	EXPECT(fd >= 0 && move_mount(fd, "", AT_FDCWD, to, MOVE_MOUNT_F_EMPTY_PATH) == 0);
	return fd;
}

static void detach(const struct fixture *fx, int fd)
{
	char to[128];

	(void)snprintf(to, sizeof(to), "%s/tree/7", fx->dir);
	EXPECT(close(fd) == 0 && umount2(to, MNT_DETACH) == 0);
}

static int cover(struct fixture *fx, int top)
{
	AUTO_BUF struct buf mountinfo = { 0 };
	char name[SHARE_COVER_NAME_MAX] = "", tree[128];
	int fd, r;

	fx->err = (struct err){ 0 };
	(void)snprintf(tree, sizeof(tree), "%s/tree", fx->dir);
	fd = open(tree, O_PATH | O_DIRECTORY | O_CLOEXEC);
	EXPECT(fd >= 0);
	EXPECT_OK(fx, share_cover_kernels(top, "host/v", &mountinfo, &fx->err));
	r = share_cover_again(fd, name);
	EXPECT(r != -EBUSY || strcmp(name, "7") == 0);
	(void)close(fd);
	return r;
}

/* Whether the file below `top`, or what is mounted there, is of the kernel; false: there is none.
 */
static bool is_seen(int top, const char *name)
{
	const int fd = openat(top, name, O_PATH | O_CLOEXEC);
	const bool seen = fd >= 0 && share_is_of_kernel(fd);

	if (fd >= 0)
		(void)close(fd);
	return seen;
}

static void make_volume(const struct fixture *fx)
{
	make_dir(fx, "tree");
	mount_in(fx, "tmpfs", "tree");
	make_dir(fx, "tree/7");
	make_dir(fx, "host/v");
	make_dir(fx, "host/v/a");
	make_dir(fx, "host/v/a/d");
	mount_in(fx, "mqueue", "host/v/a/d");
}

static void renames_body(struct fixture *fx)
{
	char a[128], b[128];
	pid_t pid;
	int status, covered = 0;

	make_volume(fx);
	(void)snprintf(a, sizeof(a), "%s/host/v/a", fx->dir);
	(void)snprintf(b, sizeof(b), "%s/host/b", fx->dir);
	pid = fork();
	EXPECT(pid >= 0);
	while (pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		(void)rename(a, b);
		(void)rename(b, a);
	}
	for (int i = 0; i < ROUNDS; i++) {
		const int top = attach(fx), r = cover(fx, top);

		EXPECT(r == 0 || r == -EBUSY);
		covered += r == 0;
		EXPECT(kill(pid, SIGSTOP) == 0 && waitpid(pid, &status, WUNTRACED) == pid);
		EXPECT(WIFSTOPPED(status));
		/* Where it is now, and where it comes back to. */
		if (access(a, F_OK) < 0)
			EXPECT(rename(b, a) == 0);
		EXPECT(r < 0 || !is_seen(top, "a/d"));
		detach(fx, top);
		EXPECT(kill(pid, SIGCONT) == 0);
	}
	EXPECT(covered > 0);
	EXPECT(kill(pid, SIGKILL) == 0 && waitpid(pid, &status, 0) == pid);
}

static void what_is_renamed_meanwhile_is_covered_or_refused(void **state)
{
	(void)state;
	in_child(renames_body);
}

static void away_body(struct fixture *fx)
{
	char a[128], b[128];
	int top;

	make_volume(fx);
	(void)snprintf(a, sizeof(a), "%s/host/v/a", fx->dir);
	(void)snprintf(b, sizeof(b), "%s/host/b", fx->dir);
	top = attach(fx);
	EXPECT(is_seen(top, "a/d"));
	/* No path leads there, until it comes back. */
	EXPECT(rename(a, b) == 0);
	EXPECT(cover(fx, top) == -EBUSY);
	EXPECT(rename(b, a) == 0);
	EXPECT(cover(fx, top) == 0);
	EXPECT(!is_seen(top, "a/d"));
	EXPECT(cover(fx, top) == 0);
	detach(fx, top);
}

static void what_no_path_leads_to_is_refused(void **state)
{
	(void)state;
	in_child(away_body);
}

static void hidden_body(struct fixture *fx)
{
	int top;

	make_volume(fx);
	/* Twice at one place; and below another directory's mount, out of which it could come. */
	mount_in(fx, "sysfs", "host/v/a/d");
	top = attach(fx);
	EXPECT(cover(fx, top) == 0);
	EXPECT(!is_seen(top, "a/d"));
	detach(fx, top);
	mount_in(fx, "tmpfs", "host/v/a");
	top = attach(fx);
	EXPECT(cover(fx, top) == -EBUSY);
	detach(fx, top);
	mount_in(fx, "tmpfs", "host/v");
	top = attach(fx);
	EXPECT(cover(fx, top) == 0);
	detach(fx, top);
}

static void what_a_mount_hides_is_refused_where_it_could_come_out(void **state)
{
	(void)state;
	in_child(hidden_body);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_renamed_meanwhile_is_covered_or_refused),
		cmocka_unit_test(what_no_path_leads_to_is_refused),
		cmocka_unit_test(what_a_mount_hides_is_refused_where_it_could_come_out),
	};

	return cmocka_run_group_tests_name("runtime/share_cover", tests, NULL, NULL);
}
