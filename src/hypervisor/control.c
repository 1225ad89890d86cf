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
#define SETS_FIRST     100 /* of fdsets: the machine's own disks have those below */
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

static int call(struct qmp *monitor, const char *command, struct err *err)
{
	return qmp_call(monitor, command, NULL, HYPERVISOR_MS, NULL, err);
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

static int status(struct qmp *monitor, struct hypervisor_status *ret, struct err *err)
{
	AUTO_JSON json_t *answer = NULL;
	int r = qmp_call(monitor, "query-status", NULL, HYPERVISOR_MS, &answer, err);
	const char *word;

	if (r < 0)
		return r;
	word = json_string_value(json_object_get(answer, "status"));
	if (!word)
		return err_set(err, -EPROTO, "QMP query-status: no status");
	ret->running = json_is_true(json_object_get(answer, "running"));
	(void)snprintf(ret->state, sizeof(ret->state), "%s", word);
	return 0;
}

static int set_paused(struct qmp *monitor, bool paused, struct err *err)
{
	return call(monitor, paused ? "stop" : "cont", err);
}

static int stop(struct qmp *monitor, struct err *err)
{
	const int r = call(monitor, "quit", err);

	/* It may be gone before its answer. */
	return r == -EPIPE ? 0 : r;
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

static int plug_disk(struct qmp *monitor, unsigned int slot, const struct machine_disk *disk,
		     struct err *err)
{
	struct batch b = { .monitor = monitor, .err = err };
	char bus[NAME_MAX_BYTES], id[NAME_MAX_BYTES], node[NAME_MAX_BYTES], file[NAME_MAX_BYTES];
	const int set = SETS_FIRST + (int)slot;

	if (check_slot(slot, err) < 0)
		return -EINVAL;
	(void)snprintf(bus, sizeof(bus), "slot%u", slot);
	(void)snprintf(id, sizeof(id), "plug%u", slot);
	(void)snprintf(node, sizeof(node), "plugdisk%u", slot);
	(void)snprintf(file, sizeof(file), "/dev/fdset/%d", set);
	ask_with(&b, "add-fd", json_pack("{s:i}", "fdset-id", set), disk->fd);
	ask(&b, "blockdev-add",
	    json_pack("{s:s, s:s, s:b, s:{s:s, s:s, s:s, s:b}}", "driver", "raw", "node-name", node,
		      "read-only", disk->readonly, "file", "driver",
		      disk->device ? "host_device" : "file", "filename", file, "locking", "off",
		      "read-only", disk->readonly));
	ask(&b, "device_add",
	    json_pack("{s:s, s:s, s:s, s:s}", "driver", "virtio-blk-pci", "id", id, "drive", node,
		      "bus", bus));
	return answers(&b);
}

/* "02:00:00:00:00:01" */
static void print_mac(char text[static 18], const uint8_t mac[static 6])
{
	(void)snprintf(text, 18, "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2], mac[3],
		       mac[4], mac[5]);
}

static int plug_nic(struct qmp *monitor, unsigned int slot, const struct machine_nic *nic,
		    struct err *err)
{
	struct batch b = { .monitor = monitor, .err = err };
	char bus[NAME_MAX_BYTES], id[NAME_MAX_BYTES], net[NAME_MAX_BYTES], mac[18];
	char names[MACHINE_QUEUES_MAX * NAME_MAX_BYTES] = "";
	size_t len = 0;

	if (check_slot(slot, err) < 0)
		return -EINVAL;
	if (nic->taps_len < 1 || nic->taps_len > MACHINE_QUEUES_MAX)
		return err_set(err, -EINVAL, "network device of a machine: %u queues",
			       nic->taps_len);
	(void)snprintf(bus, sizeof(bus), "slot%u", slot);
	(void)snprintf(id, sizeof(id), "plug%u", slot);
	(void)snprintf(net, sizeof(net), "plugnet%u", slot);
	print_mac(mac, nic->mac);
	for (unsigned int q = 0; q < nic->taps_len; q++) {
		char name[NAME_MAX_BYTES];

		(void)snprintf(name, sizeof(name), "tap%u.%u", slot, q);
		len += (size_t)snprintf(names + len, sizeof(names) - len, "%s%s", q ? ":" : "",
					name);
		ask_with(&b, "getfd", json_pack("{s:s}", "fdname", name), nic->taps[q]);
	}
	ask(&b, "netdev_add",
	    json_pack("{s:s, s:s, s:s}", "type", "tap", "id", net, nic->taps_len > 1 ? "fds" : "fd",
		      names));
	ask(&b, "device_add",
	    json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:b}", "driver", "virtio-net-pci", "id", id,
		      "netdev", net, "mac", mac, "bus", bus, "romfile", "", "mq",
		      nic->taps_len > 1));
	return answers(&b);
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

static int plug_files(struct qmp *monitor, unsigned int slot, int files, struct err *err)
{
	struct batch b = { .monitor = monitor, .err = err };
	const int r = put_files(&b, slot, files);

	return r == -EINVAL && !b.asked ? r : answers(&b);
}

static int ask_files(struct qmp *monitor, unsigned int slot, int files, unsigned int *ret_asked,
		     struct err *err)
{
	struct batch b = { .monitor = monitor, .err = err };
	const int r = put_files(&b, slot, files);

	*ret_asked = b.asked;
	return r;
}

static int unplug(struct qmp *monitor, unsigned int slot, struct err *err)
{
	struct batch b = { .monitor = monitor, .err = err };
	char id[NAME_MAX_BYTES];

	if (check_slot(slot, err) < 0)
		return -EINVAL;
	(void)snprintf(id, sizeof(id), "plug%u", slot);
	ask(&b, "device_del", json_pack("{s:s}", "id", id));
	return answers(&b);
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
	.status = status,
	.pause = set_paused,
	.stop = stop,
	.save = save,
	.plug_disk = plug_disk,
	.plug_nic = plug_nic,
	.plug_files = plug_files,
	.plug_memory = plug_memory,
	.plugged_memory = plugged_memory,
	.plug_cpus = plug_cpus,
	.unplug_cpus = unplug_cpus,
	.plugged_cpus = plugged_cpus,
	.ask_files = ask_files,
	.unplug = unplug,
};
