/* SPDX-License-Identifier: Apache-2.0 */
#include "host/tap.h"

#include <fcntl.h>
#include <linux/if_tun.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "base/str.h"

#define TUN_FILE "/dev/net/tun"

/* `name`: a pattern, or a device that has a queue already; then the name of the device. */
static int open_queue(char name[static IFNAMSIZ], bool multi, struct err *err)
{
	AUTO_CLOSE int fd = open(TUN_FILE, O_RDWR | O_CLOEXEC | O_NONBLOCK);
	struct ifreq request = { 0 };

	if (fd < 0)
		return err_sys(err, -errno, "open %s", TUN_FILE);
	memcpy(request.ifr_name, name, IFNAMSIZ);
	request.ifr_flags = (short)(IFF_TAP | IFF_NO_PI | IFF_VNET_HDR);
	if (multi)
		request.ifr_flags = (short)(request.ifr_flags | IFF_MULTI_QUEUE);
	if (ioctl(fd, TUNSETIFF, &request) < 0)
		return err_sys(err, -errno, "make a tap device \"%s\"", name);
	memcpy(name, request.ifr_name, IFNAMSIZ);
	name[IFNAMSIZ - 1] = '\0';
	return TAKE_FD(fd);
}

int tap_open(unsigned int queues, int *ret_fds, char ret_name[static IFNAMSIZ], struct err *err)
{
	char name[IFNAMSIZ] = TAP_NAME;
	unsigned int n;

	if (queues == 0)
		return err_set(err, -EINVAL, "a tap device without a queue");
	for (n = 0; n < queues; n++) {
		const int fd = open_queue(name, queues > 1, err);

		if (fd < 0) {
			while (n > 0)
				(void)close(ret_fds[--n]);
			return fd;
		}
		ret_fds[n] = fd;
	}
	memcpy(ret_name, name, IFNAMSIZ);
	return 0;
}

/* IN6_ADDR_GEN_MODE_NONE, before the device is up. */
static int no_link_local(struct rtnl *c, int index, struct err *err)
{
	const struct ifinfomsg link = { .ifi_index = index };
	const uint8_t none = IN6_ADDR_GEN_MODE_NONE;
	struct rtnl_request q;
	size_t spec, inet6;
	int r;

	rtnl_start(&q, RTM_NEWLINK, 0, &link, sizeof(link));
	spec = rtnl_nest(&q, IFLA_AF_SPEC);
	inet6 = rtnl_nest(&q, AF_INET6);
	rtnl_put(&q, IFLA_INET6_ADDR_GEN_MODE, &none, sizeof(none));
	rtnl_nest_end(&q, inet6);
	rtnl_nest_end(&q, spec);
	r = rtnl_ask(c, &q, NULL, NULL, err);
	/* The kernel has no IPv6, or the device (an MTU below 1280). */
	return r == -EAFNOSUPPORT ? 0 : r;
}

int tap_set_up(struct rtnl *c, int index, uint32_t mtu, const char *about, struct err *err)
{
	const struct ifinfomsg link = {
		.ifi_index = index,
		.ifi_flags = IFF_UP,
		.ifi_change = IFF_UP,
	};
	struct rtnl_request q;
	int r = no_link_local(c, index, err);

	if (r < 0)
		return r;
	rtnl_start(&q, RTM_NEWLINK, 0, &link, sizeof(link));
	rtnl_put_u32(&q, IFLA_MTU, mtu);
	rtnl_put(&q, IFLA_IFALIAS, about, strlen(about));
	return rtnl_ask(c, &q, NULL, NULL, err);
}

bool tap_is_ours(const char *kind, const char *name)
{
	const size_t prefix = strlen(TAP_NAME) - strlen("%d");

	return kind && name && str_eq(kind, "tun") && strncmp(name, TAP_NAME, prefix) == 0 &&
	       name[prefix] >= '0' && name[prefix] <= '9';
}
