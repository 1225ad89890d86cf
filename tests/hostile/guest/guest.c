/* SPDX-License-Identifier: Apache-2.0 */
/* The program that attacks from inside a sandbox: guest SUB ARGS... (guest.h). */
#include "guest.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define STUB_SLOTS_OFFSET 0x4000000ull

uint64_t guest_rand(uint64_t *state)
{
	uint64_t x = *state;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	*state = x;
	return x * 0x2545f4914f6cdd1d >> 3;
}

/* Its addresses are random; the first thread's base of gs tells them (abi.h). */
uint64_t guest_stub_text(void)
{
	static uint64_t text;

	if (!text) {
		__asm__ volatile("rdgsbase %0" : "=r"(text));
		text -= STUB_SLOTS_OFFSET;
	}
	return text;
}

uint64_t guest_now_ns(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* A first process that takes care of orphans. */
static _Noreturn int guest_init(int argc, char **argv)
{
	(void)signal(SIGCHLD, SIG_IGN);
	for (;;)
		(void)pause();
}

static int guest_nothing(int argc, char **argv)
{
	return 0;
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		int (*fn)(int argc, char **argv);
	} subs[] = {
		{ "bomb", guest_bomb },	      { "deaf", guest_deaf },
		{ "exhaust", guest_exhaust }, { "hoard", guest_hoard },
		{ "init", guest_init },	      { "mapped", guest_mapped },
		{ "nothing", guest_nothing }, { "press", guest_press },
		{ "pulse", guest_pulse },     { "random", guest_random },
		{ "secret", guest_secret },   { "setid", guest_setid },
		{ "slow", guest_slow },	      { "wait", guest_wait },
	};

	for (size_t i = 0; argc > 1 && i < sizeof(subs) / sizeof(subs[0]); i++) {
		if (strcmp(argv[1], subs[i].name) == 0)
			return subs[i].fn(argc - 1, argv + 1);
	}
	(void)fprintf(stderr, "usage: guest SUB ARGS...\n");
	return 64;
}
