/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cgrouptest.h - a private cgroup of the real hierarchies for one test, and children in it. Every
 * test uses the name caisson-unit-PID below the cgroup that it runs in, and nothing else.
 */
#pragma once

#include "hosttest.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>

#include "base/buf.h"
#include "base/fd.h"
#include "host/cgroup_internal.h"

struct box {
	struct cgroup *cg;
	int descriptors; /* open before */
};

static inline struct cgroup *box_new(const char *path)
{
	static char id[64];
	struct cgroup_options o = { .path = path, .id = id };
	struct cgroup *cg = NULL;
	struct err err = { 0 };

	snprintf(id, sizeof(id), "caisson-unit-%d", (int)getpid());
	if (cgroup_new(&o, &cg, &err) < 0)
		fail_msg("%s", err.msg);
	return cg;
}

/* cmocka setup: the directories are made. Without root *state stays NULL and NEED_BOX() skips. */
static inline int box_setup(void **state)
{
	struct box *b = calloc(1, sizeof(*b));
	struct err err = { 0 };

	if (geteuid() != 0 || cgroup_layout() == CGROUP_LAYOUT_NONE) {
		free(b);
		return 0;
	}
	b->descriptors = open_descriptors();
	b->cg = box_new(NULL);
	if (cgroup_create(b->cg, &err) < 0) {
		print_message("setup: %s\n", err.msg);
		return -1;
	}
	*state = b;
	return 0;
}

/* cmocka teardown: whatever is left is killed and removed, and no descriptor has leaked. */
static inline int box_teardown(void **state)
{
	struct box *b = *state;
	struct err err = { 0 };
	int r;

	if (!b)
		return 0;
	(void)cgroup_signal_all(b->cg, SIGKILL, NULL);
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
	r = cgroup_remove(b->cg, &err);
	if (r < 0)
		print_message("teardown: %s\n", err.msg);
	while (waitpid(-1, NULL, 0) > 0)
		;
	cgroup_free(b->cg);
	if (open_descriptors() != b->descriptors) {
		print_message("a descriptor leaked\n");
		r = -1;
	}
	free(b);
	return r;
}

#define NEED_BOX(state)                                                                  \
	({                                                                               \
		if (!*(state)) {                                                         \
			print_message("needs root and cgroups: CAVEATS.md#unit-root\n"); \
			skip();                                                          \
		}                                                                        \
		(struct box *)*(state);                                                  \
	})

#define NEED_CONTROLLER(cg, name)                                                               \
	do {                                                                                    \
		if (!cgroup_path(cg, name)) {                                                   \
			print_message("no v1 controller %s: CAVEATS.md#cgroup-layout\n", name); \
			skip();                                                                 \
		}                                                                               \
	} while (0)

/* A child in every directory of the set that runs fn once it is there. */
static inline pid_t spawn(const struct cgroup *cg, int (*fn)(void *), void *arg)
{
	struct err err = { 0 };
	int gate[2];
	pid_t pid;
	char c = 0;

	assert_int_equal(pipe2(gate, O_CLOEXEC), 0);
	pid = fork();
	if (pid == 0) {
		(void)prctl(PR_SET_DUMPABLE, 0);
		close(gate[1]);
		_exit(read(gate[0], &c, 1) == 1 ? fn(arg) : 99);
	}
	assert_true(pid > 0);
	close(gate[0]);
	if (cgroup_enter_beside(cg, pid, getpid(), &err) < 0) {
		close(gate[1]);
		fail_msg("%s", err.msg);
	}
	assert_int_equal(write(gate[1], &c, 1), 1);
	close(gate[1]);
	return pid;
}

static inline int wait_for(pid_t pid)
{
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

static inline int sleep_long(void *arg)
{
	for (;;)
		pause();
	return 0;
}

/* The text of a control file, without the newline at its end. */
static inline const char *value_of(const struct cgroup *cg, const char *controller,
				   const char *file)
{
	static char text[4096];
	AUTO_BUF struct buf b = { 0 };
	AUTO_CLOSE int dir = cgroup_open_dir(cg, controller);
	const int r = fd_read_file(dir, file, &b);

	if (r < 0)
		fail_msg("read %s: %d", file, r);
	snprintf(text, sizeof(text), "%s", b.data ? b.data : "");
	text[strcspn(text, "\n")] = '\0';
	return text;
}

static inline double seconds(void)
{
	return (double)cgroup_clock_ns() / 1e9;
}

static inline void sleep_ms(int ms)
{
	nanosleep(&(struct timespec){ .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 }, NULL);
}

static inline void apply_ok(const struct cgroup *cg, struct oci_resources *res, bool update)
{
	struct err err = { 0 };

	res->set = true;
	if (cgroup_apply(cg, res, update, &err) < 0)
		fail_msg("%s", err.msg);
}

/* The error must carry the errno and contain the text. */
static inline void apply_fails(const struct cgroup *cg, struct oci_resources *res, int code,
			       const char *text)
{
	struct err err = { 0 };
	int r;

	res->set = true;
	r = cgroup_apply(cg, res, false, &err);
	if (r != code || err.code != code || !strstr(err.msg, text))
		fail_msg("wanted %d \"%s\", got %d \"%s\"", code, text, r, err.msg);
}
