/* SPDX-License-Identifier: Apache-2.0 */
/*
 * netdevice(7): what the SIOCGIF* calls say of the one interface, loopback.
 */
#include <linux/capability.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <string.h>

#include "sentry/net/host.h"
#include "sentry/net/socket.h"
#include "sentry/task/task.h"

#define LOOPBACK_NAME "lo"
#define TX_QUEUE_LEN  1000

static short loopback_flags(const struct net_ns *ns)
{
	return (short)(IFF_LOOPBACK | (ns->loopback_up ? IFF_UP | IFF_RUNNING : 0));
}

static void put_in(struct sockaddr *sa, uint32_t addr)
{
	const struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(addr) };

	memcpy(sa, &in, sizeof(in));
}

static long get_conf(struct net_ns *ns, uint64_t arg, struct user_memory *um)
{
	struct ifreq entry = { .ifr_name = LOOPBACK_NAME };
	struct ifconf conf;

	if (user_copy_in(um, &conf, arg, sizeof(conf)) < 0)
		return -EFAULT;
	put_in(&entry.ifr_addr, INADDR_LOOPBACK);
	if (!conf.ifc_buf) {
		conf.ifc_len = ns->loopback_up ? (int)sizeof(entry) : 0;
	} else if (ns->loopback_up && conf.ifc_len >= (int)sizeof(entry)) {
		if (user_copy_out(um, (uaddr_t)(uintptr_t)conf.ifc_buf, &entry, sizeof(entry)) < 0)
			return -EFAULT;
		conf.ifc_len = (int)sizeof(entry);
	} else {
		conf.ifc_len = 0;
	}
	return user_copy_out(um, arg, &conf, sizeof(conf));
}

/* The answer of a SIOCGIF* call goes into r's union. */
static int get_one(struct net_ns *ns, unsigned int cmd, struct ifreq *r)
{
	switch (cmd) {
	case SIOCGIFFLAGS:
		r->ifr_flags = loopback_flags(ns);
		break;
	case SIOCGIFADDR:
	case SIOCGIFDSTADDR:
		if (!ns->loopback_up)
			return -EADDRNOTAVAIL;
		put_in(&r->ifr_addr, INADDR_LOOPBACK);
		break;
	case SIOCGIFBRDADDR:
		put_in(&r->ifr_broadaddr, 0);
		break;
	case SIOCGIFNETMASK:
		put_in(&r->ifr_netmask, 0xff000000);
		break;
	case SIOCGIFMTU:
		r->ifr_mtu = NET_LOOPBACK_MTU;
		break;
	case SIOCGIFINDEX:
		r->ifr_ifindex = NET_LOOPBACK_INDEX;
		break;
	case SIOCGIFMETRIC:
		r->ifr_metric = 0;
		break;
	case SIOCGIFHWADDR:
		memset(&r->ifr_hwaddr, 0, sizeof(r->ifr_hwaddr));
		r->ifr_hwaddr.sa_family = ARPHRD_LOOPBACK;
		break;
	case SIOCGIFTXQLEN:
		r->ifr_qlen = TX_QUEUE_LEN;
		break;
	case SIOCGIFMAP:
		memset(&r->ifr_map, 0, sizeof(r->ifr_map));
		break;
	default:
		return -ENOTTY;
	}
	return 0;
}

static int set_one(struct net_ns *ns, unsigned int cmd, const struct ifreq *r)
{
	if (!net_capable(ns, CAP_NET_ADMIN))
		return -EPERM;
	if (cmd != SIOCSIFFLAGS)
		return -EOPNOTSUPP;
	ns->loopback_up = r->ifr_flags & IFF_UP;
	return 0;
}

long netdevice_ioctl(struct net_ns *ns, unsigned int cmd, uint64_t arg, struct user_memory *um)
{
	struct ifreq r;
	int err;

	if (ns->host)
		return host_netdevice_ioctl(cmd, arg, um);
	if (cmd == SIOCGIFCONF)
		return get_conf(ns, arg, um);
	if (cmd < SIOCGIFNAME || cmd > SIOCSIFTXQLEN)
		return -ENOTTY;
	if (user_copy_in(um, &r, arg, sizeof(r)) < 0)
		return -EFAULT;
	r.ifr_name[IFNAMSIZ - 1] = '\0';
	if (cmd == SIOCGIFNAME) {
		if (r.ifr_ifindex != NET_LOOPBACK_INDEX)
			return -ENODEV;
		memset(r.ifr_name, 0, sizeof(r.ifr_name));
		memcpy(r.ifr_name, LOOPBACK_NAME, sizeof(LOOPBACK_NAME));
		return user_copy_out(um, arg, &r, sizeof(r));
	}
	if (strcmp(r.ifr_name, LOOPBACK_NAME))
		return -ENODEV;
	err = get_one(ns, cmd, &r);
	if (err == -ENOTTY)
		return set_one(ns, cmd, &r);
	return err < 0 ? err : user_copy_out(um, arg, &r, sizeof(r));
}
