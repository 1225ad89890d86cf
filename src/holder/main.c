/* SPDX-License-Identifier: Apache-2.0 */
/*
 * caisson-template HASH: holds the two files of a machine's template and gives them to root
 * processes that connect, until it is ended. wire/template_msg.h says what it inherits; whoever
 * starts it has given it an empty root directory, a user of its own and a session. HASH is for
 * ps(1).
 *
 * It reads nothing but the byte of its birth, and opens nothing. It wakes up for connections alone.
 */
#include "holder/holder.h"

#include <linux/errno.h>
#include <linux/mman.h>
#include <linux/poll.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/start.h"
#include "base/sys.h"
#include "jail/jail.h"
#include "wire/template_msg.h"

#define SEEK_TO_END 2

static const void *message;
static size_t message_len;

__attribute__((noreturn)) static void leave(int status)
{
	for (;;)
		(void)SYS1(SYS_exit_group, status);
}

static bool map_message(void)
{
	const long len = SYS3(SYS_lseek, HOLDER_FD_MESSAGE, 0, SEEK_TO_END);
	long at;

	if (len <= (long)sizeof(struct template_head) ||
	    len > (long)(sizeof(struct template_head) + TEMPLATE_TEXT_MAX))
		return false;
	at = SYS6(SYS_mmap, 0, len, PROT_READ, MAP_PRIVATE, HOLDER_FD_MESSAGE, 0);
	if (at < 0 && at > -4096)
		return false;
	message = (const void *)at;
	message_len = (size_t)len;
	return true;
}

static bool enter_cage(void)
{
	static const int keep[] = { HOLDER_FD_SOCKET, HOLDER_FD_MEMORY, HOLDER_FD_STATE,
				    HOLDER_FD_BIRTH, HOLDER_FD_HELD };
	const struct jail_plan plan = {
		.keep = keep,
		.keep_len = sizeof(keep) / sizeof(*keep),
		.rooted = true,
		.filter = template_filter,
		.filter_len = template_filter_len,
	};
	enum jail_stage failed;

	return jail_enter(&plan, &failed) == 0;
}

static bool is_root(int sock)
{
	struct ucred peer = { .uid = 1 };
	uint32_t len = sizeof(peer);

	return SYS5(SYS_getsockopt, sock, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0 &&
	       len == sizeof(peer) && peer.uid == 0;
}

/* All at once: the message is smaller than any socket's buffer. */
static void give(int sock)
{
	union {
		char bytes[CMSG_SPACE(TEMPLATE_FDS * sizeof(int))];
		struct cmsghdr align;
	} control = { 0 };
	struct iovec iov = { .iov_base = (void *)(uintptr_t)message, .iov_len = message_len };
	struct msghdr msg = { .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = control.bytes,
			      .msg_controllen = sizeof(control.bytes) };
	int *fds = (int *)(void *)CMSG_DATA(&control.align);

	control.align.cmsg_level = SOL_SOCKET;
	control.align.cmsg_type = SCM_RIGHTS;
	control.align.cmsg_len = CMSG_LEN(TEMPLATE_FDS * sizeof(int));
	fds[TEMPLATE_FD_MEMORY] = HOLDER_FD_MEMORY;
	fds[TEMPLATE_FD_STATE] = HOLDER_FD_STATE;
	(void)SYS3(SYS_sendmsg, sock, &msg, HOLDER_SEND);
}

/* False: who waits there could not be taken, and still waits. */
static bool serve_one(void)
{
	const long sock = SYS4(SYS_accept4, HOLDER_FD_SOCKET, 0, 0, HOLDER_ACCEPT);

	if (sock < 0)
		return sock == -EAGAIN || sock == -EINTR || sock == -ECONNABORTED;
	if (is_root((int)sock))
		give((int)sock);
	(void)SYS1(SYS_close, sock);
	return true;
}

/* The runtime that started us has finished what it does, or has gone. */
static bool be_born(void)
{
	char byte;
	const long n = SYS3(SYS_read, HOLDER_FD_BIRTH, &byte, 1);

	if (n == -EINTR || n == -EAGAIN)
		return false;
	if (n != 1)
		leave(1);
	(void)SYS1(SYS_close, HOLDER_FD_BIRTH);
	return true;
}

void bare_main(int argc, const char *const *argv)
{
	struct pollfd p[] = { { .fd = HOLDER_FD_SOCKET, .events = POLLIN },
			      { .fd = HOLDER_FD_BIRTH, .events = POLLIN } };
	bool born = false, short_of = false;

	(void)argv;
	if (argc != 2 || !map_message() || !enter_cage())
		leave(1);
	for (;;) {
		long n;

		/* The host has no descriptor or no memory for it: whoever waits does so. */
		p[0].fd = short_of ? -1 : HOLDER_FD_SOCKET;
		n = SYS3(SYS_poll, p, born ? 1 : 2, short_of ? HOLDER_AGAIN_MS : -1);
		if (n < 0 && n != -EINTR)
			leave(1);
		if (n > 0 && !born && p[1].revents)
			born = be_born();
		short_of = n > 0 && p[0].revents && !serve_one();
	}
}
