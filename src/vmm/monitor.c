/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/monitor.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "hypervisor/control.h"
#include "hypervisor/qmp.h"
#include "vmm/end.h"
#include "vmm/host_memory.h"
#include "vmm/text.h"
#include "vmm/vm.h"

#define FILES_SLOT 0
#define READ_BYTES 4096u
#define READ_MAX   64u /* reads of one round: who floods us keeps nobody waiting */

/* A descriptor that is read into a ring until its end. */
struct listener {
	struct monitor *monitor;
	struct loop_source *source;
	struct vm_console *tail;
	int fd;
};

struct monitor {
	struct vm *vm;
	struct qmp *qmp;
	struct loop_source *qmp_source;
	struct listener console, words;
	struct failure_facts facts;
	uint64_t kills; /* of the host, before any of ours */
	bool stopped;	/* by QEMU, after an error of its own: nobody here asks for it */
	bool resumed;	/* a clone runs: its state has been read */
	bool read;	/* ... or it has been read, and nothing more comes of it */
};

/* ---- Console and standard error ---- */

/* true: it goes on. */
static bool listen_on(struct listener *l)
{
	char bytes[READ_BYTES];

	for (unsigned int i = 0; i < READ_MAX; i++) {
		const ssize_t n = read(l->fd, bytes, sizeof(bytes));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 && errno == EAGAIN;
		vm_console_put(l->tail, bytes, (size_t)n);
	}
	return true;
}

static void on_words(void *arg, int fd, uint32_t events)
{
	struct listener *l = arg;

	if (listen_on(l))
		return;
	loop_remove(l->source);
	l->source = NULL;
}

static int listen_to(struct monitor *m, struct listener *l, int fd, struct vm_console *tail)
{
	const int flags = fcntl(fd, F_GETFL);

	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
		return -errno;
	*l = (struct listener){ .monitor = m, .tail = tail, .fd = fd };
	return loop_add_fd(m->vm->loop, fd, EPOLLIN, on_words, l, &l->source);
}

void monitor_read_all(struct monitor *m)
{
	struct err ignored = { 0 };

	if (m->console.source)
		(void)listen_on(&m->console);
	if (m->words.source)
		(void)listen_on(&m->words);
	if (m->qmp_source)
		(void)qmp_pump(m->qmp, &ignored);
}

/* ---- QMP ---- */

/* One of plug_cpus() (hypervisor/control.h), also long after it was asked for. */
static void note_gone(struct vm *vm, const char *device)
{
	if (strncmp(device, "cpu", 3) == 0 && vm->cpus_there > vm->head.cpus)
		vm->cpus_there--;
}

static void on_event(void *arg, const char *name, const json_t *data)
{
	struct monitor *m = arg;
	const char *reason = data ? json_string_value(json_object_get(data, "reason")) : NULL;
	const char *status = data ? json_string_value(json_object_get(data, "status")) : NULL;
	const char *device = data ? json_string_value(json_object_get(data, "device")) : NULL;

	if (strcmp(name, "GUEST_PANICKED") == 0)
		m->facts.panicked = true;
	if (strcmp(name, "STOP") == 0)
		m->stopped = true;
	if (strcmp(name, "RESUME") == 0)
		m->resumed = true;
	if (strcmp(name, "MIGRATION") == 0 && status)
		m->read = strcmp(status, "completed") == 0 || strcmp(status, "failed") == 0;
	if (strcmp(name, "DEVICE_DELETED") == 0 && device)
		note_gone(m->vm, device);
	if (strcmp(name, "SHUTDOWN") == 0 && reason)
		text_printable(m->facts.reason, sizeof(m->facts.reason), reason, strlen(reason));
}

static void note_restored(struct monitor *m)
{
	if (m->vm->head.flags & VMM_RESTORED && m->resumed && !m->vm->times.restored)
		m->vm->times.restored = vm_now_ns();
}

int monitor_plug_files(struct monitor *m, struct err *err)
{
	unsigned int asked;
	int r;

	if (!(m->vm->head.flags & VMM_PLUG_FILES))
		return 0;
	r = hypervisor_qemu.ask_files(m->qmp, FILES_SLOT, VMM_FD_FILES, &asked, err);
	(void)close(VMM_FD_FILES);
	return r;
}

static void on_qmp(void *arg, int fd, uint32_t events)
{
	struct monitor *m = arg;
	struct err err = { 0 };
	int r = qmp_pump(m->qmp, &err);

	while (r == 0 && qmp_has_answer(m->qmp)) {
		r = qmp_answer(m->qmp, 0, NULL, &err);
		if (!m->vm->times.monitor)
			m->vm->times.monitor = vm_now_ns();
	}
	note_restored(m);
	if (r == 0 && m->stopped)
		r = err_set(&err, -EIO, "QEMU has stopped the machine");
	if (r == 0 && m->read && !m->resumed)
		r = err_set(&err, -EIO,
			    "QEMU has read the machine's state and does not set it going");
	if (r == 0)
		return;
	loop_remove(m->qmp_source);
	m->qmp_source = NULL;
	end_lost(m->vm, &err);
}

struct qmp *monitor_qmp(struct monitor *m)
{
	return m->qmp_source && m->vm->times.monitor ? m->qmp : NULL;
}

int monitor_called(struct monitor *m, int r, const struct err *err)
{
	struct err why = { .code = -EIO };

	/* An event may have come on the way. */
	if (m->stopped)
		(void)err_set(&why, -EIO, "QEMU has stopped the machine");
	else if (r == -EPIPE || r == -EPROTO || r == -ETIMEDOUT)
		why = *err;
	else
		return r;
	loop_remove(m->qmp_source);
	m->qmp_source = NULL;
	end_lost(m->vm, &why);
	return r < 0 ? r : -EIO;
}

/* A clone is set going by its greeting: its template's state is read then. */
static int connect_qmp(struct monitor *m, struct err *err)
{
	const struct machine machine = {
		.role = m->vm->head.flags & VMM_RESTORED ? MACHINE_CLONE : MACHINE_FRESH,
	};
	unsigned int asked;
	int r = qmp_new(VMM_FD_MONITOR, on_event, m, &m->qmp);

	if (r < 0)
		return err_sys(err, r, "talk to QEMU");
	r = loop_add_fd(m->vm->loop, qmp_fd(m->qmp), EPOLLIN, on_qmp, m, &m->qmp_source);
	if (r < 0)
		return err_sys(err, r, "talk to QEMU");
	r = hypervisor_qemu.greet(m->qmp, &machine, &asked, err);
	if (r != -EPIPE && r != -ECONNRESET)
		return r;
	/* It has ended already: how it did is told when it is reaped. */
	end_lost(m->vm, err);
	return 0;
}

/* ---- Children ---- */

bool monitor_has_ended(const struct monitor *m)
{
	return m->facts.qemu_ended;
}

static void on_child(struct monitor *m, pid_t pid, int status)
{
	struct err err = { 0 };

	if (pid == m->vm->head.qemu_pid && !m->facts.qemu_ended) {
		m->facts.qemu_ended = true;
		m->facts.qemu_status = status;
		(void)err_set(&err, -EPIPE, "QEMU has ended");
	} else if (pid == m->vm->head.files_pid && !m->facts.files_ended) {
		m->facts.files_ended = true;
		m->facts.files_status = status;
		(void)err_set(&err, -EPIPE, "virtiofsd has ended");
	} else {
		return; /* an orphan */
	}
	m->facts.starved = host_memory_kills(VMM_FD_EVENTS) > m->kills;
	m->facts.host_limit = host_memory_limit(VMM_FD_LIMIT);
	m->facts.memory = m->vm->memory;
	end_lost(m->vm, &err);
}

void monitor_reap(struct monitor *m)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		on_child(m, pid, status);
	end_on_child(m->vm);
}

/* ---- Life ---- */

const struct failure_facts *monitor_facts(const struct monitor *m)
{
	return &m->facts;
}

int monitor_new(struct vm *vm, struct monitor **ret, struct err *err)
{
	struct monitor *m = calloc(1, sizeof(*m));
	int r;

	if (!m)
		return err_sys(err, -ENOMEM, "watch the machine");
	m->vm = vm;
	m->kills = host_memory_kills(VMM_FD_EVENTS);
	/* From here on: what fails later is told with what they say. */
	*ret = m;
	r = listen_to(m, &m->console, VMM_FD_CONSOLE, &m->facts.console);
	if (r == 0)
		r = listen_to(m, &m->words, VMM_FD_WORDS, &m->facts.words);
	if (r < 0)
		return err_sys(err, r, "watch the machine");
	return connect_qmp(m, err);
}

void monitor_free(struct monitor *m)
{
	if (!m)
		return;
	loop_remove(m->console.source);
	loop_remove(m->words.source);
	loop_remove(m->qmp_source);
	qmp_free(m->qmp);
	free(m);
}
