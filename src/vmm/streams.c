/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/streams.h"

#include <errno.h>

#include "wire/pump.h"

/*
 * A stream's number is its place here, one more, and a turn of the table: a number comes again
 * after all others of its place, when nothing of the old stream is under way any more.
 */
#define TURNS (UINT16_MAX / AGENT_STREAMS_MAX)

static struct place {
	struct pump **pump; /* NULL: free */
	stream_ended_fn *ended;
	void *arg;
	uint32_t turn;
} places[AGENT_STREAMS_MAX];

static struct place *place_of(uint32_t stream)
{
	struct place *place = &places[(stream - 1) % AGENT_STREAMS_MAX];

	if (stream == 0 || !place->pump || place->turn != (stream - 1) / AGENT_STREAMS_MAX)
		return NULL;
	return place;
}

int stream_take(struct pump **pump, stream_ended_fn *ended, void *arg, uint32_t *ret_stream)
{
	for (uint32_t i = 0; i < AGENT_STREAMS_MAX; i++) {
		struct place *place = &places[i];

		if (place->pump)
			continue;
		*place = (struct place){
			.pump = pump, .ended = ended, .arg = arg, .turn = (place->turn + 1) % TURNS
		};
		*ret_stream = place->turn * AGENT_STREAMS_MAX + i + 1;
		return 0;
	}
	return -EMFILE;
}

void stream_leave(uint32_t stream)
{
	struct place *place = place_of(stream);

	if (place)
		place->pump = NULL;
}

/* One that has a pump. */
static struct place *find(uint32_t stream)
{
	struct place *place = place_of(stream);

	return place && *place->pump ? place : NULL;
}

void stream_on_data(uint32_t stream, const void *bytes, size_t len)
{
	const struct place *place = find(stream);

	if (place)
		pump_data(*place->pump, bytes, len);
}

void stream_on_end(uint32_t stream, int error)
{
	const struct place *place = find(stream);

	if (place)
		place->ended(place->arg, place->pump, error);
}

void stream_on_room(uint32_t stream)
{
	const struct place *place = stream ? find(stream) : NULL;

	if (place)
		pump_room(*place->pump);
	for (size_t i = 0; !stream && i < AGENT_STREAMS_MAX; i++) {
		if (places[i].pump && *places[i].pump)
			pump_room(*places[i].pump);
	}
}
