/* SPDX-License-Identifier: Apache-2.0 */
/* cli/events.c - events: statistics and OOM notifications of a container as JSON lines. */
#include <errno.h>
#include <poll.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "cli/cli.h"
#include "cli/stats.h"
#include "cli/verbs.h"
#include "host/pidfd.h"

struct events_options {
	uint64_t interval_ms;
	bool stats;
};

#define DEFAULT_INTERVAL_MS 5000u
#define INTERVAL_MAX_MS	    (86400u * 1000u)

static const struct option table[] = {
	{ "interval", "time between two statistics, as 5s or 500ms (default: 5s)", "DURATION",
	  offsetof(struct events_options, interval_ms), OPTION_DURATION, 0 },
	{ "stats", "print the statistics once and exit", NULL,
	  offsetof(struct events_options, stats), OPTION_FLAG, 0 },
	{ 0 },
};

static int print_stats(struct container *c, struct err *err)
{
	AUTO(cgroup_stats_done) struct cgroup_stats stats = { 0 };
	AUTO_BUF struct buf out = { 0 };
	int r = container_stats(c, &stats, err);

	if (r < 0)
		return r;
	stats_append_event(c->id, &stats, &out);
	return out_flush(&out, err);
}

static int print_oom(const struct container *c, struct err *err)
{
	AUTO_BUF struct buf out = { 0 };

	buf_printf(&out, "{\"type\":\"oom\",\"id\":\"%s\"}\n", c->id);
	return out_flush(&out, err);
}

/* Read what made the descriptor readable: an eventfd's counter or inotify's records. */
static bool drain(int fd)
{
	char bytes[4096];

	return read(fd, bytes, sizeof(bytes)) > 0;
}

/* What a container's events come from; all owned but for the container. */
struct watched {
	struct container *c;
	int pidfd;
	int oom_fd;	/* of the host's kernel; or negative */
	int inner_fd;	/* of the container's own; or negative */
	uint64_t kills; /* of the host's */
};

static void watched_done(struct watched *w)
{
	auto_close_p(&w->pidfd);
	auto_close_p(&w->oom_fd);
	auto_close_p(&w->inner_fd);
}

/* Out-of-memory events of both kernels. */
static int serve_oom(struct watched *w, bool host, bool inner, struct err *err)
{
	int r = 0;

	if (host && drain(w->oom_fd) && cgroup_oom_confirm(w->c->cgroup, &w->kills))
		r = print_oom(w->c, err);
	if (r < 0 || !inner)
		return r;
	if (drain(w->inner_fd))
		return print_oom(w->c, err);
	/* Its sandbox has ended, and so will the container. */
	auto_close_p(&w->inner_fd);
	w->inner_fd = -EBADF;
	return 0;
}

/* Until the container ends: statistics every interval, OOM events as they come. */
static int watch(struct watched *w, uint64_t interval_ms, struct err *err)
{
	uint64_t next = (uint64_t)clock_ms() + interval_ms;
	int r = 0;

	if (w->oom_fd >= 0)
		(void)cgroup_oom_confirm(w->c->cgroup, &w->kills);

	while (r == 0) {
		struct pollfd fds[] = {
			{ .fd = w->pidfd, .events = POLLIN },
			{ .fd = w->oom_fd, .events = POLLIN },
			{ .fd = w->inner_fd, .events = POLLIN },
		};
		const uint64_t now = (uint64_t)clock_ms();
		const int n = poll(fds, 3, next > now ? (int)(next - now) : 0);

		if (n < 0 && errno != EINTR)
			return err_sys(err, -errno, "events: poll");
		/* v1's descriptor fires at the end, too. */
		if (n > 0)
			r = serve_oom(w, (fds[1].revents & POLLIN) && !fds[0].revents,
				      fds[2].revents, err);
		if (n > 0 && fds[0].revents)
			return 0;
		if (r == 0 && (uint64_t)clock_ms() >= next) {
			r = print_stats(w->c, err);
			next += interval_ms;
		}
	}
	/* It ended between two looks. */
	return process_state(w->c->pid, w->c->start_time) == PROCESS_RUNNING ? r : 0;
}

static int run_events(struct cli *cli, const void *options, const struct option_args *args,
		      struct err *err)
{
	const struct events_options *o = options;
	const uint64_t interval = o->interval_ms ? o->interval_ms : DEFAULT_INTERVAL_MS;
	AUTO_CONTAINER struct container *c = NULL;
	AUTO(watched_done)
	struct watched w = { .pidfd = -EBADF, .oom_fd = -EBADF, .inner_fd = -EBADF };
	struct err why = { 0 };
	int r = cli_load(cli, args, false, &c, err);

	if (r < 0)
		return r;
	if (interval > INTERVAL_MAX_MS)
		return err_set(err, -ERANGE, "events: the interval is longer than a day");
	if (c->status == OCI_STOPPED)
		return err_set(err, -ESRCH, "container with id %s is not running", c->id);
	if (o->stats)
		return print_stats(c, err);
	w.c = c;
	w.pidfd = pidfd_get(c->pid);
	if (w.pidfd < 0)
		return err_sys(err, w.pidfd, "events: the process of container %s", c->id);
	w.oom_fd = c->cgroup ? cgroup_oom_fd(c->cgroup, &why) : -ENOTSUP;
	if (w.oom_fd < 0)
		log_warning("events: no OOM notifications: %s",
			    why.msg[0] ? why.msg : "the container has no cgroup");
	/* A frozen sandbox does not answer. */
	w.inner_fd = c->status == OCI_PAUSED ? -EAGAIN : container_oom_fd(c, &why);
	if (w.inner_fd < 0 && w.inner_fd != -ENOTSUP)
		log_warning("events: no OOM notifications of the container's kernel: %s",
			    w.inner_fd == -EAGAIN ? "it is paused" : why.msg);
	return watch(&w, interval, err);
}

const struct verb verb_events = {
	.name = "events",
	.args = "<container-id>",
	.summary = "print statistics and out-of-memory events of a container",
	.description = "One JSON object per line, of the types \"stats\" (every interval) and "
		       "\"oom\", until the\n"
		       "container ends.",
	.options = table,
	.min_args = 1,
	.max_args = 1,
	.run = run_events,
};
