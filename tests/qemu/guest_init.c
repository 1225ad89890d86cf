/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Process 1 of test guests: answers lines on the agent's port, one line each ("ok ..." or
 * "error NAME: reason"), so that a test sees what a machine really has:
 *   cpus | memory                     how many, how much (kB)
 *   read PATH N                       the first N bytes of a file or device, as far as printable
 *   write PATH TEXT                   at the beginning of it
 *   mount TYPE SOURCE FLAGS           on /mnt; "ro" or "rw"
 *   umount
 *   net NAME                          hardware address, and up with 192.0.2.2/24
 *   ping N                            N datagrams to 192.0.2.1 port 7 and back
 *   wait PATH | gone PATH             until it is there, or not
 *   wait-mount TYPE SOURCE FLAGS      mount, until it works
 *   fill N | drop                     N MiB of memory are written; and given back
 *   sleep N                           N milliseconds
 *   exit | oom | off                  how it may end
 */
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#define LINE_MAX_BYTES 4096

static int port = -1;

static void say(const char *fmt, ...)
{
	char line[LINE_MAX_BYTES];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(line, sizeof(line) - 1, fmt, ap);
	va_end(ap);
	line[n++] = '\n';
	if (write(port, line, (size_t)n) != n)
		_exit(3);
}

static void say_error(const char *what)
{
	say("error %s: %s", what, strerror(errno));
}

/* The agent's port, once its driver has made it. */
static int open_port(void)
{
	for (int tries = 0; tries < 3000; tries++) {
		for (int i = 0; i < 8; i++) {
			char path[64], name[64] = "";
			int fd;

			(void)snprintf(path, sizeof(path), "/sys/class/virtio-ports/vport0p%d/name",
				       i);
			fd = open(path, O_RDONLY);
			if (fd < 0)
				continue;
			(void)!read(fd, name, sizeof(name) - 1);
			close(fd);
			if (strncmp(name, "org.caisson.agent", 17) != 0)
				continue;
			(void)snprintf(path, sizeof(path), "/dev/vport0p%d", i);
			fd = open(path, O_RDWR);
			if (fd >= 0)
				return fd;
		}
		usleep(10000);
	}
	return -1;
}

static void do_read(const char *path, size_t want)
{
	char text[1024];
	const int fd = open(path, O_RDONLY);
	ssize_t n;

	if (fd < 0) {
		say_error(path);
		return;
	}
	n = read(fd, text, want < sizeof(text) - 1 ? want : sizeof(text) - 1);
	close(fd);
	if (n < 0) {
		say_error(path);
		return;
	}
	for (ssize_t i = 0; i < n; i++) {
		if (text[i] < ' ' || text[i] > '~')
			text[i] = '.';
	}
	text[n] = '\0';
	say("ok %s", text);
}

static void do_write(const char *path, const char *text)
{
	const int fd = open(path, O_WRONLY | O_CREAT, 0644);

	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text) || fsync(fd) < 0)
		say_error(path);
	else
		say("ok");
	if (fd >= 0)
		close(fd);
}

/* What the machine has that was not there when it was saved. */
static void do_rescan(void)
{
	const int fd = open("/sys/bus/pci/rescan", O_WRONLY);

	if (fd < 0 || write(fd, "1", 1) != 1)
		say_error("rescan");
	else
		say("ok");
	if (fd >= 0)
		close(fd);
}

static void do_net(const char *name)
{
	const int sock = socket(AF_INET, SOCK_DGRAM, 0);
	struct ifreq ifr = { 0 };
	struct sockaddr_in *in = (struct sockaddr_in *)&ifr.ifr_addr;
	const unsigned char *mac = (unsigned char *)ifr.ifr_hwaddr.sa_data;
	char text[32];

	(void)snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
	if (ioctl(sock, SIOCGIFHWADDR, &ifr) < 0) {
		say_error(name);
		return;
	}
	(void)snprintf(text, sizeof(text), "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2],
		       mac[3], mac[4], mac[5]);
	in->sin_family = AF_INET;
	in->sin_addr.s_addr = htonl(0xc0000202);
	if (ioctl(sock, SIOCSIFADDR, &ifr) < 0) {
		say_error("address");
		return;
	}
	in->sin_addr.s_addr = htonl(0xffffff00);
	(void)ioctl(sock, SIOCSIFNETMASK, &ifr);
	ifr.ifr_flags = IFF_UP | IFF_RUNNING;
	if (ioctl(sock, SIOCSIFFLAGS, &ifr) < 0)
		say_error("up");
	else
		say("ok %s", text);
	close(sock);
}

static void do_ping(int count)
{
	const int sock = socket(AF_INET, SOCK_DGRAM, 0);
	struct sockaddr_in to = { .sin_family = AF_INET,
				  .sin_port = htons(7),
				  .sin_addr.s_addr = htonl(0xc0000201) };
	int came = 0;

	for (int i = 0; i < 100 * count && came < count; i++) {
		struct pollfd p = { .fd = sock, .events = POLLIN };
		char byte = 'p';

		(void)!sendto(sock, &byte, 1, 0, (struct sockaddr *)&to, sizeof(to));
		if (poll(&p, 1, 300) > 0 && recv(sock, &byte, 1, 0) == 1)
			came++;
	}
	close(sock);
	say(came == count ? "ok" : "error %d came back", came);
}

static void do_wait(const char *path, int there)
{
	for (int i = 0; i < 30000; i++) {
		if ((access(path, F_OK) == 0) == there) {
			say("ok");
			return;
		}
		usleep(1000);
	}
	say_error(path);
}

static void do_mount(const char *type, const char *source, const char *flags, int tries)
{
	while (tries--) {
		if (mount(source, "/mnt", type, strcmp(flags, "ro") ? 0 : MS_RDONLY, NULL) == 0) {
			say("ok");
			return;
		}
		usleep(1000);
	}
	say_error(source);
}

static void eat_memory(void)
{
	for (;;) {
		char *p = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			       -1, 0);

		if (p != MAP_FAILED)
			memset(p, 1, 1 << 20);
	}
}

static char *filled;
static size_t filled_len;

static void do_fill(size_t mib)
{
	filled_len = mib << 20;
	filled = mmap(NULL, filled_len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (filled == MAP_FAILED) {
		say_error("fill");
		return;
	}
	memset(filled, 'f', filled_len);
	say("ok");
}

static void obey(char *line)
{
	char *word = strtok(line, " "), *a = strtok(NULL, " "), *b = strtok(NULL, " "),
	     *c = strtok(NULL, " ");
	struct sysinfo info;

	if (!word)
		return;
	if (!strcmp(word, "cpus"))
		say("ok %ld", sysconf(_SC_NPROCESSORS_ONLN));
	else if (!strcmp(word, "memory") && sysinfo(&info) == 0)
		say("ok %lu", info.totalram * info.mem_unit >> 10);
	else if (!strcmp(word, "read") && b)
		do_read(a, (size_t)atoi(b));
	else if (!strcmp(word, "write") && b)
		do_write(a, b);
	else if (!strcmp(word, "mount") && c)
		do_mount(a, b, c, 1);
	else if (!strcmp(word, "wait-mount") && c)
		do_mount(a, b, c, 30000);
	else if (!strcmp(word, "umount")) {
		if (umount("/mnt") < 0)
			say_error("/mnt");
		else
			say("ok");
	} else if (!strcmp(word, "net") && a)
		do_net(a);
	else if (!strcmp(word, "ping") && a)
		do_ping(atoi(a));
	else if (!strcmp(word, "wait") && a)
		do_wait(a, 1);
	else if (!strcmp(word, "rescan"))
		do_rescan();
	else if (!strcmp(word, "gone") && a)
		do_wait(a, 0);
	else if (!strcmp(word, "fill") && a)
		do_fill((size_t)atoi(a));
	else if (!strcmp(word, "drop") && filled) {
		(void)munmap(filled, filled_len);
		say("ok");
	} else if (!strcmp(word, "sleep") && a) {
		usleep((useconds_t)atoi(a) * 1000);
		say("ok");
	} else if (!strcmp(word, "exit"))
		_exit(0);
	else if (!strcmp(word, "oom"))
		eat_memory();
	else if (!strcmp(word, "off"))
		reboot(RB_AUTOBOOT);
	else
		say("error %s: unknown", word);
}

int main(void)
{
	char line[LINE_MAX_BYTES];
	size_t len = 0;

	(void)mkdir("/dev", 0755);
	(void)mkdir("/mnt", 0755);
	(void)mkdir("/proc", 0755);
	(void)mkdir("/sys", 0755);
	(void)mount("devtmpfs", "/dev", "devtmpfs", 0, NULL);
	(void)mount("proc", "/proc", "proc", 0, NULL);
	(void)mount("sysfs", "/sys", "sysfs", 0, NULL);
	port = open_port();
	if (port < 0)
		return 1;
	say("HELLO");
	for (;;) {
		const ssize_t n = read(port, line + len, 1);

		if (n < 0)
			return 2;
		if (n == 0) { /* nobody is at the other end */
			usleep(10000);
			continue;
		}
		if (line[len] != '\n' && len + 1 < sizeof(line)) {
			len++;
			continue;
		}
		line[len] = '\0';
		len = 0;
		obey(line);
	}
}
