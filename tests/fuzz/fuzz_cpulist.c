/* SPDX-License-Identifier: Apache-2.0 */
/* A list of processors or memory nodes. */
#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "host/sched.h"

#define BITS 200

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	unsigned long mask[5] = { 0, 0, 0, 0, 0xdead };
	char *text = malloc(size + 1);
	bool any = false;
	int r;

	if (!text)
		return 0;
	memcpy(text, data, size);
	text[size] = '\0';
	r = cpulist_parse(text, mask, BITS);
	assert(r == 0 || r == -EINVAL || r == -ERANGE);
	assert(mask[4] == 0xdead);
	assert(mask[3] >> (BITS - 192) == 0); /* no bit at BITS or above */
	for (int i = 0; i < 4; i++)
		any |= mask[i] != 0;
	assert(r < 0 || any);
	free(text);
	return 0;
}
