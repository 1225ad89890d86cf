/* SPDX-License-Identifier: Apache-2.0 */
#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"

/* A cut message must stay valid UTF-8 and one line: it ends up in JSON. */
static void make_printable(char *msg)
{
	size_t len = strlen(msg);

	for (size_t i = 0; i < len; i++) {
		if ((unsigned char)msg[i] < 0x20)
			msg[i] = ' ';
	}
	if (len + 1 == ERR_MSG_MAX)
		msg[str_whole_utf8(msg, len)] = '\0';
}

int err_set(struct err *err, int code, const char *fmt, ...)
{
	va_list ap;

	if (!err)
		return code;
	err->code = code;
	va_start(ap, fmt);
	(void)vsnprintf(err->msg, sizeof(err->msg), fmt, ap);
	va_end(ap);
	make_printable(err->msg);
	return code;
}

int err_sys(struct err *err, int code, const char *fmt, ...)
{
	va_list ap;
	size_t len;

	if (!err)
		return code;
	err->code = code;
	va_start(ap, fmt);
	(void)vsnprintf(err->msg, sizeof(err->msg), fmt, ap);
	va_end(ap);
	len = strlen(err->msg);
	/* strerrordesc_np() needs no locale and no allocation (strerror(3)). */
	const char *text = strerrordesc_np(-code);

	(void)snprintf(err->msg + len, sizeof(err->msg) - len, ": %s", text ? text : "error");
	make_printable(err->msg);
	return code;
}

int err_prefix(struct err *err, int code, const char *fmt, ...)
{
	char old[ERR_MSG_MAX];
	va_list ap;
	size_t len;

	if (!err)
		return code;
	err->code = code;
	memcpy(old, err->msg, sizeof(old));
	old[sizeof(old) - 1] = '\0';
	va_start(ap, fmt);
	(void)vsnprintf(err->msg, sizeof(err->msg), fmt, ap);
	va_end(ap);
	len = strlen(err->msg);
	(void)snprintf(err->msg + len, sizeof(err->msg) - len, ": %s", old);
	make_printable(err->msg);
	return code;
}
