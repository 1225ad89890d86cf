/* SPDX-License-Identifier: Apache-2.0 */
/* semget(2), semop(2), semtimedop(2), semctl(2). */
#include <sys/ipc.h>
#include <sys/sem.h>

#include "harness.h"

union semun {
	int val;
	struct semid_ds *buf;
	unsigned short *array;
};

static int id = -1;

static void make(int n)
{
	id = OK(semget(IPC_PRIVATE, n, 0600));
}

static int op(unsigned short sem, short by, short flags)
{
	struct sembuf s = { sem, by, flags };

	return semop(id, &s, 1);
}

static int value(int sem)
{
	return OK(semctl(id, sem, GETVAL));
}

static void drop(void)
{
	OK(semctl(id, 0, IPC_RMID));
}

TEST(values)
{
	unsigned short all[3] = { 7, 8, 9 };
	struct semid_ds ds;

	make(3);
	CHECK_EQ(value(0), 0);
	OK(semctl(id, 1, SETVAL, (union semun){ .val = 5 }));
	CHECK_EQ(value(1), 5);
	CHECK_EQ(semctl(id, 1, GETPID), getpid());
	OK(semctl(id, 0, SETALL, (union semun){ .array = all }));
	memset(all, 0, sizeof(all));
	OK(semctl(id, 0, GETALL, (union semun){ .array = all }));
	CHECK(all[0] == 7 && all[1] == 8 && all[2] == 9);
	OK(semctl(id, 0, IPC_STAT, (union semun){ .buf = &ds }));
	CHECK_EQ(ds.sem_nsems, 3);
	drop();
}

TEST(operations)
{
	make(1);
	OK(op(0, 3, 0));
	OK(op(0, -2, 0));
	CHECK_EQ(value(0), 1);
	CHECK_ERRNO(op(0, -2, IPC_NOWAIT), EAGAIN);
	CHECK_ERRNO(op(0, 0, IPC_NOWAIT), EAGAIN);
	OK(op(0, -1, IPC_NOWAIT));
	OK(op(0, 0, IPC_NOWAIT));
	drop();
}

TEST(all_or_nothing)
{
	struct sembuf ops[2] = { { 0, 1, 0 }, { 1, -1, IPC_NOWAIT } };

	make(2);
	CHECK_ERRNO(semop(id, ops, 2), EAGAIN);
	CHECK_EQ(value(0), 0);
	OK(op(1, 1, 0));
	OK(semop(id, ops, 2));
	CHECK(value(0) == 1 && value(1) == 0);
	drop();
}

TEST(waiter_is_woken)
{
	pid_t pid;

	make(1);
	CHILD (pid)
		OK(op(0, -2, 0));
	settle(pid);
	CHECK_EQ(semctl(id, 0, GETNCNT), 1);
	OK(op(0, 1, 0));
	settle(pid);
	CHECK_EQ(waitpid(pid, NULL, WNOHANG), 0);
	OK(op(0, 1, 0));
	wait_ok(pid);
	CHECK_EQ(value(0), 0);
	drop();
}

TEST(waiting_for_zero)
{
	pid_t pid;

	make(1);
	OK(op(0, 1, 0));
	CHILD (pid)
		OK(op(0, 0, 0));
	settle(pid);
	CHECK_EQ(semctl(id, 0, GETZCNT), 1);
	OK(op(0, -1, 0));
	wait_ok(pid);
	drop();
}

TEST(timeout)
{
	struct sembuf s = { 0, -1, 0 };
	struct timespec ts = { 0, 30 * MS_IN_NS };
	int64_t begin = now_ns();

	make(1);
	CHECK_ERRNO(semtimedop(id, &s, 1, &ts), EAGAIN);
	CHECK(now_ns() - begin >= 30 * MS_IN_NS);
	ts.tv_nsec = 1000000000;
	CHECK_ERRNO(semtimedop(id, &s, 1, &ts), EINVAL);
	drop();
}

TEST(undo_adds_up_within_one_call)
{
	struct sembuf ops[] = { { 0, 20000, SEM_UNDO }, { 0, -20000, 0 }, { 0, 20000, SEM_UNDO } };

	make(1);
	CHECK_ERRNO(semop(id, ops, 3), ERANGE);
	CHECK_EQ(value(0), 0);
	OK(semop(id, ops, 2));
	drop();
}

TEST(undo_at_the_end)
{
	pid_t pid;

	make(1);
	OK(op(0, 5, 0));
	CHILD (pid) {
		OK(op(0, -3, SEM_UNDO));
		CHECK_EQ(value(0), 2);
		kill(getpid(), SIGKILL);
	}
	wait_signal(pid, SIGKILL);
	CHECK_EQ(value(0), 5);
	drop();
}

TEST(removal_ends_waiting)
{
	pid_t pid;

	make(1);
	CHILD (pid)
		CHECK_ERRNO(op(0, -1, 0), EIDRM);
	settle(pid);
	drop();
	wait_ok(pid);
	CHECK_ERRNO(op(0, 1, 0), EINVAL);
}

TEST(interrupted)
{
	pid_t pid;

	make(1);
	CHILD (pid) {
		on_signal(SIGUSR1, count_signal, SA_RESTART);
		CHECK_ERRNO(op(0, -1, 0), EINTR);
	}
	settle(pid);
	OK(kill(pid, SIGUSR1));
	wait_ok(pid);
	drop();
}

TEST(errors)
{
	struct sembuf s = { 0, 1, 0 };

	CHECK_ERRNO(semget(IPC_PRIVATE, 0, 0600), EINVAL);
	CHECK_ERRNO(semget(IPC_PRIVATE, -1, 0600), EINVAL);
	CHECK_ERRNO(semget(0x5eedface, 1, 0), ENOENT);
	make(1);
	CHECK_ERRNO(op(5, 1, 0), EFBIG);
	CHECK_ERRNO(semop(id, &s, 0), EINVAL);
	CHECK_ERRNO(semop(id, &s, 100000), E2BIG);
	CHECK_ERRNO(semop(id, BAD_PTR, 1), EFAULT);
	CHECK_ERRNO(semop(-1, &s, 1), EINVAL);
	CHECK_ERRNO(semctl(id, 5, GETVAL), EINVAL);
	CHECK_ERRNO(semctl(id, 0, 999), EINVAL);
	CHECK_ERRNO(semctl(id, 0, SETVAL, (union semun){ .val = 40000 }), ERANGE);
	OK(op(0, 32767, 0));
	CHECK_ERRNO(op(0, 1, 0), ERANGE);
	drop();
}

TEST(permissions)
{
	pid_t pid;

	need_root();
	make(1);
	CHILD (pid) {
		become_nobody();
		CHECK_ERRNO(op(0, 1, 0), EACCES);
		CHECK_ERRNO(semctl(id, 0, GETVAL), EACCES);
		CHECK_ERRNO(semctl(id, 0, IPC_RMID), EPERM);
	}
	wait_ok(pid);
	drop();
}

TEST(mutual_exclusion)
{
	volatile long *n =
		OK(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
	pid_t pids[3];

	make(1);
	OK(op(0, 1, 0));
	for (int i = 0; i < 3; i++) {
		CHILD (pids[i]) {
			for (int k = 0; k < 300; k++) {
				OK(op(0, -1, 0));
				long v = *n;

				if (k % 16 == 0)
					sched_yield();
				*n = v + 1;
				OK(op(0, 1, 0));
			}
		}
	}
	for (int i = 0; i < 3; i++)
		wait_ok(pids[i]);
	CHECK_EQ(*n, 900);
	drop();
}
