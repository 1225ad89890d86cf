/* SPDX-License-Identifier: Apache-2.0 */
/* inotify_init(2), inotify_add_watch(2), inotify_rm_watch(2). */
#include <poll.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>

#include "harness.h"

static char buffer[8192];
static size_t have, at;

/* The next event, which must be there. */
static struct inotify_event *next(int fd)
{
	struct inotify_event *e;

	if (at == have) {
		struct pollfd p = { fd, POLLIN, 0 };

		if (poll(&p, 1, 5000) != 1)
			FAIL("no event came");
		have = (size_t)OK(read(fd, buffer, sizeof(buffer)));
		at = 0;
	}
	e = (struct inotify_event *)(buffer + at);
	at += sizeof(*e) + e->len;
	CHECK(at <= have);
	return e;
}

static void expect(int fd, int wd, uint32_t mask, const char *name)
{
	struct inotify_event *e = next(fd);

	if (e->mask != mask || e->wd != wd || strcmp(e->len ? e->name : "", name))
		FAIL("event %#x of %d \"%s\", wanted %#x of %d \"%s\"", e->mask, e->wd,
		     e->len ? e->name : "", mask, wd, name);
}

static void none(int fd)
{
	int n = -1;

	OK(ioctl(fd, FIONREAD, &n));
	CHECK_EQ(n + (int)(have - at), 0);
}

TEST(names_in_a_directory)
{
	int fd = OK(inotify_init1(IN_CLOEXEC | IN_NONBLOCK)), wd, f;

	CHECK_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
	wd = OK(inotify_add_watch(fd, ".", IN_ALL_EVENTS));
	CHECK_EQ(wd, 1);
	f = OK(open("a", O_CREAT | O_WRONLY, 0600));
	expect(fd, wd, IN_CREATE, "a");
	expect(fd, wd, IN_OPEN, "a");
	CHECK_EQ(write(f, "x", 1), 1);
	expect(fd, wd, IN_MODIFY, "a");
	OK(close(f));
	expect(fd, wd, IN_CLOSE_WRITE, "a");
	OK(chmod("a", 0640));
	expect(fd, wd, IN_ATTRIB, "a");
	OK(unlink("a"));
	expect(fd, wd, IN_DELETE, "a");
	OK(mkdir("d", 0700));
	expect(fd, wd, IN_CREATE | IN_ISDIR, "d");
	OK(rmdir("d"));
	expect(fd, wd, IN_DELETE | IN_ISDIR, "d");
	none(fd);
}

TEST(moves_carry_a_cookie)
{
	int fd = OK(inotify_init1(IN_NONBLOCK)), a, b;
	struct inotify_event *e;
	uint32_t cookie;

	OK(mkdir("a", 0700));
	OK(mkdir("b", 0700));
	write_file("a/f", "");
	a = OK(inotify_add_watch(fd, "a", IN_MOVE));
	b = OK(inotify_add_watch(fd, "b", IN_MOVE));
	OK(rename("a/f", "b/g"));
	e = next(fd);
	CHECK(e->wd == a && e->mask == IN_MOVED_FROM && !strcmp(e->name, "f"));
	cookie = e->cookie;
	CHECK(cookie != 0);
	e = next(fd);
	CHECK(e->wd == b && e->mask == IN_MOVED_TO && !strcmp(e->name, "g"));
	CHECK_EQ(e->cookie, cookie);
	none(fd);
}

TEST(the_file_itself)
{
	int fd, wd, f;

	write_file("f", "12345");
	fd = OK(inotify_init1(IN_NONBLOCK));
	wd = OK(inotify_add_watch(
		fd, "f", IN_MODIFY | IN_ATTRIB | IN_DELETE_SELF | IN_MOVE_SELF | IN_ACCESS));
	f = OK(open("f", O_RDWR));
	CHECK_EQ(read(f, buffer, 2), 2);
	expect(fd, wd, IN_ACCESS, "");
	OK(ftruncate(f, 1));
	expect(fd, wd, IN_MODIFY, "");
	OK(rename("f", "g"));
	expect(fd, wd, IN_MOVE_SELF, "");
	OK(close(f));
	OK(unlink("g"));
	expect(fd, wd, IN_ATTRIB, "");
	expect(fd, wd, IN_DELETE_SELF, "");
	expect(fd, wd, IN_IGNORED, "");
	none(fd);
}

TEST(truncation_by_open)
{
	int fd, wd;

	write_file("f", "12345");
	fd = OK(inotify_init1(IN_NONBLOCK));
	wd = OK(inotify_add_watch(fd, "f", IN_MODIFY));
	OK(open("f", O_WRONLY | O_TRUNC));
	expect(fd, wd, IN_MODIFY, "");
	OK(truncate("f", 100));
	expect(fd, wd, IN_MODIFY, "");
}

TEST(removing_a_watch)
{
	int fd = OK(inotify_init()), wd = OK(inotify_add_watch(fd, ".", IN_CREATE));

	OK(inotify_rm_watch(fd, wd));
	expect(fd, wd, IN_IGNORED, "");
	CHECK_ERRNO(inotify_rm_watch(fd, wd), EINVAL);
	write_file("f", "");
	none(fd);
	/* Numbers are not used again. */
	CHECK_EQ(inotify_add_watch(fd, ".", IN_CREATE), wd + 1);
}

TEST(same_object_same_watch)
{
	int fd = OK(inotify_init()), wd = OK(inotify_add_watch(fd, ".", IN_CREATE));

	CHECK_EQ(inotify_add_watch(fd, "./.", IN_DELETE), wd);
	write_file("f", "");
	none(fd);
	CHECK_EQ(inotify_add_watch(fd, ".", IN_CREATE | IN_MASK_ADD), wd);
	OK(unlink("f"));
	expect(fd, wd, IN_DELETE, "f");
	CHECK_ERRNO(inotify_add_watch(fd, ".", IN_CREATE | IN_MASK_CREATE), EEXIST);
}

TEST(flags)
{
	int fd = OK(inotify_init()), wd;

	write_file("f", "");
	CHECK_ERRNO(inotify_add_watch(fd, "f", IN_CREATE | IN_ONLYDIR), ENOTDIR);
	wd = OK(inotify_add_watch(fd, ".", IN_CREATE | IN_ONESHOT));
	write_file("a", "");
	write_file("b", "");
	expect(fd, wd, IN_CREATE, "a");
	expect(fd, wd, IN_IGNORED, "");
	none(fd);
	OK(symlink("f", "l"));
	wd = OK(inotify_add_watch(fd, "l", IN_ATTRIB | IN_DONT_FOLLOW));
	OK(chmod("f", 0600));
	none(fd);
}

TEST(errors)
{
	int fd = OK(inotify_init()), null = OK(open("/dev/null", O_RDONLY));

	CHECK_ERRNO(inotify_init1(1), EINVAL);
	CHECK_ERRNO(inotify_add_watch(fd, "none", IN_CREATE), ENOENT);
	CHECK_ERRNO(inotify_add_watch(fd, ".", 0), EINVAL);
	CHECK_ERRNO(inotify_add_watch(99, ".", IN_CREATE), EBADF);
	CHECK_ERRNO(inotify_add_watch(null, ".", IN_CREATE), EINVAL);
	CHECK_ERRNO(inotify_add_watch(fd, BAD_PTR, IN_CREATE), EFAULT);
	CHECK_ERRNO(inotify_rm_watch(fd, 77), EINVAL);
	CHECK_ERRNO(inotify_rm_watch(99, 1), EBADF);
	CHECK_ERRNO(inotify_rm_watch(null, 1), EINVAL);
	fd = OK(inotify_init1(IN_NONBLOCK));
	CHECK_ERRNO(read(fd, buffer, 100), EAGAIN);
}

TEST(small_buffer)
{
	int fd = OK(inotify_init1(IN_NONBLOCK));

	OK(inotify_add_watch(fd, ".", IN_CREATE));
	write_file("f", "");
	CHECK_ERRNO(read(fd, buffer, 10), EINVAL);
	/* 16 bytes and a name of at least two, padded to 16. */
	CHECK_EQ(read(fd, buffer, 32), 32);
}

TEST(equal_events_are_merged)
{
	int fd = OK(inotify_init1(IN_NONBLOCK)), wd, f = OK(open("f", O_CREAT | O_WRONLY, 0600));

	wd = OK(inotify_add_watch(fd, "f", IN_MODIFY));
	for (int i = 0; i < 10; i++)
		CHECK_EQ(write(f, "x", 1), 1);
	expect(fd, wd, IN_MODIFY, "");
	none(fd);
}

TEST(blocking_read)
{
	int fd = OK(inotify_init());
	int wd = OK(inotify_add_watch(fd, ".", IN_CREATE));
	pid_t pid, self = getpid();

	CHILD (pid) {
		settle(self);
		write_file("late", "");
	}
	have = (size_t)OK(read(fd, buffer, sizeof(buffer)));
	expect(fd, wd, IN_CREATE, "late");
	wait_ok(pid);
}

TEST(links_of_names)
{
	int fd = OK(inotify_init1(IN_NONBLOCK)), wd;

	write_file("f", "");
	wd = OK(inotify_add_watch(fd, ".", IN_CREATE | IN_DELETE));
	OK(link("f", "g"));
	expect(fd, wd, IN_CREATE, "g");
	OK(symlink("f", "s"));
	expect(fd, wd, IN_CREATE, "s");
	OK(mkfifo("p", 0600));
	expect(fd, wd, IN_CREATE, "p");
	none(fd);
}
