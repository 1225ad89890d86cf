/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Exhaustion of everything that is counted: a child takes of one kind until it is refused, or has
 * had more than anybody needs, and ends. Whoever comes after must find everything as before.
 */
#include "guest.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/msg.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

static int take_file(unsigned int i)
{
	return open("/proc/self/status", O_RDONLY);
}

static int take_pipe(unsigned int i)
{
	int p[2];

	return pipe(p);
}

/* With something in it that takes memory. */
static int take_full_pipe(unsigned int i)
{
	static char bytes[65536];
	int p[2];

	if (pipe2(p, O_NONBLOCK) < 0)
		return -1;
	return (int)write(p[1], bytes, sizeof(bytes));
}

static int take_socket(unsigned int i)
{
	return socket(i % 2 ? AF_INET : AF_INET6, SOCK_STREAM, 0);
}

static int take_full_socket(unsigned int i)
{
	static char bytes[32768];
	int p[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, p) < 0)
		return -1;
	while (write(p[0], bytes, sizeof(bytes)) > 0)
		;
	return 0;
}

/* Each carries the one before: what is in flight must be found and freed. */
static int take_flight(unsigned int i)
{
	static int before = -1;
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(2 * sizeof(int))];
	} control = { .header = { .cmsg_len = CMSG_LEN(2 * sizeof(int)),
				  .cmsg_level = SOL_SOCKET,
				  .cmsg_type = SCM_RIGHTS } };
	static char x;
	struct iovec byte = { &x, 1 };
	struct msghdr msg = { .msg_iov = &byte,
			      .msg_iovlen = 1,
			      .msg_control = &control,
			      .msg_controllen = sizeof(control) };
	int p[2], fds[2], r;

	if (socketpair(AF_UNIX, SOCK_DGRAM, 0, p) < 0)
		return -1;
	fds[0] = p[0]; /* itself as well: a cycle */
	fds[1] = before >= 0 ? before : p[1];
	memcpy(CMSG_DATA(&control.header), fds, sizeof(fds));
	r = (int)sendmsg(p[0], &msg, MSG_DONTWAIT);
	if (before >= 0)
		(void)close(before);
	(void)close(p[0]);
	before = p[1];
	return r;
}

static int take_eventfd(unsigned int i)
{
	return (int)syscall(SYS_eventfd2, 0, 0);
}

static int take_timer(unsigned int i)
{
	timer_t t;
	struct sigevent none = { .sigev_notify = SIGEV_NONE };

	return timer_create(CLOCK_MONOTONIC, &none, &t);
}

static int take_timerfd(unsigned int i)
{
	const long soon[4] = { 0, 1000000, 0, 1000000 };
	const int fd = (int)syscall(SYS_timerfd_create, CLOCK_MONOTONIC, 0);

	return fd < 0 ? fd : (int)syscall(SYS_timerfd_settime, fd, 0, soon, NULL);
}

static int take_inotify(unsigned int i)
{
	return (int)syscall(SYS_inotify_init1, 0);
}

static int take_watch(unsigned int i)
{
	static int fd = -1;
	char path[32];

	if (fd < 0)
		fd = (int)syscall(SYS_inotify_init1, 0);
	(void)snprintf(path, sizeof(path), "w%u", i);
	if (mknod(path, S_IFREG | 0600, 0) < 0 && errno != EEXIST)
		return -1;
	return (int)syscall(SYS_inotify_add_watch, fd, path, 0xfff);
}

static int take_queue(unsigned int i)
{
	char name[32];

	(void)snprintf(name, sizeof(name), "q%u", i);
	return (int)syscall(SYS_mq_open, name, O_CREAT | O_RDWR, 0600, NULL);
}

static int take_shm(unsigned int i)
{
	return shmget(IPC_PRIVATE, 4096, IPC_CREAT | 0600);
}

static int take_sem(unsigned int i)
{
	return semget(IPC_PRIVATE, 100, IPC_CREAT | 0600);
}

static int take_msg(unsigned int i)
{
	struct {
		long type;
		char text[4096];
	} m = { .type = 1 };
	const int id = msgget(IPC_PRIVATE, IPC_CREAT | 0600);

	return id < 0 ? id : msgsnd(id, &m, sizeof(m.text), IPC_NOWAIT);
}

/* Chains of epolls, and wide ones. */
static int take_epoll(unsigned int i)
{
	static int last = -1;
	struct epoll_event e = { .events = EPOLLIN };
	const int fd = epoll_create1(0);

	if (fd < 0)
		return fd;
	if (last >= 0 && i % 4 && epoll_ctl(fd, EPOLL_CTL_ADD, last, &e) < 0 && errno != ELOOP &&
	    errno != EINVAL)
		return -1;
	last = fd;
	return 0;
}

static int take_mount(unsigned int i)
{
	char path[32];

	(void)snprintf(path, sizeof(path), "m%u", i);
	if (mkdir(path, 0700) < 0)
		return -1;
	return mount("none", path, "tmpfs", 0, NULL);
}

static int take_name(unsigned int i)
{
	char path[256];

	memset(path, 'n', sizeof(path));
	(void)snprintf(path + 200, 32, "%u", i);
	return mknod(path, S_IFREG | 0600, 0);
}

static int take_area(unsigned int i)
{
	static char *at;

	if (!at)
		at = mmap(NULL, 4096ul * 200000, PROT_READ,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	return at == MAP_FAILED ? -1 : mprotect(at + 8192ul * i, 4096, PROT_NONE);
}

static int take_lock(unsigned int i)
{
	static int fd = -1;
	const struct flock lock = { .l_type = F_WRLCK, .l_start = 2 * i, .l_len = 1 };

	if (fd < 0)
		fd = open("locked", O_RDWR | O_CREAT, 0600);
	return fcntl(fd, F_SETLK, &lock);
}

static int take_signal(unsigned int i)
{
	const union sigval value = { .sival_int = (int)i };
	sigset_t all;

	(void)sigfillset(&all);
	(void)sigprocmask(SIG_SETMASK, &all, NULL);
	return sigqueue(getpid(), SIGRTMIN + (int)(i % 8), value);
}

static int take_process(unsigned int i)
{
	const pid_t parent = getpid(), pid = fork();

	if (pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		while (getppid() == parent)
			(void)pause();
		_exit(0);
	}
	return pid < 0 ? -1 : 0;
}

static void *rest(void *arg)
{
	for (;;)
		(void)pause();
	return arg;
}

static int take_thread(unsigned int i)
{
	pthread_attr_t attr;
	pthread_t t;

	(void)pthread_attr_init(&attr);
	(void)pthread_attr_setstacksize(&attr, 16384);
	errno = pthread_create(&t, &attr, rest, NULL);
	return errno ? -1 : 0;
}

static int take_pty(unsigned int i)
{
	return open("/dev/ptmx", O_RDWR | O_NOCTTY);
}

static int take_memfd(unsigned int i)
{
	const int fd = (int)syscall(SYS_memfd_create, "m", 0);

	return fd < 0 || ftruncate(fd, 1 << 20) < 0 ? -1 : (int)write(fd, "x", 1);
}

static int take_xattr(unsigned int i)
{
	static char value[1000];
	char name[32];

	(void)close(open("attributes", O_RDWR | O_CREAT, 0600));
	(void)snprintf(name, sizeof(name), "user.a%u", i);
	return setxattr("attributes", name, value, sizeof(value), 0);
}

static int take_filter(unsigned int i)
{
	static struct sock_filter code[1000];
	const struct sock_fprog program = { 1000, code };

	for (unsigned int k = 0; k < 1000; k++)
		code[k] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	(void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program);
}

static int take_namespace(unsigned int i)
{
	static const int kinds[] = { 0x04000000, 0x08000000, 0x40000000, 0x00020000 };

	return (int)syscall(SYS_unshare, kinds[i % 4]);
}

static int take_file_bytes(unsigned int i)
{
	static char bytes[1 << 20];
	static int fd = -1;

	if (fd < 0)
		fd = open("/dev/shm/big", O_RDWR | O_CREAT, 0600);
	return (int)write(fd, bytes, sizeof(bytes));
}

static const struct {
	const char *name;
	int (*take)(unsigned int i);
	unsigned int enough;
} kinds[] = {
	{ "file", take_file, 70000 },
	{ "pipe", take_pipe, 40000 },
	{ "full-pipe", take_full_pipe, 2000 },
	{ "socket", take_socket, 70000 },
	{ "full-socket", take_full_socket, 500 },
	{ "flight", take_flight, 20000 },
	{ "eventfd", take_eventfd, 70000 },
	{ "timer", take_timer, 70000 },
	{ "timerfd", take_timerfd, 20000 },
	{ "inotify", take_inotify, 5000 },
	{ "watch", take_watch, 10000 },
	{ "queue", take_queue, 1000 },
	{ "shm", take_shm, 40000 },
	{ "sem", take_sem, 40000 },
	{ "msg", take_msg, 10000 },
	{ "epoll", take_epoll, 20000 },
	{ "mount", take_mount, 2000 },
	{ "name", take_name, 20000 },
	{ "area", take_area, 70000 },
	{ "lock", take_lock, 10000 },
	{ "signal", take_signal, 100000 },
	{ "process", take_process, 5000 },
	{ "thread", take_thread, 5000 },
	{ "pty", take_pty, 5000 },
	{ "memfd", take_memfd, 20000 },
	{ "xattr", take_xattr, 5000 },
	{ "filter", take_filter, 500 },
	{ "namespace", take_namespace, 2000 },
	{ "file-bytes", take_file_bytes, 200 },
};

/* IPC objects outlive who made them. */
static void forget_ipc(void)
{
	struct shmid_ds shm;
	struct semid_ds sem;
	struct msqid_ds msg;

	for (int i = 0; i < 32768; i++) {
		(void)shmctl(shmctl(i, SHM_STAT, &shm), IPC_RMID, NULL);
		(void)semctl(semctl(i, 0, SEM_STAT, &sem), 0, IPC_RMID);
		(void)msgctl(msgctl(i, MSG_STAT, &msg), IPC_RMID, NULL);
	}
}

static _Noreturn void take_all(int (*take)(unsigned int i), unsigned int enough)
{
	struct rlimit files;
	unsigned int n = 0;
	int code = 0;

	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &files);
	}
	(void)signal(SIGPIPE, SIG_IGN);
	while (n < enough && code == 0) {
		if (take(n) < 0)
			code = errno;
		else
			n++;
	}
	(void)dprintf(STDOUT_FILENO, "%u %s\n", n, code ? strerrorname_np(code) : "enough");
	forget_ipc();
	_exit(0);
}

/* Memory files that are mapped are files of the host. It keeps them. */
int guest_hoard(int argc, char **argv)
{
	struct rlimit files;
	char *page = NULL;

	if (getrlimit(RLIMIT_NOFILE, &files) < 0)
		return 3;
	files.rlim_cur = files.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &files);
	while (page != MAP_FAILED) {
		const int fd = memfd_create("hoard", 0);

		if (fd < 0 || ftruncate(fd, 4096) < 0)
			break;
		page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	}
	(void)dprintf(STDOUT_FILENO, "full\n");
	for (;;)
		(void)pause();
}

int guest_exhaust(int argc, char **argv)
{
	int status;
	char room[] = "/tmp/roomXXXXXX";

	for (size_t i = 0; argc > 1 && i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (strcmp(argv[1], kinds[i].name) != 0)
			continue;
		if (!mkdtemp(room) || chdir(room) < 0)
			return 3;
		if (fork() == 0)
			take_all(kinds[i].take, kinds[i].enough);
		while (wait(&status) > 0)
			;
		return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	}
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		(void)printf("%s\n", kinds[i].name);
	return 0;
}
