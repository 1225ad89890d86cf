/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every lie of vm/lies.h is told to caisson-vm in a whole life of a container: each ends in a
 * sentence and an ended process, never in a hang. All machines start at once, so that the silent
 * ones are waited for together.
 */
#include "vmm/harness.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/str.h"

#define LIES_MAX 200u

/* What is no lie to the supervisor, or harms nobody. */
static const char *const harmless[] = {
	"none",
	"release-escapes",
	"times",
	"byte-by-byte",
	"ps-escapes",
	"debug-escapes",
	"stats-wild",
	"data-to-input",
	/* After the END the stream is closed here, and what comes is thrown away. */
	"data-after-end",
	"end-twice",
};

/* They are waited for as long as an agent on a fast machine: all others have more time. */
static const char *const silent[] = {
	"half-head", "half-frame", "silence", "forgets", "deaf", "oom-endless",
};

struct life {
	struct harness h;
	char name[64], mode[80];
	struct err told; /* of FAILED */
	bool failed;	 /* before it ran */
};

static struct life lives[LIES_MAX];
static size_t lives_len;

static bool is_one_of(const char *const *list, size_t len, const char *name)
{
	for (size_t i = 0; i < len; i++) {
		if (str_eq(list[i], name))
			return true;
	}
	return false;
}

static bool is_harmless(const char *name)
{
	return is_one_of(harmless, ARRAY_LEN(harmless), name);
}

static bool is_silent(const char *name)
{
	return is_one_of(silent, ARRAY_LEN(silent), name);
}

static void read_names(void)
{
	char command[512], line[128], name[64];
	FILE *list;

	(void)snprintf(command, sizeof(command), "'%s' list", getenv("LYING_AGENT"));
	list = popen(command, "re");
	assert_non_null(list);
	while (fgets(line, sizeof(line), list)) {
		struct life *l = &lives[lives_len++];

		assert_true(lives_len <= LIES_MAX);
		assert_int_equal(sscanf(line, "%63s", name), 1);
		memcpy(l->name, name, sizeof(name));
		(void)snprintf(l->mode, sizeof(l->mode), "lie:%s", name);
		l->h.mode = l->mode;
		l->h.impatient = is_silent(name);
	}
	assert_int_equal(pclose(list), 0);
	assert_true(lives_len > 70);
}

/* One thing after the other, as far as it goes. */
static void ask_all(struct life *l)
{
	static const struct sentry_request requests[] = {
		{ .type = SENTRY_STATS },
		{ .type = SENTRY_PS },
		{ .type = SENTRY_DEBUG, .value = VMM_DEBUG_TASKS },
	};
	static char text[1 << 20];
	struct sentry_reply reply;
	int sock = client_open(&l->h), pipes[2];

	if (sock < 0)
		return;
	for (size_t i = 0; i < ARRAY_LEN(requests); i++) {
		client_say(sock, &requests[i], NULL, 0, NULL, 0);
		do {
			if (!client_hear(sock, &reply, text, sizeof(text)))
				goto gone;
			for (const char *c = text; requests[i].type == SENTRY_DEBUG && *c; c++)
				assert_true((*c >= ' ' && *c < 0x7f) || *c == '\n');
		} while (reply.count > 0 && requests[i].type != SENTRY_STATS);
	}
	assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
	(void)client_exec_script(sock, "{}", (int[]){ pipes[0], pipes[1], pipes[1] }, false);
	(void)close(pipes[0]);
	(void)close(pipes[1]);
gone:
	(void)close(sock);
}

static void start(struct life *l)
{
	uint32_t type = harness_report(&l->h, &l->told);

	if (type == SENTRY_REPORT_READY) {
		harness_go(&l->h, SENTRY_GO_START);
		type = harness_report(&l->h, &l->told);
		if (type == SENTRY_REPORT_STARTED)
			return;
	}
	if (type != SENTRY_REPORT_FAILED || !l->told.msg[0])
		fail_msg("%s: a report of type %u: \"%s\"", l->name, type, l->told.msg);
	l->failed = true;
}

static void end_in_order(const struct life *l)
{
	const int sock = client_open(&l->h);

	if (sock < 0)
		fail_msg("%s: did not live", l->name);
	(void)client_ask(sock, (struct sentry_request){ .type = SENTRY_SHUTDOWN }, NULL, 0);
	(void)close(sock);
}

static void judge(struct life *l)
{
	const int code = harness_wait(&l->h);
	const char *log = harness_log(&l->h);

	if (is_harmless(l->name) &&
	    (l->failed || code != 128 + SIGKILL || strstr(log, "level=error")))
		fail_msg("%s: did not live: %d, %s %s", l->name, code, l->told.msg, log);
	if (!is_harmless(l->name) && !l->failed && !strstr(log, "level=error"))
		fail_msg("%s: was believed", l->name);
	if (code != 125 && code != 137 && !(code == 3 && str_eq(l->name, "exited-twice")))
		fail_msg("%s: ended with %d", l->name, code);
}

static void every_lie_ends_the_machine_with_a_sentence(void **state)
{
	const struct rlimit files = { 4096, 4096 };

	assert_int_equal(setrlimit(RLIMIT_NOFILE, &files), 0);
	read_names();
	for (size_t i = 0; i < lives_len; i++)
		harness_start(&lives[i].h);
	for (size_t i = 0; i < lives_len; i++)
		start(&lives[i]);
	for (size_t i = 0; i < lives_len; i++) {
		if (!lives[i].failed)
			ask_all(&lives[i]);
	}
	for (size_t i = 0; i < lives_len; i++) {
		struct life *l = &lives[i];

		if (is_harmless(l->name))
			end_in_order(l);
		judge(l);
		harness_stop(&l->h);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_lie_ends_the_machine_with_a_sentence),
	};

	(void)signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
