/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `testinit draw`: what its kernel has drawn by chance, and its clocks, as one JSON object: for
 * tests that two machines are not one.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "testinit.h"

#define BYTES	 16
#define SLEEP_NS 50000000L

static void put_bytes(const char *name, const void *bytes)
{
	const unsigned char *p = bytes;

	printf("\"%s\":\"", name);
	for (int i = 0; i < BYTES; i++)
		printf("%02x", p[i]);
	printf("\",");
}

static int64_t now_ns(clockid_t clock)
{
	struct timespec now = { 0 };

	(void)clock_gettime(clock, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* The first sequence number of a connection, as a raw socket hears it. */
static uint32_t hear_sequence(int raw, uint16_t port)
{
	struct pollfd p = { .fd = raw, .events = POLLIN };
	unsigned char packet[256];

	while (poll(&p, 1, 5000) > 0) {
		const ssize_t n = recv(raw, packet, sizeof(packet), 0);
		const size_t head = (size_t)(packet[0] & 15) * 4;
		struct tcphdr tcp;

		if (n < 0 || (size_t)n < head + sizeof(tcp))
			continue;
		memcpy(&tcp, packet + head, sizeof(tcp));
		if (tcp.syn && !tcp.ack && ntohs(tcp.dest) == port)
			return ntohl(tcp.seq);
	}
	return 0;
}

/* Port and sequence number that the kernel chooses for a connection to itself. */
static int draw_connection(void)
{
	const int listener = socket(AF_INET, SOCK_STREAM, 0);
	const int raw = socket(AF_INET, SOCK_RAW, IPPROTO_TCP);
	const int client = socket(AF_INET, SOCK_STREAM, 0);
	struct sockaddr_in addr = { .sin_family = AF_INET,
				    .sin_port = htons(7),
				    .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(addr);

	if (listener < 0 || raw < 0 || client < 0 ||
	    bind(listener, (struct sockaddr *)&addr, sizeof(addr)) < 0 || listen(listener, 1) < 0 ||
	    connect(client, (struct sockaddr *)&addr, sizeof(addr)) < 0 ||
	    getsockname(client, (struct sockaddr *)&addr, &len) < 0)
		return -1;
	printf("\"port\":%u,\"sequence\":%u,", ntohs(addr.sin_port), hear_sequence(raw, 7));
	(void)close(client);
	(void)close(raw);
	(void)close(listener);
	return 0;
}

int draw_main(int argc, char **argv)
{
	const struct timespec pause = { .tv_nsec = SLEEP_NS };
	unsigned char drawn[BYTES] = { 0 };
	const int urandom = open("/dev/urandom", O_RDONLY);
	const void *at_random = (const void *)(uintptr_t)getauxval(AT_RANDOM);
	const void *map = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int64_t before, monotonic;

	(void)argc;
	(void)argv;
	printf("{");
	if (getrandom(drawn, sizeof(drawn), 0) != sizeof(drawn)) {
		printf("errno %s\n", strerrorname_np(errno));
		return 1;
	}
	put_bytes("getrandom", drawn);
	if (urandom < 0 || read(urandom, drawn, sizeof(drawn)) != sizeof(drawn)) {
		printf("errno %s\n", strerrorname_np(errno));
		return 1;
	}
	put_bytes("urandom", drawn);
	put_bytes("at_random", at_random);
	printf("\"stack\":%llu,\"map\":%llu,", (unsigned long long)(uintptr_t)drawn,
	       (unsigned long long)(uintptr_t)map);
	if (draw_connection() < 0) {
		printf("errno %s\n", strerrorname_np(errno));
		return 1;
	}
	before = now_ns(CLOCK_MONOTONIC);
	(void)clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, NULL);
	monotonic = now_ns(CLOCK_MONOTONIC);
	printf("\"slept_ns\":%lld,\"monotonic_ns\":%lld,\"boottime_ns\":%lld,\"realtime_ns\":%lld}"
	       "\n",
	       (long long)(monotonic - before), (long long)monotonic,
	       (long long)now_ns(CLOCK_BOOTTIME), (long long)now_ns(CLOCK_REALTIME));
	return 0;
}
