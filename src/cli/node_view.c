/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli/node_view.c - the containers of all roots.
 *
 * A root that belongs to another user is read with that user's rights, by a process that has no
 * others (runtime/list_as.h): what lies there was written by somebody whom root does not trust. Who
 * that is must not be his to say: below /run/user it is the number in the path, whose directory is
 * root's to make, and nothing there is looked at before.
 */
#include "cli/node_view.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/str.h"
#include "runtime/aside.h"
#include "runtime/list_as.h"

#define USERS	  "/run/user/"
#define USER_ROOT "caisson"

/* Where engines and users keep containers; a directory may be another runtime's. */
static const char *const patterns[] = {
	"/run/caisson",		     /* the default, Podman, CRI-O */
	"/run/user/*",		     /* without root: USER_ROOT below it */
	"/run/containerd/caisson/*", /* our shim, by namespace of containerd */
	"/run/containerd/runc/*",    /* containerd's runc shim */
	"/run/docker/runtime-*/*",   /* dockerd: the runtime, the namespace */
};

#define ROOTS_MAX    4096
#define USER_MS	     5000  /* for reading a user's root */
#define USERS_MS     10000 /* of all that are slow */
#define COLUMNS	     7
#define COLUMN_GAP   3
#define PID_TEXT_MAX 16
#define UID_TEXT_MAX 11		      /* ten digits */
#define UID_MAX	     (UINT32_MAX - 1) /* -1 is no user */

/* The containers of one root. */
struct node_root {
	char *path;
	uid_t reader;	   /* whom root becomes to read it; 0: nobody */
	struct runtime rt; /* what they point to */
	struct container **list;
	size_t len;
};

struct node {
	struct node_root *roots;
	size_t len;
	bool live;
	int64_t users_ms; /* left for waiting for users' roots */
};

static void node_done(struct node *node)
{
	for (size_t i = 0; i < node->len; i++) {
		container_list_free(node->roots[i].list, node->roots[i].len);
		free(node->roots[i].path);
	}
	free(node->roots);
}

/* Whom we have to become to read it; 0: nobody. -EPERM: it is not to be read. */
static int reader_of(const char *path, uid_t *ret)
{
	const char *user = str_after(path, USERS);
	char number[UID_TEXT_MAX];
	uint64_t uid = 0;
	struct stat st;

	*ret = 0;
	if (geteuid() != 0)
		return 0;
	if (user) {
		const size_t len = strcspn(user, "/");

		if (len >= sizeof(number))
			return -EPERM;
		(void)snprintf(number, sizeof(number), "%.*s", (int)len, user);
		if (str_to_u64(number, UID_MAX, &uid) < 0)
			return -EPERM;
	}
	if (uid == 0) {
		if (lstat(path, &st) < 0)
			return -errno;
		uid = st.st_uid;
	}
	*ret = (uid_t)uid;
	return 0;
}

/* Another runtime's directories are no news, nor is what this user may not look at. */
static int read_root(struct node_root *root, int64_t *users_ms, struct err *err)
{
	const enum log_level level = log_level();
	int r;

	if (root->reader != 0) {
		const int64_t begin = clock_ms();
		struct err problem = { 0 };

		r = container_list_as(&root->rt, root->reader, aside_share(*users_ms, USER_MS),
				      &root->list, &root->len, &problem);
		aside_charge(users_ms, begin);
		if (r < 0)
			log_warning("%s: skipped", problem.msg);
		return 0;
	}
	log_setup(log_fd(), log_is_json(), LOG_LEVEL_ERROR);
	r = container_list(&root->rt, &root->list, &root->len, err);
	log_setup(log_fd(), log_is_json(), level);
	return r == -ENOMEM ? r : 0;
}

/* What is another user's is known by its name: the directory is not root's to look at. */
static bool is_known(const struct node *node, const char *path, uid_t reader)
{
	struct stat one, other;

	for (size_t i = 0; i < node->len; i++) {
		if (str_eq(node->roots[i].path, path))
			return true;
	}
	if (reader != 0)
		return false;
	if (stat(path, &one) < 0)
		return true;
	for (size_t i = 0; i < node->len; i++) {
		if (node->roots[i].reader == 0 && stat(node->roots[i].path, &other) == 0 &&
		    one.st_dev == other.st_dev && one.st_ino == other.st_ino)
			return true;
	}
	return false;
}

static int add_root(struct cli *cli, struct node *node, const char *path, struct err *err)
{
	struct node_root *root = &node->roots[node->len];
	uid_t reader;

	if (node->len == ROOTS_MAX || reader_of(path, &reader) < 0 || is_known(node, path, reader))
		return 0;
	root->path = strdup(path);
	if (!root->path)
		return err_sys(err, -ENOMEM, "list");
	root->reader = reader;
	root->rt = cli->runtime;
	root->rt.root = root->path;
	node->len++;
	return read_root(root, &node->users_ms, err);
}

static int add_found(struct cli *cli, struct node *node, const char *path, struct err *err)
{
	AUTO_FREE char *below = NULL;

	if (!str_after(path, USERS))
		return add_root(cli, node, path, err);
	if (str_printf(&below, "%s/" USER_ROOT, path) < 0)
		return err_sys(err, -ENOMEM, "list");
	return add_root(cli, node, below, err);
}

static int read_node(struct cli *cli, struct node *node, struct err *err)
{
	glob_t found = { 0 };
	int r = 0;

	for (size_t i = 0; r == 0 && i < ARRAY_LEN(patterns); i++)
		r = glob(patterns[i], i ? GLOB_APPEND : 0, NULL, &found) == GLOB_NOSPACE ? -ENOMEM
											 : 0;
	node->roots = calloc(ROOTS_MAX, sizeof(*node->roots));
	if (r < 0 || !node->roots) {
		globfree(&found);
		return err_sys(err, -ENOMEM, "list");
	}
	r = add_root(cli, node, cli->runtime.root, err);
	for (size_t i = 0; r == 0 && i < found.gl_pathc; i++)
		r = add_found(cli, node, found.gl_pathv[i], err);
	globfree(&found);
	return r;
}

/* Call `each` for the containers that are to be shown. */
static int each_container(const struct node *node,
			  int (*each)(void *arg, const struct node_root *root,
				      const struct container *c),
			  void *arg)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < node->len; i++) {
		for (size_t n = 0; r == 0 && n < node->roots[i].len; n++) {
			const struct container *c = node->roots[i].list[n];

			if (!node->live || c->status != OCI_STOPPED)
				r = each(arg, &node->roots[i], c);
		}
	}
	return r;
}

struct visit {
	node_fn *fn;
	void *arg;
};

static int visit_one(void *arg, const struct node_root *root, const struct container *c)
{
	const struct visit *v = arg;

	return v->fn(v->arg, &root->rt, c, root->reader != 0);
}

int node_each(struct cli *cli, int64_t users_ms, node_fn *fn, void *arg, struct err *err)
{
	AUTO(node_done) struct node node = { .users_ms = users_ms };
	struct visit v = { fn, arg };
	const int r = read_node(cli, &node, err);

	return r < 0 ? r : each_container(&node, visit_one, &v);
}

/* What the printers share. */
struct printer {
	struct buf out;
	struct buf passwd;
	json_t *array;
	int widths[COLUMNS];
	bool measuring;
};

static void printer_done(struct printer *p)
{
	buf_done(&p->out);
	buf_done(&p->passwd);
	json_decref(p->array);
}

static int add_id(void *arg, const struct node_root *root, const struct container *c)
{
	struct printer *p = arg;

	return buf_printf(&p->out, "%s\n", c->id);
}

static int add_json(void *arg, const struct node_root *root, const struct container *c)
{
	struct printer *p = arg;
	char owner[OWNER_NAME_MAX];
	json_t *view;

	cli_owner_name(&p->passwd, c->owner, owner);
	view = container_view(c, owner);
	if (!view ||
	    json_object_set_new(view, "isolation", json_string(isolation_name(c->isolation))) < 0 ||
	    json_object_set_new(view, "root", json_string(root->path)) < 0) {
		json_decref(view);
		return -ENOMEM;
	}
	return json_array_append_new(p->array, view) < 0 ? -ENOMEM : 0;
}

/* Cells are others' words, and this goes to a terminal. */
static void blank_controls(struct buf *out, size_t from)
{
	for (size_t i = from; i < out->len; i++) {
		if (out->data[i] < ' ' || out->data[i] > '~')
			out->data[i] = '?';
	}
}

/* A row: its widths in the first pass, itself in the second. */
static int add_cells(struct printer *p, const char *const cells[COLUMNS])
{
	const size_t start = p->out.len;

	for (size_t i = 0; i < COLUMNS; i++) {
		const int width = (int)strlen(cells[i]) + COLUMN_GAP;

		if (p->measuring)
			p->widths[i] = width > p->widths[i] ? width : p->widths[i];
		else if (i + 1 < COLUMNS)
			buf_printf(&p->out, "%-*s", p->widths[i], cells[i]);
		else
			buf_puts(&p->out, cells[i]);
	}
	blank_controls(&p->out, start);
	if (!p->measuring)
		buf_puts(&p->out, "\n");
	return buf_error(&p->out);
}

static int add_row(void *arg, const struct node_root *root, const struct container *c)
{
	struct printer *p = arg;
	char pid[PID_TEXT_MAX], owner[OWNER_NAME_MAX];
	const char *const cells[COLUMNS] = { c->id,
					     isolation_name(c->isolation),
					     pid,
					     oci_status_name(c->status),
					     c->created ? c->created : "",
					     owner,
					     root->path };

	(void)snprintf(pid, sizeof(pid), "%d", c->status == OCI_STOPPED ? 0 : c->pid);
	cli_owner_name(&p->passwd, c->owner, owner);
	return add_cells(p, cells);
}

static int fill_table(const struct node *node, struct printer *p)
{
	static const char *const header[COLUMNS] = { "ID",	"CLASS", "PID", "STATUS",
						     "CREATED", "OWNER", "ROOT" };
	int r = 0;

	for (int pass = 0; r == 0 && pass < 2; pass++) {
		p->measuring = pass == 0;
		r = add_cells(p, header);
		if (r == 0)
			r = each_container(node, add_row, p);
	}
	return r;
}

int node_view_print(struct cli *cli, bool live, enum node_view_format format, struct err *err)
{
	AUTO(node_done) struct node node = { .live = live, .users_ms = USERS_MS };
	AUTO(printer_done) struct printer p = { .array = json_array() };
	int r = p.array ? read_node(cli, &node, err) : err_sys(err, -ENOMEM, "list");

	if (r < 0)
		return r;
	(void)fd_read_file(AT_FDCWD, "/etc/passwd", &p.passwd); /* without it: "#uid" */
	if (format == NODE_VIEW_TABLE)
		r = fill_table(&node, &p);
	else
		r = each_container(&node, format == NODE_VIEW_JSON ? add_json : add_id, &p);
	if (r < 0)
		return err_sys(err, r, "list");
	return format == NODE_VIEW_JSON ? out_json(p.array, 0, err) : out_flush(&p.out, err);
}
