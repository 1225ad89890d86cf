/* SPDX-License-Identifier: Apache-2.0 */
/*
 * testinit uds VERB TYPE PATH [MORE]: unix sockets by their names, TYPE being stream or dgram.
 *
 * connect; bind; send TEXT (without connect(2)); pass (a descriptor with a datagram); talk BYTES
 * (that many 'a', then prints what is answered); serve (one connection, answered in capitals);
 * recv (bound there: waits with poll(2), then prints two messages).
 * Prints "ok" or the errno's name.
 */
#include "testinit.h"

#include <ctype.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define PART 4096

static int say(long r)
{
	if (r < 0)
		printf("errno %s\n", strerrorname_np(errno));
	else
		printf("ok\n");
	return 0;
}

static int send_to(int fd, const struct sockaddr_un *un, const char *text)
{
	return say(sendto(fd, text, strlen(text), 0, (const struct sockaddr *)un, sizeof(*un)));
}

static int pass(int fd, struct sockaddr_un *un)
{
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr head;
	} control = { 0 };
	char byte = 'x';
	struct iovec iov = { &byte, 1 };
	struct msghdr msg = { .msg_name = un,
			      .msg_namelen = sizeof(*un),
			      .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = control.bytes,
			      .msg_controllen = sizeof(control.bytes) };

	control.head.cmsg_level = SOL_SOCKET;
	control.head.cmsg_type = SCM_RIGHTS;
	control.head.cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(&control.head), &(int){ 1 }, sizeof(int));
	return say(sendmsg(fd, &msg, 0));
}

static int talk(int fd, const struct sockaddr_un *un, size_t left)
{
	char part[PART];
	ssize_t n;

	if (connect(fd, (const struct sockaddr *)un, sizeof(*un)) < 0)
		return say(-1);
	memset(part, 'a', sizeof(part));
	while (left > 0) {
		n = write(fd, part, left < sizeof(part) ? left : sizeof(part));
		if (n <= 0)
			return say(-1);
		left -= (size_t)n;
	}
	if (shutdown(fd, SHUT_WR) < 0)
		return say(-1);
	while ((n = read(fd, part, sizeof(part))) > 0)
		(void)fwrite(part, 1, (size_t)n, stdout);
	return n < 0 ? say(-1) : 0;
}

static int serve(int fd, const struct sockaddr_un *un)
{
	char part[PART];
	ssize_t n;
	int peer;

	if (bind(fd, (const struct sockaddr *)un, sizeof(*un)) < 0 || listen(fd, 4) < 0)
		return say(-1);
	peer = accept(fd, NULL, NULL);
	if (peer < 0)
		return say(-1);
	while ((n = read(peer, part, sizeof(part))) > 0) {
		for (ssize_t i = 0; i < n; i++)
			part[i] = (char)toupper((unsigned char)part[i]);
		if (write(peer, part, (size_t)n) != n)
			return say(-1);
	}
	close(peer);
	return n < 0 ? 1 : 0;
}

/* One that poll(2) waits for, one that recv(2) waits for. */
static int receive(int fd, const struct sockaddr_un *un)
{
	char text[PART];

	if (bind(fd, (const struct sockaddr *)un, sizeof(*un)) < 0)
		return say(-1);
	for (int i = 0; i < 2; i++) {
		struct pollfd p = { .fd = fd, .events = POLLIN };
		ssize_t n;

		if (i == 0 && poll(&p, 1, -1) != 1)
			return say(-1);
		n = recv(fd, text, sizeof(text), 0);
		if (n < 0)
			return say(-1);
		printf("%.*s\n", (int)n, text);
		fflush(stdout);
	}
	return 0;
}

int uds_main(int argc, char **argv)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	const char *verb = argc > 3 ? argv[1] : "";
	int fd;

	if (argc < 4 || strlen(argv[3]) >= sizeof(un.sun_path))
		return 64;
	fd = socket(AF_UNIX, strcmp(argv[2], "dgram") == 0 ? SOCK_DGRAM : SOCK_STREAM, 0);
	if (fd < 0)
		return say(-1);
	strcpy(un.sun_path, argv[3]);
	if (strcmp(verb, "connect") == 0)
		return say(connect(fd, (struct sockaddr *)&un, sizeof(un)));
	if (strcmp(verb, "bind") == 0)
		return say(bind(fd, (struct sockaddr *)&un, sizeof(un)));
	if (strcmp(verb, "send") == 0 && argc == 5)
		return send_to(fd, &un, argv[4]);
	if (strcmp(verb, "pass") == 0)
		return pass(fd, &un);
	if (strcmp(verb, "talk") == 0 && argc == 5)
		return talk(fd, &un, strtoul(argv[4], NULL, 10));
	if (strcmp(verb, "recv") == 0)
		return receive(fd, &un);
	if (strcmp(verb, "serve") == 0)
		return serve(fd, &un);
	return 64;
}
