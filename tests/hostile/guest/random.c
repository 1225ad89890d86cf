/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random calls with random arguments from many threads. A table says what kind each argument is, so
 * that calls come past their first checks; one argument in eight is of any kind. Workers live for a
 * slice and are then killed with all that they have made: whatever they did, that must work.
 */
#include "guest.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#define CALLS 512

/* The kinds of the arguments of each call. */
#define SYSCALL(nr, name, status, args, note) [nr] = args,
#define REFUSED(nr, name, error, note)	      [nr] = "",
static const char *const calls[CALLS] = {
#include "sentry/syscall/syscalls.def"
};

#define ARENA	  0x20000000ul
#define ARENA_LEN 0x40000ul    /* then comes a page that nobody may touch */
#define PLAY	  0x28000000ul /* where random mappings go */
#define PLAY_LEN  0x1000000ul
#define SLICE_NS  1500000000ull
#define REAP_NS	  60000000000ull
#define THREADS	  32
#define FDS	  48

static const char *const paths[] = {
	"a",
	"b",
	"c",
	"d/e",
	"d",
	"d/../a",
	"link",
	"loop",
	"fifo",
	"sock",
	".",
	"..",
	"",
	"/",
	"/tmp",
	"/proc/self/status",
	"/proc/self/mem",
	"/proc/self/fd/3",
	"/proc/self/maps",
	"/proc/self/fd",
	"/proc/1/status",
	"/proc/sys/kernel/hostname",
	"/proc/net/tcp",
	"/proc/mounts",
	"/dev/null",
	"/dev/zero",
	"/dev/full",
	"/dev/urandom",
	"/dev/ptmx",
	"/dev/tty",
	"/dev/pts/0",
	"/dev/shm/x",
	"/dev/mqueue/q",
	"/sys/kernel",
	"/etc/passwd",
	"/proc/self/oom_score_adj",
	"/proc/self/ns/mnt",
	"/proc/self/task",
	"user.x",
	"proc",
	"tmpfs",
	"overlay",
	"q",
	"nothing/at/all",
	"/proc/self/exe",
	"/proc/self/cwd/a",
	"/proc/self/root/tmp/a",
	"/bin/true",
};

static const uint64_t numbers[] = {
	0,
	1,
	2,
	3,
	4,
	5,
	7,
	8,
	15,
	16,
	31,
	32,
	63,
	64,
	100,
	127,
	128,
	255,
	256,
	511,
	512,
	1000,
	1023,
	1024,
	2048,
	4095,
	4096,
	4097,
	8192,
	16384,
	32767,
	32768,
	65535,
	65536,
	0x20000,
	0x40000,
	0x80000,
	0x100000,
	0x800000,
	0x1000000,
	0x8000000,
	0x10000000,
	0x20000000,
	0x40000000,
	0x7ffff000,
	0x7fffffff,
	0x80000000,
	0xfffffffe,
	0xffffffff,
	0x100000000,
	0x7fffffffffffffff,
	0x8000000000000000,
	0xfffffffffffff000,
	0xfffffffffffffffe,
	0xffffffffffffffff,
};

static uint64_t rand_number(uint64_t *r)
{
	const uint64_t how = guest_rand(r);

	if (how % 3 == 0)
		return how >> 8 & 0xff;
	if (how % 3 == 1)
		return numbers[(how >> 8) % (sizeof(numbers) / sizeof(numbers[0]))];
	return guest_rand(r) >> (how >> 8) % 64;
}

static uint64_t rand_flags(uint64_t *r)
{
	uint64_t flags = 0;

	for (uint64_t n = guest_rand(r) % 4; n > 0; n--)
		flags |= 1ull << guest_rand(r) % 32;
	return flags;
}

static uint64_t rand_pointer(uint64_t *r)
{
	const uint64_t how = guest_rand(r), at = how >> 16;

	switch (how % 16) {
	case 0:
		return 0;
	case 1:
		return ARENA + ARENA_LEN - at % 64; /* runs into the hole */
	case 2:
		return PLAY + at % PLAY_LEN;
	case 3:
		return at % 2 ? 0xffff888000000000 + at % 4096 : 0x7f8004000000 + at % 0x10000;
	default:
		return ARENA + at % (ARENA_LEN / 8) * 8;
	}
}

static uint64_t rand_path(uint64_t *r)
{
	char *at = (char *)(ARENA + guest_rand(r) % 64 * 256);
	const char *path = paths[guest_rand(r) % (sizeof(paths) / sizeof(paths[0]))];

	if (guest_rand(r) % 16 == 0)
		return rand_pointer(r);
	/* Lossy when the page was taken away meanwhile: then the call sees what is there. */
	(void)strcpy(at, path);
	return (uint64_t)at;
}

static uint64_t rand_pid(uint64_t *r)
{
	switch (guest_rand(r) % 8) {
	case 0:
		return 0;
	case 1:
		return rand_number(r);
	case 2:
		return guest_rand(r) % 64;
	case 3:
		return (uint64_t)syscall(SYS_gettid);
	default:
		return (uint64_t)getpid();
	}
}

static uint64_t rand_size(uint64_t *r)
{
	return guest_rand(r) % 8 ? guest_rand(r) % 4097 : rand_number(r);
}

/* A time that is soon, so that most threads come back: the address of a timespec. */
static uint64_t rand_time(uint64_t *r)
{
	struct timespec *t = (struct timespec *)(ARENA + 0x8000 + guest_rand(r) % 32 * 64);

	if (guest_rand(r) % 16 == 0)
		return rand_pointer(r);
	t[0].tv_sec = t[1].tv_sec = 0;
	t[0].tv_nsec = t[1].tv_nsec = (long)(guest_rand(r) % 2000000);
	t[2] = t[3] = t[0];
	return (uint64_t)t;
}

static uint64_t rand_vector(uint64_t *r)
{
	struct iovec *v = (struct iovec *)(ARENA + 0xa000 + guest_rand(r) % 16 * 256);

	for (unsigned int i = 0; i < 8; i++)
		v[i] = (struct iovec){ (void *)rand_pointer(r), rand_size(r) };
	return (uint64_t)v;
}

static uint64_t rand_fd(uint64_t *r)
{
	switch (guest_rand(r) % 12) {
	case 0:
		return (uint64_t)AT_FDCWD;
	case 1:
		return rand_number(r);
	default:
		return 3 + guest_rand(r) % FDS;
	}
}

static uint64_t rand_signal(uint64_t *r)
{
	return guest_rand(r) % 66;
}

static uint64_t rand_play(uint64_t *r)
{
	return PLAY + guest_rand(r) % (PLAY_LEN / 4096) * 4096;
}

static uint64_t rand_small(uint64_t *r)
{
	return guest_rand(r) % 4 ? guest_rand(r) % 16 : rand_number(r);
}

/* Times, vectors, addresses and numbers: what a structure may be. */
static uint64_t rand_structure(uint64_t *r)
{
	struct sockaddr *name = (struct sockaddr *)(ARENA + 0xc000 + guest_rand(r) % 16 * 128);
	uint32_t *words = (uint32_t *)(ARENA + 0xd000 + guest_rand(r) % 64 * 64);

	switch (guest_rand(r) % 8) {
	case 0:
		return rand_time(r);
	case 1:
		return rand_vector(r);
	case 2:
		memset(name, 0, 128);
		name->sa_family = (sa_family_t[]){ AF_UNIX, AF_INET, AF_INET6,
						   AF_NETLINK }[guest_rand(r) % 4];
		memcpy(name->sa_data, guest_rand(r) % 2 ? "sock" : "\0\x50\x7f\0\0\1", 6);
		return (uint64_t)name;
	case 3:
	case 4:
		for (unsigned int i = 0; i < 16; i++)
			words[i] = (uint32_t)(guest_rand(r) % 2 ? rand_fd(r) : rand_number(r));
		return (uint64_t)words;
	default:
		return rand_pointer(r);
	}
}

/* One of the words that end at a comma or colon: kinds of syscalls.def. */
static uint64_t rand_of_kind(uint64_t *r, const char *kind)
{
	static const struct {
		const char *name;
		uint64_t (*make)(uint64_t *r);
	} makers[] = {
		{ "fd", rand_fd },	{ "dirfd", rand_fd },	 { "path", rand_path },
		{ "str", rand_path },	{ "buf", rand_pointer }, { "ptr", rand_structure },
		{ "size", rand_size },	{ "flags", rand_flags }, { "mode", rand_number },
		{ "oct", rand_number }, { "sig", rand_signal },	 { "pid", rand_pid },
		{ "addr", rand_play },	{ "iov", rand_vector },
	};
	const size_t len = strcspn(kind, ",:");

	for (size_t i = 0; i < sizeof(makers) / sizeof(makers[0]); i++) {
		if (strlen(makers[i].name) == len && memcmp(makers[i].name, kind, len) == 0)
			return makers[i].make(r);
	}
	return rand_small(r);
}

static uint64_t rand_argument(uint64_t *r, const char *kind)
{
	static const char *const kinds[] = { "fd",  "path", "ptr", "size", "flags", "sig",
					     "pid", "addr", "iov", "int",  "u64" };

	if (!kind || guest_rand(r) % 8 == 0)
		kind = kinds[guest_rand(r) % (sizeof(kinds) / sizeof(kinds[0]))];
	return guest_rand(r) % 32 ? rand_of_kind(r, kind) : rand_number(r);
}

/* Some would only end the fun early or fill the table of tasks: they come seldom. */
static bool is_seldom(uint64_t nr)
{
	return nr == SYS_fork || nr == SYS_vfork || nr == SYS_clone || nr == SYS_clone3 ||
	       nr == SYS_exit || nr == SYS_exit_group || nr == SYS_execve || nr == SYS_execveat ||
	       nr == SYS_pause || nr == SYS_rt_sigreturn || nr == SYS_kill || nr == SYS_munmap;
}

static void rand_call(uint64_t *r)
{
	uint64_t nr = guest_rand(r) % CALLS, a[6];
	const char *kind = calls[nr];

	if (guest_rand(r) % 256 == 0)
		nr = rand_number(r);
	if ((nr < CALLS && !kind) || (is_seldom(nr) && guest_rand(r) % 32))
		return;
	for (unsigned int i = 0; i < 6; i++) {
		a[i] = rand_argument(r, kind && *kind ? kind : NULL);
		kind = kind ? strchr(kind, ',') : NULL;
		kind = kind ? kind + 1 : NULL;
	}
	/* A limit of CPU time would rightly be the end of pid 1, which is of the same user. */
	if (nr == SYS_prlimit64 && (uint32_t)a[0] == 1)
		a[0] = 0;
	(void)syscall((long)nr, a[0], a[1], a[2], a[3], a[4], a[5]);
}

static __thread sigjmp_buf again;

static void on_fault(int sig)
{
	(void)sig;
	siglongjmp(again, 1);
}

static void *worker_thread(void *arg)
{
	static __thread uint64_t r;

	r = (uint64_t)(uintptr_t)arg * 0x9e3779b97f4a7c15 | 1;
	(void)sigsetjmp(again, 1);
	for (uint64_t i = 0;; i++) {
		if (i % 64 == 0) {
			uint64_t *words =
				(uint64_t *)(ARENA + 0x4000 + guest_rand(&r) % 0x3000 / 8 * 8);

			for (unsigned int k = 0; k < 64; k++)
				words[k] = guest_rand(&r) % 2 ? rand_number(&r) : rand_pointer(&r);
		}
		rand_call(&r);
	}
	return NULL;
}

static void on_alarm(int sig)
{
	(void)sig;
}

/* Descriptors of many kinds at the numbers that the calls use. */
static void open_things(void)
{
	int p[2];

	(void)mkdir("d", 0777);
	(void)symlink("a", "link");
	(void)symlink("loop", "loop");
	(void)mknod("fifo", S_IFIFO | 0666, 0);
	(void)open("a", O_RDWR | O_CREAT, 0666);
	(void)open(".", O_RDONLY | O_DIRECTORY);
	(void)open("a", O_PATH);
	(void)!pipe(p);
	(void)socketpair(AF_UNIX, SOCK_STREAM, 0, p);
	(void)socketpair(AF_UNIX, SOCK_DGRAM, 0, p);
	(void)socketpair(AF_UNIX, SOCK_SEQPACKET, 0, p);
	(void)socket(AF_INET, SOCK_STREAM, 0);
	(void)socket(AF_INET, SOCK_DGRAM, 0);
	(void)socket(AF_INET6, SOCK_STREAM, 0);
	(void)socket(AF_NETLINK, SOCK_RAW, 0);
	(void)syscall(SYS_eventfd2, 0, 0);
	(void)syscall(SYS_epoll_create1, 0);
	(void)syscall(SYS_timerfd_create, 1, 0);
	(void)syscall(SYS_inotify_init1, 0);
	(void)syscall(SYS_memfd_create, "m", 2);
	(void)syscall(SYS_pidfd_open, getpid(), 0);
	(void)open("/dev/ptmx", O_RDWR | O_NOCTTY);
	(void)open("/proc/self/mem", O_RDWR);
	(void)open("/proc/self/status", O_RDONLY);
	(void)open("/dev/zero", O_RDWR);
}

static _Noreturn void worker(uint64_t seed, unsigned int threads, int null)
{
	const struct itimerval tick = { { 0, 30000 }, { 0, 30000 } };
	static const int faults[] = { SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP, SIGSYS };
	struct sigaction act = { .sa_handler = on_alarm };
	const struct rlimit small = { 4 << 20, 4 << 20 };

	(void)prctl(PR_SET_DUMPABLE, 1);
	for (int i = 0; i < 3; i++)
		(void)dup2(null, i);
	(void)setrlimit(RLIMIT_FSIZE, &small);
	if (mmap((void *)ARENA, ARENA_LEN, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED)
		_exit(9);
	open_things();
	if (seed % 2 && (setgid(1000) < 0 || setuid(1000) < 0))
		_exit(9);
	for (int sig = 1; sig < 65; sig++)
		(void)sigaction(sig, &act, NULL);
	act.sa_handler = on_fault;
	for (unsigned int i = 0; i < sizeof(faults) / sizeof(faults[0]); i++)
		(void)sigaction(faults[i], &act, NULL);
	(void)setitimer(ITIMER_REAL, &tick, NULL);
	for (unsigned int i = 1; i < threads; i++) {
		pthread_t t;

		(void)pthread_create(&t, NULL, worker_thread, (void *)(uintptr_t)(seed * 64 + i));
	}
	worker_thread((void *)(uintptr_t)(seed * 64));
	_exit(0);
}

/* Everything but pid 1 goes and is reaped, or the kernel has lost something. */
static int end_all(uint64_t *deaths)
{
	const uint64_t until = guest_now_ns() + REAP_NS;

	while (guest_now_ns() < until) {
		const pid_t pid = waitpid(-1, NULL, WNOHANG | __WALL);

		if (pid < 0)
			return 0;
		if (pid > 0) {
			(*deaths)++;
			continue;
		}
		(void)kill(-1, SIGKILL);
		(void)usleep(1000);
	}
	return -1;
}

int guest_random(int argc, char **argv)
{
	const uint64_t seconds = argc > 1 ? strtoull(argv[1], NULL, 0) : 10;
	uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 0) : 1, deaths = 0, slices = 0;
	const unsigned int threads =
		argc > 3 ? (unsigned int)strtoul(argv[3], NULL, 0) % THREADS : 8;
	const uint64_t until = guest_now_ns() + seconds * 1000000000;

	const int null = open("/dev/null", O_RDWR); /* a worker may take its name away */

	if (getpid() != 1 || null < 0)
		return 2;
	(void)prctl(PR_SET_DUMPABLE, 0); /* no worker may write pid 1's memory */
	(void)mkdir("/tmp/play", 0777);
	(void)chmod("/tmp/play", 0777);
	if (chdir("/tmp/play") < 0)
		return 3;
	for (; guest_now_ns() < until; seed++, slices++) {
		const uint64_t end = guest_now_ns() + SLICE_NS;

		(void)dprintf(STDOUT_FILENO, "seed %llu\n", (unsigned long long)seed);
		while (guest_now_ns() < end) {
			if (waitpid(-1, NULL, WNOHANG | __WALL) < 0) {
				const pid_t pid = fork();

				if (pid == 0)
					worker(seed, threads, null);
				if (pid < 0) {
					(void)dprintf(STDOUT_FILENO, "fork: %s\n",
						      strerrorname_np(errno));
					return 4;
				}
				deaths++;
				seed += 1000003;
			}
			(void)usleep(5000);
		}
		if (end_all(&deaths) < 0) {
			(void)dprintf(STDOUT_FILENO, "not reaped\n");
			return 5;
		}
	}
	(void)dprintf(STDOUT_FILENO, "slices %llu workers %llu\n", (unsigned long long)slices,
		      (unsigned long long)deaths);
	return 0;
}
