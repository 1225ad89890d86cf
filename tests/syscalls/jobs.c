/* SPDX-License-Identifier: Apache-2.0 */
/* Controlling terminals and job control: foreground, SIGTTIN, SIGTTOU, SIGINT, SIGHUP, SIGWINCH. */
#include <sys/ioctl.h>
#include <termios.h>

#include "harness.h"

static int master, slave;

/* The case is a session leader without terminal: the slave becomes its terminal. */
static void take_terminal(void)
{
	int zero = 0;
	char name[64];
	int n;

	master = open("/dev/ptmx", O_RDWR | O_NOCTTY);
	if (master < 0 && errno == ENOENT)
		SKIP("no /dev/ptmx");
	OK(master);
	OK(ioctl(master, TIOCGPTN, &n));
	OK(ioctl(master, TIOCSPTLCK, &zero));
	snprintf(name, sizeof(name), "/dev/pts/%d", n);
	slave = OK(open(name, O_RDWR));
}

static void put(const char *text)
{
	CHECK_EQ(write(master, text, strlen(text)), strlen(text));
}

TEST(opening_takes_the_terminal)
{
	char buf[512];
	int tty = 0;

	take_terminal();
	CHECK_EQ(tcgetpgrp(slave), getpgrp());
	CHECK_EQ(tcgetsid(slave), getsid(0));
	OK(open("/dev/tty", O_RDWR));
	read_file("/proc/self/stat", buf, sizeof(buf));
	CHECK_EQ(sscanf(strrchr(buf, ')') + 1, " %*c %*d %*d %*d %d", &tty), 1);
	CHECK(tty != 0);
}

TEST(noctty_does_not)
{
	int fd = open("/dev/ptmx", O_RDWR | O_NOCTTY);

	if (fd < 0)
		SKIP("no /dev/ptmx");
	OK(unlockpt(fd));
	OK(open(ptsname(fd), O_RDWR | O_NOCTTY));
	CHECK_ERRNO(open("/dev/tty", O_RDWR), ENXIO);
}

TEST(by_ioctl_and_given_up)
{
	int fd = open("/dev/ptmx", O_RDWR | O_NOCTTY), s;

	if (fd < 0)
		SKIP("no /dev/ptmx");
	OK(unlockpt(fd));
	s = OK(open(ptsname(fd), O_RDWR | O_NOCTTY));
	CHECK_ERRNO(tcgetpgrp(s), ENOTTY);
	OK(ioctl(s, TIOCSCTTY, 0));
	CHECK_EQ(tcgetpgrp(s), getpgrp());
	on_signal(SIGHUP, count_signal, 0);
	OK(ioctl(s, TIOCNOTTY));
	CHECK_ERRNO(open("/dev/tty", O_RDWR), ENXIO);
	CHECK_ERRNO(tcgetpgrp(s), ENOTTY);
}

TEST(left_by_one_process)
{
	int fd = open("/dev/ptmx", O_RDWR | O_NOCTTY), s;
	pid_t pid, child;

	if (fd < 0)
		SKIP("no /dev/ptmx");
	OK(unlockpt(fd));
	s = OK(open(ptsname(fd), O_RDWR | O_NOCTTY));
	OK(ioctl(s, TIOCSCTTY, 0));
	on_signal(SIGHUP, count_signal, 0);
	CHILD (pid) {
		OK(ioctl(s, TIOCNOTTY));
		CHECK_ERRNO(open("/dev/tty", O_RDWR), ENXIO);
		CHECK_ERRNO(tcgetpgrp(s), ENOTTY);
		CHECK_ERRNO(ioctl(s, TIOCNOTTY), ENOTTY);
		/* Its children are born without. */
		CHILD (child)
			CHECK_ERRNO(open("/dev/tty", O_RDWR), ENXIO);
		wait_ok(child);
	}
	wait_ok(pid);
	/* The session keeps it, and nobody was told. */
	OK(close(OK(open("/dev/tty", O_RDWR))));
	CHECK_EQ(tcgetpgrp(s), getpgrp());
	CHECK_EQ(signals_seen, 0);
}

TEST(only_leaders_take)
{
	int fd = open("/dev/ptmx", O_RDWR | O_NOCTTY);
	pid_t pid;

	if (fd < 0)
		SKIP("no /dev/ptmx");
	OK(unlockpt(fd));
	CHILD (pid) {
		int s = OK(open(ptsname(fd), O_RDWR));

		CHECK_ERRNO(ioctl(s, TIOCSCTTY, 0), EPERM);
		CHECK_ERRNO(open("/dev/tty", O_RDWR), ENXIO);
	}
	wait_ok(pid);
}

TEST(not_stolen_from_another_session)
{
	pid_t pid;

	take_terminal();
	CHILD (pid) {
		OK(setsid());
		CHECK_ERRNO(ioctl(slave, TIOCSCTTY, 0), EPERM);
		CHECK_ERRNO(open("/dev/tty", O_RDWR), ENXIO);
		CHECK_ERRNO(tcgetpgrp(slave), ENOTTY);
	}
	wait_ok(pid);
}

TEST(interrupt_key)
{
	struct gate ready = gate_new();
	pid_t pid;

	take_terminal();
	on_signal(SIGTTOU, SIG_IGN, 0);
	CHILD (pid) {
		OK(setpgid(0, 0));
		OK(tcsetpgrp(slave, getpgrp()));
		gate_open(&ready);
		for (;;)
			pause();
	}
	gate_pass(&ready);
	put("\003");
	wait_signal(pid, SIGINT);
}

TEST(quit_and_suspend_keys)
{
	struct gate ready = gate_new();
	int status;
	pid_t pid;

	take_terminal();
	on_signal(SIGTTOU, SIG_IGN, 0);
	CHILD (pid) {
		OK(setpgid(0, 0));
		OK(tcsetpgrp(slave, getpgrp()));
		gate_open(&ready);
		for (;;)
			pause();
	}
	gate_pass(&ready);
	put("\032");
	CHECK_EQ(waitpid(pid, &status, WUNTRACED), pid);
	CHECK(WIFSTOPPED(status) && WSTOPSIG(status) == SIGTSTP);
	OK(kill(pid, SIGCONT));
	put("\034");
	wait_signal(pid, SIGQUIT);
}

TEST(keys_reach_the_foreground_only)
{
	struct gate ready = gate_new();
	pid_t back, fore;

	take_terminal();
	on_signal(SIGINT, count_signal, 0);
	on_signal(SIGTTOU, SIG_IGN, 0);
	CHILD (back) {
		OK(setpgid(0, 0));
		on_signal(SIGINT, SIG_DFL, 0);
		gate_open(&ready);
		for (;;)
			pause();
	}
	gate_pass(&ready);
	CHILD (fore) {
		on_signal(SIGINT, SIG_DFL, 0);
		OK(setpgid(0, 0));
		OK(tcsetpgrp(slave, getpgrp()));
		gate_open(&ready);
		for (;;)
			pause();
	}
	gate_pass(&ready);
	put("\003");
	wait_signal(fore, SIGINT);
	CHECK_EQ(waitpid(back, NULL, WNOHANG), 0);
	CHECK_EQ(signals_seen, 0);
	OK(kill(back, SIGKILL));
	wait_signal(back, SIGKILL);
}

TEST(background_read_stops)
{
	int status;
	pid_t pid;

	take_terminal();
	CHILD (pid) {
		char c;

		OK(setpgid(0, 0));
		CHECK_EQ(read(slave, &c, 1), 1);
		CHECK_EQ(c, 'z');
	}
	CHECK_EQ(waitpid(pid, &status, WUNTRACED), pid);
	CHECK(WIFSTOPPED(status) && WSTOPSIG(status) == SIGTTIN);
	on_signal(SIGTTOU, SIG_IGN, 0);
	OK(tcsetpgrp(slave, pid));
	OK(kill(-pid, SIGCONT));
	put("z\n");
	wait_ok(pid);
}

TEST(background_read_with_sigttin_ignored)
{
	pid_t pid;

	take_terminal();
	CHILD (pid) {
		char c;

		OK(setpgid(0, 0));
		on_signal(SIGTTIN, SIG_IGN, 0);
		CHECK_ERRNO(read(slave, &c, 1), EIO);
	}
	wait_ok(pid);
}

TEST(background_read_of_an_orphan)
{
	struct gate go = gate_new(), done = gate_new();
	pid_t pid, inner;
	char c = 0;

	take_terminal();
	CHILD (pid) {
		OK(setpgid(0, 0));
		inner = OK(fork());
		if (!inner) {
			gate_pass(&go);
			CHECK_ERRNO(read(slave, &c, 1), EIO);
			CHECK_EQ(write(done.fd[1], "d", 1), 1);
			_exit(0);
		}
	}
	wait_ok(pid);
	gate_open(&go);
	CHECK_EQ(read(done.fd[0], &c, 1), 1);
}

TEST(background_write_stops_with_tostop)
{
	struct termios t;
	int status;
	pid_t pid;

	take_terminal();
	CHILD (pid) {
		OK(setpgid(0, 0));
		CHECK_EQ(write(slave, "a", 1), 1);
	}
	wait_ok(pid);
	OK(tcgetattr(slave, &t));
	t.c_lflag |= TOSTOP;
	OK(tcsetattr(slave, TCSANOW, &t));
	CHILD (pid) {
		OK(setpgid(0, 0));
		CHECK_EQ(write(slave, "b", 1), 1);
	}
	CHECK_EQ(waitpid(pid, &status, WUNTRACED), pid);
	CHECK_EQ(WSTOPSIG(status), SIGTTOU);
	t.c_lflag &= ~TOSTOP;
	OK(tcsetattr(slave, TCSANOW, &t));
	OK(kill(-pid, SIGCONT));
	wait_ok(pid);
}

TEST(background_settings_stop)
{
	struct termios t;
	int status;
	pid_t pid;

	take_terminal();
	CHILD (pid) {
		OK(setpgid(0, 0));
		OK(tcgetattr(slave, &t));
		tcsetattr(slave, TCSANOW, &t);
	}
	CHECK_EQ(waitpid(pid, &status, WUNTRACED), pid);
	CHECK_EQ(WSTOPSIG(status), SIGTTOU);
	OK(kill(-pid, SIGKILL));
	wait_signal(pid, SIGKILL);
	CHILD (pid) {
		OK(setpgid(0, 0));
		tcsetpgrp(slave, getpgrp());
	}
	CHECK_EQ(waitpid(pid, &status, WUNTRACED), pid);
	CHECK_EQ(WSTOPSIG(status), SIGTTOU);
	OK(kill(-pid, SIGKILL));
	wait_signal(pid, SIGKILL);
}

TEST(foreground_group_errors)
{
	pid_t pid;

	take_terminal();
	CHECK_ERRNO(tcsetpgrp(slave, 0x3fffffff), ESRCH);
	CHECK_ERRNO(tcsetpgrp(slave, -1), EINVAL);
	/* A group of another session. */
	CHILD (pid) {
		OK(setsid());
		for (;;)
			pause();
	}
	for (int i = 0; i < 2000 && getsid(pid) != pid; i++)
		sleep_ms(1);
	CHECK_ERRNO(tcsetpgrp(slave, pid), EPERM);
	OK(kill(pid, SIGKILL));
	wait_status(pid);
}

TEST(resize_tells_the_foreground)
{
	struct winsize w = { 10, 20, 0, 0 };

	take_terminal();
	on_signal(SIGWINCH, count_signal, 0);
	OK(ioctl(master, TIOCSWINSZ, &w));
	for (int i = 0; i < 2000 && !signals_seen; i++)
		sleep_ms(1);
	CHECK_EQ(signals_seen, 1);
	/* The same size again is no news. */
	OK(ioctl(master, TIOCSWINSZ, &w));
	sleep_ms(5);
	CHECK_EQ(signals_seen, 1);
}

TEST(hangup_of_the_master)
{
	char c;

	take_terminal();
	on_signal(SIGHUP, count_signal, 0);
	on_signal(SIGCONT, count_signal, 0);
	OK(close(master));
	for (int i = 0; i < 2000 && signals_seen < 2; i++)
		sleep_ms(1);
	CHECK_EQ(signals_seen, 2);
	CHECK_EQ(read(slave, &c, 1), 0);
	CHECK_ERRNO(open("/dev/tty", O_RDWR), ENXIO);
}

TEST(end_of_the_leader_hangs_up)
{
	struct gate ready = gate_new(), done = gate_new();
	pid_t leader, inner;
	char c = 0;

	CHILD (leader) {
		OK(setsid());
		take_terminal();
		inner = OK(fork());
		if (!inner) {
			sigset_t set;

			sigemptyset(&set);
			sigaddset(&set, SIGHUP);
			OK(sigprocmask(SIG_BLOCK, &set, NULL));
			gate_open(&ready);
			CHECK_EQ(sigwaitinfo(&set, NULL), SIGHUP);
			/* Linux takes the terminal from the session after it has said so. */
			for (int i = 0, fd; i < 2000 && (fd = open("/dev/tty", O_RDWR)) >= 0; i++) {
				OK(close(fd));
				sleep_ms(1);
			}
			CHECK_ERRNO(open("/dev/tty", O_RDWR), ENXIO);
			CHECK_EQ(write(done.fd[1], "h", 1), 1);
			_exit(0);
		}
		gate_pass(&ready);
	}
	wait_ok(leader);
	CHECK_EQ(read(done.fd[0], &c, 1), 1);
}

TEST(no_signals_without_isig)
{
	struct termios t;
	char c = 0;

	take_terminal();
	on_signal(SIGINT, count_signal, 0);
	OK(tcgetattr(slave, &t));
	t.c_lflag &= ~(ISIG | ICANON);
	OK(tcsetattr(slave, TCSANOW, &t));
	put("\003");
	CHECK_EQ(read(slave, &c, 1), 1);
	CHECK_EQ(c, 3);
	CHECK_EQ(signals_seen, 0);
}

TEST(interrupt_flushes_input)
{
	char buf[16];

	take_terminal();
	on_signal(SIGINT, count_signal, SA_RESTART);
	put("typed\003after\n");
	CHECK_EQ(read(slave, buf, 16), 6);
	CHECK(!memcmp(buf, "after\n", 6));
	CHECK_EQ(signals_seen, 1);
}

TEST(read_is_interrupted_by_the_key)
{
	pid_t pid, self = getpid();
	char c;

	take_terminal();
	on_signal(SIGINT, count_signal, 0);
	CHILD (pid) {
		settle(self);
		put("\003");
	}
	CHECK_ERRNO(read(slave, &c, 1), EINTR);
	wait_ok(pid);
}
