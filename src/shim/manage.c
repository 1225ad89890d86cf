/* SPDX-License-Identifier: Apache-2.0 */
/* shim/manage.c - who asks the management socket for what, and who makes the answer. */
#include "shim/manage.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/str.h"
#include "metrics/families.h"
#include "shim/http.h"
#include "shim/shim.h"
#include "shim/worker.h"

#define TEXT_TYPE "text/plain; charset=utf-8"

struct manage {
	struct shim *shim;
	struct http_server *server;
	unsigned int queries_len;
};

struct route {
	const char *path; /* with a slash at the end: and what stands behind it */
	const char *type;
	int (*write)(const struct shim *s, const char *rest, struct buf *out, struct err *err);
};

/* A request, until it is answered. */
struct query {
	struct shim *shim;
	const struct route *route;
	struct http_call *call;
	char rest[HTTP_PATH_MAX];
};

int manage_path(const char *path, char *ret, unsigned int size)
{
	return snprintf(ret, size, "%s" MANAGE_SUFFIX, path) < (int)size ? 0 : -ENAMETOOLONG;
}

/* ---- What there is ---- */

static int write_index(const struct shim *s, const char *rest, struct buf *out, struct err *err)
{
	const struct task *t;

	(void)rest;
	(void)err;
	(void)buf_puts(out, "/metrics\n/metrics/shim\n/state\n");
	list_for_each(t, &s->tasks, node)
	{
		if (t->isolation == ISOLATION_SENTRY || t->isolation == ISOLATION_VM)
			(void)buf_printf(out, "/debug/%s/WORD\n", t->id);
	}
	return 0;
}

/* `rest`: ID/WORD */
static int write_debug(const struct shim *s, const char *rest, struct buf *out, struct err *err)
{
	const char *slash = strchr(rest, '/');
	AUTO_FREE char *id = slash ? strndup(rest, (size_t)(slash - rest)) : NULL;
	const struct task *t = id ? task_find(s, id) : NULL;
	struct container *c = NULL;
	int r;

	if (!t || !t->settings)
		return err_set(err, -ENOENT, "there is no such container: /debug/ID/WORD");
	r = container_load(&t->settings->rt, t->id, false, &c, err);
	if (r == 0 && c->status == OCI_PAUSED)
		r = err_set(err, -EBUSY, "container %s is paused: it cannot answer", t->id);
	if (r == 0)
		r = container_debug(c, slash + 1, out, err);
	container_free(c);
	return r;
}

static const struct route routes[] = {
	{ "/", TEXT_TYPE, write_index },
	{ "/metrics", METRICS_CONTENT_TYPE, manage_metrics },
	{ "/metrics/shim", METRICS_CONTENT_TYPE, manage_own_metrics },
	{ "/state", "application/json", manage_state },
	{ "/debug/", TEXT_TYPE, write_debug },
};

/* *ret_rest: what stands behind a path that others may stand behind. */
static const struct route *find_route(const char *path, const char **ret_rest)
{
	for (size_t i = 0; i < ARRAY_LEN(routes); i++) {
		const char *rest = str_after(path, routes[i].path);

		if (!rest || (*rest && (i == 0 || !str_ends(routes[i].path, "/"))))
			continue;
		*ret_rest = rest;
		return &routes[i];
	}
	return NULL;
}

/* ---- In the worker ---- */

static int answer_with(struct worker_answer *answer, const struct buf *out, struct err *err)
{
	AUTO_CLOSE int fd = memfd_create("answer", MFD_CLOEXEC);
	int r = fd < 0 ? -errno : fd_write_all(fd, out->data ? out->data : "", out->len);

	if (r < 0)
		return err_sys(err, r, "write the answer");
	answer->fd = TAKE_FD(fd);
	return 0;
}

static int job_query(void *arg, struct worker_answer *answer, struct err *err)
{
	const struct query *q = arg;
	AUTO_BUF struct buf out = { .max = HTTP_BODY_MAX };
	int r;

	/* Somebody may hang, and this process with it: it ends then, and that is the answer. */
	(void)alarm(MANAGE_SECONDS);
	r = q->route->write(q->shim, q->rest, &out, err);
	if (r == 0 && buf_error(&out))
		r = err_sys(err, buf_error(&out), "write the answer");
	return r < 0 ? r : answer_with(answer, &out, err);
}

/* ---- In the shim ---- */

static void on_answer(void *owner, struct worker_answer *answer)
{
	struct query *q = owner;
	const int code = answer->err.code;
	const bool absent = code == -ENOENT || code == -EINVAL || code == -ENOTSUP;
	struct stat st;

	if (q->shim->manage)
		q->shim->manage->queries_len--;
	if (code < 0)
		http_fail(q->call, absent ? HTTP_NOT_FOUND : HTTP_UNAVAILABLE, answer->err.msg);
	else if (answer->fd < 0 || fstat(answer->fd, &st) < 0)
		http_fail(q->call, HTTP_UNAVAILABLE, "no answer was made");
	else
		http_answer_file(q->call, q->route->type, TAKE_FD(answer->fd), (size_t)st.st_size);
	free(q);
}

static void on_request(void *arg, struct http_call *call, const char *path)
{
	struct manage *m = arg;
	const char *rest = NULL;
	const struct route *route = find_route(path, &rest);
	struct worker_job job = { .what = "a request of the management socket",
				  .run = job_query,
				  .done = on_answer };
	struct err err = { 0 };
	struct query *q;

	if (!route) {
		http_fail(call, HTTP_NOT_FOUND, "there is no such path: / lists them");
		return;
	}
	q = m->queries_len < MANAGE_WORKERS_MAX ? calloc(1, sizeof(*q)) : NULL;
	if (!q) {
		http_fail(call, HTTP_UNAVAILABLE, "too many requests are being answered");
		return;
	}
	*q = (struct query){ .shim = m->shim, .route = route, .call = call };
	(void)snprintf(q->rest, sizeof(q->rest), "%s", rest);
	job.arg = job.owner = q;
	if (worker_start(m->shim, &job, &err) < 0) {
		http_fail(call, HTTP_UNAVAILABLE, err.msg);
		free(q);
		return;
	}
	m->queries_len++;
}

int manage_new(struct shim *s, int sock, struct manage **ret, struct err *err)
{
	AUTO_CLOSE int own = sock;
	struct manage *m = calloc(1, sizeof(*m));
	int r;

	if (!m)
		return err_sys(err, -ENOMEM, "management socket");
	m->shim = s;
	r = http_server_new(s->loop, TAKE_FD(own), (uint32_t)geteuid(), on_request, m, &m->server,
			    err);
	if (r < 0)
		free(m);
	else
		*ret = m;
	return r;
}

struct http_counts manage_counts(const struct manage *m)
{
	return http_server_counts(m->server);
}

void manage_free(struct manage *m)
{
	if (!m)
		return;
	http_server_free(m->server);
	free(m);
}
