/* SPDX-License-Identifier: Apache-2.0 */
/* A stream of event records, as a reader gets it from a file or a sentry. */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "wire/event_codec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What was understood is written again, and then says the same. */
static void round_trip(const struct event_record *record, const struct buf *json)
{
	static char bytes[EVENT_RECORD_MAX];
	AUTO_BUF struct buf again = { 0 };
	struct event_record copy;
	const size_t len = event_encode(&record->head, &record->common, &record->u, bytes);
	size_t used = 0;

	assert(event_decode(bytes, len, &copy, &used) == 1 && used == len);
	event_to_json(&copy, &again);
	assert(again.len == json->len && memcmp(again.data, json->data, json->len) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	while (size > 0) {
		AUTO_BUF struct buf json = { 0 };
		struct event_record record;
		size_t used;
		const int r = event_decode(data, size, &record, &used);

		if (r < 0)
			break;
		assert(used <= size);
		if (r > 0) {
			event_to_json(&record, &json);
			for (size_t i = 0; i < json.len; i++)
				assert(json.data[i] >= ' ' && json.data[i] < 0x7f);
			round_trip(&record, &json);
		}
		data += used;
		size -= used;
	}
	return 0;
}
