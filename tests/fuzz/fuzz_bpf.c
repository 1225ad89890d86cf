/* SPDX-License-Identifier: Apache-2.0 */
/* Filters of guests: what is accepted also ends, and reads only what it was given. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "sentry/task/bpf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct seccomp_data call = { 0 };
	const size_t head = size < sizeof(call) ? size : sizeof(call);
	const size_t len = (size - head) / sizeof(struct sock_filter);
	struct sock_filter *insns = malloc(len * sizeof(*insns) + 1);
	bool uses_ip;

	if (!insns)
		return 0;
	if (head)
		memcpy(&call, data, head);
	memcpy(insns, data + head, len * sizeof(*insns));
	if (bpf_check(insns, len, &uses_ip) == 0)
		(void)bpf_run(insns, &call);
	free(insns);
	return 0;
}
