/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rtnetlink(7): links, addresses and routes of a namespace with loopback alone. Everything can be
 * read; loopback can be brought up and down.
 */
#include <linux/capability.h>
#include <linux/if.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if_arp.h>
#include <string.h>

#include "sentry/net/netlink.h"
#include "sentry/task/task.h"

#define LOOPBACK_PREFIX 8 /* of 127.0.0.1 */
#define LOOPBACK_NAME	"lo"
#define TX_QUEUE_LEN	1000

/* One message under construction. */
struct answer {
	struct buf *buf;
	size_t start;
};

static void begin(struct answer *a, struct buf *buf, const struct nlmsghdr *request, uint32_t port,
		  uint16_t type)
{
	const struct nlmsghdr head = {
		.nlmsg_type = type,
		.nlmsg_flags = request->nlmsg_flags & NLM_F_DUMP ? NLM_F_MULTI : 0,
		.nlmsg_seq = request->nlmsg_seq,
		.nlmsg_pid = port,
	};

	a->buf = buf;
	a->start = buf->len;
	buf_append(buf, &head, sizeof(head));
}

static void pad(struct buf *buf)
{
	while (!buf_error(buf) && buf->len % NLMSG_ALIGNTO)
		buf_append(buf, "", 1);
}

static void end(const struct answer *a)
{
	const uint32_t len = (uint32_t)(a->buf->len - a->start);

	if (!buf_error(a->buf))
		memcpy(a->buf->data + a->start, &len, sizeof(len));
	pad(a->buf);
}

static void attr(struct buf *buf, uint16_t type, const void *data, size_t len)
{
	const struct rtattr head = { .rta_len = (uint16_t)RTA_LENGTH(len), .rta_type = type };

	buf_append(buf, &head, sizeof(head));
	buf_append(buf, data, len);
	pad(buf);
}

static void attr_u32(struct buf *buf, uint16_t type, uint32_t value)
{
	attr(buf, type, &value, sizeof(value));
}

static void attr_u8(struct buf *buf, uint16_t type, uint8_t value)
{
	attr(buf, type, &value, sizeof(value));
}

static void put_link(struct net_ns *ns, uint32_t port, const struct nlmsghdr *request,
		     struct buf *ret)
{
	static const uint8_t no_address[6];
	const struct rtnl_link_stats64 stats64 = { 0 };
	const struct rtnl_link_stats stats = { 0 };
	const struct ifinfomsg info = {
		.ifi_family = AF_UNSPEC,
		.ifi_type = ARPHRD_LOOPBACK,
		.ifi_index = NET_LOOPBACK_INDEX,
		.ifi_flags =
			IFF_LOOPBACK |
			(ns->loopback_up ? IFF_UP | IFF_RUNNING | 0x10000 /* IFF_LOWER_UP */ : 0),
	};
	struct answer a;

	begin(&a, ret, request, port, RTM_NEWLINK);
	buf_append(ret, &info, sizeof(info));
	attr(ret, IFLA_IFNAME, LOOPBACK_NAME, sizeof(LOOPBACK_NAME));
	attr_u32(ret, IFLA_TXQLEN, TX_QUEUE_LEN);
	attr_u8(ret, IFLA_OPERSTATE, ns->loopback_up ? IF_OPER_UNKNOWN : IF_OPER_DOWN);
	attr_u8(ret, IFLA_LINKMODE, 0);
	attr_u32(ret, IFLA_MTU, NET_LOOPBACK_MTU);
	attr_u32(ret, IFLA_GROUP, 0);
	attr_u32(ret, IFLA_PROMISCUITY, 0);
	attr_u32(ret, IFLA_NUM_TX_QUEUES, 1);
	attr_u32(ret, IFLA_NUM_RX_QUEUES, 1);
	attr_u8(ret, IFLA_CARRIER, ns->loopback_up);
	attr(ret, IFLA_QDISC, "noqueue", sizeof("noqueue"));
	attr(ret, IFLA_ADDRESS, no_address, sizeof(no_address));
	attr(ret, IFLA_BROADCAST, no_address, sizeof(no_address));
	attr(ret, IFLA_STATS64, &stats64, sizeof(stats64));
	attr(ret, IFLA_STATS, &stats, sizeof(stats));
	end(&a);
}

static void put_address(uint32_t port, const struct nlmsghdr *request, uint8_t family,
			struct buf *ret)
{
	static const uint8_t v6[16] = { [15] = 1 };
	const uint32_t v4 = htonl(INADDR_LOOPBACK);
	const struct ifa_cacheinfo forever = { .ifa_prefered = UINT32_MAX,
					       .ifa_valid = UINT32_MAX };
	const struct ifaddrmsg msg = {
		.ifa_family = family,
		.ifa_prefixlen = family == AF_INET ? 8 : 128,
		.ifa_flags = IFA_F_PERMANENT,
		.ifa_scope = RT_SCOPE_HOST,
		.ifa_index = NET_LOOPBACK_INDEX,
	};
	struct answer a;

	begin(&a, ret, request, port, RTM_NEWADDR);
	buf_append(ret, &msg, sizeof(msg));
	if (family == AF_INET) {
		attr(ret, IFA_ADDRESS, &v4, sizeof(v4));
		attr(ret, IFA_LOCAL, &v4, sizeof(v4));
		attr(ret, IFA_LABEL, LOOPBACK_NAME, sizeof(LOOPBACK_NAME));
	} else {
		attr(ret, IFA_ADDRESS, v6, sizeof(v6));
	}
	attr_u32(ret, IFA_FLAGS, IFA_F_PERMANENT);
	attr(ret, IFA_CACHEINFO, &forever, sizeof(forever));
	end(&a);
}

static void put_route(uint32_t port, const struct nlmsghdr *request, uint8_t family,
		      struct buf *ret)
{
	static const uint8_t v6[16] = { [15] = 1 };
	const uint32_t net = htonl(0x7f000000), source = htonl(INADDR_LOOPBACK);
	const struct rtmsg msg = {
		.rtm_family = family,
		.rtm_dst_len = family == AF_INET ? 8 : 128,
		.rtm_table = RT_TABLE_LOCAL,
		.rtm_protocol = RTPROT_KERNEL,
		.rtm_scope = family == AF_INET ? RT_SCOPE_HOST : RT_SCOPE_UNIVERSE,
		.rtm_type = RTN_LOCAL,
	};
	struct answer a;

	begin(&a, ret, request, port, RTM_NEWROUTE);
	buf_append(ret, &msg, sizeof(msg));
	attr_u32(ret, RTA_TABLE, RT_TABLE_LOCAL);
	if (family == AF_INET) {
		attr(ret, RTA_DST, &net, sizeof(net));
		attr(ret, RTA_PREFSRC, &source, sizeof(source));
	} else {
		attr(ret, RTA_DST, v6, sizeof(v6));
	}
	attr_u32(ret, RTA_OIF, NET_LOOPBACK_INDEX);
	end(&a);
}

static void put_done(uint32_t port, const struct nlmsghdr *request, struct buf *ret)
{
	const int error = 0;
	struct answer a;

	begin(&a, ret, request, port, NLMSG_DONE);
	buf_append(ret, &error, sizeof(error));
	end(&a);
}

/* The address family that a dump is limited to: the first byte of every request's body. */
static uint8_t family_of(const uint8_t *request, size_t len)
{
	return len > sizeof(struct nlmsghdr) ? request[sizeof(struct nlmsghdr)] : AF_UNSPEC;
}

static int dump(struct net_ns *ns, uint32_t port, const struct nlmsghdr *head, uint8_t family,
		struct buf *ret)
{
	const bool v4 = family == AF_UNSPEC || family == AF_INET;
	const bool v6 = family == AF_UNSPEC || family == AF_INET6;

	switch (head->nlmsg_type) {
	case RTM_GETLINK:
		put_link(ns, port, head, ret);
		break;
	case RTM_GETADDR:
		if (v4 && ns->loopback_up)
			put_address(port, head, AF_INET, ret);
		if (v6 && ns->loopback_up)
			put_address(port, head, AF_INET6, ret);
		break;
	case RTM_GETROUTE:
		if (v4 && ns->loopback_up)
			put_route(port, head, AF_INET, ret);
		if (v6 && ns->loopback_up)
			put_route(port, head, AF_INET6, ret);
		break;
	case RTM_GETNEIGH:
	case RTM_GETRULE:
	case RTM_GETQDISC:
	case RTM_GETTCLASS:
	case RTM_GETNEIGHTBL:
	case RTM_GETADDRLABEL:
		break; /* there are none */
	default:
		return -EOPNOTSUPP;
	}
	put_done(port, head, ret);
	return buf_error(ret);
}

/* The name that a request of one link carries (IFLA_IFNAME). */
static bool names_loopback(const uint8_t *request, size_t len, const struct ifinfomsg *info)
{
	size_t at = NLMSG_SPACE(sizeof(*info));

	if (info->ifi_index)
		return info->ifi_index == NET_LOOPBACK_INDEX;
	while (at + sizeof(struct rtattr) <= len) {
		struct rtattr a;

		memcpy(&a, request + at, sizeof(a));
		if (a.rta_len < sizeof(a) || a.rta_len > len - at)
			return false;
		if (a.rta_type == IFLA_IFNAME)
			return a.rta_len == RTA_LENGTH(sizeof(LOOPBACK_NAME)) &&
			       !memcmp(request + at + sizeof(a), LOOPBACK_NAME,
				       sizeof(LOOPBACK_NAME));
		at += RTA_ALIGN(a.rta_len);
	}
	return false;
}

static int one_link(struct net_ns *ns, uint32_t port, const uint8_t *request, size_t len,
		    struct buf *ret)
{
	struct ifinfomsg info;
	struct nlmsghdr head;

	if (len < NLMSG_LENGTH(sizeof(info)))
		return -EINVAL;
	memcpy(&head, request, sizeof(head));
	memcpy(&info, request + NLMSG_HDRLEN, sizeof(info));
	if (!names_loopback(request, len, &info))
		return -ENODEV;
	if (head.nlmsg_type == RTM_GETLINK) {
		put_link(ns, port, &head, ret);
		return buf_error(ret);
	}
	if (info.ifi_change & IFF_UP || (info.ifi_flags & IFF_UP && !info.ifi_change))
		ns->loopback_up = info.ifi_flags & IFF_UP;
	return 0;
}

/* The loopback interface has its address whenever it is up: who sets it up says so first. */
static int new_addr(const struct net_ns *ns, const uint8_t *request, size_t len)
{
	struct ifaddrmsg addr;

	if (len < NLMSG_LENGTH(sizeof(addr)))
		return -EINVAL;
	memcpy(&addr, request + NLMSG_HDRLEN, sizeof(addr));
	if (addr.ifa_index != NET_LOOPBACK_INDEX)
		return -ENODEV;
	if (addr.ifa_family != AF_INET || addr.ifa_prefixlen != LOOPBACK_PREFIX)
		return -EOPNOTSUPP;
	return ns->loopback_up ? -EEXIST : 0;
}

int rtnetlink_answer(struct net_ns *ns, uint32_t port, const uint8_t *request, size_t len,
		     struct buf *ret)
{
	struct nlmsghdr head;

	memcpy(&head, request, sizeof(head));
	/* Requests come in fours: new, delete, get, set. */
	if ((head.nlmsg_type & 3) != 2 && !net_capable(ns, CAP_NET_ADMIN))
		return -EPERM;
	if ((head.nlmsg_type & 3) == 2 && (head.nlmsg_flags & NLM_F_DUMP) == NLM_F_DUMP)
		return dump(ns, port, &head, family_of(request, len), ret);
	switch (head.nlmsg_type) {
	case RTM_GETLINK:
	case RTM_SETLINK:
		return one_link(ns, port, request, len, ret);
	case RTM_NEWLINK:
		if (!(head.nlmsg_flags & NLM_F_CREATE))
			return one_link(ns, port, request, len, ret);
		break;
	case RTM_NEWADDR:
		return new_addr(ns, request, len);
	case RTM_GETROUTE:
		return -ENETUNREACH;
	default:
		break;
	}
	return -EOPNOTSUPP;
}
