/* SPDX-License-Identifier: Apache-2.0 */
/* /proc of the whole system, /sys and sysinfo(2). */
#include <sys/sysinfo.h>

#include "harness.h"

static char text[1 << 18];

static const char *slurp(const char *path)
{
	read_file(path, text, sizeof(text));
	return text;
}

static long long meminfo(const char *key)
{
	char line[64], *p;

	snprintf(line, sizeof(line), "%s:", key);
	p = strstr(slurp("/proc/meminfo"), line);
	if (!p)
		FAIL("no %s in /proc/meminfo", key);
	CHECK(strstr(p, " kB\n"));
	return strtoll(p + strlen(line), NULL, 10);
}

TEST(memory)
{
	long long total = meminfo("MemTotal"), free_ = meminfo("MemFree"),
		  available = meminfo("MemAvailable");

	CHECK(!strncmp(text, "MemTotal:", 9));
	CHECK(total > 1024);
	CHECK(free_ >= 0 && free_ <= total);
	CHECK(available >= 0 && available <= total);
	CHECK(meminfo("SwapTotal") >= meminfo("SwapFree"));
	CHECK(meminfo("Cached") >= 0 && meminfo("Buffers") >= 0);
}

TEST(sysinfo_agrees)
{
	struct sysinfo s;
	long long total = meminfo("MemTotal");
	double up;

	OK(sysinfo(&s));
	CHECK_EQ((long long)s.totalram * s.mem_unit / 1024, total);
	CHECK(s.freeram <= s.totalram);
	CHECK(s.procs >= 1);
	CHECK_EQ(sscanf(slurp("/proc/uptime"), "%lf", &up), 1);
	CHECK(llabs((long long)up - s.uptime) <= 2);
	CHECK_ERRNO(syscall(SYS_sysinfo, BAD_PTR), EFAULT);
}

TEST(uptime_moves)
{
	double a, b, idle;

	CHECK_EQ(sscanf(slurp("/proc/uptime"), "%lf %lf", &a, &idle), 2);
	sleep_ms(60);
	CHECK_EQ(sscanf(slurp("/proc/uptime"), "%lf", &b), 1);
	CHECK(b > a && b < a + 60);
}

TEST(processors)
{
	int listed = 0;

	slurp("/proc/cpuinfo");
	for (char *p = text; (p = strstr(p, "processor\t: ")); p++)
		listed++;
	CHECK(listed >= 1);
	CHECK(strstr(text, "model name\t: "));
	CHECK(strstr(text, "\nflags\t\t: "));
	CHECK(strstr(text, " sse2 ") || strstr(text, " sse2\n"));
	CHECK_EQ(sysconf(_SC_NPROCESSORS_ONLN), listed);
}

TEST(stat_of_the_processors)
{
	unsigned long long user, nice_, system, idle;
	char *p;

	slurp("/proc/stat");
	CHECK_EQ(sscanf(text, "cpu  %llu %llu %llu %llu", &user, &nice_, &system, &idle), 4);
	CHECK(strstr(text, "\ncpu0 "));
	p = strstr(text, "\nbtime ");
	CHECK(p);
	CHECK(llabs(atoll(p + 7) - (long long)time(NULL)) < 20LL * 365 * 86400);
	CHECK(strstr(text, "\nctxt "));
	CHECK(strstr(text, "\nprocesses "));
	CHECK(strstr(text, "\nprocs_running "));
}

TEST(load)
{
	double a, b, c;
	int running, all, last;

	CHECK_EQ(sscanf(slurp("/proc/loadavg"), "%lf %lf %lf %d/%d %d", &a, &b, &c, &running, &all,
			&last),
		 6);
	CHECK(a >= 0 && b >= 0 && c >= 0);
	CHECK(all >= 1 && last >= 1);
}

TEST(version)
{
	CHECK(!strncmp(slurp("/proc/version"), "Linux version ", 14));
}

TEST(file_systems)
{
	slurp("/proc/filesystems");
	CHECK(strstr(text, "nodev\tproc\n"));
	CHECK(strstr(text, "nodev\ttmpfs\n"));
}

TEST(mounts_is_a_link)
{
	char link[64];
	ssize_t n = OK(readlink("/proc/mounts", link, sizeof(link) - 1));

	link[n] = 0;
	CHECK_STR(link, "self/mounts");
}

TEST(network_is_a_link)
{
	char link[64];
	ssize_t n = OK(readlink("/proc/net", link, sizeof(link) - 1));

	link[n] = 0;
	CHECK_STR(link, "self/net");
	CHECK(strstr(slurp("/proc/net/dev"), "lo:"));
	CHECK(strstr(slurp("/proc/net/tcp"), "local_address"));
	CHECK(strstr(slurp("/proc/net/unix"), "RefCount"));
}

TEST(kernel_parameters)
{
	CHECK(atoi(slurp("/proc/sys/kernel/pid_max")) >= 300);
	CHECK(atoi(slurp("/proc/sys/kernel/ngroups_max")) == 65536);
	CHECK(atoi(slurp("/proc/sys/fs/nr_open")) >= 1024);
	CHECK(atoi(slurp("/proc/sys/vm/overcommit_memory")) <= 2);
	CHECK(atoi(slurp("/proc/sys/kernel/cap_last_cap")) >= 37);
	CHECK(atoi(slurp("/proc/sys/net/core/somaxconn")) >= 128);
	CHECK(strlen(slurp("/proc/sys/kernel/version")) > 3);
}

TEST(reading_in_pieces_gives_the_same)
{
	char all[4096], piece[4096];
	int fd = OK(open("/proc/version", O_RDONLY));
	size_t n = 0;

	read_file("/proc/version", all, sizeof(all));
	while (n < sizeof(piece) - 1 && read(fd, piece + n, 1) == 1)
		n++;
	piece[n] = 0;
	CHECK_STR(piece, all);
	CHECK_EQ(pread(fd, piece, 5, 6), 5);
	CHECK(!memcmp(piece, all + 6, 5));
}

TEST(files_have_no_size)
{
	struct stat st;

	OK(stat("/proc/meminfo", &st));
	CHECK_EQ(st.st_size, 0);
	CHECK_EQ(st.st_mode, S_IFREG | 0444);
	OK(stat("/proc", &st));
	CHECK(S_ISDIR(st.st_mode));
	CHECK_EQ(st.st_mode & 07777, 0555);
}

TEST(sysfs_processors)
{
	if (access("/sys/devices/system/cpu/online", R_OK))
		SKIP("no /sys/devices/system/cpu");
	slurp("/sys/devices/system/cpu/online");
	CHECK(text[0] >= '0' && text[0] <= '9');
	slurp("/sys/devices/system/cpu/possible");
	CHECK(text[0] == '0');
}

TEST(sysfs_network)
{
	if (access("/sys/class/net/lo", F_OK))
		SKIP("no /sys/class/net/lo");
	CHECK_EQ(atoi(slurp("/sys/class/net/lo/mtu")), 65536);
	CHECK_STR(slurp("/sys/class/net/lo/address"), "00:00:00:00:00:00\n");
}

TEST(load_averages_follow_who_runs)
{
	const int64_t end = now_ns() + 30000 * MS_IN_NS;
	double one, five, fifteen;
	struct sysinfo s;

	/* Linux looks every five seconds. */
	do {
		burn_ms(200);
		CHECK_EQ(sscanf(slurp("/proc/loadavg"), "%lf %lf %lf", &one, &five, &fifteen), 3);
	} while (one == 0 && now_ns() < end);
	CHECK(one > 0);
	OK(sysinfo(&s));
	CHECK(s.loads[0] > 0);
}
