/* SPDX-License-Identifier: Apache-2.0 */
/* Descriptions and requests that the sentry gets; what is accepted is written and read again. */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "wire/sentry_codec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sentry_container *c = NULL, *again = NULL;
	struct sentry_process *p = NULL;
	struct sentry_request request;
	const void *tail;
	size_t tail_len;
	struct err err = { 0 };

	if (sentry_container_decode(data, size, &c, &err) == 0) {
		AUTO_BUF struct buf b = { 0 };

		assert(sentry_container_encode(c, &b, &err) == 0);
		assert(b.len == size && memcmp(b.data, data, size) == 0);
		assert(sentry_container_decode(b.data, b.len, &again, &err) == 0);
	}
	sentry_container_free(c);
	sentry_container_free(again);
	(void)sentry_process_decode(data, size, &p, &err);
	sentry_process_free(p);
	(void)sentry_request_decode(data, size, &request, &tail, &tail_len);
	return 0;
}
