/* SPDX-License-Identifier: Apache-2.0 */
#include "sentry/syscall/event.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

#include "base/cleanup.h"
#include "sentry/core/kclock.h"
#include "sentry/syscall/observe.h"
#include "sentry/task/hooks.h"
#include "wire/event_codec.h"

#define ADDRESS_TEXT_MAX 128 /* "@" and 108 bytes, an IPv6 address, a netlink group */

/* From the root of the mounts, wherever the task's own root is. NULL: none. The caller's. */
static char *path_of(const struct file *f)
{
	char *text = NULL;

	if (!f || !f->path.dentry || path_to_text(&f->path, NULL, &text) < 0)
		return NULL;
	return text;
}

/* t may be NULL: an event of the container. */
static void tell(struct task *t, const struct container *c, enum event_type type,
		 const void *fields)
{
	AUTO_FREE char *exe = t && t->mm ? path_of(t->mm->exe) : NULL;
	const struct event_head head = { .type = (uint16_t)type, .time_ns = kclock_realtime() };
	struct event_common common = { .container = event_text(c->id), .exe = event_text(exe) };
	static char record[EVENT_RECORD_MAX]; /* nothing parks before it was copied */

	if (t) {
		const struct pid_ns *ns = task_pid_ns(t);

		common.pid = task_tgid(t, ns);
		common.tid = task_tid(t, ns);
		common.ppid = t->tg->parent ? pid_nr(t->tg->parent->pid, ns) : 0;
		common.uid = t->cred->uid;
		common.euid = t->cred->euid;
		common.gid = t->cred->gid;
		common.egid = t->cred->egid;
		common.caps = t->cred->cap_effective;
		common.comm = event_text(t->comm);
	}
	event_sinks_put(type, record, event_encode(&head, &common, fields, record));
}

/* ---- Containers and processes ---- */

static void add_args(struct event_list *list, char *const *argv)
{
	while (argv && *argv && !list->cut)
		event_list_add(list, *argv++);
}

void event_container_start(struct task *t, char *const *argv, const char *cwd)
{
	struct event_container_start e = { .cwd = event_text(cwd) };

	add_args(&e.args, argv);
	tell(t, t->container, EVENT_container_start, &e);
}

void event_container_exit(const struct container *c, int exit_code)
{
	const struct event_container_exit e = { .status = exit_code };

	tell(NULL, c, EVENT_container_exit, &e);
}

void event_enter(struct task *t, char *const *argv)
{
	struct event_enter e = { .args = { .len = 0 } };

	add_args(&e.args, argv);
	tell(t, t->container, EVENT_enter, &e);
}

static void clone_done(struct task *t, uint64_t flags, sysret_t result)
{
	const struct event_clone e = { .result = result, .flags = flags };

	tell(t, t->container, EVENT_clone, &e);
}

void event_clone_failed(struct task *t, uint64_t flags, sysret_t result)
{
	clone_done(t, flags, result);
}

static void on_birth(struct task *t, struct task *child, uint64_t flags)
{
	if (event_wanted(EVENT_clone))
		clone_done(t, flags, task_tid(child, task_pid_ns(t)));
}

static void on_end(struct task *t)
{
	const int status = t->tg->exit_status;
	const struct event_exit e = { .code = WIFSIGNALED(status) ? 0 : WEXITSTATUS(status),
				      .signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0 };

	if (event_wanted(EVENT_exit))
		tell(t, t->container, EVENT_exit, &e);
}

void event_execve(struct task *t, const struct exec_request *req, sysret_t result)
{
	struct event_execve e = { .result = result, .path = event_text(req->name) };

	/* Nothing was executed: a signal came first, or the call is made again. */
	if (t->exiting || result <= -ERESTARTSYS)
		return;
	add_args(&e.args, req->argv.v);
	tell(t, t->container, EVENT_execve, &e);
}

/* ---- Files ---- */

void event_opened(struct task *t, const struct event_open_call *call, sysret_t result)
{
	AUTO_FREE char *file = path_of(call->file);
	const struct event_open e = { .result = result,
				      .dirfd = call->dirfd,
				      .path = event_text(call->path),
				      .file = event_text(file),
				      .flags = call->flags,
				      .mode = call->mode };

	tell(t, t->container, EVENT_open, &e);
}

void event_mounted(struct task *t, const struct event_mount_call *call, sysret_t result)
{
	const struct event_mount e = { .result = result,
				       .call = event_text(call->call),
				       .source = event_text(call->source),
				       .target = event_text(call->target),
				       .type = event_text(call->type),
				       .flags = call->flags };

	tell(t, t->container, EVENT_mount, &e);
}

/* ---- Sockets ---- */

static uint32_t unix_text(const struct sock_addr *addr, char *ret)
{
	const size_t head = offsetof(struct sockaddr_un, sun_path);
	const size_t len = addr->len > head ? addr->len - head : 0;

	if (len > ADDRESS_TEXT_MAX - 1)
		return 0;
	memcpy(ret, addr->un.sun_path, len);
	if (len && ret[0] == '\0') {
		ret[0] = '@'; /* a name of any bytes, up to its length */
		return (uint32_t)len;
	}
	return (uint32_t)strnlen(ret, len);
}

/* What is too short for its family has no text. */
static void address_text(const struct sock_addr *addr, char *text, struct event_text *ret,
			 int64_t *ret_port)
{
	uint32_t len = 0;

	*ret_port = -1;
	if (addr->len < sizeof(sa_family_t)) {
	} else if (addr->sa.sa_family == AF_UNIX) {
		len = unix_text(addr, text);
	} else if (addr->sa.sa_family == AF_INET && addr->len >= sizeof(addr->in) &&
		   inet_ntop(AF_INET, &addr->in.sin_addr, text, ADDRESS_TEXT_MAX)) {
		len = (uint32_t)strlen(text);
		*ret_port = ntohs(addr->in.sin_port);
	} else if (addr->sa.sa_family == AF_INET6 && addr->len >= sizeof(addr->in6) &&
		   inet_ntop(AF_INET6, &addr->in6.sin6_addr, text, ADDRESS_TEXT_MAX)) {
		len = (uint32_t)strlen(text);
		*ret_port = ntohs(addr->in6.sin6_port);
	}
	*ret = (struct event_text){ .bytes = text, .len = len };
}

void event_address(struct task *t, enum event_type type, int fd, const struct sock_addr *addr,
		   sysret_t result)
{
	/* EVENT_connect and EVENT_bind have the same fields. */
	struct event_connect e = { .result = result,
				   .fd = fd,
				   .family = addr->len >= sizeof(sa_family_t) ? addr->sa.sa_family
									      : AF_UNSPEC };
	char text[ADDRESS_TEXT_MAX];

	/* Interrupted: it is made again, and told then. */
	if (result <= -ERESTARTSYS)
		return;
	address_text(addr, text, &e.address, &e.port);
	tell(t, t->container, type, &e);
}

_Static_assert(sizeof(struct event_connect) == sizeof(struct event_bind), "the same fields");

/* ---- Calls whose arguments are numbers: observed ---- */

/* Who traces whom, and what is changed in it; not every look into it. */
static bool ptrace_matters(uint64_t request)
{
	switch (request) {
	case PTRACE_TRACEME:
	case PTRACE_ATTACH:
	case PTRACE_SEIZE:
	case PTRACE_POKETEXT:
	case PTRACE_POKEDATA:
	case PTRACE_POKEUSER:
	case PTRACE_SETREGS:
	case PTRACE_SETFPREGS:
	case PTRACE_SETREGSET:
		return true;
	default:
		return false;
	}
}

static void ptrace_leave(struct task *t, uint64_t nr, const struct syscall_args *a, sysret_t result)
{
	const struct event_ptrace e = { .result = result,
					.request = (int64_t)arg_u64(a, 0),
					.target = arg_int(a, 1) };

	if (event_wanted(EVENT_ptrace) && ptrace_matters(arg_u64(a, 0)))
		tell(t, t->container, EVENT_ptrace, &e);
}

static void setid_leave(struct task *t, uint64_t nr, const struct syscall_args *a, sysret_t result)
{
	const char *name = syscall_name(nr);
	struct event_setid e = { .result = result, .call = event_text(name), -1, -1, -1 };

	if (!event_wanted(EVENT_setid))
		return;
	if (strcmp(name, "setgroups") != 0 && strcmp(name, "capset") != 0) {
		e.first = arg_int(a, 0);
		e.second = strstr(name, "re") ? arg_int(a, 1) : -1;
		e.third = strstr(name, "res") ? arg_int(a, 2) : -1;
	}
	tell(t, t->container, EVENT_setid, &e);
}

static const struct syscall_observer ptrace_observer = { .leave = ptrace_leave };
static const struct syscall_observer setid_observer = { .leave = setid_leave };
static const struct task_hooks hooks = { .born = on_birth, .ended = on_end };

void event_init(void)
{
	task_set_hooks(&hooks);
	(void)syscall_observe(&ptrace_observer, "ptrace");
	(void)syscall_observe(&setid_observer,
			      "setuid,setreuid,setresuid,setfsuid,setgid,setregid,setresgid,"
			      "setfsgid,setgroups,capset");
}
