/* SPDX-License-Identifier: Apache-2.0 */
/* Each test has a network namespace of its own, which ip(8) fills. */
#include "runtimetest.h"

#include <arpa/inet.h>
#include <linux/fib_rules.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/rtnetlink.h>
#include <linux/virtio_net.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "base/str.h"
#include "runtime/vm/net.h"

#define NEED_ROOT()                                                          \
	do {                                                                 \
		if (geteuid() != 0) {                                        \
			print_message("needs root: CAVEATS.md#unit-root\n"); \
			skip();                                              \
		}                                                            \
	} while (0)

/* $OUTER is a process in another new namespace, where the other ends of pairs are. */
static int run_fn(int (*fn)(void))
{
	char number[16];
	pid_t outer;
	int r;

	if (unshare(CLONE_NEWNET) < 0)
		return 99;
	outer = fork();
	if (outer == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;)
			pause();
	}
	(void)snprintf(number, sizeof(number), "%d", outer);
	(void)setenv("OUTER", number, 1);
	r = unshare(CLONE_NEWNET) < 0 ? 98 : fn();
	(void)kill(outer, SIGKILL);
	return r;
}

static int in_child(int (*fn)(void))
{
	const pid_t pid = fork();
	int status;

	if (pid == 0)
		_exit(run_fn(fn));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

static bool run(const char *command)
{
	return system(command) == 0;
}

#define OUTSIDE "nsenter -t $OUTER -n "
#define PAIR                                                                                       \
	"ip link add eth0 mtu 1400 address 02:00:00:00:00:10 type veth peer name p0 netns $OUTER " \
	"&& ip link set eth0 up && " OUTSIDE "ip link set p0 up && "                               \
	"ip addr add 192.0.2.7/24 brd + dev eth0 && ip -6 addr add 2001:db8::7/64 dev eth0 nodad " \
	"&& "

/* Whether the namespace, as `command` makes it, is refused with a sentence that has `words`. */
static int refused(const char *command, const char *words)
{
	AUTO_VM_NET struct vm_net *n = NULL;
	struct err err = { 0 };

	if (!run(command))
		return 1;
	n = vm_net_take(1, &err);
	if (n || !strstr(err.msg, words)) {
		fprintf(stderr, "\"%s\" is not in: %s\n", words, err.msg);
		return 2;
	}
	/* Nothing is left. */
	return run("! ip link show caisson0 2>/dev/null && ! tc qdisc | grep -q ingress") ? 0 : 3;
}

static int no_ethernet(void)
{
	return refused("ip tuntap add tun0 mode tun && ip link set tun0 up",
		       "network: tun0 (tun) is no Ethernet device");
}

static int stacked(void)
{
	return refused(
		"ip link add eth0 type veth peer name p0 netns $OUTER && ip link set eth0 up && "
		"ip link add m0 link eth0 type macvlan && ip link set m0 up",
		"network: m0 stands upon eth0");
}

static int twins(void)
{
	return refused(
		"ip link add t1 address 02:00:00:00:00:10 type veth peer name pa netns $OUTER && "
		"ip link add t2 address 02:00:00:00:00:10 type veth peer name pb netns $OUTER && "
		"ip link set t1 up && ip link set t2 up",
		"network: t1 and t2 have the same MAC");
}

static int nine(void)
{
	return refused(
		"for i in 0 1 2 3 4 5 6 7 8; do "
		"ip link add e$i type veth peer name p$i netns $OUTER && ip link set e$i up; done",
		"a machine has 8 network devices at most");
}

static int many_addresses(void)
{
	return refused(PAIR "for i in $(seq 10 80); do ip addr add 10.0.0.$i/24 dev eth0; done",
		       "network: list addresses (up to 64)");
}

static void what_a_machine_cannot_have_is_refused_by_name(void **state)
{
	NEED_ROOT();
	assert_int_equal(in_child(no_ethernet), 0);
	assert_int_equal(in_child(stacked), 0);
	assert_int_equal(in_child(twins), 0);
	assert_int_equal(in_child(nine), 0);
	assert_int_equal(in_child(many_addresses), 0);
}

static int shared(void)
{
	AUTO_VM_NET struct vm_net *first = NULL, *second = NULL;
	struct err err = { 0 };

	if (!run(PAIR "true"))
		return 1;
	first = vm_net_take(1, &err);
	second = vm_net_take(1, &err);
	return first && !second && strstr(err.msg, "is another machine's already (caisson0)") ? 0
											      : 2;
}

static void a_namespace_is_one_machines(void **state)
{
	NEED_ROOT();
	assert_int_equal(in_child(shared), 0);
}

/* As process 1 sees it: here the test. */
static int hosts(void)
{
	struct err err = { 0 };

	if (!run(PAIR "true") || unshare(CLONE_NEWPID | CLONE_NEWNS) < 0)
		return 1;
	if (fork() == 0) {
		if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
		    mount("proc", "/proc", "proc", 0, NULL) < 0)
			_exit(77);
		_exit(!vm_net_take(1, &err) && strstr(err.msg, "host's network namespace") ? 0 : 2);
	} else {
		int status;

		return wait(&status) > 0 && WIFEXITED(status) ? WEXITSTATUS(status) : 3;
	}
}

/* Our namespace is forgotten from another one, as its path: the caller's own is left alone. */
static int forget_ours(void)
{
	char path[64];
	struct err err = { 0 };
	int status;

	(void)snprintf(path, sizeof(path), "/proc/%d/ns/net", (int)getpid());
	if (fork() == 0)
		_exit(unshare(CLONE_NEWNET) < 0 ? 98 : vm_net_forget(path, &err) < 0);
	return wait(&status) > 0 && WIFEXITED(status) ? WEXITSTATUS(status) : 99;
}

/* Without links a filter stays; here tc(8) makes the one of a machine that is gone. */
static int filters(void)
{
	AUTO_VM_NET struct vm_net *n = NULL;
	struct err err = { 0 };
	const char *filter = "tc qdisc add dev eth0 ingress && ip tuntap add t0 mode tap && "
			     "tc filter add dev eth0 parent ffff: prio 51721 protocol all "
			     "u32 match u32 0 0 action mirred egress redirect dev t0 && "
			     "ip link del t0";

	if (!run(PAIR "true") || !run(filter))
		return 1;
	if (vm_net_forget("/proc/thread-self/ns/net", &err) < 0 || !run("tc qdisc | grep ingress"))
		return 5;
	if (forget_ours() || run("tc qdisc | grep ingress"))
		return 2;
	/* One that was never taken away does not stand before the next machine. */
	if (!run(filter))
		return 3;
	n = vm_net_take(1, &err);
	return n && !run("tc filter show dev eth0 ingress | grep -q 'device \\*'") ? 0 : 4;
}

static void a_filter_that_stayed_is_taken_away(void **state)
{
	NEED_ROOT();
	assert_int_equal(in_child(filters), 0);
}

static void the_hosts_interfaces_stay_its_own(void **state)
{
	int r;

	NEED_ROOT();
	r = in_child(hosts);
	if (r != 77) /* no second procfs where the first is not whole */
		assert_int_equal(r, 0);
}

static int nothing(void)
{
	AUTO_VM_NET struct vm_net *n = NULL;
	struct err err = { 0 };

	/* Down is not there; a port is its bridge's. */
	if (!run("ip link set lo up && ip link add d0 type veth peer name d1"))
		return 1;
	n = vm_net_take(2, &err);
	return n && n->nics_len == 0 && n->network.links_len == 0 && n->network.routes_len == 0 ? 0
												: 2;
}

static void without_interfaces_there_is_nothing_to_do(void **state)
{
	NEED_ROOT();
	assert_int_equal(in_child(nothing), 0);
}

static bool ip_is(const struct agent_ip *ip, const char *text, uint32_t prefix)
{
	char own[INET6_ADDRSTRLEN] = "";

	return ip->family && inet_ntop((int)ip->family, ip->bytes, own, sizeof(own)) &&
	       strcmp(own, text) == 0 && ip->prefix == prefix;
}

static const struct agent_route *route_to(const struct agent_network *n, const char *to,
					  uint32_t prefix, uint32_t table)
{
	for (uint32_t i = 0; i < n->routes_len; i++) {
		if (ip_is(&n->routes[i].to, to, prefix) && n->routes[i].table == table)
			return &n->routes[i];
	}
	return NULL;
}

static int whole(void)
{
	AUTO_VM_NET struct vm_net *n = NULL;
	const struct agent_network *a;
	const struct agent_route *r;
	struct err err = { 0 };

	if (!run("ip link set lo up && " PAIR "ip link add net1 address 02:00:00:00:00:11 type "
		 "veth peer name p1 netns $OUTER && " OUTSIDE
		 "ip link set p1 up && ip link set net1 up arp off && "
		 "ip addr add 10.9.9.1 peer 10.9.9.2/32 dev net1 && "
		 "ip route add 169.254.1.1 dev eth0 scope link && "
		 "ip route add default via 169.254.1.1 dev eth0 metric 50 mtu 1300 && "
		 "ip route add 10.1.0.0/16 via 10.77.0.1 dev net1 onlink src 10.9.9.1 && "
		 "ip route add unreachable 10.2.0.0/16 && "
		 "ip route add default via 192.0.2.1 dev eth0 table 1000 && "
		 "ip route add 10.3.0.0/16 nexthop via 192.0.2.1 dev eth0 "
		 "nexthop via 192.0.2.2 dev eth0 && "
		 "ip route add 10.4.0.0/16 via inet6 2001:db8::1 dev eth0 && "
		 "ip route add local 10.5.0.0/16 dev lo table 9 && "
		 "ip -6 route add default via 2001:db8::1 dev eth0 && "
		 "ip neigh add 192.0.2.9 lladdr 02:00:00:00:00:99 nud permanent dev eth0 && "
		 "ip neigh add 192.0.2.8 lladdr 02:00:00:00:00:98 nud stale dev eth0 && "
		 "ip rule add from 192.0.2.7 table 1000 prio 512 && "
		 "ip rule add not fwmark 0x7/0xf iif eth0 table 9 prio 513 && "
		 "ip rule add ipproto tcp table 9 prio 514"))
		return 1;
	n = vm_net_take(2, &err);
	if (!n) {
		fprintf(stderr, "%s\n", err.msg);
		return 2;
	}
	a = &n->network;
	if (a->links_len != 2 || n->nics_len != 2 || strcmp(a->links[0].name, "eth0") != 0 ||
	    a->links[0].mtu != 1400 || a->links[0].flags & IFF_NOARP ||
	    a->links[0].mac[5] != 0x10 || n->nics[0].mac[5] != 0x10 || n->nics[0].taps_len != 2)
		return 3;
	if (strcmp(a->links[1].name, "net1") != 0 || !(a->links[1].flags & IFF_NOARP) ||
	    a->links[1].mtu != 1500 || a->links[0].flags & AGENT_LINK_NO_IPV6)
		return 4;
	/* No link-local addresses: the guest makes its own. */
	if (a->addresses_len != 3 || !ip_is(&a->addresses[0].ip, "192.0.2.7", 24) ||
	    memcmp(a->addresses[0].broadcast, "\xc0\0\2\xff", 4) != 0 ||
	    !ip_is(&a->addresses[1].ip, "10.9.9.1", 32) || a->addresses[1].link != 1 ||
	    !ip_is(&a->addresses[1].peer, "10.9.9.2", 32) || a->addresses[0].peer.family ||
	    !ip_is(&a->addresses[2].ip, "2001:db8::7", 64) || a->addresses[2].link != 0)
		return 5;
	/* Nine that were made, less the one of "lo", and one more for the second next hop. */
	if (a->routes_len != 9)
		return 6;
	r = route_to(a, "0.0.0.0", 0, RT_TABLE_MAIN);
	if (!r || r->metric != 50 || r->mtu != 1300 || !ip_is(&r->gateway, "169.254.1.1", 32))
		return 7;
	r = route_to(a, "10.1.0.0", 16, RT_TABLE_MAIN);
	if (!r || r->link != 1 || !(r->flags & RTNH_F_ONLINK) || !ip_is(&r->source, "10.9.9.1", 32))
		return 8;
	r = route_to(a, "10.2.0.0", 16, RT_TABLE_MAIN);
	if (!r || r->type != RTN_UNREACHABLE || !route_to(a, "0.0.0.0", 0, 1000) ||
	    !route_to(a, "10.3.0.0", 16, RT_TABLE_MAIN) || !route_to(a, "::", 0, RT_TABLE_MAIN))
		return 9;
	r = route_to(a, "10.4.0.0", 16, RT_TABLE_MAIN);
	if (!r || !ip_is(&r->gateway, "2001:db8::1", 128))
		return 10;
	if (a->neighbours_len != 1 || !ip_is(&a->neighbours[0].ip, "192.0.2.9", 32) ||
	    a->neighbours[0].mac[5] != 0x99)
		return 11;
	return a->rules_len == 2 && a->rules[0].priority == 512 && a->rules[0].table == 1000 &&
			       ip_is(&a->rules[0].from, "192.0.2.7", 32) &&
			       a->rules[1].in_link == 1 && a->rules[1].mark == 7 &&
			       a->rules[1].mask == 15 && a->rules[1].flags == FIB_RULE_INVERT
		       ? 0
		       : 12;
}

static void what_a_namespace_has_is_told(void **state)
{
	NEED_ROOT();
	assert_int_equal(in_child(whole), 0);
}

/* Of each family one address whose network is behind the router, beside one whose is not. */
static int behind_router(void)
{
	static const struct {
		const char *ip;
		uint32_t prefix;
		bool behind;
	} addresses[] = {
		{ "192.0.2.7", 24, true },	{ "192.0.3.23", 28, false },
		{ "198.51.100.1", 32, false },	{ "2001:db8::7", 64, true },
		{ "2001:db8:1::7", 60, false },
	};
	AUTO_VM_NET struct vm_net *n = NULL;
	struct err err = { 0 };

	if (!run(PAIR "ip addr add 192.0.3.23/28 dev eth0 && ip addr add 198.51.100.1/32 dev eth0 "
		      "&& ip addr add 2001:db8:1::7/60 dev eth0 nodad && "
		      "ip route del 192.0.2.0/24 dev eth0 && "
		      "ip route add 192.0.2.1 dev eth0 scope link && "
		      "ip route add 192.0.2.0/24 via 192.0.2.1 dev eth0 && "
		      "ip -6 route del 2001:db8::/64 dev eth0"))
		return 1;
	n = vm_net_take(1, &err);
	if (!n) {
		fprintf(stderr, "%s\n", err.msg);
		return 2;
	}
	if (n->network.addresses_len != ARRAY_LEN(addresses) || n->network.routes_len != 2)
		return 3;
	for (uint32_t i = 0; i < ARRAY_LEN(addresses); i++) {
		const struct agent_address *a = NULL;

		for (uint32_t j = 0; j < n->network.addresses_len; j++) {
			if (ip_is(&n->network.addresses[j].ip, addresses[i].ip,
				  addresses[i].prefix))
				a = &n->network.addresses[j];
		}
		if (!a || !(a->flags & IFA_F_NOPREFIXROUTE) == addresses[i].behind)
			return 10 + (int)i;
	}
	return 0;
}

static void an_address_without_the_kernels_route_is_told_as_one(void **state)
{
	NEED_ROOT();
	assert_int_equal(in_child(behind_router), 0);
}

static int no_ipv6(void)
{
	AUTO_VM_NET struct vm_net *n = NULL;
	struct err err = { 0 };

	if (!run("echo 1 > /proc/sys/net/ipv6/conf/default/disable_ipv6 2>/dev/null"))
		return 77;
	if (!run("ip link add eth0 type veth peer name p0 netns $OUTER && ip link set eth0 up"))
		return 1;
	n = vm_net_take(1, &err);
	return n && n->network.links[0].flags & AGENT_LINK_NO_IPV6 ? 0 : 2;
}

static void a_device_without_ipv6_stays_without(void **state)
{
	int r;

	NEED_ROOT();
	r = in_child(no_ipv6);
	if (r != 77) /* /proc/sys is read-only here */
		assert_int_equal(r, 0);
}

/* A socket of the other end's namespace, and the other end. */
static int outside(struct sockaddr_ll *ret)
{
	AUTO_CLOSE int home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	char path[64];
	AUTO_CLOSE int there = -EBADF;
	int sock;

	(void)snprintf(path, sizeof(path), "/proc/%s/ns/net", getenv("OUTER"));
	there = open(path, O_RDONLY | O_CLOEXEC);
	if (setns(there, CLONE_NEWNET) < 0)
		return -1;
	sock = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	*ret = (struct sockaddr_ll){ .sll_family = AF_PACKET,
				     .sll_protocol = htons(ETH_P_ALL),
				     .sll_ifindex = (int)if_nametoindex("p0") };
	return setns(home, CLONE_NEWNET) < 0 ? -1 : sock;
}

/* A frame that is sent to the other end, at the tap; and the namespace after the tap has gone. */
static int frames(void)
{
	uint8_t frame[ETH_ZLEN], got[2048];
	struct err err = { 0 };
	struct sockaddr_ll to;
	struct vm_net *n;
	int sock;

	if (!run(PAIR "true"))
		return 1;
	n = vm_net_take(1, &err);
	sock = outside(&to);
	if (!n || sock < 0 || vm_net_connect(n, &err) < 0)
		return 2;
	memset(frame, 0xff, sizeof(frame));
	memcpy(frame + ETH_ALEN, "\x02\0\0\0\0\x77\x88\xb5", ETH_ALEN + 2); /* for experiments */
	if (sendto(sock, frame, sizeof(frame), 0, (const struct sockaddr *)&to, sizeof(to)) < 0)
		return 3;
	for (;;) {
		struct pollfd p = { .fd = n->nics[0].taps[0], .events = POLLIN };
		ssize_t len;

		if (poll(&p, 1, 30000) <= 0)
			return 4;
		len = read(p.fd, got, sizeof(got));
		if (len == sizeof(struct virtio_net_hdr) + ETH_ZLEN &&
		    got[sizeof(struct virtio_net_hdr) + 13] == 0xb5)
			break;
	}
	vm_net_free(n);
	if (forget_ours())
		return 5;
	if (!run("! ip link show caisson0 2>/dev/null && ! tc qdisc | grep -q ingress"))
		return 6;
	return vm_net_forget("/nowhere", &err) == 0 && vm_net_forget("/dev/null", &err) == 0 ? 0
											     : 7;
}

static void frames_come_to_the_tap_and_nothing_stays(void **state)
{
	NEED_ROOT();
	assert_int_equal(in_child(frames), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_a_machine_cannot_have_is_refused_by_name),
		cmocka_unit_test(a_namespace_is_one_machines),
		cmocka_unit_test(a_filter_that_stayed_is_taken_away),
		cmocka_unit_test(the_hosts_interfaces_stay_its_own),
		cmocka_unit_test(without_interfaces_there_is_nothing_to_do),
		cmocka_unit_test(what_a_namespace_has_is_told),
		cmocka_unit_test(an_address_without_the_kernels_route_is_told_as_one),
		cmocka_unit_test(a_device_without_ipv6_stays_without),
		cmocka_unit_test(frames_come_to_the_tap_and_nothing_stays),
	};

	return cmocka_run_group_tests_name("runtime/vm_net", tests, NULL, NULL);
}
