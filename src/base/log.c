/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/str.h"

#define LOG_LINE_MAX 4096 /* bytes of message; the rest is cut */
#define ESCAPED_MAX  6	  /* bytes of one escaped byte: \u001f */

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

enum log_level log_level(void)
{
	return sink.level;
}

/* No allocation: what there is to say may be that there is no memory. */
static struct {
	size_t len;
	char bytes[LOG_LINE_MAX * ESCAPED_MAX + 256];
} line;

static void put(const char *s)
{
	const size_t len = strlen(s);

	/* Cannot be: the size is that of the longest message, escaped. */
	if (len > sizeof(line.bytes) - line.len)
		return;
	memcpy(line.bytes + line.len, s, len);
	line.len += len;
}

/* Quote for JSON and for logrus text alike: both escape with backslashes. */
static void put_quoted(const char *s)
{
	put("\"");
	for (; *s; s++) {
		const unsigned char c = (unsigned char)*s;
		char text[ESCAPED_MAX + 1] = { *s };

		if (c == '\n')
			(void)snprintf(text, sizeof(text), "\\n");
		else if (c == '"' || c == '\\')
			(void)snprintf(text, sizeof(text), "\\%c", c);
		else if (c < 0x20 || c == 0x7f)
			(void)snprintf(text, sizeof(text), "\\u%04x", c);
		put(text);
	}
	put("\"");
}

static void log_line(enum log_level level, const char *fmt, va_list ap)
{
	const int saved = errno;
	char msg[LOG_LINE_MAX];
	char when[CLOCK_TEXT_MAX];
	struct timespec now = { 0 };
	ssize_t n;

	if (level > sink.level)
		return;
	if (vsnprintf(msg, sizeof(msg), fmt, ap) >= (int)sizeof(msg))
		msg[str_whole_utf8(msg, sizeof(msg) - 1)] = '\0';
	(void)clock_gettime(CLOCK_REALTIME, &now);
	(void)clock_rfc3339(&now, false, when);
	line.len = 0;
	if (sink.json) {
		put("{\"level\":\"");
		put(level_names[level]);
		put("\",\"msg\":");
		put_quoted(msg);
		put(",\"time\":\"");
		put(when);
		put("\"}");
	} else {
		put("time=\"");
		put(when);
		put("\" level=");
		put(level_names[level]);
		put(" msg=");
		put_quoted(msg);
	}
	put("\n");
	n = write(sink.fd, line.bytes, line.len);
	(void)n; /* nobody is left to tell */
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
DEFINE_LOG(debug, LOG_LEVEL_DEBUG)
