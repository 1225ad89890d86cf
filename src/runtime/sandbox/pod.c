/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/sandbox/pod.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "host/pidfd.h"
#include "oci/pod.h"
#include "runtime/container.h"

/* ---- Namespaces on the host ----------------------------------------------------------------- */

static bool same(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

/* The process that is looked at is certainly the container's: it lives afterwards. */
static bool is_in(const struct container *c, const char *kind, const struct stat *wanted)
{
	AUTO_CLOSE int pidfd = container_open_init(c, NULL);
	char path[64];
	struct stat st;

	(void)snprintf(path, sizeof(path), "/proc/%d/ns/%s", (int)c->pid, kind);
	return pidfd >= 0 && stat(path, &st) == 0 && same(&st, wanted) &&
	       pidfd_wait(pidfd, 0) == -ETIMEDOUT;
}

int pod_find(const struct container *sandbox, const char *kind, const struct stat *wanted,
	     bool parts, char **ret, struct err *err)
{
	const char *found = is_in(sandbox, kind, wanted) ? sandbox->id : NULL;
	struct container **list = NULL;
	size_t len = 0;
	int r = 0;

	/* Of all containers of the root, so only where it has to be. */
	if (!found && parts)
		r = container_list(sandbox->runtime, &list, &len, err);
	for (size_t i = 0; !found && i < len; i++) {
		if (str_eq(list[i]->sandbox, sandbox->id) && is_in(list[i], kind, wanted))
			found = list[i]->id;
	}
	*ret = NULL;
	if (found) {
		*ret = strdup(found);
		r = *ret ? 0 : err_sys(err, -ENOMEM, "sandbox %s", sandbox->id);
	}
	container_list_free(list, len);
	return r;
}

/* ---- Who is joined -------------------------------------------------------------------------- */

/* A part of a sandbox whose network is not the sandbox's: nobody is put there. */
static bool has_own_network(const struct container *part)
{
	AUTO(container_free_p) struct container *c = NULL;
	struct oci_spec *spec = NULL;
	bool own = true;

	if (container_load(part->runtime, part->id, false, &c, NULL) == 0 &&
	    container_load_spec(c, &spec, NULL) == 0) {
		const struct oci_namespace *net = &spec->linux.ns[OCI_NS_NETWORK];

		own = net->set && !net->path;
	}
	oci_spec_free(spec);
	return own;
}

/*
 * The sandbox, by its own process or by that of a part of it, whose network namespace on the host
 * the container is to have. *ret_id: the caller's; NULL: none, and any error is told by who opens
 * the path to enter it.
 */
static int find_by_network(const struct container *c, const struct oci_spec *spec, char **ret_id,
			   struct err *err)
{
	const char *path = spec->linux.ns[OCI_NS_NETWORK].path;
	AUTO_CLOSE int fd = path ? open(path, O_PATH | O_CLOEXEC) : -EBADF;
	struct container **list = NULL;
	const char *found = NULL;
	struct stat wanted, own;
	size_t len = 0;
	int r;

	*ret_id = NULL;
	/* In the host's own are others, too. */
	if (fd < 0 || fstat(fd, &wanted) < 0 || stat("/proc/self/ns/net", &own) < 0 ||
	    same(&wanted, &own))
		return 0;
	r = container_list(c->runtime, &list, &len, err);
	for (size_t i = 0; i < len && !found; i++) {
		if (list[i]->isolation != c->isolation || !is_in(list[i], "net", &wanted))
			continue;
		if (!list[i]->sandbox)
			found = list[i]->id;
		else if (!has_own_network(list[i]))
			found = list[i]->sandbox;
	}
	if (found) {
		*ret_id = strdup(found);
		r = *ret_id ? 0 : err_sys(err, -ENOMEM, "container %s", c->id);
	}
	container_list_free(list, len);
	return r;
}

static int judge(const struct container *c, const struct container *sandbox, struct err *err)
{
	if (sandbox->isolation != c->isolation)
		return err_set(err, -EXDEV, "it is of class %s, the container of class %s",
			       isolation_name(sandbox->isolation), isolation_name(c->isolation));
	if (sandbox->sandbox)
		return err_set(err, -EXDEV, "it is itself a part of sandbox %.64s",
			       sandbox->sandbox);
	switch (sandbox->status) {
	case OCI_CREATED:
	case OCI_RUNNING:
		return 0;
	case OCI_PAUSED:
		return err_set(err, -EBUSY, "it is paused");
	case OCI_CREATING:
		return err_set(err, -ESRCH, "it is still being created");
	case OCI_STOPPED:
	case OCI_STATUS_MAX:
		break;
	}
	return err_set(err, -ESRCH, "it has ended");
}

static int find_by_annotations(const struct container *c, char **ret_id, struct err *err)
{
	const char *id = oci_pod_sandbox(c->annotations);

	if (!id)
		return err_set(err, -EINVAL,
			       "container %s: annotations name no sandbox of the pod it belongs to",
			       c->id);
	*ret_id = strdup(id);
	return *ret_id ? 0 : err_sys(err, -ENOMEM, "container %s", c->id);
}

static int find(const struct container *c, const struct oci_spec *spec, char **ret_id,
		struct err *err)
{
	*ret_id = NULL;
	switch (oci_pod_role(c->annotations)) {
	case OCI_POD_NONE:
		return find_by_network(c, spec, ret_id, err);
	case OCI_POD_SANDBOX:
		return 0;
	case OCI_POD_CONTAINER:
		return find_by_annotations(c, ret_id, err);
	case OCI_POD_UNKNOWN:
		break;
	}
	return err_set(err, -EINVAL,
		       "container %s: its container-type annotation is neither sandbox nor "
		       "container",
		       c->id);
}

int pod_join(struct container *c, const struct oci_spec *spec, struct container **ret,
	     struct err *err)
{
	AUTO(container_free_p) struct container *sandbox = NULL;
	AUTO_FREE char *id = NULL;
	int r = find(c, spec, &id, err);

	*ret = NULL;
	if (r < 0 || !id)
		return r;
	r = str_eq(id, c->id) ? err_set(err, -EINVAL, "it is the container itself")
			      : container_load(c->runtime, id, false, &sandbox, err);
	if (r == 0)
		r = judge(c, sandbox, err);
	if (r < 0)
		return err_prefix(err, r, "container %s: sandbox %.64s of its pod", c->id, id);
	c->sandbox = TAKE_PTR(id);
	*ret = TAKE_PTR(sandbox);
	return 0;
}
