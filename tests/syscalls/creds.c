/* SPDX-License-Identifier: Apache-2.0 */
/* setuid(2), setreuid(2), setresuid(2), setgid(2) and kin, setgroups(2), setfsuid(2). Raw: of one
 * thread. */
#include <grp.h>
#include <pthread.h>
#include <sys/prctl.h>

#include "harness.h"

#define SET(call, ...) syscall(SYS_##call, __VA_ARGS__)

static void uids_are(uid_t r, uid_t e, uid_t s)
{
	uid_t a, b, c;

	OK(getresuid(&a, &b, &c));
	CHECK_EQ(a, r);
	CHECK_EQ(b, e);
	CHECK_EQ(c, s);
}

static void gids_are(gid_t r, gid_t e, gid_t s)
{
	gid_t a, b, c;

	OK(getresgid(&a, &b, &c));
	CHECK_EQ(a, r);
	CHECK_EQ(b, e);
	CHECK_EQ(c, s);
}

TEST(root_sets_anything)
{
	need_root();
	OK(SET(setresgid, 10, 11, 12));
	gids_are(10, 11, 12);
	OK(SET(setresuid, 1, 0, 3));
	uids_are(1, 0, 3);
	OK(SET(setresuid, -1, -1, 0));
	uids_are(1, 0, 0);
	OK(SET(setresuid, 1, 2, 3));
	uids_are(1, 2, 3);
}

TEST(ordinary_user_swaps_its_three)
{
	need_root();
	OK(SET(setresuid, 1, 2, 3));
	CHECK_ERRNO(SET(setresuid, 0, -1, -1), EPERM);
	CHECK_ERRNO(SET(setresuid, -1, 0, -1), EPERM);
	CHECK_ERRNO(SET(setresuid, -1, -1, 9), EPERM);
	OK(SET(setresuid, 3, 1, 2));
	uids_are(3, 1, 2);
	OK(SET(setresuid, -1, 3, -1));
	uids_are(3, 3, 2);
}

TEST(setuid_of_root_drops_all)
{
	need_root();
	OK(SET(setgid, 500));
	gids_are(500, 500, 500);
	OK(SET(setuid, 600));
	uids_are(600, 600, 600);
	CHECK_ERRNO(SET(setuid, 0), EPERM);
	CHECK_ERRNO(SET(setgid, 0), EPERM);
	OK(SET(setuid, 600));
}

TEST(setuid_of_an_ordinary_user_changes_the_effective)
{
	need_root();
	OK(SET(setresuid, 1, 2, 3));
	OK(SET(setuid, 1));
	uids_are(1, 1, 3);
	OK(SET(setuid, 3));
	uids_are(1, 3, 3);
	CHECK_ERRNO(SET(setuid, 2), EPERM);
}

TEST(setreuid_and_the_saved_one)
{
	need_root();
	OK(SET(setreuid, -1, 5));
	/* The real one was not set and the effective differs from it: the saved one follows. */
	uids_are(0, 5, 5);
	OK(SET(setreuid, 5, 0));
	uids_are(5, 0, 0);
	OK(SET(setreuid, 7, 7));
	uids_are(7, 7, 7);
	CHECK_ERRNO(SET(setreuid, -1, 0), EPERM);
}

TEST(setregid_and_the_saved_one)
{
	need_root();
	OK(SET(setregid, 7, 8));
	gids_are(7, 8, 8);
	OK(SET(setresuid, 1, 1, 1));
	CHECK_ERRNO(SET(setregid, 9, -1), EPERM);
	OK(SET(setregid, 8, 7));
	gids_are(8, 7, 7);
}

TEST(filesystem_user)
{
	need_root();
	write_file("f", "");
	OK(chmod("f", 0600));
	CHECK_EQ(SET(setfsuid, 1000), 0);
	CHECK_EQ(SET(setfsuid, -1), 1000);
	CHECK_ERRNO(open("f", O_RDONLY), EACCES);
	CHECK_EQ(SET(setfsuid, 0), 1000);
	OK(open("f", O_RDONLY));
	CHECK_EQ(SET(setfsgid, 77), 0);
	CHECK_EQ(SET(setfsgid, 0), 77);
	/* The file system's user follows the effective one. */
	OK(SET(setresuid, 0, 2000, 0));
	CHECK_EQ(SET(setfsuid, -1), 2000);
}

TEST(groups)
{
	gid_t in[3] = { 300, 100, 200 }, out[3];

	need_root();
	OK(SET(setgroups, 3, in));
	CHECK_EQ(getgroups(3, out), 3);
	CHECK_ERRNO(getgroups(2, out), EINVAL);
	/* Linux keeps them sorted. */
	CHECK(out[0] == 100 && out[1] == 200 && out[2] == 300);
	OK(SET(setgroups, 0, NULL));
	CHECK_EQ(getgroups(0, NULL), 0);
	CHECK_ERRNO(SET(setgroups, 65537, in), EINVAL);
	CHECK_ERRNO(SET(setgroups, 3, BAD_PTR), EFAULT);
	OK(SET(setresuid, 1, 1, 1));
	CHECK_ERRNO(SET(setgroups, 0, NULL), EPERM);
}

TEST(minus_one_is_no_user)
{
	need_root();
	CHECK_ERRNO(SET(setuid, -1), EINVAL);
	CHECK_ERRNO(SET(setgid, -1), EINVAL);
	uids_are(0, 0, 0);
}

static void *drops(void *arg)
{
	OK(SET(setresuid, 5, 5, 5));
	CHECK_EQ(syscall(SYS_getuid), 5);
	return arg;
}

TEST(raw_calls_change_one_thread)
{
	pthread_t t;

	need_root();
	CHECK_EQ(pthread_create(&t, NULL, drops, NULL), 0);
	CHECK_EQ(pthread_join(t, NULL), 0);
	CHECK_EQ(syscall(SYS_getuid), 0);
}

struct shown {
	struct gate ready, end;
	uid_t uid;
};

static void *shows(void *arg)
{
	struct shown *s = arg;

	gate_open(&s->ready);
	gate_pass(&s->end);
	s->uid = (uid_t)syscall(SYS_getuid);
	return NULL;
}

TEST(the_library_changes_all_threads)
{
	struct shown s = { gate_new(), gate_new(), 9 };
	pthread_t t;

	need_root();
	CHECK_EQ(pthread_create(&t, NULL, shows, &s), 0);
	gate_pass(&s.ready);
	OK(setuid(1234));
	gate_open(&s.end);
	CHECK_EQ(pthread_join(t, NULL), 0);
	CHECK_EQ(s.uid, 1234);
}

TEST(change_clears_dumpable)
{
	need_root();
	CHECK_EQ(prctl(PR_GET_DUMPABLE), 1);
	OK(SET(setresuid, -1, 5, -1));
	CHECK(prctl(PR_GET_DUMPABLE) != 1);
}

int test_subject(int argc, char **argv)
{
	uid_t r, e, s;
	gid_t rg, eg, sg;

	getresuid(&r, &e, &s);
	getresgid(&rg, &eg, &sg);
	printf("%u %u %u %u %u %u\n", r, e, s, rg, eg, sg);
	fflush(stdout);
	return e == 0 ? 1 : e == 1000 ? 2 : 3;
}

TEST(set_uid_program)
{
	pid_t pid;
	int status;

	need_root();
	copy_self("prog");
	OK(chown("prog", 1000, 1000));
	OK(chmod("prog", 04755));
	CHILD (pid) {
		become_nobody();
		OK(dup2(OK(open("/dev/null", O_WRONLY)), 1));
		execl("./prog", "subject", NULL);
		_exit(77);
	}
	status = wait_status(pid);
	CHECK(WIFEXITED(status));
	/* Effective 1000, or 65534 on a file system without set-uid. */
	CHECK(WEXITSTATUS(status) == 2 || WEXITSTATUS(status) == 3);
	CHILD (pid) {
		become_nobody();
		OK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
		OK(dup2(OK(open("/dev/null", O_WRONLY)), 1));
		execl("./prog", "subject", NULL);
		_exit(77);
	}
	wait_exit(pid, 3);
}

TEST(exec_makes_the_saved_one_effective)
{
	pid_t pid;
	int fds[2];
	char buf[64] = "";

	need_root();
	copy_self("prog");
	OK(pipe(fds));
	CHILD (pid) {
		OK(SET(setresgid, 4, 5, 6));
		OK(SET(setresuid, 1, 2, 3));
		OK(dup2(fds[1], 1));
		execl("./prog", "subject", NULL);
		_exit(77);
	}
	wait_exit(pid, 3);
	CHECK(read(fds[0], buf, sizeof(buf) - 1) > 0);
	CHECK_STR(buf, "1 2 2 4 5 5\n");
}
