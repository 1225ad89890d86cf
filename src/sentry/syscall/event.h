/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/syscall/event.h - the points where events are told (wire/events.def).
 *
 * What a record says comes from the kernel's own copies of arguments, never from guest memory a
 * second time. Each function is called with event_wanted() before it: one test when nobody listens.
 * They do not park.
 */
#pragma once

#include "sentry/net/socket.h"
#include "sentry/syscall/event_sink.h"
#include "sentry/syscall/syscall.h"
#include "sentry/task/exec.h"

/* Boot, once: births and ends of tasks, ptrace(2), setuid(2) and kin come here. */
void event_init(void);

/* t is the process that begins to run; argv is NULL-terminated. */
void event_container_start(struct task *t, char *const *argv, const char *cwd);
void event_container_exit(const struct container *c, int exit_code);
void event_enter(struct task *t, char *const *argv);

void event_clone_failed(struct task *t, uint64_t flags, sysret_t result);
void event_execve(struct task *t, const struct exec_request *req, sysret_t result);

struct event_open_call {
	int dirfd;
	const char *path;
	uint32_t flags, mode;
	const struct file *file; /* what was opened, or NULL */
};
void event_opened(struct task *t, const struct event_open_call *call, sysret_t result);

/* EVENT_connect and EVENT_bind. */
void event_address(struct task *t, enum event_type type, int fd, const struct sock_addr *addr,
		   sysret_t result);

/* mount(2), umount2(2), pivot_root(2); texts may be NULL. */
struct event_mount_call {
	const char *call, *source, *target, *type;
	uint64_t flags;
};
void event_mounted(struct task *t, const struct event_mount_call *call, sysret_t result);
