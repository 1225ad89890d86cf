/* SPDX-License-Identifier: Apache-2.0 */
/* A signal as the command line takes it, and the text of /proc/PID/stat. */
#include <assert.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "host/pidfd.h"
#include "host/signals.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1), state;
	uint64_t start;
	int number;

	if (!text)
		return 0;
	memcpy(text, data, size);
	text[size] = '\0';
	number = signal_from_text(text);
	assert(number == -EINVAL || (number >= 0 && number <= SIGNAL_MAX));
	(void)pid_stat_parse(text, size, &state, &start);
	free(text);
	return 0;
}
