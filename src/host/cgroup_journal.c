/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an update changes, so that it can be put back: each file's text before its first write.
 */
#include <ctype.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fd.h"
#include "base/str.h"
#include "host/cgroup_write.h"

#define CHANGES_MAX 256u /* files, and devices of files that have a line for each */
#define PASSES	    3u	 /* a file may be refused until another one has its text again */
#define TEXT_MAX    65536u

struct change {
	int dir_fd; /* owned */
	char file[160];
	char device[48]; /* "8:16", whose line was written; or "" */
	char reset[64];	 /* what takes that line away */
	char *before;	 /* owned */
	bool undone;
};

struct cgroup_journal {
	struct change changes[CHANGES_MAX];
	size_t len;
};

static void journal_free(struct cgroup_journal *journal)
{
	for (size_t i = 0; journal && i < journal->len; i++) {
		(void)close(journal->changes[i].dir_fd);
		free(journal->changes[i].before);
	}
	free(journal);
}

int cgroup_journal_begin(struct cgroup *cg)
{
	cgroup_journal_end(cg);
	cg->journal = calloc(1, sizeof(*cg->journal));
	return cg->journal ? 0 : -ENOMEM;
}

void cgroup_journal_end(struct cgroup *cg)
{
	journal_free(cg->journal);
	cg->journal = NULL;
}

/* "8:16 rbps=1000": the device, and what says that it has none of it any more. */
static void find_device(const char *file, const char *text, struct change *c)
{
	const size_t n = strspn(text, "0123456789:");
	const char *key = text + n + 1;

	if (n == 0 || n >= sizeof(c->device) || text[n] != ' ' || !memchr(text, ':', n))
		return;
	(void)snprintf(c->device, sizeof(c->device), "%.*s", (int)n, text);
	if (str_eq(file, "io.max"))
		(void)snprintf(c->reset, sizeof(c->reset), "%.*s %.*s=max", (int)n, text,
			       (int)strcspn(key, "="), key);
	else
		(void)snprintf(c->reset, sizeof(c->reset), "%.*s %s", (int)n, text,
			       str_after(file, "io.") ? "default" : "0");
}

static bool is_same_file(const struct change *a, const struct change *b)
{
	struct stat one, other;

	return str_eq(a->file, b->file) && str_eq(a->device, b->device) &&
	       fstat(a->dir_fd, &one) == 0 && fstat(b->dir_fd, &other) == 0 &&
	       one.st_dev == other.st_dev && one.st_ino == other.st_ino;
}

/* The first text counts: whatever was written after it. */
static bool is_noted(const struct cgroup_journal *journal, const struct change *c)
{
	for (size_t i = 0; i < journal->len; i++) {
		if (is_same_file(&journal->changes[i], c))
			return true;
	}
	return false;
}

void cgroup_journal_note(struct cgroup_journal *journal, int dir_fd, const char *file,
			 const char *text)
{
	AUTO_BUF struct buf before = { .max = TEXT_MAX };
	struct change *c;

	if (!journal || journal->len == CHANGES_MAX || strlen(file) >= sizeof(c->file) ||
	    fd_read_file(dir_fd, file, &before) < 0)
		return;
	c = &journal->changes[journal->len];
	*c = (struct change){ .dir_fd = fcntl(dir_fd, F_DUPFD_CLOEXEC, 3) };
	if (c->dir_fd < 0)
		return;
	(void)snprintf(c->file, sizeof(c->file), "%s", file);
	find_device(file, text, c);
	if (is_noted(journal, c)) {
		(void)close(c->dir_fd);
		return;
	}
	c->before = strdup(before.data ? before.data : "");
	if (c->before)
		journal->len++;
	else
		(void)close(c->dir_fd);
}

static bool has_line_of(const char *text, const char *device)
{
	for (const char *line = text; *line; line += strcspn(line, "\n"), line += *line == '\n') {
		const char *rest = str_after(line, device);

		if (rest && *rest == ' ')
			return true;
	}
	return false;
}

/* Files of several lines take each as a write of its own. */
static int write_lines(const struct change *c)
{
	const char *line = c->before;
	char text[512];
	int r = 0;

	if (!*line)
		return fd_write_file(c->dir_fd, c->file, "\n");
	for (; r == 0 && *line; line += *line == '\n') {
		const size_t n = strcspn(line, "\n");
		/* What is written is the first value alone. */
		const char *word = str_after(line, "oom_kill_disable ");

		if (n >= sizeof(text))
			return -E2BIG;
		(void)snprintf(text, sizeof(text), "%.*s",
			       (int)(n - (size_t)(word ? word - line : 0)), word ? word : line);
		r = fd_write_file(c->dir_fd, c->file, text);
		line += n;
		if (word)
			break;
	}
	return r;
}

static int put_back(const struct change *c)
{
	if (*c->device && !has_line_of(c->before, c->device))
		return fd_write_file(c->dir_fd, c->file, c->reset);
	return write_lines(c);
}

int cgroup_journal_undo(struct cgroup *cg, struct err *err)
{
	struct cgroup_journal *journal = cg->journal;
	int r = 0;

	cg->journal = NULL;
	for (unsigned int pass = 0; journal && pass < PASSES; pass++) {
		r = 0;
		for (size_t i = journal->len; i-- > 0;) {
			struct change *c = &journal->changes[i];
			const int problem = c->undone ? 0 : put_back(c);

			c->undone = problem == 0;
			if (problem < 0 && r == 0)
				r = err_sys(err, problem, "put %s back", c->file);
		}
		if (r == 0)
			break;
	}
	journal_free(journal);
	return r;
}
