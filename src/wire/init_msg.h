/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wire/init_msg.h - what the staged child (src/ns) hands to caisson-init (src/init), the last
 * program before the user's, and what comes back.
 *
 * The message is a struct init_msg followed by the arrays that it names by offset, written into a
 * sealed memfd. caisson-init maps it read-only; it has no libc, parses no text and trusts the
 * message, which no container can write. Both ends are parts of one build; magic and version catch
 * a mixed installation.
 *
 * caisson-init is started as `caisson-init N` with three descriptors: N the message, N+1 the report
 * socket (SOCK_SEQPACKET, struct init_report), N+2 the gate's listening socket or nothing. It lets
 * 0..N-1 through to the user's program and makes the three close-on-exec, so that the peer reads
 * end-of-file when exec has succeeded.
 */
#pragma once

#include <stdint.h>

#define INIT_MSG_MAGIC	 0x43414953u /* "CAIS" */
#define INIT_MSG_VERSION 1u
#define INIT_MSG_MAX	 (16u << 20) /* bytes */

enum init_flags {
	INIT_NO_NEW_PRIVS = 1u << 0,
	INIT_CAPS = 1u << 1,	  /* apply the five sets */
	INIT_SETGROUPS = 1u << 2, /* replace the supplementary groups */
	INIT_SETID = 1u << 3,	  /* apply uid and gid */
	INIT_SECCOMP = 1u << 4,
	INIT_SECCOMP_NOTIFY = 1u << 5, /* send the listener before exec */
	INIT_FORK = 1u << 6,	/* go on in a child made with CLONE_PARENT (pid namespace joined) */
	INIT_SET_TTY = 1u << 7, /* standard input becomes the controlling terminal */
};

enum init_gate {
	INIT_GATE_STREAM, /* one byte on the report socket opens it */
	INIT_GATE_LISTEN, /* report READY, wait for a byte, then accept(2) on N+2 and wait for a
			     byte */
	INIT_GATE_OPEN, /* the staged child has waited (hooks); report READY on N+1 to who opened it
			 */
};

/* Offsets count bytes from the start of the message; 0 means absent. Lists are uint32_t. */
struct init_msg {
	uint32_t magic;
	uint32_t version;
	uint32_t size; /* of the whole message in bytes */
	uint32_t flags;
	uint32_t gate; /* enum init_gate */
	uint32_t uid, gid;
	uint32_t umask;
	uint64_t cap_bounding, cap_effective, cap_inheritable, cap_permitted, cap_ambient;
	uint32_t cap_last; /* the highest capability of this kernel */
	uint32_t seccomp_flags;
	uint32_t seccomp_off, seccomp_len; /* struct sock_filter; instructions */
	uint32_t groups_off, groups_len;   /* gids */
	uint32_t argv_off, argv_len;	   /* offsets of strings */
	uint32_t envp_off, envp_len;	   /* offsets of strings */
	uint32_t path_off;		   /* what is executed */
	uint32_t cwd_off;
};

/* The step that failed, in the order in which caisson-init takes them. */
enum init_step {
	INIT_STEP_MESSAGE,
	INIT_STEP_TTY,
	INIT_STEP_BOUNDING,
	INIT_STEP_GROUPS,
	INIT_STEP_GID,
	INIT_STEP_UID,
	INIT_STEP_CAPS,
	INIT_STEP_AMBIENT,
	INIT_STEP_NO_NEW_PRIVS,
	INIT_STEP_CWD,
	INIT_STEP_FORK,
	INIT_STEP_GATE,
	INIT_STEP_SECCOMP,
	INIT_STEP_EXEC,
	INIT_STEP_MAX,
};

enum init_report_type {
	INIT_REPORT_READY = 1, /* waiting at the gate */
	INIT_REPORT_FORKED,    /* value: pid of the final process in the sender's pid namespace */
	INIT_REPORT_LISTENER,  /* carries the seccomp notify descriptor */
	INIT_REPORT_FAILED,    /* step and value (-errno) */
};

/* The path of a failed INIT_STEP_CWD or INIT_STEP_EXEC follows, without a NUL, cut at this many
 * bytes. */
#define INIT_REPORT_TEXT_MAX 256

struct init_report {
	uint32_t type;
	uint32_t step;
	int32_t value;
};
