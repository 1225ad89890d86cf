/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/list_as.h"

#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fd.h"
#include "base/log.h"
#include "runtime/aside.h"
#include "runtime/container.h"
#include "runtime/state.h"

#define NO_GROUP   65534      /* what lies there is the user's own: no group is needed */
#define MEMORY_MAX (1u << 30) /* bytes of address space of the child */
#define WHAT_MAX   40	      /* bytes of a sentence's beginning */

/* ---- The child ---- */

/* No way back: real, effective and saved ids. */
static int become(uid_t uid)
{
	if (setgroups(0, NULL) < 0 || setresgid(NO_GROUP, NO_GROUP, NO_GROUP) < 0 ||
	    setresuid(uid, uid, uid) < 0)
		return -errno;
	if (seteuid(0) == 0)
		return -EPERM; /* a capability was left */
	/* Of root's memory there is a copy here. Both are reset by a change of ids. */
	if (prctl(PR_SET_DUMPABLE, 0) < 0 || prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
		return -errno;
	return 0;
}

/* Only the pipe and the standard streams are still open, and memory has an end. */
static void shut_in(int out)
{
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
	const struct rlimit limit = { MEMORY_MAX, MEMORY_MAX };

	(void)setrlimit(RLIMIT_AS, &limit);
#endif
	(void)fd_keep_only(STDERR_FILENO + 1, &out, 1);
	log_setup(STDERR_FILENO, false, LOG_LEVEL_ERROR);
}

static int add_row(json_t *rows, struct container *c)
{
	AUTO_JSON json_t *row = NULL;
	int r;

	cgroup_free(TAKE_PTR(c->cgroup));
	if (c->pid == 0)
		c->start_time = 0;
	r = state_encode(c, &row, NULL);
	if (r < 0)
		return r;
	if (json_object_set_new(row, "status", json_integer(c->status)) < 0)
		return -ENOMEM;
	return json_array_append(rows, row);
}

/* Rows of what this process may read; none when it may not. */
static int collect(const struct runtime *rt, uid_t uid, json_t *rows)
{
	struct runtime here = *rt;
	struct container **list;
	size_t len;
	int fd, r;

	r = become(uid);
	if (r < 0)
		return r;
	/* From here on ".": the name may lead elsewhere in a moment. */
	fd = open(rt->root, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fchdir(fd) < 0)
		return -errno;
	(void)close(fd);
	here.root = ".";
	r = container_list(&here, &list, &len, NULL);
	for (size_t i = 0; r == 0 && i < len; i++)
		r = add_row(rows, list[i]);
	if (r == 0)
		container_list_free(list, len);
	return r;
}

struct question {
	const struct runtime *rt;
	uid_t uid;
};

static void tell(void *arg, int out)
{
	const struct question *q = arg;
	json_t *rows = json_array();
	char *text;

	shut_in(out);
	if (rows && collect(q->rt, q->uid, rows) < 0)
		(void)json_array_clear(rows);
	text = rows ? json_text(rows, JSON_COMPACT) : NULL;
	_exit(text && fd_write_all(out, text, strlen(text)) == 0 ? 0 : 1);
}

/* ---- Root ---- */

static int decode_row(const struct runtime *rt, uid_t uid, json_t *row, struct container **ret)
{
	const char *id = json_string_value(json_object_get(row, "id"));
	const json_t *status = json_object_get(row, "status");
	AUTO(container_free_p) struct container *c = NULL;
	int r;

	if (!id || container_id_check(id, NULL) < 0 || !json_is_integer(status) ||
	    json_integer_value(status) < 0 || json_integer_value(status) >= OCI_STATUS_MAX)
		return -EPROTO;
	c = container_new(rt, id);
	if (!c)
		return -ENOMEM;
	(void)json_object_del(row, "cgroups");
	r = state_decode(row, c, NULL);
	if (r < 0)
		return r == -ENOMEM ? r : -EPROTO;
	c->status = (enum oci_status)json_integer_value(status);
	c->owner = uid;
	*ret = TAKE_PTR(c);
	return 0;
}

int list_as_decode(const struct runtime *rt, uid_t uid, const char *text, size_t len,
		   struct container ***ret, size_t *ret_len, struct err *err)
{
	AUTO_JSON json_t *rows = NULL;
	struct container **list = NULL;
	size_t done = 0;
	int r = json_parse(text, len, "rows", &rows, NULL);

	if (r == 0)
		list = calloc(json_array_size(rows) + 1, sizeof(*list));
	if (r == -ENOMEM || (r == 0 && !list))
		return err_sys(err, -ENOMEM, "containers of user %u", uid);
	if (r == 0 && !json_is_array(rows))
		r = -EPROTO;
	for (; r == 0 && done < json_array_size(rows); done += r == 0)
		r = decode_row(rt, uid, json_array_get(rows, done), &list[done]);
	if (r < 0) {
		container_list_free(list, done);
		return err_sys(err, r == -ENOMEM ? r : -EPROTO, "containers of user %u", uid);
	}
	*ret = list;
	*ret_len = done;
	return 0;
}

int container_list_as(const struct runtime *rt, uid_t uid, int64_t wait_ms, struct container ***ret,
		      size_t *ret_len, struct err *err)
{
	AUTO_BUF struct buf text = { .max = LIST_AS_MAX };
	struct question q = { rt, uid };
	char what[WHAT_MAX];
	int r;

	*ret = NULL;
	*ret_len = 0;
	(void)snprintf(what, sizeof(what), "containers of user %u", uid);
	/* To the kernel, -1 is "as it was": root. */
	if (uid == 0 || uid == (uid_t)-1)
		return err_sys(err, -EINVAL, "%s", what);
	r = aside_run(tell, &q, wait_ms, &text, what, err);
	if (r < 0)
		return r;
	return list_as_decode(rt, uid, text.data ? text.data : "", text.len, ret, ret_len, err);
}
