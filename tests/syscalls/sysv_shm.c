/* SPDX-License-Identifier: Apache-2.0 */
/* shmget(2), shmat(2), shmdt(2), shmctl(2). */
#include <sys/ipc.h>
#include <sys/shm.h>

#include "harness.h"

static int id = -1;

static int make(size_t size, int flags)
{
	id = OK(shmget(IPC_PRIVATE, size, flags | 0600));
	return id;
}

/* Cases may fail in the middle: a segment that is marked goes with its last user. */
static void mark(void)
{
	OK(shmctl(id, IPC_RMID, NULL));
}

TEST(attach_write_detach)
{
	char *p;
	struct shmid_ds ds;

	make(10000, 0);
	p = OK((char *)shmat(id, NULL, 0));
	CHECK_EQ(p[0], 0);
	CHECK_EQ(p[9999], 0);
	p[0] = 'x';
	OK(shmctl(id, IPC_STAT, &ds));
	CHECK_EQ(ds.shm_segsz, 10000);
	CHECK_EQ(ds.shm_nattch, 1);
	CHECK_EQ(ds.shm_cpid, getpid());
	CHECK_EQ(ds.shm_lpid, getpid());
	CHECK_EQ(ds.shm_perm.uid, geteuid());
	CHECK_EQ(ds.shm_perm.mode & 0777, 0600);
	OK(shmdt(p));
	OK(shmctl(id, IPC_STAT, &ds));
	CHECK_EQ(ds.shm_nattch, 0);
	p = OK((char *)shmat(id, NULL, SHM_RDONLY));
	CHECK_EQ(p[0], 'x');
	mark();
}

TEST(shared_by_processes)
{
	char *p;
	pid_t pid;

	make(4096, 0);
	p = OK((char *)shmat(id, NULL, 0));
	mark();
	CHILD (pid)
		p[1] = 'c';
	wait_ok(pid);
	CHECK_EQ(p[1], 'c');
}

TEST(two_places_in_one_process)
{
	char *p, *q;

	make(4096, 0);
	p = OK((char *)shmat(id, NULL, 0));
	q = OK((char *)shmat(id, NULL, 0));
	mark();
	CHECK(p != q);
	p[5] = 'z';
	CHECK_EQ(q[5], 'z');
	OK(shmdt(p));
	CHECK_EQ(q[5], 'z');
}

TEST(keys)
{
	key_t key = 0x5eed0000 + (getpid() & 0xffff);

	CHECK_ERRNO(shmget(key, 4096, 0), ENOENT);
	id = OK(shmget(key, 4096, IPC_CREAT | 0600));
	CHECK_EQ(shmget(key, 4096, IPC_CREAT | 0600), id);
	CHECK_EQ(shmget(key, 0, 0), id);
	CHECK_ERRNO(shmget(key, 4096, IPC_CREAT | IPC_EXCL | 0600), EEXIST);
	CHECK_ERRNO(shmget(key, 10000, 0), EINVAL);
	mark();
	CHECK_ERRNO(shmget(key, 4096, 0), ENOENT);
}

TEST(removed_segment_lives_while_attached)
{
	char *p;
	struct shmid_ds ds;
	pid_t pid;

	make(4096, 0);
	p = OK((char *)shmat(id, NULL, 0));
	mark();
	OK(shmctl(id, IPC_STAT, &ds));
	CHECK(ds.shm_perm.mode & SHM_DEST);
	p[0] = 1;
	CHILD (pid) {
		/* Linux lets who knows the number attach still. */
		CHECK(shmat(id, NULL, 0) != (void *)-1);
	}
	wait_ok(pid);
	OK(shmdt(p));
	CHECK_ERRNO(shmctl(id, IPC_STAT, &ds), EINVAL);
}

TEST(errors)
{
	struct shmid_ds ds;
	char *p;

	CHECK_ERRNO(shmget(IPC_PRIVATE, 0, 0600), EINVAL);
	CHECK_ERRNO((char *)shmat(0x7ffffff, NULL, 0), EINVAL);
	CHECK_ERRNO((char *)shmat(-1, NULL, 0), EINVAL);
	CHECK_ERRNO(shmdt((void *)4096), EINVAL);
	CHECK_ERRNO(shmctl(0x7ffffff, IPC_STAT, &ds), EINVAL);
	make(4096, 0);
	p = OK((char *)shmat(id, NULL, 0));
	CHECK_ERRNO(shmdt(p + 100), EINVAL);
	CHECK_ERRNO((char *)shmat(id, p + 1, 0), EINVAL);
	CHECK_ERRNO((char *)shmat(id, p, 0), EINVAL);
	CHECK_ERRNO(shmctl(id, 9999, &ds), EINVAL);
	CHECK_ERRNO(syscall(SYS_shmctl, id, IPC_STAT, BAD_PTR), EFAULT);
	mark();
}

TEST(fixed_address_and_remap)
{
	char *room = OK(mmap(NULL, 8192, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));

	make(4096, 0);
	CHECK_ERRNO((char *)shmat(id, room, 0), EINVAL);
	CHECK((char *)shmat(id, room, SHM_REMAP) == room);
	room[0] = 'r';
	OK(munmap(room, 8192));
	CHECK((char *)shmat(id, room + 10, SHM_RND) == room);
	CHECK_EQ(room[0], 'r');
	mark();
}

TEST(permissions)
{
	struct shmid_ds ds;
	pid_t pid;

	need_root();
	make(4096, 0);
	CHILD (pid) {
		become_nobody();
		CHECK_ERRNO((char *)shmat(id, NULL, 0), EACCES);
		CHECK_ERRNO(shmctl(id, IPC_STAT, &ds), EACCES);
		CHECK_ERRNO(shmctl(id, IPC_RMID, NULL), EPERM);
	}
	wait_ok(pid);
	mark();
}

TEST(read_only_attachment)
{
	char *p;
	pid_t pid;

	make(4096, 0);
	p = OK((char *)shmat(id, NULL, SHM_RDONLY));
	mark();
	CHILD (pid)
		p[0] = 1;
	wait_signal(pid, SIGSEGV);
}

int test_subject(int argc, char **argv)
{
	struct shmid_ds ds;

	return shmctl(atoi(argv[1]), IPC_STAT, &ds) ? 1 : (int)ds.shm_nattch;
}

TEST(exec_detaches)
{
	char number[16];
	pid_t pid;

	make(4096, 0);
	OK((char *)shmat(id, NULL, 0));
	snprintf(number, sizeof(number), "%d", id);
	CHILD (pid)
		execl(test_self(), "subject", number, NULL);
	/* The parent's one is left. */
	wait_exit(pid, 1);
	mark();
}

TEST(settings_can_be_changed)
{
	struct shmid_ds ds;

	make(4096, 0);
	OK(shmctl(id, IPC_STAT, &ds));
	ds.shm_perm.mode = 0640;
	OK(shmctl(id, IPC_SET, &ds));
	OK(shmctl(id, IPC_STAT, &ds));
	CHECK_EQ(ds.shm_perm.mode & 0777, 0640);
	mark();
}
