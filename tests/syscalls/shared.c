/* SPDX-License-Identifier: Apache-2.0 */
/* Shared memory between processes and files: visibility, order, truncation, SIGBUS. */
#include <pthread.h>
#include <setjmp.h>

#include "harness.h"

enum { PAGE = 4096, RW = PROT_READ | PROT_WRITE };
static sigjmp_buf jump;
static void *volatile fault_addr;

static void on_fault(int sig, siginfo_t *info, void *context)
{
	fault_addr = info->si_addr;
	siglongjmp(jump, sig);
}

static int touch(volatile char *p, bool write)
{
	int sig;

	on_siginfo(SIGBUS, on_fault, 0);
	on_siginfo(SIGSEGV, on_fault, 0);
	sig = sigsetjmp(jump, 1);
	if (!sig) {
		if (write)
			*p = 'w';
		else
			(void)*p;
	}
	return sig;
}

static int file(size_t size)
{
	int fd = OK(open("f", O_CREAT | O_RDWR, 0600));

	OK(ftruncate(fd, (off_t)size));
	return fd;
}

TEST(unrelated_openings_share)
{
	pid_t pid;
	char *p = OK(mmap(NULL, PAGE, RW, MAP_SHARED, file(PAGE), 0));
	struct gate g = gate_new(), back = gate_new();

	CHILD (pid) {
		int fd = OK(open("f", O_RDWR));
		char *q = OK(mmap(NULL, PAGE, RW, MAP_SHARED, fd, 0));

		gate_pass(&g);
		CHECK_EQ(q[0], 'p');
		q[1] = 'c';
		gate_open(&back);
	}
	p[0] = 'p';
	gate_open(&g);
	gate_pass(&back);
	CHECK_EQ(p[1], 'c');
	wait_ok(pid);
}

TEST(private_copies_do_not_write_back)
{
	int fd = file(PAGE);
	char *s = OK(mmap(NULL, PAGE, RW, MAP_SHARED, fd, 0)),
	     *p = OK(mmap(NULL, PAGE, RW, MAP_PRIVATE, fd, 0));
	char c;

	s[0] = 'a';
	CHECK_EQ(p[0], 'a');
	p[0] = 'b';
	CHECK_EQ(s[0], 'a');
	s[0] = 'c';
	/* A page that was written is a copy now. */
	CHECK_EQ(p[0], 'b');
	CHECK_EQ(pread(fd, &c, 1, 0), 1);
	CHECK_EQ(c, 'c');
}

TEST(write_and_mapping_agree)
{
	int fd = file(3 * PAGE);
	char *p = OK(mmap(NULL, 3 * PAGE, RW, MAP_SHARED, fd, 0)), buf[200];

	memset(buf, 'x', sizeof(buf));
	CHECK_EQ(pwrite(fd, buf, 200, PAGE - 100), 200);
	for (int i = PAGE - 100; i < PAGE + 100; i++)
		CHECK_EQ(p[i], 'x');
	memset(p + 2 * PAGE - 50, 'y', 100);
	CHECK_EQ(pread(fd, buf, 100, 2 * PAGE - 50), 100);
	for (int i = 0; i < 100; i++)
		CHECK_EQ(buf[i], 'y');
}

TEST(truncation_raises_sigbus)
{
	int fd = file(4 * PAGE);
	char *p = OK(mmap(NULL, 4 * PAGE, RW, MAP_SHARED, fd, 0));

	memset(p, 'f', 4 * PAGE);
	OK(ftruncate(fd, PAGE + 10));
	CHECK_EQ(touch(p, true), 0);
	CHECK_EQ(touch(p + PAGE + 100, false), 0);
	/* The rest of the last page is zeroed. */
	CHECK_EQ(p[PAGE + 9], 'f');
	CHECK_EQ(p[PAGE + 10], 0);
	CHECK_EQ(touch(p + 2 * PAGE, false), SIGBUS);
	CHECK(fault_addr == p + 2 * PAGE);
	CHECK_EQ(touch(p + 3 * PAGE, true), SIGBUS);
	OK(ftruncate(fd, 4 * PAGE));
	CHECK_EQ(touch(p + 3 * PAGE, true), 0);
	CHECK_EQ(p[2 * PAGE], 0);
}

TEST(truncation_takes_private_copies)
{
	int fd = file(2 * PAGE);
	char *p = OK(mmap(NULL, 2 * PAGE, RW, MAP_PRIVATE, fd, 0));

	p[PAGE] = 'c';
	OK(ftruncate(fd, PAGE));
	CHECK_EQ(touch(p + PAGE, false), SIGBUS);
}

TEST(kernel_access_behind_the_end)
{
	int fd = file(PAGE), fds[2];
	char *p = OK(mmap(NULL, 2 * PAGE, RW, MAP_SHARED, fd, 0));

	OK(pipe(fds));
	CHECK_ERRNO(write(fds[1], p + PAGE, 10), EFAULT);
	CHECK_EQ(write(fds[1], "0123456789", 10), 10);
	CHECK_ERRNO(read(fds[0], p + PAGE, 10), EFAULT);
}

TEST(truncation_by_another_process)
{
	int fd = file(2 * PAGE);
	char *p = OK(mmap(NULL, 2 * PAGE, RW, MAP_SHARED, fd, 0));
	struct gate g = gate_new(), ready = gate_new();
	pid_t pid;

	p[PAGE] = 1;
	CHILD (pid) {
		CHECK_EQ(p[PAGE], 1);
		gate_open(&ready);
		gate_pass(&g);
		CHECK_EQ(touch(p + PAGE, false), SIGBUS);
	}
	gate_pass(&ready);
	OK(truncate("f", 100));
	gate_open(&g);
	wait_ok(pid);
}

TEST(truncation_under_a_busy_reader)
{
	int fd = file(64 * PAGE);
	volatile char *p = OK(mmap(NULL, 64 * PAGE, RW, MAP_SHARED, fd, 0));
	pid_t pid;
	int stop[2];
	char c;

	OK(pipe2(stop, O_NONBLOCK));
	CHILD (pid) {
		while (read(stop[0], &c, 1) != 1) {
			OK(ftruncate(fd, PAGE));
			OK(ftruncate(fd, 64 * PAGE));
		}
	}
	for (int i = 0; i < 3000; i++) {
		int sig = touch(p + (i % 64) * PAGE, i & 1);

		CHECK(sig == 0 || sig == SIGBUS);
	}
	CHECK_EQ(write(stop[1], "s", 1), 1);
	wait_ok(pid);
}

TEST(anonymous_shared_counter)
{
	long *n = OK(mmap(NULL, PAGE, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
	pid_t pids[4];

	for (int i = 0; i < 4; i++) {
		CHILD (pids[i]) {
			for (int k = 0; k < 20000; k++)
				__atomic_fetch_add(n, 1, __ATOMIC_SEQ_CST);
		}
	}
	for (int i = 0; i < 4; i++)
		wait_ok(pids[i]);
	CHECK_EQ(*n, 80000);
}

TEST(pages_arrive_after_fork)
{
	/* Touched first by the child: the parent sees the same page. */
	char *p = OK(mmap(NULL, 16 * PAGE, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
	pid_t pid;

	CHILD (pid) {
		for (int i = 0; i < 16; i++)
			p[i * PAGE] = (char)('A' + i);
	}
	wait_ok(pid);
	for (int i = 0; i < 16; i++)
		CHECK_EQ(p[i * PAGE], 'A' + i);
}

TEST(file_is_kept_by_the_mapping)
{
	char *p = OK(mmap(NULL, PAGE, RW, MAP_SHARED, file(PAGE), 0)), c;
	int fd;

	p[0] = 'k';
	fd = OK(open("f", O_RDONLY));
	OK(unlink("f"));
	CHECK_EQ(read(fd, &c, 1), 1);
	CHECK_EQ(c, 'k');
	p[1] = 'l';
	CHECK_EQ(pread(fd, &c, 1, 1), 1);
	CHECK_EQ(c, 'l');
}

TEST(exit_keeps_what_was_written)
{
	pid_t pid;
	char buf[8];

	CHILD (pid) {
		char *p = OK(mmap(NULL, PAGE, RW, MAP_SHARED, file(5), 0));

		memcpy(p, "saved", 5);
		kill(getpid(), SIGKILL);
	}
	wait_signal(pid, SIGKILL);
	CHECK_EQ(read_file("f", buf, sizeof(buf)), 5);
	CHECK_STR(buf, "saved");
}

TEST(read_only_second_view)
{
	int fd = file(PAGE);
	char *w = OK(mmap(NULL, PAGE, RW, MAP_SHARED, fd, 0)),
	     *r = OK(mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 0));

	for (int i = 0; i < 1000; i++) {
		__atomic_store_n(w, (char)i, __ATOMIC_SEQ_CST);
		CHECK_EQ(__atomic_load_n(r, __ATOMIC_SEQ_CST), (char)i);
	}
	CHECK_EQ(touch(r, true), SIGSEGV);
}

TEST(one_page_at_many_addresses)
{
	int fd = file(PAGE);
	char *p[32];

	for (int i = 0; i < 32; i++)
		p[i] = OK(mmap(NULL, PAGE, RW, MAP_SHARED, fd, 0));
	for (int i = 0; i < 32; i++) {
		p[i][i] = (char)i;
		CHECK_EQ(p[31 - i][i], i);
	}
}
