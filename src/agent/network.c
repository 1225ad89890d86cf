/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is there already is fine: a host that asks twice, or a clone of a template, is answered as
 * the first one was. Devices come first, all of them, so that a name may go from one to the other;
 * then what stands on each other: addresses, routes, neighbours, rules.
 */
#include "agent/network.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "agent/devices.h"
#include "agent/network_routes.h"
#include "base/fd.h"
#include "base/str.h"
#include "host/netdev.h"
#include "host/rtnl.h"

#define DEVICES_MAX	64  /* of the machine, its own included */
#define CARRIER_WAIT_MS 500 /* the host's device may have none */
#define CARRIER_POLL_MS 1

/* IFF_LOWER_UP of linux/if.h: it sends. IFF_RUNNING follows up to a second later (linkwatch). */
#define LOWER_UP (1u << 16)
/* Flags of a device that the host's may give; the others are states. */
#define CARRIED_FLAGS (IFF_NOARP | IFF_PROMISC | IFF_ALLMULTI | IFF_MULTICAST)

struct device {
	int index;
	bool up, carrier;
	char name[IFNAMSIZ];
	uint8_t mac[6];
};

struct devices {
	struct device items[DEVICES_MAX];
	size_t len;
};

static int take_device(uint16_t type, const void *body, size_t len, void *arg)
{
	const struct ifinfomsg *link = body;
	const struct rtattr *attrs[IFLA_IFNAME + 1];
	struct devices *devices = arg;
	const char *name;
	struct device *d;

	if (rtnl_parse(body, len, sizeof(*link), attrs, IFLA_IFNAME + 1) < 0)
		return -EBADMSG;
	name = rtnl_get_text(attrs[IFLA_IFNAME]);
	if (type != RTM_NEWLINK || link->ifi_type != ARPHRD_ETHER || !name ||
	    strlen(name) >= IFNAMSIZ)
		return 0;
	if (devices->len == DEVICES_MAX)
		return -E2BIG;
	d = &devices->items[devices->len];
	*d = (struct device){ .index = link->ifi_index,
			      .up = link->ifi_flags & IFF_UP,
			      .carrier = link->ifi_flags & LOWER_UP };
	memcpy(d->name, name, strlen(name) + 1);
	devices->len += rtnl_get(attrs[IFLA_ADDRESS], d->mac, sizeof(d->mac));
	return 0;
}

static int list_devices(struct rtnl *c, struct devices *devices, struct err *err)
{
	const struct ifinfomsg all = { .ifi_family = AF_UNSPEC };
	struct rtnl_request q;
	int r;

	do {
		devices->len = 0;
		rtnl_start(&q, RTM_GETLINK, 0, &all, sizeof(all));
		r = rtnl_dump(c, &q, take_device, devices, err);
	} while (r == -EAGAIN);
	return r < 0 ? err_prefix(err, r, "list the machine's network devices") : 0;
}

/* Of two with one MAC the first: the second stands upon it. */
static struct device *find(struct devices *devices, const uint8_t mac[static 6])
{
	for (size_t i = 0; i < devices->len; i++) {
		if (memcmp(devices->items[i].mac, mac, 6) == 0)
			return &devices->items[i];
	}
	return NULL;
}

static const struct agent_link *first_missing(const struct agent_network *n,
					      struct devices *devices)
{
	for (uint32_t i = 0; i < n->links_len; i++) {
		if (!find(devices, n->links[i].mac))
			return &n->links[i];
	}
	return NULL;
}

struct wanted {
	struct rtnl *c;
	const struct agent_network *n;
	struct devices *devices;
	const struct agent_link *missing;
	struct err *err;
};

static int all_are_there(void *arg)
{
	struct wanted *w = arg;
	const int r = list_devices(w->c, w->devices, w->err);

	if (r < 0)
		return r;
	w->missing = first_missing(w->n, w->devices);
	return !w->missing;
}

static int await_devices(struct rtnl *c, const struct agent_network *n, struct devices *devices,
			 struct err *err)
{
	struct wanted wanted = { .c = c, .n = n, .devices = devices, .err = err };
	const int r = devices_await(all_are_there, &wanted);
	const struct agent_link *missing = wanted.missing;

	if (r != -ENODEV || !missing)
		return r;
	return err_set(err, -ENODEV,
		       "network: %s: the machine has no device "
		       "%02x:%02x:%02x:%02x:%02x:%02x",
		       missing->name, missing->mac[0], missing->mac[1], missing->mac[2],
		       missing->mac[3], missing->mac[4], missing->mac[5]);
}

/* A name is given to what is down. */
static int rename_device(struct rtnl *c, struct device *d, const char *name, struct err *err)
{
	const struct ifinfomsg link = { .ifi_index = d->index };
	struct rtnl_request q;
	int r = d->up ? rtnl_link_set_up(c, d->index, false, err) : 0;

	if (r < 0)
		return r;
	d->up = false;
	rtnl_start(&q, RTM_NEWLINK, 0, &link, sizeof(link));
	rtnl_put_text(&q, IFLA_IFNAME, name);
	r = rtnl_ask(c, &q, NULL, NULL, err);
	if (r == 0)
		(void)snprintf(d->name, sizeof(d->name), "%s", name);
	return r;
}

static int name_device(struct rtnl *c, struct devices *devices, struct device *d, const char *name,
		       struct err *err)
{
	char aside[IFNAMSIZ];

	if (str_eq(d->name, name))
		return 0;
	for (size_t i = 0; i < devices->len; i++) {
		struct device *other = &devices->items[i];
		int r;

		if (!str_eq(other->name, name))
			continue;
		(void)snprintf(aside, sizeof(aside), "aside%d", other->index);
		r = rename_device(c, other, aside, err);
		if (r < 0)
			return err_prefix(err, r, "network: move device %s aside", name);
	}
	if (rename_device(c, d, name, err) < 0)
		return err_prefix(err, err->code, "network: name device %s \"%s\"", d->name, name);
	return 0;
}

static int disable_ipv6(const char *name, struct err *err)
{
	char path[64 + IFNAMSIZ];
	int r;

	(void)snprintf(path, sizeof(path), "/proc/sys/net/ipv6/conf/%s/disable_ipv6", name);
	r = fd_write_file(AT_FDCWD, path, "1");
	/* No IPv6 at all. */
	return r < 0 && r != -ENOENT ? err_sys(err, r, "network: write %s", path) : 0;
}

static int set_up(struct rtnl *c, const struct device *d, const struct agent_link *l,
		  struct err *err)
{
	const struct ifinfomsg link = {
		.ifi_index = d->index,
		.ifi_flags = IFF_UP | (l->flags & CARRIED_FLAGS),
		.ifi_change = IFF_UP | CARRIED_FLAGS,
	};
	struct rtnl_request q;
	int r = l->flags & AGENT_LINK_NO_IPV6 ? disable_ipv6(d->name, err) : 0;

	if (r < 0)
		return r;
	rtnl_start(&q, RTM_NEWLINK, 0, &link, sizeof(link));
	if (l->mtu)
		rtnl_put_u32(&q, IFLA_MTU, l->mtu);
	r = rtnl_ask(c, &q, NULL, NULL, err);
	return r < 0 ? err_prefix(err, r, "network: bring %s up with MTU %u", l->name, l->mtu) : 0;
}

static int apply_links(struct network *net, struct err *err)
{
	const struct agent_network *n = net->n;
	struct device *found[AGENT_LINKS_MAX];
	struct devices devices;
	int r = await_devices(&net->c, n, &devices, err);

	for (uint32_t i = 0; r == 0 && i < n->links_len; i++) {
		found[i] = find(&devices, n->links[i].mac);
		r = found[i] ? name_device(&net->c, &devices, found[i], n->links[i].name, err)
			     : -ENODEV;
	}
	for (uint32_t i = 0; r == 0 && i < n->links_len; i++) {
		net->index[i] = found[i]->index;
		r = set_up(&net->c, found[i], &n->links[i], err);
	}
	return r;
}

static bool all_have_carrier(const struct agent_network *n, struct devices *devices)
{
	for (uint32_t i = 0; i < n->links_len; i++) {
		const struct device *d = find(devices, n->links[i].mac);

		if (d && !d->carrier)
			return false;
	}
	return true;
}

/*
 * A device takes frames a moment after it has come up; what a container sends before is lost, and
 * some wait for seconds until they ask again (resolv.conf(5)).
 */
static int await_carrier(struct rtnl *c, const struct agent_network *n, struct err *err)
{
	const struct timespec pause = { .tv_nsec = CARRIER_POLL_MS * 1000000L };
	struct devices devices;
	int r = 0;

	for (int waited = 0; r == 0 && waited < CARRIER_WAIT_MS; waited += CARRIER_POLL_MS) {
		r = list_devices(c, &devices, err);
		if (r < 0 || all_have_carrier(n, &devices))
			break;
		(void)nanosleep(&pause, NULL);
	}
	return r;
}

/*
 * The host's kernel has looked for duplicates already; a container that starts at once could not
 * bind to an address that is looked after again.
 */
static int apply_address(struct network *net, const struct agent_address *a, struct err *err)
{
	const size_t len = network_ip_len(&a->ip);
	const uint32_t states = IFA_F_TENTATIVE | IFA_F_DADFAILED | IFA_F_PERMANENT |
				IFA_F_SECONDARY | IFA_F_DEPRECATED;
	const struct ifaddrmsg msg = {
		.ifa_family = (uint8_t)a->ip.family,
		.ifa_prefixlen = (uint8_t)a->ip.prefix,
		.ifa_scope = (uint8_t)a->scope,
		.ifa_index = (uint32_t)net->index[a->link],
	};
	char text[NETWORK_IP_TEXT];
	struct rtnl_request q;
	int r;

	rtnl_start(&q, RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, &msg, sizeof(msg));
	rtnl_put(&q, IFA_LOCAL, a->ip.bytes, len);
	rtnl_put(&q, IFA_ADDRESS, a->peer.family ? a->peer.bytes : a->ip.bytes, len);
	if (a->ip.family == AF_INET && memcmp(a->broadcast, "\0\0\0", 4) != 0)
		rtnl_put(&q, IFA_BROADCAST, a->broadcast, 4);
	rtnl_put_u32(&q, IFA_FLAGS,
		     (a->flags & ~states) | (a->ip.family == AF_INET6 ? IFA_F_NODAD : 0u));
	r = rtnl_ask(&net->c, &q, NULL, NULL, err);
	return r < 0 ? err_prefix(err, r, "network: address %s/%u of %s",
				  network_ip_text(&a->ip, text), a->ip.prefix,
				  net->n->links[a->link].name)
		     : 0;
}

static int apply_neighbour(struct network *net, const struct agent_neighbour *e, struct err *err)
{
	const struct ndmsg msg = {
		.ndm_family = (uint8_t)e->ip.family,
		.ndm_ifindex = net->index[e->link],
		.ndm_state = (uint16_t)e->state,
	};
	char text[NETWORK_IP_TEXT];
	struct rtnl_request q;
	int r;

	rtnl_start(&q, RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, &msg, sizeof(msg));
	rtnl_put(&q, NDA_DST, e->ip.bytes, network_ip_len(&e->ip));
	rtnl_put(&q, NDA_LLADDR, e->mac, sizeof(e->mac));
	r = rtnl_ask(&net->c, &q, NULL, NULL, err);
	return r < 0 ? err_prefix(err, r, "network: neighbour %s of %s",
				  network_ip_text(&e->ip, text), net->n->links[e->link].name)
		     : 0;
}

static int apply_all(struct network *net, struct err *err)
{
	const struct agent_network *n = net->n;
	int r = rtnl_open(&net->c, err);

	if (r == 0)
		r = apply_links(net, err);
	for (uint32_t i = 0; r == 0 && i < n->addresses_len; i++)
		r = apply_address(net, &n->addresses[i], err);
	if (r == 0)
		r = network_apply_routes(net, err);
	for (uint32_t i = 0; r == 0 && i < n->neighbours_len; i++)
		r = apply_neighbour(net, &n->neighbours[i], err);
	for (uint32_t i = 0; r == 0 && i < n->rules_len; i++)
		r = network_apply_rule(net, &n->rules[i], err);
	return r < 0 ? r : await_carrier(&net->c, n, err);
}

int agent_network_apply(const struct agent_network *network, struct err *err)
{
	struct network net = { .c = RTNL_INIT, .n = network };
	struct err own = { 0 };
	int r;

	if (network->links_len == 0)
		return 0;
	r = apply_all(&net, err ? err : &own);
	rtnl_done(&net.c);
	return r;
}

int agent_network_give(const struct agent_network *network, pid_t pid, struct err *err)
{
	AUTO_CLOSE int home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	AUTO_CLOSE int there = -EBADF;
	struct oci_net_device devices[AGENT_LINKS_MAX];
	char path[64];
	int r;

	if (network->links_len == 0)
		return 0;
	(void)snprintf(path, sizeof(path), "/proc/%d/ns/net", (int)pid);
	there = open(path, O_RDONLY | O_CLOEXEC);
	if (home < 0 || there < 0)
		return err_sys(err, -errno, "network: open the container's namespace");
	for (uint32_t i = 0; i < network->links_len; i++)
		devices[i] =
			(struct oci_net_device){ network->links[i].name, network->links[i].name };
	r = netdev_move(devices, network->links_len, there, err);
	if (r < 0)
		return r;
	if (setns(there, CLONE_NEWNET) < 0)
		return err_sys(err, -errno, "network: enter the container's namespace");
	r = agent_network_apply(network, err);
	if (setns(home, CLONE_NEWNET) < 0)
		return err_sys(err, -errno, "network: leave the container's namespace");
	return r;
}
