/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A network namespace of each test's own stands for the machine: veth pairs are its devices, and
 * ip(8) tells what they have become.
 */
#include "lib/unit.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/fib_rules.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/network.h"

#define NEED_ROOT()                                                          \
	do {                                                                 \
		if (geteuid() != 0) {                                        \
			print_message("needs root: CAVEATS.md#unit-root\n"); \
			skip();                                              \
		}                                                            \
	} while (0)

static int in_child(int (*fn)(void))
{
	const pid_t pid = fork();
	int status;

	if (pid == 0)
		_exit(fn());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

static bool run(const char *command)
{
	return system(command) == 0;
}

/* Devices "x0" and "x1" with MACs that end in 10 and 11, and peers that are up. */
static bool machine(void)
{
	return unshare(CLONE_NEWNET) == 0 &&
	       run("ip link set lo up && "
		   "ip link add x0 address 02:00:00:00:00:10 type veth peer name p0 && "
		   "ip link add x1 address 02:00:00:00:00:11 type veth peer name p1 && "
		   "ip link set p0 up && ip link set p1 up");
}

static struct agent_ip ip(const char *text, uint32_t prefix)
{
	struct agent_ip r = { .family = strchr(text, ':') ? AF_INET6 : AF_INET, .prefix = prefix };

	assert_int_equal(inet_pton((int)r.family, text, r.bytes), 1);
	return r;
}

static struct agent_network *two_links(const char *first, const char *second)
{
	struct agent_network *n = calloc(1, sizeof(*n));

	assert_non_null(n);
	n->links[0] = (struct agent_link){ first, { 2, 0, 0, 0, 0, 0x10 }, 1400, IFF_MULTICAST };
	n->links[1] = (struct agent_link){ second, { 2, 0, 0, 0, 0, 0x11 }, 9000, IFF_MULTICAST };
	n->links_len = 2;
	return n;
}

static void add_address(struct agent_network *n, uint32_t link, const char *text, uint32_t prefix)
{
	n->addresses[n->addresses_len++] =
		(struct agent_address){ .link = link, .ip = ip(text, prefix) };
}

static struct agent_route *add_route(struct agent_network *n, uint32_t link, const char *to,
				     uint32_t prefix, const char *gateway)
{
	struct agent_route *r = &n->routes[n->routes_len++];

	*r = (struct agent_route){ .link = link,
				   .to = ip(to, prefix),
				   .protocol = RTPROT_BOOT,
				   .type = RTN_UNICAST,
				   .table = RT_TABLE_MAIN };
	if (gateway)
		r->gateway = ip(gateway, strchr(gateway, ':') ? 128 : 32);
	else if (r->to.family == AF_INET)
		r->scope = RT_SCOPE_LINK;
	return r;
}

static int missing_device(void)
{
	struct agent_network *n = two_links("eth0", "eth1");
	struct err err = { 0 };

	n->links[1].mac[5] = 0x12;
	if (!machine() || agent_network_apply(n, &err) != -ENODEV)
		return 1;
	return strcmp(err.msg, "network: eth1: the machine has no device 02:00:00:00:00:12");
}

static int refused(void)
{
	struct agent_network *n = two_links("eth0", "this/is no name of any device");
	struct err err = { 0 };

	if (!machine() || agent_network_apply(n, &err) >= 0 || !strstr(err.msg, "this/is"))
		return 1;
	n->links[1].name = "eth1";
	n->links[1].mtu = 17;
	if (agent_network_apply(n, &err) >= 0 || !strstr(err.msg, "eth1 up with MTU 17"))
		return 2;
	n->links[1].mtu = 1500;
	add_address(n, 0, "192.0.2.7", 24);
	add_route(n, 0, "0.0.0.0", 0, "198.51.100.1");
	if (agent_network_apply(n, &err) >= 0 ||
	    !strstr(err.msg, "network: route 0.0.0.0/0 via 198.51.100.1 by eth0, table 254"))
		return 3;
	return 0;
}

static void what_cannot_be_is_named(void **state)
{
	NEED_ROOT();
	assert_int_equal(in_child(missing_device), 0);
	assert_int_equal(in_child(refused), 0);
}

static int names_go_round(void)
{
	struct agent_network *n = two_links("x1", "x0");
	struct err err = { 0 };

	if (!machine() || agent_network_apply(n, &err) < 0)
		return 1;
	if (!run("ip link show x1 | tr '\\n' ' ' | grep -q 'UP.*mtu 1400.*02:00:00:00:00:10'") ||
	    !run("ip link show x0 | tr '\\n' ' ' | grep -q 'UP.*mtu 9000.*02:00:00:00:00:11'"))
		return 2;
	/* Again, and with devices that are up. */
	if (agent_network_apply(n, &err) < 0)
		return 3;
	n->links[0].name = "x0";
	n->links[1].name = "eth1";
	n->links[0].flags = IFF_NOARP;
	if (agent_network_apply(n, &err) < 0)
		return 4;
	return run("ip link show x0 | tr '\\n' ' ' | grep -q 'NOARP,UP.*02:00:00:00:00:10'") &&
			       !run("ip link show x0 | grep -q MULTICAST") &&
			       run("ip link show eth1 | grep -q UP")
		       ? 0
		       : 5;
}

static void devices_get_their_names_mtus_and_flags(void **state)
{
	NEED_ROOT();
	assert_int_equal(in_child(names_go_round), 0);
}

static int addresses(void)
{
	struct agent_network *n = two_links("eth0", "eth1");
	struct err err = { 0 };

	add_address(n, 0, "192.0.2.7", 24);
	memcpy(n->addresses[0].broadcast, "\xc0\0\2\xff", 4);
	add_address(n, 0, "192.0.2.8", 24);
	add_address(n, 0, "2001:db8::7", 64);
	add_address(n, 1, "10.9.9.1", 32);
	n->addresses[3].peer = ip("10.9.9.2", 32);
	add_address(n, 1, "2001:db8:1::7", 64);
	n->addresses[4].flags = IFA_F_NOPREFIXROUTE | IFA_F_TENTATIVE;
	n->neighbours[n->neighbours_len++] = (struct agent_neighbour){
		0, ip("192.0.2.1", 32), { 2, 0, 0, 0, 0, 0x77 }, NUD_PERMANENT
	};
	n->neighbours[n->neighbours_len++] = (struct agent_neighbour){
		0, ip("2001:db8::1", 128), { 2, 0, 0, 0, 0, 0x78 }, NUD_PERMANENT
	};
	if (!machine() || agent_network_apply(n, &err) < 0 || agent_network_apply(n, &err) < 0) {
		fprintf(stderr, "%s\n", err.msg);
		return 1;
	}
	if (!run("ip -o -4 addr show eth0 | grep -q '192.0.2.7/24 brd 192.0.2.255 .*global "
		 "eth0'") ||
	    !run("ip -o -4 addr show eth0 | grep -q '192.0.2.8/24 .*secondary'") ||
	    !run("ip -o -4 addr show eth1 | grep -q '10.9.9.1 peer 10.9.9.2/32'"))
		return 2;
	/* At once usable: not tentative. */
	if (!run("ip -o -6 addr show eth0 | grep '2001:db8::7/64' | grep -qv tentative") ||
	    !run("ip -o -6 addr show eth1 | grep -q '2001:db8:1::7/64 .*noprefixroute'") ||
	    run("ip -6 route show dev eth1 | grep -q 2001:db8:1"))
		return 3;
	return run("ip neigh show dev eth0 | grep -q '192.0.2.1 lladdr 02:00:00:00:00:77 PERMA'") &&
			       run("ip -6 neigh show dev eth0 | grep -q '2001:db8::1 .*:78 PERMA'")
		       ? 0
		       : 4;
}

static void addresses_and_neighbours_are_as_they_were(void **state)
{
	NEED_ROOT();
	assert_int_equal(in_child(addresses), 0);
}

static void many_routes(struct agent_network *n)
{
	struct agent_route *r;

	add_address(n, 0, "10.1.1.7", 32); /* as Calico does: no network of its own */
	add_address(n, 1, "192.0.2.7", 24);
	add_address(n, 0, "2001:db8::7", 64);
	/* Backwards: the gateway is reached by what comes after it. */
	add_route(n, 0, "0.0.0.0", 0, "169.254.1.1")->metric = 100;
	add_route(n, 0, "203.0.113.0", 24, "169.254.1.1")->mtu = 1300;
	add_route(n, 0, "169.254.1.1", 32, NULL);
	add_route(n, 1, "0.0.0.0", 0, "192.0.2.1")->metric = 200;
	r = add_route(n, 1, "198.51.100.0", 24, "10.77.0.1");
	r->flags = RTNH_F_ONLINK;
	r->source = ip("192.0.2.7", 32);
	r = add_route(n, 0, "10.99.0.0", 16, NULL);
	r->type = RTN_UNREACHABLE;
	r->scope = RT_SCOPE_UNIVERSE;
	add_route(n, 1, "0.0.0.0", 0, "192.0.2.254")->table = 1000;
	add_route(n, 0, "::", 0, "2001:db8::1")->metric = 1024;
	add_route(n, 0, "::", 0, "2001:db8::2")->metric = 1024;
	add_route(n, 0, "10.66.0.0", 16, "2001:db8::1");
	n->rules[n->rules_len++] = (struct agent_rule){ .family = AF_INET,
							.from = ip("192.0.2.7", 32),
							.priority = 512,
							.table = 1000,
							.action = FR_ACT_TO_TBL };
	n->rules[n->rules_len++] = (struct agent_rule){ .family = AF_INET,
							.to = ip("10.5.0.0", 16),
							.in_link = 2,
							.mark = 7,
							.mask = 15,
							.priority = 513,
							.table = 100,
							.flags = FIB_RULE_INVERT,
							.action = FR_ACT_TO_TBL };
	n->rules[n->rules_len++] = (struct agent_rule){ .family = AF_INET6,
							.from = ip("2001:db8::7", 128),
							.priority = 514,
							.action = FR_ACT_PROHIBIT };
}

static int routes(void)
{
	static const char *const wanted[] = {
		"ip route show table main | grep -q 'default via 169.254.1.1 dev eth0 .*metric "
		"100'",
		"ip route show table main | grep -q '203.0.113.0/24 via 169.254.1.1 .* mtu 1300'",
		"ip route show table main | grep -q 'default via 192.0.2.1 dev eth1 .*metric 200'",
		"ip route show | grep -q '198.51.100.0/24 via 10.77.0.1 .*src 192.0.2.7.*onlink'",
		"ip route show table main | grep -q 'unreachable 10.99.0.0/16'",
		"ip route show table 1000 | grep -q 'default via 192.0.2.254 dev eth1'",
		"ip -6 route show | grep -q 'via 2001:db8::1 dev eth0'",
		"ip -6 route show | grep -q 'via 2001:db8::2 dev eth0'",
		"ip route show | grep -q '10.66.0.0/16 via inet6 2001:db8::1 dev eth0'",
		"ip rule show | grep -q '^512:.*from 192.0.2.7 lookup 1000'",
		"ip rule show | "
		"grep -q '^513:.*not from all to 10.5.0.0/16 fwmark 0x7/0xf iif eth1 lookup 100'",
		"ip -6 rule show | grep -q '^514:.*from 2001:db8::7 prohibit'",
	};
	struct agent_network *n = two_links("eth0", "eth1");
	struct err err = { 0 };

	many_routes(n);
	if (!machine() || agent_network_apply(n, &err) < 0 || agent_network_apply(n, &err) < 0) {
		fprintf(stderr, "%s\n", err.msg);
		return 1;
	}
	for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
		if (!run(wanted[i])) {
			fprintf(stderr, "not there: %s\n", wanted[i]);
			(void)run("ip route show table all; ip -6 route show; ip rule; ip -6 rule");
			return 2;
		}
	}
	/* A second time adds nothing. */
	return run("test $(ip rule show | grep -c '^512:') = 1 && "
		   "test $(ip route show | grep -c 203.0.113.0) = 1")
		       ? 0
		       : 3;
}

static void routes_come_in_an_order_that_works(void **state)
{
	NEED_ROOT();
	assert_int_equal(in_child(routes), 0);
}

static void nothing_costs_nothing(void **state)
{
	static const struct agent_network none;

	assert_int_equal(agent_network_apply(&none, NULL), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_cannot_be_is_named),
		cmocka_unit_test(nothing_costs_nothing),
		cmocka_unit_test(devices_get_their_names_mtus_and_flags),
		cmocka_unit_test(addresses_and_neighbours_are_as_they_were),
		cmocka_unit_test(routes_come_in_an_order_that_works),
	};

	return cmocka_run_group_tests_name("agent/network", tests, NULL, NULL);
}
