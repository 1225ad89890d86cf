/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"

#define LOG_LINE_MAX 4096 /* bytes of message; the rest is cut */

static struct {
	int fd;
	bool json;
	enum log_level level;
} sink = { .fd = STDERR_FILENO, .level = LOG_LEVEL_INFO };

static const char *const level_names[] = { "error", "warning", "info", "debug" };

void log_setup(int fd, bool json, enum log_level level)
{
	sink.fd = fd;
	sink.json = json;
	sink.level = level;
}

int log_fd(void)
{
	return sink.fd;
}

bool log_is_json(void)
{
	return sink.json;
}

enum log_level log_get_level(void)
{
	return sink.level;
}

/* Quote for JSON and for logrus text alike: both escape with backslashes. */
static void append_quoted(struct buf *b, const char *s)
{
	buf_puts(b, "\"");
	for (; *s; s++) {
		const unsigned char c = (unsigned char)*s;

		if (c == '"' || c == '\\')
			buf_printf(b, "\\%c", c);
		else if (c == '\n')
			buf_puts(b, "\\n");
		else if (c < 0x20 || c == 0x7f)
			buf_printf(b, "\\u%04x", c);
		else
			buf_append(b, s, 1);
	}
	buf_puts(b, "\"");
}

static void log_line(enum log_level level, const char *fmt, va_list ap)
{
	const int saved = errno;
	AUTO_BUF struct buf line = { 0 };
	char msg[LOG_LINE_MAX];
	char when[CLOCK_TEXT_MAX];
	struct timespec now = { 0 };

	if (level > sink.level)
		return;
	(void)vsnprintf(msg, sizeof(msg), fmt, ap);
	(void)clock_gettime(CLOCK_REALTIME, &now);
	(void)clock_rfc3339(&now, false, when);
	if (sink.json) {
		buf_printf(&line, "{\"level\":\"%s\",\"msg\":", level_names[level]);
		append_quoted(&line, msg);
		buf_printf(&line, ",\"time\":\"%s\"}\n", when);
	} else {
		buf_printf(&line, "time=\"%s\" level=%s msg=", when, level_names[level]);
		append_quoted(&line, msg);
		buf_puts(&line, "\n");
	}
	if (!buf_error(&line)) {
		const ssize_t n = write(sink.fd, line.data, line.len);

		(void)n; /* nobody is left to tell */
	}
	errno = saved;
}

#define DEFINE_LOG(name, level)               \
	void log_##name(const char *fmt, ...) \
	{                                     \
		va_list ap;                   \
		va_start(ap, fmt);            \
		log_line(level, fmt, ap);     \
		va_end(ap);                   \
	}

DEFINE_LOG(error, LOG_LEVEL_ERROR)
DEFINE_LOG(warning, LOG_LEVEL_WARNING)
DEFINE_LOG(info, LOG_LEVEL_INFO)
DEFINE_LOG(debug, LOG_LEVEL_DEBUG)
