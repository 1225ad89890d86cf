/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/core/klog.h - lines of what a room does, for --debug=rooms.
 *
 * A point of a room that nobody asked for costs one test of a word. Lines say what was done to
 * what, with the result; a guest's text in them is made printable.
 */
#pragma once

#include <stdint.h>

enum klog_room {
	KLOG_boot,
	KLOG_fs,
	KLOG_mm,
	KLOG_net,
	KLOG_platform,
	KLOG_syscall,
	KLOG_task,
	KLOG_vfs,
	KLOG_ROOMS,
};

extern uint32_t klog_rooms; /* bits of enum klog_room */

#define klog(room, ...)                                                    \
	do {                                                               \
		if (__builtin_expect(klog_rooms & (1u << KLOG_##room), 0)) \
			klog_write(KLOG_##room, __VA_ARGS__);              \
	} while (0)

/* Boot: rooms with commas, or "all"; "" and NULL are none. fd is kept. -EINVAL: there is no such
 * room. */
int klog_setup(const char *rooms, int fd);

/* One line, with the time since klog_setup() and the room. Errors are the log's loss. */
void klog_write(enum klog_room room, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
