/* SPDX-License-Identifier: Apache-2.0 */
/* cli/check.c - check: the verb, and its report as JSON and text. */
#include "cli/check.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/str.h"
#include "cli/cli.h"
#include "cli/verbs.h"
#include "host/program_says.h"
#include "hypervisor/probe.h"
#include "hypervisor/qemu.h"
#include "runtime/setup.h"
#include "runtime/vm/files.h"
#include "runtime/vm/settings.h"
#include "runtime/vm/template.h"

/* Whom the probe's monitor runs as, for root: anybody without rights. */
#define PROBE_USER	65534
#define KERNEL_WORD_MAX 64 /* bytes of "Linux version N" */

struct check_options {
	bool json;
	bool seccomp;
	bool node_labels;
};

extern const char seccomp_lists[]; /* scripts/gen-text */

static const struct option table[] = {
	{ "json", "print JSON", NULL, offsetof(struct check_options, json), OPTION_FLAG, 0 },
	{ "seccomp", "print what each process of class sentry may call, and why", NULL,
	  offsetof(struct check_options, seccomp), OPTION_FLAG, 0 },
	{ "node-labels", "print what the classes can do as labels of a Kubernetes node", NULL,
	  offsetof(struct check_options, node_labels), OPTION_FLAG, 0 },
	{ 0 },
};

const char *check_result_name(enum check_result result)
{
	static const char *const names[] = { "ok", "limited", "missing" };

	return names[result];
}

void check_set(struct check_finding *finding, enum check_result result, const char *detail, ...)
{
	va_list ap;

	finding->result = result;
	va_start(ap, detail);
	(void)vsnprintf(finding->detail, sizeof(finding->detail), detail, ap);
	va_end(ap);
}

void check_remedy(struct check_finding *finding, const char *remedy, ...)
{
	va_list ap;

	va_start(ap, remedy);
	(void)vsnprintf(finding->remedy, sizeof(finding->remedy), remedy, ap);
	va_end(ap);
}

static json_t *run_probes(bool *ret_works)
{
	AUTO_JSON json_t *checks = json_array();

	*ret_works = true;
	for (const struct check_probe *probe = check_probes; probe->name; probe++) {
		struct check_finding finding = { 0 };
		json_t *item;

		probe->run(&finding);
		if (probe->required && finding.result == CHECK_MISSING)
			*ret_works = false;
		item = json_pack("{s:s, s:s, s:b, s:s}", "name", probe->name, "result",
				 check_result_name(finding.result), "required", probe->required,
				 "detail", finding.detail);
		if (finding.remedy[0] && item)
			(void)json_object_set_new(item, "remedy", json_string(finding.remedy));
		if (json_array_append_new(checks, item) < 0)
			return NULL;
	}
	return TAKE_PTR(checks);
}

/* What the class needs besides what class ns does: its programs. */
static json_t *sentry_class(bool namespaces_work)
{
	static const char *const programs[] = { "caisson-sentry", "caisson-gofer", "caisson-stub" };
	char dir[PATH_MAX], path[PATH_MAX + 32];
	const char *missing = NULL;

	runtime_default_libexec(dir);
	for (size_t i = 0; i < ARRAY_LEN(programs) && !missing; i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", dir, programs[i]);
		missing = access(path, X_OK) < 0 ? programs[i] : NULL;
	}
	(void)snprintf(path, sizeof(path), "%s/%s", dir, missing ? missing : "");
	return json_pack("{s:b, s:[{s:s, s:s, s:b, s:s}, {s:s, s:s, s:b, s:s}]}", "works",
			 namespaces_work && !missing, "checks", "name", "namespaces", "result",
			 namespaces_work ? "ok" : "missing", "required", 1, "detail",
			 namespaces_work ? "as class ns" : "see class ns", "name", "programs",
			 "result", missing ? "missing" : "ok", "required", 1, "detail", path);
}

/* One line of a class's report; NULL: out of memory. */
static json_t *check_item(const char *name, bool ok, bool required, const char *detail,
			  const char *remedy)
{
	json_t *item = json_pack("{s:s, s:s, s:b, s:s}", "name", name, "result",
				 ok ? "ok" : "missing", "required", required, "detail", detail);

	if (item && !ok && remedy)
		(void)json_object_set_new(item, "remedy", json_string(remedy));
	return item;
}

/* A file of the class; false: it is not there. */
static bool add_file(json_t *checks, const char *name, const char *dir, const char *file, int mode,
		     const char *remedy)
{
	char path[PATH_MAX + 32];
	bool ok;

	(void)snprintf(path, sizeof(path), "%s/%s", dir, file);
	ok = access(path, mode) == 0;
	(void)json_array_append_new(checks, check_item(name, ok, true, path, remedy));
	return ok;
}

/* A program that the distribution installs: the finder's own sentence when it is missing. */
static bool add_found(json_t *checks, const char *name, int r, const char *found,
		      const struct err *err, const char *package)
{
	(void)json_array_append_new(
		checks, check_item(name, r >= 0, true, r >= 0 ? found : err->msg, package));
	return r >= 0;
}

/* ---- Class vm ---- */

/* "PATH (VERSION)"; of a program that does not say it, the path. */
static void add_version(const char *path, char *text, size_t size)
{
	char version[128];

	(void)snprintf(text, size, "%s", path);
	program_says(path, "--version", version, sizeof(version));
	version[strcspn(version, "\n")] = '\0';
	if (*version)
		(void)snprintf(text, size, "%s (%s)", path, version);
}

/* "PATH (Linux version N)"; of what is no kernel, or a compressed one, the path. */
static void add_kernel_version(const char *path, char *text, size_t size)
{
	static const char word[] = "Linux version ";
	AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	const char *found = NULL;
	void *bytes = MAP_FAILED;
	struct stat st;

	(void)snprintf(text, size, "%s", path);
	if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > 0)
		bytes = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (bytes == MAP_FAILED)
		return;
	found = memmem(bytes, (size_t)st.st_size, word, strlen(word));
	if (found && found + KERNEL_WORD_MAX < (char *)bytes + st.st_size)
		(void)snprintf(text, size, "%s (%.*s)", path,
			       (int)(strlen(word) + strcspn(found + strlen(word), " \n")), found);
	(void)munmap(bytes, (size_t)st.st_size);
}

/* A file of the guest: the configuration's, or where it lies. */
static bool add_guest_file(json_t *checks, const char *name, const char *path, bool kernel)
{
	const bool ok = access(path, R_OK) == 0;
	char text[PATH_MAX + 128];

	(void)snprintf(text, sizeof(text), "%s", path);
	if (ok && kernel)
		add_kernel_version(path, text, sizeof(text));
	(void)json_array_append_new(checks,
				    check_item(name, ok, true, text, "make guest builds it"));
	return ok;
}

/* Required where vm.accel is kvm: what KVM does not run is emulated otherwise. */
static bool add_kvm(json_t *checks, const struct vm_config *config, const char *path, int qemu,
		    const char **ret_accelerator)
{
	char memory[PATH_MAX], text[512];
	struct probe_plan plan = { .program = qemu, .memory = probe_memory(memory) };
	struct probe probe = { .reason = "no guest was run" };
	AUTO_CLOSE int kernel = -EBADF;
	struct err err = { 0 };
	bool runs;

	*ret_accelerator = "tcg";
	if (!config->try_kvm) {
		(void)json_array_append_new(
			checks, check_item("kvm", true, false,
					   "not asked for (vm.accel): machines are emulated in "
					   "software",
					   NULL));
		return true;
	}
	kernel = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	plan.kernel = kernel;
	plan.uid = plan.gid = geteuid() == 0 ? PROBE_USER : 0;
	if (kernel >= 0 && qemu >= 0 && hypervisor_probe(&plan, &probe, &err) < 0)
		(void)snprintf(probe.reason, sizeof(probe.reason), "%.250s", err.msg);
	runs = !*probe.reason;
	*ret_accelerator = runs ? "kvm" : "tcg";
	(void)snprintf(text, sizeof(text), "%s%s%s",
		       runs		  ? "our kernel has run under KVM"
		       : config->only_kvm ? "vm.accel allows nothing else, and "
					  : "machines are emulated in software: ",
		       probe.reason, probe.passing ? " (asked again at the next start)" : "");
	(void)json_array_append_new(
		checks, check_item("kvm", runs, config->only_kvm, text,
				   "the module kvm_intel or kvm_amd (in a machine: nested "
				   "virtualization), and /dev/kvm readable and writable for its "
				   "group"));
	return runs || !config->only_kvm;
}

/* What every start would refuse. */
static bool add_settings(json_t *checks, const struct runtime *rt, struct vm_config *ret)
{
	struct err err = { 0 };
	int r;

	*ret = (struct vm_config){ .try_kvm = true };
	if (!rt)
		return true;
	r = vm_settings_get(rt, NULL, ret, &err);
	(void)json_array_append_new(
		checks, check_item("settings", r == 0, true,
				   r == 0 ? "vm.* of the configuration is valid" : err.msg,
				   "caisson.json(5) says what vm.* may be"));
	return r == 0;
}

/* Of a container with a loopback device alone nobody's need. */
static json_t *tun_item(void)
{
	const bool ok = access("/dev/net/tun", R_OK | W_OK) == 0;

	return check_item("tun", ok, false,
			  ok ? "/dev/net/tun"
			     : "/dev/net/tun: containers have a loopback device alone",
			  "modprobe tun");
}

/* Nobody's need. */
static json_t *templates_item(const struct runtime *rt)
{
	char dir[PATH_MAX], text[PATH_MAX + 64];

	if (!str_eq(rt->vm.templates, "on") || template_dir(rt, dir, NULL) < 0)
		return check_item("templates", true, false,
				  "off (vm.templates): a start boots its machine", NULL);
	(void)snprintf(text, sizeof(text), "on: a start takes one of %s, if it is there", dir);
	return check_item("templates", true, false, text, NULL);
}

static void guest_path(const char *configured, const char *dir, const char *name,
		       char path[static PATH_MAX + 32])
{
	if (configured && *configured)
		(void)snprintf(path, PATH_MAX, "%s", configured);
	else
		(void)snprintf(path, PATH_MAX + 32, "%s/guest/%s", dir, name);
}

static bool add_programs(json_t *checks, const struct runtime *rt, int *ret_qemu)
{
	struct files_program files = { .path = "" };
	char link[FD_PATH_MAX], path[PATH_MAX] = "", text[PATH_MAX + 160] = "";
	struct err err = { 0 };
	bool works;
	int r;

	*ret_qemu = qemu_find(rt ? rt->vm.qemu : NULL, &err);
	if (*ret_qemu >= 0) {
		(void)!readlink(fd_path(*ret_qemu, link), path, sizeof(path) - 1);
		add_version(path, text, sizeof(text));
	}
	works = add_found(checks, "qemu", *ret_qemu, text, &err, "install qemu-system-x86");
	r = files_find(rt ? rt->vm.virtiofsd : NULL, &files, &err);
	if (r >= 0)
		add_version(files.path, text, sizeof(text));
	works &= add_found(checks, "virtiofsd", r, text, &err,
			   "install virtiofsd (Debian 12: qemu-system-common)");
	return works;
}

static json_t *vm_class(const struct runtime *rt, bool namespaces_work)
{
	json_t *checks = json_array();
	char dir[PATH_MAX], kernel[PATH_MAX + 32], image[PATH_MAX + 32];
	bool works = namespaces_work;
	AUTO_CLOSE int qemu = -EBADF;
	struct vm_config config;
	const char *accelerator;

	runtime_default_libexec(dir);
	guest_path(rt ? rt->vm.kernel : NULL, dir, "vmlinux", kernel);
	guest_path(rt ? rt->vm.image : NULL, dir, "image", image);
	(void)json_array_append_new(checks,
				    check_item("namespaces", works, true,
					       works ? "as class ns" : "see class ns", NULL));
	works &= add_file(checks, "programs", dir, "caisson-vm", X_OK, NULL);
	works &= add_guest_file(checks, "kernel", kernel, true);
	works &= add_guest_file(checks, "image", image, false);
	works &= add_programs(checks, rt, &qemu);
	works &= add_settings(checks, rt, &config);
	works &= add_kvm(checks, &config, kernel, qemu, &accelerator);
	(void)json_array_append_new(checks, tun_item());
	if (rt)
		(void)json_array_append_new(checks, templates_item(rt));
	return json_pack("{s:b, s:s*, s:o}", "works", works, "accelerator",
			 works ? accelerator : NULL, "checks", checks);
}

json_t *check_document(const struct runtime *rt, bool *ret_ns_works)
{
	bool works;
	AUTO_JSON json_t *checks = run_probes(&works);

	if (!checks)
		return NULL;
	if (ret_ns_works)
		*ret_ns_works = works;
	return json_pack("{s:{s:{s:b, s:O}, s:o, s:o}}", "classes", "ns", "works", works, "checks",
			 checks, "sentry", sentry_class(works), "vm", vm_class(rt, works));
}

static void print_class(const char *name, json_t *class, struct buf *out)
{
	json_t *check;
	size_t i;

	buf_printf(out, "class %s: %s\n", name,
		   json_is_true(json_object_get(class, "works")) ? "works" : "does not work");
	json_array_foreach (json_object_get(class, "checks"), i, check) {
		const char *remedy = json_string_value(json_object_get(check, "remedy"));

		buf_printf(out, "  %-8s %-22s %s\n",
			   json_string_value(json_object_get(check, "result")),
			   json_string_value(json_object_get(check, "name")),
			   json_string_value(json_object_get(check, "detail")));
		if (remedy)
			buf_printf(out, "  %-8s %-22s -> %s\n", "", "", remedy);
	}
}

/* What the RuntimeClasses of deploy/kubernetes select: a line "KEY=VALUE" each, for kubectl label.
 */
static void print_labels(json_t *classes, struct buf *out)
{
	const char *name, *accelerator;
	json_t *class;

	json_object_foreach (classes, name, class) {
		buf_printf(out, CHECK_LABELS "%s=%s\n", name,
			   json_is_true(json_object_get(class, "works")) ? "true" : "false");
		accelerator = json_string_value(json_object_get(class, "accelerator"));
		if (accelerator)
			buf_printf(out, CHECK_LABELS "%s-accelerator=%s\n", name, accelerator);
	}
}

static int run_check(struct cli *cli, const void *options, const struct option_args *args,
		     struct err *err)
{
	const struct check_options *o = options;
	AUTO_BUF struct buf out = { 0 };
	struct err wrong = { 0 };
	bool works = false, configured;
	AUTO_JSON json_t *root = NULL;
	const char *name;
	json_t *class;
	int r;

	if (o->seccomp) {
		buf_printf(&out, "%s", seccomp_lists);
		return out_flush(&out, err);
	}
	/* A configuration that is wrong is no fault of the host. */
	configured = globals_setup_runtime(cli, &wrong) == 0;
	if (!configured)
		log_warning("check: without the configuration: %s", wrong.msg);
	root = check_document(configured ? &cli->runtime : NULL, &works);
	if (!root)
		return err_sys(err, -ENOMEM, "check");
	if (o->json) {
		r = out_json(root, 2, err);
	} else if (o->node_labels) {
		print_labels(json_object_get(root, "classes"), &out);
		return out_flush(&out, err);
	} else {
		json_object_foreach (json_object_get(root, "classes"), name, class)
			print_class(name, class, &out);
		r = out_flush(&out, err);
	}
	return r < 0 ? r : !works;
}

const struct verb verb_check = {
	.name = "check",
	.args = "",
	.summary = "say what this host can do for each isolation class, and what is missing",
	.description = "The exit code is 0 if class ns works here, for the user who asks; with "
		       "--node-labels always.\n"
		       "Those are lines for `kubectl label --overwrite node NAME $(caisson check "
		       "--node-labels)`.",
	.options = table,
	.flags = VERB_NO_RUNTIME,
	.run = run_check,
};
