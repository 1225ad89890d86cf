/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Options of ip(7), ipv6(7), tcp(7) and udp(7). Most are numbers that are kept and given back,
 * because nothing on loopback depends on them: the table below.
 */
#include <linux/capability.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <string.h>

#include "sentry/net/inet.h"
#include "sentry/task/task.h"

#ifndef TCP_NOTSENT_LOWAT
#define TCP_NOTSENT_LOWAT 25
#endif
#ifndef IPV6_AUTOFLOWLABEL
#define IPV6_AUTOFLOWLABEL 70
#endif
#ifndef IPV6_FREEBIND
#define IPV6_FREEBIND 78
#endif
#define TCP_INQ_OPTION		36
#define TCP_FASTOPEN_CONN	30
#define IP_LOCAL_PORT_RANGE_OPT 51
#define LOOPBACK_MSS		65483
#define DEFAULT_TTL		64
#define CONGESTION_DEFAULT	"cubic"

struct inet_option {
	int level, name;
	int initial, min, max;
	bool minus_one; /* -1 sets the initial value */
};

static const struct inet_option inet_options[] = {
	{ IPPROTO_IP, IP_TOS, 0, 0, 255, false },
	{ IPPROTO_IP, IP_TTL, DEFAULT_TTL, 1, 255, true },
	{ IPPROTO_IP, IP_RECVOPTS, 0, 0, 1, false },
	{ IPPROTO_IP, IP_RETOPTS, 0, 0, 1, false },
	{ IPPROTO_IP, IP_PKTINFO, 0, 0, INT32_MAX, false },
	{ IPPROTO_IP, IP_MTU_DISCOVER, 1, 0, 5, false },
	{ IPPROTO_IP, IP_RECVERR, 0, 0, INT32_MAX, false },
	{ IPPROTO_IP, IP_RECVTTL, 0, 0, INT32_MAX, false },
	{ IPPROTO_IP, IP_RECVTOS, 0, 0, INT32_MAX, false },
	{ IPPROTO_IP, IP_FREEBIND, 0, 0, INT32_MAX, false },
	{ IPPROTO_IP, IP_RECVORIGDSTADDR, 0, 0, INT32_MAX, false },
	{ IPPROTO_IP, IP_MINTTL, 0, 0, 255, false },
	{ IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 0, 0, INT32_MAX, false },
	{ IPPROTO_IP, IP_MULTICAST_TTL, 1, 0, 255, true },
	{ IPPROTO_IP, IP_MULTICAST_LOOP, 1, 0, INT32_MAX, false },
	{ IPPROTO_IP, IP_MULTICAST_ALL, 1, 0, 1, false },
	{ IPPROTO_IP, IP_LOCAL_PORT_RANGE_OPT, 0, 0, INT32_MAX, false },
	{ IPPROTO_IPV6, IPV6_UNICAST_HOPS, DEFAULT_TTL, 0, 255, true },
	{ IPPROTO_IPV6, IPV6_MULTICAST_HOPS, 1, 0, 255, true },
	{ IPPROTO_IPV6, IPV6_MULTICAST_LOOP, 1, 0, 1, false },
	{ IPPROTO_IPV6, IPV6_MTU_DISCOVER, 1, 0, 5, false },
	{ IPPROTO_IPV6, IPV6_RECVERR, 0, 0, INT32_MAX, false },
	{ IPPROTO_IPV6, IPV6_RECVPKTINFO, 0, 0, INT32_MAX, false },
	{ IPPROTO_IPV6, IPV6_RECVHOPLIMIT, 0, 0, INT32_MAX, false },
	{ IPPROTO_IPV6, IPV6_RECVTCLASS, 0, 0, INT32_MAX, false },
	{ IPPROTO_IPV6, IPV6_TCLASS, 0, 0, 255, true },
	{ IPPROTO_IPV6, IPV6_DONTFRAG, 0, 0, INT32_MAX, false },
	{ IPPROTO_IPV6, IPV6_AUTOFLOWLABEL, 1, 0, INT32_MAX, false },
	{ IPPROTO_IPV6, IPV6_FREEBIND, 0, 0, INT32_MAX, false },
	{ IPPROTO_TCP, TCP_NODELAY, 0, INT32_MIN, INT32_MAX, false },
	{ IPPROTO_TCP, TCP_MAXSEG, LOOPBACK_MSS, 88, 65535, false },
	{ IPPROTO_TCP, TCP_CORK, 0, INT32_MIN, INT32_MAX, false },
	{ IPPROTO_TCP, TCP_KEEPIDLE, 7200, 1, 32767, false },
	{ IPPROTO_TCP, TCP_KEEPINTVL, 75, 1, 32767, false },
	{ IPPROTO_TCP, TCP_KEEPCNT, 9, 1, 127, false },
	{ IPPROTO_TCP, TCP_SYNCNT, 6, 1, 127, false },
	{ IPPROTO_TCP, TCP_LINGER2, 60, INT32_MIN, INT32_MAX, false },
	{ IPPROTO_TCP, TCP_DEFER_ACCEPT, 0, INT32_MIN, INT32_MAX, false },
	{ IPPROTO_TCP, TCP_WINDOW_CLAMP, 0, 0, INT32_MAX, false },
	{ IPPROTO_TCP, TCP_QUICKACK, 1, INT32_MIN, INT32_MAX, false },
	{ IPPROTO_TCP, TCP_USER_TIMEOUT, 0, 0, INT32_MAX, false },
	{ IPPROTO_TCP, TCP_FASTOPEN, 0, 0, INT32_MAX, false },
	{ IPPROTO_TCP, TCP_FASTOPEN_CONN, 0, 0, 0, false },
	{ IPPROTO_TCP, TCP_NOTSENT_LOWAT, 0, INT32_MIN, INT32_MAX, false },
	{ IPPROTO_TCP, TCP_INQ_OPTION, 0, 0, 1, false },
};
#define OPTION_COUNT (sizeof(inet_options) / sizeof(inet_options[0]))
_Static_assert(OPTION_COUNT <= INET_OPTIONS_MAX, "values[] of struct inet_socket");

/* Those whose numbers are answers yes or no: any number sets 0 or 1. */
static bool is_flag(const struct inet_option *o)
{
	return o->min <= 0 && o->max == INT32_MAX && (o->initial == 0 || o->initial == 1) &&
	       !(o->level == IPPROTO_TCP &&
		 (o->name == TCP_LINGER2 || o->name == TCP_DEFER_ACCEPT ||
		  o->name == TCP_WINDOW_CLAMP || o->name == TCP_USER_TIMEOUT ||
		  o->name == TCP_FASTOPEN || o->name == TCP_NOTSENT_LOWAT)) &&
	       !(o->level == IPPROTO_IP && o->name == IP_LOCAL_PORT_RANGE_OPT);
}

static int find(int level, int name)
{
	for (size_t i = 0; i < OPTION_COUNT; i++) {
		if (inet_options[i].level == level && inet_options[i].name == name)
			return (int)i;
	}
	return -ENOPROTOOPT;
}

void inet_options_init(struct inet_socket *s)
{
	for (size_t i = 0; i < OPTION_COUNT; i++)
		s->values[i] = inet_options[i].initial;
	memcpy(s->congestion, CONGESTION_DEFAULT, sizeof(CONGESTION_DEFAULT));
}

int inet_option(const struct inet_socket *s, int level, int name)
{
	const int i = find(level, name);

	return i < 0 ? 0 : s->values[i];
}

/* Does the socket know the level at all? */
static bool knows(const struct socket *s, int level)
{
	switch (level) {
	case IPPROTO_IP:
		return true;
	case IPPROTO_IPV6:
		return s->family == AF_INET6;
	case IPPROTO_TCP:
		return s->type == SOCK_STREAM;
	case IPPROTO_UDP:
		return s->type == SOCK_DGRAM;
	default:
		return false;
	}
}

bool inet_in_group(const struct inet_socket *s, const struct endpoint *group)
{
	for (unsigned int i = 0; i < s->group_count; i++) {
		if (!memcmp(s->groups[i], group->ip, sizeof(group->ip)))
			return true;
	}
	return false;
}

/* Join or leave a multicast group on loopback, the only interface. */
static int change_group(struct inet_socket *s, const struct endpoint *group, bool join)
{
	if (!endpoint_is_multicast(group))
		return -EINVAL;
	if (join) {
		if (inet_in_group(s, group))
			return -EADDRINUSE;
		if (s->group_count == INET_GROUPS_MAX)
			return -ENOBUFS;
		memcpy(s->groups[s->group_count++], group->ip, sizeof(group->ip));
		return 0;
	}
	for (unsigned int i = 0; i < s->group_count; i++) {
		if (memcmp(s->groups[i], group->ip, sizeof(group->ip)))
			continue;
		memmove(s->groups[i], s->groups[s->group_count - 1], sizeof(s->groups[i]));
		s->group_count--;
		return 0;
	}
	return -EADDRNOTAVAIL;
}

static int set_group(struct inet_socket *s, int level, int name, const void *value, size_t len)
{
	struct endpoint group = { .ip = { [10] = 0xff, [11] = 0xff } };

	if (level == IPPROTO_IP) {
		if (len < sizeof(struct ip_mreq))
			return -EINVAL;
		memcpy(group.ip + 12, value, 4);
		return change_group(s, &group, name == IP_ADD_MEMBERSHIP);
	}
	if (len < sizeof(struct ipv6_mreq))
		return -EINVAL;
	memcpy(group.ip, value, sizeof(group.ip));
	return change_group(s, &group, name == IPV6_JOIN_GROUP);
}

static int set_v6only(struct inet_socket *s, const void *value, size_t len)
{
	int on;

	if (len < sizeof(on))
		return -EINVAL;
	if (s->local.port)
		return -EINVAL;
	memcpy(&on, value, sizeof(on));
	s->v6only = on;
	return 0;
}

static int set_congestion(struct inet_socket *s, const char *value, size_t len)
{
	char name[sizeof(s->congestion)] = "";

	if (!len)
		return -EINVAL;
	memcpy(name, value, len < sizeof(name) - 1 ? len : sizeof(name) - 1);
	if (strcmp(name, "cubic") && strcmp(name, "reno"))
		return -ENOENT;
	memcpy(s->congestion, name, sizeof(name));
	return 0;
}

static int set_cork(struct inet_socket *s, const void *value, size_t len)
{
	int on;

	if (len < sizeof(on))
		return -EINVAL;
	memcpy(&on, value, sizeof(on));
	if (!on)
		return udp_uncork(s);
	s->cork = true;
	return 0;
}

/* Options that are not numbers. -ENOPROTOOPT: not one of them. */
static int set_special(struct inet_socket *s, int level, int name, const void *value, size_t len)
{
	if (level == IPPROTO_IP) {
		switch (name) {
		case IP_ADD_MEMBERSHIP:
		case IP_DROP_MEMBERSHIP:
			return set_group(s, level, name, value, len);
		case IP_MULTICAST_IF:
			return len < 4 ? -EINVAL : 0;
		case IP_OPTIONS:
			return len ? -EINVAL : 0;
		case IP_TRANSPARENT:
			return net_capable(s->sock.ns, CAP_NET_ADMIN) ? 0 : -EPERM;
		default:
			return -ENOPROTOOPT;
		}
	}
	if (level == IPPROTO_IPV6) {
		switch (name) {
		case IPV6_V6ONLY:
			return set_v6only(s, value, len);
		case IPV6_JOIN_GROUP:
		case IPV6_LEAVE_GROUP:
			return set_group(s, level, name, value, len);
		case IPV6_MULTICAST_IF:
			return 0;
		default:
			return -ENOPROTOOPT;
		}
	}
	if (level == IPPROTO_UDP && name == UDP_CORK)
		return set_cork(s, value, len);
	if (level == IPPROTO_TCP && name == TCP_CONGESTION)
		return set_congestion(s, value, len);
	if (level == IPPROTO_TCP && name == TCP_ULP)
		return -ENOENT;
	return -ENOPROTOOPT;
}

int inet_setsockopt(struct socket *sock, int level, int name, const void *value, size_t len)
{
	struct inet_socket *s = to_inet(sock);
	const struct inet_option *o;
	int number = 0, i, r;

	if (!knows(sock, level))
		return level == IPPROTO_UDP || level == IPPROTO_TCP || level == IPPROTO_IPV6
			       ? -ENOPROTOOPT
			       : -EOPNOTSUPP;
	r = set_special(s, level, name, value, len);
	if (r != -ENOPROTOOPT)
		return r;
	i = find(level, name);
	if (i < 0)
		return i;
	o = &inet_options[i];
	if (len >= sizeof(number))
		memcpy(&number, value, sizeof(number));
	else if (len && level == IPPROTO_IP)
		number = *(const uint8_t *)value;
	else
		return -EINVAL;
	if (is_flag(o))
		number = number != 0;
	else if (number == -1 && o->minus_one)
		number = o->initial;
	else if (number < o->min || number > o->max)
		return -EINVAL;
	s->values[i] = number;
	return 0;
}

static int put(void *value, size_t *len, const void *from, size_t from_len)
{
	if (*len > from_len)
		*len = from_len;
	memcpy(value, from, *len);
	return 0;
}

static int get_info(const struct inet_socket *s, void *value, size_t *len)
{
	const struct tcp_info info = {
		.tcpi_state = (uint8_t)tcp_linux_state(s),
		.tcpi_rto = 204000,
		.tcpi_ato = 40000,
		.tcpi_snd_mss = LOOPBACK_MSS,
		.tcpi_rcv_mss = LOOPBACK_MSS,
		.tcpi_pmtu = NET_LOOPBACK_MTU,
		.tcpi_rcv_ssthresh = LOOPBACK_MSS,
		.tcpi_rtt = 20,
		.tcpi_rttvar = 10,
		.tcpi_snd_ssthresh = INT32_MAX,
		.tcpi_snd_cwnd = 10,
		.tcpi_advmss = LOOPBACK_MSS,
		.tcpi_reordering = 3,
		.tcpi_rcv_space = LOOPBACK_MSS,
		/* Of a listener: connections that wait, and how many may. */
		.tcpi_unacked = s->state == TCP_LISTENING ? s->pending_count : 0,
		.tcpi_sacked = s->state == TCP_LISTENING ? s->backlog : 0,
	};

	return put(value, len, &info, sizeof(info));
}

int inet_getsockopt(struct socket *sock, int level, int name, void *value, size_t *len)
{
	struct inet_socket *s = to_inet(sock);
	const struct in_addr any = { 0 };
	int number, i;

	if (!knows(sock, level))
		return level == SOL_SOCKET || level == IPPROTO_UDP || level == IPPROTO_TCP ||
				       level == IPPROTO_IPV6
			       ? -ENOPROTOOPT
			       : -EOPNOTSUPP;
	if (level == IPPROTO_TCP && name == TCP_INFO)
		return get_info(s, value, len);
	if (level == IPPROTO_TCP && name == TCP_CONGESTION)
		return put(value, len, s->congestion, sizeof(s->congestion));
	if (level == IPPROTO_IP && name == IP_MULTICAST_IF)
		return put(value, len, &any, sizeof(any));
	if (level == IPPROTO_IP && name == IP_OPTIONS) {
		*len = 0;
		return 0;
	}
	if ((level == IPPROTO_IP && name == IP_MTU) ||
	    (level == IPPROTO_IPV6 && name == IPV6_MTU)) {
		if (!s->remote.port)
			return -ENOTCONN;
		number = NET_LOOPBACK_MTU;
	} else if (level == IPPROTO_UDP && name == UDP_CORK) {
		number = s->cork;
	} else if (level == IPPROTO_IPV6 && name == IPV6_V6ONLY) {
		number = s->v6only;
	} else {
		i = find(level, name);
		if (i < 0)
			return i;
		number = s->values[i];
	}
	/* ip(7): a small buffer gets one byte. */
	if (level == IPPROTO_IP && *len < sizeof(number) && *len > 0 && number >= 0 &&
	    number <= 255) {
		*len = 1;
		*(uint8_t *)value = (uint8_t)number;
		return 0;
	}
	return put(value, len, &number, sizeof(number));
}
