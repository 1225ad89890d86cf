/* SPDX-License-Identifier: Apache-2.0 */
/* In a network namespace of each test's own, which ip(8) fills. */
#include "hosttest.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "host/loopback.h"

static bool begin(void)
{
	return unshare(CLONE_NEWNET) == 0 &&
	       system("ip link set lo up && ip link add eth0 type veth peer name peer0 && "
		      "ip addr add 10.9.9.9/24 dev eth0 && ip link set eth0 up && "
		      "ip link set peer0 up") == 0;
}

static struct sockaddr_in at(const char *address, int port)
{
	return (struct sockaddr_in){ .sin_family = AF_INET,
				     .sin_port = htons(port),
				     .sin_addr.s_addr = inet_addr(address) };
}

/* The socket, or -errno. */
static int reach(const char *address, int port)
{
	const struct sockaddr_in there = at(address, port);
	const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (connect(fd, (const struct sockaddr *)&there, sizeof(there)) == 0)
		return fd;
	(void)close(fd);
	return -errno;
}

static int listen_at(const char *address, int port)
{
	const struct sockaddr_in here = at(address, port);
	const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	return bind(fd, (const struct sockaddr *)&here, sizeof(here)) == 0 && listen(fd, 8) == 0
		       ? fd
		       : -1;
}

/* For which port the next one on a listener was meant; -EAGAIN: none waits. */
static int next_port(int listener)
{
	struct sockaddr_in meant;
	socklen_t len = sizeof(meant);
	const int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

	if (fd < 0)
		return -errno;
	(void)getsockname(fd, (struct sockaddr *)&meant, &len);
	(void)close(fd);
	return ntohs(meant.sin_port);
}

static int take_all_ports(void *arg)
{
	static const char *const addresses[] = { "127.0.0.1", "127.9.8.7" };
	static const int ports[] = { 1, 80, 8080, 65535 };
	int listener, link;
	struct err err;

	if (!begin() || loopback_take(&listener, &link, &err) < 0)
		return 1;
	for (size_t i = 0; i < 2; i++) {
		for (size_t j = 0; j < 4; j++) {
			if (reach(addresses[i], ports[j]) < 0 || next_port(listener) != ports[j])
				return 2;
		}
	}
	return next_port(listener) == -EAGAIN ? 0 : 3;
}

static int leave_other_addresses(void *arg)
{
	int listener, link, own;
	struct err err;

	if (!begin() || loopback_take(&listener, &link, &err) < 0)
		return 1;
	own = listen_at("0.0.0.0", 8080);
	if (own < 0 || reach("10.9.9.9", 8080) < 0 || next_port(own) != 8080)
		return 2;
	/* Not the listener's own port either: it is at the loopback device alone. */
	if (reach("10.9.9.9", 80) != -ECONNREFUSED)
		return 3;
	/* That one hears what is meant for the loopback device no more. */
	if (reach("127.0.0.1", 8080) < 0 || next_port(listener) != 8080)
		return 4;
	return next_port(listener) == -EAGAIN ? 0 : 5;
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
	(void)state;
	NEED_ROOT();
	assert_int_equal(in_child(leave_other_addresses, NULL), 0);
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
		cmocka_unit_test(nothing_is_left_of_who_was_killed),
		cmocka_unit_test(who_may_not_is_told),
	};

	return cmocka_run_group_tests_name("host/loopback", tests, NULL, NULL);
}
