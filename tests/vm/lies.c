/* SPDX-License-Identifier: Apache-2.0 */
#include "vm/lies.h"

#include <stdlib.h>
#include <string.h>

#define ESCAPES                             \
	"\x1b[2J\x1b]0;owned\x07\r\nok\x9b" \
	"31m"

static struct agent_head head_of(enum agent_frame type, uint32_t stream)
{
	return (struct agent_head){ .type = (uint8_t)type, .stream = stream };
}

static struct agent_head answer_head(const struct liar *l)
{
	return (struct agent_head){ .type = AGENT_ANSWER,
				    .call = (uint16_t)l->call,
				    .serial = l->serial };
}

static void __attribute__((noreturn))
say_for_ever(struct liar *l, struct agent_head head, const void *body, size_t len)
{
	for (;;)
		say(l, head, body, len);
}

/* ---- The greeting ---- */

static enum told hello_with(struct liar *l, const struct agent_hello *hello, size_t len)
{
	say(l, head_of(AGENT_HELLO, 0), hello, len);
	return TOLD_INSTEAD;
}

static enum told nonce(struct liar *l)
{
	struct agent_hello hello = l->hello;

	hello.nonce[7] ^= 0x40;
	return hello_with(l, &hello, sizeof(hello));
}

static enum told version(struct liar *l)
{
	struct agent_hello hello = l->hello;

	hello.version = UINT32_MAX;
	return hello_with(l, &hello, sizeof(hello));
}

static enum told features(struct liar *l)
{
	struct agent_hello hello = l->hello;

	hello.features = 1;
	return hello_with(l, &hello, sizeof(hello));
}

static enum told release(struct liar *l)
{
	struct agent_hello hello = l->hello;

	memset(hello.release, 'x', sizeof(hello.release));
	return hello_with(l, &hello, sizeof(hello));
}

static enum told release_escapes(struct liar *l)
{
	struct agent_hello hello = l->hello;

	memcpy(hello.release, ESCAPES, sizeof(ESCAPES));
	return hello_with(l, &hello, sizeof(hello));
}

static enum told times(struct liar *l)
{
	struct agent_hello hello = l->hello;

	hello.kernel_ns = UINT64_MAX;
	hello.agent_ns = 0;
	return hello_with(l, &hello, sizeof(hello));
}

static enum told short_hello(struct liar *l)
{
	return hello_with(l, &l->hello, 8);
}

static enum told again(struct liar *l)
{
	say(l, head_of(AGENT_HELLO, 0), &l->hello, sizeof(l->hello));
	return TOLD_BESIDE;
}

static enum told early(struct liar *l)
{
	say(l, (struct agent_head){ .type = AGENT_EVENT, .call = AGENT_OOM }, "", 0);
	return TOLD_BESIDE;
}

/* ---- Frames ---- */

static enum told rubbish(struct liar *l)
{
	char bytes[4096];

	srand(1);
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (char)rand();
	say_bytes(l, bytes, sizeof(bytes));
	return TOLD_INSTEAD;
}

static enum told head_only(struct liar *l, struct agent_head head)
{
	say_bytes(l, &head, sizeof(head));
	return TOLD_INSTEAD;
}

static enum told length(struct liar *l)
{
	struct agent_head head = answer_head(l);

	head.length = UINT32_MAX;
	return head_only(l, head);
}

static enum told length_by_one(struct liar *l)
{
	struct agent_head head = answer_head(l);

	head.length = AGENT_FRAME_MAX + 1;
	return head_only(l, head);
}

static enum told type(struct liar *l)
{
	return head_only(l, head_of(77, 0));
}

static enum told type_of_host(struct liar *l)
{
	return head_only(l, (struct agent_head){ .type = AGENT_REQUEST, .call = 1, .serial = 1 });
}

static enum told flags(struct liar *l)
{
	struct agent_head head = answer_head(l);

	head.flags = 0xfe;
	return head_only(l, head);
}

static enum told half_head(struct liar *l)
{
	const struct agent_head head = answer_head(l);

	say_bytes(l, &head, 9);
	listen_for_ever(l);
}

static enum told half_frame(struct liar *l)
{
	struct agent_head head = answer_head(l);

	head.length = 100;
	say_bytes(l, &head, sizeof(head));
	say_bytes(l, &head, sizeof(head));
	listen_for_ever(l);
}

static enum told half_frame_and_gone(struct liar *l)
{
	const struct agent_head head = answer_head(l);

	say_bytes(l, &head, 9);
	exit(0);
}

static enum told gone(struct liar *l)
{
	(void)l;
	exit(0);
}

static enum told silence(struct liar *l)
{
	listen_for_ever(l);
}

/* Of this request alone; others are served. */
static enum told forgets(struct liar *l)
{
	(void)l;
	return TOLD_INSTEAD;
}

static enum told deaf(struct liar *l)
{
	sulk(l);
}

/* One byte at a time: slow, but true. */
static enum told byte_by_byte(struct liar *l)
{
	AUTO_BUF struct buf b = { 0 };
	struct agent_head head = { .type = AGENT_EVENT, .call = AGENT_OOM };
	const struct agent_container container = { .id = l->id };

	if (agent_event_encode(AGENT_OOM, &container, &b, NULL) < 0)
		abort();
	head.length = (uint32_t)b.len;
	for (size_t i = 0; i < sizeof(head); i++)
		say_bytes(l, (const char *)&head + i, 1);
	for (size_t i = 0; i < b.len; i++)
		say_bytes(l, b.data + i, 1);
	return TOLD_BESIDE;
}

/* ---- Answers ---- */

static enum told unasked(struct liar *l)
{
	l->serial += 1000;
	answer(l, 0, NULL, 0);
	l->serial -= 1000;
	return TOLD_BESIDE;
}

static enum told twice(struct liar *l)
{
	answer(l, -EIO, "once", 4);
	answer(l, -EIO, "twice", 5);
	return TOLD_INSTEAD;
}

static enum told other_call(struct liar *l)
{
	l->call = l->call == AGENT_PS ? AGENT_STATS : AGENT_PS;
	answer(l, 0, NULL, 0);
	return TOLD_INSTEAD;
}

static enum told error_positive(struct liar *l)
{
	answer(l, 5, "five", 4);
	return TOLD_INSTEAD;
}

static enum told error_large(struct liar *l)
{
	answer(l, INT32_MIN, "much", 4);
	return TOLD_INSTEAD;
}

static enum told answer_cut(struct liar *l)
{
	say(l, answer_head(l), "ab", 2);
	return TOLD_INSTEAD;
}

static enum told answer_rubbish(struct liar *l)
{
	answer(l, 0, "\xff\xff\xff\xff\xff\xff\xff\xff rubbish", 16);
	return TOLD_INSTEAD;
}

static enum told answer_empty(struct liar *l)
{
	answer(l, 0, NULL, 0);
	return TOLD_INSTEAD;
}

static enum told answer_more(struct liar *l)
{
	answer(l, 0, "one body is enough for nobody", 29);
	return TOLD_INSTEAD;
}

static enum told answer_endless(struct liar *l)
{
	static char bytes[AGENT_FRAME_MAX];
	struct agent_head head = answer_head(l);

	head.flags = AGENT_MORE;
	say_for_ever(l, head, bytes, sizeof(bytes));
}

static enum told answer_torn(struct liar *l)
{
	struct agent_head head = answer_head(l);

	head.flags = AGENT_MORE;
	say(l, head, "\0\0\0\0", 4);
	return TOLD_BESIDE;
}

static enum told answer_mixed(struct liar *l)
{
	struct agent_head head = answer_head(l);

	head.flags = AGENT_MORE;
	say(l, head, "abcd", 4);
	say(l, (struct agent_head){ .type = AGENT_EVENT, .call = AGENT_OOM }, "", 0);
	return TOLD_INSTEAD;
}

static enum told refuses(struct liar *l)
{
	answer(l, -EACCES, "not today", 9);
	return TOLD_INSTEAD;
}

static enum told escapes(struct liar *l)
{
	answer(l, -EACCES, ESCAPES, sizeof(ESCAPES) - 1);
	return TOLD_INSTEAD;
}

static enum told no_words(struct liar *l)
{
	answer(l, -EACCES, NULL, 0);
	return TOLD_INSTEAD;
}

static enum told many_words(struct liar *l)
{
	char words[AGENT_TEXT_MAX + 1];

	memset(words, 'x', sizeof(words));
	answer(l, -EACCES, words, sizeof(words));
	return TOLD_INSTEAD;
}

static enum told pid_of(struct liar *l, int32_t pid)
{
	answer(l, 0, &pid, sizeof(pid));
	return TOLD_INSTEAD;
}

static enum told pid_zero(struct liar *l)
{
	return pid_of(l, 0);
}

static enum told pid_negative(struct liar *l)
{
	return pid_of(l, -1);
}

/* Of a second process the number of the first. */
static enum told pid_again(struct liar *l)
{
	return pid_of(l, 1);
}

/* ---- Lists and texts ---- */

static enum told ps_of(struct liar *l, struct sentry_ps ps, uint32_t count)
{
	char bytes[sizeof(count) + sizeof(ps)];

	memcpy(bytes, &count, sizeof(count));
	memcpy(bytes + sizeof(count), &ps, sizeof(ps));
	answer(l, 0, bytes, sizeof(bytes));
	return TOLD_INSTEAD;
}

static enum told ps_count(struct liar *l)
{
	return ps_of(l, (struct sentry_ps){ .pid = 1, .state = 'S' }, UINT32_MAX);
}

static enum told ps_cut(struct liar *l)
{
	return ps_of(l, (struct sentry_ps){ .pid = 1, .state = 'S' }, 2);
}

static enum told ps_endless(struct liar *l)
{
	struct sentry_ps ps = { .pid = 1, .state = 'S' };

	memset(ps.comm, 'x', sizeof(ps.comm));
	memset(ps.command, 'y', sizeof(ps.command));
	return ps_of(l, ps, 1);
}

static enum told ps_escapes(struct liar *l)
{
	struct sentry_ps ps = { .pid = 1, .state = 'S', .comm = "\x1b[2J\n" };

	memcpy(ps.command, ESCAPES, sizeof(ESCAPES));
	return ps_of(l, ps, 1);
}

static enum told ps_pid(struct liar *l)
{
	return ps_of(l, (struct sentry_ps){ .pid = -5, .state = 'S' }, 1);
}

static enum told ps_state(struct liar *l)
{
	return ps_of(l, (struct sentry_ps){ .pid = 1, .state = 0x1b }, 1);
}

static enum told text_of(struct liar *l, const char *text, uint32_t len)
{
	AUTO_BUF struct buf b = { 0 };

	(void)buf_append(&b, &len, sizeof(len));
	(void)buf_append(&b, text, len);
	answer(l, 0, b.data, b.len);
	return TOLD_INSTEAD;
}

static enum told debug_escapes(struct liar *l)
{
	return text_of(l, ESCAPES, sizeof(ESCAPES));
}

static enum told debug_endless(struct liar *l)
{
	return text_of(l, "abc", 3);
}

static enum told debug_nul(struct liar *l)
{
	return text_of(l, "a\0b", 4);
}

static enum told stats_wild(struct liar *l)
{
	struct agent_stats stats;

	memset(&stats, 0xfe, sizeof(stats));
	answer(l, 0, &stats, sizeof(stats));
	return TOLD_INSTEAD;
}

/* ---- Streams ---- */

static enum told data_unopened(struct liar *l)
{
	data(l, 60000, "who?", 4);
	return TOLD_BESIDE;
}

static enum told data_zero(struct liar *l)
{
	say(l, head_of(AGENT_DATA, 0), "x", 1);
	return TOLD_BESIDE;
}

static enum told data_far(struct liar *l)
{
	say(l, head_of(AGENT_DATA, UINT32_MAX), "x", 1);
	return TOLD_BESIDE;
}

static enum told data_empty(struct liar *l)
{
	data(l, l->io.out, "", 0);
	return TOLD_BESIDE;
}

static enum told data_beyond_credit(struct liar *l)
{
	static char bytes[AGENT_FRAME_MAX];

	memset(bytes, 'x', sizeof(bytes));
	say_for_ever(l, head_of(AGENT_DATA, l->io.out), bytes, sizeof(bytes));
}

/* To a stream that goes the other way. */
static enum told data_to_input(struct liar *l)
{
	data(l, l->io.in, "x", 1);
	return TOLD_BESIDE;
}

static enum told data_after_end(struct liar *l)
{
	end(l, l->io.out, 0);
	data(l, l->io.out, "one word more", 13);
	return TOLD_BESIDE;
}

static enum told end_twice(struct liar *l)
{
	end(l, l->io.out, 0);
	end(l, l->io.out, 0);
	return TOLD_BESIDE;
}

static enum told end_error(struct liar *l)
{
	end(l, l->io.out, UINT32_MAX);
	return TOLD_BESIDE;
}

static enum told end_cut(struct liar *l)
{
	say(l, head_of(AGENT_END, l->io.out), "x", 1);
	return TOLD_BESIDE;
}

static enum told end_unopened(struct liar *l)
{
	end(l, 60000, 0);
	return TOLD_BESIDE;
}

static enum told credit_of(struct liar *l, uint32_t stream, uint32_t more)
{
	say(l, head_of(AGENT_CREDIT, stream), &more, sizeof(more));
	return TOLD_BESIDE;
}

static enum told credit_zero(struct liar *l)
{
	return credit_of(l, l->io.out, 0);
}

static enum told credit_huge(struct liar *l)
{
	return credit_of(l, l->io.out, UINT32_MAX);
}

static enum told credit_unopened(struct liar *l)
{
	return credit_of(l, 60000, 1);
}

/* ---- Events ---- */

static enum told oom_endless(struct liar *l)
{
	const struct agent_container container = { .id = l->id };
	AUTO_BUF struct buf b = { 0 };

	if (agent_event_encode(AGENT_OOM, &container, &b, NULL) < 0)
		abort();
	say_for_ever(l, (struct agent_head){ .type = AGENT_EVENT, .call = AGENT_OOM }, b.data,
		     b.len);
}

/* Of a container that the machine has not. */
static enum told oom_stranger(struct liar *l)
{
	const struct agent_container container = { .id = "nobody" };
	AUTO_BUF struct buf b = { 0 };

	if (agent_event_encode(AGENT_OOM, &container, &b, NULL) < 0)
		abort();
	say(l, (struct agent_head){ .type = AGENT_EVENT, .call = AGENT_OOM }, b.data, b.len);
	return TOLD_BESIDE;
}

static enum told event_unknown(struct liar *l)
{
	say(l, (struct agent_head){ .type = AGENT_EVENT, .call = 99 }, "", 0);
	return TOLD_BESIDE;
}

static enum told event_rubbish(struct liar *l)
{
	say(l, (struct agent_head){ .type = AGENT_EVENT, .call = AGENT_EXITED }, "\xff\xff\xff\xff",
	    4);
	return TOLD_BESIDE;
}

static enum told exited_stranger(struct liar *l)
{
	exited(l, l->id, 4242, 0);
	return TOLD_BESIDE;
}

static enum told exited_elsewhere(struct liar *l)
{
	exited(l, "another", 1, 0);
	return TOLD_BESIDE;
}

/* Before the END of its streams. */
static enum told exited_early(struct liar *l)
{
	exited(l, l->id, 1, 0);
	return TOLD_BESIDE;
}

static enum told exited_twice(struct liar *l)
{
	end(l, l->io.out, 0);
	end(l, l->io.err, 0);
	exited(l, l->id, 1, 3);
	exited(l, l->id, 1, 4);
	memset(&l->io, 0, sizeof(l->io));
	return TOLD_BESIDE;
}

/* The codec refuses to write what is wrong in these: by hand. */
static enum told exited_raw(struct liar *l, int32_t pid, int32_t code)
{
	AUTO_BUF struct buf b = { 0 };
	const uint32_t len = (uint32_t)strlen(l->id) + 1;

	(void)buf_append(&b, &len, sizeof(len));
	(void)buf_append(&b, l->id, len);
	(void)buf_append(&b, &pid, sizeof(pid));
	(void)buf_append(&b, &code, sizeof(code));
	say(l, (struct agent_head){ .type = AGENT_EVENT, .call = AGENT_EXITED }, b.data, b.len);
	return TOLD_BESIDE;
}

static enum told exited_large(struct liar *l)
{
	return exited_raw(l, 1, 1000);
}

static enum told exited_negative(struct liar *l)
{
	return exited_raw(l, 1, -1);
}

static enum told exited_pid(struct liar *l)
{
	return exited_raw(l, -1, 0);
}

const struct lie lies[] = {
	{ "none", AGENT_CALLS, NULL, false },
	/* The greeting. */
	{ "nonce", 0, nonce, false },
	{ "version", 0, version, false },
	{ "features", 0, features, false },
	{ "release", 0, release, false },
	{ "release-escapes", 0, release_escapes, false },
	{ "times", 0, times, false },
	{ "short-hello", 0, short_hello, false },
	{ "early", 0, early, false },
	{ "again", AGENT_CREATE, again, true },
	/* Frames. */
	{ "rubbish", AGENT_CREATE, rubbish, true },
	{ "length", AGENT_CREATE, length, true },
	{ "length-by-one", AGENT_CREATE, length_by_one, true },
	{ "type", AGENT_CREATE, type, true },
	{ "type-of-host", AGENT_CREATE, type_of_host, true },
	{ "flags", AGENT_CREATE, flags, true },
	{ "half-head", AGENT_CREATE, half_head, false },
	{ "half-frame", AGENT_CREATE, half_frame, false },
	{ "half-frame-and-gone", AGENT_CREATE, half_frame_and_gone, true },
	{ "gone", AGENT_CREATE, gone, true },
	{ "silence", AGENT_CREATE, silence, false },
	{ "forgets", AGENT_STATS, forgets, false },
	{ "deaf", AGENT_START, deaf, false },
	{ "byte-by-byte", AGENT_START, byte_by_byte, false },
	/* Answers. */
	{ "unasked", AGENT_START, unasked, true },
	{ "twice", AGENT_STATS, twice, true },
	{ "other-call", AGENT_CREATE, other_call, true },
	{ "error-positive", AGENT_CREATE, error_positive, true },
	{ "error-large", AGENT_CREATE, error_large, true },
	{ "answer-cut", AGENT_CREATE, answer_cut, true },
	{ "answer-rubbish", AGENT_CREATE, answer_rubbish, true },
	{ "answer-empty", AGENT_CREATE, answer_empty, false },
	{ "answer-more", AGENT_START, answer_more, true },
	{ "answer-endless", AGENT_PS, answer_endless, true },
	{ "answer-torn", AGENT_PS, answer_torn, true },
	{ "answer-mixed", AGENT_PS, answer_mixed, true },
	{ "refuses", AGENT_CREATE, refuses, false },
	{ "escapes", AGENT_CREATE, escapes, false },
	{ "no-words", AGENT_CREATE, no_words, false },
	{ "many-words", AGENT_CREATE, many_words, false },
	{ "pid-zero", AGENT_CREATE, pid_zero, false },
	{ "pid-negative", AGENT_CREATE, pid_negative, false },
	{ "pid-again", AGENT_EXEC, pid_again, false },
	/* Lists and texts. */
	{ "ps-count", AGENT_PS, ps_count, false },
	{ "ps-cut", AGENT_PS, ps_cut, false },
	{ "ps-endless", AGENT_PS, ps_endless, false },
	{ "ps-escapes", AGENT_PS, ps_escapes, false },
	{ "ps-pid", AGENT_PS, ps_pid, false },
	{ "ps-state", AGENT_PS, ps_state, false },
	{ "debug-escapes", AGENT_DEBUG, debug_escapes, false },
	{ "debug-endless", AGENT_DEBUG, debug_endless, false },
	{ "debug-nul", AGENT_DEBUG, debug_nul, false },
	{ "stats-wild", AGENT_STATS, stats_wild, false },
	/* Streams. */
	{ "data-unopened", AGENT_START, data_unopened, false },
	{ "data-zero", AGENT_START, data_zero, false },
	{ "data-far", AGENT_START, data_far, false },
	{ "data-empty", AGENT_START, data_empty, false },
	{ "data-beyond-credit", AGENT_START, data_beyond_credit, false },
	{ "data-to-input", AGENT_START, data_to_input, false },
	{ "data-after-end", AGENT_START, data_after_end, false },
	{ "end-twice", AGENT_START, end_twice, false },
	{ "end-error", AGENT_START, end_error, false },
	{ "end-cut", AGENT_START, end_cut, false },
	{ "end-unopened", AGENT_START, end_unopened, false },
	{ "credit-zero", AGENT_START, credit_zero, false },
	{ "credit-huge", AGENT_START, credit_huge, false },
	{ "credit-unopened", AGENT_START, credit_unopened, false },
	/* Events. */
	{ "oom-endless", AGENT_START, oom_endless, false },
	{ "oom-stranger", AGENT_START, oom_stranger, false },
	{ "event-unknown", AGENT_START, event_unknown, false },
	{ "event-rubbish", AGENT_START, event_rubbish, false },
	{ "exited-stranger", AGENT_START, exited_stranger, false },
	{ "exited-elsewhere", AGENT_START, exited_elsewhere, false },
	{ "exited-early", AGENT_START, exited_early, false },
	{ "exited-twice", AGENT_START, exited_twice, false },
	{ "exited-large", AGENT_START, exited_large, false },
	{ "exited-negative", AGENT_START, exited_negative, false },
	{ "exited-pid", AGENT_START, exited_pid, false },
	{ NULL, 0, NULL, false },
};
