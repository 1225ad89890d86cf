/* SPDX-License-Identifier: Apache-2.0 */
/* cli/output.c - what verbs print, and the loading they share. */
#include <errno.h>
#include <regex.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/str.h"
#include "cli/cli.h"
#include "cli/version.h"
#include "host/seccomp.h"

int out_flush(const struct buf *out, struct err *err)
{
	int r = buf_error(out);

	if (r == 0 && out->len > 0)
		r = fd_write_all(STDOUT_FILENO, out->data, out->len);
	return r < 0 ? err_sys(err, r, "write to standard output") : 0;
}

static int append_dump(const char *bytes, size_t len, void *arg)
{
	return buf_append(arg, bytes, len) < 0 ? -1 : 0;
}

int out_json(const json_t *value, size_t indent, struct err *err)
{
	AUTO_BUF struct buf out = { 0 };
	const size_t flags = indent ? JSON_INDENT(indent) : JSON_COMPACT;

	if (!value || json_dump_callback(value, append_dump, &out, flags | JSON_ENCODE_ANY) < 0)
		return err_sys(err, -ENOMEM, "print JSON");
	buf_puts(&out, "\n");
	return out_flush(&out, err);
}

void version_text(struct buf *out)
{
	char library[32];

	buf_puts(out, "caisson version " CAISSON_VERSION "\ncommit: " CAISSON_COMMIT
		      "\nspec: " CAISSON_SPEC_VERSION "\n");
	buf_printf(out, "libseccomp: %s\n", seccomp_library_version(library));
}

int cli_load(struct cli *cli, const struct option_args *args, bool lock, struct container **ret,
	     struct err *err)
{
	return container_load(&cli->runtime, args->items[0], lock, ret, err);
}

json_t *container_view(const struct container *c, const char *owner)
{
	AUTO_JSON json_t *view =
		json_pack("{s:s, s:s, s:i, s:s, s:s, s:s, s:s}", "ociVersion",
			  c->oci_version ? c->oci_version : CAISSON_SPEC_VERSION, "id", c->id,
			  "pid", (int)(c->status == OCI_STOPPED ? 0 : c->pid), "status",
			  oci_status_name(c->status), "bundle", c->bundle, "rootfs",
			  c->rootfs ? c->rootfs : "", "created", c->created ? c->created : "");

	if (!view)
		return NULL;
	if (json_object_size(c->annotations) > 0 &&
	    json_object_set(view, "annotations", c->annotations) < 0)
		return NULL;
	if (c->accelerator &&
	    json_object_set_new(view, "accelerator", json_string(c->accelerator)) < 0)
		return NULL;
	if (json_object_set_new(view, "owner", json_string(owner)) < 0)
		return NULL;
	return TAKE_PTR(view);
}

void cli_owner_name(const struct buf *passwd, uid_t uid, char name[static OWNER_NAME_MAX])
{
	char wanted[16];
	const int wanted_len = snprintf(wanted, sizeof(wanted), ":%u:", uid);
	const char *line = passwd->data;

	while (line && *line) {
		const char *end = strchrnul(line, '\n');
		const char *colon = memchr(line, ':', (size_t)(end - line));
		const char *second =
			colon ? memchr(colon + 1, ':', (size_t)(end - colon - 1)) : NULL;

		if (second && end - second > wanted_len &&
		    memcmp(second, wanted, (size_t)wanted_len) == 0) {
			(void)snprintf(name, OWNER_NAME_MAX, "%.*s", (int)(colon - line), line);
			return;
		}
		line = *end ? end + 1 : NULL;
	}
	(void)snprintf(name, OWNER_NAME_MAX, "#%u", uid);
}

int cli_each_match(struct cli *cli, const char *pattern,
		   int (*each)(struct cli *cli, const char *id, void *arg, struct err *err),
		   void *arg, struct err *err)
{
	struct container **list = NULL;
	size_t len = 0;
	regex_t regex;
	int r;

	r = regcomp(&regex, pattern, REG_EXTENDED | REG_NOSUB);
	if (r != 0) {
		char reason[128];

		(void)regerror(r, &regex, reason, sizeof(reason));
		return err_set(err, -EINVAL, "invalid regular expression \"%s\": %s", pattern,
			       reason);
	}
	r = container_list(&cli->runtime, &list, &len, err);
	for (size_t i = 0; r >= 0 && i < len; i++) {
		if (regexec(&regex, list[i]->id, 0, NULL, 0) == 0)
			r = each(cli, list[i]->id, arg, err);
	}
	container_list_free(list, len);
	regfree(&regex);
	return r < 0 ? r : 0;
}
