/* SPDX-License-Identifier: Apache-2.0 */
/* The program as a whole: what it prints where, and its exit codes, without any container. */
#include "lib/unit.h"

#include <fcntl.h>
#include <regex.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fd.h"
#include "base/json.h"
#include "cli/cli.h"

struct result {
	int status;
	struct buf out, err;
};

static char root_dir[] = "/tmp/caisson-cli-XXXXXX";
static char log_path[64];

/* The program in a child process, its streams in files. */
static void run_program(struct result *res, const char *const *words)
{
	char out_path[64], err_path[64];
	int argc = 0;
	int status;
	pid_t pid;

	memset(res, 0, sizeof(*res));
	(void)snprintf(out_path, sizeof(out_path), "%s/out", root_dir);
	(void)snprintf(err_path, sizeof(err_path), "%s/err", root_dir);
	while (words[argc])
		argc++;
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		const int out = open(out_path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
		const int err = open(err_path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

		(void)dup2(out, STDOUT_FILENO);
		(void)dup2(err, STDERR_FILENO);
		_exit(cli_main(argc, (char **)words));
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	res->status = WEXITSTATUS(status);
	assert_int_equal(fd_read_file(AT_FDCWD, out_path, &res->out), 0);
	assert_int_equal(fd_read_file(AT_FDCWD, err_path, &res->err), 0);
	buf_puts(&res->out, "");
	buf_puts(&res->err, "");
}
#define RUN(res, ...) run_program(res, (const char *const[]){ __VA_ARGS__, NULL })
/* With a root directory of our own and no configuration of the host's. */
#define CAISSON(res, ...) RUN(res, "caisson", "--root", root_dir, __VA_ARGS__)

static void done(struct result *res)
{
	buf_done(&res->out);
	buf_done(&res->err);
}

static void assert_matches(const char *text, const char *pattern)
{
	regex_t regex;
	int r;

	assert_int_equal(regcomp(&regex, pattern, REG_EXTENDED | REG_NOSUB), 0);
	r = regexec(&regex, text, 0, NULL, 0);
	regfree(&regex);
	if (r != 0)
		fail_msg("\"%s\" does not match %s", text, pattern);
}

static void the_version_has_the_form_that_engines_parse(void **state)
{
	static const char *const spellings[] = { "--version", "-v", "-version" };

	for (size_t i = 0; i < 3; i++) {
		struct result res;

		RUN(&res, "caisson", spellings[i]);
		assert_int_equal(res.status, 0);
		assert_matches(res.out.data, "^caisson version [0-9]+\\.[0-9]+\\.[0-9]+\n"
					     "commit: [^ \n]+\nspec: 1\\.3\\.0\n"
					     "libseccomp: [0-9]+\\.[0-9]+\\.[0-9]+\n$");
		assert_string_equal(res.err.data, "");
		done(&res);
	}
}

static void no_arguments_and_help_print_help(void **state)
{
	static const char *const rows[][4] = {
		{ "caisson" }, { "caisson", "--help" }, { "caisson", "-h" }, { "caisson", "help" }
	};

	for (size_t i = 0; i < 4; i++) {
		struct result res;

		run_program(&res, rows[i]);
		assert_int_equal(res.status, 0);
		assert_non_null(strstr(res.out.data, "COMMANDS:"));
		for (const struct verb *const *v = verb_table; *v; v++)
			assert_non_null(strstr(res.out.data, (*v)->summary));
		assert_string_equal(res.err.data, "");
		done(&res);
	}
}

static void each_verb_has_help_with_its_options(void **state)
{
	for (const struct verb *const *v = verb_table; *v; v++) {
		struct result res, again;

		RUN(&res, "caisson", (*v)->name, "--help");
		assert_int_equal(res.status, 0);
		for (const struct option *o = (*v)->options; o->name; o++)
			assert_non_null(strstr(res.out.data, o->help));
		RUN(&again, "caisson", "help", (*v)->name);
		assert_string_equal(res.out.data, again.out.data);
		done(&res);
		done(&again);
	}
}

static void tables_are_sound(void **state)
{
	for (const struct verb *const *v = verb_table; *v; v++) {
		for (const struct option *o = (*v)->options; o->name; o++) {
			assert_true(strlen(o->name) > 1);
			assert_non_null(o->help);
			assert_true(o->offset < VERB_OPTIONS_MAX);
			/* Flags have no argument, the others have one. */
			assert_int_equal(o->kind == OPTION_FLAG || o->kind == OPTION_IGNORED_FLAG,
					 o->arg == NULL);
			for (const struct option *p = o + 1; p->name; p++) {
				assert_string_not_equal(o->name, p->name);
				assert_true(!o->short_name || o->short_name != p->short_name);
			}
		}
	}
}

static void an_unknown_verb_exits_3(void **state)
{
	struct result res;

	RUN(&res, "caisson", "nosuch");
	assert_int_equal(res.status, 3);
	assert_string_equal(res.out.data, "");
	assert_matches(res.err.data,
		       "^time=\"[^\"]+\" level=error msg=\"No help topic for 'nosuch'\"\n$");
	done(&res);
}

static void an_unknown_flag_exits_1_with_usage(void **state)
{
	struct result res;

	RUN(&res, "caisson", "exec", "-nosuch", "id", "ls");
	assert_int_equal(res.status, 1);
	assert_matches(res.out.data, "^Incorrect Usage: flag provided but not defined: "
				     "-nosuch\n\nNAME:\n   caisson exec");
	assert_matches(res.err.data, "msg=\"flag provided but not defined: -nosuch\"");
	done(&res);
	RUN(&res, "caisson", "--nosuch", "list");
	assert_int_equal(res.status, 1);
	assert_matches(res.out.data, "^Incorrect Usage: flag provided but not defined: -nosuch");
	done(&res);
}

static void a_wrong_number_of_arguments_says_how_many(void **state)
{
	struct result res;

	CAISSON(&res, "state");
	assert_int_equal(res.status, 1);
	assert_matches(res.out.data, "^Incorrect Usage\\.\n\nNAME:");
	assert_matches(res.err.data, "caisson: ..state.. requires exactly 1 argument\\(s\\)");
	done(&res);
	CAISSON(&res, "exec");
	assert_int_equal(res.status, 1);
	assert_matches(res.err.data, "..exec.. requires a minimum of 1 argument\\(s\\)");
	done(&res);
}

static void errors_about_missing_containers_are_runcs(void **state)
{
	static const char *const verbs[] = { "state",  "start",	 "kill",   "delete", "pause",
					     "resume", "update", "events", "ps",     "wait" };
	struct result res;

	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
		CAISSON(&res, verbs[i], "nosuch");
		assert_int_equal(res.status, 1);
		assert_matches(res.err.data, "level=error msg=\"container does not exist\"\n$");
		done(&res);
	}
	CAISSON(&res, "exec", "nosuch", "ls");
	assert_int_equal(res.status, 255);
	assert_matches(res.err.data, "msg=\"exec failed: container does not exist\"");
	done(&res);
	CAISSON(&res, "delete", "--force", "nosuch");
	assert_int_equal(res.status, 0);
	done(&res);
}

static void a_json_log_gets_the_line_and_standard_error_the_sentence(void **state)
{
	AUTO_BUF struct buf log = { 0 };
	AUTO_JSON json_t *line = NULL;
	struct result res;

	CAISSON(&res, "--log", log_path, "--log-format", "json", "state", "nosuch");
	assert_int_equal(res.status, 1);
	assert_string_equal(res.err.data, "container does not exist\n");
	assert_int_equal(fd_read_file(AT_FDCWD, log_path, &log), 0);
	line = json_loads(log.data, 0, NULL);
	assert_string_equal(json_string_value(json_object_get(line, "level")), "error");
	assert_string_equal(json_string_value(json_object_get(line, "msg")),
			    "container does not exist");
	assert_matches(json_string_value(json_object_get(line, "time")), "^2[0-9]{3}-.*Z$");
	(void)unlink(log_path);
	done(&res);
}

static void bad_global_values_are_refused(void **state)
{
	static const struct {
		const char *flag, *value, *says;
	} rows[] = {
		{ "--log-format", "xml", "invalid log-format: xml" },
		{ "--log-level", "loud", "invalid log-level: loud" },
		{ "--log", "/nonexistent/dir/log", "open log file /nonexistent/dir/log" },
		{ "--log", "journald:x", "no journald on this host|^$" },
		{ "--cgroup-manager", "none", "unknown cgroup manager" },
		{ "--isolation", "runc", "ns, sentry" },
		{ "--rootless=maybe", NULL, "invalid value ..maybe.. for --rootless" },
		{ "--rootless", "maybe", "invalid value ..maybe.. for --rootless" },
		{ "--root", "", "the path is empty" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct result res;

		if (rows[i].value)
			RUN(&res, "caisson", rows[i].flag, rows[i].value, "list");
		else
			RUN(&res, "caisson", rows[i].flag, "list");
		assert_matches(res.err.data, rows[i].says);
		done(&res);
	}
}

static void list_of_nothing_is_a_header_or_an_empty_list(void **state)
{
	struct result res;

	CAISSON(&res, "list");
	assert_string_equal(res.out.data, "ID          PID         STATUS      BUNDLE      "
					  "CREATED     OWNER\n");
	done(&res);
	CAISSON(&res, "list", "--format", "json");
	assert_string_equal(res.out.data, "[]\n");
	done(&res);
	CAISSON(&res, "list", "-f", "yaml");
	assert_int_equal(res.status, 1);
	assert_matches(res.err.data, "invalid format option");
	done(&res);
}

static void the_name_of_the_program_chooses_the_class(void **state)
{
	struct result res;

	RUN(&res, "/usr/bin/caisson-vm", "config");
	assert_matches(res.out.data, "isolation +vm +the name of the program");
	done(&res);
	RUN(&res, "caisson-vm", "--isolation", "ns", "config");
	assert_matches(res.out.data, "isolation +ns +flag");
	done(&res);
	RUN(&res, "caisson-else", "config");
	assert_matches(res.out.data, "isolation +sentry +default");
	done(&res);
}

static void signals_are_judged_before_containers(void **state)
{
	struct result res;

	CAISSON(&res, "kill", "nosuch", "NOSIGNAL");
	assert_int_equal(res.status, 1);
	assert_matches(res.err.data, "unknown signal ..NOSIGNAL..");
	done(&res);
	CAISSON(&res, "kill", "--regex", "(", "KILL");
	assert_int_equal(res.status, 1);
	assert_matches(res.err.data, "invalid regular expression");
	done(&res);
	CAISSON(&res, "kill", "--regex", ".*", "KILL");
	assert_int_equal(res.status, 0);
	done(&res);
}

static json_t *member(const struct result *res, const char *a, const char *b)
{
	json_t *root = json_loads(res->out.data, JSON_REJECT_DUPLICATES, NULL);
	json_t *value = json_incref(json_object_get(json_object_get(root, a), b));

	assert_non_null(root);
	json_decref(root);
	return value;
}

/* What a host lacks differs; that the report and the exit code agree does not. */
static void check_reports_each_class_and_exits_by_class_ns(void **state)
{
	static const char *const classes[] = { "ns", "sentry", "vm" };
	struct result res;

	CAISSON(&res, "check", "--json");
	for (size_t i = 0; i < 3; i++) {
		json_t *class = member(&res, "classes", classes[i]);
		json_t *check;
		size_t n;
		bool missing = false;

		assert_true(json_array_size(json_object_get(class, "checks")) > 0);
		json_array_foreach (json_object_get(class, "checks"), n, check) {
			const char *result = json_string_value(json_object_get(check, "result"));
			const bool ok = strcmp(result, "ok") == 0;

			assert_true(ok || strcmp(result, "limited") == 0 ||
				    strcmp(result, "missing") == 0);
			assert_non_null(json_string_value(json_object_get(check, "detail")));
			missing |= strcmp(result, "missing") == 0 &&
				   json_is_true(json_object_get(check, "required"));
		}
		assert_int_equal(json_is_true(json_object_get(class, "works")), !missing);
		if (i == 0)
			assert_int_equal(res.status, missing);
		else
			assert_true(missing); /* not built yet */
		json_decref(class);
	}
	done(&res);
}

static void config_as_json_has_value_and_source(void **state)
{
	struct result res;
	json_t *root;

	CAISSON(&res, "config", "--json");
	assert_int_equal(res.status, 0);
	root = member(&res, "root", "value");
	assert_string_equal(json_string_value(root), root_dir);
	json_decref(root);
	root = member(&res, "root", "source");
	assert_string_equal(json_string_value(root), "flag");
	json_decref(root);
	root = member(&res, "allowed_annotations", "value");
	assert_true(json_is_null(root));
	json_decref(root);
	done(&res);
}

static void features_name_the_versions_of_the_specification(void **state)
{
	struct result res;
	json_t *seccomp;

	RUN(&res, "caisson", "features");
	assert_int_equal(res.status, 0);
	seccomp = member(&res, "linux", "seccomp");
	assert_true(json_is_true(json_object_get(seccomp, "enabled")));
	json_decref(seccomp);
	assert_non_null(strstr(res.out.data, "\"ociVersionMax\": \"1.3.0\""));
	done(&res);
}

static void spec_writes_once_and_what_it_writes_is_valid(void **state)
{
	struct oci_spec *spec = NULL;
	struct err err = { 0 };
	struct result res;
	char path[64];

	CAISSON(&res, "spec", "--bundle", root_dir, "--rootless");
	assert_int_equal(res.status, 0);
	done(&res);
	(void)snprintf(path, sizeof(path), "%s/config.json", root_dir);
	if (oci_spec_load(AT_FDCWD, path, &spec, &err) < 0)
		fail_msg("%s", err.msg);
	assert_true(spec->linux.ns[OCI_NS_USER].set);
	oci_spec_free(spec);
	CAISSON(&res, "spec", "-b", root_dir);
	assert_int_equal(res.status, 1);
	assert_matches(res.err.data, "config.json exists");
	(void)unlink(path);
	done(&res);
}

static void do_refuses_what_it_cannot_do_before_it_starts(void **state)
{
	static const struct {
		const char *flag, *value, *says;
	} rows[] = {
		{ "--network", "bridge", "it is none or host" },
		{ "--volume", "/nonexistent:/x", "--volume /nonexistent:/x: No such file" },
		{ "--cwd", "relative", "it is not absolute" },
		{ "--isolation", "runc", "ns, sentry" },
		{ "--cpus", "none", "a number from" },
		{ "--env", "=x", "the name is missing" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct result res;

		CAISSON(&res, "do", rows[i].flag, rows[i].value, "--", "true");
		assert_int_equal(res.status, 1);
		assert_matches(res.err.data, rows[i].says);
		done(&res);
	}
}

static int make_root(void **state)
{
	(void)unsetenv("XDG_RUNTIME_DIR");
	(void)setenv("CAISSON_CONFIG", "/nonexistent/caisson.json", 1);
	if (!mkdtemp(root_dir))
		return -1;
	(void)snprintf(log_path, sizeof(log_path), "%s/log", root_dir);
	return 0;
}

static int remove_root(void **state)
{
	char command[64];

	(void)snprintf(command, sizeof(command), "rm -rf -- %s", root_dir);
	return system(command);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_version_has_the_form_that_engines_parse),
		cmocka_unit_test(no_arguments_and_help_print_help),
		cmocka_unit_test(each_verb_has_help_with_its_options),
		cmocka_unit_test(tables_are_sound),
		cmocka_unit_test(an_unknown_verb_exits_3),
		cmocka_unit_test(an_unknown_flag_exits_1_with_usage),
		cmocka_unit_test(a_wrong_number_of_arguments_says_how_many),
		cmocka_unit_test(errors_about_missing_containers_are_runcs),
		cmocka_unit_test(a_json_log_gets_the_line_and_standard_error_the_sentence),
		cmocka_unit_test(bad_global_values_are_refused),
		cmocka_unit_test(list_of_nothing_is_a_header_or_an_empty_list),
		cmocka_unit_test(the_name_of_the_program_chooses_the_class),
		cmocka_unit_test(check_reports_each_class_and_exits_by_class_ns),
		cmocka_unit_test(config_as_json_has_value_and_source),
		cmocka_unit_test(features_name_the_versions_of_the_specification),
		cmocka_unit_test(spec_writes_once_and_what_it_writes_is_valid),
		cmocka_unit_test(do_refuses_what_it_cannot_do_before_it_starts),
		cmocka_unit_test(signals_are_judged_before_containers),
	};

	return cmocka_run_group_tests(tests, make_root, remove_root);
}
