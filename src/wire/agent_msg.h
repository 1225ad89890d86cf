/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wire/agent_msg.h - what the supervisor of a virtual machine (src/vmm) and the agent inside it
 * (src/agent) say to each other.
 *
 * The channel is one reliable stream of bytes: a virtio-serial port in the guest, a socket on the
 * host. It carries frames, struct agent_head and what follows it. The host speaks first: HELLO with
 * a nonce, to which the agent answers HELLO with the same nonce; a HELLO of the host at any later
 * time means that the machine has a new host (a clone of a template): the agent forgets streams,
 * half-read bodies and what it had to say, and answers it (a template is saved while its channel is
 * at rest: a half-read head would swallow the HELLO). Then the host asks REQUESTs, each answered by
 * one ANSWER with its serial, in any order; the agent tells EVENTs; and both send DATA of streams
 * as far as the other has given CREDIT, until END.
 *
 * CREATE, START, EXEC, UPDATE and DELETE take as long as the container's files, its memory and its
 * share of the CPU do (agent_call_waits()). They are answered by an event, and everything else is
 * answered meanwhile: PING asks whether there is still somebody.
 *
 * A body of REQUEST or ANSWER that does not fit into a frame goes on in the next frame of the same
 * serial while AGENT_MORE is set; nothing of another serial comes between. Bodies are the fields of
 * the structs below in their order (wire/agent_codec.h).
 *
 * The agent takes the host's word, the host takes nothing of the agent's: but both decode with the
 * same limits.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire/sentry_msg.h" /* struct sentry_ps; enum sentry_signal_flags */

#define AGENT_VERSION	    1u
#define AGENT_FRAME_MAX	    (64u << 10)	 /* bytes behind a head */
#define AGENT_REQUEST_MAX   (4u << 20)	 /* bytes of a request's body, all frames together */
#define AGENT_ANSWER_MAX    (1u << 20)	 /* ... and of an answer's */
#define AGENT_PENDING_MAX   64u		 /* requests without an answer */
#define AGENT_STREAMS_MAX   1024u	 /* streams at one time */
#define AGENT_STREAM_MAX    65535u	 /* their numbers are 1 to this */
#define AGENT_STREAM_CREDIT (256u << 10) /* bytes that may be on their way in one direction */
#define AGENT_FORWARDS_MAX  64u		 /* forwarded connections at one time */
#define AGENT_NONCE	    16u
#define AGENT_TEXT_MAX	    488u /* bytes of a sentence, NUL included (ERR_MSG_MAX) */

enum agent_frame {
	AGENT_HELLO = 1, /* struct agent_hello */
	AGENT_REQUEST,	 /* head.call: enum agent_call; head.serial: the host's, never 0 */
	AGENT_ANSWER,	 /* head.serial, head.call: of the request. i32 error: 0 or -errno; then
			    the body or the sentence */
	AGENT_EVENT,	 /* head.call: enum agent_event */
	AGENT_DATA,	 /* head.stream; 1 byte or more */
	AGENT_CREDIT,	 /* head.stream; u32: so many bytes more may come */
	AGENT_END, /* head.stream: no more DATA from this side; u32: 0, or the errno that ended it
		    */
	AGENT_FRAMES,
};

#define AGENT_MORE 1u /* head.flags */

struct agent_head {
	uint32_t length; /* of what follows */
	uint8_t type;	 /* enum agent_frame */
	uint8_t flags;
	uint16_t call; /* enum agent_call, enum agent_event; else 0 */
	uint32_t stream;
	uint32_t serial;
};
_Static_assert(sizeof(struct agent_head) == 16, "wire");

/* Of a frame of its own form, without codec. Padding is 0. */
struct agent_hello {
	uint32_t version;
	uint32_t features; /* 0 */
	uint8_t nonce[AGENT_NONCE];
	/* Of the agent; 0 of the host. */
	uint64_t kernel_ns,
		agent_ns; /* CLOCK_BOOTTIME when the kernel ran init; when this is sent */
	char release[64]; /* uname -r, NUL-terminated */
};
_Static_assert(sizeof(struct agent_hello) == 104, "wire");

enum agent_call {
	AGENT_CREATE = 1, /* struct agent_create -> struct agent_pid: it waits at its gate */
	AGENT_START,	  /* struct agent_container -> nothing: its program runs */
	AGENT_EXEC,	  /* struct agent_exec -> struct agent_pid: its program runs */
	AGENT_SIGNAL,	  /* struct agent_signal -> nothing */
	AGENT_RESIZE,	  /* struct agent_resize -> nothing */
	AGENT_UPDATE,	  /* struct agent_update -> nothing */
	AGENT_STATS,	  /* struct agent_container -> struct agent_stats */
	AGENT_PS,	  /* struct agent_container -> struct agent_processes */
	AGENT_PAUSE,	  /* struct agent_container -> nothing */
	AGENT_RESUME,	  /* struct agent_container -> nothing */
	AGENT_DELETE, /* struct agent_container -> nothing: mounts and cgroup are gone, files are at
			 the host */
	AGENT_NETWORK,	/* struct agent_network -> nothing */
	AGENT_ONLINE,	/* struct agent_online -> nothing */
	AGENT_RESET,	/* struct agent_reset -> nothing: of a clone, before anything else */
	AGENT_DEBUG,	/* struct agent_debug -> struct agent_text */
	AGENT_SHUTDOWN, /* nothing -> nothing; then the machine is powered off */
	AGENT_REFRESH,	/* struct agent_container -> nothing: copies of volumes are brought up to
			 * date
			 */
	AGENT_CANCEL,	/* struct agent_cancel -> nothing, also where nothing is to be cancelled */
	AGENT_PING,	/* nothing -> nothing: the agent lives */
	AGENT_FORWARD,	/* struct agent_forward -> nothing: it is connected */
	AGENT_CALLS,
};

enum agent_event {
	AGENT_EXITED = 1, /* struct agent_exited: of CREATE's and EXEC's processes, once each, after
			     the END of its output streams */
	AGENT_OOM,	  /* struct agent_container: the kernel has killed one of its processes */
	AGENT_EVENTS,
};

/* Limits of lists and texts; the decoder refuses what is above. */
#define AGENT_NAME_MAX	     1025u /* a container's id, NUL included */
#define AGENT_PATH_MAX	     4096u
#define AGENT_STORAGES_MAX   96u
#define AGENT_SECCOMP_MAX    (8u * 4096u) /* bytes: BPF_MAXINSNS instructions */
#define AGENT_LINKS_MAX	     8u
#define AGENT_ADDRESSES_MAX  64u
#define AGENT_ROUTES_MAX     256u
#define AGENT_NEIGHBOURS_MAX 256u
#define AGENT_RULES_MAX	     64u
#define AGENT_PROCESSES_MAX  4096u
#define AGENT_DEBUG_MAX	     (512u << 10)

/* `bytes` is not NUL-terminated; borrowed from the frame. */
struct agent_bytes {
	const void *bytes;
	uint32_t len;
};

struct agent_container {
	const char *id;
};

/*
 * Streams of a process; 0: /dev/null. With a terminal `in` and `out` are one stream, its two
 * directions, and `err` is 0; an END of either side is a hang-up.
 */
struct agent_io {
	uint32_t in, out, err;
	uint32_t terminal; /* 0 or 1 */
	uint32_t rows, cols;
};

/*
 * Something to mount before the container is made, in the order of the list, and to unmount with
 * AGENT_DELETE: mount(2)'s words. A target that is there already from an earlier container of the
 * machine (AGENT_STORAGE_SHARED) is left as it is.
 */
struct agent_storage {
	const char *source;   /* "caisson" (virtiofs), "/dev/vda", a path, "none" */
	const char *target;   /* absolute, below /run/caisson; made if missing */
	const char *type;     /* "virtiofs", "erofs", "ext4", "overlay", "tmpfs", "bind" */
	const char *options;  /* data of mount(2); "" */
	uint64_t mount_flags; /* MS_* */
	uint32_t flags;
};
#define AGENT_STORAGE_SHARED 1u
/*
 * A type of its own: nothing is mounted. `options` is "MAJOR:MINOR", by which the configuration
 * (linux.devices, linux.resources.devices) means the disk `source`.
 */
#define AGENT_STORAGE_DEVICE "device"
/*
 * Another one: what the host has put below a share that is mounted, at `target`. The kernel mounts
 * it when it is looked at; with AGENT_DELETE it goes, and all that was mounted below it.
 * AGENT_STORAGE_SHARED: other containers have it, too, and it goes with the last one; `source` is
 * the name of a directory in it that is mounted with it, so that it is one file system for all.
 */
#define AGENT_STORAGE_TREE "tree"
/*
 * A tmpfs with a copy of the directory `source`; `options` are the tmpfs's. AGENT_REFRESH says that
 * the source has changed.
 */
#define AGENT_STORAGE_COPY "copy"

/*
 * As a path of linux.namespaces (pid, network, ipc, uts, user): the one of the first process of
 * another container of the machine, whose id follows.
 */
#define AGENT_NAMESPACE_OF "/container/"

struct agent_create {
	const char *id;
	struct agent_bytes config; /* JSON: an OCI configuration, root.path absolute in the guest */
	struct agent_bytes seccomp; /* struct sock_filter items; empty: none */
	uint32_t seccomp_flags;	    /* SECCOMP_FILTER_FLAG_* */
	struct agent_io io;
	struct agent_storage storages[AGENT_STORAGES_MAX];
	uint32_t storages_len;
	const char *bundle; /* what startContainer hooks are told: its path at the host */
	uint32_t flags;
};
#define AGENT_CREATE_SHELL 1u /* AGENT_EXEC_SHELL is allowed */

struct agent_exec {
	const char *id;
	struct agent_bytes
		config; /* JSON: ociVersion, process, and of linux what concerns a process */
	struct agent_bytes seccomp;
	uint32_t seccomp_flags;
	struct agent_io io;
	const char *cgroup; /* below the container's; "": the container's own */
	uint32_t flags;
};
/*
 * In the machine's own namespaces, with the container's root file system as its root directory and
 * the machine's /proc, /sys and /dev in it: a debug shell. Its cgroup is of its own, with the
 * container's limits, and ends with the container. -EPERM where CREATE has not allowed it.
 */
#define AGENT_EXEC_SHELL 1u

struct agent_pid {
	int32_t pid; /* in the guest's first pid namespace */
};

struct agent_signal {
	const char *id;
	int32_t pid; /* of agent_pid; 0: the container's first process */
	uint32_t signal;
	uint32_t flags; /* enum sentry_signal_flags */
};

struct agent_resize {
	const char *id;
	int32_t pid; /* as of agent_signal */
	uint32_t rows, cols;
};

struct agent_update {
	const char *id;
	struct agent_bytes config; /* JSON: an OCI configuration of which linux.resources counts */
};

/* Of the container's cgroup2 in the guest; UINT64_MAX: not known, or no limit. */
struct agent_stats {
	uint64_t cpu_usage_ns, cpu_user_ns, cpu_system_ns, cpu_periods, cpu_throttled,
		cpu_throttled_ns;
	uint64_t memory_usage, memory_limit, memory_peak, memory_swap, memory_anon, memory_file,
		memory_kernel, memory_faults, memory_major_faults, oom_kills;
	uint64_t pids, pids_limit;
	uint64_t io_read_bytes, io_write_bytes, io_reads, io_writes;
	/* Of the machine. */
	uint64_t total_memory, free_memory, uptime_ns;
};

struct agent_processes {
	const struct sentry_ps *items; /* borrowed, not aligned to more than 1: copy */
	uint32_t len;
};

/* 4 or 16 bytes, in network order; `family` AF_INET or AF_INET6. */
struct agent_ip {
	uint32_t family;
	uint8_t bytes[16];
	uint32_t prefix; /* bits; of a neighbour or a gateway the whole length */
};

struct agent_link {
	const char *name; /* as it shall be named; "lo" is up already */
	uint8_t mac[6];	  /* by which the device is found */
	uint32_t mtu;
	uint32_t flags; /* IFF_* that shall be set besides IFF_UP: NOARP, MULTICAST, PROMISC...;
			   AGENT_LINK_* */
};
#define AGENT_LINK_NO_IPV6 (1u << 31) /* disable_ipv6 of the device */

struct agent_address {
	uint32_t link; /* index of links */
	struct agent_ip ip;
	struct agent_ip peer; /* other end of a point-to-point address, the prefix is its; or 0 */
	uint8_t broadcast[4]; /* of AF_INET; 0: none */
	uint32_t scope;	      /* RT_SCOPE_* */
	uint32_t flags;	      /* IFA_F_* */
};

struct agent_route {
	uint32_t link;			 /* of no meaning: unreachable... */
	struct agent_ip to;		 /* prefix 0: default */
	struct agent_ip gateway, source; /* family 0: none */
	uint32_t scope, protocol, type, table, metric, flags, mtu; /* as of rtnetlink(7) */
};

struct agent_neighbour {
	uint32_t link;
	struct agent_ip ip;
	uint8_t mac[6];
	uint32_t state; /* NUD_* */
};

/* ip-rule(8); what is 0 (family, mark and mask, 1 + index of a link) is not asked for. */
struct agent_rule {
	uint32_t family; /* AF_INET, AF_INET6 */
	struct agent_ip from, to;
	uint32_t in_link, out_link;		 /* 1 + index of links */
	uint32_t priority, table, action, flags; /* FR_ACT_*, FIB_RULE_INVERT */
	uint32_t mark, mask;
};

struct agent_network {
	struct agent_link links[AGENT_LINKS_MAX];
	uint32_t links_len;
	struct agent_address addresses[AGENT_ADDRESSES_MAX];
	uint32_t addresses_len;
	struct agent_route routes[AGENT_ROUTES_MAX];
	uint32_t routes_len;
	struct agent_neighbour neighbours[AGENT_NEIGHBOURS_MAX];
	uint32_t neighbours_len;
	struct agent_rule rules[AGENT_RULES_MAX];
	uint32_t rules_len;
};

struct agent_online {
	uint32_t cpus; /* so many are on line afterwards, 1 or more */
};

struct agent_reset {
	uint64_t time_ns;	    /* CLOCK_REALTIME of the host */
	struct agent_bytes entropy; /* 32 bytes or more */
	const char *hostname;	    /* of the machine; "": as it is */
};

/*
 * Of a CREATE, EXEC or UPDATE that is not answered: its process is killed, and it is answered with
 * -ECANCELED at once, also when that process waits in the kernel and ends only later. Limits that
 * an UPDATE has set until then hold. What a CREATE has made goes afterwards; until then its id is
 * taken.
 */
struct agent_cancel {
	uint32_t serial;
};

/*
 * A connection to a port of the container's loopback device. An END of a stream is the end of what
 * that side says; with an error the connection is broken.
 */
struct agent_forward {
	const char *id;
	uint32_t port;	  /* 1 to 65535 */
	uint32_t in, out; /* streams: what goes to the port, what comes from it */
};

struct agent_debug {
	const char *what; /* "tasks", "mounts", "dmesg", "metrics" */
};

struct agent_text {
	const char *text; /* as it came: nobody has looked for what a terminal would obey */
};

struct agent_exited {
	const char *id;
	int32_t pid;  /* of agent_pid */
	int32_t code; /* exit code, or 128 + signal */
};
