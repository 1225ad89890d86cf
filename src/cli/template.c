/* SPDX-License-Identifier: Apache-2.0 */
/* cli/template.c - template: machines of class vm that were booted once, for starts to go on from.
 */
#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/str.h"
#include "cli/cli.h"
#include "cli/verbs.h"
#include "hypervisor/machine.h"
#include "runtime/vm/template.h"

struct template_options {
	const char *format;
	const char *memory;
	unsigned int cpus;
	bool all;
};

#define FIELD(member) offsetof(struct template_options, member)

static const struct option table[] = {
	{ "format", "table or json (default: table)", "FORMAT", FIELD(format), OPTION_STRING, 'f' },
	{ "memory", "create, status: memory of the machine, instead of vm.memory", "SIZE",
	  FIELD(memory), OPTION_STRING, 0 },
	{ "cpus", "create, status: virtual CPUs, instead of vm.cpus", "COUNT", FIELD(cpus),
	  OPTION_UINT, 0 },
	{ "all", "remove: every template", NULL, FIELD(all), OPTION_FLAG, 'a' },
	{ 0 },
};

#define MIB 1048576.0

static const char *state_word(enum template_state state)
{
	static const char *const words[] = {
		[TEMPLATE_READY] = "ready", [TEMPLATE_SILENT] = "silent", [TEMPLATE_STALE] = "stale"
	};

	return words[state];
}

static const char *created(const struct template_info *info, char text[static CLOCK_TEXT_MAX])
{
	const struct timespec when = { .tv_sec = info->created_ns / 1000000000,
				       .tv_nsec = info->created_ns % 1000000000 };

	return info->created_ns > 0 ? clock_rfc3339(&when, false, text) : "";
}

static json_t *view(const struct template_info *info)
{
	char text[CLOCK_TEXT_MAX];

	return json_pack("{s:s, s:s, s:i, s:I, s:I, s:I, s:s}", "key", info->hash, "state",
			 state_word(info->state), "pid", (int)info->pid, "memory",
			 (json_int_t)info->memory, "resident", (json_int_t)info->resident,
			 "deviceState", (json_int_t)info->device_state, "created",
			 created(info, text));
}

static int take_wish(const struct template_options *o, struct template_wish *ret, struct err *err)
{
	*ret = (struct template_wish){ .cpus = o->cpus };
	if (!o->memory)
		return 0;
	if (str_to_size(o->memory, &ret->memory) < 0 || ret->memory < MACHINE_MEMORY_MIN ||
	    ret->memory > MACHINE_MEMORY_MAX)
		return err_set(err, -EINVAL, "--memory \"%.64s\" is not a size in its range",
			       o->memory);
	return 0;
}

/* ---- create ---- */

static int create(struct cli *cli, const struct template_options *o, struct err *err)
{
	AUTO_BUF struct buf out = { 0 };
	char hash[TEMPLATE_HASH] = "";
	struct template_wish wish;
	bool made = false;
	int r = take_wish(o, &wish, err);

	if (r == 0)
		r = template_make(&cli->runtime, &wish, hash, &made, err);
	if (r < 0)
		return r;
	if (str_eq(o->format, "json")) {
		AUTO_JSON json_t *document = json_pack("{s:s, s:b}", "key", hash, "made", made);

		return out_json(document, 0, err);
	}
	(void)buf_printf(&out, "%s\n", hash);
	return out_flush(&out, err);
}

/* ---- list ---- */

static int print_table(const struct template_info *list, size_t len, struct err *err)
{
	AUTO_BUF struct buf out = { 0 };
	char text[CLOCK_TEXT_MAX];

	(void)buf_printf(&out, "%-19s%-10s%-10s%-13s%-13s%s\n", "KEY", "STATE", "PID", "MEMORY",
			 "RESIDENT", "CREATED");
	for (size_t i = 0; i < len; i++)
		(void)buf_printf(&out, "%-19s%-10s%-10d%8.1f MiB %8.1f MiB %s\n", list[i].hash,
				 state_word(list[i].state), (int)list[i].pid,
				 (double)list[i].memory / MIB, (double)list[i].resident / MIB,
				 created(&list[i], text));
	return out_flush(&out, err);
}

static int print_json(const struct template_info *list, size_t len, struct err *err)
{
	AUTO_JSON json_t *array = json_array();

	for (size_t i = 0; i < len; i++) {
		if (json_array_append_new(array, view(&list[i])) < 0)
			return err_sys(err, -ENOMEM, "template list");
	}
	return out_json(array, 0, err);
}

static int list_all(struct cli *cli, const struct template_options *o, struct err *err)
{
	struct template_info *list = NULL;
	size_t len = 0;
	int r = template_list(&cli->runtime, &list, &len, err);

	if (r == 0)
		r = str_eq(o->format, "json") ? print_json(list, len, err)
					      : print_table(list, len, err);
	template_list_free(list, len);
	return r;
}

/* ---- remove ---- */

static int remove_some(struct cli *cli, const struct template_options *o,
		       const struct option_args *args, struct err *err)
{
	size_t removed;
	int r = 0;

	if (o->all == (args->len > 1))
		return err_set(err, -EINVAL, "template remove: either keys or --all");
	if (o->all)
		return template_remove(&cli->runtime, NULL, &removed, err);
	for (size_t i = 1; r == 0 && i < args->len; i++)
		r = template_remove(&cli->runtime, args->items[i], &removed, err);
	return r;
}

/* ---- status ---- */

static int print_status(struct cli *cli, const struct template_options *o, const char *hash,
			const struct template_info *info, struct err *err)
{
	const char *on = cli->runtime.vm.templates;
	AUTO_BUF struct buf out = { 0 };
	char dir[PATH_MAX];
	int r = template_dir(&cli->runtime, dir, err);

	if (r < 0)
		return r;
	if (str_eq(o->format, "json")) {
		AUTO_JSON json_t *document =
			json_pack("{s:s, s:s, s:s, s:o}", "templates", on, "directory", dir, "key",
				  hash, "template", info ? view(info) : json_null());

		return out_json(document, 0, err);
	}
	(void)buf_printf(&out, "vm.templates  %s\ndirectory     %s\nkey           %s\n", on, dir,
			 hash);
	if (!info)
		(void)buf_puts(&out, "template      none: a start boots its machine\n");
	else
		(void)buf_printf(&out,
				 "template      %s, process %d, %.1f MiB of %.1f MiB resident\n",
				 state_word(info->state), (int)info->pid,
				 (double)info->resident / MIB, (double)info->memory / MIB);
	if (info && info->text)
		(void)buf_printf(&out, "\n%s", info->text);
	return out_flush(&out, err);
}

static int status(struct cli *cli, const struct template_options *o, struct err *err)
{
	const struct template_info *found = NULL;
	struct template_info *list = NULL;
	char hash[TEMPLATE_HASH] = "";
	struct template_wish wish;
	size_t len = 0;
	int r = take_wish(o, &wish, err);

	if (r == 0)
		r = template_wanted(&cli->runtime, &wish, hash, err);
	if (r == 0)
		r = template_list(&cli->runtime, &list, &len, err);
	for (size_t i = 0; r == 0 && i < len; i++) {
		if (str_eq(list[i].hash, hash))
			found = &list[i];
	}
	if (r == 0)
		r = print_status(cli, o, hash, found, err);
	template_list_free(list, len);
	return r;
}

static int run_template(struct cli *cli, const void *options, const struct option_args *args,
			struct err *err)
{
	const struct template_options *o = options;
	const char *what = args->items[0];
	const bool sized = o->memory || o->cpus;

	if (o->format && !str_eq(o->format, "json") && !str_eq(o->format, "table"))
		return err_set(err, -EINVAL, "invalid format option");
	if (o->all && !str_eq(what, "remove"))
		return err_set(err, -EINVAL, "--all is for template remove");
	if (str_eq(what, "remove") && !sized)
		return remove_some(cli, o, args, err);
	if (args->len > 1)
		return err_set(err, -EINVAL, "template %s takes no argument", what);
	if (str_eq(what, "create"))
		return create(cli, o, err);
	if (str_eq(what, "status"))
		return status(cli, o, err);
	if (sized)
		return err_set(err, -EINVAL,
			       "--memory and --cpus are for template create and "
			       "template status");
	if (str_eq(what, "list"))
		return list_all(cli, o, err);
	return err_set(err, -EINVAL, "template: \"%.64s\" is none of create, list, remove, status",
		       what);
}

const struct verb verb_template = {
	.name = "template",
	.args = "create|list|remove|status [key...]",
	.summary = "keep machines of class vm that starts go on from",
	.description = "\"create\" boots a machine with the settings of the configuration "
		       "(caisson.json(5): vm.kernel,\n"
		       "vm.image, vm.qemu, vm.memory, vm.cpus), saves it, leaves it with a process "
		       "that holds it\n"
		       "(caisson-template, in a cgroup of its own) and prints its key. It lives "
		       "until \"remove\", or the\n"
		       "host's end. With vm.templates \"on\" a start whose machine has the same "
		       "kernel, image, QEMU,\n"
		       "memory and CPUs goes on from it; without one, or after a change of a file, "
		       "it boots.\n"
		       "\"list\" shows all, and removes what is left of those whose process has "
		       "died; \"remove\" ends\n"
		       "those that are named, and containers that came from them go on; \"status\" "
		       "says whether starts\n"
		       "use templates and which one a start would take. Only root makes templates.",
	.options = table,
	.min_args = 1,
	.max_args = VERB_ARGS_ANY,
	.run = run_template,
};
