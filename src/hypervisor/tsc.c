/* SPDX-License-Identifier: Apache-2.0 */
#include "hypervisor/tsc.h"

#include <cpuid.h>
#include <fcntl.h>
#include <linux/perf_event.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include <x86intrin.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/str.h"
#include "hypervisor/kept.h"

#define NSEC	   1000000000u
#define MEASURE_NS 10000000u
#define CHECK_NS   2000000u
#define CHECK_PART 1024u /* of the rate: more than a busy host disturbs the measure */
#define KHZ_MAX	   100000000u
#define KEPT_MAX   128u /* bytes */

/* CPUID 8000_0007h, EDX bit 8: invariant in all states of power. */
static bool is_constant(void)
{
	unsigned int a, b, c, d;

	return __get_cpuid(0x80000007, &a, &b, &c, &d) && d & 1u << 8;
}

/*
 * The first event of a host waits for a grace period of its kernel, 5 ms and more.
 *
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

/* By what has passed since `begin`, of which `least_ns` are waited for. */
static uint64_t measure(const struct tsc_reading *begin, uint64_t least_ns)
{
	const uint64_t gone_ns = now_ns() - begin->ns;
	struct tsc_reading end;

	if (gone_ns < least_ns)
		(void)nanosleep(&(struct timespec){ .tv_nsec = (long)(least_ns - gone_ns) }, NULL);
	hypervisor_tsc_begin(&end);
	return end.ns > begin->ns ? (end.ticks - begin->ticks) * 1000000u / (end.ns - begin->ns)
				  : 0;
}

/* ---- What is kept: "BOOT_ID KHZ" ---- */

const char *hypervisor_tsc_memory(char path[static PATH_MAX])
{
	return kept_path("caisson-tsc", path);
}

/*
 * Whoever moves a host that is a machine itself to another one may change the rate: it is what it
 * was if a short measure says so, as exactly as that can.
 */
static uint64_t recall(const char *memory, const struct tsc_reading *begin)
{
	AUTO_BUF struct buf text = { .max = KEPT_MAX };
	AUTO_BUF struct buf boot = { .max = KEPT_MAX };
	uint64_t khz, now;

	if (kept_append_boot(&boot) < 0 || kept_read(memory, &text) < 0 ||
	    text.len <= boot.len + 1 || memcmp(text.data, boot.data, boot.len) != 0 ||
	    text.data[boot.len] != ' ')
		return 0;
	text.data[text.len - 1] = '\0';
	if (str_to_u64(text.data + boot.len + 1, KHZ_MAX, &khz) < 0)
		return 0;
	now = measure(begin, CHECK_NS);
	return now > khz - khz / CHECK_PART && now < khz + khz / CHECK_PART ? khz : 0;
}

/* In one piece, over what there is: who is killed leaves no file of another name. */
static void keep(const char *memory, uint64_t khz)
{
	AUTO_BUF struct buf text = { .max = KEPT_MAX };
	AUTO_CLOSE int fd = -EBADF;

	if (!khz || kept_append_boot(&text) < 0 ||
	    buf_printf(&text, " %09ju\n", (uintmax_t)khz) < 0)
		return;
	fd = kept_open(memory, O_WRONLY | O_CREAT);
	if (fd >= 0)
		(void)!pwrite(fd, text.data, text.len, 0);
}

uint64_t hypervisor_tsc_khz(const struct tsc_reading *begin, const char *memory)
{
	uint64_t khz;

	if (!is_constant())
		return 0;
	khz = memory ? recall(memory, begin) : 0;
	if (khz)
		return khz;
	khz = ask_kernel();
	if (!khz)
		khz = measure(begin, MEASURE_NS);
	if (memory)
		keep(memory, khz);
	return khz;
}
