/* SPDX-License-Identifier: Apache-2.0 */
/* Pseudo terminals: line discipline, termios, sizes, hang-up. */
#include <poll.h>
#include <sys/ioctl.h>
#include <termios.h>

#include "harness.h"

static int master, slave;

static void open_pair(void)
{
	char name[64];
	int n, zero = 0;

	master = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (master < 0 && errno == ENOENT)
		SKIP("no /dev/ptmx");
	OK(master);
	OK(ioctl(master, TIOCGPTN, &n));
	OK(ioctl(master, TIOCSPTLCK, &zero));
	snprintf(name, sizeof(name), "/dev/pts/%d", n);
	slave = OK(open(name, O_RDWR | O_NOCTTY | O_CLOEXEC));
}

static void put(int fd, const char *text)
{
	CHECK_EQ(write(fd, text, strlen(text)), strlen(text));
}

/* Reads what is there within a second: exactly this. */
static void expect(int fd, const char *want)
{
	char buf[1024];
	size_t have = 0, len = strlen(want);

	while (have < len) {
		struct pollfd p = { fd, POLLIN, 0 };
		ssize_t n;

		if (poll(&p, 1, 5000) != 1)
			FAIL("\"%.*s\", wanted \"%s\"", (int)have, buf, want);
		n = OK(read(fd, buf + have, sizeof(buf) - 1 - have));
		CHECK(n > 0);
		have += (size_t)n;
	}
	buf[have] = 0;
	CHECK_STR(buf, want);
}

static void quiet(int fd)
{
	struct pollfd p = { fd, POLLIN, 0 };

	CHECK_EQ(poll(&p, 1, 0), 0);
}

/* Bytes go through a terminal in their own time: wait until they are there. */
static void wait_readable(int fd)
{
	struct pollfd p = { fd, POLLIN, 0 };

	CHECK_EQ(poll(&p, 1, 5000), 1);
}

static void set_flags(tcflag_t lclear, tcflag_t iclear, tcflag_t oclear)
{
	struct termios t;

	OK(tcgetattr(slave, &t));
	t.c_lflag &= ~lclear;
	t.c_iflag &= ~iclear;
	t.c_oflag &= ~oclear;
	OK(tcsetattr(slave, TCSANOW, &t));
}

TEST(defaults)
{
	struct termios t;

	open_pair();
	CHECK(isatty(master) && isatty(slave));
	OK(tcgetattr(slave, &t));
	CHECK_EQ(t.c_lflag & (ICANON | ECHO | ISIG | IEXTEN), ICANON | ECHO | ISIG | IEXTEN);
	CHECK_EQ(t.c_iflag & (ICRNL | IXON), ICRNL | IXON);
	CHECK_EQ(t.c_oflag & (OPOST | ONLCR), OPOST | ONLCR);
	CHECK_EQ(t.c_cc[VINTR], 3);
	CHECK_EQ(t.c_cc[VEOF], 4);
	CHECK_EQ(t.c_cc[VERASE], 127);
	CHECK_EQ(t.c_cc[VSUSP], 26);
	CHECK_EQ(t.c_cflag & CSIZE, CS8);
}

TEST(lines_and_echo)
{
	char buf[64];

	open_pair();
	put(master, "hel");
	expect(master, "hel");
	quiet(slave);
	put(master, "lo\r");
	expect(master, "lo\r\n");
	CHECK_EQ(read(slave, buf, 64), 6);
	CHECK(!memcmp(buf, "hello\n", 6));
}

TEST(one_line_at_a_time)
{
	char buf[64];

	open_pair();
	put(master, "one\ntwo\n");
	CHECK_EQ(read(slave, buf, 64), 4);
	CHECK_EQ(read(slave, buf, 2), 2);
	CHECK_EQ(read(slave, buf, 64), 2);
	quiet(slave);
}

TEST(editing)
{
	char buf[64];

	open_pair();
	set_flags(ECHO, 0, 0);
	put(master, "ab\177c\n");
	CHECK_EQ(read(slave, buf, 64), 3);
	CHECK(!memcmp(buf, "ac\n", 3));
	put(master, "some words\025x\n");
	CHECK_EQ(read(slave, buf, 64), 2);
	CHECK(!memcmp(buf, "x\n", 2));
	put(master, "one two\027\n");
	CHECK_EQ(read(slave, buf, 64), 5);
	CHECK(!memcmp(buf, "one \n", 5));
	put(master, "\026\003\n");
	CHECK_EQ(read(slave, buf, 64), 2);
	CHECK_EQ(buf[0], 3);
}

TEST(end_of_file)
{
	char buf[64];

	open_pair();
	set_flags(ECHO, 0, 0);
	put(master, "\004");
	CHECK_EQ(read(slave, buf, 64), 0);
	put(master, "ab\004");
	CHECK_EQ(read(slave, buf, 64), 2);
	put(master, "c\n");
	CHECK_EQ(read(slave, buf, 64), 2);
}

TEST(output_processing)
{
	open_pair();
	put(slave, "a\nb");
	expect(master, "a\r\nb");
	set_flags(0, 0, OPOST);
	put(slave, "a\nb");
	expect(master, "a\nb");
}

TEST(raw_mode)
{
	struct termios t;
	char buf[64];

	open_pair();
	OK(tcgetattr(slave, &t));
	cfmakeraw(&t);
	OK(tcsetattr(slave, TCSANOW, &t));
	put(master, "a\r\003\004\177");
	CHECK_EQ(read(slave, buf, 64), 5);
	CHECK(!memcmp(buf, "a\r\003\004\177", 5));
	quiet(master);
	CHECK_EQ(t.c_cc[VMIN], 1);
}

TEST(min_and_time)
{
	struct termios t;
	char buf[64];
	int64_t begin;
	pid_t pid;

	open_pair();
	OK(tcgetattr(slave, &t));
	cfmakeraw(&t);
	t.c_cc[VMIN] = 0;
	t.c_cc[VTIME] = 0;
	OK(tcsetattr(slave, TCSANOW, &t));
	CHECK_EQ(read(slave, buf, 64), 0);
	t.c_cc[VTIME] = 1;
	OK(tcsetattr(slave, TCSANOW, &t));
	begin = now_ns();
	CHECK_EQ(read(slave, buf, 64), 0);
	CHECK(now_ns() - begin >= 90 * MS_IN_NS);
	t.c_cc[VMIN] = 3;
	t.c_cc[VTIME] = 0;
	OK(tcsetattr(slave, TCSANOW, &t));
	put(master, "ab");
	CHILD (pid)
		CHECK_EQ(read(slave, buf, 64), 3);
	settle(pid);
	put(master, "c");
	wait_ok(pid);
}

TEST(input_translation)
{
	char buf[64];

	open_pair();
	set_flags(ECHO, ICRNL, 0);
	put(master, "a\rb\n");
	CHECK_EQ(read(slave, buf, 64), 4);
	CHECK(!memcmp(buf, "a\rb\n", 4));
}

TEST(window_size)
{
	struct winsize w = { 24, 80, 0, 0 };

	open_pair();
	OK(ioctl(slave, TIOCGWINSZ, &w));
	CHECK(w.ws_row == 0 && w.ws_col == 0);
	w = (struct winsize){ 50, 132, 1, 2 };
	OK(ioctl(master, TIOCSWINSZ, &w));
	memset(&w, 0, sizeof(w));
	OK(ioctl(slave, TIOCGWINSZ, &w));
	CHECK(w.ws_row == 50 && w.ws_col == 132 && w.ws_xpixel == 1 && w.ws_ypixel == 2);
	CHECK_ERRNO(ioctl(slave, TIOCSWINSZ, BAD_PTR), EFAULT);
	CHECK_ERRNO(ioctl(slave, TIOCGWINSZ, BAD_PTR), EFAULT);
}

TEST(bytes_waiting)
{
	int n = -1;

	open_pair();
	set_flags(ECHO, 0, 0);
	put(master, "abc");
	OK(ioctl(slave, FIONREAD, &n));
	CHECK_EQ(n, 0);
	put(master, "\n");
	wait_readable(slave);
	OK(ioctl(slave, FIONREAD, &n));
	CHECK_EQ(n, 4);
	put(slave, "12345");
	wait_readable(master);
	OK(ioctl(master, FIONREAD, &n));
	CHECK_EQ(n, 5);
}

TEST(flush)
{
	open_pair();
	set_flags(ECHO, 0, 0);
	put(master, "abc\n");
	wait_readable(slave);
	OK(tcflush(slave, TCIFLUSH));
	quiet(slave);
	CHECK_ERRNO(ioctl(slave, TCFLSH, 77), EINVAL);
}

TEST(slave_closed)
{
	char buf[8];
	struct pollfd p;

	open_pair();
	put(slave, "bye");
	OK(close(slave));
	expect(master, "bye");
	CHECK_ERRNO(read(master, buf, 8), EIO);
	p = (struct pollfd){ master, POLLIN, 0 };
	CHECK_EQ(poll(&p, 1, 0), 1);
	CHECK(p.revents & POLLHUP);
}

TEST(master_closed)
{
	char buf[8];
	struct pollfd p;

	open_pair();
	OK(close(master));
	CHECK_EQ(read(slave, buf, 8), 0);
	CHECK_ERRNO(write(slave, "x", 1), EIO);
	p = (struct pollfd){ slave, POLLIN, 0 };
	CHECK_EQ(poll(&p, 1, 0), 1);
	CHECK(p.revents & POLLHUP);
}

TEST(locked_until_unlocked)
{
	char name[64];
	int n, fd;

	open_pair();
	fd = OK(open("/dev/ptmx", O_RDWR | O_NOCTTY));
	OK(ioctl(fd, TIOCGPTN, &n));
	snprintf(name, sizeof(name), "/dev/pts/%d", n);
	CHECK_ERRNO(open(name, O_RDWR | O_NOCTTY), EIO);
	OK(unlockpt(fd));
	OK(open(name, O_RDWR | O_NOCTTY));
}

TEST(nodes_come_and_go)
{
	char name[64];
	int n;
	struct stat st;

	open_pair();
	OK(ioctl(master, TIOCGPTN, &n));
	snprintf(name, sizeof(name), "/dev/pts/%d", n);
	OK(stat(name, &st));
	CHECK(S_ISCHR(st.st_mode));
	CHECK_EQ(st.st_uid, getuid());
	CHECK_STR(ptsname(master), name);
	OK(close(slave));
	OK(close(master));
	CHECK_ERRNO(stat(name, &st), ENOENT);
}

TEST(peer_by_ioctl)
{
	int fd;

	open_pair();
	fd = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY);
	if (fd < 0 && (errno == EINVAL || errno == ENOTTY || errno == EIO))
		SKIP("no TIOCGPTPEER");
	OK(fd);
	put(fd, "peer");
	expect(master, "peer");
}

TEST(slaves_have_nothing_of_the_masters)
{
	int value = 1;

	open_pair();
	CHECK_ERRNO(ioctl(slave, TIOCGPTN, &value), ENOTTY);
	CHECK_ERRNO(ioctl(slave, TIOCSPTLCK, &value), ENOTTY);
	CHECK_ERRNO(ioctl(slave, TIOCPKT, &value), ENOTTY);
	CHECK_ERRNO(ioctl(slave, TIOCSIG, SIGTERM), ENOTTY);
}

TEST(packet_mode)
{
	char buf[64];
	int on = 1;

	open_pair();
	OK(ioctl(master, TIOCPKT, &on));
	put(slave, "data");
	CHECK_EQ(read(master, buf, 64), 5);
	CHECK_EQ(buf[0], TIOCPKT_DATA);
	CHECK(!memcmp(buf + 1, "data", 4));
	OK(tcflush(slave, TCIFLUSH));
	CHECK_EQ(read(master, buf, 64), 1);
	CHECK(buf[0] & TIOCPKT_FLUSHREAD);
}

TEST(nonblocking)
{
	char c;

	open_pair();
	OK(fcntl(slave, F_SETFL, O_RDWR | O_NONBLOCK));
	CHECK_ERRNO(read(slave, &c, 1), EAGAIN);
	OK(fcntl(master, F_SETFL, O_RDWR | O_NONBLOCK));
	CHECK_ERRNO(read(master, &c, 1), EAGAIN);
}

TEST(suspended_output)
{
	char buf[8];

	open_pair();
	set_flags(ECHO, 0, 0);
	OK(fcntl(master, F_SETFL, O_RDWR | O_NONBLOCK));
	OK(tcflow(slave, TCOOFF));
	OK(fcntl(slave, F_SETFL, O_RDWR | O_NONBLOCK));
	CHECK(write(slave, "x", 1) <= 0);
	CHECK_ERRNO(read(master, buf, 8), EAGAIN);
	OK(tcflow(slave, TCOON));
	put(slave, "y");
	expect(master, "y");
}
