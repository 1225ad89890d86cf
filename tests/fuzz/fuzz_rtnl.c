/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Answers of rtnetlink, as a client and who reads a network namespace get them: a socketpair stands
 * for the kernel's socket. The input is a datagram, which answers each of the lists.
 */
#include <assert.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

#include "runtime/vm/net_read.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define LISTS 10 /* devices; addresses, routes, neighbours, rules of two families; one ask */

/* The messages, as far as they are some, as an answer to request `serial`; then the end. */
static void answer(int kernel, uint32_t serial, const uint8_t *data, size_t size, bool last)
{
	_Alignas(struct nlmsghdr) static uint8_t bytes[RTNL_REPLY_MAX];
	const struct nlmsgerr ack = { .error = 0 };
	struct {
		struct nlmsghdr h;
		struct nlmsgerr e;
	} end = { .h = { .nlmsg_len = sizeof(end),
			 .nlmsg_type = last ? NLMSG_ERROR : NLMSG_DONE,
			 .nlmsg_seq = serial },
		  .e = ack };
	size_t at = 0;

	memcpy(bytes, data, size);
	while (at + sizeof(struct nlmsghdr) <= size) {
		struct nlmsghdr *h = (struct nlmsghdr *)(bytes + at);

		h->nlmsg_seq = serial;
		/* It would be asked again, without end. */
		h->nlmsg_flags &= (uint16_t)~NLM_F_DUMP_INTR;
		if (h->nlmsg_len < sizeof(*h) || h->nlmsg_len > size - at)
			break;
		at += NLMSG_ALIGN(h->nlmsg_len);
	}
	if (size > 0)
		assert(send(kernel, bytes, size, 0) == (ssize_t)size);
	assert(send(kernel, &end, sizeof(end), 0) == sizeof(end));
}

/* One list after the other, each with the input as its answer. */
static void read_all(struct rtnl *c, int kernel, const uint8_t *data, size_t size)
{
	static struct agent_network n;
	static struct net_devices devices;
	const int index[] = { 2, 3 };
	struct err err = { 0 };

	memset(&n, 0, sizeof(n));
	n.links[0].name = "eth0";
	n.links[1].name = "net1";
	n.links_len = 2;
	for (uint32_t i = 1; i < LISTS; i++)
		answer(kernel, i, data, size, false);
	if (net_read_devices(c, &devices, &err) < 0)
		assert(err.code < 0 && *err.msg);
	assert(devices.len <= NET_DEVICES_MAX);
	(void)net_read_all(c, index, &n, &err);
	assert(n.addresses_len <= AGENT_ADDRESSES_MAX && n.routes_len <= AGENT_ROUTES_MAX);
	assert(n.neighbours_len <= AGENT_NEIGHBOURS_MAX && n.rules_len <= AGENT_RULES_MAX);
	for (uint32_t i = 0; i < n.routes_len; i++)
		assert(n.routes[i].link < n.links_len);
	for (uint32_t i = 0; i < n.rules_len; i++)
		assert(n.rules[i].in_link <= n.links_len && n.rules[i].out_link <= n.links_len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO_RTNL struct rtnl c = RTNL_INIT;
	struct err err = { 0 };
	int pair[2];

	if (size > 4096 || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return 0;
	c.fd = pair[0];
	read_all(&c, pair[1], data, size);
	/* What the lists have not read has other serials. */
	answer(pair[1], c.serial + 1, data, size, true);
	(void)rtnl_link_index(&c, "eth0", &err);
	(void)close(pair[1]);
	return 0;
}
