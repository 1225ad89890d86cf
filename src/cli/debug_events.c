/* SPDX-License-Identifier: Apache-2.0 */
/* cli/debug_events.c - the typed event stream as lines of JSON: live, and from a file. */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/str.h"
#include "cli/cli.h"
#include "cli/debug.h"
#include "wire/event_codec.h"

/* One line at once: who reads it through a pipe waits for nothing. */
static int print_record(void *arg, const struct event_record *record, struct err *err)
{
	AUTO_BUF struct buf line = { 0 };

	(void)arg;
	event_to_json(record, &line);
	(void)buf_puts(&line, "\n");
	return out_flush(&line, err);
}

int debug_follow(struct cli *cli, const char *id, const char *list, struct err *err)
{
	AUTO_CONTAINER struct container *c = NULL;
	uint32_t mask = 0;
	int r = event_mask_parse(list ? list : "all", &mask, err);

	if (r == 0)
		r = container_load(&cli->runtime, id, false, &c, err);
	return r < 0 ? r : container_events(c, mask, print_record, NULL, err);
}

/* Print the whole records of `b` and take them out. */
static int print_records(struct buf *b, unsigned long long *at, struct err *err)
{
	size_t done = 0;
	int r = 0;

	while (r == 0 && done < b->len) {
		struct event_record record;
		size_t size;

		r = event_decode(b->data + done, b->len - done, &record, &size);
		if (r < 0)
			break;
		r = r > 0 ? print_record(NULL, &record, err) : 0;
		done += size;
		*at += size;
	}
	if (r == -EBADMSG)
		(void)err_set(err, r, "byte %llu: no event record begins here", *at);
	else if (r == -EPROTO)
		(void)err_set(err, r, "byte %llu: a record of a version that is not known", *at);
	b->len -= done;
	memmove(b->data, b->data + done, b->len);
	return r == -EAGAIN ? 0 : r;
}

int debug_decode(const char *path, struct err *err)
{
	AUTO_BUF struct buf b = { 0 };
	AUTO_CLOSE int opened = str_eq(path, "-") ? -EBADF : open(path, O_RDONLY | O_CLOEXEC);
	const int fd = str_eq(path, "-") ? STDIN_FILENO : opened;
	unsigned long long at = 0;
	int r = fd < 0 ? err_sys(err, -errno, "open %s", path) : 0;

	while (r == 0) {
		ssize_t n;

		if (buf_reserve(&b, EVENT_RECORD_MAX) < 0)
			return err_sys(err, -ENOMEM, "read %s", path);
		n = read(fd, b.data + b.len, EVENT_RECORD_MAX);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(err, -errno, "read %s", path);
		if (n == 0)
			break;
		b.len += (size_t)n;
		r = print_records(&b, &at, err);
	}
	if (r < 0)
		return err_prefix(err, r, "%s", path);
	return b.len == 0 ? 0 : err_set(err, -EBADMSG, "%s: the last record is cut off", path);
}
