/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/sandbox/pod.h"

#include <errno.h>
#include <string.h>

#include "base/str.h"
#include "oci/pod.h"
#include "runtime/container.h"

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

int pod_join(struct container *c, struct container **ret, struct err *err)
{
	AUTO(container_free_p) struct container *sandbox = NULL;
	const char *id = oci_pod_sandbox(c->annotations);
	const enum oci_pod_role role = oci_pod_role(c->annotations);
	int r;

	*ret = NULL;
	if (role == OCI_POD_UNKNOWN)
		return err_set(err, -EINVAL,
			       "container %s: its container-type annotation is neither sandbox nor "
			       "container",
			       c->id);
	if (role != OCI_POD_CONTAINER)
		return 0;
	if (!id)
		return err_set(err, -EINVAL,
			       "container %s: annotations name no sandbox of the pod it belongs to",
			       c->id);
	r = str_eq(id, c->id) ? err_set(err, -EINVAL, "it is the container itself")
			      : container_load(c->runtime, id, false, &sandbox, err);
	if (r == 0)
		r = judge(c, sandbox, err);
	if (r < 0)
		return err_prefix(err, r, "container %s: sandbox %.64s of its pod", c->id, id);
	c->sandbox = strdup(id);
	if (!c->sandbox)
		return err_sys(err, -ENOMEM, "container %s", c->id);
	*ret = TAKE_PTR(sandbox);
	return 0;
}
