/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agent/agent.h - caisson-agent, process 1 of a virtual machine: what its files share.
 *
 * One thread, one event loop, one channel to the host (wire/agent_msg.h). It makes containers with
 * the rooms that make them on the host in class ns, in processes of their own where that may wait
 * (worker.h), and reaps every process of the machine. What
 * the host says is believed, and yet checked where a slip would hit the machine itself: paths of
 * what is mounted, ids that become names of cgroups.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/list.h"
#include "base/loop.h"
#include "wire/agent_codec.h"
#include "wire/mux.h"

#define AGENT_TOP	     "/run/caisson" /* storages lie below */
#define AGENT_GATES	     "/run/agent"   /* start sockets, by a container's number */
#define AGENT_CONTAINERS_MAX 256u
/* A word of the kernel's command line, which it gives its process 1 as an environment variable. */
#define AGENT_TEMPLATE "caisson_template"

struct agent {
	struct loop *loop;
	struct mux *mux;
	struct loop_source *channel;
	bool guest;	     /* process 1 of a machine; otherwise a test's */
	bool ended;	     /* the loop's work is done */
	bool prepared;	     /* what containers need is mounted */
	const char *cgroups; /* "/caisson": containers' cgroups lie below */
	int gates;	     /* directory AGENT_GATES */
	int null;	     /* /dev/null, for reading and writing */
	struct rlimit files; /* RLIMIT_NOFILE of workers, and so of what they make */
	struct cgroup_program
		*program;   /* of the default devices, in a template's clones; or NULL */
	struct buf network; /* the body of the last NETWORK */
	uint64_t kernel_ns; /* CLOCK_BOOTTIME of main()'s first line */
	struct list_head containers, processes, workers, forwards;
	unsigned int containers_len, workers_len, forwards_len, numbered;
};

/* service.c: what the mux calls with struct agent as `arg`, and the end of a request. */
extern const struct mux_ops agent_mux_ops;
/* Answer; an error has its sentence in `err`. `body` is the call's struct, or NULL. */
void agent_answer(struct agent *a, uint32_t serial, enum agent_call call, int r, const void *body,
		  const struct err *err);
void agent_tell(struct agent *a, enum agent_event event, const void *body);

/* machine.c: calls that concern the machine, and its CLOCK_BOOTTIME. */
uint64_t agent_clock_ns(void);
int machine_online(const struct agent_online *call, struct err *err);
int machine_reset(const struct agent_reset *call, struct err *err);
/* Append the text for AGENT_DEBUG to `b`; -EINVAL for a word that is none. */
int machine_debug(const struct agent *a, const char *what, struct buf *b, struct err *err);
