/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Commands of QMP (qemu-qmp-ref(7)). Those of one call lie in the socket together; when one is
 * refused, the answers to the rest are read all the same, and the first sentence counts.
 */
#include "hypervisor/control.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/str.h"
#include "hypervisor/qemu_args.h"

#define NAME_MAX_BYTES 32u
#define POLL_MS	       2

/* The commands of one call; errors are sticky. */
struct batch {
	struct qmp *monitor;
	unsigned int asked;
	int error;
	struct err *err;
};

static void ask(struct batch *b, const char *command, json_t *arguments)
{
	if (b->error) {
		json_decref(arguments);
		return;
	}
	if (!arguments) {
		b->error = err_set(b->err, -ENOMEM, "QMP %s: no memory", command);
		return;
	}
	b->error = qmp_ask(b->monitor, command, arguments, HYPERVISOR_MS, b->err);
	b->asked += b->error == 0;
}

static void ask_with(struct batch *b, const char *command, json_t *arguments, int fd)
{
	if (!b->error)
		b->error = qmp_ask_with(b->monitor, command, arguments, fd, HYPERVISOR_MS, b->err);
	else
		json_decref(arguments);
	b->asked += b->error == 0;
}

static int answers(struct batch *b)
{
	for (; b->asked; b->asked--) {
		struct err why = { 0 };
		const int r = qmp_answer(b->monitor, HYPERVISOR_MS, NULL, &why);

		if (r < 0 && !b->error) {
			b->error = r;
			if (b->err)
				*b->err = why;
		}
		/* The client is of no use any more. */
		if (r < 0 && r != -EREMOTEIO)
			break;
	}
	return b->error;
}

/* ---- The machine ---- */

static json_t *shared_memory_stays(void)
{
	return json_pack("{s:[{s:s, s:b}]}", "capabilities", "capability", "x-ignore-shared",
			 "state", 1);
}

/* And MIGRATION is said when the state is read, whether the machine goes on or not. */
static json_t *shared_memory_stays_and_end_is_told(void)
{
	return json_pack("{s:[{s:s, s:b}, {s:s, s:b}]}", "capabilities", "capability",
			 "x-ignore-shared", "state", 1, "capability", "events", "state", 1);
}

static int greet(struct qmp *monitor, const struct machine *m, unsigned int *ret_asked,
		 struct err *err)
{
	struct batch b = { .monitor = monitor, .err = err };
	char uri[NAME_MAX_BYTES];

	ask(&b, "qmp_capabilities", json_object());
	if (m->role == MACHINE_CLONE || m->role == MACHINE_COPY) {
		(void)snprintf(uri, sizeof(uri), "fd:%d", QEMU_STATE_FD);
		ask(&b, "migrate-set-capabilities", shared_memory_stays_and_end_is_told());
		ask(&b, "migrate-incoming", json_pack("{s:s}", "uri", uri));
	}
	*ret_asked = b.asked;
	return b.error;
}

/* ---- Saved ---- */

/* 1: done, 0: not yet. */
static int is_saved(struct qmp *monitor, struct err *err)
{
	AUTO_JSON json_t *answer = NULL;
	int r = qmp_call(monitor, "query-migrate", NULL, HYPERVISOR_MS, &answer, err);
	const char *word, *why;

	if (r < 0)
		return r;
	word = json_string_value(json_object_get(answer, "status"));
	if (!word)
		return err_set(err, -EPROTO, "QMP query-migrate: no status");
	if (str_eq(word, "failed") || str_eq(word, "cancelled")) {
		why = json_string_value(json_object_get(answer, "error-desc"));
		return err_set(err, -EREMOTEIO, "save a machine: %s", why ? why : word);
	}
	return str_eq(word, "completed");
}

static int save(struct qmp *monitor, int state, int timeout_ms, struct err *err)
{
	const int64_t deadline = clock_ms() + timeout_ms;
	struct batch b = { .monitor = monitor, .err = err };
	int r;

	ask(&b, "migrate-set-capabilities", shared_memory_stays());
	ask_with(&b, "getfd", json_pack("{s:s}", "fdname", "state"), state);
	ask(&b, "migrate", json_pack("{s:s}", "uri", "fd:state"));
	r = answers(&b);
	while (r == 0) {
		r = is_saved(monitor, err);
		if (r != 0)
			return r < 0 ? r : 0;
		if (clock_ms() > deadline)
			return err_set(err, -ETIMEDOUT, "save a machine: not done within %d ms",
				       timeout_ms);
		(void)usleep(POLL_MS * 1000);
	}
	return r;
}

/* ---- Plugged ---- */

static int check_slot(unsigned int slot, struct err *err)
{
	return slot < MACHINE_SLOTS_MAX ? 0 : err_set(err, -EINVAL, "slot %u of a machine", slot);
}

static int put_files(struct batch *b, unsigned int slot, int files)
{
	char bus[NAME_MAX_BYTES], id[NAME_MAX_BYTES], name[NAME_MAX_BYTES];

	if (check_slot(slot, b->err) < 0)
		return -EINVAL;
	(void)snprintf(bus, sizeof(bus), "slot%u", slot);
	(void)snprintf(id, sizeof(id), "plug%u", slot);
	(void)snprintf(name, sizeof(name), "plugfiles%u", slot);
	ask_with(b, "getfd", json_pack("{s:s}", "fdname", name), files);
	ask(b, "chardev-add",
	    json_pack("{s:s, s:{s:s, s:{s:{s:s, s:{s:s}}, s:b}}}", "id", name, "backend", "type",
		      "socket", "data", "addr", "type", "fd", "data", "str", name, "server", 0));
	ask(b, "device_add",
	    json_pack("{s:s, s:s, s:s, s:s, s:s}", "driver", "vhost-user-fs-pci", "id", id,
		      "chardev", name, "tag", MACHINE_FILES_TAG, "bus", bus));
	return b->error;
}

static int ask_files(struct qmp *monitor, unsigned int slot, int files, unsigned int *ret_asked,
		     struct err *err)
{
	struct batch b = { .monitor = monitor, .err = err };
	const int r = put_files(&b, slot, files);

	*ret_asked = b.asked;
	return r;
}

/* ---- Memory and CPUs ---- */

#define ROOM_PATH "/machine/peripheral/" QEMU_ROOM

static int plug_memory(struct qmp *monitor, uint64_t bytes, struct err *err)
{
	json_t *arguments;

	if (bytes % MACHINE_MEMORY_GRAIN || bytes > MACHINE_MEMORY_MAX)
		return err_set(err, -EINVAL, "memory of a machine: %llu bytes more",
			       (unsigned long long)bytes);
	arguments = json_pack("{s:s, s:s, s:I}", "path", ROOM_PATH, "property", "requested-size",
			      "value", (json_int_t)bytes);
	return arguments ? qmp_call(monitor, "qom-set", arguments, HYPERVISOR_MS, NULL, err)
			 : err_set(err, -ENOMEM, "QMP qom-set: no memory");
}

static int plugged_memory(struct qmp *monitor, uint64_t *ret, struct err *err)
{
	AUTO_JSON json_t *answer = NULL;
	json_t *arguments = json_pack("{s:s, s:s}", "path", ROOM_PATH, "property", "size");
	int r = arguments ? qmp_call(monitor, "qom-get", arguments, HYPERVISOR_MS, &answer, err)
			  : err_set(err, -ENOMEM, "QMP qom-get: no memory");

	if (r < 0)
		return r;
	if (!json_is_integer(answer) || json_integer_value(answer) < 0)
		return err_set(err, -EPROTO, "QMP qom-get: no size");
	*ret = (uint64_t)json_integer_value(answer);
	return 0;
}

#define CPU_ID "cpu%u" /* of a place: the first one is 0 */

/* One of query-hotpluggable-cpus that is not there yet. */
static int plug_cpu(struct qmp *monitor, const json_t *slot, unsigned int number, struct err *err)
{
	const char *driver = json_string_value(json_object_get(slot, "type"));
	const json_t *where = json_object_get(slot, "props");
	AUTO_JSON json_t *arguments = json_is_object(where) ? json_deep_copy(where) : NULL;
	char id[NAME_MAX_BYTES];

	if (!driver || !arguments)
		return err_set(err, -EPROTO, "QMP query-hotpluggable-cpus: a CPU without a place");
	(void)snprintf(id, sizeof(id), CPU_ID, number);
	if (json_object_set_new(arguments, "driver", json_string(driver)) < 0 ||
	    json_object_set_new(arguments, "id", json_string(id)) < 0)
		return err_set(err, -ENOMEM, "QMP device_add: no memory");
	return qmp_call(monitor, "device_add", json_incref(arguments), HYPERVISOR_MS, NULL, err);
}

/* QEMU lists the last place first. *ret is the caller's. */
static int find_places(struct qmp *monitor, json_t **ret, unsigned int *ret_there, struct err *err)
{
	int r = qmp_call(monitor, "query-hotpluggable-cpus", NULL, HYPERVISOR_MS, ret, err);
	size_t places;

	if (r < 0)
		return r;
	places = json_array_size(*ret);
	if (places > MACHINE_CPUS_MAX)
		return err_set(err, -EPROTO, "QMP query-hotpluggable-cpus: %zu CPUs", places);
	*ret_there = 0;
	for (size_t i = 0; i < places; i++)
		*ret_there += json_object_get(json_array_get(*ret, i), "qom-path") != NULL;
	return 0;
}

static int plug_cpus(struct qmp *monitor, unsigned int cpus, struct err *err)
{
	AUTO_JSON json_t *answer = NULL;
	unsigned int there;
	int r = find_places(monitor, &answer, &there, err);
	size_t places;

	if (r < 0)
		return r;
	places = json_array_size(answer);
	if (cpus > places)
		return err_set(err, -EINVAL, "CPUs of a machine: %u, where %zu can be", cpus,
			       places);
	for (size_t i = places; r == 0 && there < cpus && i-- > 0;) {
		const json_t *slot = json_array_get(answer, i);

		if (json_object_get(slot, "qom-path"))
			continue;
		r = plug_cpu(monitor, slot, (unsigned int)(places - 1 - i), err);
		there++;
	}
	return r;
}

static int unplug_cpus(struct qmp *monitor, unsigned int cpus, struct err *err)
{
	AUTO_JSON json_t *answer = NULL;
	unsigned int there;
	int r = find_places(monitor, &answer, &there, err);
	const size_t places = r == 0 ? json_array_size(answer) : 0;

	for (size_t i = 0; r == 0 && i + cpus < places; i++) {
		char id[NAME_MAX_BYTES];
		json_t *arguments;

		if (!json_object_get(json_array_get(answer, i), "qom-path"))
			continue;
		(void)snprintf(id, sizeof(id), CPU_ID, (unsigned int)(places - 1 - i));
		arguments = json_pack("{s:s}", "id", id);
		r = arguments ? qmp_call(monitor, "device_del", arguments, HYPERVISOR_MS, NULL, err)
			      : err_set(err, -ENOMEM, "QMP device_del: no memory");
	}
	return r;
}

static int plugged_cpus(struct qmp *monitor, unsigned int *ret, struct err *err)
{
	AUTO_JSON json_t *answer = NULL;

	return find_places(monitor, &answer, ret, err);
}

const struct hypervisor_ops hypervisor_qemu = {
	.name = "qemu",
	.greet = greet,
	.save = save,
	.plug_memory = plug_memory,
	.plugged_memory = plugged_memory,
	.plug_cpus = plug_cpus,
	.unplug_cpus = unplug_cpus,
	.plugged_cpus = plugged_cpus,
	.ask_files = ask_files,
};
