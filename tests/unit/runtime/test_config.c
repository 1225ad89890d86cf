/* SPDX-License-Identifier: Apache-2.0 */
/* Configuration files: merging, sources, and every way to get one wrong. */
#include "lib/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/str.h"
#include "runtime/config.h"

static int merge(struct config *config, const char *text, struct err *err)
{
	memset(err, 0, sizeof(*err));
	return config_merge(config, text, strlen(text), "f.json", err);
}

static void values_and_their_lines_are_kept(void **state)
{
	struct config config = { 0 };
	struct err err;
	char source[CONFIG_SOURCE_MAX];

	assert_int_equal(
		merge(&config,
		      "{\n \"isolation\": \"vm\",\n\n \"root\": \"/x\", \"log\":\"a\\\"b\"\n}",
		      &err),
		0);
	assert_string_equal(config_text(&config, CONFIG_ISOLATION), "vm");
	assert_string_equal(config_text(&config, CONFIG_ROOT), "/x");
	assert_string_equal(config_source_text(&config.values[CONFIG_ISOLATION], source),
			    "f.json:2");
	assert_string_equal(config_source_text(&config.values[CONFIG_ROOT], source), "f.json:4");
	assert_string_equal(config_source_text(&config.values[CONFIG_LOG], source), "f.json:4");
	assert_null(config_text(&config, CONFIG_LIBEXEC));
	config_done(&config);
}

/* Braces, commas, colons and quotes inside strings and lists must not move the count. */
static void lines_survive_nasty_values(void **state)
{
	struct config config = { 0 };
	struct err err;

	assert_int_equal(
		merge(&config,
		      "{\"log\": \"{,}\\\\\\\"\",\n\"allowed_annotations\":\n[\"a\",\"b,{\"],\n"
		      "\"bogus\": 1}",
		      &err),
		-EINVAL);
	assert_string_equal(err.msg, "f.json:4: unknown key \"bogus\"");
	config_done(&config);
}

static void later_files_replace_earlier_ones_key_by_key(void **state)
{
	struct config config = { 0 };
	struct err err;

	assert_int_equal(merge(&config,
			       "{\"log\":\"a\",\"log_format\":\"json\","
			       "\"allowed_annotations\":[\"x\",\"y\"]}",
			       &err),
			 0);
	assert_int_equal(merge(&config, "{\"log\":\"b\",\"allowed_annotations\":[\"z\"]}", &err),
			 0);
	assert_string_equal(config_text(&config, CONFIG_LOG), "b");
	assert_string_equal(config_text(&config, CONFIG_LOG_FORMAT), "json");
	assert_string_equal(config.values[CONFIG_ALLOWED_ANNOTATIONS].list[0], "z");
	assert_null(config.values[CONFIG_ALLOWED_ANNOTATIONS].list[1]);
	config_done(&config);
}

static void stronger_sources_stay(void **state)
{
	struct config config = { 0 };
	struct err err = { 0 };

	assert_int_equal(config_set(&config, CONFIG_ISOLATION, "ns", CONFIG_FROM_FLAG, &err), 0);
	assert_int_equal(merge(&config, "{\"isolation\":\"vm\"}", &err), 0);
	assert_int_equal(config_set(&config, CONFIG_ISOLATION, "sentry", CONFIG_FROM_ARGV0, &err),
			 0);
	assert_string_equal(config_text(&config, CONFIG_ISOLATION), "ns");
	assert_int_equal(config.values[CONFIG_ISOLATION].source, CONFIG_FROM_FLAG);
	assert_int_equal(config_set(&config, CONFIG_ISOLATION, "vm", CONFIG_FROM_FLAG, &err), 0);
	assert_string_equal(config_text(&config, CONFIG_ISOLATION), "vm");
	config_done(&config);
}

static void what_is_wrong_is_refused_with_its_place(void **state)
{
	static const struct {
		const char *text, *says;
	} rows[] = {
		{ "", "f.json" },
		{ "[]", "f.json:1: a JSON object is expected" },
		{ "{\"root\": 1}", "f.json:1: root: a string is expected" },
		{ "{\"root\": \"relative\"}", "root: \"relative\" is not an absolute path" },
		{ "{\"libexec\": \"\"}", "libexec: \"\" is not an absolute path" },
		{ "{\n\"isolation\": \"runc\"}",
		  "f.json:2: isolation: \"runc\" is none of ns, sentry, vm" },
		{ "{\"isolation\": null}", "isolation: a string is expected" },
		{ "{\"allowed_annotations\": \"x\"}", "a list of strings is expected" },
		{ "{\"allowed_annotations\": [\"x\", 2]}", "allowed_annotations[1]" },
		{ "{\"log\": \"a\", \"log\": \"b\"}", "duplicate" },
		{ "{\"log\": \"a\"} x", "f.json:1" },
		{ "{\"log\": \"a\"", "f.json:1" },
		{ "{\"\": \"a\"}", "unknown key \"\"" },
		{ "{\"Isolation\": \"ns\"}", "unknown key \"Isolation\"" },
		{ "{\"cgroup_manager\": \"none\"}", "is none of cgroupfs, systemd, disabled" },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct config config = { 0 };
		struct err err;

		assert_int_equal(merge(&config, rows[i].text, &err), -EINVAL);
		assert_says(err, rows[i].says);
		config_done(&config);
	}
}

static void write_file(const char *path, const char *text, mode_t mode)
{
	const int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	assert_int_equal(fchmod(fd, mode), 0);
	assert_int_equal(close(fd), 0);
}

struct dir {
	char path[64];
	char file[128];
};

static int make_dir(void **state)
{
	static struct dir dir;
	char sub[160];

	strcpy(dir.path, "/tmp/caisson-config-XXXXXX");
	if (!mkdtemp(dir.path))
		return -1;
	(void)snprintf(dir.file, sizeof(dir.file), "%s/c.json", dir.path);
	(void)snprintf(sub, sizeof(sub), "%s.d", dir.file);
	*state = &dir;
	return mkdir(sub, 0755);
}

static int remove_dir(void **state)
{
	const struct dir *dir = *state;
	char command[128];

	(void)snprintf(command, sizeof(command), "rm -rf -- %s", dir->path);
	return system(command);
}

static const char *in_d(const struct dir *dir, const char *name)
{
	static char path[256];

	(void)snprintf(path, sizeof(path), "%s.d/%s", dir->file, name);
	return path;
}

static void files_of_the_directory_are_read_in_order(void **state)
{
	const struct dir *dir = *state;
	struct config config = { 0 };
	struct err err = { 0 };
	char source[CONFIG_SOURCE_MAX];

	write_file(dir->file, "{\"log\":\"main\"}", 0644);
	write_file(in_d(dir, "20.json"), "{\n\"log\":\"20\"}", 0644);
	write_file(in_d(dir, "10.json"), "{\"log\":\"10\",\"root\":\"/ten\"}", 0644);
	write_file(in_d(dir, "90.conf"), "not json", 0644);
	write_file(in_d(dir, ".hidden.json"), "not json", 0644);
	assert_int_equal(config_read_files(&config, dir->file, &err), 0);
	assert_string_equal(config_text(&config, CONFIG_LOG), "20");
	assert_string_equal(config_text(&config, CONFIG_ROOT), "/ten");
	assert_non_null(strstr(config_source_text(&config.values[CONFIG_LOG], source),
			       "c.json.d/20.json:2"));
	config_done(&config);
}

static void missing_files_are_no_error(void **state)
{
	struct config config = { 0 };
	struct err err = { 0 };

	assert_int_equal(config_read_files(&config, "/nonexistent/caisson/c.json", &err), 0);
	config_done(&config);
}

static void files_that_everybody_may_write_are_refused(void **state)
{
	const struct dir *dir = *state;
	struct config config = { 0 };
	struct err err = { 0 };

	write_file(dir->file, "{}", 0646);
	assert_int_equal(config_read_files(&config, dir->file, &err), -EPERM);
	assert_says(err, "everybody may write it");
	write_file(dir->file, "{}", 0644);
	write_file(in_d(dir, "a.json"), "{}", 0666);
	assert_int_equal(config_read_files(&config, dir->file, &err), -EPERM);
	assert_says(err, "a.json");
	config_done(&config);
}

static void large_and_odd_files_are_refused(void **state)
{
	const struct dir *dir = *state;
	struct config config = { 0 };
	struct err err = { 0 };
	char *text = malloc(CONFIG_FILE_MAX + 2);

	assert_non_null(text);
	memset(text, ' ', CONFIG_FILE_MAX + 1);
	text[CONFIG_FILE_MAX + 1] = '\0';
	write_file(dir->file, text, 0644);
	assert_int_equal(config_read_files(&config, dir->file, &err), -E2BIG);
	free(text);
	assert_int_equal(unlink(dir->file), 0);
	/* A pipe must not hang the reader. */
	assert_int_equal(mkfifo(dir->file, 0600), 0);
	assert_int_equal(config_read_files(&config, dir->file, &err), -EINVAL);
	assert_says(err, "is not a regular file");
	config_done(&config);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values_and_their_lines_are_kept),
		cmocka_unit_test(lines_survive_nasty_values),
		cmocka_unit_test(later_files_replace_earlier_ones_key_by_key),
		cmocka_unit_test(stronger_sources_stay),
		cmocka_unit_test(what_is_wrong_is_refused_with_its_place),
		cmocka_unit_test_setup_teardown(files_of_the_directory_are_read_in_order, make_dir,
						remove_dir),
		cmocka_unit_test(missing_files_are_no_error),
		cmocka_unit_test_setup_teardown(files_that_everybody_may_write_are_refused,
						make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(large_and_odd_files_are_refused, make_dir,
						remove_dir),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
