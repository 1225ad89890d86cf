/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shim/manage.h - the management socket of a shim: figures, state, and what `caisson debug` shows,
 * over HTTP (docs/SHIM.md).
 *
 * It stands beside the socket of containerd's calls, with MANAGE_SUFFIX behind that name, so that
 * it shares the directory (0700), the lock, and the cleaning up after a shim that has died;
 * `caisson metrics` finds all of a node there. Every answer is made by a worker.
 */
#pragma once

#include "base/buf.h"
#include "base/err.h"
#include "shim/http.h"

#define MANAGE_SUFFIX	   ".caisson"
#define MANAGE_WORKERS_MAX 4u  /* answers that are made at once; others are told to come again */
#define MANAGE_SECONDS	   20u /* that one may take */

struct shim;
struct manage;

/* `sock` listens, and becomes the manager's, also after a failure. */
int manage_new(struct shim *s, int sock, struct manage **ret, struct err *err);
void manage_free(struct manage *m); /* accepts NULL */
struct http_counts manage_counts(const struct manage *m);

/*
 * The path of the management socket that belongs to the socket at `path`: 0, or -ENAMETOOLONG,
 * without a message.
 */
int manage_path(const char *path, char *ret, unsigned int size);

/* ---- In a worker: appended to *out. ---- */

/* manage_metrics.c: of all, or of the shim alone. */
int manage_metrics(const struct shim *s, const char *rest, struct buf *out, struct err *err);
int manage_own_metrics(const struct shim *s, const char *rest, struct buf *out, struct err *err);
/* manage_state.c */
int manage_state(const struct shim *s, const char *rest, struct buf *out, struct err *err);
