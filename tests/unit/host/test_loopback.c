/* SPDX-License-Identifier: Apache-2.0 */
/* In a network namespace of each test's own, which ip(8) fills. */
#include "hosttest.h"

#include <arpa/inet.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <sched.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "host/loopback.h"

static bool begin(void)
{
	return unshare(CLONE_NEWNET) == 0 &&
	       system("ip link set lo up && ip link add eth0 type veth peer name peer0 && "
		      "ip addr add 10.9.9.9/24 dev eth0 && "
		      "ip addr add fd00::9/64 dev eth0 nodad && ip link set eth0 up && "
		      "ip link set peer0 up") == 0;
}

/* A socket and its address: of IPv6 where it has a colon. */
static int socket_at(const char *address, int port, struct sockaddr_in6 *ret, socklen_t *ret_len)
{
	struct sockaddr_in four = { .sin_family = AF_INET, .sin_port = htons(port) };

	*ret = (struct sockaddr_in6){ .sin6_family = AF_INET6, .sin6_port = htons(port) };
	*ret_len = sizeof(*ret);
	if (inet_pton(AF_INET6, address, &ret->sin6_addr) != 1) {
		four.sin_addr.s_addr = inet_addr(address);
		memcpy(ret, &four, sizeof(four));
		*ret_len = sizeof(four);
	}
	return socket(ret->sin6_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
}

/* The socket, or -errno. */
static int reach(const char *address, int port)
{
	struct sockaddr_in6 there;
	socklen_t len;
	const int fd = socket_at(address, port, &there, &len);

	if (connect(fd, (const struct sockaddr *)&there, len) == 0)
		return fd;
	(void)close(fd);
	return -errno;
}

static int listen_at(const char *address, int port)
{
	struct sockaddr_in6 here;
	socklen_t len;
	const int fd = socket_at(address, port, &here, &len);

	return bind(fd, (const struct sockaddr *)&here, len) == 0 && listen(fd, 8) == 0 ? fd : -1;
}

/* For which port the next one on a listener was meant; -EAGAIN: none waits. */
static int next_port(int listener)
{
	struct sockaddr_in6 meant;
	socklen_t len = sizeof(meant);
	const int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

	if (fd < 0)
		return -errno;
	(void)getsockname(fd, (struct sockaddr *)&meant, &len);
	(void)close(fd);
	return ntohs(meant.sin6_port);
}

static int take_all_ports(void *arg)
{
	static const char *const addresses[] = { "127.0.0.1", "127.9.8.7", "::1" };
	static const int ports[] = { 1, 80, 8080, 65535 };
	int listener, link;
	struct err err;

	if (!begin() || loopback_take(&listener, &link, &err) < 0)
		return 1;
	for (size_t i = 0; i < 3; i++) {
		for (size_t j = 0; j < 4; j++) {
			if (reach(addresses[i], ports[j]) < 0 || next_port(listener) != ports[j])
				return 2;
		}
	}
	return next_port(listener) == -EAGAIN ? 0 : 3;
}

/* `arg`: an address of another device, and one of the loopback device. */
static int leave_other_addresses(void *arg)
{
	const char *const *addresses = arg;
	int listener, link, own;
	struct err err;

	if (!begin() || loopback_take(&listener, &link, &err) < 0)
		return 1;
	own = listen_at(strchr(addresses[0], ':') ? "::" : "0.0.0.0", 8080);
	if (own < 0 || reach(addresses[0], 8080) < 0 || next_port(own) != 8080)
		return 2;
	/* Not the listener's own port either: it is at the loopback device alone. */
	if (reach(addresses[0], 80) != -ECONNREFUSED)
		return 3;
	/* That one hears what is meant for the loopback device no more. */
	if (reach(addresses[1], 8080) < 0 || next_port(listener) != 8080)
		return 4;
	return next_port(listener) == -EAGAIN ? 0 : 5;
}

/* As of a kernel that was booted without it: socket(2) says EAFNOSUPPORT. */
static int do_without_ipv6(void *arg)
{
	struct sock_filter insns[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_socket, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[0])),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AF_INET6, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EAFNOSUPPORT),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	const struct sock_fprog program = { .len = ARRAY_LEN(insns), .filter = insns };
	int listener, link;
	struct err err;

	if (!begin() || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0)
		return 1;
	if (loopback_take(&listener, &link, &err) < 0)
		return 2;
	return reach("127.0.0.1", 80) >= 0 && next_port(listener) == 80 ? 0 : 3;
}

static int leave_nothing(void *arg)
{
	int listener, link, ends[2];
	struct err err;
	pid_t pid;
	char byte;

	if (!begin() || pipe(ends) < 0)
		return 1;
	pid = fork();
	if (pid == 0) {
		if (loopback_take(&listener, &link, &err) < 0)
			_exit(1);
		(void)!write(ends[1], "", 1);
		for (;;)
			(void)pause();
	}
	if (read(ends[0], &byte, 1) != 1 || reach("127.0.0.1", 80) < 0)
		return 2;
	(void)kill(pid, SIGKILL);
	(void)waitpid(pid, NULL, 0);
	if (reach("127.0.0.1", 80) != -ECONNREFUSED)
		return 3;
	/* ... and another may come. */
	return loopback_take(&listener, &link, &err) == 0 && reach("127.0.0.1", 80) >= 0 &&
			       next_port(listener) == 80
		       ? 0
		       : 4;
}

static int do_without(void *arg)
{
	int listener, link;
	struct err err;

	if (!begin() || setresuid(65534, 65534, 65534) < 0)
		return 1;
	return loopback_take(&listener, &link, &err) == -EPERM && strstr(err.msg, "make a map") ? 0
												: 2;
}

static void every_port_of_every_loopback_address_comes_to_one_socket(void **state)
{
	(void)state;
	NEED_ROOT();
	assert_int_equal(in_child(take_all_ports, NULL), 0);
}

static void other_addresses_and_their_listeners_are_left_alone(void **state)
{
	static const char *four[] = { "10.9.9.9", "127.0.0.1" }, *six[] = { "fd00::9", "::1" };

	(void)state;
	NEED_ROOT();
	assert_int_equal(in_child(leave_other_addresses, four), 0);
	assert_int_equal(in_child(leave_other_addresses, six), 0);
}

static void a_kernel_without_ipv6_has_ports_of_ipv4(void **state)
{
	(void)state;
	NEED_ROOT();
	assert_int_equal(in_child(do_without_ipv6, NULL), 0);
}

static void nothing_is_left_of_who_was_killed(void **state)
{
	(void)state;
	NEED_ROOT();
	assert_int_equal(in_child(leave_nothing, NULL), 0);
}

static void who_may_not_is_told(void **state)
{
	(void)state;
	NEED_ROOT();
	assert_int_equal(in_child(do_without, NULL), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_port_of_every_loopback_address_comes_to_one_socket),
		cmocka_unit_test(other_addresses_and_their_listeners_are_left_alone),
		cmocka_unit_test(a_kernel_without_ipv6_has_ports_of_ipv4),
		cmocka_unit_test(nothing_is_left_of_who_was_killed),
		cmocka_unit_test(who_may_not_is_told),
	};

	return cmocka_run_group_tests_name("host/loopback", tests, NULL, NULL);
}
