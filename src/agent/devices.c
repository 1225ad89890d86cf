/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/devices.h"

#include <fcntl.h>
#include <linux/netlink.h>
#include <poll.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fd.h"

#define RESCAN	"/sys/bus/pci/rescan"
#define LOOK_MS 20 /* between two looks, should the kernel's word have been missed */

static bool ours;

void devices_are_ours(void)
{
	ours = true;
}

int devices_listen(void)
{
	struct sockaddr_nl address = { .nl_family = AF_NETLINK, .nl_groups = 1 };
	AUTO_CLOSE int fd = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK,
				   NETLINK_KOBJECT_UEVENT);

	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		return -errno;
	return TAKE_FD(fd);
}

void devices_hear(int fd, int timeout_ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	char word[2048];

	if (poll(&p, fd >= 0, timeout_ms) > 0) {
		while (recv(fd, word, sizeof(word), 0) > 0)
			;
	}
}

int devices_await(devices_found_fn *found, void *arg)
{
	AUTO_CLOSE int events = -EBADF;
	int r = found(arg);
	int64_t deadline;

	if (r != 0 || !ours)
		return r > 0 ? 0 : r < 0 ? r : -ENODEV;
	/* Listening begins before anything comes; a machine without PCI has no such file. */
	events = devices_listen();
	deadline = clock_ms() + DEVICES_WAIT_MS;
	(void)fd_write_file(AT_FDCWD, RESCAN, "1");
	while ((r = found(arg)) == 0) {
		if (clock_ms() >= deadline)
			return -ENODEV;
		devices_hear(events, LOOK_MS);
	}
	return r > 0 ? 0 : r;
}
