/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/vm/net_read.h"

#include <arpa/inet.h>
#include <linux/fib_rules.h>
#include <linux/ipv6.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/log.h"
#include "base/str.h"

/* IFA_PROTO and its values are of Linux 5.18. */
#define ADDRESS_PROTO	11
#define PROTO_KERNEL_RA 2
#define PROTO_KERNEL_LL 3

/* What is being read, and into what. */
struct reader {
	const int *index;
	int family; /* the one that was asked for: a kernel without it may answer with all */
	struct agent_network *n;
	bool connected[AGENT_ADDRESSES_MAX]; /* of n->addresses: the kernel's route to its network
						is there */
};

/* 1 + index of the link; 0: the device is not carried. */
static uint32_t link_of(const struct reader *r, int index)
{
	for (uint32_t i = 0; i < r->n->links_len; i++) {
		if (r->index[i] == index)
			return i + 1;
	}
	return 0;
}

static uint32_t link_named(const struct reader *r, const char *name)
{
	for (uint32_t i = 0; i < r->n->links_len; i++) {
		if (str_eq(r->n->links[i].name, name))
			return i + 1;
	}
	return 0;
}

/* false, and family 0, without an attribute of the family's length. */
static bool get_ip(const struct rtattr *a, int family, uint32_t prefix, struct agent_ip *ret)
{
	const size_t len = family == AF_INET ? 4 : 16;

	*ret = (struct agent_ip){ 0 };
	if (!a || !rtnl_get(a, ret->bytes, len))
		return false;
	ret->family = (uint32_t)family;
	ret->prefix = prefix;
	return true;
}

static uint32_t whole(int family)
{
	return family == AF_INET ? 32 : 128;
}

static bool is_ip(int family)
{
	return family == AF_INET || family == AF_INET6;
}

/* ---- Devices ---- */

/* disable_ipv6 of the device, in IFLA_AF_SPEC. */
static bool has_no_ipv6(const struct rtattr *spec)
{
	const struct rtattr *families[AF_INET6 + 1], *inet6[IFLA_INET6_CONF + 1];
	int32_t value = 0;

	if (rtnl_parse_nest(spec, families, AF_INET6 + 1) < 0 ||
	    rtnl_parse_nest(families[AF_INET6], inet6, IFLA_INET6_CONF + 1) < 0 ||
	    rtnl_len(inet6[IFLA_INET6_CONF]) < (DEVCONF_DISABLE_IPV6 + 1) * sizeof(value))
		return false;
	memcpy(&value,
	       (const uint8_t *)RTA_DATA(inet6[IFLA_INET6_CONF]) +
		       DEVCONF_DISABLE_IPV6 * sizeof(value),
	       sizeof(value));
	return value != 0;
}

static int take_device(uint16_t type, const void *body, size_t len, void *arg)
{
	const struct ifinfomsg *link = body;
	const struct rtattr *attrs[IFLA_LINK_NETNSID + 1], *info[IFLA_INFO_KIND + 1];
	struct net_devices *devices = arg;
	const char *name, *kind;
	uint32_t parent = 0, master = 0;
	struct net_device *d;
	uint8_t carrier = 1;

	if (rtnl_parse(body, len, sizeof(*link), attrs, IFLA_LINK_NETNSID + 1) < 0 ||
	    rtnl_parse_nest(attrs[IFLA_LINKINFO], info, IFLA_INFO_KIND + 1) < 0)
		return -EBADMSG;
	name = rtnl_get_text(attrs[IFLA_IFNAME]);
	kind = rtnl_get_text(info[IFLA_INFO_KIND]);
	if (type != RTM_NEWLINK || !name || strlen(name) >= IFNAMSIZ)
		return 0;
	if (devices->len == NET_DEVICES_MAX)
		return -E2BIG;
	d = &devices->items[devices->len++];
	*d = (struct net_device){ .index = link->ifi_index,
				  .type = link->ifi_type,
				  .flags = link->ifi_flags };
	(void)snprintf(d->name, sizeof(d->name), "%s", name);
	(void)snprintf(d->kind, sizeof(d->kind), "%s", kind ? kind : "");
	(void)rtnl_get_u32(attrs[IFLA_MTU], &d->mtu);
	(void)rtnl_get_u32(attrs[IFLA_MASTER], &master);
	(void)rtnl_get_u32(attrs[IFLA_LINK], &parent);
	d->master = (int)master;
	/* The other end of a veth pair is no parent; one of another namespace is not here. */
	if (!attrs[IFLA_LINK_NETNSID] && !str_eq(d->kind, "veth"))
		d->parent = (int)parent;
	d->has_mac = rtnl_get(attrs[IFLA_ADDRESS], d->mac, sizeof(d->mac));
	d->no_ipv6 = has_no_ipv6(attrs[IFLA_AF_SPEC]);
	if (rtnl_get(attrs[IFLA_CARRIER], &carrier, sizeof(carrier)))
		d->no_carrier = carrier == 0;
	return 0;
}

static int by_index(const void *a, const void *b)
{
	const struct net_device *x = a, *y = b;

	return (x->index > y->index) - (x->index < y->index);
}

int net_read_devices(struct rtnl *c, struct net_devices *ret, struct err *err)
{
	const struct ifinfomsg all = { .ifi_family = AF_UNSPEC };
	struct rtnl_request q;
	int tries = 0;
	int r;

	do {
		ret->len = 0;
		rtnl_start(&q, RTM_GETLINK, 0, &all, sizeof(all));
		r = rtnl_dump(c, &q, take_device, ret, err);
	} while (r == -EAGAIN && ++tries < RTNL_TRIES);
	if (r == -E2BIG)
		return err_set(err, r, "more than %d network devices", NET_DEVICES_MAX);
	if (r < 0)
		return err_prefix(err, r, "list network devices");
	qsort(ret->items, ret->len, sizeof(ret->items[0]), by_index);
	return 0;
}

/* ---- Addresses ---- */

/* The kernel makes it of the MAC (RFC 4291, appendix A), and so does the guest's. */
static bool is_eui64(const struct agent_ip *ip, const uint8_t mac[static 6])
{
	const uint8_t own[16] = { 0xfe,	      0x80,   0,      0,    0,	  0,	  0,	  0,
				  mac[0] ^ 2, mac[1], mac[2], 0xff, 0xfe, mac[3], mac[4], mac[5] };

	return ip->family == AF_INET6 && memcmp(ip->bytes, own, sizeof(own)) == 0;
}

static bool guest_makes_it(const struct agent_address *a, uint8_t proto,
			   const uint8_t mac[static 6])
{
	if (a->ip.family == AF_INET)
		return false;
	/* From an advertisement: it has a lease. */
	return proto == PROTO_KERNEL_LL || proto == PROTO_KERNEL_RA ||
	       !(a->flags & IFA_F_PERMANENT) || a->flags & IFA_F_TEMPORARY || is_eui64(&a->ip, mac);
}

static int take_address(uint16_t type, const void *body, size_t len, void *arg)
{
	const struct ifaddrmsg *msg = body;
	const struct rtattr *attrs[ADDRESS_PROTO + 1];
	struct reader *r = arg;
	struct agent_network *n = r->n;
	struct agent_address a = { 0 };
	struct agent_ip other;
	uint8_t proto = 0;
	uint32_t link;

	if (rtnl_parse(body, len, sizeof(*msg), attrs, ADDRESS_PROTO + 1) < 0)
		return -EBADMSG;
	link = link_of(r, (int)msg->ifa_index);
	if (type != RTM_NEWADDR || msg->ifa_family != r->family || !link)
		return 0;
	a.link = link - 1;
	a.scope = msg->ifa_scope;
	a.flags = msg->ifa_flags;
	(void)rtnl_get_u32(attrs[IFA_FLAGS], &a.flags);
	(void)rtnl_get(attrs[ADDRESS_PROTO], &proto, sizeof(proto));
	(void)rtnl_get(attrs[IFA_BROADCAST], a.broadcast, sizeof(a.broadcast));
	(void)get_ip(attrs[IFA_ADDRESS], msg->ifa_family, msg->ifa_prefixlen, &other);
	if (!get_ip(attrs[IFA_LOCAL], msg->ifa_family, msg->ifa_prefixlen, &a.ip))
		a.ip = other;
	else if (other.family && memcmp(a.ip.bytes, other.bytes, sizeof(other.bytes)) != 0)
		a.peer = other;
	if (!a.ip.family || guest_makes_it(&a, proto, n->links[a.link].mac))
		return 0;
	if (n->addresses_len == AGENT_ADDRESSES_MAX)
		return -E2BIG;
	n->addresses[n->addresses_len++] = a;
	return 0;
}

/* ---- Routes ---- */

static bool has_device(uint32_t type)
{
	return type != RTN_BLACKHOLE && type != RTN_UNREACHABLE && type != RTN_PROHIBIT &&
	       type != RTN_THROW;
}

static void not_carried(const char *what, const struct agent_ip *to, const char *why)
{
	char text[INET6_ADDRSTRLEN] = "";

	(void)inet_ntop((int)to->family, to->bytes, text, sizeof(text));
	log_warning("class vm: a %s to %s/%u is not carried into the machine: %s", what, text,
		    to->prefix, why);
}

static void get_gateway(const struct rtattr *gateway, const struct rtattr *via, int family,
			struct agent_ip *ret)
{
	struct {
		uint16_t family;
		uint8_t bytes[16];
	} v = { 0 };

	if (get_ip(gateway, family, whole(family), ret) || !via || rtnl_len(via) > sizeof(v))
		return;
	memcpy(&v, RTA_DATA(via), rtnl_len(via));
	if (!is_ip(v.family) || rtnl_len(via) != 2u + (v.family == AF_INET ? 4u : 16u))
		return;
	*ret = (struct agent_ip){ .family = v.family, .prefix = whole(v.family) };
	memcpy(ret->bytes, v.bytes, sizeof(v.bytes));
}

static int keep_route(struct reader *r, struct agent_route *route, int device)
{
	struct agent_network *n = r->n;
	const uint32_t link = link_of(r, device);

	if (!link && has_device(route->type)) {
		not_carried("route", &route->to, "its device is not");
		return 0;
	}
	route->link = link ? link - 1 : 0;
	if (n->routes_len == AGENT_ROUTES_MAX)
		return -E2BIG;
	n->routes[n->routes_len++] = *route;
	return 0;
}

/*
 * RTA_MULTIPATH: a route for each next hop. IPv6 makes one of them again; with IPv4 the first
 * answers as long as it is there.
 */
static int keep_hops(struct reader *r, struct agent_route *route, const struct rtattr *a)
{
	const uint8_t *at = RTA_DATA(a);
	size_t left = rtnl_len(a);
	int result = 0;

	while (result == 0 && left > 0) {
		const struct rtnexthop *hop = (const struct rtnexthop *)at;
		const struct rtattr *attrs[RTA_VIA + 1];
		size_t len;

		if (left < sizeof(*hop) || hop->rtnh_len < sizeof(*hop) || hop->rtnh_len > left ||
		    rtnl_parse(hop, hop->rtnh_len, sizeof(*hop), attrs, RTA_VIA + 1) < 0)
			return -EBADMSG;
		get_gateway(attrs[RTA_GATEWAY], attrs[RTA_VIA], (int)route->to.family,
			    &route->gateway);
		route->flags = hop->rtnh_flags & RTNH_F_ONLINK;
		result = keep_route(r, route, hop->rtnh_ifindex);
		len = (size_t)RTNH_ALIGN(hop->rtnh_len);
		len = len < left ? len : left;
		at += len;
		left -= len;
	}
	return result;
}

static bool guest_makes_route(const struct rtmsg *msg)
{
	return msg->rtm_flags & RTM_F_CLONED || msg->rtm_protocol == RTPROT_KERNEL ||
	       msg->rtm_protocol == RTPROT_RA || msg->rtm_protocol == RTPROT_REDIRECT ||
	       msg->rtm_type == RTN_MULTICAST || msg->rtm_type == RTN_BROADCAST ||
	       msg->rtm_type == RTN_ANYCAST;
}

/* The network that the kernel makes a route to for an address. */
static bool is_network_of(const struct agent_address *a, const struct agent_ip *to)
{
	const struct agent_ip *own = a->ip.family == AF_INET && a->peer.family ? &a->peer : &a->ip;
	const uint32_t bytes = own->prefix / 8, bits = own->prefix % 8;

	if (to->family != own->family || to->prefix != own->prefix ||
	    memcmp(to->bytes, own->bytes, bytes) != 0)
		return false;
	return !bits || !((to->bytes[bytes] ^ own->bytes[bytes]) >> (8 - bits));
}

static void note_connected(struct reader *r, const struct agent_ip *to, int device)
{
	const uint32_t link = link_of(r, device);

	for (uint32_t i = 0; link && i < r->n->addresses_len; i++) {
		const struct agent_address *a = &r->n->addresses[i];

		if (a->link == link - 1 && is_network_of(a, to))
			r->connected[i] = true;
	}
}

/*
 * An address without the kernel's route to its network (CNI's ptp takes it away: all of it is
 * behind the router) does not make one in the guest either. A whole address of IPv4 makes none.
 */
static void leave_out_routes(struct reader *r)
{
	for (uint32_t i = 0; i < r->n->addresses_len; i++) {
		struct agent_address *a = &r->n->addresses[i];

		if ((int)a->ip.family == r->family && !r->connected[i] &&
		    (a->ip.prefix < whole(r->family) || a->peer.family))
			a->flags |= IFA_F_NOPREFIXROUTE;
	}
}

static int take_route(uint16_t type, const void *body, size_t len, void *arg)
{
	const struct rtmsg *msg = body;
	struct reader *r = arg;
	const struct rtattr *attrs[RTA_ENCAP_TYPE + 1], *metrics[RTAX_MTU + 1];
	struct agent_route route = { 0 };
	uint32_t device = 0;

	if (rtnl_parse(body, len, sizeof(*msg), attrs, RTA_ENCAP_TYPE + 1) < 0 ||
	    rtnl_parse_nest(attrs[RTA_METRICS], metrics, RTAX_MTU + 1) < 0)
		return -EBADMSG;
	if (type != RTM_NEWROUTE || msg->rtm_family != r->family)
		return 0;
	if (!get_ip(attrs[RTA_DST], msg->rtm_family, msg->rtm_dst_len, &route.to))
		route.to.family = msg->rtm_family;
	(void)rtnl_get_u32(attrs[RTA_OIF], &device);
	if (msg->rtm_protocol == RTPROT_KERNEL && msg->rtm_type == RTN_UNICAST)
		note_connected(r, &route.to, (int)device);
	if (guest_makes_route(msg))
		return 0;
	route.scope = msg->rtm_scope;
	route.protocol = msg->rtm_protocol;
	route.type = msg->rtm_type;
	route.flags = msg->rtm_flags & RTNH_F_ONLINK;
	route.table = msg->rtm_table;
	(void)rtnl_get_u32(attrs[RTA_TABLE], &route.table);
	(void)rtnl_get_u32(attrs[RTA_PRIORITY], &route.metric);
	(void)rtnl_get_u32(metrics[RTAX_MTU], &route.mtu);
	(void)get_ip(attrs[RTA_PREFSRC], msg->rtm_family, whole(msg->rtm_family), &route.source);
	if (attrs[RTA_ENCAP_TYPE] || msg->rtm_tos || msg->rtm_src_len) {
		not_carried("route", &route.to, "it has a type of service, a source or a tunnel");
		return 0;
	}
	if (attrs[RTA_MULTIPATH])
		return keep_hops(r, &route, attrs[RTA_MULTIPATH]);
	get_gateway(attrs[RTA_GATEWAY], attrs[RTA_VIA], msg->rtm_family, &route.gateway);
	return keep_route(r, &route, (int)device);
}

/* ---- Neighbours and rules ---- */

static int take_neighbour(uint16_t type, const void *body, size_t len, void *arg)
{
	const struct ndmsg *msg = body;
	const struct rtattr *attrs[NDA_LLADDR + 1];
	struct reader *r = arg;
	struct agent_network *n = r->n;
	struct agent_neighbour e = { 0 };
	uint32_t link;

	if (rtnl_parse(body, len, sizeof(*msg), attrs, NDA_LLADDR + 1) < 0)
		return -EBADMSG;
	link = link_of(r, msg->ndm_ifindex);
	if (type != RTM_NEWNEIGH || !link || msg->ndm_family != r->family ||
	    !(msg->ndm_state & NUD_PERMANENT) || msg->ndm_flags & NTF_PROXY ||
	    !get_ip(attrs[NDA_DST], msg->ndm_family, whole(msg->ndm_family), &e.ip) ||
	    !rtnl_get(attrs[NDA_LLADDR], e.mac, sizeof(e.mac)))
		return 0;
	e.link = link - 1;
	e.state = msg->ndm_state;
	if (n->neighbours_len == AGENT_NEIGHBOURS_MAX)
		return -E2BIG;
	n->neighbours[n->neighbours_len++] = e;
	return 0;
}

/* Selectors that a guest is not told. */
static bool is_special(const struct fib_rule_hdr *hdr, const struct rtattr *const *attrs)
{
	static const uint8_t types[] = { FRA_FLOW,     FRA_TUN_ID,	FRA_UID_RANGE,
					 FRA_IP_PROTO, FRA_SPORT_RANGE, FRA_DPORT_RANGE,
					 FRA_GOTO };
	uint32_t prefix = UINT32_MAX, group = UINT32_MAX;
	uint8_t l3mdev = 0;

	for (size_t i = 0; i < sizeof(types); i++) {
		if (attrs[types[i]])
			return true;
	}
	/* Of what is absent the kernel says -1, or 0. */
	(void)rtnl_get_u32(attrs[FRA_SUPPRESS_PREFIXLEN], &prefix);
	(void)rtnl_get_u32(attrs[FRA_SUPPRESS_IFGROUP], &group);
	(void)rtnl_get(attrs[FRA_L3MDEV], &l3mdev, sizeof(l3mdev));
	return hdr->tos || prefix != UINT32_MAX || group != UINT32_MAX || l3mdev;
}

static int take_rule(uint16_t type, const void *body, size_t len, void *arg)
{
	const struct fib_rule_hdr *hdr = body;
	const struct rtattr *attrs[FRA_DPORT_RANGE + 1];
	struct reader *r = arg;
	struct agent_network *n = r->n;
	struct agent_rule rule = { 0 };
	uint8_t protocol = RTPROT_UNSPEC;

	if (rtnl_parse(body, len, sizeof(*hdr), attrs, FRA_DPORT_RANGE + 1) < 0)
		return -EBADMSG;
	(void)rtnl_get(attrs[FRA_PROTOCOL], &protocol, sizeof(protocol));
	/* The three that every namespace has are the kernel's. */
	if (type != RTM_NEWRULE || hdr->family != r->family || protocol == RTPROT_KERNEL)
		return 0;
	rule.family = hdr->family;
	rule.action = hdr->action;
	rule.flags = hdr->flags & FIB_RULE_INVERT;
	rule.table = hdr->table;
	(void)rtnl_get_u32(attrs[FRA_TABLE], &rule.table);
	(void)rtnl_get_u32(attrs[FRA_PRIORITY], &rule.priority);
	(void)rtnl_get_u32(attrs[FRA_FWMARK], &rule.mark);
	(void)rtnl_get_u32(attrs[FRA_FWMASK], &rule.mask);
	(void)get_ip(attrs[FRA_SRC], hdr->family, hdr->src_len, &rule.from);
	(void)get_ip(attrs[FRA_DST], hdr->family, hdr->dst_len, &rule.to);
	rule.in_link = link_named(r, rtnl_get_text(attrs[FRA_IIFNAME]));
	rule.out_link = link_named(r, rtnl_get_text(attrs[FRA_OIFNAME]));
	if (is_special(hdr, attrs) || (attrs[FRA_IIFNAME] && !rule.in_link) ||
	    (attrs[FRA_OIFNAME] && !rule.out_link)) {
		log_warning("class vm: rule %u is not carried into the machine", rule.priority);
		return 0;
	}
	if (n->rules_len == AGENT_RULES_MAX)
		return -E2BIG;
	n->rules[n->rules_len++] = rule;
	return 0;
}

/* ---- All of them ---- */

/* A list, from its beginning again when it changes; *len is where in `n` it is counted. */
static int read_list(struct rtnl *c, struct reader *r, struct rtnl_request *q, rtnl_take *take,
		     uint32_t *len, struct err *err)
{
	const uint32_t before = *len;
	int tries = 0;
	int result;

	do {
		*len = before;
		result = rtnl_dump(c, q, take, r, err);
	} while (result == -EAGAIN && ++tries < RTNL_TRIES);
	return result;
}

static int read_family(struct rtnl *c, struct reader *r, struct err *err)
{
	const uint8_t family = (uint8_t)r->family;
	const struct ifaddrmsg address = { .ifa_family = family };
	const struct rtmsg route = { .rtm_family = family };
	const struct ndmsg neighbour = { .ndm_family = family };
	const struct fib_rule_hdr rule = { .family = family };
	struct agent_network *n = r->n;
	struct rtnl_request q;
	int result;

	rtnl_start(&q, RTM_GETADDR, 0, &address, sizeof(address));
	result = read_list(c, r, &q, take_address, &n->addresses_len, err);
	if (result < 0)
		return err_prefix(err, result, "list addresses (up to %u)", AGENT_ADDRESSES_MAX);
	rtnl_start(&q, RTM_GETROUTE, 0, &route, sizeof(route));
	result = read_list(c, r, &q, take_route, &n->routes_len, err);
	if (result < 0)
		return err_prefix(err, result, "list routes (up to %u)", AGENT_ROUTES_MAX);
	leave_out_routes(r);
	rtnl_start(&q, RTM_GETNEIGH, 0, &neighbour, sizeof(neighbour));
	result = read_list(c, r, &q, take_neighbour, &n->neighbours_len, err);
	if (result < 0)
		return err_prefix(err, result, "list neighbours (up to %u)", AGENT_NEIGHBOURS_MAX);
	rtnl_start(&q, RTM_GETRULE, 0, &rule, sizeof(rule));
	result = read_list(c, r, &q, take_rule, &n->rules_len, err);
	/* No such family, or a kernel without rules. */
	if (result == -EAFNOSUPPORT || result == -EOPNOTSUPP)
		return 0;
	return result < 0 ? err_prefix(err, result, "list rules (up to %u)", AGENT_RULES_MAX) : 0;
}

int net_read_all(struct rtnl *c, const int *index, struct agent_network *n, struct err *err)
{
	struct reader v4 = { .index = index, .family = AF_INET, .n = n };
	struct reader v6 = { .index = index, .family = AF_INET6, .n = n };
	const int r = read_family(c, &v4, err);

	return r < 0 ? r : read_family(c, &v6, err);
}
