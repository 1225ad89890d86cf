/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A root file system to be hostile with: every test body runs in a forked child with its own mount,
 * ipc, uts and network namespaces, on a private tmpfs at fx->dir, so that nothing outlives it. In
 * the child EXPECT() replaces cmocka's assertions: it prints the line and leaves with a status that
 * in_child() turns into a failure.
 */
#pragma once

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "lib/unit.h"
#include "ns/rootfs.h"

struct fixture {
	char dir[64];  /* tmpfs: "rootfs", "host", and what a test adds */
	char root[80]; /* dir/rootfs */
	struct oci_spec *spec;
	struct rootfs rootfs;
	struct err err;
};

#define EXPECT(condition)                                                                 \
	do {                                                                              \
		if (!(condition)) {                                                       \
			(void)fprintf(stderr, "%s:%d: not so: %s (errno %d)\n", __FILE__, \
				      __LINE__, #condition, errno);                       \
			_exit(1);                                                         \
		}                                                                         \
	} while (0)

#define EXPECT_OK(fx, r)                                                                         \
	do {                                                                                     \
		if ((r) < 0) {                                                                   \
			(void)fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, (fx)->err.msg); \
			_exit(1);                                                                \
		}                                                                                \
	} while (0)

#define EXPECT_ERROR(fx, r, want, words)                                                           \
	do {                                                                                       \
		const int got_ = (r);                                                              \
		if (got_ != (want) || (fx)->err.code != (want) || !strstr((fx)->err.msg, words)) { \
			(void)fprintf(stderr, "%s:%d: %d, \"%s\", not %d, \"%s\"\n", __FILE__,     \
				      __LINE__, got_, got_ < 0 ? (fx)->err.msg : "", want, words); \
			_exit(1);                                                                  \
		}                                                                                  \
	} while (0)

/* Run a test body as described; skips the test when this process may not mount. */
void in_child(void (*body)(struct fixture *fx));

/* The specification with these JSON members of the root object; fx->rootfs is made to match. */
void given(struct fixture *fx, const char *members);

/* given() with mounts alone: the text between the brackets. */
void given_mounts(struct fixture *fx, const char *mounts);

/* prepare, enter and finish; each must succeed. The caller is inside afterwards. */
void enter(struct fixture *fx);

/* A new user namespace with root alone, and a mount namespace that belongs to it. */
void enter_userns(void);

/* Files of the fixture by paths below fx->dir. Each must succeed. */
void make_dir(const struct fixture *fx, const char *path);
void make_file(const struct fixture *fx, const char *path, const char *text);
void make_link(const struct fixture *fx, const char *text, const char *path);

bool exists(const char *path);	 /* lstat(2) */
bool is_mount(const char *path); /* another mount than its parent directory's */
bool has_text(const char *path, const char *text);
/* A line of /proc/self/mountinfo for this mount point with these words ("ro," "shared:"). */
bool mount_says(const char *point, const char *words);
/* How long a race runs: a second, or CAISSON_SOAK seconds. */
int race_seconds(void);
