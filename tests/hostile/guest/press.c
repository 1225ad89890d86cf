/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Loops that are costly for the host, and the pulse of a neighbour that must not feel them.
 */
#include "guest.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define DOORBELL 16
#define AREAS	 60000ul
#define THREADS	 8
#define PULSES	 2000000

static uint64_t end_ns;

static void *split_areas(void *arg)
{
	char *at = arg;

	for (unsigned long i = 0; guest_now_ns() < end_ns; i = (i + 1) % (AREAS / 2))
		(void)mprotect(at + 8192 * i, 4096, i % 3 ? PROT_READ : PROT_NONE);
	return NULL;
}

static int press_areas(void)
{
	pthread_t t[THREADS];
	char *at = mmap(NULL, 4096 * AREAS, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (at == MAP_FAILED)
		return 3;
	for (unsigned int i = 0; i < THREADS; i++)
		(void)pthread_create(&t[i], NULL, split_areas, at);
	for (unsigned int i = 0; i < THREADS; i++)
		(void)pthread_join(t[i], NULL);
	return 0;
}

/* Touches and drops memory at the limit of its cgroup, whoever is killed for it. */
static int press_memory(void)
{
	while (guest_now_ns() < end_ns) {
		if (fork() == 0) {
			for (;;) {
				char *at = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE,
						MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

				if (at == MAP_FAILED || guest_now_ns() > end_ns)
					_exit(0);
				memset(at, 1, 1 << 20);
			}
		}
		(void)wait(NULL);
	}
	return 0;
}

static uint64_t a_call(void)
{
	const volatile uint8_t *text = (const uint8_t *)guest_stub_text();

	for (unsigned int i = 0; i + 1 < GUEST_STUB_TEXT_LEN; i++) {
		if (text[i] == 0x0f && text[i + 1] == 0x05)
			return guest_stub_text() + i;
	}
	return 0;
}

/* Straight into the host, from the stub's text: what comes back returns to who knows where. */
static void call_host(uint64_t at, uint64_t nr, uint64_t a, uint64_t b, uint64_t c)
{
	__asm__ volatile("jmp *%0" : : "r"(at), "a"(nr), "D"(a), "S"(b), "d"(c) : "memory");
}

/* Calls that nobody granted: each costs its process its life. */
static int press_flood(void)
{
	const uint64_t at = a_call();

	while (at && guest_now_ns() < end_ns) {
		if (fork() == 0)
			call_host(at, SYS_munmap, 0x10000, 4096, 0);
		(void)wait(NULL);
	}
	return at ? 0 : 3;
}

/* The doorbell filled to its brim, again and again. */
static int press_doorbell(void)
{
	static const uint64_t brim = UINT64_MAX - 2;
	const uint64_t at = a_call();

	while (at && guest_now_ns() < end_ns) {
		if (fork() == 0)
			call_host(at, SYS_write, DOORBELL, (uint64_t)&brim, 8);
		(void)wait(NULL);
	}
	return at ? 0 : 3;
}

int guest_press(int argc, char **argv)
{
	static const struct {
		const char *name;
		int (*fn)(void);
	} kinds[] = {
		{ "areas", press_areas },
		{ "memory", press_memory },
		{ "flood", press_flood },
		{ "doorbell", press_doorbell },
	};

	for (size_t i = 0; argc > 2 && i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (strcmp(argv[1], kinds[i].name) != 0)
			continue;
		end_ns = guest_now_ns() + strtoull(argv[2], NULL, 0) * 1000000000;
		return kinds[i].fn();
	}
	return 64;
}

static int compare(const void *a, const void *b)
{
	const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

/* Prints how long a call takes that must reach the kernel: median, p99, greatest, in ns. */
int guest_pulse(int argc, char **argv)
{
	static uint32_t took[PULSES];
	const uint64_t end =
		guest_now_ns() + strtoull(argc > 1 ? argv[1] : "1", NULL, 0) * 1000000000;
	size_t n = 0;

	while (n < PULSES && guest_now_ns() < end) {
		const uint64_t began = guest_now_ns();

		(void)syscall(SYS_getpriority, 0, 0);
		took[n++] = (uint32_t)(guest_now_ns() - began);
		if (n % 64 == 0)
			(void)usleep(100);
	}
	qsort(took, n, sizeof(took[0]), compare);
	(void)printf("%u %u %u\n", took[n / 2], took[n - 1 - n / 100], took[n - 1]);
	return n == 0;
}

static sigjmp_buf again;

static void on_bus(int sig)
{
	(void)sig;
	siglongjmp(again, 1);
}

/* Through mappings of a file that the host cuts and grows: SIGBUS and EFAULT are ours alone. */
int guest_mapped(int argc, char **argv)
{
	struct sigaction act = { .sa_handler = on_bus, .sa_flags = SA_NODEFER };
	static volatile unsigned long buses, faults, rounds;
	static volatile uint64_t end, sum;
	static char *at[2];
	char *const none[] = { NULL };
	const int fd = open(argc > 1 ? argv[1] : "", O_RDWR);
	const int null = open("/dev/null", O_WRONLY);
	int p[2];

	end = guest_now_ns() + strtoull(argc > 2 ? argv[2] : "1", NULL, 0) * 1000000000;
	at[0] = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	at[1] = mmap(NULL, 65536, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0);
	if (fd < 0 || null < 0 || pipe2(p, O_NONBLOCK) < 0 || at[0] == MAP_FAILED ||
	    at[1] == MAP_FAILED)
		return 3;
	(void)sigaction(SIGBUS, &act, NULL);
	if (sigsetjmp(again, 1))
		buses++;
	while (guest_now_ns() < end) {
		char byte[16];

		rounds++;
		faults += write(p[1], at[rounds % 2] + 61440, 4096) < 0 && errno == EFAULT;
		while (read(p[0], at[0] + 61440, 4096) > 0)
			;
		faults += pread(fd, at[0] + 32768, 4096, 0) < 0 && errno == EFAULT;
		(void)read(p[0], byte, sizeof(byte));
		if (rounds % 64 == 0 && vfork() == 0) {
			(void)execve(argv[1], none, none);
			_exit(0);
		}
		(void)waitpid(-1, NULL, WNOHANG);
		sum += (uint64_t)at[0][40000] + (uint64_t)at[1][50000];
		at[0][45000] = 1;
	}
	(void)printf("rounds %lu buses %lu faults %lu\n", rounds, buses, faults);
	return 0;
}
