/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every message that a shim decodes: requests of the task service, the options in them, the answers
 * to its events. The first byte chooses the type. What is decoded can be encoded, and is the same
 * when it is decoded again.
 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "shim/logger.h"
#include "shim/task.pb-c.h"
#include "shim/task_options.pb-c.h"
#include "shim/ttrpc.pb-c.h"
#include "shim/ttrpc_frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const ProtobufCMessageDescriptor *const types[] = {
	&caisson__shim__state_request__descriptor,
	&caisson__shim__create_task_request__descriptor,
	&caisson__shim__start_request__descriptor,
	&caisson__shim__delete_request__descriptor,
	&caisson__shim__pids_request__descriptor,
	&caisson__shim__pause_request__descriptor,
	&caisson__shim__resume_request__descriptor,
	&caisson__shim__checkpoint_task_request__descriptor,
	&caisson__shim__kill_request__descriptor,
	&caisson__shim__exec_process_request__descriptor,
	&caisson__shim__resize_pty_request__descriptor,
	&caisson__shim__close_iorequest__descriptor,
	&caisson__shim__update_task_request__descriptor,
	&caisson__shim__wait_request__descriptor,
	&caisson__shim__stats_request__descriptor,
	&caisson__shim__connect_request__descriptor,
	&caisson__shim__shutdown_request__descriptor,
	&caisson__shim__runc_options__descriptor,
	&caisson__shim__runtime_options__descriptor,
	&caisson__shim__options__descriptor,
	&caisson__shim__any__descriptor,
	&caisson__ttrpc__response__descriptor,
	&caisson__shim__runc_create_options__descriptor,
};

static void decode_words(const uint8_t *data, size_t size)
{
	char *uri = malloc(sizeof(LOGGER_SCHEME) + size);
	char **words = NULL;

	if (!uri)
		return;
	memcpy(uri, LOGGER_SCHEME, sizeof(LOGGER_SCHEME) - 1);
	memcpy(uri + sizeof(LOGGER_SCHEME) - 1, data, size);
	uri[sizeof(LOGGER_SCHEME) - 1 + size] = '\0';
	if (logger_words(uri, &words, NULL) == 0)
		assert(strv_len(words) > 0 && strv_len(words) <= LOGGER_ARGS_MAX &&
		       words[0][0] == '/');
	strv_free(words);
	free(uri);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO_TTRPC_MESSAGE struct ttrpc_message first = TTRPC_MESSAGE_INIT;
	AUTO_TTRPC_MESSAGE struct ttrpc_message second = TTRPC_MESSAGE_INIT;
	const ProtobufCMessageDescriptor *type;
	uint8_t *bytes;
	size_t len;

	if (size == 0)
		return 0;
	if (data[0] == 0xff) {
		decode_words(data + 1, size - 1);
		return 0;
	}
	type = types[data[0] % ARRAY_LEN(types)];
	if (ttrpc_unpack(type, data + 1, size - 1, &first) < 0)
		return 0;
	len = protobuf_c_message_get_packed_size(first.root);
	bytes = malloc(len + 1);
	if (!bytes)
		return 0;
	assert(protobuf_c_message_pack(first.root, bytes) == len);
	assert(ttrpc_unpack(type, bytes, len, &second) == 0);
	assert(protobuf_c_message_get_packed_size(second.root) == len);
	free(bytes);
	return 0;
}
