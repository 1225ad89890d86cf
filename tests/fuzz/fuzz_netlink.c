/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Netlink requests of a guest: what may go to the host only reads, and our own answers are whole
 * messages.
 */
#include <assert.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "sentry/net/host.h"
#include "sentry/net/netlink.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The kernel's own walk (netlink_rcv_skb()): does it meet a request that is no RTM_GET? */
static bool kernel_would_change(const uint8_t *data, size_t size)
{
	while (size >= NLMSG_HDRLEN) {
		struct nlmsghdr head;
		size_t step;

		memcpy(&head, data, sizeof(head));
		if (head.nlmsg_len < NLMSG_HDRLEN || size < head.nlmsg_len)
			return false;
		if ((head.nlmsg_type & 3) != 2)
			return true;
		step = NLMSG_ALIGN(head.nlmsg_len);
		if (step > size)
			step = size;
		data += step;
		size -= step;
	}
	return false;
}

static void check_answer(const struct buf *answer)
{
	size_t at = 0;

	while (at < answer->len) {
		struct nlmsghdr head;

		assert(answer->len - at >= sizeof(head));
		memcpy(&head, answer->data + at, sizeof(head));
		assert(head.nlmsg_len >= sizeof(head) &&
		       NLMSG_ALIGN(head.nlmsg_len) <= answer->len - at);
		at += NLMSG_ALIGN(head.nlmsg_len);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct net_ns ns = { .refs = 1, .loopback_up = true };
	AUTO_BUF struct buf answer = { 0 };
	struct nlmsghdr head;

	if (host_netlink_harmless(data, size))
		assert(!kernel_would_change(data, size));
	if (size < sizeof(head))
		return 0;
	memcpy(&head, data, sizeof(head));
	/* The others ask for rights, which only a task has. */
	if ((head.nlmsg_type & 3) == 2 && rtnetlink_answer(&ns, 1, data, size, &answer) >= 0)
		check_answer(&answer);
	return 0;
}
