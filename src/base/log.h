/* SPDX-License-Identifier: Apache-2.0 */
/*
 * base/log.h - the process-wide log of a command-line program.
 *
 * Text form on a terminal is runc's (logrus): time="..." level=error msg="..."; JSON form is one
 * object per line: {"level":"error","msg":"...","time":"RFC3339"}. Engines read the last "error"
 * line of the JSON form (containerd's runc shim). Not thread-safe: the programs that use it have
 * one thread. A line is written with one write(2), so that processes can share a file.
 */
#pragma once

#include <stdbool.h>

enum log_level {
	LOG_LEVEL_ERROR,
	LOG_LEVEL_WARNING,
	LOG_LEVEL_INFO,
	LOG_LEVEL_DEBUG,
};

/* Defaults before log_setup(): standard error, text, LOG_LEVEL_INFO. fd is borrowed for good. */
void log_setup(int fd, bool json, enum log_level level);

/* The descriptor, so that a child knows which one to keep; -1 is never returned. */
int log_fd(void);
bool log_is_json(void);
enum log_level log_level(void);

void log_error(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_warning(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_debug(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
