/* SPDX-License-Identifier: Apache-2.0 */
/* Raw sockets (raw(7)) and ping sockets (icmp(7)) on loopback. */
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/ip_icmp.h>
#include <poll.h>
#include <sys/socket.h>

#include "harness.h"

#ifndef ICMP_FILTER
#define ICMP_FILTER 1
#endif

static struct sockaddr_in to = { .sin_family = AF_INET };
static struct sockaddr_in6 to6 = { .sin6_family = AF_INET6 };

static uint16_t checksum(const void *data, size_t len)
{
	const uint8_t *p = data;
	uint32_t sum = 0;

	for (size_t i = 0; i < len; i += 2)
		sum += p[i] | (uint32_t)(i + 1 < len ? p[i + 1] : 0) << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

struct echo {
	struct icmphdr head;
	char data[8];
};

static struct echo echo_new(int id)
{
	struct echo e = { .head.type = ICMP_ECHO };

	e.head.un.echo.id = htons((uint16_t)id);
	e.head.un.echo.sequence = htons(7);
	memcpy(e.data, "payload", 8);
	e.head.checksum = checksum(&e, sizeof(e));
	return e;
}

static int ping_socket(int family)
{
	int fd = socket(family, SOCK_DGRAM, family == AF_INET ? IPPROTO_ICMP : IPPROTO_ICMPV6);

	if (fd < 0 && (errno == EACCES || errno == EPROTONOSUPPORT || errno == EAFNOSUPPORT))
		SKIP("net.ipv4.ping_group_range allows none");
	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	to6.sin6_addr = in6addr_loopback;
	return OK(fd);
}

static void wait_readable(int fd)
{
	struct pollfd p = { fd, POLLIN, 0 };

	CHECK_EQ(poll(&p, 1, 15000), 1);
}

TEST(echo_by_a_ping_socket)
{
	int fd = ping_socket(AF_INET);
	struct echo e = echo_new(1), got;
	struct sockaddr_in from;
	socklen_t len = sizeof(from);

	CHECK_EQ(sendto(fd, &e, sizeof(e), 0, (struct sockaddr *)&to, sizeof(to)), sizeof(e));
	OK(getsockname(fd, (struct sockaddr *)&from, &len));
	CHECK(from.sin_port != 0);
	e.head.un.echo.id = from.sin_port;
	wait_readable(fd);
	CHECK_EQ(recvfrom(fd, &got, sizeof(got), 0, (struct sockaddr *)&from, &len), sizeof(got));
	CHECK_EQ(got.head.type, ICMP_ECHOREPLY);
	/* The identifier is the socket's, whatever was written there. */
	CHECK_EQ(got.head.un.echo.id, e.head.un.echo.id);
	CHECK_EQ(got.head.un.echo.sequence, htons(7));
	CHECK_EQ(checksum(&got, sizeof(got)), 0);
	CHECK_STR(got.data, "payload");
	CHECK_EQ(ntohl(from.sin_addr.s_addr), INADDR_LOOPBACK);
	CHECK_EQ(from.sin_port, 0);
}

TEST(ping_sockets_send_echoes_only)
{
	int fd = ping_socket(AF_INET);
	struct echo e = echo_new(1);

	CHECK_ERRNO(send(fd, &e, sizeof(e), 0), EDESTADDRREQ);
	CHECK_ERRNO(sendto(fd, &e, 4, 0, (struct sockaddr *)&to, sizeof(to)), EINVAL);
	e.head.type = ICMP_ECHOREPLY;
	CHECK_ERRNO(sendto(fd, &e, sizeof(e), 0, (struct sockaddr *)&to, sizeof(to)), EINVAL);
	e.head.type = ICMP_ECHO;
	e.head.code = 1;
	CHECK_ERRNO(sendto(fd, &e, sizeof(e), 0, (struct sockaddr *)&to, sizeof(to)), EINVAL);
}

TEST(identifier_is_bound)
{
	int a = ping_socket(AF_INET), b = ping_socket(AF_INET);
	struct sockaddr_in addr = to;
	struct echo e = echo_new(1), got;
	struct icmphdr *head = &got.head;

	addr.sin_port = htons(4321);
	OK(bind(a, (struct sockaddr *)&addr, sizeof(addr)));
	CHECK_ERRNO(bind(a, (struct sockaddr *)&addr, sizeof(addr)), EINVAL);
	OK(connect(a, (struct sockaddr *)&to, sizeof(to)));
	CHECK_EQ(send(a, &e, sizeof(e), 0), sizeof(e));
	wait_readable(a);
	CHECK_EQ(recv(a, &got, sizeof(got), 0), sizeof(got));
	CHECK_EQ(head->un.echo.id, htons(4321));
	/* The other one hears nothing of it. */
	CHECK_ERRNO(recv(b, &got, sizeof(got), MSG_DONTWAIT), EAGAIN);
}

TEST(echo_of_version_six)
{
	int fd = ping_socket(AF_INET6);
	struct echo e = echo_new(1), got;

	e.head.type = ICMP6_ECHO_REQUEST;
	if (sendto(fd, &e, sizeof(e), 0, (struct sockaddr *)&to6, sizeof(to6)) < 0)
		SKIP("no IPv6 loopback: %s", test_errno_name(errno));
	wait_readable(fd);
	CHECK_EQ(recv(fd, &got, sizeof(got), 0), sizeof(got));
	CHECK_EQ(got.head.type, ICMP6_ECHO_REPLY);
	CHECK_STR(got.data, "payload");
}

static int raw_socket(int family, int protocol)
{
	need_cap(CAP_NET_RAW, "CAP_NET_RAW");
	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	to6.sin6_addr = in6addr_loopback;
	return OK(socket(family, SOCK_RAW, protocol));
}

struct with_head {
	struct iphdr ip;
	struct echo echo;
};

/* The next answer with our identifier: others may ping, too. */
static struct with_head next_answer(int fd, int id)
{
	struct with_head got;

	for (int i = 0; i < 1000; i++) {
		wait_readable(fd);
		if (recv(fd, &got, sizeof(got), 0) == sizeof(got) &&
		    got.echo.head.type == ICMP_ECHOREPLY &&
		    got.echo.head.un.echo.id == htons((uint16_t)id))
			return got;
	}
	FAIL("no answer");
}

TEST(echo_by_a_raw_socket)
{
	int fd = raw_socket(AF_INET, IPPROTO_ICMP), id = getpid() & 0xffff;
	struct echo e = echo_new(id);
	struct with_head got;

	CHECK_EQ(sendto(fd, &e, sizeof(e), 0, (struct sockaddr *)&to, sizeof(to)), sizeof(e));
	got = next_answer(fd, id);
	CHECK_EQ(got.ip.version, 4);
	CHECK_EQ(got.ip.ihl, 5);
	CHECK_EQ(got.ip.protocol, IPPROTO_ICMP);
	CHECK_EQ(ntohs(got.ip.tot_len), sizeof(got));
	CHECK_EQ(ntohl(got.ip.saddr), INADDR_LOOPBACK);
	CHECK_STR(got.echo.data, "payload");
}

TEST(filter_of_types)
{
	int fd = raw_socket(AF_INET, IPPROTO_ICMP), other = raw_socket(AF_INET, IPPROTO_ICMP);
	int id = getpid() & 0xffff;
	uint32_t filter = 1u << ICMP_ECHOREPLY, got_filter = 0;
	socklen_t len = sizeof(got_filter);
	struct echo e = echo_new(id);
	struct with_head got;

	OK(setsockopt(fd, SOL_RAW, ICMP_FILTER, &filter, sizeof(filter)));
	OK(getsockopt(fd, SOL_RAW, ICMP_FILTER, &got_filter, &len));
	CHECK_EQ(got_filter, filter);
	CHECK_EQ(sendto(fd, &e, sizeof(e), 0, (struct sockaddr *)&to, sizeof(to)), sizeof(e));
	(void)next_answer(other, id);
	while (recv(fd, &got, sizeof(got), MSG_DONTWAIT) > 0)
		CHECK(got.echo.head.type != ICMP_ECHOREPLY);
	CHECK_EQ(errno, EAGAIN);
}

/* A protocol of nobody's: the bytes reach the raw sockets of its number. */
TEST(another_protocol)
{
	int a = raw_socket(AF_INET, 253), b = raw_socket(AF_INET, 253);
	struct {
		struct iphdr ip;
		char data[16];
	} got;

	CHECK_ERRNO(send(a, "x", 1, 0), EDESTADDRREQ);
	OK(connect(a, (struct sockaddr *)&to, sizeof(to)));
	CHECK_EQ(send(a, "message", 8, 0), 8);
	wait_readable(b);
	CHECK_EQ(recv(b, &got, sizeof(got), 0), sizeof(got.ip) + 8);
	CHECK_EQ(got.ip.protocol, 253);
	CHECK_STR(got.data, "message");
}

struct with_text {
	struct iphdr ip;
	char text[8];
};

static void hears(int fd, const char *text, uint32_t source)
{
	struct with_text got;

	wait_readable(fd);
	CHECK_EQ(recv(fd, &got, sizeof(got), 0), sizeof(got));
	CHECK_EQ(got.ip.protocol, 253);
	CHECK_EQ(got.ip.ttl, 33);
	CHECK_EQ(got.ip.tos, 0x10);
	CHECK_EQ(ntohs(got.ip.tot_len), sizeof(got));
	CHECK_EQ(ntohl(got.ip.saddr), source);
	CHECK_EQ(ntohl(got.ip.daddr), INADDR_LOOPBACK);
	CHECK_STR(got.text, text);
}

TEST(header_of_the_senders_own)
{
	int a = raw_socket(AF_INET, 253), b = raw_socket(AF_INET, 253),
	    raw = raw_socket(AF_INET, IPPROTO_RAW), udp = OK(socket(AF_INET, SOCK_DGRAM, 0));
	struct with_text p = { .ip = { .version = 4,
				       .ihl = 5,
				       .ttl = 33,
				       .tos = 0x10,
				       .protocol = 253,
				       .daddr = htonl(INADDR_LOOPBACK) },
			       .text = "message" };
	int value = 0;
	socklen_t len = sizeof(value);

	OK(getsockopt(a, IPPROTO_IP, IP_HDRINCL, &value, &len));
	CHECK_EQ(value, 0);
	value = 1;
	CHECK_ERRNO(setsockopt(udp, IPPROTO_IP, IP_HDRINCL, &value, sizeof(value)), ENOPROTOOPT);
	OK(setsockopt(a, IPPROTO_IP, IP_HDRINCL, &value, sizeof(value)));
	OK(connect(a, (struct sockaddr *)&to, sizeof(to)));
	CHECK_EQ(send(a, &p, sizeof(p), 0), sizeof(p));
	hears(b, "message", INADDR_LOOPBACK);
	p.ip.saddr = htonl(INADDR_LOOPBACK + 1);
	CHECK_EQ(send(a, &p, sizeof(p), 0), sizeof(p));
	hears(b, "message", INADDR_LOOPBACK + 1);
	CHECK_ERRNO(send(a, &p, sizeof(p.ip) - 1, 0), EINVAL);
	p.ip.ihl = 15;
	CHECK_ERRNO(send(a, &p, sizeof(p), 0), EINVAL);
	/* Sockets of IPPROTO_RAW have always theirs. */
	OK(getsockopt(raw, IPPROTO_IP, IP_HDRINCL, &value, &len));
	CHECK_EQ(value, 1);
	p.ip.ihl = 5;
	memcpy(p.text, "another", 8);
	CHECK_EQ(sendto(raw, &p, sizeof(p), 0, (struct sockaddr *)&to, sizeof(to)), sizeof(p));
	hears(b, "another", INADDR_LOOPBACK + 1);
	CHECK_ERRNO(recv(raw, &p, sizeof(p), MSG_DONTWAIT), EAGAIN);
}

TEST(protocol_is_needed)
{
	need_cap(CAP_NET_RAW, "CAP_NET_RAW");
	CHECK_ERRNO(socket(AF_INET, SOCK_RAW, 0), EPROTONOSUPPORT);
	need_root();
	become_nobody();
	CHECK_ERRNO(socket(AF_INET, SOCK_RAW, IPPROTO_ICMP), EPERM);
	CHECK_ERRNO(socket(AF_INET6, SOCK_RAW, IPPROTO_ICMPV6), EPERM);
}
