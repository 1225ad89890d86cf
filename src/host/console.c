/* SPDX-License-Identifier: Apache-2.0 */
#include "host/console.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/major.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>

#include "base/cleanup.h"
#include "base/fd.h"

#define PTMX_MINOR   2 /* of TTYAUX_MAJOR */
#define SLAVE_MAJORS 8 /* UNIX98_PTY_SLAVE_MAJOR and the seven after it */

/* A descriptor must be the character device that its name promises, on a devpts. */
static int verify_device(int fd, unsigned int first_major, unsigned int majors)
{
	struct statfs fs;
	struct stat st;

	if (fstatfs(fd, &fs) < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (fs.f_type != DEVPTS_SUPER_MAGIC || !S_ISCHR(st.st_mode) ||
	    major(st.st_rdev) < first_major || major(st.st_rdev) >= first_major + majors)
		return -EXDEV;
	if (first_major == TTYAUX_MAJOR && minor(st.st_rdev) != PTMX_MINOR)
		return -EXDEV;
	return 0;
}

/* runc clears ONLCR on a new terminal; everything else stays the kernel's default. */
static int clear_onlcr(int fd)
{
	struct termios settings;

	if (tcgetattr(fd, &settings) < 0)
		return -errno;
	settings.c_oflag &= ~(tcflag_t)ONLCR;
	return tcsetattr(fd, TCSANOW, &settings) < 0 ? -errno : 0;
}

int console_open_at(int devpts_dirfd, int *ret_master, int *ret_slave, struct err *err)
{
	AUTO_CLOSE int master = -EBADF;
	AUTO_CLOSE int slave = -EBADF;
	const int unlock = 0;
	int r;

	master = fd_open_resolve(devpts_dirfd, "ptmx", O_RDWR | O_NOCTTY | O_NOFOLLOW, 0,
				 RESOLVE_BENEATH | RESOLVE_NO_XDEV | RESOLVE_NO_SYMLINKS);
	if (master < 0)
		return err_sys(err, master, "open ptmx of the container's devpts");
	r = verify_device(master, TTYAUX_MAJOR, 1);
	if (r < 0)
		return err_sys(err, r, "ptmx of the container's devpts is not the pty multiplexer");
	if (ioctl(master, TIOCSPTLCK, &unlock) < 0)
		return err_sys(err, -errno, "unlock the new terminal");
	slave = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (slave < 0)
		return err_sys(err, -errno, "open the new terminal's peer");
	r = verify_device(slave, UNIX98_PTY_SLAVE_MAJOR, SLAVE_MAJORS);
	if (r < 0)
		return err_sys(err, r, "the new terminal's peer is no terminal of a devpts");
	r = clear_onlcr(slave);
	if (r < 0)
		return err_sys(err, r, "set the new terminal's modes");
	*ret_master = TAKE_FD(master);
	*ret_slave = TAKE_FD(slave);
	return 0;
}

int console_name(int master, char name[static CONSOLE_NAME_MAX])
{
	unsigned int number;

	if (ioctl(master, TIOCGPTN, &number) < 0)
		return -errno;
	(void)snprintf(name, CONSOLE_NAME_MAX, "/dev/pts/%u", number);
	return 0;
}

int console_set_size(int fd, uint64_t rows, uint64_t columns)
{
	const struct winsize size = { .ws_row = (unsigned short)rows,
				      .ws_col = (unsigned short)columns };

	if (rows > UINT16_MAX || columns > UINT16_MAX)
		return -ERANGE;
	if (rows == 0 && columns == 0)
		return 0;
	return ioctl(fd, TIOCSWINSZ, &size) < 0 ? -errno : 0;
}

int console_copy_size(int from, int to)
{
	struct winsize size;

	if (ioctl(from, TIOCGWINSZ, &size) < 0)
		return -errno;
	return ioctl(to, TIOCSWINSZ, &size) < 0 ? -errno : 0;
}

int console_raw(int fd, struct termios *saved)
{
	struct termios settings;

	if (tcgetattr(fd, &settings) < 0)
		return -errno;
	*saved = settings;
	cfmakeraw(&settings);
	/* The container's terminal makes its own line ends; the outer one must still go to
	 * column 1. */
	settings.c_oflag |= OPOST;
	return tcsetattr(fd, TCSANOW, &settings) < 0 ? -errno : 0;
}

int console_restore(int fd, const struct termios *saved)
{
	return tcsetattr(fd, TCSANOW, saved) < 0 ? -errno : 0;
}
