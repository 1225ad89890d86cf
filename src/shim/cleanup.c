/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shim/cleanup.c - `delete`: containerd has lost a shim, and runs this in the bundle. All of the
 * container goes; how it ended nobody knows any more, so it counts as killed.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/log.h"
#include "base/str.h"
#include "oci/pod.h"
#include "shim/address.h"
#include "shim/answers.h"
#include "shim/manage.h"
#include "shim/program.h"
#include "shim/protocol.h"
#include "shim/rootfs.h"
#include "shim/settings.h"
#include "shim/task.pb-c.h"

#define STATUS_KILLED	(128 + SIGKILL)
#define ANSWER_FILE	"bootstrap.json"
#define ANSWER_FILE_MAX 4096u

/* A pod's other containers may have a shim there, which keeps it. */
static void remove_sockets(int bundle_fd)
{
	char path[ADDRESS_MAX], manage[ADDRESS_MAX];
	struct err err = { 0 };

	if (address_load(bundle_fd, path, &err) < 0)
		return;
	if (manage_path(path, manage, sizeof(manage)) == 0 && address_remove(manage, &err) < 0)
		log_warning("%s", err.msg);
	if (address_remove(path, &err) < 0)
		log_warning("%s", err.msg);
}

/* Whether `start` was called for the container: it writes into the bundle. */
static bool was_started(const char *bundle)
{
	char path[PATH_MAX];

	return snprintf(path, sizeof(path), "%s/" ADDRESS_FILE, bundle) < (int)sizeof(path) &&
	       access(path, F_OK) == 0;
}

/* By what containerd 2 has kept of the answer of `start`. */
static bool spoke_version_3(int bundle_fd)
{
	AUTO_JSON json_t *answer = NULL;
	struct err ignored = { 0 };

	return json_read_file(bundle_fd, ANSWER_FILE, ANSWER_FILE_MAX, &answer, &ignored) == 0 &&
	       json_integer_value(json_object_get(answer, "version")) >= PROTOCOL_NEWEST;
}

/*
 * In a pod whose shim speaks version 3 containerd calls `start` for the sandbox alone, and so
 * `delete`: the pod's other containers go with it.
 */
static int delete_members(const struct runtime *rt, const char *sandbox, struct err *err)
{
	struct container **list = NULL;
	size_t len = 0;
	int r = container_list(rt, &list, &len, err);

	/* Whatever fails, the others go. */
	for (size_t i = 0; i < len; i++) {
		const char *of = oci_pod_sandbox(list[i]->annotations);
		int q = 0;

		if (of && str_eq(of, sandbox) && !str_eq(list[i]->id, sandbox) &&
		    !was_started(list[i]->bundle))
			q = container_delete_force(rt, list[i]->id, r < 0 ? NULL : err);
		r = r < 0 ? r : q;
	}
	container_list_free(list, len);
	return r;
}

/* What was made, if it came to that; the pid it had. */
static int delete_container(const struct program_options *o, int bundle_fd, pid_t *ret_pid,
			    struct err *err)
{
	struct settings *settings = NULL;
	struct container *c = NULL;
	struct err ignored = { 0 };
	int q, r = settings_load(o->program, o->ns, bundle_fd, &settings, err);

	if (r < 0)
		return r;
	if (container_load(&settings->rt, o->id, false, &c, &ignored) == 0)
		*ret_pid = c->pid;
	container_free(c);
	r = container_delete_force(&settings->rt, o->id, err);
	q = bundle_fd >= 0 && spoke_version_3(bundle_fd)
		    ? delete_members(&settings->rt, o->id, r < 0 ? NULL : err)
		    : 0;
	settings_free(settings);
	return r < 0 ? r : q;
}

static int say(pid_t pid, struct err *err)
{
	Caisson__Shim__DeleteResponse response = CAISSON__SHIM__DELETE_RESPONSE__INIT;
	Caisson__Shim__Timestamp when;
	struct timespec now;
	uint8_t bytes[128];
	size_t len;
	int r;

	(void)clock_gettime(CLOCK_REALTIME, &now);
	response.pid = (uint32_t)pid;
	response.exit_status = STATUS_KILLED;
	response.exited_at = answer_time(&now, &when);
	len = caisson__shim__delete_response__pack(&response, bytes);
	r = fd_write_all(STDOUT_FILENO, bytes, len);
	return r < 0 ? err_sys(err, r, "answer") : 0;
}

int program_delete(const struct program_options *o, struct err *err)
{
	char cwd[PATH_MAX];
	const char *bundle = o->bundle ? o->bundle : getcwd(cwd, sizeof(cwd));
	AUTO_CLOSE int fd = bundle ? open(bundle, O_PATH | O_DIRECTORY | O_CLOEXEC) : -EBADF;
	struct err problem = { 0 };
	pid_t pid = 0;
	int r;

	if (fd < 0 && errno != ENOENT)
		return err_sys(err, -errno, "open the bundle");
	/* Whatever fails, the rest is done; who called keeps the bundle then, and comes again. */
	r = delete_container(o, fd, &pid, err);
	if (fd >= 0 && rootfs_unmount(bundle, &problem) < 0)
		log_warning("container %s: %s", o->id, problem.msg);
	if (fd >= 0)
		remove_sockets(fd);
	return r < 0 ? err_prefix(err, r, "container %s", o->id) : say(pid, err);
}
