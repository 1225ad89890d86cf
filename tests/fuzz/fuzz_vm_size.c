/* SPDX-License-Identifier: Apache-2.0 */
/* Annotations of engines that say how big a pod is: a letter for the key, then the text. */
#include <assert.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/vm/size.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const keys[] = {
		"io.kubernetes.cri.sandbox-memory",	"io.kubernetes.cri.sandbox-cpu-quota",
		"io.kubernetes.cri.sandbox-cpu-period", "io.kubernetes.cri.sandbox-cpu-shares",
		"pod-linux-resources.crio.io",		"io.kubernetes.cri-o.PodLinuxResources",
	};
	static const struct vm_config config = { .memory = 64 << 20,
						 .overhead = 1 << 20,
						 .cpus = 1,
						 .max_cpus = 4,
						 .max_memory = 1 << 30,
						 .host_memory = 2ull << 30 };
	const struct oci_resources none = { 0 };
	struct vm_size ret;
	struct err err = { 0 };
	json_t *annotations, *text;
	int r;

	if (size == 0)
		return 0;
	annotations = json_object();
	text = json_stringn((const char *)data + 1, size - 1);
	/* No text of an annotation has such bytes. */
	if (annotations && text &&
	    json_object_set_new(annotations, keys[data[0] % (sizeof(keys) / sizeof(*keys))],
				text) == 0) {
		r = vm_size_get(&config, annotations, &none, &ret, &err);
		assert(r == 0 || (r == -EINVAL && err.msg[0]));
		assert(r < 0 || (ret.cpus >= 1 && ret.cpus <= 4));
		assert(r < 0 || (ret.memory >= MACHINE_MEMORY_MIN && ret.memory <= 1 << 30 &&
				 ret.memory % MACHINE_MEMORY_GRAIN == 0));
	}
	json_decref(annotations);
	return 0;
}
