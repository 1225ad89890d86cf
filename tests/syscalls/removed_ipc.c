/* SPDX-License-Identifier: Apache-2.0 */
/* System V objects: what happens to waiters when one is removed, owners and rights, both forms of
 * the waiting calls. */
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>

#include "harness.h"

union semun {
	int val;
	struct semid_ds *buf;
	unsigned short *array;
	struct seminfo *info;
};

struct message {
	long type;
	char text[64];
};

static int id = -1;

/* A process that does `work`, asleep in it when this returns. */
static pid_t sleeper(void (*work)(void))
{
	pid_t pid;

	CHILD (pid)
		work();
	settle(pid);
	return pid;
}

static void wait_for_semaphore(void)
{
	struct sembuf s = { 0, -1, 0 };

	CHECK_ERRNO(syscall(SYS_semop, id, &s, 1), EIDRM);
}

static void wait_for_semaphore_with_time(void)
{
	struct timespec ts = { 30, 0 };
	struct sembuf s = { 0, -1, 0 };

	CHECK_ERRNO(syscall(SYS_semtimedop, id, &s, 1, &ts), EIDRM);
}

TEST(semaphores_removed_under_waiters)
{
	struct semid_ds sem;
	pid_t a, b;

	id = OK(semget(IPC_PRIVATE, 2, 0600));
	a = sleeper(wait_for_semaphore);
	b = sleeper(wait_for_semaphore_with_time);
	OK(semctl(id, 0, IPC_RMID));
	wait_ok(a);
	wait_ok(b);
	CHECK_ERRNO(semctl(id, 0, IPC_STAT, (union semun){ .buf = &sem }), EINVAL);
}

static void wait_for_message(void)
{
	struct message m;

	CHECK_ERRNO(msgrcv(id, &m, sizeof(m.text), 7, 0), EIDRM);
}

static void wait_for_room(void)
{
	struct message m = { .type = 1 };

	CHECK_ERRNO(msgsnd(id, &m, sizeof(m.text), 0), EIDRM);
}

static void fill(void)
{
	struct message m = { .type = 1 };

	while (!msgsnd(id, &m, sizeof(m.text), IPC_NOWAIT))
		;
	CHECK_EQ(errno, EAGAIN);
}

TEST(queue_removed_under_waiters)
{
	pid_t a, b;

	id = OK(msgget(IPC_PRIVATE, 0600));
	fill();
	a = sleeper(wait_for_message);
	b = sleeper(wait_for_room);
	OK(msgctl(id, IPC_RMID, NULL));
	wait_ok(a);
	wait_ok(b);
}

static void be_interrupted_sending(void)
{
	struct message m = { .type = 1 };

	on_signal(SIGUSR1, count_signal, SA_RESTART);
	CHECK_ERRNO(msgsnd(id, &m, sizeof(m.text), 0), EINTR);
}

static void be_interrupted_receiving(void)
{
	struct message m;

	on_signal(SIGUSR1, count_signal, SA_RESTART);
	CHECK_ERRNO(msgrcv(id, &m, sizeof(m.text), 7, 0), EINTR);
}

static void be_interrupted_in_semop(void)
{
	struct sembuf s = { 0, -1, 0 };

	on_signal(SIGUSR1, count_signal, SA_RESTART);
	CHECK_ERRNO(syscall(SYS_semtimedop, id, &s, 1, NULL), EINTR);
	settle(0);
	CHECK_ERRNO(syscall(SYS_semtimedop, id, &s, 1, &(struct timespec){ 30, 0 }), EINTR);
}

/* Signals until the child has ended: the first may come before it sleeps. */
static void signal_until_it_ends(pid_t pid)
{
	int status;

	for (int i = 0; i < 3000; i++) {
		OK(kill(pid, SIGUSR1));
		sleep_ms(10);
		if (OK(waitpid(pid, &status, WNOHANG)) == pid) {
			CHECK_EQ(status, 0);
			return;
		}
	}
	FAIL("not interrupted");
}

TEST(waiters_are_never_restarted)
{
	id = OK(msgget(IPC_PRIVATE, 0600));
	fill();
	signal_until_it_ends(sleeper(be_interrupted_sending));
	signal_until_it_ends(sleeper(be_interrupted_receiving));
	OK(msgctl(id, IPC_RMID, NULL));
	id = OK(semget(IPC_PRIVATE, 1, 0600));
	signal_until_it_ends(sleeper(be_interrupted_in_semop));
	OK(semctl(id, 0, IPC_RMID));
}

#define BOTH(X)                         \
	X(syscall(SYS_semop, id, s, n)) \
	X(syscall(SYS_semtimedop, id, s, n, &(struct timespec){ 30, 0 }))

TEST(both_forms_of_semop)
{
	struct sembuf s[2] = { { 0, 1, 0 }, { 1, 1, 0 } };
	size_t n = 600;

	id = OK(semget(IPC_PRIVATE, 2, 0600));
#define TOO_MANY(call) CHECK_ERRNO(call, E2BIG);
	BOTH(TOO_MANY)
	n = 0;
#define NONE(call) CHECK_ERRNO(call, EINVAL);
	BOTH(NONE)
	n = 1;
	s[0].sem_num = 2;
#define NO_SUCH(call) CHECK_ERRNO(call, EFBIG);
	BOTH(NO_SUCH)
	s[0] = (struct sembuf){ 0, 32767, 0 };
	OK(semop(id, s, 1));
	s[0].sem_op = 1;
#define TOO_LARGE(call) CHECK_ERRNO(call, ERANGE);
	BOTH(TOO_LARGE)
	s[0] = (struct sembuf){ 1, -1, IPC_NOWAIT };
#define NOT_NOW(call) CHECK_ERRNO(call, EAGAIN);
	BOTH(NOT_NOW)
	CHECK_ERRNO(syscall(SYS_semop, id, BAD_PTR, 1), EFAULT);
	CHECK_ERRNO(syscall(SYS_semtimedop, id, BAD_PTR, 1, NULL), EFAULT);
	CHECK_ERRNO(syscall(SYS_semtimedop, id, s, 1, BAD_PTR), EFAULT);
	CHECK_ERRNO(syscall(SYS_semtimedop, id, s, 1, &(struct timespec){ 0, -1 }), EINVAL);
	CHECK_ERRNO(semctl(id, 0, GETALL, (union semun){ .array = BAD_PTR }), EFAULT);
	CHECK_ERRNO(semctl(id, 0, IPC_STAT, (union semun){ .buf = BAD_PTR }), EFAULT);
	CHECK_ERRNO(semctl(id, 0, IPC_SET, (union semun){ .buf = BAD_PTR }), EFAULT);
	OK(semctl(id, 0, IPC_RMID));
}

TEST(owner_and_mode_are_set)
{
	struct semid_ds sem;
	struct msqid_ds msg;
	struct shmid_ds shm;

	id = OK(semget(IPC_PRIVATE, 1, 0600));
	OK(semctl(id, 0, IPC_STAT, (union semun){ .buf = &sem }));
	sem.sem_perm.mode = 0640;
	OK(semctl(id, 0, IPC_SET, (union semun){ .buf = &sem }));
	OK(semctl(id, 0, IPC_STAT, (union semun){ .buf = &sem }));
	CHECK_EQ(sem.sem_perm.mode, 0640);
	CHECK(sem.sem_ctime > 0);
	OK(semctl(id, 0, IPC_RMID));

	id = OK(msgget(IPC_PRIVATE, 0600));
	OK(msgctl(id, IPC_STAT, &msg));
	msg.msg_perm.mode = 0644;
	msg.msg_qbytes = 100;
	OK(msgctl(id, IPC_SET, &msg));
	OK(msgctl(id, IPC_STAT, &msg));
	CHECK_EQ(msg.msg_perm.mode, 0644);
	CHECK_EQ(msg.msg_qbytes, 100);
	OK(msgctl(id, IPC_RMID, NULL));

	id = OK(shmget(IPC_PRIVATE, 4096, 0600));
	OK(shmctl(id, IPC_STAT, &shm));
	shm.shm_perm.mode = 0666;
	OK(shmctl(id, IPC_SET, &shm));
	OK(shmctl(id, IPC_STAT, &shm));
	CHECK_EQ(shm.shm_perm.mode & 0777, 0666);
	OK(shmctl(id, IPC_RMID, NULL));
}

/* The kind of _STAT that takes an index, and _INFO that tells the highest one. */
TEST(objects_by_index)
{
	struct seminfo sem_info;
	struct msginfo msg_info;
	struct shm_info shm_info;
	struct semid_ds sem;
	struct msqid_ds msg;
	struct shmid_ds shm;
	int ids[3] = { OK(semget(IPC_PRIVATE, 3, 0600)), OK(msgget(IPC_PRIVATE, 0600)),
		       OK(shmget(IPC_PRIVATE, 4096, 0600)) };
	int seen = 0, last;

	last = OK(semctl(0, 0, SEM_INFO, (union semun){ .info = &sem_info }));
	CHECK(sem_info.semusz >= 1 && sem_info.semaem >= 3);
	for (int i = 0; i <= last; i++)
		seen += semctl(i, 0, SEM_STAT, (union semun){ .buf = &sem }) == ids[0];
	last = OK(msgctl(0, MSG_INFO, (struct msqid_ds *)&msg_info));
	CHECK(msg_info.msgpool >= 1);
	for (int i = 0; i <= last; i++)
		seen += msgctl(i, MSG_STAT, &msg) == ids[1];
	last = OK(shmctl(0, SHM_INFO, (struct shmid_ds *)&shm_info));
	CHECK(shm_info.used_ids >= 1);
	for (int i = 0; i <= last; i++)
		seen += shmctl(i, SHM_STAT, &shm) == ids[2];
	CHECK_EQ(seen, 3);
	CHECK_ERRNO(semctl(-1, 0, SEM_STAT, (union semun){ .buf = &sem }), EINVAL);
	CHECK_ERRNO(msgctl(-1, MSG_STAT, &msg), EINVAL);
	CHECK_ERRNO(shmctl(-1, SHM_STAT, &shm), EINVAL);
	OK(semctl(ids[0], 0, IPC_RMID));
	OK(msgctl(ids[1], IPC_RMID, NULL));
	OK(shmctl(ids[2], IPC_RMID, NULL));
}

TEST(segments_locked_and_executable)
{
	/* mov $7, %eax; ret */
	static const unsigned char code[] = { 0xb8, 7, 0, 0, 0, 0xc3 };
	struct shmid_ds shm;
	unsigned char *p;

	id = OK(shmget(IPC_PRIVATE, 4096, 0700));
	OK(shmctl(id, SHM_LOCK, NULL));
	OK(shmctl(id, IPC_STAT, &shm));
	CHECK(shm.shm_perm.mode & SHM_LOCKED);
	OK(shmctl(id, SHM_UNLOCK, NULL));
	OK(shmctl(id, IPC_STAT, &shm));
	CHECK(!(shm.shm_perm.mode & SHM_LOCKED));
	p = OK(shmat(id, NULL, SHM_EXEC));
	memcpy(p, code, sizeof(code));
	CHECK_EQ(((int (*)(void))p)(), 7);
	OK(shmdt(p));
	CHECK_ERRNO(shmdt(p), EINVAL);
	OK(shmctl(id, IPC_RMID, NULL));
}

TEST(rights_of_others)
{
	struct message m = { .type = 1 };
	struct sembuf s = { 0, 1, 0 };
	struct msqid_ds msg;
	struct semid_ds sem;
	struct shmid_ds shm;
	key_t key = 0x51000000 | (getpid() & 0xffffff);
	int q, g, h;

	need_root();
	q = OK(msgget(key, IPC_CREAT | IPC_EXCL | 0600));
	g = OK(semget(key, 1, IPC_CREAT | IPC_EXCL | 0600));
	h = OK(shmget(key, 4096, IPC_CREAT | IPC_EXCL | 0600));
	CHECK_ERRNO(msgget(key, IPC_CREAT | IPC_EXCL | 0600), EEXIST);
	CHECK_ERRNO(semget(key, 1, IPC_CREAT | IPC_EXCL | 0600), EEXIST);
	CHECK_ERRNO(shmget(key, 4096, IPC_CREAT | IPC_EXCL | 0600), EEXIST);
	pid_t pid;
	CHILD (pid) {
		become_nobody();
		CHECK_ERRNO(msgget(key, 0600), EACCES);
		CHECK_ERRNO(semget(key, 1, 0600), EACCES);
		CHECK_ERRNO(shmget(key, 4096, 0600), EACCES);
		CHECK_ERRNO(msgctl(q, IPC_STAT, &msg), EACCES);
		CHECK_ERRNO(semctl(g, 0, IPC_STAT, (union semun){ .buf = &sem }), EACCES);
		CHECK_ERRNO(shmctl(h, IPC_STAT, &shm), EACCES);
		CHECK_ERRNO(msgctl(q, IPC_RMID, NULL), EPERM);
		CHECK_ERRNO(semctl(g, 0, IPC_RMID), EPERM);
		CHECK_ERRNO(shmctl(h, IPC_RMID, NULL), EPERM);
		CHECK_ERRNO(shmctl(h, SHM_LOCK, NULL), EPERM);
		CHECK_ERRNO(msgsnd(q, &m, 1, 0), EACCES);
		CHECK_ERRNO(msgrcv(q, &m, 1, 0, 0), EACCES);
		CHECK_ERRNO(syscall(SYS_semop, g, &s, 1), EACCES);
		CHECK_ERRNO(syscall(SYS_semtimedop, g, &s, 1, NULL), EACCES);
		CHECK_ERRNO(shmat(h, NULL, 0), EACCES);
	}
	wait_ok(pid);
	OK(msgctl(q, IPC_RMID, NULL));
	OK(semctl(g, 0, IPC_RMID));
	OK(shmctl(h, IPC_RMID, NULL));
}

TEST(messages_to_and_from_bad_addresses)
{
	struct message m = { .type = 1 };

	id = OK(msgget(IPC_PRIVATE, 0600));
	CHECK_ERRNO(msgsnd(id, BAD_PTR, 1, 0), EFAULT);
	OK(msgsnd(id, &m, 1, 0));
	CHECK_ERRNO(msgrcv(id, BAD_PTR, 1, 0, 0), EFAULT);
	CHECK_ERRNO(msgrcv(id, &m, 0, 99, IPC_NOWAIT), ENOMSG);
	OK(msgctl(id, IPC_RMID, NULL));
}
