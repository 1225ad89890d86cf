/* SPDX-License-Identifier: Apache-2.0 */
/* getrandom(2), /dev/urandom, /dev/random. */
#include <sys/random.h>

#include "harness.h"

TEST(fills_all)
{
	unsigned char a[256], b[256];
	int same = 0;

	memset(a, 0, sizeof(a));
	memset(b, 0, sizeof(b));
	CHECK_EQ(getrandom(a, sizeof(a), 0), 256);
	CHECK_EQ(getrandom(b, sizeof(b), GRND_NONBLOCK), 256);
	for (int i = 0; i < 256; i++)
		same += a[i] == b[i];
	CHECK(same < 64);
}

TEST(every_bit_changes)
{
	unsigned char sum[32] = { 0 }, all[32], buf[32];

	memset(all, 0xff, sizeof(all));
	for (int n = 0; n < 200; n++) {
		CHECK_EQ(getrandom(buf, 32, GRND_RANDOM), 32);
		for (int i = 0; i < 32; i++) {
			sum[i] |= buf[i];
			all[i] &= buf[i];
		}
	}
	for (int i = 0; i < 32; i++)
		CHECK(sum[i] == 0xff && all[i] == 0);
}

TEST(errors)
{
	char buf[16];

	CHECK_ERRNO(getrandom(buf, 16, 0x100), EINVAL);
	CHECK_ERRNO(getrandom(buf, 16, GRND_RANDOM | GRND_INSECURE), EINVAL);
	CHECK_ERRNO(syscall(SYS_getrandom, BAD_PTR, 16, 0), EFAULT);
	CHECK_EQ(getrandom(buf, 0, 0), 0);
}

TEST(nothing_beyond_the_length)
{
	unsigned char buf[64];

	memset(buf, 0xaa, sizeof(buf));
	CHECK_EQ(getrandom(buf, 13, 0), 13);
	for (int i = 13; i < 64; i++)
		CHECK_EQ(buf[i], 0xaa);
}

TEST(large)
{
	size_t size = 1 << 20;
	unsigned char *p = malloc(size);
	size_t zero = 0;

	CHECK_EQ(getrandom(p, size, 0), size);
	for (size_t i = 0; i < size; i++)
		zero += !p[i];
	CHECK(zero > 2000 && zero < 7000);
}

TEST(children_differ)
{
	uint64_t *shared =
		OK(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
	pid_t pid;

	CHILD (pid)
		CHECK_EQ(getrandom(shared, 8, 0), 8);
	CHECK_EQ(getrandom(shared + 1, 8, 0), 8);
	wait_ok(pid);
	CHECK(shared[0] != shared[1]);
}

TEST(devices)
{
	uint64_t a = 0, b = 0;
	int fd = OK(open("/dev/urandom", O_RDWR));

	CHECK_EQ(read(fd, &a, 8), 8);
	CHECK_EQ(read(fd, &b, 8), 8);
	CHECK(a != b);
	CHECK_EQ(write(fd, &a, 8), 8);
	fd = OK(open("/dev/random", O_RDONLY));
	CHECK_EQ(read(fd, &a, 8), 8);
}

TEST(identifiers_in_proc)
{
	char a[64], b[64];

	if (access("/proc/sys/kernel/random/uuid", R_OK))
		SKIP("no /proc/sys/kernel/random");
	CHECK_EQ(read_file("/proc/sys/kernel/random/uuid", a, sizeof(a)), 37);
	CHECK_EQ(read_file("/proc/sys/kernel/random/uuid", b, sizeof(b)), 37);
	CHECK(strcmp(a, b));
	CHECK_EQ(a[14], '4');
	CHECK_EQ(read_file("/proc/sys/kernel/random/boot_id", a, sizeof(a)), 37);
	CHECK_EQ(read_file("/proc/sys/kernel/random/boot_id", b, sizeof(b)), 37);
	CHECK_STR(a, b);
}
