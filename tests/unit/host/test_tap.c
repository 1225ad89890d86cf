/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Taps and redirects in a network namespace of each test's own: frames are written at one end of a
 * veth pair (a packet socket) or at a tap's queue, and looked for at the other.
 */
#include "hosttest.h"

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/virtio_net.h>
#include <net/if.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "host/tap.h"
#include "host/tc.h"

#define WAIT_MS 30000

struct world {
	struct rtnl c;
	int queues[2], tap, inner, outer; /* devices: "eth0" and its peer */
	int wire;			  /* packet socket at the peer */
	char name[IFNAMSIZ];
	struct err err;
};

static bool run(const char *command)
{
	return system(command) == 0;
}

static int packet_socket(int index)
{
	const struct sockaddr_ll at = {
		.sll_family = AF_PACKET,
		.sll_protocol = htons(ETH_P_ALL),
		.sll_ifindex = index,
	};
	const int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(ETH_P_ALL));

	return fd >= 0 && bind(fd, (const struct sockaddr *)&at, sizeof(at)) == 0 ? fd : -1;
}

static bool world_new(struct world *w, unsigned int queues)
{
	memset(w, 0, sizeof(*w));
	if (unshare(CLONE_NEWNET) < 0 ||
	    !run("ip link add eth0 type veth peer name peer0 && ip link set eth0 up && "
		 "ip link set peer0 up") ||
	    rtnl_open(&w->c, &w->err) < 0)
		return false;
	w->inner = rtnl_link_index(&w->c, "eth0", &w->err);
	w->outer = rtnl_link_index(&w->c, "peer0", &w->err);
	w->wire = packet_socket(w->outer);
	if (tap_open(queues, w->queues, w->name, &w->err) < 0)
		return false;
	w->tap = rtnl_link_index(&w->c, w->name, &w->err);
	return w->wire >= 0 && w->tap > 0 &&
	       tap_set_up(&w->c, w->tap, 1400, "caisson: eth0", &w->err) == 0;
}

/* An ARP request of nobody, with a number in it by which it is known again. */
static void frame(uint8_t bytes[static ETH_ZLEN], uint8_t number)
{
	memset(bytes, 0, ETH_ZLEN);
	memset(bytes, 0xff, ETH_ALEN);
	memcpy(bytes + ETH_ALEN, "\x02\0\0\0\0", ETH_ALEN);
	bytes[12] = ETH_P_ARP >> 8;
	bytes[13] = ETH_P_ARP & 0xff;
	bytes[ETH_ZLEN - 1] = number;
}

/* Wait for the frame with `number` at any of the descriptors, whose frames have `head` before. */
static bool await(const int *fds, size_t len, size_t head, uint8_t number)
{
	for (;;) {
		uint8_t bytes[2048];
		struct pollfd p[2];

		for (size_t i = 0; i < len; i++)
			p[i] = (struct pollfd){ .fd = fds[i], .events = POLLIN };
		if (poll(p, len, WAIT_MS) <= 0)
			return false;
		for (size_t i = 0; i < len; i++) {
			ssize_t n;

			if (!(p[i].revents & POLLIN))
				continue;
			n = read(fds[i], bytes, sizeof(bytes));
			if (n == (ssize_t)(head + ETH_ZLEN) &&
			    bytes[head + ETH_ZLEN - 1] == number && bytes[head + 6] == 2)
				return true;
		}
	}
}

static bool wire_to_tap(struct world *w, size_t queues, uint8_t number)
{
	uint8_t bytes[ETH_ZLEN];

	frame(bytes, number);
	return send(w->wire, bytes, sizeof(bytes), 0) == sizeof(bytes) &&
	       await(w->queues, queues, sizeof(struct virtio_net_hdr), number);
}

static bool tap_to_wire(struct world *w, int queue, uint8_t number)
{
	uint8_t bytes[sizeof(struct virtio_net_hdr) + ETH_ZLEN] = { 0 };

	frame(bytes + sizeof(struct virtio_net_hdr), number);
	return write(queue, bytes, sizeof(bytes)) == sizeof(bytes) && await(&w->wire, 1, 0, number);
}

static int both_ways(void *arg)
{
	const unsigned int form = *(unsigned int *)arg;
	struct world w;
	int in = -1, out = -1, r;

	if (!world_new(&w, 1))
		return 1;
	r = tc_redirect(&w.c, w.inner, w.tap, form, &in, &w.err);
	if (r == -ENOENT || r == -EOPNOTSUPP || r == -EINVAL) {
		print_message("form %u: %s\n", form, w.err.msg);
		return 77;
	}
	if (r != (int)form || tc_redirect(&w.c, w.tap, w.inner, form, &out, &w.err) != (int)form)
		return 2;
	if ((in >= 0) != (form == TC_LINK) || (out >= 0) != (form == TC_LINK))
		return 3;
	if (!wire_to_tap(&w, 1, 1) || !tap_to_wire(&w, w.queues[0], 2))
		return 4;
	/* Only the filter forms have something that stays, and that goes. */
	if (run("tc qdisc show dev eth0 | grep -q ingress") != (form != TC_LINK))
		return 5;
	if (tc_clear(&w.c, w.inner, &w.err) < 0 || tc_clear(&w.c, w.inner, &w.err) < 0 ||
	    run("tc qdisc show dev eth0 | grep -q ingress"))
		return 6;
	return 0;
}

static void what_enters_one_leaves_by_the_other_in_each_form(void **state)
{
	unsigned int forms[] = { TC_LINK, TC_U32, TC_BPF };
	int there = 0;

	NEED_ROOT();
	for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
		const int r = in_child(both_ways, &forms[i]);

		if (r != 77)
			assert_int_equal(r, 0);
		there += r == 0;
	}
	assert_true(there > 0);
}

/* A link goes with its descriptor; a filter of a killed runtime stays, and the next one clears it.
 */
static int leftovers(void *arg)
{
	struct world w;
	int in = -1, r;

	if (!world_new(&w, 1))
		return 1;
	r = tc_redirect(&w.c, w.inner, w.tap, TC_U32 | TC_BPF, &in, &w.err);
	if (r < 0)
		return 2;
	/* The tap vanishes with its queue; the filter leads nowhere. */
	close(w.queues[0]);
	if (rtnl_link_index(&w.c, w.name, &w.err) != -ENODEV)
		return 3;
	if (tap_open(1, w.queues, w.name, &w.err) < 0)
		return 4;
	w.tap = rtnl_link_index(&w.c, w.name, &w.err);
	if (tap_set_up(&w.c, w.tap, 1500, "", &w.err) < 0)
		return 5;
	if (tc_clear(&w.c, w.inner, &w.err) < 0 ||
	    tc_redirect(&w.c, w.inner, w.tap, TC_U32 | TC_BPF, &in, &w.err) != r)
		return 6;
	return wire_to_tap(&w, 1, 3) ? 0 : 7;
}

static void the_filter_of_a_killed_runtime_is_cleared(void **state)
{
	NEED_ROOT();
	assert_int_equal(in_child(leftovers, NULL), 0);
}

/* Of two links the first has its way, so that what comes to the second shows that it has gone. */
static int closed_link(void *arg)
{
	struct world w;
	int first = -1, second = -1, queue = -1, tap, r;
	char name[IFNAMSIZ];

	if (!world_new(&w, 1) || tap_open(1, &queue, name, &w.err) < 0)
		return 1;
	tap = rtnl_link_index(&w.c, name, &w.err);
	if (tap_set_up(&w.c, tap, 1500, "", &w.err) < 0)
		return 2;
	r = tc_redirect(&w.c, w.inner, tap, TC_LINK, &first, &w.err);
	if (r < 0)
		return 77; /* an older kernel */
	if (tc_redirect(&w.c, w.inner, w.tap, TC_LINK, &second, &w.err) != TC_LINK)
		return 3;
	close(first);
	return wire_to_tap(&w, 1, 4) ? 0 : 4;
}

static void a_link_goes_with_its_descriptor(void **state)
{
	int r;

	NEED_ROOT();
	r = in_child(closed_link, NULL);
	if (r != 77)
		assert_int_equal(r, 0);
}

/* Filters and qdiscs of others stay as they are, and work on. */
static int others(void *arg)
{
	struct world w;
	int in = -1;

	if (!world_new(&w, 1) ||
	    !run("tc qdisc add dev eth0 clsact && tc qdisc add dev peer0 ingress "
		 "&& tc filter add dev peer0 parent ffff: prio 7 protocol all "
		 "u32 match u32 0 0 action mirred egress redirect dev lo"))
		return 1;
	if (tc_redirect(&w.c, w.inner, w.tap, TC_U32 | TC_BPF, &in, &w.err) < 0 ||
	    tc_redirect(&w.c, w.outer, w.tap, TC_U32 | TC_BPF, &in, &w.err) < 0)
		return 2;
	if (!wire_to_tap(&w, 1, 5))
		return 3;
	if (tc_clear(&w.c, w.inner, &w.err) < 0 || tc_clear(&w.c, w.outer, &w.err) < 0)
		return 4;
	return run("tc qdisc show dev eth0 | grep -q clsact") &&
			       run("tc filter show dev peer0 parent ffff: | grep -q 'pref 7'") &&
			       !run("tc filter show dev peer0 parent ffff: | grep -q 51721")
		       ? 0
		       : 5;
}

static void what_others_have_there_stays(void **state)
{
	NEED_ROOT();
	assert_int_equal(in_child(others, NULL), 0);
}

static int many_queues(void *arg)
{
	struct world w;
	int in = -1, out = -1;

	if (!world_new(&w, 2))
		return 1;
	if (tc_redirect(&w.c, w.inner, w.tap, TC_ANY, &in, &w.err) < 0 ||
	    tc_redirect(&w.c, w.tap, w.inner, TC_ANY, &out, &w.err) < 0)
		return 2;
	if (!wire_to_tap(&w, 2, 6) || !tap_to_wire(&w, w.queues[0], 7) ||
	    !tap_to_wire(&w, w.queues[1], 8))
		return 3;
	close(w.queues[0]);
	if (!tap_to_wire(&w, w.queues[1], 9))
		return 4;
	close(w.queues[1]);
	return rtnl_link_index(&w.c, w.name, &w.err) == -ENODEV ? 0 : 5;
}

static void a_tap_has_queues_and_goes_with_the_last(void **state)
{
	NEED_ROOT();
	assert_int_equal(in_child(many_queues, NULL), 0);
}

static int quiet_tap(void *arg)
{
	struct world w;

	if (!world_new(&w, 1))
		return 1;
	if (!run("ip link show dev caisson0 | grep -q 'UP.* mtu 1400' && "
		 "ip link show dev caisson0 | grep -q 'alias caisson: eth0'"))
		return 2;
	if (run("ip -6 addr show dev caisson0 | grep -q inet6"))
		return 3;
	return run("ip -d -j link show dev caisson0 | grep -q '\"persist\":false'") ? 0 : 4;
}

static void a_tap_has_an_mtu_and_no_address(void **state)
{
	NEED_ROOT();
	assert_int_equal(in_child(quiet_tap, NULL), 0);
}

static int refusals(void *arg)
{
	int fds[2], before, link = 0;
	char name[IFNAMSIZ];
	struct err err = { 0 };
	AUTO_RTNL struct rtnl c = RTNL_INIT;

	if (unshare(CLONE_NEWNET) < 0 || rtnl_open(&c, &err) < 0)
		return 1;
	before = open_descriptors();
	if (tap_open(0, fds, name, &err) != -EINVAL)
		return 2;
	if (tc_redirect(&c, 77, 1, TC_ANY, &link, &err) != -ENODEV || link != -EBADF)
		return 3;
	if (tc_clear(&c, 77, &err) != -ENODEV || tap_set_up(&c, 77, 1500, "", &err) != -ENODEV)
		return 4;
	if (setresuid(1234, 1234, 1234) < 0 || tap_open(2, fds, name, &err) >= 0 ||
	    !strstr(err.msg, "tap") + !strstr(err.msg, "/dev/net/tun") > 1)
		return 5;
	return open_descriptors() == before ? 0 : 6;
}

static void what_cannot_be_made_is_named(void **state)
{
	NEED_ROOT();
	assert_int_equal(in_child(refusals, NULL), 0);
	assert_true(tap_is_ours("tun", "caisson0"));
	assert_false(tap_is_ours("tun", "caissonx"));
	assert_false(tap_is_ours("tun", "caisson"));
	assert_false(tap_is_ours("veth", "caisson0"));
	assert_false(tap_is_ours(NULL, "caisson0"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_cannot_be_made_is_named),
		cmocka_unit_test(what_enters_one_leaves_by_the_other_in_each_form),
		cmocka_unit_test(the_filter_of_a_killed_runtime_is_cleared),
		cmocka_unit_test(a_link_goes_with_its_descriptor),
		cmocka_unit_test(what_others_have_there_stays),
		cmocka_unit_test(a_tap_has_queues_and_goes_with_the_last),
		cmocka_unit_test(a_tap_has_an_mtu_and_no_address),
	};

	return cmocka_run_group_tests_name("host/tap", tests, NULL, NULL);
}
