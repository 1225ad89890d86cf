/* SPDX-License-Identifier: Apache-2.0 */
/* shim/logger.h - a program that takes the outputs of a process: binary:// of containerd. */
#pragma once

#include "base/err.h"

#define LOGGER_SCHEME	  "binary://"
#define LOGGER_ARGS_MAX	  64
#define LOGGER_TIMEOUT_MS 10000 /* for it to be ready */

/*
 * The words of a logger's command line from "binary://PATH?KEY=VALUE&...": the path, then each key
 * and, where there is one, its value, with %XX decoded. A NULL-terminated list of strings; free it
 * with strv_free(). -EINVAL for a path that is not absolute and for a bad escape, -E2BIG.
 */
int logger_words(const char *uri, char ***ret, struct err *err);

/*
 * Start it with `outputs` as descriptors 3 and 4 and CONTAINER_ID and CONTAINER_NAMESPACE in its
 * environment, and wait until it says that it is ready (it closes 5, or writes there). -ETIMEDOUT.
 */
int logger_start(const char *uri, const int outputs[static 2], const char *id, const char *ns,
		 struct err *err);
