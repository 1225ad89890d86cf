/* SPDX-License-Identifier: Apache-2.0 */
/* cli/show_config.c - config: the effective settings and where each came from. */
#include <errno.h>
#include <stddef.h>

#include "base/str.h"
#include "cli/cli.h"
#include "cli/verbs.h"

struct config_options {
	bool json;
};

static const struct option table[] = {
	{ "json", "print JSON", NULL, offsetof(struct config_options, json), OPTION_FLAG, 0 },
	{ 0 },
};

/* A list as JSON array, a text as string, nothing as null. */
static json_t *value_json(const struct config_value *value)
{
	json_t *array;

	if (!value->list)
		return value->text ? json_string(value->text) : json_null();
	array = json_array();
	for (char *const *item = value->list; *item; item++) {
		if (json_array_append_new(array, json_string(*item)) < 0) {
			json_decref(array);
			return NULL;
		}
	}
	return array;
}

json_t *config_document(const struct config *config)
{
	AUTO_JSON json_t *root = json_object();

	for (int key = 0; key < CONFIG_KEYS; key++) {
		const struct config_value *value = &config->values[key];
		char source[CONFIG_SOURCE_MAX];

		if (json_object_set_new(root, config_key_name((enum config_key)key),
					json_pack("{s:o, s:s}", "value", value_json(value),
						  "source", config_source_text(value, source))) < 0)
			return NULL;
	}
	return TAKE_PTR(root);
}

static int print_text(const struct config *config, struct err *err)
{
	AUTO_BUF struct buf out = { 0 };

	for (int key = 0; key < CONFIG_KEYS; key++) {
		const struct config_value *value = &config->values[key];
		AUTO_JSON json_t *json = value_json(value);
		AUTO_FREE char *list = value->list && json ? json_text(json, JSON_COMPACT) : NULL;
		char source[CONFIG_SOURCE_MAX];
		const char *text = value->text ? value->text : "-";

		buf_printf(&out, "%-20s %-40s %s\n", config_key_name((enum config_key)key),
			   list ? list : text, config_source_text(value, source));
	}
	return out_flush(&out, err);
}

static int run_config(struct cli *cli, const void *options, const struct option_args *args,
		      struct err *err)
{
	const struct config_options *o = options;
	AUTO_JSON json_t *root = NULL;

	if (!o->json)
		return print_text(&cli->config, err);
	root = config_document(&cli->config);
	return out_json(root, 2, err);
}

const struct verb verb_config = {
	.name = "config",
	.args = "",
	.summary = "show the effective configuration and where each value came from",
	.description = "Sources are a flag, the name of the program (caisson-ns, caisson-sentry, "
		       "caisson-vm), a\n"
		       "file with its line (" CONFIG_FILE " and\n" CONFIG_FILE
		       ".d/*.json) and the built-in default.",
	.options = table,
	.run = run_config,
};
