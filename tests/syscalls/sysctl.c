/* SPDX-License-Identifier: Apache-2.0 */
/* /proc/sys: limits of an ipc and of a network namespace, in namespaces of the case's own. */
#include <netinet/in.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/socket.h>

#include "harness.h"

static void own_namespace(int kind)
{
	need_root();
	if (unshare(kind) < 0)
		SKIP("no namespace: %s", test_errno_name(errno));
}

static void set(const char *name, const char *value)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "/proc/sys/%s", name);
	fd = open(path, O_WRONLY);
	if (fd < 0 && (errno == EROFS || errno == ENOENT || errno == EACCES))
		SKIP("%s: %s", name, test_errno_name(errno));
	OK(fd);
	if (write(fd, value, strlen(value)) < 0)
		FAIL("%s = %s: %s", name, value, test_errno_name(errno));
	OK(close(fd));
}

static void refuses(const char *name, const char *value)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "/proc/sys/%s", name);
	fd = OK(open(path, O_WRONLY));
	CHECK_ERRNO(write(fd, value, strlen(value)), EINVAL);
	OK(close(fd));
}

static void shows(const char *name, const char *value)
{
	char path[128], buf[128];

	snprintf(path, sizeof(path), "/proc/sys/%s", name);
	read_file(path, buf, sizeof(buf));
	CHECK_STR(buf, value);
}

TEST(message_limits)
{
	struct {
		long type;
		char text[64];
	} m = { 1, "" };
	int id;

	own_namespace(CLONE_NEWIPC);
	set("kernel/msgmax", "32");
	set("kernel/msgmnb", "48");
	set("kernel/msgmni", "1");
	shows("kernel/msgmax", "32\n");
	id = OK(msgget(IPC_PRIVATE, 0600));
	CHECK_ERRNO(msgget(IPC_PRIVATE, 0600), ENOSPC);
	CHECK_ERRNO(msgsnd(id, &m, 33, IPC_NOWAIT), EINVAL);
	OK(msgsnd(id, &m, 32, IPC_NOWAIT));
	CHECK_ERRNO(msgsnd(id, &m, 32, IPC_NOWAIT), EAGAIN);
	OK(msgsnd(id, &m, 16, IPC_NOWAIT));
	refuses("kernel/msgmax", "-1");
	refuses("kernel/msgmax", "many");
}

TEST(semaphore_limits)
{
	struct sembuf ops[3] = { { 0, 1, 0 }, { 0, 1, 0 }, { 0, 1, 0 } };
	struct seminfo info;
	int id;

	own_namespace(CLONE_NEWIPC);
	set("kernel/sem", "4 6 2 2");
	shows("kernel/sem", "4\t6\t2\t2\n");
	CHECK_ERRNO(semget(IPC_PRIVATE, 5, 0600), EINVAL);
	id = OK(semget(IPC_PRIVATE, 4, 0600));
	CHECK_ERRNO(semget(IPC_PRIVATE, 3, 0600), ENOSPC);
	OK(semget(IPC_PRIVATE, 1, 0600));
	CHECK_ERRNO(semget(IPC_PRIVATE, 1, 0600), ENOSPC);
	OK(semop(id, ops, 2));
	CHECK_ERRNO(semop(id, ops, 3), E2BIG);
	OK(semctl(0, 0, IPC_INFO, &info));
	CHECK_EQ(info.semmsl, 4);
	CHECK_EQ(info.semmns, 6);
	CHECK_EQ(info.semopm, 2);
	CHECK_EQ(info.semmni, 2);
	/* Fewer numbers leave the rest. */
	set("kernel/sem", "5");
	shows("kernel/sem", "5\t6\t2\t2\n");
}

TEST(shared_memory_limits)
{
	own_namespace(CLONE_NEWIPC);
	set("kernel/shmmax", "8192");
	set("kernel/shmall", "3");
	set("kernel/shmmni", "2");
	CHECK_ERRNO(shmget(IPC_PRIVATE, 8193, 0600), EINVAL);
	OK(shmget(IPC_PRIVATE, 8192, 0600));
	CHECK_ERRNO(shmget(IPC_PRIVATE, 8192, 0600), ENOSPC);
	OK(shmget(IPC_PRIVATE, 4096, 0600));
	set("kernel/shmall", "100");
	CHECK_ERRNO(shmget(IPC_PRIVATE, 4096, 0600), ENOSPC);
}

TEST(a_new_ipc_namespace_has_the_defaults)
{
	own_namespace(CLONE_NEWIPC);
	set("kernel/msgmax", "32");
	OK(unshare(CLONE_NEWIPC));
	shows("kernel/msgmax", "8192\n");
	shows("kernel/sem", "32000\t1024000000\t500\t32000\n");
	shows("kernel/shmmax", "18446744073692774399\n");
}

static int bound_port(int fd, int port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
	socklen_t len = sizeof(a);

	if (bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0)
		return -1;
	OK(getsockname(fd, (struct sockaddr *)&a, &len));
	return ntohs(a.sin_port);
}

TEST(ports)
{
	int fd, a, b;

	own_namespace(CLONE_NEWNET);
	set("net/ipv4/ip_local_port_range", "40000 40001");
	shows("net/ipv4/ip_local_port_range", "40000\t40001\n");
	refuses("net/ipv4/ip_local_port_range", "40001 40000");
	fd = OK(socket(AF_INET, SOCK_DGRAM, 0));
	a = OK(bound_port(fd, 0));
	fd = OK(socket(AF_INET, SOCK_DGRAM, 0));
	b = OK(bound_port(fd, 0));
	CHECK_EQ(a + b, 80001);
	fd = OK(socket(AF_INET, SOCK_DGRAM, 0));
	CHECK_ERRNO(bound_port(fd, 0), EADDRINUSE);
	set("net/ipv4/ip_unprivileged_port_start", "80");
	become_nobody();
	fd = OK(socket(AF_INET, SOCK_STREAM, 0));
	CHECK_EQ(OK(bound_port(fd, 80)), 80);
	fd = OK(socket(AF_INET, SOCK_STREAM, 0));
	CHECK_ERRNO(bound_port(fd, 79), EACCES);
}
