/* SPDX-License-Identifier: Apache-2.0 */
/* cli/list.c - list. */
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "base/fd.h"
#include "base/str.h"
#include "cli/cli.h"
#include "cli/node_view.h"
#include "cli/verbs.h"

struct list_options {
	const char *format;
	bool quiet, all_roots;
};

#define FIELD(member) offsetof(struct list_options, member)

static const struct option table[] = {
	{ "format", "table or json (default: table)", "FORMAT", FIELD(format), OPTION_STRING, 'f' },
	{ "quiet", "print only the ids", NULL, FIELD(quiet), OPTION_FLAG, 'q' },
	{ "all-roots", "every container of this node: those of engines and users, too", NULL,
	  FIELD(all_roots), OPTION_FLAG, 'A' },
	{ 0 },
};

/* Go's tabwriter as runc sets it up: at least 12 wide, 3 blanks between columns. */
#define COLUMNS	   6
#define COLUMN_MIN 12
#define COLUMN_GAP 3

static int print_json(struct container **list, size_t len, const struct buf *passwd,
		      struct err *err)
{
	AUTO_JSON json_t *array = json_array();

	for (size_t i = 0; i < len; i++) {
		char owner[OWNER_NAME_MAX];

		cli_owner_name(passwd, list[i]->owner, owner);
		if (json_array_append_new(array, container_view(list[i], owner)) < 0)
			return err_sys(err, -ENOMEM, "list");
	}
	return out_json(array, 0, err);
}

/* One row; widths hold what every column but the last is padded to. */
static void add_row(struct buf *out, const char *const cells[COLUMNS], const int widths[COLUMNS])
{
	for (size_t i = 0; i < COLUMNS - 1; i++)
		buf_printf(out, "%-*s", widths[i], cells[i]);
	buf_printf(out, "%s\n", cells[COLUMNS - 1]);
}

struct row {
	char pid[16];
	char owner[OWNER_NAME_MAX];
};

static void fill_cells(const struct container *c, const struct row *row, const char *cells[COLUMNS])
{
	cells[0] = c->id;
	cells[1] = row->pid;
	cells[2] = oci_status_name(c->status);
	cells[3] = c->bundle;
	cells[4] = c->created ? c->created : "";
	cells[5] = row->owner;
}

static int print_table(struct container **list, size_t len, const struct buf *passwd,
		       struct err *err)
{
	static const char *const header[COLUMNS] = { "ID",     "PID",	  "STATUS",
						     "BUNDLE", "CREATED", "OWNER" };
	AUTO_FREE struct row *rows = calloc(len + 1, sizeof(*rows));
	AUTO_BUF struct buf out = { 0 };
	const char *cells[COLUMNS];
	int widths[COLUMNS];

	if (!rows)
		return err_sys(err, -ENOMEM, "list");
	for (size_t i = 0; i < COLUMNS; i++)
		widths[i] = COLUMN_MIN;
	for (size_t n = 0; n < len; n++) {
		const int pid = list[n]->status == OCI_STOPPED ? 0 : list[n]->pid;

		(void)snprintf(rows[n].pid, sizeof(rows[n].pid), "%d", pid);
		cli_owner_name(passwd, list[n]->owner, rows[n].owner);
		fill_cells(list[n], &rows[n], cells);
		for (size_t i = 0; i < COLUMNS; i++) {
			const int width = (int)strlen(cells[i]) + COLUMN_GAP;

			if (width > widths[i])
				widths[i] = width;
		}
	}
	add_row(&out, header, widths);
	for (size_t n = 0; n < len; n++) {
		fill_cells(list[n], &rows[n], cells);
		add_row(&out, cells, widths);
	}
	return out_flush(&out, err);
}

static int print_ids(struct container **list, size_t len, struct err *err)
{
	AUTO_BUF struct buf out = { 0 };

	for (size_t i = 0; i < len; i++)
		buf_printf(&out, "%s\n", list[i]->id);
	return out_flush(&out, err);
}

static int run_list(struct cli *cli, const void *options, const struct option_args *args,
		    struct err *err)
{
	const struct list_options *o = options;
	const bool json = str_eq(o->format, "json");
	AUTO_BUF struct buf passwd = { 0 };
	struct container **list = NULL;
	size_t len = 0;
	int r;

	if (o->format && !json && !str_eq(o->format, "table"))
		return err_set(err, -EINVAL, "invalid format option");
	if (o->all_roots)
		return node_view_print(cli, false,
				       o->quiet ? NODE_VIEW_IDS
				       : json	? NODE_VIEW_JSON
						: NODE_VIEW_TABLE,
				       err);
	r = container_list(&cli->runtime, &list, &len, err);
	if (r < 0)
		return r;
	if (o->quiet) {
		r = print_ids(list, len, err);
	} else {
		(void)fd_read_file(AT_FDCWD, "/etc/passwd", &passwd); /* without it: "#uid" */
		r = json ? print_json(list, len, &passwd, err)
			 : print_table(list, len, &passwd, err);
	}
	container_list_free(list, len);
	return r;
}

const struct verb verb_list = {
	.name = "list",
	.args = "",
	.summary = "list the containers of the root directory",
	.description =
		"With --all-roots, those of all root directories of this node: the default one, "
		"those of users,\n"
		"of containerd and its namespaces and of Docker, with their class and root. What "
		"this user may\n"
		"not read is not shown.",
	.options = table,
	.run = run_list,
};
