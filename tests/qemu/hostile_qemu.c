/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stands in for a QEMU that has fallen to its guest: executed in its place and in its cage, it does
 * the one act of hostile_acts.h that it is told by the monitor's socket ("ACT NEIGHBOUR TAP") and
 * answers with the errno, 0 for success.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/kvm.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#define ACT_KILLED (-1)

enum act {
#define ACT(name, end)	   act_##name,
#define KVM_ACT(name, end) act_##name,
#include "hostile_acts.h"
#undef ACT
#undef KVM_ACT
	ACTS,
};

/* Of the program's descriptor: what the limit of descriptors is. */
static int number_of_program(void)
{
	struct rlimit files;

	return getrlimit(RLIMIT_NOFILE, &files) < 0 ? -1 : (int)files.rlim_cur;
}

static long copy_memory(pid_t neighbour, long call)
{
	static char bytes[16];
	struct iovec here = { bytes, sizeof(bytes) }, there = { bytes, sizeof(bytes) };

	return syscall(call, neighbour, &here, 1L, &there, 1L, 0L);
}

static long try_programs(enum act act)
{
	char *const argv[] = { (char *)"sh", NULL };
	struct rlimit files = { 1 << 20, 1 << 20 };
	uint64_t args[11] = { CLONE_NEWUSER };

	switch (act) {
	case act_execve_a_program:
		return execve("/bin/sh", argv, argv + 1);
	case act_execveat_a_memfd:
		return syscall(SYS_execveat, memfd_create("program", 0), "", argv, argv + 1,
			       AT_EMPTY_PATH);
	case act_execveat_its_own_program_again:
		return syscall(SYS_execveat, open("/kernel", O_RDONLY), "", argv, argv + 1,
			       AT_EMPTY_PATH);
	case act_take_the_number_of_its_program:
		return dup3(1, number_of_program(), 0);
	case act_raise_its_limit_of_descriptors:
		return prlimit(0, RLIMIT_NOFILE, &files, NULL);
	case act_fork_a_process:
		return syscall(SYS_fork);
	case act_clone_a_process:
		return syscall(SYS_clone, SIGCHLD, 0L, 0L, 0L, 0L);
	case act_clone3_a_process:
		return syscall(SYS_clone3, args, sizeof(args));
	case act_clone_a_user_namespace:
		return syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0L, 0L, 0L, 0L);
	case act_unshare_a_user_namespace:
		return unshare(CLONE_NEWUSER);
	default:
		return setns(1, 0);
	}
}

static long try_sockets(enum act act)
{
	struct sockaddr_un name = { AF_UNIX, "\0caisson-test" };

	switch (act) {
	case act_make_an_internet_socket:
		return socket(AF_INET, SOCK_STREAM, 0);
	case act_make_a_netlink_socket:
		return socket(AF_NETLINK, SOCK_RAW, 0);
	case act_make_a_packet_socket:
		return socket(AF_PACKET, SOCK_RAW, 0);
	case act_make_a_unix_socket:
		return socket(AF_UNIX, SOCK_STREAM, 0);
	case act_bind_a_channel:
		return bind(3, (struct sockaddr *)&name, sizeof(name));
	default:
		return connect(3, (struct sockaddr *)&name, sizeof(name));
	}
}

static long try_neighbours(enum act act, pid_t neighbour)
{
	char path[64];

	switch (act) {
	case act_ptrace_a_neighbour:
		return ptrace(PTRACE_ATTACH, neighbour, 0, 0);
	case act_read_a_neighbours_memory:
		return copy_memory(neighbour, SYS_process_vm_readv);
	case act_write_a_neighbours_memory:
		return copy_memory(neighbour, SYS_process_vm_writev);
	case act_open_a_neighbours_memory:
		(void)snprintf(path, sizeof(path), "/proc/%d/mem", (int)neighbour);
		return open(path, O_RDONLY);
	case act_kill_a_neighbour:
		return kill(neighbour, SIGKILL);
	case act_kill_a_neighbours_thread:
		return syscall(SYS_tgkill, neighbour, neighbour, SIGABRT);
	case act_open_a_neighbour:
		return syscall(SYS_pidfd_open, neighbour, 0L);
	case act_take_a_neighbours_descriptor:
		return syscall(SYS_pidfd_getfd, 3L, 0L, 0L);
	default:
		return fcntl(0, F_SETOWN, neighbour);
	}
}

static long try_files(enum act act)
{
	char handle[64] = { 8, 0, 0, 0, 1 };

	switch (act) {
	case act_mount_a_file_system:
		return mount("none", "/", "tmpfs", 0, NULL);
	case act_mount_in_the_new_way:
		return syscall(SYS_fsopen, "tmpfs", 0L);
	case act_change_its_root:
		return chroot("/lib");
	case act_open_by_handle:
		return syscall(SYS_open_by_handle_at, AT_FDCWD, handle, O_RDONLY);
	case act_open_the_kernel_for_writing:
		return open("/kernel", O_RDWR);
	case act_make_a_file:
		return open("/new", O_WRONLY | O_CREAT, 0600);
	case act_make_a_device:
		return mknod("/new", S_IFCHR | 0666, makedev(10, 232));
	case act_open_kvm:
		return open("/dev/kvm", O_RDWR);
	case act_open_tun:
		return open("/dev/net/tun", O_RDWR);
	default:
		return open("/etc/shadow", O_RDONLY);
	}
}

static long try_devices(enum act act, int tap)
{
	struct ifreq request = { .ifr_name = "caisson0" };

	switch (act) {
	case act_ask_kvm:
		return ioctl(0, KVM_CREATE_VM, 0);
	case act_keep_the_tap_for_ever:
		return ioctl(tap, TUNSETPERSIST, 1);
	case act_take_another_tap:
		return ioctl(tap, TUNSETIFF, &request);
	default:
		return ioctl(0, TIOCSTI, "x");
	}
}

static long try_rights(enum act act)
{
	uint32_t header[2] = { 0x20080522, 0 }, data[6] = { ~0u, ~0u, ~0u };

	switch (act) {
	case act_become_root:
		return syscall(SYS_setresuid, 0L, 0L, 0L);
	case act_take_capabilities:
		return syscall(SYS_capset, header, data);
	case act_drop_its_death_signal:
		return prctl(PR_SET_PDEATHSIG, 0);
	case act_become_dumpable:
		return prctl(PR_SET_DUMPABLE, 1);
	case act_lock_memory:
		return mlockall(MCL_CURRENT);
	default:
		return setpriority(PRIO_PROCESS, 0, -20);
	}
}

static long call_i386(void)
{
	long r;

	__asm__ volatile("int $0x80" : "=a"(r) : "a"(20L) : "memory");
	errno = 0;
	return r;
}

static long try_kernel(enum act act)
{
	static char zeros[256];

	switch (act) {
	case act_use_userfaultfd:
		return syscall(SYS_userfaultfd, 1L);
	case act_use_io_uring:
		return syscall(SYS_io_uring_setup, 8L, zeros);
	case act_use_keys:
		return syscall(SYS_keyctl, 0L, -3L, 1L);
	case act_use_bpf:
		return syscall(SYS_bpf, 0L, zeros, sizeof(zeros));
	case act_use_perf:
		return syscall(SYS_perf_event_open, zeros, 0L, -1L, -1L, 0L);
	case act_share_pages_by_content:
		return madvise(mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0),
			       4096, MADV_MERGEABLE);
	case act_make_system_v_memory:
		return shmget(1234, 4096, IPC_CREAT | 0600);
	case act_use_calls_of_i386:
		return call_i386();
	default:
		return syscall(0x40000000L + SYS_getpid);
	}
}

/* Each succeeds in a process without the filter. */
static long try_code(enum act act)
{
	const int file = memfd_create("code", MFD_CLOEXEC);
	void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	void *code = MAP_FAILED;

	if (page == MAP_FAILED || (file >= 0 && ftruncate(file, 4096) < 0))
		return 0;
	switch (act) {
	case act_map_memory_to_write_and_execute:
		code = mmap(NULL, 4096, PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		break;
	case act_execute_memory_that_it_has_written:
		*(char *)page = 1;
		return mprotect(page, 4096, PROT_READ | PROT_EXEC);
	case act_map_memory_to_execute:
		code = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		break;
	default:
		code = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_SHARED, file, 0);
	}
	return code == MAP_FAILED ? -1 : 0;
}

static long try(enum act act, pid_t neighbour, int tap)
{
	if (act >= act_map_memory_to_write_and_execute)
		return try_code(act);
	if (act <= act_enter_a_namespace)
		return try_programs(act);
	if (act <= act_connect_a_channel_to_an_abstract_socket)
		return try_sockets(act);
	if (act <= act_have_a_signal_sent)
		return try_neighbours(act, neighbour);
	if (act <= act_read_the_hosts_passwords)
		return try_files(act);
	if (act <= act_type_into_a_terminal)
		return try_devices(act, tap);
	if (act == act_lock_memory || act == act_be_first_in_the_queue ||
	    act <= act_become_dumpable)
		return try_rights(act);
	return try_kernel(act);
}

int main(int argc, char **argv)
{
	int monitor = -1, act = -1, neighbour = 0, tap = -1;
	char text[64];
	ssize_t n;

	for (int i = 1; i < argc; i++)
		(void)sscanf(argv[i], "socket,id=monitor,fd=%d", &monitor);
	n = read(monitor, text, sizeof(text) - 1);
	text[n > 0 ? n : 0] = '\0';
	if (sscanf(text, "%d %d %d", &act, &neighbour, &tap) != 3 || act < 0 || act >= ACTS)
		return 1;
	errno = 0;
	n = try((enum act)act, neighbour, tap) < 0 ? errno : 0;
	n = snprintf(text, sizeof(text), "%d", (int)n);
	return write(monitor, text, (size_t)n) != n;
}
