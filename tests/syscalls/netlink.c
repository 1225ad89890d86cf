/* SPDX-License-Identifier: Apache-2.0 */
/* AF_NETLINK route: reading interfaces, addresses and routes; interface ioctls. */
#include <arpa/inet.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "harness.h"

static int route_socket(void)
{
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	struct sockaddr_nl a = { .nl_family = AF_NETLINK };

	if (fd < 0)
		SKIP("no AF_NETLINK: %s", test_errno_name(errno));
	OK(bind(fd, (struct sockaddr *)&a, sizeof(a)));
	return fd;
}

static void request(int fd, int type, int family, int flags)
{
	struct {
		struct nlmsghdr head;
		struct rtgenmsg gen;
		char pad[16];
	} r = { { sizeof(r), (uint16_t)type, (uint16_t)(NLM_F_REQUEST | flags), 42, 0 },
		{ (unsigned char)family },
		"" };
	struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };

	CHECK_EQ(sendto(fd, &r, sizeof(r), 0, (struct sockaddr *)&kernel, sizeof(kernel)),
		 sizeof(r));
}

/* Reads a whole dump; `each` is called for every message that is not the last. */
static int dump(int fd, int type, int family, void (*each)(struct nlmsghdr *))
{
	static char buf[32768];
	int count = 0;

	request(fd, type, family, NLM_F_DUMP);
	for (;;) {
		ssize_t n = OK(recv(fd, buf, sizeof(buf), 0));

		for (struct nlmsghdr *h = (void *)buf; NLMSG_OK(h, n); h = NLMSG_NEXT(h, n)) {
			CHECK_EQ(h->nlmsg_seq, 42);
			if (h->nlmsg_type == NLMSG_DONE)
				return count;
			if (h->nlmsg_type == NLMSG_ERROR)
				FAIL("error %d", ((struct nlmsgerr *)NLMSG_DATA(h))->error);
			CHECK(h->nlmsg_flags & NLM_F_MULTI);
			each(h);
			count++;
		}
	}
}

static int loopbacks, addresses4, addresses6;

static void link_message(struct nlmsghdr *h)
{
	struct ifinfomsg *info = NLMSG_DATA(h);
	int len = (int)IFLA_PAYLOAD(h);

	CHECK_EQ(h->nlmsg_type, RTM_NEWLINK);
	for (struct rtattr *a = IFLA_RTA(info); RTA_OK(a, len); a = RTA_NEXT(a, len)) {
		if (a->rta_type == IFLA_IFNAME && !strcmp(RTA_DATA(a), "lo")) {
			CHECK(info->ifi_flags & IFF_LOOPBACK);
			CHECK_EQ(info->ifi_index, 1);
			loopbacks++;
		}
	}
}

static void address_message(struct nlmsghdr *h)
{
	struct ifaddrmsg *info = NLMSG_DATA(h);
	int len = (int)IFA_PAYLOAD(h);

	CHECK_EQ(h->nlmsg_type, RTM_NEWADDR);
	for (struct rtattr *a = IFA_RTA(info); RTA_OK(a, len); a = RTA_NEXT(a, len)) {
		if (a->rta_type != IFA_ADDRESS)
			continue;
		if (info->ifa_family == AF_INET &&
		    *(uint32_t *)RTA_DATA(a) == htonl(INADDR_LOOPBACK)) {
			CHECK_EQ(info->ifa_prefixlen, 8);
			addresses4++;
		}
		if (info->ifa_family == AF_INET6 &&
		    IN6_IS_ADDR_LOOPBACK((struct in6_addr *)RTA_DATA(a)))
			addresses6++;
	}
}

static void nothing(struct nlmsghdr *h)
{
	CHECK(h->nlmsg_len >= sizeof(*h));
}

TEST(links)
{
	CHECK(dump(route_socket(), RTM_GETLINK, AF_UNSPEC, link_message) >= 1);
	CHECK_EQ(loopbacks, 1);
}

TEST(addresses)
{
	int fd = route_socket();

	dump(fd, RTM_GETADDR, AF_INET, address_message);
	CHECK_EQ(addresses4, 1);
	CHECK_EQ(addresses6, 0);
	dump(fd, RTM_GETADDR, AF_UNSPEC, address_message);
	CHECK_EQ(addresses4, 2);
}

TEST(routes)
{
	dump(route_socket(), RTM_GETROUTE, AF_INET, nothing);
}

TEST(names_of_the_socket)
{
	struct sockaddr_nl a;
	socklen_t len = sizeof(a);
	int fd = route_socket(), value = 0;
	socklen_t size = sizeof(value);

	OK(getsockname(fd, (struct sockaddr *)&a, &len));
	CHECK_EQ(len, sizeof(a));
	CHECK_EQ(a.nl_family, AF_NETLINK);
	CHECK(a.nl_pid != 0);
	OK(getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &value, &size));
	CHECK_EQ(value, AF_NETLINK);
	OK(getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &value, &size));
	CHECK_EQ(value, NETLINK_ROUTE);
}

TEST(acknowledgement_and_errors)
{
	int fd = route_socket();
	char buf[1024];
	struct nlmsghdr *h = (void *)buf;

	/* A type that is none, and one that needs a right. */
	request(fd, 0x7ff0, AF_UNSPEC, NLM_F_ACK);
	CHECK(OK(recv(fd, buf, sizeof(buf), 0)) >= (ssize_t)sizeof(*h));
	CHECK_EQ(h->nlmsg_type, NLMSG_ERROR);
	CHECK(((struct nlmsgerr *)NLMSG_DATA(h))->error < 0);
	need_root();
	become_nobody();
	fd = route_socket();
	request(fd, RTM_NEWLINK, AF_UNSPEC, NLM_F_ACK);
	CHECK(OK(recv(fd, buf, sizeof(buf), 0)) > 0);
	CHECK_EQ(h->nlmsg_type, NLMSG_ERROR);
	CHECK_EQ(((struct nlmsgerr *)NLMSG_DATA(h))->error, -EPERM);
}

TEST(one_link_by_index)
{
	struct {
		struct nlmsghdr head;
		struct ifinfomsg info;
	} r = { { sizeof(r), RTM_GETLINK, NLM_F_REQUEST, 7, 0 }, { .ifi_index = 1 } };
	char buf[8192];
	struct nlmsghdr *h = (void *)buf;
	int fd = route_socket();

	CHECK_EQ(send(fd, &r, sizeof(r), 0), sizeof(r));
	CHECK(OK(recv(fd, buf, sizeof(buf), 0)) > 0);
	CHECK_EQ(h->nlmsg_type, RTM_NEWLINK);
	CHECK_EQ(h->nlmsg_seq, 7);
	link_message(h);
	CHECK_EQ(loopbacks, 1);
	r.info.ifi_index = 99999;
	CHECK_EQ(send(fd, &r, sizeof(r), 0), sizeof(r));
	CHECK(OK(recv(fd, buf, sizeof(buf), 0)) > 0);
	CHECK_EQ(h->nlmsg_type, NLMSG_ERROR);
	CHECK_EQ(((struct nlmsgerr *)NLMSG_DATA(h))->error, -ENODEV);
}

TEST(interface_ioctls)
{
	int fd = OK(socket(AF_INET, SOCK_DGRAM, 0));
	struct ifreq r;
	struct ifconf c;
	char buf[4096];

	memset(&r, 0, sizeof(r));
	strcpy(r.ifr_name, "lo");
	OK(ioctl(fd, SIOCGIFINDEX, &r));
	CHECK_EQ(r.ifr_ifindex, 1);
	OK(ioctl(fd, SIOCGIFNAME, &r));
	CHECK_STR(r.ifr_name, "lo");
	OK(ioctl(fd, SIOCGIFFLAGS, &r));
	CHECK(r.ifr_flags & IFF_LOOPBACK);
	CHECK(r.ifr_flags & IFF_UP);
	OK(ioctl(fd, SIOCGIFMTU, &r));
	CHECK_EQ(r.ifr_mtu, 65536);
	OK(ioctl(fd, SIOCGIFADDR, &r));
	CHECK_EQ(((struct sockaddr_in *)&r.ifr_addr)->sin_addr.s_addr, htonl(INADDR_LOOPBACK));
	OK(ioctl(fd, SIOCGIFNETMASK, &r));
	CHECK_EQ(((struct sockaddr_in *)&r.ifr_addr)->sin_addr.s_addr, htonl(0xff000000));
	strcpy(r.ifr_name, "none0");
	CHECK_ERRNO(ioctl(fd, SIOCGIFINDEX, &r), ENODEV);
	c.ifc_len = sizeof(buf);
	c.ifc_buf = buf;
	OK(ioctl(fd, SIOCGIFCONF, &c));
	CHECK(c.ifc_len >= (int)sizeof(r));
	CHECK_STR(c.ifc_req[0].ifr_name, "lo");
	CHECK_ERRNO(ioctl(fd, SIOCGIFINDEX, BAD_PTR), EFAULT);
}

TEST(unknown_protocol)
{
	CHECK_ERRNO(socket(AF_NETLINK, SOCK_RAW, 99), EPROTONOSUPPORT);
	CHECK_ERRNO(socket(AF_NETLINK, SOCK_STREAM, NETLINK_ROUTE), ESOCKTNOSUPPORT);
}

TEST(library_lists_interfaces)
{
	CHECK_EQ(if_nametoindex("lo"), 1);
	CHECK_EQ(if_nametoindex("none0"), 0);
}
