/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Raw rtnetlink(7): four kinds of messages do not pay for a library on the start path. Two sockets
 * are used: one of the host's namespace, and one that was made during a short stay in the
 * container's (a socket keeps the namespace in which it was made).
 */
#include "host/netdev.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "base/cleanup.h"

#define ADDRESSES_MAX 256 /* of one device that are carried over */
#define REPLY_SIZE    32768

struct message {
	struct nlmsghdr header;
	union {
		struct ifinfomsg link;
		struct ifaddrmsg address;
	} body;
	char attributes[256];
};

struct address {
	struct ifaddrmsg msg;
	unsigned char local[16], peer[16], broadcast[4];
	uint8_t local_len, peer_len, broadcast_len;
	uint32_t flags;
};

struct address_list {
	struct address items[ADDRESSES_MAX];
	size_t len;
	int index; /* of the device */
};

static void message_start(struct message *m, uint16_t type, uint16_t flags, size_t body_len)
{
	memset(m, 0, sizeof(*m));
	m->header.nlmsg_len = (uint32_t)NLMSG_LENGTH(body_len);
	m->header.nlmsg_type = type;
	m->header.nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags);
}

static void message_add(struct message *m, uint16_t type, const void *bytes, size_t len)
{
	struct rtattr *a = (struct rtattr *)((char *)m + NLMSG_ALIGN(m->header.nlmsg_len));

	a->rta_type = type;
	a->rta_len = (uint16_t)RTA_LENGTH(len);
	memcpy(RTA_DATA(a), bytes, len);
	m->header.nlmsg_len = (uint32_t)(NLMSG_ALIGN(m->header.nlmsg_len) + RTA_ALIGN(a->rta_len));
}

static int send_message(int sock, const struct message *m)
{
	const struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };
	ssize_t n;

	do {
		n = sendto(sock, m, m->header.nlmsg_len, 0, (const struct sockaddr *)&kernel,
			   sizeof(kernel));
	} while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : 0;
}

static ssize_t receive(int sock, void *reply)
{
	ssize_t n;

	do {
		n = recv(sock, reply, REPLY_SIZE, 0);
	} while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

/* Send and wait for the kernel's acknowledgement: 0 or its -errno. */
static int transact(int sock, struct message *m)
{
	_Alignas(struct nlmsghdr) char reply[REPLY_SIZE];
	const struct nlmsghdr *h = (const struct nlmsghdr *)reply;
	ssize_t n;
	int r;

	m->header.nlmsg_flags |= NLM_F_ACK;
	r = send_message(sock, m);
	if (r < 0)
		return r;
	n = receive(sock, reply);
	if (n < 0)
		return (int)n;
	if ((size_t)n < NLMSG_LENGTH(sizeof(struct nlmsgerr)) || h->nlmsg_type != NLMSG_ERROR)
		return -EPROTO;
	return ((const struct nlmsgerr *)NLMSG_DATA(h))->error;
}

static int link_set_up(int sock, int index, bool up)
{
	struct message m;

	message_start(&m, RTM_NEWLINK, 0, sizeof(m.body.link));
	m.body.link.ifi_index = index;
	m.body.link.ifi_flags = up ? IFF_UP : 0;
	m.body.link.ifi_change = IFF_UP;
	return transact(sock, &m);
}

/* Rename and move in one message, so that no name clashes on either side. */
static int link_move(int sock, int index, const char *name, int netns_fd)
{
	const uint32_t fd = (uint32_t)netns_fd;
	struct message m;

	message_start(&m, RTM_NEWLINK, 0, sizeof(m.body.link));
	m.body.link.ifi_index = index;
	message_add(&m, IFLA_NET_NS_FD, &fd, sizeof(fd));
	message_add(&m, IFLA_IFNAME, name, strlen(name) + 1);
	return transact(sock, &m);
}

static uint8_t copy_attribute(void *to, size_t max, const struct rtattr *a)
{
	const size_t len = RTA_PAYLOAD(a);

	if (len > max)
		return 0;
	memcpy(to, RTA_DATA(a), len);
	return (uint8_t)len;
}

/* Permanent global addresses of the device are kept; what a lease or the kernel made is not (runc).
 */
static int keep_address(struct address_list *list, const struct nlmsghdr *h)
{
	const struct ifaddrmsg *msg = NLMSG_DATA(h);
	struct address a = { .flags = msg->ifa_flags };
	size_t left = IFA_PAYLOAD(h);

	if ((int)msg->ifa_index != list->index || msg->ifa_scope != RT_SCOPE_UNIVERSE)
		return 0;
	a.msg = *msg;
	for (const struct rtattr *t = IFA_RTA(msg); RTA_OK(t, left); t = RTA_NEXT(t, left)) {
		if (t->rta_type == IFA_LOCAL)
			a.local_len = copy_attribute(a.local, sizeof(a.local), t);
		else if (t->rta_type == IFA_ADDRESS)
			a.peer_len = copy_attribute(a.peer, sizeof(a.peer), t);
		else if (t->rta_type == IFA_BROADCAST)
			a.broadcast_len = copy_attribute(a.broadcast, sizeof(a.broadcast), t);
		else if (t->rta_type == IFA_FLAGS && RTA_PAYLOAD(t) == sizeof(a.flags))
			memcpy(&a.flags, RTA_DATA(t), sizeof(a.flags));
	}
	if (!(a.flags & IFA_F_PERMANENT))
		return 0;
	if (list->len == ADDRESSES_MAX)
		return -E2BIG;
	list->items[list->len++] = a;
	return 0;
}

static int list_addresses(int sock, struct address_list *list)
{
	_Alignas(struct nlmsghdr) char reply[REPLY_SIZE];
	struct message m;
	int r;

	message_start(&m, RTM_GETADDR, NLM_F_DUMP, sizeof(m.body.address));
	r = send_message(sock, &m);
	while (r == 0) {
		const struct nlmsghdr *h = (const struct nlmsghdr *)reply;
		const ssize_t n = receive(sock, reply);
		size_t left = n < 0 ? 0 : (size_t)n;

		if (n <= 0)
			return n < 0 ? (int)n : -EPROTO;
		for (; NLMSG_OK(h, left); h = NLMSG_NEXT(h, left)) {
			if (h->nlmsg_type == NLMSG_DONE)
				return 0;
			if (h->nlmsg_type == NLMSG_ERROR)
				return ((const struct nlmsgerr *)NLMSG_DATA(h))->error;
			if (h->nlmsg_type == RTM_NEWADDR)
				r = r < 0 ? r : keep_address(list, h);
		}
	}
	return r;
}

static int add_address(int sock, int index, const struct address *a)
{
	const uint32_t flags = a->flags & ~(uint32_t)(IFA_F_TENTATIVE | IFA_F_DADFAILED);
	struct message m;

	message_start(&m, RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, sizeof(m.body.address));
	m.body.address.ifa_family = a->msg.ifa_family;
	m.body.address.ifa_prefixlen = a->msg.ifa_prefixlen;
	m.body.address.ifa_scope = a->msg.ifa_scope;
	m.body.address.ifa_index = (uint32_t)index;
	if (a->local_len > 0)
		message_add(&m, IFA_LOCAL, a->local, a->local_len);
	if (a->peer_len > 0)
		message_add(&m, IFA_ADDRESS, a->peer, a->peer_len);
	if (a->broadcast_len > 0)
		message_add(&m, IFA_BROADCAST, a->broadcast, a->broadcast_len);
	message_add(&m, IFA_FLAGS, &flags, sizeof(flags));
	return transact(sock, &m);
}

static int route_socket(void)
{
	const int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);

	return fd < 0 ? -errno : fd;
}

/* The number of a device in the namespace of `sock`, or -errno. */
static int device_index(int sock, const char *name)
{
	struct ifreq request = { 0 };

	if (!*name || strlen(name) >= sizeof(request.ifr_name))
		return -EINVAL;
	memcpy(request.ifr_name, name, strlen(name) + 1);
	return ioctl(sock, SIOCGIFINDEX, &request) < 0 ? -errno : request.ifr_ifindex;
}

/* A netlink socket and a plain one (for ioctls) of another network namespace. */
static int sockets_inside(int netns_fd, int *ret_route, int *ret_plain, struct err *err)
{
	AUTO_CLOSE int home = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	AUTO_CLOSE int route = -EBADF;
	AUTO_CLOSE int plain = -EBADF;

	if (home < 0)
		return err_sys(err, -errno, "open the own network namespace");
	if (setns(netns_fd, CLONE_NEWNET) < 0)
		return err_sys(err, -errno, "enter the container's network namespace");
	route = route_socket();
	plain = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (setns(home, CLONE_NEWNET) < 0)
		return err_sys(err, -errno, "return to the own network namespace");
	if (route < 0 || plain < 0)
		return err_set(err, -EMFILE, "make a socket in the container's network namespace");
	*ret_route = TAKE_FD(route);
	*ret_plain = TAKE_FD(plain);
	return 0;
}

struct mover {
	int netns_fd;
	int outside, outside_plain, inside, inside_plain;
};

static int move_one(const struct mover *m, const struct oci_net_device *device, struct err *err)
{
	const char *name = device->name && *device->name ? device->name : device->host_name;
	struct address_list list = { .len = 0 };
	int index, r;

	list.index = device_index(m->outside_plain, device->host_name);
	if (list.index < 0)
		return err_sys(err, list.index, "no such device");
	if (strlen(name) >= IFNAMSIZ)
		return err_set(err, -EINVAL, "the name \"%s\" is too long", name);
	/* The kernel would move it, then fail to rename it: a veth would end with the container. */
	if (device_index(m->inside_plain, name) >= 0)
		return err_set(err, -EEXIST, "the container has a device \"%s\" already", name);
	/* Before it goes down: an IPv6 address does not survive that. */
	r = list_addresses(m->outside, &list);
	if (r < 0)
		return err_sys(err, r, "list its addresses");
	r = link_set_up(m->outside, list.index, false);
	if (r < 0)
		return err_sys(err, r, "take it down");
	r = link_move(m->outside, list.index, name, m->netns_fd);
	if (r < 0)
		return err_sys(err, r, "move it into the container as \"%s\"", name);
	index = device_index(m->inside_plain, name);
	if (index < 0)
		return err_sys(err, index, "find it in the container as \"%s\"", name);
	for (size_t i = 0; i < list.len; i++) {
		r = add_address(m->inside, index, &list.items[i]);
		if (r < 0)
			return err_sys(err, r, "add an address to \"%s\" in the container", name);
	}
	r = link_set_up(m->inside, index, true);
	return r < 0 ? err_sys(err, r, "bring \"%s\" up in the container", name) : 0;
}

int netdev_move(const struct oci_net_device *devices, size_t len, int netns_fd, struct err *err)
{
	AUTO_CLOSE int outside = -EBADF;
	AUTO_CLOSE int outside_plain = -EBADF;
	AUTO_CLOSE int inside = -EBADF;
	AUTO_CLOSE int inside_plain = -EBADF;
	int r;

	if (len == 0)
		return 0;
	outside = route_socket();
	outside_plain = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (outside < 0 || outside_plain < 0)
		return err_set(err, -EMFILE, "linux.netDevices: make a socket");
	r = sockets_inside(netns_fd, &inside, &inside_plain, err);
	if (r < 0)
		return err_prefix(err, r, "linux.netDevices");
	for (size_t i = 0; i < len; i++) {
		const struct mover m = { netns_fd, outside, outside_plain, inside, inside_plain };

		r = move_one(&m, &devices[i], err);
		if (r < 0)
			return err_prefix(err, r, "linux.netDevices: \"%s\"", devices[i].host_name);
	}
	return 0;
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
