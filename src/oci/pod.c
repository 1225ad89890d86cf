/* SPDX-License-Identifier: Apache-2.0 */
/* containerd: internal/cri/annotations; CRI-O: pkg/annotations; Podman: libpod/annotations. */
#include "oci/pod.h"

#include "base/str.h"

static const char *find(const json_t *annotations, const char *const keys[2])
{
	for (int i = 0; i < 2; i++) {
		const char *text = json_string_value(json_object_get(annotations, keys[i]));

		if (text && *text)
			return text;
	}
	return NULL;
}

static bool is_podmans(const json_t *annotations)
{
	return str_eq(json_string_value(json_object_get(annotations, "io.container.manager")),
		      "libpod");
}

enum oci_pod_role oci_pod_role(const json_t *annotations)
{
	static const char *const keys[] = { "io.kubernetes.cri.container-type",
					    "io.kubernetes.cri-o.ContainerType" };
	const char *text = find(annotations, keys);

	if (!text || is_podmans(annotations))
		return OCI_POD_NONE;
	if (str_eq(text, "sandbox"))
		return OCI_POD_SANDBOX;
	return str_eq(text, "container") ? OCI_POD_CONTAINER : OCI_POD_UNKNOWN;
}

const char *oci_pod_sandbox(const json_t *annotations)
{
	static const char *const keys[] = { "io.kubernetes.cri.sandbox-id",
					    "io.kubernetes.cri-o.SandboxID" };

	return find(annotations, keys);
}
