/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wire/sentry_msg.h - what the runtime (src/runtime/sentry) and the sentry (src/sentry/boot) say to
 * each other.
 *
 * Start: caisson-sentry is executed as `caisson-sentry ID` with the descriptors of enum sentry_fd
 * and no others, an empty environment and an empty root directory. SENTRY_FD_DESCRIPTION is a
 * sealed memfd that holds one struct sentry_container in the form of wire/sentry_codec.h. On
 * SENTRY_FD_REPORT (SOCK_SEQPACKET, struct sentry_report) it says SENTRY_REPORT_READY when the
 * container's first process is loaded and waits at the gate and the cage is closed, or
 * SENTRY_REPORT_FAILED with a sentence and ends. Then the runtime says one byte there,
 * SENTRY_GO_RELEASE (create: the sandbox outlives its maker) or SENTRY_GO_START (run: open the
 * gate; answered by SENTRY_REPORT_STARTED). An end of file before that byte ends the sentry.
 *
 * Afterwards: the control server listens on SENTRY_FD_CONTROL (SOCK_SEQPACKET). A connection asks
 * one thing at a time: struct sentry_request with what its type says behind it, answered by struct
 * sentry_reply with the same type. EXEC holds its connection: after the reply with the pid come
 * SIGNAL and RESIZE requests for that process, and at its end a reply of type SENTRY_EXITED; the
 * end of the connection kills the process. CREATE adds a container to the sandbox, with a control
 * socket of its own, on which all these are asked of that container.
 *
 * The sentry's exit status is the container's: the exit code, 128 + n for signal n.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SENTRY_MSG_MAGIC   0x53414943u /* "CIAS" */
#define SENTRY_MSG_VERSION 1u
#define SENTRY_MSG_MAX	   (16u << 20) /* bytes of a description */

enum sentry_fd {
	/* 0, 1 and 2 are /dev/null. */
	SENTRY_FD_DESCRIPTION = 3,
	SENTRY_FD_CONTROL, /* listening */
	SENTRY_FD_REPORT,  /* to the runtime that makes the container */
	SENTRY_FD_GOFER,   /* the client's end of wire/gofer_msg.h */
	SENTRY_FD_STUB,	   /* O_PATH of the program caisson-stub; /dev/null without one */
	SENTRY_FD_ZYGOTE,  /* to the zygote; /dev/null: the sentry starts one */
	SENTRY_FD_LOG,	   /* opened for appending, or /dev/null */
	SENTRY_FD_HELD,	   /* its open file description holds the sandbox's user id (flock) */
	SENTRY_FD_PROC,	   /* O_PATH of a procfs of the sentry's pid namespace; closed by boot */
	SENTRY_FD_MEMORY,  /* memory.stat of the container's cgroup, or /dev/null */
	SENTRY_FD_EVENTS,  /* where event records go, non-blocking but for a file; or /dev/null */
	SENTRY_FD_STDIO,   /* the guest's 0, 1, 2 and then sentry_process.preserve_fds more */
};

/* Where the zygote has its end of SENTRY_FD_ZYGOTE, close-on-exec not set, and nothing above it. */
#define SENTRY_ZYGOTE_SOCKET 3

enum sentry_report_type {
	SENTRY_REPORT_READY = 1,
	SENTRY_REPORT_STARTED,
	SENTRY_REPORT_FAILED, /* code, text */
	/* The same of a machine that went on from a template and has heard nothing of a container.
	 */
	SENTRY_REPORT_NO_CLONE,
	SENTRY_REPORT_PLACED, /* of a keeper (runtime/sandbox/keeper.h): hooks may look for it */
};

#define SENTRY_TEXT_MAX 488 /* bytes of a sentence, NUL included (ERR_MSG_MAX) */

struct sentry_report {
	uint32_t type;
	int32_t code; /* 0 or -errno */
	char text[SENTRY_TEXT_MAX];
};

#define SENTRY_GO_RELEASE 'r'
#define SENTRY_GO_START	  's'

/* ---- The description ---- */

/* Limits of a description; the decoder refuses what is above. */
#define SENTRY_STRINGS_MAX  65536u  /* items of args and env each */
#define SENTRY_STRING_MAX   131072u /* bytes of one of them (MAX_ARG_STRLEN) */
#define SENTRY_PATH_MAX	    4096u
#define SENTRY_NAME_MAX	    256u
#define SENTRY_GROUPS_MAX   65536u
#define SENTRY_RLIMITS_MAX  16u /* RLIM_NLIMITS */
#define SENTRY_MOUNTS_MAX   1024u
#define SENTRY_PATHS_MAX    1024u /* masked, read-only paths; sysctls */
#define SENTRY_DEVICES_MAX  1024u
#define SENTRY_ID_MAPS_MAX  340u
#define SENTRY_SECCOMP_MAX  4096u /* BPF_MAXINSNS */
#define SENTRY_CPU_WORDS    16u	  /* 1024 CPUs */
#define SENTRY_PRESERVE_MAX 1024u /* descriptors above 2 at the start; 24 of exec (EXEC_MAX) */

struct sentry_strings {
	char **items; /* items[len] == NULL, so that it serves as argv */
	uint32_t len;
};

struct sentry_rlimit {
	uint32_t resource; /* RLIMIT_* */
	uint64_t soft, hard;
};

/* struct sock_filter of linux/filter.h */
struct sentry_bpf {
	uint16_t code;
	uint8_t jt, jf;
	uint32_t k;
};

struct sentry_process {
	struct sentry_strings args; /* 1 or more */
	struct sentry_strings env;
	char *program; /* path of what is executed; "": args[0], searched in PATH */
	char *cwd;     /* absolute */
	uint32_t uid, gid, umask;
	uint32_t *groups;
	uint32_t groups_len;
	uint64_t cap_bounding, cap_effective, cap_inheritable, cap_permitted, cap_ambient;
	bool no_new_privs;
	bool terminal; /* 0, 1 and 2 are one host terminal: the process's controlling terminal */
	uint16_t rows, cols; /* of it; 0: as it is */
	struct sentry_rlimit *rlimits;
	uint32_t rlimits_len;
	int32_t oom_score_adj;
	uint32_t sched_policy, sched_priority; /* SCHED_* of sched(7) */
	int32_t nice;
	uint32_t io_priority;		     /* of ioprio_set(2); 0: none */
	uint64_t affinity[SENTRY_CPU_WORDS]; /* CPUs of the process; all 0: every one */
	uint32_t personality;
	uint32_t preserve_fds;
	struct sentry_bpf *seccomp; /* NULL: none */
	uint32_t seccomp_len;	    /* instructions */
	uint32_t seccomp_flags;	    /* SECCOMP_FILTER_FLAG_* */
};

enum sentry_mount_type {
	SENTRY_MOUNT_BIND, /* root is an index of the gofer's roots */
	SENTRY_MOUNT_PROC,
	SENTRY_MOUNT_SYSFS,
	SENTRY_MOUNT_TMPFS,
	SENTRY_MOUNT_DEVPTS,
	SENTRY_MOUNT_MQUEUE,
	SENTRY_MOUNT_CGROUP,
	SENTRY_MOUNT_CGROUP2,
	SENTRY_MOUNT_RAMFS,
	SENTRY_MOUNT_SYMLINK, /* no mount: a link to `source` */
	SENTRY_MOUNT_REMOUNT, /* flags of what is mounted there */
	SENTRY_MOUNT_TYPES,
};

struct sentry_mount {
	char *destination;    /* absolute; symbolic links in it count from the container's root */
	uint32_t type;	      /* enum sentry_mount_type */
	char *source;	      /* as /proc/mounts shows it; "" for none */
	uint32_t root;	      /* of BIND; 0 is the container's root file system */
	bool is_file;	      /* BIND: the root is no directory */
	bool copy_up;	      /* tmpcopyup */
	bool nofollow;	      /* dest-nofollow */
	uint64_t flags;	      /* MS_* of mount(2): rdonly, nosuid, nodev, noexec, noatime ... */
	uint64_t propagation; /* MS_SHARED ..., perhaps with MS_REC; 0: as it is */
	char *data;	      /* the file system's own options: "size=64k,mode=755" */
};

struct sentry_device {
	char *path;    /* absolute */
	uint32_t type; /* 'c', 'b', 'p' */
	uint32_t major, minor, mode, uid, gid;
};

struct sentry_pair {
	char *key, *value;
};

struct sentry_id_map {
	uint32_t inside, outside, size;
};

/* time_namespaces(7): the host's kernel moves the clocks, the sandbox only tells. */
struct sentry_time_offset {
	int64_t secs;
	uint32_t nanosecs;
};

/* What the container is shown of its limits; UINT64_MAX: none. Of UPDATE 0 means: as it was. */
struct sentry_limits {
	uint64_t memory, swap; /* bytes; swap counts memory too, as in v2's memory.max + swap.max */
	uint64_t cpu_quota_us, cpu_period_us, cpu_shares;
	uint64_t pids;
};

enum sentry_platform { SENTRY_PLATFORM_SYSTRAP, SENTRY_PLATFORM_PTRACE };
/* Of stubs: whether a call that changes memory waits for the sentry's word (seccomp/stub.txt). */
enum sentry_profile { SENTRY_PROFILE_CHECKED, SENTRY_PROFILE_DIRECT };
/* NONE: a loopback device of the sentry's own. HOST: sockets of the host's kernel, in the network
 * namespace that the sentry is in. POD: the same in a namespace of the pod's own, where the host
 * lets everybody have low ports and the sentry judges who may.
 */
enum sentry_network { SENTRY_NETWORK_NONE, SENTRY_NETWORK_HOST, SENTRY_NETWORK_POD };
enum sentry_overlay { SENTRY_OVERLAY_NONE, SENTRY_OVERLAY_ROOT_MEMORY, SENTRY_OVERLAY_ROOT_SELF };
enum sentry_host_uds {
	SENTRY_HOST_UDS_NONE,
	SENTRY_HOST_UDS_OPEN = 1,   /* connect(2) to those of the host */
	SENTRY_HOST_UDS_CREATE = 2, /* bind(2) new ones */
	SENTRY_HOST_UDS_ALL = 3,
};
enum sentry_file_access { SENTRY_FILE_EXCLUSIVE, SENTRY_FILE_SHARED };

/* Of a container that is added to a sandbox: what it does not share with the first one. */
enum sentry_own { SENTRY_OWN_UTS = 1, SENTRY_OWN_IPC = 2, SENTRY_OWN_NET = 4, SENTRY_OWN_ALL = 7 };

struct sentry_container {
	char *id;
	/* how the sandbox works */
	uint32_t platform, profile, network, overlay;
	uint32_t file_access;	     /* of the root file system */
	uint32_t file_access_mounts; /* of bind mounts */
	char *strace;		     /* "": off; "all", or names with commas */
	char *debug;		     /* rooms with commas; "": none */
	uint32_t events;	     /* bits of wire/events.def that go to SENTRY_FD_EVENTS */
	uint32_t own_namespaces;     /* bits of enum sentry_own */
	char *pid_ns_of; /* id of the container whose pid namespace it joins; "": one of its own */
	/* config.json */
	char *hostname, *domainname; /* "": the default */
	bool root_readonly;
	bool user_ns;		   /* ids inside differ from those outside */
	uint64_t root_propagation; /* as sentry_mount.propagation */
	uint64_t time_ns;	   /* inode of the sentry's time namespace, if it has one; 0 */
	struct sentry_time_offset monotonic_offset, boottime_offset;
	struct sentry_mount *mounts;
	uint32_t mounts_len;
	struct sentry_strings masked_paths, readonly_paths;
	struct sentry_pair *sysctls; /* "net.ipv4.ip_forward" */
	uint32_t sysctls_len;
	struct sentry_device *devices; /* besides the default ones */
	uint32_t devices_len;
	struct sentry_id_map *uid_maps, *gid_maps;
	uint32_t uid_maps_len, gid_maps_len;
	struct sentry_limits limits;
	struct sentry_process process;
};

/* ---- Control ---- */

#define SENTRY_FRAME_MAX    (64u << 10) /* bytes of one message, head included */
#define SENTRY_EXEC_FDS_MAX 28u		/* 0, 1, 2 and what is preserved */
#define SENTRY_NURSERY_FDS  2u		/* of the answer to NURSERY */
#define SENTRY_CREATE_FDS   3u		/* of CREATE, before 0, 1, 2 and what is preserved */
/*
 * Connections at one time: of all containers of a sandbox, and then of each one, so that nobody who
 * has the first keeps the verbs of its neighbours out.
 */
#define SENTRY_CLIENTS_MAX  256u
#define SENTRY_CLIENTS_KEPT 8u
/*
 * listen(2)'s for the socket of the control server: as many and one wait in it while the sandbox is
 * paused, or has as many connections as it may; further callers wait in connect(2).
 */
#define SENTRY_BACKLOG 63

enum sentry_request_type {
	SENTRY_START = 1, /* open the gate; -EINVAL when it is open */
	SENTRY_EXEC,	  /* carries a sealed memfd (struct sentry_process), then its descriptors */
	SENTRY_SIGNAL,	  /* pid, value: the number, flags */
	SENTRY_WAIT,	  /* pid: replied when it has ended; value: exit code or 128 + n */
	SENTRY_RESIZE,	  /* pid; value: rows << 16 | columns, 0: ask the host's terminal */
	SENTRY_STATS,	  /* struct sentry_stats behind the reply */
	SENTRY_PS,	  /* struct sentry_ps items behind each reply, until one has count 0 */
	SENTRY_UPDATE,	  /* struct sentry_limits behind the request */
	SENTRY_DEBUG,	  /* value: enum sentry_debug; text behind each reply, until count is 0 */
	SENTRY_SHUTDOWN,  /* end everything */
	/*
	 * Add a container of the sandbox's pod. Carries a sealed memfd (struct sentry_container),
	 * its control socket, listening and non-blocking, its gofer's connection, then its
	 * descriptors. Replied when its first process waits at the gate, which START on its own
	 * socket opens. Holds the connection as EXEC does: the end of it kills the container,
	 * EXITED is its end.
	 */
	SENTRY_CREATE,
	/*
	 * value: enum sentry_freeze; flags. Replied when so. Carries the file of the host that says
	 * whether the container is paused, or nothing (cgroup_open_freezer()). What is asked holds
	 * as long as the connection does; without one the container is as that file says: who asks
	 * writes there before he closes, and may die at any moment.
	 */
	SENTRY_FREEZE,
	SENTRY_EXITED, /* a reply only: the process of an EXEC; value: exit code or 128 + n */
	/*
	 * Of who will say CREATE on this connection: make the process of the host that the new
	 * container's guest processes are forked from, and the first of these. The reply carries
	 * the pidfds of both; who asks puts them into the container's cgroup, says PLACED then, and
	 * START after that. -EOPNOTSUPP: the platform has none.
	 */
	SENTRY_NURSERY,
	SENTRY_PLACED, /* on that connection, before or after CREATE */
	SENTRY_TYPES,
	/* A reply only: to a connection that there is no room for, which is closed. */
	SENTRY_REFUSED = 4096,
};

enum sentry_signal_flags {
	SENTRY_SIGNAL_ALL = 1u << 0, /* every process of the container */
	SENTRY_SIGNAL_TTY = 1u << 1, /* the foreground group of the process's terminal */
};

enum sentry_freeze {
	SENTRY_FREEZE_THAW,
	SENTRY_FREEZE_HOLD,   /* no process of the container runs code */
	SENTRY_FREEZE_FOLLOW, /* as the file says */
	SENTRY_FREEZE_MAX,
};

enum sentry_freeze_flags {
	/*
	 * Every container of the sandbox, whatever else holds it, until THAW or the end of the
	 * connection: who freezes the sandbox then is not needed for its thaw. No file.
	 */
	SENTRY_FREEZE_POD = 1u << 0,
};

enum sentry_debug {
	SENTRY_DEBUG_STACKS = 1,
	SENTRY_DEBUG_TASKS,
	SENTRY_DEBUG_MOUNTS,
	SENTRY_DEBUG_VMAS,
	SENTRY_DEBUG_FDS,
	SENTRY_DEBUG_METRICS,
	SENTRY_DEBUG_EVENTS, /* flags: bits of wire/events.def; records behind each reply, without
				end */
};

struct sentry_request {
	uint32_t version; /* SENTRY_MSG_VERSION */
	uint32_t type;	  /* enum sentry_request_type */
	int32_t pid;	  /* in the container; 0: its first process, or the EXEC's own */
	uint32_t value;
	uint32_t flags;
	uint32_t reserved; /* 0 */
};

/* An error has its sentence behind it, without a NUL. */
struct sentry_reply {
	uint32_t type;
	int32_t error;	/* 0 or -errno */
	int32_t value;	/* pid of EXEC, exit code of WAIT and EXITED, 1 of STATS: see there */
	uint32_t count; /* items or bytes behind it */
};

/*
 * reply.value is 1 where the container's guests are in its own cgroup (NURSERY), which counts their
 * memory and time.
 */
struct sentry_stats {
	uint64_t processes, threads;
	uint64_t memory_bytes; /* of guests, as far as the sentry knows */
	uint64_t user_ns, system_ns;
	uint64_t syscalls;
};

struct sentry_ps {
	int32_t pid, ppid;
	uint32_t uid, threads;
	uint64_t start_ns; /* since the epoch */
	uint64_t cpu_ns;
	char state; /* 'R', 'S', 'D', 'T', 'Z' */
	char comm[16];
	char command[127]; /* args with blanks between, cut; NUL-terminated */
};

_Static_assert(sizeof(struct sentry_report) == 496, "wire");
_Static_assert(sizeof(struct sentry_request) == 24, "wire");
_Static_assert(sizeof(struct sentry_reply) == 16, "wire");
_Static_assert(sizeof(struct sentry_ps) == 176, "wire");
_Static_assert(sizeof(struct sentry_bpf) == 8, "wire");
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the wire is little-endian");
