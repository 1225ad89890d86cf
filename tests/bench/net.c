/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench-net serve ADDRESS PORT        answer connections, one after the other
 * bench-net ask ADDRESS PORT MEGABYTES ROUNDS
 *   prints "up B down B rtt NS NS": bytes a second to the server and from it; of ROUNDS round trips
 *   of one byte the median and the lowest, in ns
 */
#include <arpa/inet.h>
#include <err.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define CHUNK (256u << 10)

enum { UP = 'u', DOWN = 'd', ECHO = 'e' };

static char chunk[CHUNK];

struct order {
	char mode;
	uint64_t bytes;
} __attribute__((packed));

static uint64_t now(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static struct sockaddr_in address(const char *text, const char *port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port)) };

	if (inet_pton(AF_INET, text, &a.sin_addr) != 1)
		errx(1, "%s is no address", text);
	return a;
}

static void put(int fd, uint64_t bytes)
{
	while (bytes > 0) {
		const ssize_t n = write(fd, chunk, bytes < CHUNK ? bytes : CHUNK);

		if (n <= 0)
			err(1, "write");
		bytes -= (uint64_t)n;
	}
}

static void get(int fd, uint64_t bytes)
{
	while (bytes > 0) {
		const ssize_t n = read(fd, chunk, bytes < CHUNK ? bytes : CHUNK);

		if (n <= 0)
			err(1, "read");
		bytes -= (uint64_t)n;
	}
}

static void no_delay(int fd)
{
	const int on = 1;

	if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) < 0)
		err(1, "TCP_NODELAY");
}

static void answer(int fd)
{
	struct order o;
	char byte;

	no_delay(fd);
	while (recv(fd, &o, sizeof(o), MSG_WAITALL) == (ssize_t)sizeof(o)) {
		if (o.mode == UP) {
			get(fd, o.bytes);
			put(fd, 1);
		} else if (o.mode == DOWN) {
			put(fd, o.bytes);
		} else {
			for (uint64_t i = 0; i < o.bytes; i++) {
				if (read(fd, &byte, 1) != 1 || write(fd, &byte, 1) != 1)
					err(1, "echo");
			}
		}
	}
}

static void serve(const struct sockaddr_in *a)
{
	const int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
	    bind(fd, (const struct sockaddr *)a, sizeof(*a)) < 0 || listen(fd, 8) < 0)
		err(1, "listen");
	(void)puts("ready");
	(void)fflush(stdout);
	for (;;) {
		const int peer = accept(fd, NULL, NULL);

		if (peer < 0)
			err(1, "accept");
		answer(peer);
		(void)close(peer);
	}
}

static void order(int fd, char mode, uint64_t bytes)
{
	const struct order o = { mode, bytes };

	if (write(fd, &o, sizeof(o)) != (ssize_t)sizeof(o))
		err(1, "write");
}

static int compare(const void *a, const void *b)
{
	const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static void ask(int fd, uint64_t bytes, size_t rounds)
{
	uint64_t *times = calloc(rounds, sizeof(*times));
	uint64_t begin = now(), up, down;

	if (!times)
		err(1, "calloc");
	order(fd, UP, bytes);
	put(fd, bytes);
	get(fd, 1);
	up = now() - begin;
	begin = now();
	order(fd, DOWN, bytes);
	get(fd, bytes);
	down = now() - begin;
	order(fd, ECHO, rounds);
	for (size_t i = 0; i < rounds; i++) {
		char byte = 0;

		begin = now();
		if (write(fd, &byte, 1) != 1 || read(fd, &byte, 1) != 1)
			err(1, "echo");
		times[i] = now() - begin;
	}
	qsort(times, rounds, sizeof(*times), compare);
	(void)printf("up %.0f down %.0f rtt %llu %llu\n", (double)bytes * 1e9 / (double)up,
		     (double)bytes * 1e9 / (double)down, (unsigned long long)times[rounds / 2],
		     (unsigned long long)times[0]);
	free(times);
}

int main(int argc, char **argv)
{
	struct sockaddr_in a;
	int fd;

	if (argc < 4)
		errx(1, "bench-net serve ADDRESS PORT | ask ADDRESS PORT MEGABYTES ROUNDS");
	a = address(argv[2], argv[3]);
	if (strcmp(argv[1], "serve") == 0)
		serve(&a);
	fd = socket(AF_INET, SOCK_STREAM, 0);
	if (argc < 6 || fd < 0 || connect(fd, (const struct sockaddr *)&a, sizeof(a)) < 0)
		err(1, "connect");
	no_delay(fd);
	ask(fd, (uint64_t)atoi(argv[4]) << 20, (size_t)atoi(argv[5]));
	return 0;
}
