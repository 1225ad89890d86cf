/* SPDX-License-Identifier: Apache-2.0 */
/*
 * oci/pod.h - what annotations say about pods of Kubernetes: those of containerd's CRI plugin and
 * of CRI-O, the first that is there counts. Podman writes CRI-O's for all but the first container
 * of its pods, and names no container where the pod has no such first one: its word is none.
 */
#pragma once

#include "base/json.h"

enum oci_pod_role {
	OCI_POD_NONE,	   /* no annotation says so: a container by itself */
	OCI_POD_SANDBOX,   /* the container that a pod begins with */
	OCI_POD_CONTAINER, /* one of the pod's own */
	OCI_POD_UNKNOWN,   /* another word */
};

/* `annotations` is an object of texts; NULL and anything else have none. */
enum oci_pod_role oci_pod_role(const json_t *annotations);

/* The id of the pod's sandbox container, not empty; borrowed, or NULL. */
const char *oci_pod_sandbox(const json_t *annotations);
