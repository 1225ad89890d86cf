/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bodies of the agent's channel: requests, answers, events. The first byte says which, the second
 * its number. What is accepted is written and read again.
 */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "wire/agent_codec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static union {
	struct agent_create create;
	struct agent_network network;
	struct agent_stats stats;
} room;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO_BUF struct buf b = { 0 };
	struct err err = { 0 };
	unsigned int number;
	int r;

	if (size < 2)
		return 0;
	number = data[1];
	switch (data[0] % 3) {
	case 0:
		r = agent_request_decode(number, data + 2, size - 2, &room, &err);
		if (r == 0)
			assert(agent_request_encode(number, &room, &b, &err) == 0);
		break;
	case 1:
		r = agent_answer_decode(number, data + 2, size - 2, &room, &err);
		if (r == 0)
			assert(agent_answer_encode(number, &room, &b, &err) == 0);
		break;
	default:
		r = agent_event_decode(number, data + 2, size - 2, &room, &err);
		if (r == 0)
			assert(agent_event_encode(number, &room, &b, &err) == 0);
	}
	assert(r == 0 || (r == -EBADMSG && err.msg[0]));
	if (r == 0)
		assert(b.len == size - 2 && (b.len == 0 || memcmp(b.data, data + 2, b.len) == 0));
	return 0;
}
