/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A sentry that has fallen: what it tries behind its cage. Each row is judged by both filters, with
 * and without the host's network, and what both forbid is tried in a process that is in the cage:
 * it must be its death.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <linux/futex.h>
#include <linux/memfd.h>
#include <linux/netlink.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/str.h"
#include "jail/jail.h"
#include "unit/jail/cbpf.h"
#include "wire/sentry_msg.h"

extern const struct sock_filter sentry_filter[], sentry_network_filter[];
extern const unsigned short sentry_filter_len, sentry_network_filter_len;

#define YES  SECCOMP_RET_ALLOW
#define NO   SECCOMP_RET_KILL_PROCESS
#define HIGH (1ull << 32)
#define PA   (MAP_PRIVATE | MAP_ANONYMOUS)
#define RW   (PROT_READ | PROT_WRITE)
#define NEW  (SOCK_CLOEXEC | SOCK_NONBLOCK)

/* The same in both. */
static const struct cbpf_case cases[] = {
	{ "futex wait", SYS_futex, { 0, FUTEX_WAIT_PRIVATE }, YES },
	{ "futex wake", SYS_futex, { 0, FUTEX_WAKE, INT32_MAX }, YES },
	{ "futex wait until", SYS_futex, { 0, FUTEX_WAIT_BITSET | 128 | 256 }, YES },
	{ "futex requeue", SYS_futex, { 0, FUTEX_REQUEUE }, NO },
	{ "futex cmp requeue", SYS_futex, { 0, FUTEX_CMP_REQUEUE_PRIVATE }, NO },
	{ "futex lock pi", SYS_futex, { 0, FUTEX_LOCK_PI }, NO },
	{ "futex cmp requeue pi", SYS_futex, { 0, FUTEX_CMP_REQUEUE_PI }, NO },
	{ "futex wake op", SYS_futex, { 0, FUTEX_WAKE_OP }, NO },
	{ "futex waitv", 449, { 0 }, NO },
	{ "the loop", SYS_epoll_pwait2, { 3, 0, 64, 0, 0 }, YES },
	{ "the loop with a mask", SYS_epoll_pwait2, { 3, 0, 64, 0, 4096 }, NO },
	{ "another loop", SYS_epoll_create1, { 0 }, NO },
	{ "preadv2", SYS_preadv2, { 9, 0, 1, 0, 0, RWF_NOWAIT }, YES },
	{ "preadv2 polling", SYS_preadv2, { 9, 0, 1, 0, 0, RWF_HIPRI }, NO },
	{ "pwritev2", SYS_pwritev2, { 9, 0, 1, 0, 0, RWF_APPEND }, YES },
	{ "pwritev2 atomic", SYS_pwritev2, { 9, 0, 1, 0, 0, 0x40 }, NO },
	{ "lseek data", SYS_lseek, { 9, 0, SEEK_DATA }, YES },
	{ "lseek elsewhere", SYS_lseek, { 9, 0, 7 }, NO },
	{ "fstat", SYS_newfstatat, { 9, 0, 0, AT_EMPTY_PATH }, YES },
	{ "stat of a name", SYS_newfstatat, { 9, 0, 0, 0 }, NO },
	{ "statx", SYS_statx, { 9, 0, AT_EMPTY_PATH }, NO },
	{ "fallocate hole", SYS_fallocate, { 9, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE }, YES },
	{ "fallocate collapse", SYS_fallocate, { 9, FALLOC_FL_COLLAPSE_RANGE }, NO },
	{ "fallocate insert", SYS_fallocate, { 9, FALLOC_FL_INSERT_RANGE }, NO },
	{ "fallocate unshare", SYS_fallocate, { 9, FALLOC_FL_UNSHARE_RANGE }, NO },
	{ "fcntl getfl", SYS_fcntl, { 9, F_GETFL }, YES },
	{ "fcntl dup", SYS_fcntl, { 9, F_DUPFD_CLOEXEC, 0 }, YES },
	{ "fcntl seals", SYS_fcntl, { 9, F_ADD_SEALS, F_SEAL_SEAL }, YES },
	{ "fcntl dup to keep", SYS_fcntl, { 9, F_DUPFD, 0 }, NO },
	{ "fcntl close-on-exec", SYS_fcntl, { 9, F_SETFD, 0 }, NO },
	{ "fcntl owner", SYS_fcntl, { 9, F_SETOWN, 1 }, NO },
	{ "fcntl owner ex", SYS_fcntl, { 9, F_SETOWN_EX, 1 }, NO },
	{ "fcntl signal", SYS_fcntl, { 9, F_SETSIG, SIGKILL }, NO },
	{ "fcntl lease", SYS_fcntl, { 9, F_SETLEASE, F_WRLCK }, NO },
	{ "fcntl notify", SYS_fcntl, { 9, F_NOTIFY, 0 }, NO },
	{ "fcntl pipe size", SYS_fcntl, { 9, F_SETPIPE_SZ, 1 << 20 }, NO },
	{ "fcntl lock", SYS_fcntl, { 9, F_SETLK, 0 }, NO },
	{ "fcntl with high bits", SYS_fcntl, { 9, HIGH | F_GETFL }, NO },
	{ "poll one", SYS_poll, { 0, 1, 0 }, YES },
	{ "poll many", SYS_poll, { 0, 2, 0 }, NO },
	{ "grant", SYS_ioctl, { 9, SECCOMP_IOCTL_NOTIF_SEND }, YES },
	{ "donate", SYS_ioctl, { 9, SECCOMP_IOCTL_NOTIF_ADDFD }, YES },
	{ "terminal size", SYS_ioctl, { 9, TIOCGWINSZ }, YES },
	{ "terminal input", SYS_ioctl, { 0, TIOCSTI }, NO },
	{ "terminal input with high bits", SYS_ioctl, { 0, HIGH | TIOCSTI }, NO },
	{ "terminal discipline", SYS_ioctl, { 0, TIOCSETD }, NO },
	{ "terminal steal", SYS_ioctl, { 0, TIOCSCTTY, 1 }, NO },
	{ "console paste", SYS_ioctl, { 0, TIOCLINUX }, NO },
	{ "console of the host", SYS_ioctl, { 0, TIOCCONS }, NO },
	{ "terminal group", SYS_ioctl, { 0, TIOCSPGRP }, NO },
	{ "flags of a file", SYS_ioctl, { 9, FS_IOC_SETFLAGS }, NO },
	{ "clone of a file", SYS_ioctl, { 9, FICLONE, 8 }, NO },
	{ "owner by ioctl", SYS_ioctl, { 9, FIOSETOWN }, NO },
	{ "async by ioctl", SYS_ioctl, { 9, FIOASYNC }, NO },
	{ "tun", SYS_ioctl, { 9, 0x400454ca }, NO },
	{ "kvm", SYS_ioctl, { 9, 0xae01 }, NO },
	{ "answer", SYS_sendmsg, { 9, 0, MSG_NOSIGNAL | MSG_DONTWAIT }, YES },
	{ "answer with a signal", SYS_sendmsg, { 9, 0, 0 }, NO },
	{ "send zero copy", SYS_sendmsg, { 9, 0, MSG_NOSIGNAL | MSG_ZEROCOPY }, NO },
	{ "send fast open", SYS_sendmsg, { 9, 0, MSG_NOSIGNAL | MSG_FASTOPEN }, NO },
	{ "send", SYS_sendto, { 9, 0, 8, MSG_NOSIGNAL, 0 }, YES },
	{ "send to a name", SYS_sendto, { 9, 0, 8, MSG_NOSIGNAL, 4096, 16 }, NO },
	{ "receive from", SYS_recvfrom, { 9 }, NO },
	{ "control", SYS_accept4, { SENTRY_FD_CONTROL, 0, 0, NEW }, YES },
	{ "control, blocking", SYS_accept4, { SENTRY_FD_CONTROL, 0, 0, SOCK_CLOEXEC }, NO },
	{ "socket of the gofer's", SYS_accept4, { 9, 0, 0, NEW }, YES },
	{ "an end", SYS_shutdown, { 9, SHUT_WR }, YES },
	{ "an end of another kind", SYS_shutdown, { 9, 3 }, NO },
	{ "accept", SYS_accept, { SENTRY_FD_CONTROL }, NO },
	{ "who calls", SYS_getsockopt, { 9, SOL_SOCKET, SO_PEERCRED }, YES },
	{ "unix socket", SYS_socket, { AF_UNIX, SOCK_STREAM, 0 }, NO },
	{ "packet socket", SYS_socket, { AF_PACKET, SOCK_RAW | NEW, 0 }, NO },
	{ "raw socket", SYS_socket, { AF_INET, SOCK_RAW | NEW, IPPROTO_ICMP }, NO },
	{ "mptcp", SYS_socket, { AF_INET, SOCK_STREAM | NEW, 262 }, NO },
	{ "sctp", SYS_socket, { AF_INET, SOCK_STREAM | NEW, 132 }, NO },
	{ "vsock", SYS_socket, { AF_VSOCK, SOCK_STREAM | NEW, 0 }, NO },
	{ "crypto socket", SYS_socket, { AF_ALG, SOCK_SEQPACKET | NEW, 0 }, NO },
	{ "netfilter", SYS_socket, { AF_NETLINK, SOCK_RAW | NEW, NETLINK_NETFILTER }, NO },
	{ "audit", SYS_socket, { AF_NETLINK, SOCK_RAW | NEW, NETLINK_AUDIT }, NO },
	{ "socket pair", SYS_socketpair, { AF_UNIX, SOCK_SEQPACKET | NEW, 0 }, NO },
	{ "filter of a socket", SYS_setsockopt, { 9, SOL_SOCKET, SO_ATTACH_FILTER }, NO },
	{ "bpf of a socket", SYS_setsockopt, { 9, SOL_SOCKET, SO_ATTACH_BPF }, NO },
	{ "device of a socket", SYS_setsockopt, { 9, SOL_SOCKET, SO_BINDTODEVICE }, NO },
	{ "mark of a socket", SYS_setsockopt, { 9, SOL_SOCKET, SO_MARK }, NO },
	{ "tcp ulp", SYS_setsockopt, { 9, IPPROTO_TCP, TCP_ULP }, NO },
	{ "tcp repair", SYS_setsockopt, { 9, IPPROTO_TCP, TCP_REPAIR }, NO },
	{ "tcp md5", SYS_setsockopt, { 9, IPPROTO_TCP, TCP_MD5SIG }, NO },
	{ "netlink group", SYS_setsockopt, { 9, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP }, NO },
	{ "iptables", SYS_setsockopt, { 9, IPPROTO_IP, 64 }, NO },
	{ "heap", SYS_mmap, { 0, 4096, RW, PA, UINT64_MAX }, YES },
	{ "heap at a place", SYS_mmap, { 0, 4096, RW, PA | MAP_FIXED | MAP_NORESERVE }, YES },
	{ "window", SYS_mmap, { 0, 4096, RW, MAP_SHARED, 9 }, YES },
	{ "code", SYS_mmap, { 0, 4096, PROT_READ | PROT_EXEC, PA }, NO },
	{ "code of a file", SYS_mmap, { 0, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, 9 }, NO },
	{ "code of all rights", SYS_mmap, { 0, 4096, RW | PROT_EXEC, PA }, NO },
	{ "only code", SYS_mmap, { 0, 4096, PROT_EXEC, MAP_SHARED, 9 }, NO },
	{ "prot with high bits", SYS_mmap, { 0, 4096, HIGH | RW, PA }, NO },
	{ "grows down", SYS_mmap, { 0, 4096, RW, PA | MAP_GROWSDOWN }, NO },
	{ "huge", SYS_mmap, { 0, 2 << 20, RW, PA | MAP_HUGETLB }, NO },
	{ "locked", SYS_mmap, { 0, 4096, RW, PA | MAP_LOCKED }, NO },
	{ "flags with high bits", SYS_mmap, { 0, 4096, RW, HIGH | PA }, NO },
	{ "synchronous", SYS_mmap, { 0, 4096, RW, 0x80003, 9 }, NO },
	{ "guard", SYS_mprotect, { 0, 4096, PROT_NONE }, YES },
	{ "make code", SYS_mprotect, { 0, 4096, PROT_READ | PROT_EXEC }, NO },
	{ "make code of all rights", SYS_mprotect, { 0, 4096, RW | PROT_EXEC }, NO },
	{ "mprotect growsdown", SYS_mprotect, { 0, 4096, RW | 0x01000000 }, NO },
	{ "key", SYS_pkey_mprotect, { 0, 4096, RW, 1 }, NO },
	{ "heap grows", SYS_mremap, { 0, 4096, 8192, MREMAP_MAYMOVE }, YES },
	{ "move to a place", SYS_mremap, { 0, 4096, 4096, 3, 0 }, NO },
	{ "advice", SYS_madvise, { 0, 4096, MADV_DONTNEED }, NO },
	{ "poison", SYS_madvise, { 0, 4096, MADV_HWPOISON }, NO },
	{ "page file", SYS_memfd_create, { 0, MFD_CLOEXEC | MFD_ALLOW_SEALING }, YES },
	{ "page file that stays", SYS_memfd_create, { 0, 0 }, NO },
	{ "huge page file", SYS_memfd_create, { 0, MFD_CLOEXEC | MFD_HUGETLB }, NO },
	{ "guest memory", SYS_process_vm_readv, { 9, 0, 1, 0, 1, 0 }, YES },
	{ "guest memory in pieces", SYS_process_vm_writev, { 9, 0, 1, 0, 1000, 0 }, NO },
	{ "process_madvise", SYS_process_madvise, { 9 }, NO },
	{ "birth", SYS_pidfd_open, { 9, 0 }, YES },
	{ "descriptor of another", SYS_pidfd_getfd, { 9, 0, 0 }, NO },
	{ "end of a stub", SYS_pidfd_send_signal, { 9, SIGKILL, 0, 0 }, YES },
	{ "another signal", SYS_pidfd_send_signal, { 9, SIGTERM, 0, 0 }, NO },
	{ "a forged signal", SYS_pidfd_send_signal, { 9, SIGURG, 4096, 0 }, NO },
	{ "kick", SYS_tgkill, { 9, 9, SIGURG }, YES },
	{ "stop of a thread", SYS_tgkill, { 9, 9, SIGSTOP }, NO },
	{ "kill", SYS_kill, { (uint64_t)-1, SIGKILL }, NO },
	{ "tkill", SYS_tkill, { 1, SIGKILL }, NO },
	{ "queued signal", SYS_rt_sigqueueinfo, { 1, SIGKILL, 0 }, NO },
	{ "CPU", SYS_sched_setaffinity, { 9, 128, 0 }, YES },
	{ "CPU of any size", SYS_sched_setaffinity, { 9, 4096, 0 }, NO },
	{ "real-time", SYS_sched_setscheduler, { 0, 1, 0 }, NO },
	{ "nice", SYS_setpriority, { 0, 0, (uint64_t)-20 }, NO },
	{ "open", SYS_open, { 0, 0 }, NO },
	{ "openat", SYS_openat, { (uint64_t)AT_FDCWD, 0, O_RDONLY }, NO },
	{ "openat2", SYS_openat2, { (uint64_t)AT_FDCWD }, NO },
	{ "by handle", SYS_open_by_handle_at, { 9, 0, 0 }, NO },
	{ "open_tree", 428, { 9, 0, 0 }, NO },
	{ "creat", SYS_creat, { 0, 0 }, NO },
	{ "unlink", SYS_unlinkat, { 9, 0, 0 }, NO },
	{ "rename", SYS_renameat2, { 9, 0, 9, 0, 0 }, NO },
	{ "change root", SYS_chroot, { 0 }, NO },
	{ "change directory", SYS_fchdir, { 9 }, NO },
	{ "mount", SYS_mount, { 0 }, NO },
	{ "fsopen", 430, { 0 }, NO },
	{ "execve", SYS_execve, { 0 }, NO },
	{ "execveat", SYS_execveat, { 9, 0, 0, 0, AT_EMPTY_PATH }, NO },
	{ "fork", SYS_fork, { 0 }, NO },
	{ "vfork", SYS_vfork, { 0 }, NO },
	{ "clone", SYS_clone, { SIGCHLD }, NO },
	{ "clone into a user namespace", SYS_clone, { CLONE_NEWUSER | SIGCHLD }, NO },
	{ "clone3", SYS_clone3, { 0, 64 }, NO },
	{ "unshare", SYS_unshare, { CLONE_NEWUSER }, NO },
	{ "setns", SYS_setns, { 9, 0 }, NO },
	{ "wait", SYS_wait4, { (uint64_t)-1 }, NO },
	{ "ptrace", SYS_ptrace, { 16, 1 }, NO },
	{ "prctl dumpable", SYS_prctl, { PR_SET_DUMPABLE, 1 }, NO },
	{ "prctl name", SYS_prctl, { PR_SET_NAME, 0 }, NO },
	{ "arch_prctl", SYS_arch_prctl, { 0x1002, 0 }, NO },
	{ "seccomp", SYS_seccomp, { 1, 0, 0 }, NO },
	{ "setuid", SYS_setuid, { 0 }, NO },
	{ "setgroups", SYS_setgroups, { 0, 0 }, NO },
	{ "capset", SYS_capset, { 0, 0 }, NO },
	{ "prlimit", SYS_prlimit64, { 1, 7, 0, 0 }, NO },
	{ "dup", SYS_dup, { 9 }, NO },
	{ "dup3", SYS_dup3, { 9, 10, 0 }, NO },
	{ "pipe", SYS_pipe2, { 0, 0 }, NO },
	{ "splice", SYS_splice, { 9, 0, 9, 0, 1, 0 }, NO },
	{ "vmsplice", SYS_vmsplice, { 9, 0, 1, 0 }, NO },
	{ "sendfile", SYS_sendfile, { 9, 9, 0, 1 }, NO },
	{ "copy_file_range", SYS_copy_file_range, { 9, 0, 9, 0, 1, 0 }, NO },
	{ "userfaultfd", SYS_userfaultfd, { 0 }, NO },
	{ "io_uring", SYS_io_uring_setup, { 1, 0 }, NO },
	{ "io_submit", SYS_io_submit, { 0 }, NO },
	{ "bpf", SYS_bpf, { 0 }, NO },
	{ "perf", SYS_perf_event_open, { 0 }, NO },
	{ "keyctl", SYS_keyctl, { 0 }, NO },
	{ "add_key", SYS_add_key, { 0 }, NO },
	{ "init_module", SYS_init_module, { 0 }, NO },
	{ "kexec", SYS_kexec_load, { 0 }, NO },
	{ "reboot", SYS_reboot, { 0 }, NO },
	{ "shmget", SYS_shmget, { 0, 4096, 01666 }, NO },
	{ "timer", SYS_timer_create, { 0 }, NO },
	{ "mlock", SYS_mlock, { 0, 4096 }, NO },
	{ "sigaction", SYS_rt_sigaction, { SIGSEGV }, NO },
	{ "rseq", 334, { 0 }, NO },
	{ "birth of a stub", 1023, { 0 }, NO },
	{ "a call of tomorrow", 600, { 0 }, NO },
};

/* With --network=host; without it all of them are NO. */
static const struct cbpf_case network[] = {
	{ "tcp", SYS_socket, { AF_INET, SOCK_STREAM | NEW, IPPROTO_TCP }, YES },
	{ "udp six", SYS_socket, { AF_INET6, SOCK_DGRAM | NEW, IPPROTO_UDP }, YES },
	{ "routes", SYS_socket, { AF_NETLINK, SOCK_RAW | NEW, NETLINK_ROUTE }, YES },
	{ "bind", SYS_bind, { 9 }, YES },
	{ "connect", SYS_connect, { 9 }, YES },
	{ "reuse", SYS_setsockopt, { 9, SOL_SOCKET, SO_REUSEADDR }, YES },
	{ "nodelay", SYS_setsockopt, { 9, IPPROTO_TCP, TCP_NODELAY }, YES },
	{ "interface flags", SYS_ioctl, { 9, SIOCGIFFLAGS }, YES },
};
static const struct cbpf_case network_never[] = {
	{ "set interface flags", SYS_ioctl, { 9, SIOCSIFFLAGS }, NO },
	{ "set an address", SYS_ioctl, { 9, SIOCSIFADDR }, NO },
	{ "new route", SYS_ioctl, { 9, SIOCADDRT }, NO },
	{ "bridge", SYS_ioctl, { 9, SIOCBRADDBR }, NO },
};

static void the_list_allows_what_it_says_and_no_more(void **state)
{
	cbpf_check(sentry_filter, sentry_filter_len, cases, ARRAY_LEN(cases), NO);
	cbpf_check(sentry_network_filter, sentry_network_filter_len, cases, ARRAY_LEN(cases), NO);
	cbpf_check(sentry_network_filter, sentry_network_filter_len, network, ARRAY_LEN(network),
		   NO);
	cbpf_check(sentry_network_filter, sentry_network_filter_len, network_never,
		   ARRAY_LEN(network_never), NO);
	for (size_t i = 0; i < ARRAY_LEN(network); i++) {
		struct cbpf_case alone = network[i];

		alone.verdict = NO;
		cbpf_check(sentry_filter, sentry_filter_len, &alone, 1, NO);
	}
}

enum gate {
	SYSCALL,
	X32,
	INT80,
};

__attribute__((noreturn)) static void fall(const struct cbpf_case *c, enum gate gate, bool net)
{
	const uint64_t *a = c->args;

	if (jail_no_dump() < 0 || jail_capabilities(0) < 0 ||
	    jail_filter(net ? sentry_network_filter : sentry_filter,
			net ? sentry_network_filter_len : sentry_filter_len,
			SECCOMP_FILTER_FLAG_TSYNC) < 0)
		_exit(2);
	if (gate == INT80)
		__asm__ volatile("int $0x80" : : "a"(20) : "memory"); /* getpid of i386 */
	(void)syscall(c->nr | (gate == X32 ? 0x40000000 : 0), a[0], a[1], a[2], a[3], a[4], a[5]);
	_exit(1);
}

static bool dies(const struct cbpf_case *c, enum gate gate, bool net)
{
	const pid_t pid = fork();
	int status = 0;

	if (pid == 0)
		fall(c, gate, net);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS;
}

static void what_is_not_allowed_is_its_death(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		if (cases[i].verdict == NO &&
		    !(dies(&cases[i], SYSCALL, false) && dies(&cases[i], SYSCALL, true)))
			fail_msg("%s: it lives", cases[i].what);
	}
}

static void the_other_doors_of_the_kernel_are_closed(void **state)
{
	const struct cbpf_case harmless = { "getpid", SYS_futex, { 0, FUTEX_WAKE }, YES };

	assert_true(dies(&harmless, X32, false));
	assert_true(dies(&harmless, INT80, false));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_list_allows_what_it_says_and_no_more),
		cmocka_unit_test(what_is_not_allowed_is_its_death),
		cmocka_unit_test(the_other_doors_of_the_kernel_are_closed),
	};

	return cmocka_run_group_tests_name("fallen sentry", tests, NULL, NULL);
}
