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
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/str.h"
#include "wire/agent_codec.h"

#define LIES_MAX 200u

/* What a host asks; SHUTDOWN it does not, and lies about FORWARD are in test_forward.c. */
static const char *const calls[] = {
	"RESET", "ONLINE", "NETWORK", "CREATE",	 "START",  "EXEC", "SIGNAL", "RESIZE", "UPDATE",
	"STATS", "PS",	   "DEBUG",   "REFRESH", "CANCEL", "PING", "PAUSE",  "RESUME", "DELETE",
};

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
	char name[64], mode[96];
	const char *call; /* NULL: the lie's own */
	int sock;	  /* of a call that has no answer */
	struct err told;  /* of FAILED */
	bool failed;	  /* before it ran */
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

/* A second answer to DELETE, behind the first: nobody listens any more. */
static bool is_unheard(const struct life *l)
{
	return l->call && str_eq(l->call, "DELETE") && str_eq(l->name, "twice");
}

static bool is_silent(const char *name)
{
	return is_one_of(silent, ARRAY_LEN(silent), name);
}

static void add_life(const char *name, const char *call)
{
	struct life *l = &lives[lives_len++];

	assert_true(lives_len <= LIES_MAX);
	*l = (struct life){ .call = call, .sock = -1 };
	(void)snprintf(l->name, sizeof(l->name), "%s", name);
	(void)snprintf(l->mode, sizeof(l->mode), call ? "lie:%s:%s" : "lie:%s", name, call);
	l->h.mode = l->mode;
	l->h.impatient = !call && is_silent(name);
	/* Of a clone with all that may be asked. */
	if (call)
		l->h.flags = VMM_RESTORED | VMM_WATCHES;
	l->h.with_network = call;
	l->h.cpus = call ? 2 : 0;
}

static void read_names(const char *which, const char *call)
{
	char command[512], line[128], name[64];
	FILE *list;

	lives_len = 0;
	(void)snprintf(command, sizeof(command), "'%s' %s", getenv("LYING_AGENT"), which);
	list = popen(command, "re");
	assert_non_null(list);
	while (fgets(line, sizeof(line), list)) {
		assert_int_equal(sscanf(line, "%63s", name), 1);
		add_life(name, call);
	}
	assert_int_equal(pclose(list), 0);
}

/* And, as the file says nothing of it, the resume behind who has asked. */
static void ask_pause(const struct life *l)
{
	const struct sentry_request request = { .type = VMM_FREEZE, .value = SENTRY_FREEZE_HOLD };
	const int file = memfd_create("freezer", MFD_CLOEXEC), sock = client_open(&l->h);
	struct sentry_reply reply;

	assert_true(file >= 0 && pwrite(file, "0\n", 2, 0) == 2);
	if (sock >= 0) {
		client_say(sock, &request, NULL, 0, &file, 1);
		(void)client_hear(sock, &reply, NULL, 0);
		(void)close(sock);
	}
	(void)close(file);
}

/* One thing after the other, as far as it goes. */
static void ask_all(struct life *l)
{
	static const struct sentry_request requests[] = {
		{ .type = SENTRY_STATS },
		{ .type = SENTRY_PS },
		{ .type = SENTRY_DEBUG, .value = VMM_DEBUG_TASKS },
		{ .type = SENTRY_SIGNAL, .value = SIGWINCH },
		{ .type = SENTRY_RESIZE, .value = 24u << 16 | 80 },
		{ .type = SENTRY_UPDATE },
	};
	const struct agent_update update = { .id = "c1", .config = { "{}", 2 } };
	const struct vmm_update as_it_is = { 0 };
	AUTO_BUF struct buf tail = { 0 };
	static char text[1 << 20];
	struct sentry_reply reply;
	int sock = client_open(&l->h), pipes[2];

	if (sock < 0)
		return;
	if (l->call && (str_eq(l->call, "PAUSE") || str_eq(l->call, "RESUME")))
		ask_pause(l);
	(void)buf_append(&tail, &as_it_is, sizeof(as_it_is));
	assert_int_equal(agent_request_encode(AGENT_UPDATE, &update, &tail, NULL), 0);
	for (size_t i = 0; i < ARRAY_LEN(requests); i++) {
		const bool last = requests[i].type == SENTRY_UPDATE;

		client_say(sock, &requests[i], last ? tail.data : NULL, last ? tail.len : 0, NULL,
			   0);
		do {
			if (!client_hear(sock, &reply, text, sizeof(text)))
				goto gone;
			for (const char *c = text; requests[i].type == SENTRY_DEBUG && *c; c++)
				assert_true((*c >= ' ' && *c < 0x7f) || *c == '\n');
		} while (reply.count > 0 && requests[i].type != SENTRY_STATS);
	}
	assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
	if (l->call && (str_eq(l->call, "CANCEL") || str_eq(l->call, "PING")))
		client_say_exec(sock, "{}", (int[]){ pipes[0], pipes[1], pipes[1] }, false);
	else
		(void)client_exec_script(sock, "{}", (int[]){ pipes[0], pipes[1], pipes[1] },
					 false);
	(void)close(pipes[0]);
	(void)close(pipes[1]);
	/* A call is asked PING for as long as somebody waits for it. */
	if (l->call && str_eq(l->call, "PING"))
		l->sock = TAKE_FD(sock);
gone:
	if (sock >= 0)
		(void)close(sock);
}

static void start(struct life *l)
{
	const char go = SENTRY_GO_START;
	uint32_t type = harness_report(&l->h, &l->told);

	if (type == SENTRY_REPORT_READY) {
		/* It may have ended meanwhile. */
		(void)send(l->h.report, &go, 1, MSG_NOSIGNAL);
		type = harness_report(&l->h, &l->told);
		if (type == SENTRY_REPORT_STARTED)
			return;
	}
	if ((type != SENTRY_REPORT_FAILED && type != SENTRY_REPORT_NO_CLONE) || !l->told.msg[0])
		fail_msg("%s: a report of type %u: \"%s\"", l->mode, type, l->told.msg);
	l->failed = true;
}

static void end_in_order(const struct life *l)
{
	const int sock = client_open(&l->h);

	if (sock < 0)
		fail_msg("%s: did not live", l->mode);
	(void)client_ask(sock, (struct sentry_request){ .type = SENTRY_SHUTDOWN }, NULL, 0);
	(void)close(sock);
}

static void judge(struct life *l)
{
	const int code = harness_wait(&l->h);
	const char *log = harness_log(&l->h);
	const bool honest = l->call ? is_unheard(l) : is_harmless(l->name);

	if (honest && (l->failed || code != 128 + SIGKILL || strstr(log, "level=error")))
		fail_msg("%s: did not live: %d, %s %s", l->mode, code, l->told.msg, log);
	if (!honest && !l->failed && !strstr(log, "level=error"))
		fail_msg("%s: was believed", l->mode);
	if (code != 125 && code != 137 && !(code == 3 && str_eq(l->name, "exited-twice")))
		fail_msg("%s: ended with %d", l->mode, code);
	/* A lie is found by itself, and not because nothing came. */
	if ((l->call || !is_silent(l->name)) &&
	    (strstr(log, "has not answered") || strstr(l->told.msg, "has not answered")))
		fail_msg("%s: was waited for: %s %s", l->mode, l->told.msg, log);
	if (l->sock >= 0)
		(void)close(l->sock);
	harness_stop(&l->h);
}

/* All that were read: to their ends. */
static void live_and_die(void)
{
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

		if (l->call ? str_eq(l->call, "DELETE") : is_harmless(l->name))
			end_in_order(l);
		judge(l);
	}
}

static void every_lie_ends_the_machine_with_a_sentence(void **state)
{
	(void)state;
	read_names("list", NULL);
	assert_true(lives_len > 70);
	live_and_die();
}

static void what_can_be_a_lie_at_every_call_is_found_at_each(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(calls); i++) {
		read_names("any", calls[i]);
		assert_true(lives_len >= 20);
		live_and_die();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_lie_ends_the_machine_with_a_sentence),
		cmocka_unit_test(what_can_be_a_lie_at_every_call_is_found_at_each),
	};
	const struct rlimit files = { 4096, 4096 };

	(void)signal(SIGPIPE, SIG_IGN);
	if (setrlimit(RLIMIT_NOFILE, &files) < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
