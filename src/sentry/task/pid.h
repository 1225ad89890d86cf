/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/task/pid.h - process numbers in nested pid namespaces (pid_namespaces(7)).
 *
 * A number is taken as long as a thread, process, process group or session uses it; struct pid
 * lives longer where something remembers it (pidfds, F_SETOWN).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "base/rbtree.h"
#include "sentry/core/waitq.h"

#define PID_NS_LEVELS_MAX 32
#define PID_MAX		  32768
#define PID_RESERVED	  300 /* where numbers go on after PID_MAX */

struct pid_ns;
struct user_ns;
struct task;
struct thread_group;
struct process_group;
struct session;

struct pid_number {
	struct rb_node node; /* in the namespace */
	struct pid_ns *ns;
	struct pid *pid;
	int nr;
};

/* One number per level, from the root down to the namespace of its birth. Reference counted. */
struct pid {
	unsigned int refs;
	bool hashed;	     /* its numbers are taken */
	bool ended;	     /* the process of this number is a zombie, or gone */
	struct waitq exited; /* woken then: pidfds' readers */
	/* who uses the number, or NULL */
	struct task *task;
	struct thread_group *tg;
	struct process_group *pgrp;
	struct session *session;
	unsigned int levels;
	struct pid_number numbers[]; /* [level]; the last one's ns holds a reference */
};

int pid_ns_new(struct pid_ns *parent, struct pid_ns **ret); /* parent NULL: the sandbox's */
struct pid_ns *pid_ns_ref(struct pid_ns *ns);
void pid_ns_unref(struct pid_ns *ns);
struct pid_ns *pid_ns_parent(const struct pid_ns *ns);	   /* NULL: none */
struct thread_group *pid_ns_init(const struct pid_ns *ns); /* its pid 1, or NULL */
void pid_ns_set_init(struct pid_ns *ns, struct thread_group *tg);
/* Its pid 1 has ended: no new processes. */
void pid_ns_close(struct pid_ns *ns);
/* Sleep until no more than `keep` numbers of a closed namespace are in use. */
void pid_ns_drain(struct pid_ns *ns, unsigned int keep);
unsigned int pid_ns_count(const struct pid_ns *ns);	       /* numbers in use */
struct user_ns *pid_ns_user(const struct pid_ns *ns);	       /* borrowed; NULL: the initial one */
void pid_ns_set_user(struct pid_ns *ns, struct user_ns *user); /* takes a reference; once */
uint64_t pid_ns_id(const struct pid_ns *ns);		       /* inode of /proc/PID/ns/pid */
bool pid_ns_inside(const struct pid_ns *ns, const struct pid_ns *outer); /* the same, or below */
int pid_ns_last(const struct pid_ns *ns);				 /* the newest number */
void pid_ns_set_last(struct pid_ns *ns, int nr);

/* -EAGAIN: none is free; -ENOMEM: also when the namespace's pid 1 has ended. */
int pid_alloc(struct pid_ns *ns, struct pid **ret);
/* With chosen numbers (clone3's set_tid), innermost first. Also -EINVAL, -EEXIST. */
int pid_alloc_at(struct pid_ns *ns, const int *wanted, size_t wanted_len, struct pid **ret);
struct pid *pid_ref(struct pid *pid);
void pid_unref(struct pid *pid); /* accepts NULL */
/* Something stopped to use the number (its pointer is NULL): free it if nothing does. */
void pid_release(struct pid *pid);
int pid_nr(const struct pid *pid, const struct pid_ns *ns); /* 0: not visible there */
struct pid_ns *pid_ns_of(const struct pid *pid);	    /* the innermost; borrowed */

/* Borrowed, or NULL: the pid with this number; the first with a number >= nr. */
struct pid *pid_find(const struct pid_ns *ns, int nr);
struct pid *pid_next(const struct pid_ns *ns, int nr);
