/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/report.h"

#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "wire/vmm_msg.h"

_Static_assert(SENTRY_TEXT_MAX == ERR_MSG_MAX, "a sentence fits");

static bool closed;

void report_say(uint32_t type, const struct err *err)
{
	struct sentry_report report = { .type = type, .code = err ? err->code : 0 };

	if (closed)
		return;
	if (err)
		(void)snprintf(report.text, sizeof(report.text), "%s", err->msg);
	(void)send(VMM_FD_REPORT, &report, sizeof(report), MSG_NOSIGNAL | MSG_DONTWAIT);
}

void report_close(void)
{
	if (!closed)
		(void)close(VMM_FD_REPORT);
	closed = true;
}

bool report_is_open(void)
{
	return !closed;
}
