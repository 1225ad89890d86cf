/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli/do_seccomp.c - the system calls of a `caisson do` sandbox.
 *
 * A list of what is allowed; everything else is EPERM, and clone3(2) is ENOSYS so that the C library
 * falls back to clone(2), whose flags a filter can see. Left out on purpose: namespaces and mounts
 * (clone flags, unshare, setns, mount and its family, pivot_root), kernel surface that untrusted
 * programs rarely need (bpf, perf_event_open, userfaultfd, io_uring, keyrings, kexec, modules, quota,
 * swap, fanotify, open_by_handle_at, raw port I/O, clock setting, NUMA page migration, acct, lookup_dcookie)
 * and socket families other than unix, IPv4, IPv6 and netlink (no packet, vsock, alg, bluetooth ...).
 */
#include "base/str.h"
#include "cli/do_spec.h"

#define NR_EPERM  1
#define NR_ENOSYS 38

/* CLONE_NEWTIME | NEWNS | NEWCGROUP | NEWUTS | NEWIPC | NEWUSER | NEWPID | NEWNET of clone(2). */
#define CLONE_NAMESPACES 0x7e020080u

static const char *const allowed[] = {
	/* files and directories */
	"access", "chdir", "chmod", "chown", "chown32", "close", "close_range", "copy_file_range",
	"creat", "dup", "dup2", "dup3", "faccessat", "faccessat2", "fadvise64", "fadvise64_64",
	"fallocate", "fchdir", "fchmod", "fchmodat", "fchmodat2", "fchown", "fchown32", "fchownat",
	"fcntl", "fcntl64", "fdatasync", "fgetxattr", "flistxattr", "flock", "fremovexattr",
	"fsetxattr", "fstat", "fstat64", "fstatat64", "fstatfs", "fstatfs64", "fsync", "ftruncate",
	"ftruncate64", "futimesat", "getcwd", "getdents", "getdents64", "getxattr", "inotify_add_watch",
	"inotify_init", "inotify_init1", "inotify_rm_watch", "ioctl", "lchown", "lchown32",
	"lgetxattr", "link", "linkat", "listxattr", "llistxattr", "_llseek", "lremovexattr", "lseek",
	"lsetxattr", "lstat", "lstat64", "mkdir", "mkdirat", "mknod", "mknodat", "newfstatat", "open",
	"openat", "openat2", "pread64", "preadv", "preadv2", "pwrite64", "pwritev", "pwritev2", "read",
	"readahead", "readlink", "readlinkat", "readv", "removexattr", "rename", "renameat",
	"renameat2", "rmdir", "sendfile", "sendfile64", "setxattr", "splice", "stat", "stat64",
	"statfs", "statfs64", "statx", "symlink", "symlinkat", "sync", "sync_file_range",
	"sync_file_range2", "syncfs", "tee", "truncate", "truncate64", "umask", "unlink", "unlinkat",
	"utime", "utimensat", "utimensat_time64", "utimes", "vmsplice", "write", "writev",
	/* waiting */
	"epoll_create", "epoll_create1", "epoll_ctl", "epoll_ctl_old", "epoll_pwait", "epoll_pwait2",
	"epoll_wait", "epoll_wait_old", "eventfd", "eventfd2", "_newselect", "poll", "ppoll",
	"ppoll_time64", "pselect6", "pselect6_time64", "select", "signalfd", "signalfd4",
	"timerfd_create", "timerfd_gettime", "timerfd_gettime64", "timerfd_settime",
	"timerfd_settime64", "io_cancel", "io_destroy", "io_getevents", "io_pgetevents",
	"io_pgetevents_time64", "io_setup", "io_submit", "pipe", "pipe2",
	/* memory */
	"brk", "cachestat", "get_mempolicy", "madvise", "map_shadow_stack", "membarrier",
	"memfd_create", "mincore", "mlock", "mlock2", "mlockall", "mmap", "mmap2", "mprotect",
	"mremap", "mseal", "msync", "munlock", "munlockall", "munmap", "pkey_alloc", "pkey_free",
	"pkey_mprotect", "process_madvise", "process_mrelease", "remap_file_pages",
	/* processes and threads; clone has a rule of its own */
	"arch_prctl", "capget", "capset", "execve", "execveat", "exit", "exit_group", "fork", "futex",
	"futex_requeue", "futex_time64", "futex_wait", "futex_waitv", "futex_wake", "get_robust_list",
	"get_thread_area", "getcpu", "getegid", "getegid32", "geteuid", "geteuid32", "getgid",
	"getgid32", "getgroups", "getgroups32", "getpgid", "getpgrp", "getpid", "getppid",
	"getpriority", "getresgid", "getresgid32", "getresuid", "getresuid32", "getrlimit",
	"getrusage", "getsid", "gettid", "getuid", "getuid32", "ioprio_get", "ioprio_set", "kcmp",
	"kill", "landlock_add_rule", "landlock_create_ruleset", "landlock_restrict_self",
	"modify_ldt", "nanosleep", "nice", "pause", "personality", "pidfd_getfd", "pidfd_open",
	"pidfd_send_signal", "prctl", "prlimit64", "process_vm_readv", "process_vm_writev", "ptrace",
	"restart_syscall", "rseq", "sched_get_priority_max", "sched_get_priority_min",
	"sched_getaffinity", "sched_getattr", "sched_getparam", "sched_getscheduler",
	"sched_rr_get_interval", "sched_rr_get_interval_time64", "sched_setaffinity", "sched_setattr",
	"sched_setparam", "sched_setscheduler", "sched_yield", "seccomp", "set_robust_list",
	"set_thread_area", "set_tid_address", "setfsgid", "setfsgid32", "setfsuid", "setfsuid32",
	"setgid", "setgid32", "setgroups", "setgroups32", "setpgid", "setpriority", "setregid",
	"setregid32", "setresgid", "setresgid32", "setresuid", "setresuid32", "setreuid",
	"setreuid32", "setrlimit", "setsid", "setuid", "setuid32", "sysinfo", "tgkill", "times",
	"tkill", "ugetrlimit", "uname", "vfork", "wait4", "waitid", "waitpid",
	/* signals and time */
	"alarm", "clock_getres", "clock_getres_time64", "clock_gettime", "clock_gettime64",
	"clock_nanosleep", "clock_nanosleep_time64", "getitimer", "gettimeofday", "rt_sigaction",
	"rt_sigpending", "rt_sigprocmask", "rt_sigqueueinfo", "rt_sigreturn", "rt_sigsuspend",
	"rt_sigtimedwait", "rt_sigtimedwait_time64", "rt_tgsigqueueinfo", "setitimer", "sigaction",
	"sigaltstack", "signal", "sigpending", "sigprocmask", "sigreturn", "sigsuspend", "time",
	"timer_create", "timer_delete", "timer_getoverrun", "timer_gettime", "timer_gettime64",
	"timer_settime", "timer_settime64",
	/* communication; socket has rules of its own */
	"accept", "accept4", "bind", "connect", "getpeername", "getsockname", "getsockopt", "listen",
	"mq_getsetattr", "mq_notify", "mq_open", "mq_timedreceive", "mq_timedreceive_time64",
	"mq_timedsend", "mq_timedsend_time64", "mq_unlink", "msgctl", "msgget", "msgrcv", "msgsnd",
	"recv", "recvfrom", "recvmmsg", "recvmmsg_time64", "recvmsg", "semctl", "semget", "semop",
	"semtimedop", "semtimedop_time64", "send", "sendmmsg", "sendmsg", "sendto", "setsockopt",
	"shmat", "shmctl", "shmdt", "shmget", "shutdown", "socketpair",
	/* the rest */
	"chroot", "getrandom",
};

static const int socket_families[] = {
	1,  /* AF_UNIX */
	2,  /* AF_INET */
	10, /* AF_INET6 */
	16, /* AF_NETLINK */
};

static json_t *allowed_names(void)
{
	json_t *names = json_array();

	for (size_t i = 0; i < ARRAY_LEN(allowed); i++) {
		if (json_array_append_new(names, json_string(allowed[i])) < 0) {
			json_decref(names);
			return NULL;
		}
	}
	return names;
}

json_t *do_seccomp_profile(void)
{
	AUTO_JSON json_t *rules = json_pack(
		"[{s:o, s:s}, {s:[s], s:s, s:[{s:i, s:I, s:I, s:s}]}, {s:[s], s:s, s:i}]",
		/* what is allowed as it is */
		"names", allowed_names(), "action", "SCMP_ACT_ALLOW",
		/* clone without a single flag of a new namespace */
		"names", "clone", "action", "SCMP_ACT_ALLOW", "args", "index", 0, "value",
		(json_int_t)CLONE_NAMESPACES, "valueTwo", (json_int_t)0, "op",
		"SCMP_CMP_MASKED_EQ",
		/* and clone3, whose flags are out of sight */
		"names", "clone3", "action", "SCMP_ACT_ERRNO", "errnoRet", NR_ENOSYS);

	if (!rules)
		return NULL;
	for (size_t i = 0; i < ARRAY_LEN(socket_families); i++) {
		json_t *rule = json_pack("{s:[s], s:s, s:[{s:i, s:i, s:s}]}", "names", "socket",
					 "action", "SCMP_ACT_ALLOW", "args", "index", 0, "value",
					 socket_families[i], "op", "SCMP_CMP_EQ");

		if (json_array_append_new(rules, rule) < 0)
			return NULL;
	}
	return json_pack("{s:s, s:i, s:O}", "defaultAction", "SCMP_ACT_ERRNO", "defaultErrnoRet",
			 NR_EPERM, "syscalls", rules);
}
