/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/state.h"

#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <string.h>

#include "base/buf.h"
#include "base/fd.h"
#include "base/str.h"
#include "hypervisor/machine.h"
#include "runtime/isolation.h"
#include "runtime/store.h"

#define STATE_CGROUPS_MAX 64 /* one per hierarchy; the kernel knows fewer controllers */
#define BOOT_ID_MAX	  64 /* bytes of a UUID and a newline */

static json_t *encode_cgroup(const struct cgroup *cg)
{
	json_t *list = json_array();
	const struct cgroup_dir *dirs = NULL;
	const size_t len = cg ? cgroup_dirs(cg, &dirs) : 0;

	for (size_t i = 0; list && i < len; i++) {
		json_t *item = json_pack("{ss,ss}", "controllers", dirs[i].controllers, "path",
					 dirs[i].path);

		if (json_array_append_new(list, item) < 0) {
			json_decref(list);
			return NULL;
		}
	}
	return list;
}

int state_encode(const struct container *c, json_t **ret, struct err *err)
{
	AUTO_JSON json_t *doc = NULL;
	json_t *cgroups = c->cgroup ? encode_cgroup(c->cgroup) : NULL;

	/* Without its cgroups in the state nobody would ever remove them. */
	if (c->cgroup && !cgroups)
		return err_sys(err, -ENOMEM, "state of container %s", c->id);
	doc = json_pack("{si,ss,ss,ss,ss,ss,ss,si,sI,sI,so*,sO*,sb,sb,sb}", "stateVersion",
			STATE_VERSION, "ociVersion", c->oci_version, "id", c->id, "isolation",
			isolation_name(c->isolation), "bundle", c->bundle, "rootfs", c->rootfs,
			"created", c->created, "pid", (int)c->pid, "startTime",
			(json_int_t)c->start_time, "owner", (json_int_t)c->owner, "cgroups",
			cgroups, "annotations", c->annotations, "poststart",
			(c->hooks & CONTAINER_HAS_POSTSTART) != 0, "poststop",
			(c->hooks & CONTAINER_HAS_POSTSTOP) != 0, "privatePid", c->private_pid);
	if (!doc)
		return err_set(err, -EINVAL, "state of container %s cannot be written as JSON",
			       c->id);
	if (c->rdt_clos && (json_object_set_new(doc, "rdtClos", json_string(c->rdt_clos)) < 0 ||
			    json_object_set_new(doc, "rdtMade", json_boolean(c->rdt_made)) < 0))
		return err_sys(err, -ENOMEM, "state of container %s", c->id);
	if (c->sandbox && json_object_set_new(doc, "sandbox", json_string(c->sandbox)) < 0)
		return err_sys(err, -ENOMEM, "state of container %s", c->id);
	if (c->accelerator &&
	    json_object_set_new(doc, "accelerator", json_string(c->accelerator)) < 0)
		return err_sys(err, -ENOMEM, "state of container %s", c->id);
	*ret = TAKE_PTR(doc);
	return 0;
}

static int bad_key(struct err *err, const char *key, const char *wanted)
{
	return err_set(err, -EINVAL, STORE_STATE ": %s: %s expected", key, wanted);
}

/* A string that must be there; *ret is the caller's copy. */
static int take_string(const json_t *doc, const char *key, char **ret, struct err *err)
{
	const char *text = json_string_value(json_object_get(doc, key));

	if (!text || text[0] == '\0')
		return bad_key(err, key, "text");
	*ret = strdup(text);
	return *ret ? 0 : err_sys(err, -ENOMEM, STORE_STATE);
}

/* As clock_rfc3339() writes them: it is printed, and what steers a terminal is no time. */
static int take_time(const json_t *doc, const char *key, char **ret, struct err *err)
{
	const char *text = json_string_value(json_object_get(doc, key));

	if (!text || text[strspn(text, "0123456789-:.TZ+")] != '\0')
		return bad_key(err, key, "a time");
	return take_string(doc, key, ret, err);
}

static int take_path(const json_t *doc, const char *key, char **ret, struct err *err)
{
	const char *text = json_string_value(json_object_get(doc, key));

	if (!text || text[0] != '/')
		return bad_key(err, key, "an absolute path");
	return take_string(doc, key, ret, err);
}

static int take_int(const json_t *doc, const char *key, int64_t max, int64_t *ret, struct err *err)
{
	const json_t *value = json_object_get(doc, key);

	if (!json_is_integer(value) || json_integer_value(value) < 0 ||
	    json_integer_value(value) > max)
		return bad_key(err, key, "a number from 0 on");
	*ret = json_integer_value(value);
	return 0;
}

/* Absent is false. */
static int take_bool(const json_t *doc, const char *key, bool *ret, struct err *err)
{
	const json_t *value = json_object_get(doc, key);

	if (value && !json_is_boolean(value))
		return bad_key(err, key, "true or false");
	*ret = json_is_true(value);
	return 0;
}

static int take_cgroup(const json_t *doc, struct container *c, struct err *err)
{
	const json_t *list = json_object_get(doc, "cgroups");
	struct cgroup_dir dirs[STATE_CGROUPS_MAX];
	size_t len;
	int r;

	if (!list)
		return 0;
	len = json_array_size(list);
	if (!json_is_array(list) || len > STATE_CGROUPS_MAX)
		return bad_key(err, "cgroups", "a short list");
	for (size_t i = 0; i < len; i++) {
		const json_t *item = json_array_get(list, i);

		dirs[i].controllers = json_string_value(json_object_get(item, "controllers"));
		dirs[i].path = json_string_value(json_object_get(item, "path"));
		if (!dirs[i].controllers || !dirs[i].path || dirs[i].path[0] != '/')
			return bad_key(err, "cgroups", "controllers and an absolute path");
	}
	if (len == 0)
		return 0;
	r = cgroup_from_paths(dirs, len, &c->cgroup, err);
	return r < 0 ? err_prefix(err, r, STORE_STATE) : 0;
}

static int take_annotations(const json_t *doc, struct container *c, struct err *err)
{
	json_t *object = json_object_get(doc, "annotations");
	const char *key;
	json_t *value;

	if (!object)
		return 0;
	if (!json_is_object(object))
		return bad_key(err, "annotations", "an object");
	json_object_foreach (object, key, value) {
		if (!json_is_string(value))
			return bad_key(err, "annotations", "text values");
	}
	c->annotations = json_incref(object);
	return 0;
}

/* Absent, or of a kind that we do not know: not known. */
static void take_accelerator(const json_t *doc, struct container *c)
{
	const char *name = json_string_value(json_object_get(doc, "accelerator"));

	for (unsigned int i = 0; name && i < MACHINE_ACCELS; i++) {
		if (str_eq(name, machine_accel_name(i)))
			c->accelerator = machine_accel_name(i);
	}
}

static int take_rdt(const json_t *doc, struct container *c, struct err *err)
{
	int r;

	if (!json_object_get(doc, "rdtClos"))
		return 0;
	r = take_string(doc, "rdtClos", &c->rdt_clos, err);
	if (r == 0)
		r = take_bool(doc, "rdtMade", &c->rdt_made, err);
	return r;
}

static int take_sandbox(const json_t *doc, struct container *c, struct err *err)
{
	const char *id = json_string_value(json_object_get(doc, "sandbox"));

	if (!json_object_get(doc, "sandbox"))
		return 0;
	if (!id || container_id_check(id, NULL) < 0)
		return bad_key(err, "sandbox", "the ID of a container");
	return take_string(doc, "sandbox", &c->sandbox, err);
}

static int take_numbers(const json_t *doc, struct container *c, struct err *err)
{
	int64_t pid, start_time, owner;
	bool poststart = false, poststop = false;
	int r;

	r = take_int(doc, "pid", INT_MAX, &pid, err);
	if (r == 0)
		r = take_int(doc, "startTime", INT64_MAX, &start_time, err);
	if (r == 0)
		r = take_int(doc, "owner", UINT32_MAX, &owner, err);
	if (r == 0)
		r = take_bool(doc, "poststart", &poststart, err);
	if (r == 0)
		r = take_bool(doc, "poststop", &poststop, err);
	if (r == 0)
		r = take_bool(doc, "privatePid", &c->private_pid, err);
	if (r < 0)
		return r;
	/* Without its start time a pid says nothing; pid 1 is never a container of ours. */
	if (pid == 1 || (pid == 0) != (start_time == 0))
		return bad_key(err, "pid", "a process with its start time");
	c->pid = (pid_t)pid;
	c->start_time = (uint64_t)start_time;
	c->owner = (uid_t)owner;
	c->hooks =
		(poststart ? CONTAINER_HAS_POSTSTART : 0) | (poststop ? CONTAINER_HAS_POSTSTOP : 0);
	return 0;
}

int state_decode(const json_t *doc, struct container *c, struct err *err)
{
	AUTO_FREE char *isolation = NULL;
	int64_t version;
	int r;

	if (!json_is_object(doc))
		return err_set(err, -EINVAL, STORE_STATE ": an object expected");
	r = take_int(doc, "stateVersion", INT_MAX, &version, err);
	if (r < 0)
		return r;
	if (version != STATE_VERSION)
		return err_set(err, -EINVAL,
			       STORE_STATE ": version %" PRId64
					   " is unknown to this caisson (it knows %d)",
			       version, STATE_VERSION);
	if (!c->id)
		r = take_string(doc, "id", &c->id, err);
	else if (!str_eq(json_string_value(json_object_get(doc, "id")), c->id))
		r = bad_key(err, "id", "the name of its directory");
	if (r == 0)
		r = take_string(doc, "ociVersion", &c->oci_version, err);
	if (r == 0)
		r = take_path(doc, "bundle", &c->bundle, err);
	if (r == 0)
		r = take_path(doc, "rootfs", &c->rootfs, err);
	if (r == 0)
		r = take_time(doc, "created", &c->created, err);
	if (r == 0)
		r = take_string(doc, "isolation", &isolation, err);
	if (r == 0 && isolation_from_name(isolation, &c->isolation, err) < 0)
		r = err_prefix(err, -EINVAL, STORE_STATE ": isolation");
	if (r == 0)
		r = take_numbers(doc, c, err);
	if (r == 0)
		r = take_rdt(doc, c, err);
	if (r == 0)
		r = take_sandbox(doc, c, err);
	if (r == 0)
		r = take_annotations(doc, c, err);
	if (r == 0)
		r = take_cgroup(doc, c, err);
	if (r == 0)
		take_accelerator(doc, c);
	return r;
}

/* The boot of the host, or NULL if it cannot be known. The caller's. */
static char *boot_id(void)
{
	AUTO_BUF struct buf text = { .max = BOOT_ID_MAX };

	if (fd_read_file(AT_FDCWD, "/proc/sys/kernel/random/boot_id", &text) < 0 || !text.data)
		return NULL;
	return strndup(text.data, strcspn(text.data, "\n"));
}

/* Its pid and cgroups are others' now: no number of the kernel outlives the kernel. */
static void forget_earlier_boot(const json_t *doc, struct container *c)
{
	const char *made = json_string_value(json_object_get(doc, "bootId"));
	AUTO_FREE char *now = made ? boot_id() : NULL;

	if (!now || str_eq(made, now))
		return;
	c->pid = 0;
	c->start_time = 0;
	cgroup_free(TAKE_PTR(c->cgroup));
	free(TAKE_PTR(c->rdt_clos));
	c->rdt_made = false;
}

int state_save(const struct container *c, struct err *err)
{
	AUTO_JSON json_t *doc = NULL;
	AUTO_FREE char *boot = boot_id();
	int r = state_encode(c, &doc, err);

	if (r == 0 && boot && json_object_set_new(doc, "bootId", json_string(boot)) < 0)
		r = err_sys(err, -ENOMEM, "state of container %s", c->id);
	if (r == 0)
		r = json_replace_file(c->dir_fd, STORE_STATE, doc, JSON_COMPACT, err);
	return r < 0 ? err_prefix(err, r, "container %s", c->id) : 0;
}

int state_load(struct container *c, struct err *err)
{
	AUTO_BUF struct buf text = { .max = STATE_MAX };
	AUTO_JSON json_t *doc = NULL;
	int r;

	r = fd_read_regular(c->dir_fd, STORE_STATE, &text);
	if (r == -ENOENT)
		return err_set(err, r, "container does not exist");
	if (r < 0)
		return err_sys(err, r, "container %s: read " STORE_STATE, c->id);
	r = json_parse(text.data ? text.data : "", text.len, STORE_STATE, &doc, err);
	if (r == 0)
		r = state_decode(doc, c, err);
	if (r == 0)
		forget_earlier_boot(doc, c);
	return r < 0 ? err_prefix(err, r, "container %s", c->id) : 0;
}
