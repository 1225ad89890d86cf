/* SPDX-License-Identifier: Apache-2.0 */
/*
 * base/err.h - an error a user will read (control plane only).
 *
 * Functions that take `struct err *err` return 0 or -errno. On failure err
 * holds the same -errno and one finished sentence; on success err is not
 * touched. err may be NULL. No allocation and no pointers inside, so an error
 * can be filled in after clone(2), under OOM, and written whole to a pipe.
 */
#pragma once

#define ERR_MSG_MAX 488

struct err {
	int code;	       /* 0, or the -errno that was returned */
	char msg[ERR_MSG_MAX]; /* NUL-terminated UTF-8, no newline */
};

/* Set code and message. Returns code, so that `return err_set(...)` works. */
int err_set(struct err *err, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* As err_set(), with ": " and the text of the errno `-code` (strerror) after the sentence. */
int err_sys(struct err *err, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* Put "prefix: " before the message that a callee left. Returns err->code. */
int err_prefix(struct err *err, int code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
