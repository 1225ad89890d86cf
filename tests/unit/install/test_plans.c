/* SPDX-License-Identifier: Apache-2.0 */
/* What install writes for each engine, and what uninstall leaves. */
#include "node.h"

#include <errno.h>

#include "base/str.h"
#include "install/install.h"

#define CONTAINERD "/etc/containerd/config.toml"
#define DOCKER	   "/etc/docker/daemon.json"
#define K3S	   "/var/lib/rancher/k3s/agent/etc/containerd/"
#define MICROK8S   "/var/snap/microk8s/current/args/containerd-template.toml"
#define CRI	   "plugins.\"io.containerd.grpc.v1.cri\""
#define CRI_3	   "plugins.'io.containerd.cri.v1.runtime'"

static struct install_options options;
static struct err err;

static int set_up(void **state)
{
	if (node_set_up(state) < 0)
		return -1;
	options = (struct install_options){ .root = node, .runtime = "/opt/bin/caisson" };
	node_write("/opt/bin/caisson", "");
	node_write("/opt/bin/caisson-ns", "");
	node_write("/opt/bin/caisson-sentry", "");
	node_write("/opt/bin/caisson-vm", "");
	return 0;
}

static int change(const char *engine, bool add)
{
	struct install_plan plan;
	const size_t i = (size_t)install_engine_find(engine, NULL);
	int r = (add ? install_plan_add : install_plan_take)(i, &options, &plan, &err);

	if (r == 0)
		r = install_plan_apply(&plan, &err);
	if (r == 0)
		r = (int)install_plan_changes(&plan);
	install_plan_done(&plan);
	return r;
}

static enum install_state state_of(const char *engine)
{
	AUTO_BUF struct buf detail = { 0 };
	enum install_state state;

	assert_int_equal(install_status((size_t)install_engine_find(engine, NULL), &options, &state,
					&detail, &err),
			 0);
	return state;
}

static void has(const char *path, const char *words)
{
	const char *text = node_read(path);

	if (!text || !strstr(text, words))
		fail_msg("%s lacks \"%s\":\n%s", path, words, text ? text : "(missing)");
}

/* The text is refused, and stays. */
static void refuses(const char *engine, const char *path, const char *text, int code,
		    const char *says)
{
	node_write(path, text);
	assert_int_equal(change(engine, true), code);
	assert_says(err, says);
	assert_string_equal(node_read(path), text);
}

/* Added twice, seen, taken: `text` (NULL: no file) is as before. */
static void comes_and_goes(const char *engine, const char *path, const char *text)
{
	AUTO_FREE char *with = NULL;

	if (text)
		node_write(path, text);
	assert_int_equal(state_of(engine), INSTALL_ABSENT);
	if (change(engine, true) != 1)
		fail_msg("%s: %s", engine, err.msg);
	with = strdup(node_read(path));
	assert_int_equal(change(engine, true), 0);
	assert_int_equal(state_of(engine), INSTALL_PRESENT);
	options.runtime = "/usr/bin/caisson";
	assert_int_equal(state_of(engine), INSTALL_OUTDATED);
	options.runtime = "/opt/bin/caisson";
	assert_string_equal(node_read(path), with);
	assert_int_equal(change(engine, false), 1);
	assert_int_equal(change(engine, false), 0);
	if (text)
		assert_string_equal(node_read(path), text);
	else
		assert_null(node_read(path));
}

static void containerd_files_of_unknown_shape_stay_as_they_are(void **state)
{
	static const char *const cases[][2] = {
		{ "disabled_plugins = [\"cri\"]\n", "no \"version = 2\"" },
		{ "version = \"2\"\n", ":1: not a number" },
		{ "version = 2\nplugins = { x = 1 }\n", ":2: \"plugins\" is written in one line" },
		{ "version = 2\n[" CRI ".containerd]\nruntimes = {}\n", ":3: \"runtimes\" is" },
		{ "version = 2\n[[" CRI ".containerd]]\n", ":2: \"containerd\" is" },
		{ "version = 2\n[" CRI ".containerd.runtimes.caisson-ns]\n",
		  ":2: the runtime \"caisson-ns\" is there already" },
		{ "version = 2\n[" CRI "]\ncontainerd.runtimes.caisson.x = 1\n",
		  ":3: the runtime \"caisson\" is there already" },
		{ "version = 2\nimports = [\"/etc/[ab]/*.toml\"]\n", "not understood here" },
		{ "version = 2\nx = \"\"\"\n\"\"\"\n", ":2: a string over several lines" },
		{ "version = 2\n# BEGIN caisson (part, sum 0)\n", ":2: lines of caisson install" },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		refuses("containerd", CONTAINERD, cases[i][0],
			strstr(cases[i][1], "already") ? -EEXIST : -EBADMSG, cases[i][1]);
	assert_int_equal(state_of("containerd"), INSTALL_REFUSED);
}

/* Ours can be taken away whatever became of the file around it. */
static void containerd_lines_go_from_a_file_that_is_not_understood(void **state)
{
	static const char *const cases[][2] = {
		{ "x = \"\"\"\n\"\"\"\n", ":1: a string over several lines" },
		{ "imports = [\"/etc/[ab]/*.toml\"]\n", "not understood here" },
		{ "[" CRI ".containerd.runtimes.caisson]\n", "is there already" },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		AUTO_BUF struct buf text = { 0 };

		node_write(CONTAINERD, "");
		assert_int_equal(change("containerd", true), 1);
		buf_printf(&text, "%s%s", cases[i][0], node_read(CONTAINERD));
		node_write(CONTAINERD, text.data);
		assert_int_equal(state_of("containerd"), INSTALL_REFUSED);
		if (change("containerd", false) != 1)
			fail_msg("%s", err.msg);
		assert_string_equal(node_read(CONTAINERD), cases[i][0]);
		assert_says(err, cases[i][1]);
		assert_int_equal(state_of("containerd"), INSTALL_REFUSED);
	}
}

static void imports_of_imports_are_not_followed(void **state)
{
	node_write("/etc/containerd/conf.d/a.toml", "version = 2\nimports = [\"x\"]\n");
	refuses("containerd", CONTAINERD,
		"version = 2\nimports = [\"/etc/containerd/conf.d/*.toml\"]\n", -EBADMSG,
		"imports files itself");
}

static void a_missing_program_is_named(void **state)
{
	char full[PATH_MAX];

	assert_int_equal(unlink(node_path("/opt/bin/caisson-vm", full)), 0);
	assert_int_equal(change("podman", true), -ENOENT);
	assert_says(err, "there is no /opt/bin/caisson-vm below");
	options.runtime = "bin/caisson";
	assert_int_equal(change("podman", true), -EINVAL);
	options.runtime = "/opt/\"/caisson";
	assert_int_equal(change("podman", true), -EINVAL);
	options.runtime = "/opt/bin/runc";
	assert_int_equal(change("podman", true), -EINVAL);
}

static void files_come_back_byte_for_byte(void **state)
{
	comes_and_goes("containerd", CONTAINERD, "version = 2");
	comes_and_goes("containerd", CONTAINERD, "version = 3\n\n# end\n");
	comes_and_goes("containerd", CONTAINERD, "# nothing\n");
	node_make_dirs("/etc/crio/x");
	comes_and_goes("crio", "/etc/crio/crio.conf.d/50-caisson.conf", NULL);
	node_write("/usr/bin/podman", "");
	comes_and_goes("podman", "/etc/containers/containers.conf.d/50-caisson.conf", NULL);
	comes_and_goes("docker", DOCKER, "{\n\t\"bip\": \"10.0.0.1/24\"\n}\n");
	comes_and_goes("docker", DOCKER,
		       "{\"runtimes\": {\"x\": {\"path\": \"/x\"}}, \"default-runtime\": \"x\"}");
	comes_and_goes("docker", DOCKER, "{\"runtimes\": {}}");
	comes_and_goes("docker", DOCKER, "{\n  \"runtimes\": {},\n  \"debug\": true\n}\n");
	comes_and_goes("microk8s", MICROK8S, "version = 2\nroot = \"${SNAP_COMMON}/x\"\n");
	comes_and_goes("k3s", K3S "config.toml.tmpl", "{{ template \"base\" . }}\n[x]\n");
}

static void new_files_go_again(void **state)
{
	node_make_dirs("/etc/containerd/x");
	comes_and_goes("containerd", CONTAINERD, NULL);
	node_make_dirs("/etc/docker/x");
	comes_and_goes("docker", DOCKER, NULL);
	node_make_dirs(K3S);
	comes_and_goes("k3s", K3S "config-v3.toml.tmpl", NULL);
}

/* containerd 1.x takes the plugin's settings from the last file that has any. */
static void version_2_goes_where_the_plugin_s_settings_count(void **state)
{
	node_write("/etc/containerd/conf.d/10.toml", "version = 2\n[" CRI "]\nx = 1\n");
	node_write("/etc/containerd/conf.d/20.toml", "version = 2\n[plugins.opt]\nx = 1\n");
	node_write(CONTAINERD, "version = 2\nimports = [\"conf.d/*.toml\"]\n[" CRI
			       ".containerd.runtimes.runc]\nruntime_type = \"r\"\n");
	assert_int_equal(change("containerd", true), 1);
	has("/etc/containerd/conf.d/10.toml", "runtimes.caisson-vm]");
	has("/etc/containerd/conf.d/10.toml", "runtimes.runc]");

	/* When another file begins to count, they move. */
	node_write("/etc/containerd/conf.d/20.toml", "version = 2\n[" CRI "]\nx = 1\n");
	assert_int_equal(state_of("containerd"), INSTALL_OUTDATED);
	assert_int_equal(change("containerd", true), 2);
	assert_string_equal(node_read("/etc/containerd/conf.d/10.toml"),
			    "version = 2\n[" CRI "]\nx = 1\n");
	has("/etc/containerd/conf.d/20.toml", "runtimes.caisson-vm]");
	assert_int_equal(change("containerd", false), 1);
}

static void runc_is_named_only_where_it_would_be_forgotten(void **state)
{
	node_write(CONTAINERD, "version = 2\n[" CRI ".containerd.runtimes.runc.options]\n"
			       "  SystemdCgroup = true\n");
	assert_int_equal(change("containerd", true), 1);
	assert_null(strstr(node_read(CONTAINERD), "runtimes.runc]"));
	has(CONTAINERD, "runtimes.caisson-ns.options]\n    BinaryName = \"/opt/bin/caisson-ns\"\n");
}

static size_t times(const char *text, const char *what)
{
	size_t n = 0;

	for (const char *c = text; (c = strstr(c, what)); c++)
		n++;
	return n;
}

static void assert_once_behind(const char *text, const char *word, const char *before)
{
	const char *at = strstr(text, before);

	assert_int_equal(times(text, word), 1);
	assert_non_null(at);
	assert_non_null(strstr(at, word));
}

/* With them a privileged one would be refused (CAVEATS.md#vm-devices). */
static void a_machine_s_containers_are_privileged_without_the_host_s_devices(void **state)
{
	static const char word[] = "privileged_without_host_devices = true\n";
	static const char crio[] = "/etc/crio/crio.conf.d/50-caisson.conf";

	node_write(CONTAINERD, "version = 2\n");
	node_make_dirs("/etc/crio/crio.conf.d");
	assert_int_equal(change("containerd", true), 1);
	assert_int_equal(change("crio", true), 1);
	assert_once_behind(node_read(CONTAINERD), word, "runtimes.caisson-vm]");
	assert_once_behind(node_read(crio), word, "runtimes.caisson-vm]");
}

static void version_3_gets_a_drop_in_where_a_directory_is_imported(void **state)
{
	node_write(CONTAINERD, "version = 3\nimports = ['/etc/containerd/conf.d/*.toml']\n");
	assert_int_equal(change("containerd", true), 1);
	has("/etc/containerd/conf.d/50-caisson.toml", "version = 3\n[" CRI_3 ".containerd.");
	assert_int_equal(state_of("containerd"), INSTALL_PRESENT);
	/* Without the import the drop-in would be read by nobody. */
	node_write(CONTAINERD, "version = 3\n");
	assert_int_equal(change("containerd", true), 2);
	assert_null(node_read("/etc/containerd/conf.d/50-caisson.toml"));
	has(CONTAINERD, "[" CRI_3 ".containerd.runtimes.caisson]");
}

static void a_shim_beside_the_runtime_is_used(void **state)
{
	node_write("/opt/bin/containerd-shim-caisson-vm-v2", "");
	node_write(CONTAINERD, "version = 2\n");
	assert_int_equal(change("containerd", true), 1);
	has(CONTAINERD, "runtimes.caisson-vm]\n  runtime_type = \"io.containerd.caisson-vm.v2\"\n"
			"  runtime_path = \"/opt/bin/containerd-shim-caisson-vm-v2\"\n");
	has(CONTAINERD, "BinaryName = \"/opt/bin/caisson-sentry\"");
	assert_null(strstr(node_read(CONTAINERD), "BinaryName = \"/opt/bin/caisson-vm\""));
}

static void what_was_edited_stays_without_force(void **state)
{
	static const char path[] = "/etc/containers/containers.conf.d/50-caisson.conf";
	AUTO_FREE char *edited = NULL;
	char *c;

	node_write("/usr/bin/podman", "");
	assert_int_equal(change("podman", true), 1);
	edited = strdup(node_read(path));
	c = strstr(edited, "caisson-vm = ");
	*c = 'K';
	node_write(path, edited);
	assert_int_equal(state_of("podman"), INSTALL_EDITED);
	assert_int_equal(change("podman", true), -EUCLEAN);
	assert_says(err, "edited since: --force");
	assert_int_equal(change("podman", false), -EUCLEAN);
	assert_string_equal(node_read(path), edited);
	options.force = true;
	assert_int_equal(change("podman", false), 1);
	assert_null(node_read(path));
}

static void an_own_file_with_others_lines_is_not_removed(void **state)
{
	static const char path[] = "/etc/crio/crio.conf.d/50-caisson.conf";
	AUTO_BUF struct buf text = { 0 };

	node_make_dirs("/etc/crio/x");
	assert_int_equal(change("crio", true), 1);
	buf_puts(&text, node_read(path));
	buf_puts(&text, "[crio.x]\n");
	node_write(path, text.data);
	assert_int_equal(change("crio", false), 1);
	assert_string_equal(node_read(path), "[crio.x]\n");
}

static void docker_entries_of_others_stay(void **state)
{
	static const char others[] =
		"{\"runtimes\": {\"caisson-vm\": {\"path\": \"/x/caisson-vm\", "
		"\"runtimeArgs\": [\"--debug\"]}}}";

	refuses("docker", DOCKER, "{\"a\": 1", -EINVAL, DOCKER ":");
	refuses("docker", DOCKER, "{\"runtimes\": 3}", -EBADMSG, "not an object");
	refuses("docker", DOCKER, others, -EUCLEAN, "--force");
	assert_int_equal(change("docker", false), -EUCLEAN);
	options.force = true;
	assert_int_equal(change("docker", true), 1);
	has(DOCKER, "\"caisson-vm\": {\"path\": \"/opt/bin/caisson-vm\"}");
}

/* A single one in another directory is no install with another --runtime-path. */
static void docker_entries_with_another_path_stay(void **state)
{
	static const char other[] = "{\"runtimes\": {\"caisson\": {\"path\": \"/x/caisson\"}}}";
	AUTO_FREE char *mixed = NULL;
	char *c;

	refuses("docker", DOCKER, other, -EUCLEAN, "--force");
	assert_int_equal(change("docker", false), -EUCLEAN);
	assert_string_equal(node_read(DOCKER), other);
	node_write(DOCKER, "{}");
	assert_int_equal(change("docker", true), 1);
	mixed = strdup(node_read(DOCKER));
	c = strstr(mixed, "/opt/bin/caisson-vm");
	memcpy(c, "/opt/BIN", 8);
	refuses("docker", DOCKER, mixed, -EUCLEAN, "--force");
	assert_int_equal(state_of("docker"), INSTALL_EDITED);
	assert_int_equal(change("docker", false), -EUCLEAN);
	options.force = true;
	assert_int_equal(change("docker", true), 1);
	assert_int_equal(change("docker", false), 1);
}

static void dockers_default_is_not_taken_away(void **state)
{
	node_write(DOCKER, "{\"default-runtime\": \"caisson-ns\"}\n");
	assert_int_equal(change("docker", true), 1);
	assert_int_equal(state_of("docker"), INSTALL_PRESENT);
	assert_int_equal(change("docker", false), -EBUSY);
	assert_says(err, "\"default-runtime\" is \"caisson-ns\"");
}

static void k3s_gets_the_template_of_its_version(void **state)
{
	node_write(K3S "config.toml", "# made\nversion = 2\n[x]\nversion = 3\n");
	assert_int_equal(change("k3s", true), 1);
	has(K3S "config.toml.tmpl", "{{ template \"base\" . }}\n\n[" CRI ".containerd.");
	/* A newer K3s: ours moves, since nobody else has written there. */
	node_write(K3S "config.toml", "version = 3\n");
	assert_int_equal(change("k3s", true), 2);
	assert_null(node_read(K3S "config.toml.tmpl"));
	has(K3S "config-v3.toml.tmpl", "{{ template \"base\" . }}\n\n[" CRI_3 ".containerd.");
	refuses("k3s", K3S "config-v3.toml.tmpl", "[x.runtimes.caisson]\n", -EEXIST,
		"names runtimes of ours");
}

/* Somebody adds a table behind our lines, and the next install changes them. */
static void k3s_keeps_its_base_when_others_write_behind_it(void **state)
{
	AUTO_BUF struct buf text = { 0 };

	node_make_dirs(K3S);
	assert_int_equal(change("k3s", true), 1);
	buf_puts(&text, node_read(K3S "config-v3.toml.tmpl"));
	buf_puts(&text, "[x]\n");
	node_write(K3S "config-v3.toml.tmpl", text.data);
	assert_int_equal(change("k3s", true), 0);
	node_write("/usr/bin/caisson", "");
	node_write("/usr/bin/caisson-ns", "");
	node_write("/usr/bin/caisson-sentry", "");
	node_write("/usr/bin/caisson-vm", "");
	options.runtime = "/usr/bin/caisson";
	assert_int_equal(change("k3s", true), 1);
	has(K3S "config-v3.toml.tmpl", "{{ template \"base\" . }}\n\n[" CRI_3 ".containerd.");
	has(K3S "config-v3.toml.tmpl", "/usr/bin/caisson-ns");
	has(K3S "config-v3.toml.tmpl", "# END caisson\n[x]\n");
	assert_int_equal(change("k3s", false), 1);
	assert_string_equal(node_read(K3S "config-v3.toml.tmpl"),
			    "{{ template \"base\" . }}\n\n[x]\n");
	assert_int_equal(change("k3s", false), 0);
}

/* Installed for an engine that is not on the node, which does not look like one afterwards. */
static void directories_that_were_made_go_again(void **state)
{
	static const char *const engines[] = { "containerd", "crio", "podman", "docker", "k3s" };
	char full[PATH_MAX];

	node_make_dirs("/etc/x");
	node_make_dirs("/var/x");
	for (size_t i = 0; i < ARRAY_LEN(engines); i++) {
		assert_int_equal(state_of(engines[i]), INSTALL_NO_ENGINE);
		assert_int_equal(change(engines[i], true), 1);
		assert_int_equal(state_of(engines[i]), INSTALL_PRESENT);
		assert_int_equal(change(engines[i], false), 1);
		assert_int_equal(state_of(engines[i]), INSTALL_NO_ENGINE);
	}
	assert_int_equal(rmdir(node_path("/etc", full)), 0);
	assert_int_equal(rmdir(node_path("/var", full)), 0);
}

static void directories_of_others_stay(void **state)
{
	char full[PATH_MAX];

	/* Empty, but there before. */
	node_make_dirs("/etc/crio/crio.conf.d/x");
	assert_int_equal(change("crio", true), 1);
	assert_int_equal(change("crio", false), 1);
	assert_int_equal(rmdir(node_path("/etc/crio/crio.conf.d", full)), 0);
	/* Made for ours, and used by somebody else since. */
	assert_int_equal(change("crio", true), 1);
	node_write("/etc/crio/crio.conf.d/10-theirs.conf", "");
	assert_int_equal(change("crio", false), 1);
	assert_non_null(node_read("/etc/crio/crio.conf.d/10-theirs.conf"));
	node_write("/usr/bin/dockerd", "");
	node_make_dirs(DOCKER);
	assert_int_equal(change("docker", true), 1);
	assert_int_equal(change("docker", false), 1);
	assert_int_equal(access(node_path("/etc/docker", full), F_OK), 0);
}

static void an_engine_that_is_not_there_has_nothing(void **state)
{
	assert_int_equal(state_of("docker"), INSTALL_NO_ENGINE);
	assert_int_equal(change("docker", false), 0);
	assert_int_equal(change("microk8s", true), -ENOENT);
	assert_says(err, "no such file");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, node_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(containerd_files_of_unknown_shape_stay_as_they_are),
		TEST(containerd_lines_go_from_a_file_that_is_not_understood),
		TEST(imports_of_imports_are_not_followed),
		TEST(a_missing_program_is_named),
		TEST(files_come_back_byte_for_byte),
		TEST(new_files_go_again),
		TEST(version_2_goes_where_the_plugin_s_settings_count),
		TEST(runc_is_named_only_where_it_would_be_forgotten),
		TEST(version_3_gets_a_drop_in_where_a_directory_is_imported),
		TEST(a_shim_beside_the_runtime_is_used),
		TEST(a_machine_s_containers_are_privileged_without_the_host_s_devices),
		TEST(what_was_edited_stays_without_force),
		TEST(an_own_file_with_others_lines_is_not_removed),
		TEST(docker_entries_of_others_stay),
		TEST(docker_entries_with_another_path_stay),
		TEST(dockers_default_is_not_taken_away),
		TEST(k3s_gets_the_template_of_its_version),
		TEST(k3s_keeps_its_base_when_others_write_behind_it),
		TEST(directories_that_were_made_go_again),
		TEST(directories_of_others_stay),
		TEST(an_engine_that_is_not_there_has_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
