/* SPDX-License-Identifier: Apache-2.0 */
#include "sentry/core/klog.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "sentry/core/kclock.h"

#define LINE_MAX_BYTES 512

uint32_t klog_rooms;

static int log_to = -1;
static nsec_t began;

static const char *const names[KLOG_ROOMS] = {
	[KLOG_boot] = "boot",
	[KLOG_fs] = "fs",
	[KLOG_mm] = "mm",
	[KLOG_net] = "net",
	[KLOG_platform] = "platform",
	[KLOG_syscall] = "syscall",
	[KLOG_task] = "task",
	[KLOG_vfs] = "vfs",
};

static uint32_t bits_of(const char *word, size_t len)
{
	if (len == 3 && !memcmp(word, "all", 3))
		return (1u << KLOG_ROOMS) - 1;
	for (unsigned int room = 0; room < KLOG_ROOMS; room++) {
		if (strlen(names[room]) == len && !memcmp(names[room], word, len))
			return 1u << room;
	}
	return 0;
}

int klog_setup(const char *rooms, int fd)
{
	uint32_t all = 0;

	while (rooms && *rooms) {
		const size_t len = strcspn(rooms, ",");
		const uint32_t bits = bits_of(rooms, len);

		if (!bits)
			return -EINVAL;
		all |= bits;
		rooms += len;
		rooms += *rooms == ',';
	}
	log_to = fd;
	began = kclock_monotonic();
	klog_rooms = all;
	return 0;
}

void klog_write(enum klog_room room, const char *fmt, ...)
{
	const nsec_t us = (kclock_monotonic() - began) / 1000;
	char line[LINE_MAX_BYTES];
	size_t len;
	va_list ap;
	int n;

	n = snprintf(line, sizeof(line), "[%5u.%06u %s] ", (unsigned int)(us / 1000000),
		     (unsigned int)(us % 1000000), names[room]);
	len = n > 0 ? (size_t)n : 0;
	va_start(ap, fmt);
	n = vsnprintf(line + len, sizeof(line) - len - 1, fmt, ap);
	va_end(ap);
	len += n > 0 ? (size_t)n : 0;
	if (len > sizeof(line) - 2)
		len = sizeof(line) - 2;
	for (size_t i = 0; i < len; i++) {
		if (line[i] < ' ' || line[i] == 0x7f)
			line[i] = '?';
	}
	line[len++] = '\n';
	if (write(log_to, line, len) < 0)
		return; /* the log is full or gone: the guest goes on */
}
