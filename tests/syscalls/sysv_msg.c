/* SPDX-License-Identifier: Apache-2.0 */
/* msgget(2), msgsnd(2), msgrcv(2), msgctl(2). */
#include <sys/ipc.h>
#include <sys/msg.h>

#include "harness.h"

struct message {
	long type;
	char text[64];
};

static int id = -1;

static void make(void)
{
	id = OK(msgget(IPC_PRIVATE, 0600));
}

static int put(long type, const char *text)
{
	struct message m = { .type = type };

	strcpy(m.text, text);
	return msgsnd(id, &m, strlen(text), IPC_NOWAIT);
}

static void expect(long type, int flags, long want_type, const char *want)
{
	struct message m = { 0 };

	CHECK_EQ(msgrcv(id, &m, sizeof(m.text), type, flags | IPC_NOWAIT), strlen(want));
	CHECK_EQ(m.type, want_type);
	CHECK_STR(m.text, want);
}

static void drop(void)
{
	OK(msgctl(id, IPC_RMID, NULL));
}

TEST(first_in_first_out)
{
	make();
	OK(put(1, "one"));
	OK(put(2, "two"));
	OK(put(1, ""));
	expect(0, 0, 1, "one");
	expect(0, 0, 2, "two");
	expect(0, 0, 1, "");
	drop();
}

TEST(choice_by_type)
{
	make();
	OK(put(5, "five"));
	OK(put(3, "three"));
	OK(put(9, "nine"));
	OK(put(3, "again"));
	expect(3, 0, 3, "three");
	expect(-4, 0, 3, "again");
	expect(5, MSG_EXCEPT, 9, "nine");
	expect(-100, 0, 5, "five");
	CHECK_ERRNO(msgrcv(id, &(struct message){ 0 }, 64, 0, IPC_NOWAIT), ENOMSG);
	drop();
}

TEST(too_long)
{
	struct message m;

	make();
	OK(put(1, "0123456789"));
	CHECK_ERRNO(msgrcv(id, &m, 4, 0, IPC_NOWAIT), E2BIG);
	CHECK_EQ(msgrcv(id, &m, 4, 0, IPC_NOWAIT | MSG_NOERROR), 4);
	CHECK_ERRNO(msgrcv(id, &m, 4, 0, IPC_NOWAIT), ENOMSG);
	drop();
}

TEST(state)
{
	struct msqid_ds ds;

	make();
	OK(put(1, "abc"));
	OK(put(1, "defg"));
	OK(msgctl(id, IPC_STAT, &ds));
	CHECK_EQ(ds.msg_qnum, 2);
	CHECK_EQ(ds.__msg_cbytes, 7);
	CHECK_EQ(ds.msg_lspid, getpid());
	CHECK(ds.msg_qbytes >= 1024);
	ds.msg_qbytes = 100;
	OK(msgctl(id, IPC_SET, &ds));
	OK(put(1, "0123456789012345678901234567890123456789012345678901234567890"));
	CHECK_ERRNO(put(1, "0123456789012345678901234567890123456789012345678901234567890"),
		    EAGAIN);
	drop();
}

TEST(receiver_waits)
{
	struct message m;
	pid_t pid;

	make();
	CHILD (pid) {
		CHECK_EQ(msgrcv(id, &m, 64, 7, 0), 4);
		CHECK_EQ(m.type, 7);
	}
	settle(pid);
	OK(put(6, "no"));
	settle(pid);
	CHECK_EQ(waitpid(pid, NULL, WNOHANG), 0);
	OK(put(7, "wake"));
	wait_ok(pid);
	drop();
}

TEST(sender_waits)
{
	struct msqid_ds ds;
	struct message m = { 1, "0123456789" };
	pid_t pid;

	make();
	OK(msgctl(id, IPC_STAT, &ds));
	ds.msg_qbytes = 15;
	OK(msgctl(id, IPC_SET, &ds));
	OK(put(1, "0123456789"));
	CHILD (pid)
		OK(msgsnd(id, &m, 10, 0));
	settle(pid);
	expect(0, 0, 1, "0123456789");
	wait_ok(pid);
	expect(0, 0, 1, "0123456789");
	drop();
}

TEST(removal_ends_waiting)
{
	struct message m;
	pid_t pid;

	make();
	CHILD (pid)
		CHECK_ERRNO(msgrcv(id, &m, 64, 0, 0), EIDRM);
	settle(pid);
	drop();
	wait_ok(pid);
}

TEST(interrupted)
{
	struct message m;
	pid_t pid;

	make();
	CHILD (pid) {
		on_signal(SIGUSR1, count_signal, SA_RESTART);
		CHECK_ERRNO(msgrcv(id, &m, 64, 0, 0), EINTR);
	}
	settle(pid);
	OK(kill(pid, SIGUSR1));
	wait_ok(pid);
	drop();
}

TEST(errors)
{
	struct message m = { 0, "x" };

	CHECK_ERRNO(msgget(0x5eedfeed, 0), ENOENT);
	make();
	CHECK_ERRNO(msgsnd(id, &m, 1, 0), EINVAL);
	m.type = -5;
	CHECK_ERRNO(msgsnd(id, &m, 1, 0), EINVAL);
	m.type = 1;
	CHECK_ERRNO(msgsnd(id, &m, -1, 0), EINVAL);
	CHECK_ERRNO(msgsnd(-1, &m, 1, 0), EINVAL);
	CHECK_ERRNO(msgsnd(id, BAD_PTR, 1, 0), EFAULT);
	CHECK_ERRNO(msgrcv(id, &m, -1, 0, 0), EINVAL);
	CHECK_ERRNO(msgrcv(0x7ffffff, &m, 1, 0, 0), EINVAL);
	CHECK_ERRNO(msgctl(id, 999, NULL), EINVAL);
	CHECK_ERRNO(syscall(SYS_msgctl, id, IPC_STAT, BAD_PTR), EFAULT);
	drop();
}

TEST(keys)
{
	key_t key = 0x5eed0000 + (getpid() & 0xffff);

	id = OK(msgget(key, IPC_CREAT | 0600));
	CHECK_EQ(msgget(key, 0), id);
	CHECK_ERRNO(msgget(key, IPC_CREAT | IPC_EXCL | 0600), EEXIST);
	drop();
}

TEST(permissions)
{
	pid_t pid;
	struct message m = { 1, "x" };

	need_root();
	make();
	CHILD (pid) {
		become_nobody();
		CHECK_ERRNO(msgsnd(id, &m, 1, 0), EACCES);
		CHECK_ERRNO(msgrcv(id, &m, 1, 0, IPC_NOWAIT), EACCES);
		CHECK_ERRNO(msgctl(id, IPC_RMID, NULL), EPERM);
	}
	wait_ok(pid);
	drop();
}
