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
static const struct agent_cancel cancel_body = { 9 };
static const struct agent_forward forward_body = { "box", 8080, 1, 65535 };
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
	{ REQUEST, AGENT_REFRESH, &container },
	{ REQUEST, AGENT_ONLINE, &online_body },
	{ REQUEST, AGENT_RESET, &reset_body },
	{ REQUEST, AGENT_DEBUG, &debug_body },
	{ REQUEST, AGENT_CANCEL, &cancel_body },
	{ REQUEST, AGENT_FORWARD, &forward_body },
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

	if (!body && s->side == REQUEST && s->number == AGENT_CREATE)
		body = &create;
	if (!body && s->side == REQUEST && s->number == AGENT_NETWORK)
		body = sample_network();
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

/* ---- Limits: what the encoder does not write it is not possible to ask for ---- */

static void is_not_written(enum side side, unsigned int number, const void *body, const char *words)
{
	AUTO_BUF struct buf b = { 0 };
	struct err err = { 0 };
	const struct sample s = { side, number, body };

	assert_int_equal(buf_append(&b, "before", 6), 0);
	assert_int_equal(encode(&s, &b, &err), -EINVAL);
	assert_string_equal(err.msg, words);
	assert_int_equal(b.len, 6);
	assert_string_equal(b.data, "before");
}

static char long_text[AGENT_PATH_MAX + 1];

static const char *text_of(size_t len_with_nul)
{
	memset(long_text, 'x', sizeof(long_text));
	long_text[len_with_nul - 1] = '\0';
	return long_text;
}

static void a_body_above_its_limits_is_not_written(void **state)
{
	struct agent_create c = sample_create();
	struct agent_container box = { "" };
	struct agent_exec e = exec_body;
	struct agent_signal s = signal_body;
	struct agent_resize r = resize_body;
	struct agent_forward f = forward_body;

	(void)state;
	is_not_written(REQUEST, AGENT_START, NULL, "agent: START: no body");
	is_not_written(REQUEST, AGENT_START, &box, "agent: START: id: empty");
	box.id = text_of(AGENT_NAME_MAX + 1);
	is_not_written(REQUEST, AGENT_START, &box, "agent: START: id: too long");
	c.config.len = 0;
	is_not_written(REQUEST, AGENT_CREATE, &c, "agent: CREATE: config: empty");
	c = sample_create();
	c.seccomp.len = 15;
	is_not_written(REQUEST, AGENT_CREATE, &c, "agent: CREATE: seccomp: not whole");
	c.seccomp.len = AGENT_SECCOMP_MAX + 8;
	is_not_written(REQUEST, AGENT_CREATE, &c, "agent: CREATE: seccomp: too long");
	c = sample_create();
	c.seccomp_flags = 64;
	is_not_written(REQUEST, AGENT_CREATE, &c,
		       "agent: CREATE: seccomp_flags: a flag that is not known");
	c = sample_create();
	c.io.in = 65536;
	is_not_written(REQUEST, AGENT_CREATE, &c, "agent: CREATE: io.in: too large");
	c = sample_create();
	c.io.terminal = 2;
	is_not_written(REQUEST, AGENT_CREATE, &c, "agent: CREATE: io.terminal: too large");
	c = sample_create();
	c.storages_len = AGENT_STORAGES_MAX + 1;
	is_not_written(REQUEST, AGENT_CREATE, &c, "agent: CREATE: storages: too long");
	c = sample_create();
	c.storages[1].target = "run";
	is_not_written(REQUEST, AGENT_CREATE, &c,
		       "agent: CREATE: storages[1].target: not an absolute path");
	c.storages[1].target = text_of(AGENT_PATH_MAX + 1);
	is_not_written(REQUEST, AGENT_CREATE, &c, "agent: CREATE: storages[1].target: too long");
	c = sample_create();
	c.storages[0].flags = 2;
	is_not_written(REQUEST, AGENT_CREATE, &c,
		       "agent: CREATE: storages[0].flags: a flag that is not known");
	e.cgroup = text_of(AGENT_PATH_MAX + 1);
	is_not_written(REQUEST, AGENT_EXEC, &e, "agent: EXEC: cgroup: too long");
	s.pid = -1;
	is_not_written(REQUEST, AGENT_SIGNAL, &s, "agent: SIGNAL: pid: out of range");
	s = signal_body;
	s.signal = 65;
	is_not_written(REQUEST, AGENT_SIGNAL, &s, "agent: SIGNAL: signal: too large");
	s = signal_body;
	s.flags = 4;
	is_not_written(REQUEST, AGENT_SIGNAL, &s, "agent: SIGNAL: flags: a flag that is not known");
	r.rows = 65536;
	is_not_written(REQUEST, AGENT_RESIZE, &r, "agent: RESIZE: rows: too large");
	f.port = 0;
	is_not_written(REQUEST, AGENT_FORWARD, &f, "agent: FORWARD: port: 0");
	f = forward_body;
	f.port = 65536;
	is_not_written(REQUEST, AGENT_FORWARD, &f, "agent: FORWARD: port: too large");
	f = forward_body;
	f.out = 0;
	is_not_written(REQUEST, AGENT_FORWARD, &f, "agent: FORWARD: out: 0");
}

static void an_answer_or_event_above_its_limits_is_not_written(void **state)
{
	static struct sentry_ps many[AGENT_PROCESSES_MAX + 1];
	struct agent_pid pid = { 0 };
	struct agent_exited e = exited_body;
	struct agent_processes p = { many, AGENT_PROCESSES_MAX + 1 };
	struct sentry_ps one = ps[0];
	struct agent_online online = { 0 };
	struct agent_reset reset = reset_body;

	(void)state;
	is_not_written(ANSWER, AGENT_EXEC, &pid, "agent: EXEC: pid: out of range");
	e.code = 256;
	is_not_written(EVENT, AGENT_EXITED, &e, "agent: EXITED: code: out of range");
	e.code = -1;
	is_not_written(EVENT, AGENT_EXITED, &e, "agent: EXITED: code: out of range");
	is_not_written(ANSWER, AGENT_PS, &p, "agent: PS: items: too long");
	p = (struct agent_processes){ &one, 1 };
	memset(one.command, 'x', sizeof(one.command));
	is_not_written(ANSWER, AGENT_PS, &p, "agent: PS: items: a text without an end");
	one = ps[0];
	one.state = '\n';
	is_not_written(ANSWER, AGENT_PS, &p, "agent: PS: items: a state that is no letter");
	is_not_written(REQUEST, AGENT_ONLINE, &online, "agent: ONLINE: cpus: 0");
	reset.entropy.len = 31;
	is_not_written(REQUEST, AGENT_RESET, &reset, "agent: RESET: entropy: too short");
}

static void a_network_that_does_not_fit_together_is_not_written(void **state)
{
	struct agent_network *n = sample_network();

	(void)state;
	n->links[0].name = text_of(17);
	is_not_written(REQUEST, AGENT_NETWORK, n, "agent: NETWORK: links[0].name: too long");
	n = sample_network();
	n->addresses[0].link = 1;
	is_not_written(REQUEST, AGENT_NETWORK, n,
		       "agent: NETWORK: addresses[0].link: no such link");
	n = sample_network();
	n->addresses[0].ip.family = AF_UNIX;
	is_not_written(REQUEST, AGENT_NETWORK, n,
		       "agent: NETWORK: addresses[0].ip: not a known family");
	n = sample_network();
	n->addresses[0].ip.prefix = 33;
	is_not_written(REQUEST, AGENT_NETWORK, n,
		       "agent: NETWORK: addresses[0].ip: its prefix is too long");
	n = sample_network();
	n->addresses[0].peer.family = AF_UNIX;
	is_not_written(REQUEST, AGENT_NETWORK, n,
		       "agent: NETWORK: addresses[0].peer: not a known family");
	n = sample_network();
	n->routes[0].to.prefix = 129;
	is_not_written(REQUEST, AGENT_NETWORK, n, "agent: NETWORK: routes[0].to.prefix: too large");
	n = sample_network();
	n->neighbours[0].link = 8;
	is_not_written(REQUEST, AGENT_NETWORK, n, "agent: NETWORK: neighbours[0].link: too large");
	n = sample_network();
	n->rules[0].in_link = 2;
	is_not_written(REQUEST, AGENT_NETWORK, n, "agent: NETWORK: rules[0].in_link: no such link");
	n = sample_network();
	n->routes_len = AGENT_ROUTES_MAX + 1;
	is_not_written(REQUEST, AGENT_NETWORK, n, "agent: NETWORK: routes: too long");
}

/* Routes that lead nowhere need no link. */
static void a_network_without_links_may_have_unreachable_routes(void **state)
{
	AUTO_BUF struct buf b = { 0 };
	struct agent_network *n = sample_network();

	(void)state;
	n->links_len = n->addresses_len = n->neighbours_len = n->rules_len = 0;
	assert_int_equal(agent_request_encode(AGENT_NETWORK, n, &b, NULL), 0);
	assert_int_equal(agent_request_decode(AGENT_NETWORK, b.data, b.len, &room, NULL), 0);
	assert_int_equal(room.network.routes_len, 1);
}

/* ---- The same by hand: what a decoder gets that no encoder writes ---- */

static void a_number_in_the_bytes_is_refused(size_t at, uint32_t value, const char *words)
{
	AUTO_BUF struct buf b = { 0 };
	const struct agent_create c = sample_create();
	struct err err = { 0 };

	assert_int_equal(agent_request_encode(AGENT_CREATE, &c, &b, NULL), 0);
	assert_true(at + 4 <= b.len);
	memcpy(b.data + at, &value, sizeof(value));
	assert_int_equal(agent_request_decode(AGENT_CREATE, b.data, b.len, &room, &err), -EBADMSG);
	assert_string_equal(err.msg, words);
}

static void lengths_that_lie_are_refused(void **state)
{
	(void)state;
	/* id: 4 + "box"; config: 4 + 2; seccomp: 4 + 16; flags; io: 24; storages. */
	a_number_in_the_bytes_is_refused(0, 0, "agent: CREATE: id: empty");
	a_number_in_the_bytes_is_refused(0, 1, "agent: CREATE: id: empty");
	a_number_in_the_bytes_is_refused(0, UINT32_MAX, "agent: CREATE: id: too long");
	a_number_in_the_bytes_is_refused(0, 1000, "agent: CREATE: id: cut off");
	a_number_in_the_bytes_is_refused(0, 3, "agent: CREATE: id: not a text");
	a_number_in_the_bytes_is_refused(0, 5, "agent: CREATE: id: not a text");
	a_number_in_the_bytes_is_refused(4, 0, "agent: CREATE: id: not a text");
	a_number_in_the_bytes_is_refused(8, UINT32_MAX, "agent: CREATE: config: too long");
	a_number_in_the_bytes_is_refused(8, AGENT_REQUEST_MAX, "agent: CREATE: config: cut off");
	a_number_in_the_bytes_is_refused(14, AGENT_SECCOMP_MAX, "agent: CREATE: seccomp: cut off");
	a_number_in_the_bytes_is_refused(14, 12, "agent: CREATE: seccomp: not whole");
	a_number_in_the_bytes_is_refused(62, AGENT_STORAGES_MAX + 1,
					 "agent: CREATE: storages: too long");
	a_number_in_the_bytes_is_refused(62, AGENT_STORAGES_MAX,
					 "agent: CREATE: storages[2].target: empty");
	a_number_in_the_bytes_is_refused(62, 0, "agent: CREATE: flags: a flag that is not known");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_cut_of_every_body_is_refused),
		cmocka_unit_test(a_byte_too_many_is_refused),
		cmocka_unit_test(a_message_that_is_not_known_is_refused),
		cmocka_unit_test(every_body_comes_back_as_it_was),
		cmocka_unit_test(what_is_decoded_points_into_the_bytes),
		cmocka_unit_test(a_body_above_its_limits_is_not_written),
		cmocka_unit_test(an_answer_or_event_above_its_limits_is_not_written),
		cmocka_unit_test(a_network_that_does_not_fit_together_is_not_written),
		cmocka_unit_test(a_network_without_links_may_have_unreachable_routes),
		cmocka_unit_test(lengths_that_lie_are_refused),
		cmocka_unit_test(no_text_is_written_as_an_empty_one),
	};

	return cmocka_run_group_tests_name("wire/agent_codec", tests, NULL, NULL);
}
