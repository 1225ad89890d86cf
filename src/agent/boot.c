/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/boot.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "agent/devices.h"
#include "base/buf.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/str.h"
#include "host/netdev.h"

#define MODULES	     "/modules"
#define PORTS	     "/sys/class/virtio-ports"
#define PORT_NAME    64	 /* bytes of a port's name */
#define PORT_WAIT_MS 100 /* between two looks, should the kernel's word have been missed */

/* ---- Mounts --------------------------------------------------------------------------------- */

static int mount_at(const char *type, const char *target, unsigned long flags, struct err *err)
{
	if (mkdir(target, 0755) < 0 && errno != EEXIST)
		return err_sys(err, -errno, "mkdir %s", target);
	if (mount(type, target, type, flags, NULL) < 0 && errno != EBUSY)
		return err_sys(err, -errno, "mount %s at %s", type, target);
	return 0;
}

/*
 * The initramfs is the kernel's first mount, which has no parent and which pivot_root(2) of a
 * container could not leave: a second mount of it becomes the root directory.
 */
static int make_root(struct err *err)
{
	static const char *const directories[] = { "/dev", "/proc", "/sys", "/run", "/tmp" };

	for (size_t i = 0; i < ARRAY_LEN(directories); i++) {
		if (mkdir(directories[i], 0755) < 0 && errno != EEXIST)
			return err_sys(err, -errno, "mkdir %s", directories[i]);
	}
	if (mount("/", "/run", NULL, MS_BIND, NULL) < 0 || chdir("/run") < 0 ||
	    mount(".", "/", NULL, MS_MOVE, NULL) < 0 || chroot(".") < 0 || chdir("/") < 0)
		return err_sys(err, -errno, "make a root directory");
	return 0;
}

/* The kernel left the console at 0, 1 and 2, or nothing. */
static int silence(struct err *err)
{
	AUTO_CLOSE int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (null < 0)
		return err_sys(err, -errno, "open /dev/null");
	for (int fd = 0; fd <= 2; fd++) {
		if (null != fd && dup2(null, fd) < 0)
			return err_sys(err, -errno, "duplicate /dev/null");
	}
	if (null <= 2)
		(void)TAKE_FD(null);
	return 0;
}

int boot_early(struct err *err)
{
	int r = make_root(err);
	int log;

	(void)umask(022);
	if (r == 0)
		r = mount_at("devtmpfs", "/dev", MS_NOSUID | MS_NOEXEC, err);
	if (r == 0)
		r = silence(err);
	if (r < 0)
		return r;
	log = open("/dev/kmsg", O_WRONLY | O_CLOEXEC);
	if (log >= 0)
		log_setup(log, false, LOG_LEVEL_INFO);
	return mount_at("sysfs", "/sys", MS_NOSUID | MS_NODEV | MS_NOEXEC, err);
}

/* ---- Modules -------------------------------------------------------------------------------- */

static int load_module(int dir, const char *name, struct err *err)
{
	AUTO_CLOSE int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
	int r = 0;

	if (fd < 0 || syscall(SYS_finit_module, fd, "", 0) < 0)
		r = -errno;
	/* Built in, or of a device that this machine has not. */
	if (r < 0 && r != -EEXIST && r != -ENODEV)
		return err_sys(err, r, "load the module %s", name);
	(void)unlinkat(dir, name, 0);
	return 0;
}

int boot_load_modules(struct err *err)
{
	AUTO_CLOSE int dir = open(MODULES, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct dirent **names = NULL;
	int n, r = 0;

	if (dir < 0)
		return errno == ENOENT ? 0 : err_sys(err, -errno, "open " MODULES);
	n = scandir(MODULES, &names, NULL, alphasort);
	if (n < 0)
		return err_sys(err, -errno, "read " MODULES);
	for (int i = 0; i < n; i++) {
		if (r == 0 && names[i]->d_name[0] != '.')
			r = load_module(dir, names[i]->d_name, err);
		free(names[i]);
	}
	free(names);
	return r;
}

/* ---- Before the first container ------------------------------------------------------------- */

/* Every controller that the kernel has may be used below the top. */
static int delegate_controllers(struct err *err)
{
	AUTO_BUF struct buf list = { .max = 4096 };
	char *rest = NULL;
	int r = fd_read_file(AT_FDCWD, "/sys/fs/cgroup/cgroup.controllers", &list);

	if (r < 0)
		return err_sys(err, r, "read /sys/fs/cgroup/cgroup.controllers");
	for (char *name = list.data ? strtok_r(list.data, " \n", &rest) : NULL; name;
	     name = strtok_r(NULL, " \n", &rest)) {
		char word[64];

		(void)snprintf(word, sizeof(word), "+%s", name);
		r = fd_write_file(AT_FDCWD, "/sys/fs/cgroup/cgroup.subtree_control", word);
		if (r < 0)
			log_warning("cgroup controller %s: %s", name, strerrordesc_np(-r));
	}
	return 0;
}

int boot_prepare(struct err *err)
{
	int r = mount_at("proc", "/proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, err);

	if (r == 0)
		r = mount_at("cgroup2", "/sys/fs/cgroup", MS_NOSUID | MS_NODEV | MS_NOEXEC, err);
	if (r == 0)
		r = delegate_controllers(err);
	if (r == 0)
		r = netdev_loopback_up(err);
	/*
	 * What a container takes is limited by its cgroup. The kernel's guess would refuse one
	 * allocation above the memory of a small machine where a large host grants it.
	 */
	if (r == 0)
		r = fd_write_file(AT_FDCWD, "/proc/sys/vm/overcommit_memory", "1");
	return r;
}

/* ---- The port ------------------------------------------------------------------------------- */

/* Whether the port of this directory of sysfs has the name. */
static bool is_named(int ports, const char *port, const char *name)
{
	char path[300], text[PORT_NAME + 1];
	AUTO_CLOSE int fd = -EBADF;
	ssize_t n;

	(void)snprintf(path, sizeof(path), "%s/name", port);
	fd = openat(ports, path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, text, PORT_NAME);
	if (n <= 0)
		return false;
	text[n] = '\0';
	text[strcspn(text, "\n")] = '\0';
	return str_eq(text, name);
}

/* -ENOENT: there is none yet. */
static int open_named(const char *name)
{
	DIR *dir = opendir(PORTS);
	const struct dirent *e;
	int fd = -ENOENT;

	while (dir && fd < 0 && (e = readdir(dir)) != NULL) {
		char path[300];

		if (e->d_name[0] == '.' || !is_named(dirfd(dir), e->d_name, name))
			continue;
		(void)snprintf(path, sizeof(path), "/dev/%s", e->d_name);
		fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
		if (fd < 0)
			fd = -errno;
	}
	if (dir)
		(void)closedir(dir);
	return fd;
}

/* Until the host's end is there, the port is hung up. */
static void await_host(int port)
{
	struct pollfd p = { .fd = port, .events = POLLOUT };

	while (poll(&p, 1, PORT_WAIT_MS) <= 0 || p.revents & POLLHUP)
		(void)poll(NULL, 0, 1);
}

int boot_open_port(const char *name, struct err *err)
{
	AUTO_CLOSE int events = -EBADF;
	int fd = open_named(name);

	if (fd == -ENOENT) {
		events = devices_listen();
		while ((fd = open_named(name)) == -ENOENT)
			devices_hear(events, PORT_WAIT_MS);
	}
	if (fd < 0)
		return err_sys(err, fd, "open the port %s", name);
	await_host(fd);
	return fd;
}

/* ---- The end -------------------------------------------------------------------------------- */

static void say(const char *text)
{
	/* The kernel brings what has this level to the console even when it is quiet. */
	char line[ERR_MSG_MAX + 64];
	AUTO_CLOSE int fd = open("/dev/kmsg", O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		fd = open("/dev/console", O_WRONLY | O_NOCTTY | O_CLOEXEC);
	(void)snprintf(line, sizeof(line), "<2>caisson-agent: %s\n", text);
	if (fd < 0 || write(fd, line, strlen(line)) < 0)
		log_error("%s", text);
}

/* The machine ends by its reset: QEMU runs with -no-reboot. */
__attribute__((noreturn)) static void reset(void)
{
	(void)reboot(RB_AUTOBOOT);
	for (;;)
		(void)pause();
}

void boot_fail(const struct err *err)
{
	say(err->msg);
	reset();
}

void boot_end(void)
{
	reset();
}
