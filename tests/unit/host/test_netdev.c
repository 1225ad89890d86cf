/* SPDX-License-Identifier: Apache-2.0 */
/* Every test runs in network namespaces of its own; veth pairs are made by ip(8). */
#include "hosttest.h"

#include <net/if.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>

#include "base/buf.h"
#include "base/fd.h"
#include "host/netdev.h"

static bool run(const char *command)
{
	return system(command) == 0;
}

static short flags_of(const char *name)
{
	struct ifreq request = { 0 };
	AUTO_CLOSE int sock = socket(AF_UNIX, SOCK_DGRAM, 0);

	strcpy(request.ifr_name, name);
	return ioctl(sock, SIOCGIFFLAGS, &request) < 0 ? -1 : request.ifr_flags;
}

static int loopback(void *arg)
{
	struct err err = { 0 };

	if (unshare(CLONE_NEWNET) < 0 || (flags_of("lo") & IFF_UP))
		return 1;
	if (netdev_loopback_up(&err) < 0)
		return 2;
	return (flags_of("lo") & (IFF_UP | IFF_LOOPBACK)) == (IFF_UP | IFF_LOOPBACK) ? 0 : 3;
}

static int loopback_without_privilege(void *arg)
{
	struct err err = { 0 };

	if (unshare(CLONE_NEWNET) < 0 || setresuid(1234, 1234, 1234) < 0)
		return 1;
	return netdev_loopback_up(&err) == -EPERM && strstr(err.msg, "loopback") ? 0 : 2;
}

static void loopback_comes_up_or_says_why_not(void **state)
{
	NEED_ROOT();
	assert_int_equal(in_child(loopback, NULL), 0);
	assert_int_equal(in_child(loopback_without_privilege, NULL), 0);
}

/*
 * Two namespaces; the caller stays in the first. Returns the descriptor of the second. The first
 * stays open: the pairs' other ends are in it, and a pair dies with either end.
 */
static int two_namespaces(void)
{
	int first, second;

	if (unshare(CLONE_NEWNET | CLONE_NEWNS) < 0)
		return -1;
	first = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	if (unshare(CLONE_NEWNET) < 0)
		return -1;
	second = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	return setns(first, CLONE_NEWNET) < 0 ? -1 : second;
}

static int bad_devices(void *arg)
{
	const struct oci_net_device missing = { "nodev0", NULL }, empty = { "", NULL };
	const struct oci_net_device long_host = { "interfacenamethatistoolong", NULL };
	const struct oci_net_device long_name = { "lo", "interfacenamethatistoolong" };
	const struct oci_net_device lo = { "lo", "lo2" };
	const int ns = two_namespaces(), before = open_descriptors();
	struct err err = { 0 };

	if (ns < 0)
		return 1;
	if (netdev_move(&missing, 1, ns, &err) != -ENODEV || !strstr(err.msg, "nodev0"))
		return 2;
	if (netdev_move(&empty, 1, ns, &err) != -EINVAL ||
	    netdev_move(&long_host, 1, ns, &err) != -EINVAL)
		return 3;
	if (netdev_move(&long_name, 1, ns, &err) != -EINVAL)
		return 4;
	if (netdev_move(&lo, 1, ns, &err) >= 0) /* the loopback device is local to its namespace */
		return 5;
	if (netdev_move(&missing, 1, -1, &err) != -EBADF)
		return 6;
	if (netdev_move(&missing, 0, -1, &err) != 0)
		return 7;
	return open_descriptors() == before ? 0 : 8;
}

static void devices_that_cannot_be_moved_are_named(void **state)
{
	NEED_ROOT();
	assert_int_equal(in_child(bad_devices, NULL), 0);
}

static bool output_has(const char *command, const char *wanted, bool present)
{
	AUTO_BUF struct buf b = { 0 };
	FILE *f = popen(command, "r");

	if (!f)
		return false;
	(void)fd_read_all(fileno(f), &b);
	(void)pclose(f);
	return (b.data && strstr(b.data, wanted)) == present;
}

static int move(void *arg)
{
	const struct oci_net_device devices[] = { { "test0", "eth0" }, { "test1", NULL } };
	const int ns = two_namespaces();
	struct err err = { 0 };

	if (ns < 0 ||
	    !run("ip link add test0 type veth peer name peer0 && "
		 "ip link add test1 type veth peer name peer1 && "
		 "ip addr add 192.0.2.7/24 dev test0 && ip addr add 192.0.2.8/24 dev test0 && "
		 "ip -6 addr add 2001:db8::7/64 dev test0 nodad && "
		 "ip link set test0 up && ip link set peer0 up"))
		return 1;
	if (netdev_move(devices, 2, ns, &err) < 0) {
		fprintf(stderr, "%s\n", err.msg);
		return 2;
	}
	if (flags_of("test0") != -1 || flags_of("peer0") == -1) /* still in the first namespace */
		return 3;
	if (setns(ns, CLONE_NEWNET) < 0)
		return 4;
	if (!(flags_of("eth0") & IFF_UP) || !(flags_of("test1") & IFF_UP))
		return 5;
	if (!output_has("ip -o addr show dev eth0", "192.0.2.7/24", true) ||
	    !output_has("ip -o addr show dev eth0", "192.0.2.8/24", true))
		return 6;
	if (!output_has("ip -o addr show dev eth0", "2001:db8::7/64", true))
		return 7;
	return output_has("ip -o addr show dev test1", "192.0.2", false) ? 0 : 8;
}

static void devices_move_with_name_addresses_and_state(void **state)
{
	NEED_ROOT();
	if (access("/sbin/ip", X_OK) < 0) {
		print_message("needs ip(8): CAVEATS.md#unit-iproute2\n");
		skip();
	}
	assert_int_equal(in_child(move, NULL), 0);
}

/* Goal: a lease of the host's network is not carried into a container. */
static int move_dynamic(void *arg)
{
	const struct oci_net_device device = { "test0", "eth0" };
	const int ns = two_namespaces();
	struct err err = { 0 };

	if (ns < 0 || !run("ip link add test0 type veth peer name peer0 && "
			   "ip addr add 192.0.2.9/24 dev test0 valid_lft 100 preferred_lft 100 && "
			   "ip addr add 169.254.1.1/16 dev test0 scope link"))
		return 1;
	if (netdev_move(&device, 1, ns, &err) < 0 || setns(ns, CLONE_NEWNET) < 0)
		return 2;
	return output_has("ip -4 -o addr show dev eth0", "inet", false) ? 0 : 3;
}

static void leased_and_local_addresses_stay_behind(void **state)
{
	NEED_ROOT();
	if (access("/sbin/ip", X_OK) < 0) {
		print_message("needs ip(8): CAVEATS.md#unit-iproute2\n");
		skip();
	}
	assert_int_equal(in_child(move_dynamic, NULL), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(loopback_comes_up_or_says_why_not),
		cmocka_unit_test(devices_that_cannot_be_moved_are_named),
		cmocka_unit_test(devices_move_with_name_addresses_and_state),
		cmocka_unit_test(leased_and_local_addresses_stay_behind),
	};

	return cmocka_run_group_tests_name("host/netdev", tests, NULL, NULL);
}
