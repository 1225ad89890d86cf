/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two clients of rtnetlink are used: one of the host's namespace, and one that was made during a
 * short stay in the container's (a socket keeps the namespace in which it was made).
 */
#include "host/netdev.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "host/rtnl.h"

#define ADDRESSES_MAX 256 /* of one device that are carried over */

struct address {
	struct ifaddrmsg msg;
	unsigned char local[16], peer[16], broadcast[4];
	size_t local_len, peer_len, broadcast_len;
	uint32_t flags;
};

struct address_list {
	struct address items[ADDRESSES_MAX];
	size_t len;
	int index; /* of the device */
};

/* Rename and move in one message, so that no name clashes on either side. */
static int link_move(struct rtnl *c, int index, const char *name, int netns_fd, struct err *err)
{
	const struct ifinfomsg link = { .ifi_index = index };
	struct rtnl_request q;

	rtnl_start(&q, RTM_NEWLINK, 0, &link, sizeof(link));
	rtnl_put_u32(&q, IFLA_NET_NS_FD, (uint32_t)netns_fd);
	rtnl_put_text(&q, IFLA_IFNAME, name);
	return rtnl_ask(c, &q, NULL, NULL, err);
}

static size_t copy_attribute(void *to, size_t max, const struct rtattr *a)
{
	const size_t len = rtnl_len(a);

	return len <= max && rtnl_get(a, to, len) ? len : 0;
}

/*
 * Permanent global addresses of the device are kept; what a lease or the kernel made is not (runc).
 */
static int keep_address(uint16_t type, const void *body, size_t len, void *arg)
{
	struct address_list *list = arg;
	const struct ifaddrmsg *msg = body;
	const struct rtattr *attrs[IFA_FLAGS + 1];
	struct address a;

	if (rtnl_parse(body, len, sizeof(*msg), attrs, IFA_FLAGS + 1) < 0)
		return -EBADMSG;
	if (type != RTM_NEWADDR || (int)msg->ifa_index != list->index ||
	    msg->ifa_scope != RT_SCOPE_UNIVERSE)
		return 0;
	a = (struct address){ .msg = *msg, .flags = msg->ifa_flags };
	a.local_len = copy_attribute(a.local, sizeof(a.local), attrs[IFA_LOCAL]);
	a.peer_len = copy_attribute(a.peer, sizeof(a.peer), attrs[IFA_ADDRESS]);
	a.broadcast_len = copy_attribute(a.broadcast, sizeof(a.broadcast), attrs[IFA_BROADCAST]);
	(void)rtnl_get_u32(attrs[IFA_FLAGS], &a.flags);
	if (!(a.flags & IFA_F_PERMANENT))
		return 0;
	if (list->len == ADDRESSES_MAX)
		return -E2BIG;
	list->items[list->len++] = a;
	return 0;
}

static int list_addresses(struct rtnl *c, struct address_list *list, struct err *err)
{
	const struct ifaddrmsg all = { .ifa_family = AF_UNSPEC };
	struct rtnl_request q;
	int tries = 0;
	int r;

	do {
		list->len = 0;
		rtnl_start(&q, RTM_GETADDR, 0, &all, sizeof(all));
		r = rtnl_dump(c, &q, keep_address, list, err);
	} while (r == -EAGAIN && ++tries < RTNL_TRIES);
	return r;
}

static int add_address(struct rtnl *c, int index, const struct address *a, struct err *err)
{
	const struct ifaddrmsg msg = {
		.ifa_family = a->msg.ifa_family,
		.ifa_prefixlen = a->msg.ifa_prefixlen,
		.ifa_scope = a->msg.ifa_scope,
		.ifa_index = (uint32_t)index,
	};
	struct rtnl_request q;

	rtnl_start(&q, RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, &msg, sizeof(msg));
	if (a->local_len > 0)
		rtnl_put(&q, IFA_LOCAL, a->local, a->local_len);
	if (a->peer_len > 0)
		rtnl_put(&q, IFA_ADDRESS, a->peer, a->peer_len);
	if (a->broadcast_len > 0)
		rtnl_put(&q, IFA_BROADCAST, a->broadcast, a->broadcast_len);
	rtnl_put_u32(&q, IFA_FLAGS, a->flags & ~(uint32_t)(IFA_F_TENTATIVE | IFA_F_DADFAILED));
	return rtnl_ask(c, &q, NULL, NULL, err);
}

/* A client of another network namespace. */
static int open_inside(int netns_fd, struct rtnl *ret, struct err *err)
{
	AUTO_CLOSE int home = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	int r;

	if (home < 0)
		return err_sys(err, -errno, "open the own network namespace");
	if (setns(netns_fd, CLONE_NEWNET) < 0)
		return err_sys(err, -errno, "enter the container's network namespace");
	r = rtnl_open(ret, err);
	if (setns(home, CLONE_NEWNET) < 0) {
		rtnl_done(ret);
		return err_sys(err, -errno, "return to the own network namespace");
	}
	return r;
}

struct mover {
	int netns_fd;
	struct rtnl outside, inside;
};

/* What is there already: the kernel would move the device and then fail to rename it. */
static int check_name(struct mover *m, const char *name, struct err *err)
{
	int r;

	if (strlen(name) >= IFNAMSIZ)
		return err_set(err, -EINVAL, "the name \"%s\" is too long", name);
	r = rtnl_link_index(&m->inside, name, err);
	if (r >= 0)
		return err_set(err, -EEXIST, "the container has a device \"%s\" already", name);
	return r == -ENODEV ? 0 : r;
}

static int move_one(struct mover *m, const struct oci_net_device *device, struct err *err)
{
	const char *name = device->name && *device->name ? device->name : device->host_name;
	struct address_list list = { .len = 0 };
	int index, r;

	list.index = rtnl_link_index(&m->outside, device->host_name, err);
	if (list.index < 0)
		return list.index;
	r = check_name(m, name, err);
	if (r < 0)
		return r;
	/* Before it goes down: an IPv6 address does not survive that. */
	r = list_addresses(&m->outside, &list, err);
	if (r < 0)
		return err_prefix(err, r, "list its addresses");
	r = rtnl_link_set_up(&m->outside, list.index, false, err);
	if (r < 0)
		return err_prefix(err, r, "take it down");
	r = link_move(&m->outside, list.index, name, m->netns_fd, err);
	if (r < 0)
		return err_prefix(err, r, "move it into the container as \"%s\"", name);
	index = rtnl_link_index(&m->inside, name, err);
	if (index < 0)
		return err_prefix(err, index, "find it in the container as \"%s\"", name);
	for (size_t i = 0; i < list.len; i++) {
		r = add_address(&m->inside, index, &list.items[i], err);
		if (r < 0)
			return err_prefix(err, r, "add an address to \"%s\" in the container",
					  name);
	}
	r = rtnl_link_set_up(&m->inside, index, true, err);
	return r < 0 ? err_prefix(err, r, "bring \"%s\" up in the container", name) : 0;
}

static int move_all(struct mover *m, const struct oci_net_device *devices, size_t len,
		    struct err *err)
{
	int r = rtnl_open(&m->outside, err);

	if (r == 0)
		r = open_inside(m->netns_fd, &m->inside, err);
	if (r < 0)
		return err_prefix(err, r, "linux.netDevices");
	for (size_t i = 0; r == 0 && i < len; i++) {
		r = move_one(m, &devices[i], err);
		if (r < 0)
			return err_prefix(err, r, "linux.netDevices: \"%s\"", devices[i].host_name);
	}
	return r;
}

int netdev_move(const struct oci_net_device *devices, size_t len, int netns_fd, struct err *err)
{
	struct mover m = { .netns_fd = netns_fd, .outside = RTNL_INIT, .inside = RTNL_INIT };
	int r;

	if (len == 0)
		return 0;
	r = move_all(&m, devices, len, err);
	rtnl_done(&m.outside);
	rtnl_done(&m.inside);
	return r;
}

int netdev_loopback_up(struct err *err)
{
	AUTO_CLOSE int sock = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq request = { .ifr_name = "lo" };

	if (sock < 0)
		return err_sys(err, -errno, "bring the loopback device up: socket");
	/* A new namespace's "lo" has no flags but IFF_LOOPBACK, which the kernel keeps. */
	request.ifr_flags = IFF_UP | IFF_RUNNING;
	if (ioctl(sock, SIOCSIFFLAGS, &request) < 0)
		return err_sys(err, -errno, "bring the loopback device up");
	return 0;
}
