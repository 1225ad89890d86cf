/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wire/vmm_msg.h - what the runtime (src/runtime/vm) gives to caisson-vm (src/vmm), the supervisor
 * of one virtual machine.
 *
 * caisson-vm is executed as `caisson-vm ID` with the descriptors of enum vmm_fd and no others, an
 * empty environment and an empty root directory, as process 1 of its pid namespace. Its parent in
 * the making has started QEMU and virtiofsd before the exec: they are its children.
 *
 * VMM_FD_DESCRIPTION is a sealed memfd: struct vmm_head, then the bodies of an AGENT_NETWORK and an
 * AGENT_CREATE request (wire/agent_codec.h). Of CREATE's io only terminal, rows and cols count: the
 * supervisor numbers the streams.
 *
 * VMM_FD_REPORT and VMM_FD_CONTROL speak wire/sentry_msg.h: READY when the agent has made the
 * container, then one byte, then the control server, with these differences:
 *   SENTRY_EXEC    the memfd holds the body of an AGENT_EXEC request (its id and io as above)
 *   SENTRY_UPDATE  behind the request struct vmm_update, and the body of an AGENT_UPDATE request
 *   SENTRY_STATS   behind the reply struct agent_stats
 *   SENTRY_DEBUG   value is an enum vmm_debug
 * and with those of enum vmm_request. Process numbers are those of AGENT_CREATE's and AGENT_EXEC's
 * answers.
 *
 * The exit status is the container's: the exit code, 128 + n for signal n; 137 when the machine
 * ended under it, with a sentence in the log.
 */
#pragma once

#include <stdint.h>

#include "wire/agent_msg.h"
#include "wire/sentry_msg.h"

#define VMM_MSG_MAGIC	0x4d564943u /* "CIVM" */
#define VMM_MSG_VERSION 5u

enum vmm_fd {
	/* 0, 1 and 2 are /dev/null. */
	VMM_FD_DESCRIPTION = 3,
	VMM_FD_CONTROL, /* listening */
	VMM_FD_REPORT,	/* to the runtime that makes the container */
	VMM_FD_LOG,	/* opened for appending, or /dev/null */
	VMM_FD_MONITOR, /* QMP of QEMU, connected */
	VMM_FD_AGENT,	/* the agent's channel, connected */
	VMM_FD_CONSOLE, /* what the guest's kernel says, connected */
	VMM_FD_WORDS,	/* pipe: standard error of QEMU and virtiofsd */
	VMM_FD_FILES,	/* with VMM_PLUG_FILES: virtiofsd's socket, connected; else nothing */
	VMM_FD_HELD,	/* its open file description holds the sandbox's user ids (flock) */
	VMM_FD_EVENTS,	/* memory.events or memory.oom_control of the host's cgroup; or /dev/null */
	VMM_FD_LIMIT,	/* memory.max or memory.limit_in_bytes of it; or /dev/null */
	/* With VMM_SHARES; otherwise /dev/null. */
	VMM_FD_SHARE,	      /* the share's directory, which can be written to */
	VMM_FD_FILES_PROCESS, /* pidfd of virtiofsd, in whose mount namespace it is seen */
	VMM_FD_WATCH, /* inotify(7): volumes that the host changes; without VMM_WATCHES /dev/null */
	/* With VMM_FORWARDS; otherwise /dev/null (host/loopback.h). */
	VMM_FD_FORWARDS,      /* listening: connections to the loopback device of the pod */
	VMM_FD_FORWARDS_LINK, /* keeps them coming there */
	/* Two of each network device, which keep frames going between it and its tap; or /dev/null.
	 */
	VMM_FD_LINKS,
	VMM_FD_STDIO = VMM_FD_LINKS + 2 * AGENT_LINKS_MAX, /* the container's 0, 1, 2; closed ones
							      stay so */
	VMM_FDS = VMM_FD_STDIO + 3,
};

struct vmm_head {
	uint32_t magic, version;
	int32_t qemu_pid, files_pid; /* children; 0: none */
	uint32_t accel;		     /* enum machine_accel */
	uint32_t cpus;
	uint64_t memory;		  /* bytes */
	uint32_t boot_ms;		  /* so long the agent may take for its HELLO */
	uint32_t flags;			  /* enum vmm_flags */
	uint32_t network_len, create_len; /* bytes of the two bodies */
	/* CLOCK_MONOTONIC when the runtime began and when it made QEMU's process, for metrics. */
	uint64_t begin_ns, machine_ns;
	/* Into what the machine may grow; its own size where it cannot. */
	uint64_t memory_max;
	uint32_t cpus_max, reserved; /* 0 */
};
_Static_assert(sizeof(struct vmm_head) == 80, "wire");

/*
 * What the machine shall have from now on, all of it; 0: as it is. More than it can have is
 * what it can have, but a limit above that is refused (-ENOTSUP). Before the container's limits
 * where the machine grows, behind them where it shrinks; what fails is undone.
 */
struct vmm_update {
	uint64_t memory;	 /* bytes */
	uint64_t limit;		 /* of the container; 0: none, or as it is */
	uint32_t cpus, reserved; /* 0 */
};
_Static_assert(sizeof(struct vmm_update) == 24, "wire");

/* Bytes that QEMU and virtiofsd need besides the guest's memory. */
#define VMM_HOST_OVERHEAD (192ull << 20)

enum vmm_flags {
	/*
	 * A clone of a template: AGENT_RESET goes first, then, with more than one CPU,
	 * AGENT_ONLINE.
	 */
	VMM_RESTORED = 1u << 0,
	VMM_DEBUG_CONSOLE = 1u << 1, /* the configuration allows AGENT_EXEC_SHELL */
	VMM_LOG_JSON = 1u << 2,	     /* lines of VMM_FD_LOG: base/log.h's JSON form */
	VMM_LOG_DEBUG = 1u << 3,     /* ... and those of level debug, too */
	/* Of a clone: VMM_FD_FILES is plugged into slot 0 when it runs. */
	VMM_PLUG_FILES = 1u << 5,
	VMM_WATCHES = 1u << 6,	/* VMM_FD_WATCH has watches */
	VMM_SHARES = 1u << 7,	/* VMM_FD_SHARE and VMM_FD_FILES_PROCESS are there */
	VMM_FORWARDS = 1u << 8, /* VMM_FD_FORWARDS and VMM_FD_FORWARDS_LINK are there */
};

/*
 * Among them, and of SENTRY_EXEC's and VMM_JOIN's value: the process's 0, 1 or 2 is one end of a
 * pair of sockets, whose other end a carrier has (wire/carrier.h). What is written there has come
 * home when that end closes after ours was shut. That of 0 reads nothing before a byte has come
 * from us, which is when its program runs: one that does not come up leaves its input alone.
 */
#define VMM_CARRIED(i) (1u << (16 + (i)))
/*
 * In the flags of SENTRY_EXEC and VMM_JOIN with VMM_CARRIED(0). A supervisor that was started
 * before this was so never sends that byte, and refuses what has a flag that it does not know.
 */
#define VMM_INPUT_WAITS 1u

/*
 * More containers in the machine. One that joins has a control server of its own, on the socket
 * that came with it, which speaks of that container alone; the machine ends with its first one.
 */
enum vmm_request {
	/*
	 * Carries a sealed memfd (the body of an AGENT_CREATE request, of whose io as above), a
	 * listening socket, a descriptor of inotify(7) (value: VMM_JOIN_WATCHES; else anything),
	 * and the container's 0, 1, 2. The reply's value is its first process, at its gate. The
	 * connection means that container from then on, is told SENTRY_EXITED when it has ended,
	 * and is its life: where it closes before, the container is ended.
	 */
	VMM_JOIN = 64,
	/* -> with the reply VMM_FD_SHARE and VMM_FD_FILES_PROCESS; its value: MiB of the machine */
	VMM_SHARE,
	/* SENTRY_FREEZE of this class, without flags. */
	VMM_FREEZE,
	VMM_REQUESTS,
};
#define VMM_JOIN_WATCHES 1u

enum vmm_debug {
	VMM_DEBUG_SERIAL = 1, /* the end of what the guest's kernel said on its serial line */
	VMM_DEBUG_METRICS,    /* of supervisor, monitor and agent; times of the start */
	VMM_DEBUG_TASKS,      /* this and what follows: AGENT_DEBUG */
	VMM_DEBUG_MOUNTS,
	VMM_DEBUG_DMESG,
	/*
	 * A reply with count 0 at once, and one more whenever the guest's kernel has killed a
	 * process for want of memory, until one side closes: not a message each where the peer does
	 * not read.
	 */
	VMM_DEBUG_OOM,
};
