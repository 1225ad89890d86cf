/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/unit.h"

#include <errno.h>
#include <sys/socket.h>

#include "wire/agent_codec.h"

static const char filter[16] = "0123456789abcde";

static struct agent_create sample_create(void)
{
	return (struct agent_create){
		.id = "box",
		.config = { "{}", 2 },
		.seccomp = { filter, 16 },
		.seccomp_flags = 2,
		.io = { 1, 2, 3, 0, 0, 0 },
		.storages = { { "caisson", "/run/caisson/share", "virtiofs", "", 6,
				AGENT_STORAGE_SHARED },
			      { "/dev/vda", "/run/caisson/root", "erofs", "ro", 1, 0 } },
		.storages_len = 2,
	};
}

static struct agent_network *sample_network(void)
{
	static struct agent_network n;
	const struct agent_ip ip = { AF_INET, { 10, 0, 0, 2 }, 24 };

	memset(&n, 0, sizeof(n));
	n.links[0] = (struct agent_link){ "eth0", { 2, 0, 0, 0, 0, 1 }, 1500, 0 };
	n.links_len = 1;
	n.addresses[0] = (struct agent_address){ .ip = ip, .broadcast = { 10, 0, 0, 255 } };
	n.addresses_len = 1;
	n.routes[0] = (struct agent_route){ .to = { AF_INET6, { 0 }, 0 },
					    .gateway = { AF_INET6, { 0xfe, 0x80 }, 128 } };
	n.routes_len = 1;
	n.neighbours[0] = (struct agent_neighbour){ .ip = ip, .mac = { 2 }, .state = 128 };
	n.neighbours_len = 1;
	n.rules[0] = (struct agent_rule){ .family = AF_INET, .from = ip, .in_link = 1 };
	n.rules_len = 1;
	return &n;
}

/* A body of each call, answer and event, with every list in use. */
enum side { REQUEST, ANSWER, EVENT };

struct sample {
	enum side side;
	unsigned int number;
	const void *body;
};

static union {
	struct agent_create create;
	struct agent_network network;
	struct agent_stats stats;
} room;

static const char entropy[32];
static const struct agent_container container = { "box" };
static const struct agent_exec exec_body = { .id = "box", .config = { "{}", 2 }, .cgroup = "a/b" };
static const struct agent_pid pid_body = { 7 };
static const struct agent_signal signal_body = { "box", 7, 15, SENTRY_SIGNAL_ALL };
static const struct agent_resize resize_body = { "box", 0, 24, 80 };
static const struct agent_update update_body = { "box", { "{}", 2 } };
static const struct agent_stats stats_body = { .cpu_usage_ns = 1, .pids_limit = UINT64_MAX };
static const struct sentry_ps ps[2] = { { .pid = 1, .state = 'S', .comm = "sh" },
					{ .pid = 2, .ppid = 1, .state = 'R', .command = "ps" } };
static const struct agent_processes processes_body = { ps, 2 };
static const struct agent_online online_body = { 2 };
static const struct agent_reset reset_body = { 5, { entropy, 32 }, "box" };
static const struct agent_debug debug_body = { "tasks" };
static const struct agent_text text_body = { "one\ntwo\n" };
static const struct agent_exited exited_body = { "box", 7, 137 };

static const struct sample samples[] = {
	{ REQUEST, AGENT_CREATE, NULL /* sample_create() */ },
	{ REQUEST, AGENT_NETWORK, NULL /* sample_network() */ },
	{ REQUEST, AGENT_START, &container },
	{ REQUEST, AGENT_EXEC, &exec_body },
	{ REQUEST, AGENT_SIGNAL, &signal_body },
	{ REQUEST, AGENT_RESIZE, &resize_body },
	{ REQUEST, AGENT_UPDATE, &update_body },
	{ REQUEST, AGENT_STATS, &container },
	{ REQUEST, AGENT_PS, &container },
	{ REQUEST, AGENT_PAUSE, &container },
	{ REQUEST, AGENT_RESUME, &container },
	{ REQUEST, AGENT_DELETE, &container },
	{ REQUEST, AGENT_ONLINE, &online_body },
	{ REQUEST, AGENT_RESET, &reset_body },
	{ REQUEST, AGENT_DEBUG, &debug_body },
	{ ANSWER, AGENT_CREATE, &pid_body },
	{ ANSWER, AGENT_EXEC, &pid_body },
	{ ANSWER, AGENT_STATS, &stats_body },
	{ ANSWER, AGENT_PS, &processes_body },
	{ ANSWER, AGENT_DEBUG, &text_body },
	{ EVENT, AGENT_EXITED, &exited_body },
	{ EVENT, AGENT_OOM, &container },
};
#define SAMPLES (sizeof(samples) / sizeof(samples[0]))

static int encode(const struct sample *s, struct buf *b, struct err *err)
{
	const struct agent_create create = sample_create();
	const void *body = s->body;

	if (!body)
		body = s->number == AGENT_CREATE ? (const void *)&create
						 : (const void *)sample_network();
	switch (s->side) {
	case REQUEST:
		return agent_request_encode(s->number, body, b, err);
	case ANSWER:
		return agent_answer_encode(s->number, body, b, err);
	default:
		return agent_event_encode(s->number, body, b, err);
	}
}

static int decode(const struct sample *s, const void *bytes, size_t len, void *ret, struct err *err)
{
	switch (s->side) {
	case REQUEST:
		return agent_request_decode(s->number, bytes, len, ret, err);
	case ANSWER:
		return agent_answer_decode(s->number, bytes, len, ret, err);
	default:
		return agent_event_decode(s->number, bytes, len, ret, err);
	}
}

static void every_cut_of_every_body_is_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < SAMPLES; i++) {
		AUTO_BUF struct buf b = { 0 };

		assert_int_equal(encode(&samples[i], &b, NULL), 0);
		for (size_t len = 0; len < b.len; len++) {
			struct err err = { 0 };
			char *copy = malloc(len ? len : 1);

			assert_non_null(copy);
			memcpy(copy, b.data, len);
			assert_int_equal(decode(&samples[i], copy, len, &room, &err), -EBADMSG);
			assert_says(err, "cut off");
			free(copy);
		}
	}
}

static void a_byte_too_many_is_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < SAMPLES; i++) {
		AUTO_BUF struct buf b = { 0 };
		struct err err = { 0 };

		assert_int_equal(encode(&samples[i], &b, NULL), 0);
		assert_int_equal(buf_append(&b, "", 1), 0);
		assert_int_equal(decode(&samples[i], b.data, b.len, &room, &err), -EBADMSG);
		assert_says(err, "1 bytes are left over");
	}
	assert_int_equal(agent_request_decode(AGENT_SHUTDOWN, "x", 1, NULL, NULL), -EBADMSG);
	assert_int_equal(agent_answer_decode(AGENT_START, "x", 1, NULL, NULL), -EBADMSG);
}

static void a_message_that_is_not_known_is_refused(void **state)
{
	static const unsigned int none[] = { 0, AGENT_CALLS, 65535 };

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		AUTO_BUF struct buf b = { 0 };

		assert_int_equal(agent_request_encode(none[i], &container, &b, NULL), -EINVAL);
		assert_int_equal(agent_answer_encode(none[i], &container, &b, NULL), -EINVAL);
		assert_int_equal(agent_event_encode(none[i], &container, &b, NULL), -EINVAL);
		assert_int_equal(agent_request_decode(none[i], "", 0, &room, NULL), -EBADMSG);
		assert_int_equal(agent_answer_decode(none[i], "", 0, &room, NULL), -EBADMSG);
		assert_int_equal(agent_event_decode(none[i], "", 0, &room, NULL), -EBADMSG);
		assert_string_equal(agent_call_name(none[i]), "?");
		assert_string_equal(agent_event_name(none[i]), "?");
	}
	assert_string_equal(agent_call_name(AGENT_SHUTDOWN), "SHUTDOWN");
	assert_string_equal(agent_event_name(AGENT_OOM), "OOM");
}

/* What is encoded again from what was decoded is the same bytes. */
static void every_body_comes_back_as_it_was(void **state)
{
	(void)state;
	for (size_t i = 0; i < SAMPLES; i++) {
		AUTO_BUF struct buf b = { 0 }, again = { 0 };
		const struct sample back = { samples[i].side, samples[i].number, &room };
		struct err err = { 0 };

		assert_int_equal(encode(&samples[i], &b, &err), 0);
		assert_true(b.len > 0);
		assert_int_equal(decode(&samples[i], b.data, b.len, &room, &err), 0);
		assert_int_equal(encode(&back, &again, &err), 0);
		assert_int_equal(again.len, b.len);
		assert_memory_equal(again.data, b.data, b.len);
	}
}

static void what_is_decoded_points_into_the_bytes(void **state)
{
	AUTO_BUF struct buf b = { 0 };
	const struct agent_create c = sample_create();
	const struct agent_create *got = &room.create;

	(void)state;
	assert_int_equal(agent_request_encode(AGENT_CREATE, &c, &b, NULL), 0);
	assert_int_equal(agent_request_decode(AGENT_CREATE, b.data, b.len, &room.create, NULL), 0);
	assert_ptr_equal(got->id, b.data + 4);
	assert_string_equal(got->id, "box");
	assert_int_equal(got->config.len, 2);
	assert_memory_equal(got->config.bytes, "{}", 2);
	assert_int_equal(got->io.err, 3);
	assert_int_equal(got->storages_len, 2);
	assert_string_equal(got->storages[0].options, "");
	assert_int_equal(got->storages[0].flags, AGENT_STORAGE_SHARED);
	assert_string_equal(got->storages[1].target, "/run/caisson/root");
}

static void no_text_is_written_as_an_empty_one(void **state)
{
	AUTO_BUF struct buf b = { 0 };
	struct agent_exec e = exec_body;
	struct agent_exec got;

	(void)state;
	e.cgroup = NULL;
	assert_int_equal(agent_request_encode(AGENT_EXEC, &e, &b, NULL), 0);
	assert_null(e.cgroup);
	assert_int_equal(agent_request_decode(AGENT_EXEC, b.data, b.len, &got, NULL), 0);
	assert_string_equal(got.cgroup, "");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_cut_of_every_body_is_refused),
		cmocka_unit_test(a_byte_too_many_is_refused),
		cmocka_unit_test(a_message_that_is_not_known_is_refused),
		cmocka_unit_test(every_body_comes_back_as_it_was),
		cmocka_unit_test(what_is_decoded_points_into_the_bytes),
		cmocka_unit_test(no_text_is_written_as_an_empty_one),
	};

	return cmocka_run_group_tests_name("wire/agent_codec", tests, NULL, NULL);
}
