/* SPDX-License-Identifier: Apache-2.0 */
#include "qemu/devices.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "lib/unit.h"

/* A file system with one file. */
int make_disk(const char *type, int flags)
{
	const bool erofs = strcmp(type, "erofs") == 0;
	char dir[] = "/tmp/caisson-test-disk-XXXXXX", path[64], file[64], line[512];
	int fd;

	assert_non_null(mkdtemp(dir));
	(void)snprintf(path, sizeof(path), "%s.img", dir);
	(void)snprintf(file, sizeof(file), "%s/greeting", dir);
	fd = open(file, O_WRONLY | O_CREAT | O_EXCL, 0644);
	assert_int_equal(fd_write_all(fd, "hello from a disk\n", 18), 0);
	(void)close(fd);
	if (erofs)
		(void)snprintf(line, sizeof(line), "mkfs.erofs %s %s >/dev/null 2>&1", path, dir);
	else
		(void)snprintf(line, sizeof(line), "mke2fs -q -t ext4 -d %s %s 8M", dir, path);
	assert_int_equal(system(line), 0);
	fd = open(path, flags | O_CLOEXEC);
	assert_true(fd > 2);
	(void)unlink(path);
	(void)unlink(file);
	(void)rmdir(dir);
	return fd;
}

/* A tap device with 192.0.2.1/24 in a network namespace of its own; the descriptors. */
void make_net(int *ret_ns, int *ret_tap, int *ret_echo)
{
	struct ifreq ifr = { .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR };
	struct sockaddr_in *in = (struct sockaddr_in *)&ifr.ifr_addr;
	const struct sockaddr_in any = { .sin_family = AF_INET, .sin_port = htons(7) };
	const int home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	int sock;

	assert_true(home >= 0);
	assert_int_equal(unshare(CLONE_NEWNET), 0);
	*ret_ns = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	*ret_tap = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
	assert_true(*ret_tap > 2);
	(void)snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "tap0");
	assert_int_equal(ioctl(*ret_tap, TUNSETIFF, &ifr), 0);
	sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	in->sin_family = AF_INET;
	in->sin_addr.s_addr = htonl(0xc0000201);
	assert_int_equal(ioctl(sock, SIOCSIFADDR, &ifr), 0);
	in->sin_addr.s_addr = htonl(0xffffff00);
	assert_int_equal(ioctl(sock, SIOCSIFNETMASK, &ifr), 0);
	ifr.ifr_flags = IFF_UP | IFF_RUNNING;
	assert_int_equal(ioctl(sock, SIOCSIFFLAGS, &ifr), 0);
	assert_int_equal(bind(sock, (const struct sockaddr *)&any, sizeof(any)), 0);
	*ret_echo = sock;
	assert_int_equal(setns(home, CLONE_NEWNET), 0);
	(void)close(home);
}

pid_t start_echo(int sock)
{
	const pid_t pid = fork();

	assert_true(pid >= 0);
	while (pid == 0) {
		struct sockaddr_storage from;
		socklen_t len = sizeof(from);
		char bytes[64];
		const ssize_t n =
			recvfrom(sock, bytes, sizeof(bytes), 0, (struct sockaddr *)&from, &len);

		if (n < 0 || sendto(sock, bytes, (size_t)n, 0, (struct sockaddr *)&from, len) < 0)
			_exit(1);
	}
	return pid;
}

#define VIRTIOFSD "/usr/lib/qemu/virtiofsd"

/* virtiofsd for one directory, listening; *ret is a connection to it. */
pid_t start_files(const char *dir, int *ret)
{
	char source[80], fd[32], path[80];
	const int listening = socket(AF_UNIX, SOCK_STREAM, 0);
	struct sockaddr_un_path {
		sa_family_t family;
		char path[108];
	} name = { .family = AF_UNIX };
	pid_t pid;

	(void)snprintf(path, sizeof(path), "%s.sock", dir);
	(void)snprintf(name.path, sizeof(name.path), "%s", path);
	(void)snprintf(source, sizeof(source), "source=%s", dir);
	(void)snprintf(fd, sizeof(fd), "--fd=%d", listening);
	assert_int_equal(bind(listening, (struct sockaddr *)&name, sizeof(name)), 0);
	assert_int_equal(listen(listening, 1), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		(void)execl(VIRTIOFSD, "virtiofsd", fd, "-o", source, "-o", "sandbox=chroot",
			    (char *)NULL);
		_exit(127);
	}
	*ret = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(*ret, (struct sockaddr *)&name, sizeof(name)), 0);
	(void)close(listening);
	(void)unlink(path);
	return pid;
}

bool has_virtiofsd(void)
{
	return access(VIRTIOFSD, X_OK) == 0;
}
