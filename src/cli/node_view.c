/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli/node_view.c - the containers of all roots.
 *
 * A root that belongs to another user is read with that user's rights: what lies there was written
 * by somebody whom root does not trust.
 */
#include "cli/node_view.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/str.h"

/* Where engines and users keep containers; a directory may be another runtime's. */
static const char *const patterns[] = {
	"/run/caisson",		     /* the default, Podman, CRI-O */
	"/run/user/*/caisson",	     /* without root */
	"/run/containerd/caisson/*", /* our shim, by namespace of containerd */
	"/run/containerd/runc/*",    /* containerd's runc shim */
	"/run/docker/runtime-*/*",   /* dockerd: the runtime, the namespace */
};

#define ROOTS_MAX    4096
#define COLUMNS	     7
#define COLUMN_GAP   3
#define PID_TEXT_MAX 16

/* The containers of one root. */
struct node_root {
	char *path;
	struct runtime rt; /* what they point to */
	struct container **list;
	size_t len;
};

struct node {
	struct node_root *roots;
	size_t len;
	bool live;
};

static void node_done(struct node *node)
{
	for (size_t i = 0; i < node->len; i++) {
		container_list_free(node->roots[i].list, node->roots[i].len);
		free(node->roots[i].path);
	}
	free(node->roots);
}

/* With the rights of the directory's owner; another runtime's directories are no news. */
static int read_root(struct node_root *root, struct err *err)
{
	const enum log_level level = log_level();
	const uid_t uid = geteuid();
	const gid_t gid = getegid();
	struct stat st;
	bool other;
	int r;

	if (stat(root->path, &st) < 0 || !S_ISDIR(st.st_mode))
		return 0;
	other = uid == 0 && st.st_uid != 0;
	if (other && (setegid(st.st_gid) < 0 || seteuid(st.st_uid) < 0))
		return setegid(gid) < 0 ? err_sys(err, -errno, "become group %u again", gid) : 0;
	log_setup(log_fd(), log_is_json(), LOG_LEVEL_ERROR);
	r = container_list(&root->rt, &root->list, &root->len, err);
	log_setup(log_fd(), log_is_json(), level);
	if (other && (seteuid(uid) < 0 || setegid(gid) < 0))
		return err_sys(err, -errno, "become user %u again", uid);
	/* What this user may not look at is not shown. */
	return r == -ENOMEM ? r : 0;
}

static bool is_known(const struct node *node, const char *path)
{
	struct stat one, other;

	if (stat(path, &one) < 0)
		return true;
	for (size_t i = 0; i < node->len; i++) {
		if (stat(node->roots[i].path, &other) == 0 && one.st_dev == other.st_dev &&
		    one.st_ino == other.st_ino)
			return true;
	}
	return false;
}

static int add_root(struct cli *cli, struct node *node, const char *path, struct err *err)
{
	struct node_root *root = &node->roots[node->len];

	if (node->len == ROOTS_MAX || is_known(node, path))
		return 0;
	root->path = strdup(path);
	if (!root->path)
		return err_sys(err, -ENOMEM, "list");
	root->rt = cli->runtime;
	root->rt.root = root->path;
	node->len++;
	return read_root(root, err);
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
		r = add_root(cli, node, found.gl_pathv[i], err);
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

/* A row: its widths in the first pass, itself in the second. */
static int add_cells(struct printer *p, const char *const cells[COLUMNS])
{
	for (size_t i = 0; i < COLUMNS; i++) {
		const int width = (int)strlen(cells[i]) + COLUMN_GAP;

		if (p->measuring)
			p->widths[i] = width > p->widths[i] ? width : p->widths[i];
		else if (i + 1 < COLUMNS)
			buf_printf(&p->out, "%-*s", p->widths[i], cells[i]);
		else
			buf_printf(&p->out, "%s\n", cells[i]);
	}
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
	AUTO(node_done) struct node node = { .live = live };
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
