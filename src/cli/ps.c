/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli/ps.c - ps: the processes of a container.
 *
 * The table is ps(1)'s own, filtered by the pids of the container's cgroup, as runc does it: find
 * the column PID in the header, keep the lines whose number is ours.
 */
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/str.h"
#include "cli/cli.h"
#include "cli/node_view.h"
#include "cli/ps.h"
#include "cli/verbs.h"

struct ps_options {
	const char *format;
};

static const struct option table[] = {
	{ "format", "table or json (default: table)", "FORMAT", offsetof(struct ps_options, format),
	  OPTION_STRING, 'f' },
	{ 0 },
};

#define PS_OUTPUT_MAX (16u << 20) /* bytes */

static int print_json(const struct pid_list *list, struct err *err)
{
	AUTO_JSON json_t *array = json_array();

	for (size_t i = 0; i < list->len; i++) {
		if (json_array_append_new(array, json_integer(list->pids[i])) < 0)
			return err_sys(err, -ENOMEM, "ps");
	}
	return out_json(array, 0, err);
}

/* ps(1) from where distributions put it: the PATH of whoever called us decides nothing. */
static int spawn_ps(const char *const *argv, int out_fd, pid_t *ret)
{
	static const char *const places[] = { "/usr/bin/ps", "/bin/ps" };
	posix_spawn_file_actions_t actions;
	int r = posix_spawn_file_actions_init(&actions);

	if (r != 0)
		return -r;
	r = posix_spawn_file_actions_adddup2(&actions, out_fd, STDOUT_FILENO);
	for (size_t i = 0; r == 0 && i < ARRAY_LEN(places); i++) {
		r = posix_spawn(ret, places[i], &actions, NULL, (char *const *)argv, environ);
		if (r != ENOENT)
			break;
		if (i + 1 < ARRAY_LEN(places))
			r = 0;
	}
	(void)posix_spawn_file_actions_destroy(&actions);
	return -r;
}

static int run_ps_program(const char *const *argv, struct buf *out, struct err *err)
{
	AUTO_CLOSE int rd = -EBADF;
	AUTO_CLOSE int wr = -EBADF;
	int fds[2];
	pid_t pid;
	int status;
	int r;

	if (pipe2(fds, O_CLOEXEC) < 0)
		return err_sys(err, -errno, "ps: pipe");
	rd = fds[0];
	wr = fds[1];
	r = spawn_ps(argv, wr, &pid);
	if (r < 0)
		return err_sys(err, r, "run ps(1)");
	(void)close(TAKE_FD(wr));
	r = fd_read_all(rd, out);
	(void)close(TAKE_FD(rd));
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (r < 0)
		return err_sys(err, r, "read from ps(1)");
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		return err_set(err, -ECHILD, "ps(1) failed: exit status %d",
			       WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
	return buf_error(out);
}

/* The n-th word of a line, cut out of it; NULL when there are fewer. */
static const char *word_at(const char *line, size_t len, size_t nth, size_t *ret_len)
{
	const char *end = line + len;

	for (size_t i = 0;; i++) {
		const char *start;

		while (line < end && (*line == ' ' || *line == '\t'))
			line++;
		start = line;
		while (line < end && *line != ' ' && *line != '\t')
			line++;
		if (line == start)
			return NULL;
		if (i == nth) {
			*ret_len = (size_t)(line - start);
			return start;
		}
	}
}

static int find_column(const char *header, size_t len, size_t *ret, struct err *err)
{
	const char *word;
	size_t word_len;

	for (size_t i = 0; (word = word_at(header, len, i, &word_len)) != NULL; i++) {
		if (word_len == 3 && memcmp(word, "PID", 3) == 0) {
			*ret = i;
			return 0;
		}
	}
	return err_set(err, -EINVAL, "couldn't find PID field in ps output");
}

static bool is_ours(const struct pid_list *list, const char *word, size_t len)
{
	char text[24];
	uint64_t pid;

	if (!word || len >= sizeof(text))
		return false;
	memcpy(text, word, len);
	text[len] = '\0';
	if (str_to_u64(text, INT32_MAX, &pid) < 0)
		return false;
	for (size_t i = 0; i < list->len; i++) {
		if ((uint64_t)list->pids[i] == pid)
			return true;
	}
	return false;
}

int ps_filter(const struct buf *text, const struct pid_list *list, struct buf *out, struct err *err)
{
	const char *line = text->data;
	bool header = true;
	size_t column = 0;

	while (line && *line) {
		const char *end = strchrnul(line, '\n');
		const size_t len = (size_t)(end - line);
		size_t word_len = 0;
		const char *word;
		int r;

		if (header) {
			r = find_column(line, len, &column, err);
			if (r < 0)
				return r;
		}
		word = word_at(line, len, column, &word_len);
		if (header || is_ours(list, word, word_len)) {
			buf_append(out, line, len);
			buf_puts(out, "\n");
		}
		header = false;
		line = *end ? end + 1 : NULL;
	}
	return 0;
}

static int print_table(const struct pid_list *list, const struct option_args *args, struct err *err)
{
	AUTO_FREE const char **argv = calloc(args->len + 3, sizeof(*argv));
	AUTO_BUF struct buf text = { .max = PS_OUTPUT_MAX };
	AUTO_BUF struct buf out = { 0 };
	int r;

	if (!argv)
		return err_sys(err, -ENOMEM, "ps");
	argv[0] = "ps";
	argv[1] = "-ef";
	for (size_t i = 1; i < args->len; i++)
		argv[i] = args->items[i];
	r = run_ps_program(argv, &text, err);
	if (r == 0)
		r = ps_filter(&text, list, &out, err);
	return r < 0 ? r : out_flush(&out, err);
}

/* The columns of ps -ef, for processes that the host's ps(1) does not know. */
static int print_inside(const struct container_process *list, size_t len, bool json,
			struct err *err)
{
	AUTO_BUF struct buf out = { 0 };
	AUTO_JSON json_t *array = json_array();

	buf_printf(&out, "%-8s %7s %7s %2s %5s %8s %s\n", "UID", "PID", "PPID", "S", "STIME",
		   "TIME", "CMD");
	for (size_t i = 0; i < len; i++) {
		const struct container_process *p = &list[i];
		const time_t start = (time_t)(p->start_ns / 1000000000u);
		const unsigned long long cpu_s = p->cpu_ns / 1000000000u;
		char begun[16] = "-";
		struct tm tm;

		if (localtime_r(&start, &tm))
			(void)strftime(begun, sizeof(begun), "%H:%M", &tm);
		buf_printf(&out, "%-8u %7d %7d %2c %5s %02llu:%02llu:%02llu %s\n", p->uid, p->pid,
			   p->ppid, p->state, begun, cpu_s / 3600, cpu_s / 60 % 60, cpu_s % 60,
			   p->command);
		if (json_array_append_new(array, json_integer(p->pid)) < 0)
			return err_sys(err, -ENOMEM, "ps");
	}
	return json ? out_json(array, 0, err) : out_flush(&out, err);
}

static int run_ps(struct cli *cli, const void *options, const struct option_args *args,
		  struct err *err)
{
	const struct ps_options *o = options;
	const bool json = str_eq(o->format, "json");
	AUTO_CONTAINER struct container *c = NULL;
	AUTO_FREE struct container_process *inside = NULL;
	struct pid_list list = { 0 };
	size_t inside_len;
	int r;

	if (o->format && !json && !str_eq(o->format, "table"))
		return err_set(err, -EINVAL, "invalid format option");
	if (args->len == 0)
		return node_view_print(cli, true, json ? NODE_VIEW_JSON : NODE_VIEW_TABLE, err);
	r = cli_load(cli, args, false, &c, err);
	if (r < 0)
		return r;
	r = container_processes(c, &inside, &inside_len, err);
	if (r != -ENOTSUP)
		return r < 0 ? r : print_inside(inside, inside_len, json, err);
	r = container_pids(c, &list.pids, &list.len, err);
	if (r == 0)
		r = json ? print_json(&list, err) : print_table(&list, args, err);
	free(list.pids);
	return r;
}

const struct verb verb_ps = {
	.name = "ps",
	.args = "[<container-id> [ps options]]",
	.summary = "show the processes of a container, or without one the containers that run",
	.description =
		"The table is that of ps(1) with the options given (default: -ef), without the "
		"lines of\n"
		"other processes; it must have a column PID. JSON is an array of process ids.\n"
		"Processes of class sentry are those of its own kernel, with ids of their own.\n"
		"Without an id: what list --all-roots shows, without those that are stopped.",
	.options = table,
	.max_args = VERB_ARGS_ANY,
	.flags = VERB_IN_ORDER,
	.run = run_ps,
};
