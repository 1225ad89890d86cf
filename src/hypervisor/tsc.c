/* SPDX-License-Identifier: Apache-2.0 */
#include "hypervisor/tsc.h"

#include <cpuid.h>
#include <linux/perf_event.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include <x86intrin.h>

#include "base/cleanup.h"

#define NSEC	   1000000000u
#define MEASURE_NS 10000000u

/* CPUID 8000_0007h, EDX bit 8: invariant in all states of power. */
static bool is_constant(void)
{
	unsigned int a, b, c, d;

	return __get_cpuid(0x80000007, &a, &b, &c, &d) && d & 1u << 8;
}

/*
 * The page of any event says how its reader turns the counter into nanoseconds:
 * ns = ticks * time_mult >> time_shift.
 */
static uint64_t ask_kernel(void)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_SOFTWARE,
		.size = sizeof(attr),
		.config = PERF_COUNT_SW_DUMMY,
		.disabled = 1,
		.exclude_kernel = 1,
		.exclude_hv = 1,
	};
	AUTO_CLOSE int fd =
		(int)syscall(SYS_perf_event_open, &attr, 0, -1, -1, PERF_FLAG_FD_CLOEXEC);
	const struct perf_event_mmap_page *page;
	uint64_t khz = 0;

	if (fd < 0)
		return 0;
	page = mmap(NULL, (size_t)sysconf(_SC_PAGESIZE), PROT_READ, MAP_SHARED, fd, 0);
	if (page == MAP_FAILED)
		return 0;
	/* A shift of 32 and more would not leave room for the million. */
	if (page->cap_user_time && page->time_mult && page->time_shift < 40)
		khz = (1000000ull << page->time_shift) / page->time_mult;
	(void)munmap((void *)page, (size_t)sysconf(_SC_PAGESIZE));
	return khz;
}

static uint64_t now_ns(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC_RAW, &ts);
	return (uint64_t)ts.tv_sec * NSEC + (uint64_t)ts.tv_nsec;
}

/* Both are read at once: the tightest of some pairs, as anybody may come between. */
void hypervisor_tsc_begin(struct tsc_reading *ret)
{
	uint64_t best = UINT64_MAX;

	for (int i = 0; i < 8; i++) {
		const uint64_t before = __rdtsc(), ns = now_ns(), after = __rdtsc();

		if (after - before < best) {
			best = after - before;
			*ret = (struct tsc_reading){ before + best / 2, ns };
		}
	}
}

static uint64_t measure(const struct tsc_reading *begin)
{
	const uint64_t gone_ns = now_ns() - begin->ns;
	struct tsc_reading end;

	if (gone_ns < MEASURE_NS)
		(void)nanosleep(&(struct timespec){ .tv_nsec = (long)(MEASURE_NS - gone_ns) },
				NULL);
	hypervisor_tsc_begin(&end);
	return end.ns > begin->ns ? (end.ticks - begin->ticks) * 1000000u / (end.ns - begin->ns)
				  : 0;
}

uint64_t hypervisor_tsc_khz(const struct tsc_reading *begin)
{
	uint64_t khz;

	if (!is_constant())
		return 0;
	khz = ask_kernel();
	return khz ? khz : measure(begin);
}
