/* SPDX-License-Identifier: Apache-2.0 */
/* cli/check.c - check: the verb, and its report as JSON and text. */
#include "cli/check.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/str.h"
#include "cli/cli.h"
#include "cli/verbs.h"
#include "hypervisor/probe.h"
#include "hypervisor/qemu.h"
#include "runtime/vm/files.h"
#include "runtime/vm/template.h"

/* Whom the probe's monitor runs as, for root: anybody without rights. */
#define PROBE_USER 65534

struct check_options {
	bool json;
	bool seccomp;
};

extern const char seccomp_lists[]; /* scripts/gen-text */

static const struct option table[] = {
	{ "json", "print JSON", NULL, offsetof(struct check_options, json), OPTION_FLAG, 0 },
	{ "seccomp", "print what each process of class sentry may call, and why", NULL,
	  offsetof(struct check_options, seccomp), OPTION_FLAG, 0 },
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

	cli_default_libexec(dir);
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

/* Not required: what KVM does not run is emulated. */
static json_t *kvm_item(const char *dir, int qemu)
{
	char path[PATH_MAX + 32], memory[PATH_MAX], text[512];
	struct probe_plan plan = { .program = qemu, .memory = probe_memory(memory) };
	struct probe probe = { .reason = "no guest was run" };
	AUTO_CLOSE int kernel = -EBADF;
	struct err err = { 0 };
	bool runs;

	(void)snprintf(path, sizeof(path), "%s/guest/vmlinux", dir);
	kernel = open(path, O_RDONLY | O_CLOEXEC);
	plan.kernel = kernel;
	plan.uid = plan.gid = geteuid() == 0 ? PROBE_USER : 0;
	if (kernel >= 0 && qemu >= 0 && hypervisor_probe(&plan, &probe, &err) < 0)
		(void)snprintf(probe.reason, sizeof(probe.reason), "%.250s", err.msg);
	runs = !*probe.reason;
	(void)snprintf(text, sizeof(text), "%s%s",
		       runs ? "our kernel has run under KVM"
			    : "machines are emulated in software: ",
		       probe.reason);
	return check_item("kvm", runs, false, text,
			  "the module kvm_intel or kvm_amd (in a machine: nested virtualization), "
			  "and /dev/kvm readable and writable for its group");
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

static json_t *vm_class(const struct runtime *rt, bool namespaces_work)
{
	json_t *checks = json_array();
	struct files_program files = { .path = "" };
	struct err err = { 0 };
	char dir[PATH_MAX], link[FD_PATH_MAX], path[PATH_MAX] = "";
	bool works = namespaces_work;
	AUTO_CLOSE int qemu = -EBADF;
	int r;

	cli_default_libexec(dir);
	(void)json_array_append_new(checks,
				    check_item("namespaces", works, true,
					       works ? "as class ns" : "see class ns", NULL));
	works &= add_file(checks, "programs", dir, "caisson-vm", X_OK, NULL);
	works &= add_file(checks, "kernel", dir, "guest/vmlinux", R_OK, "make guest builds it");
	works &= add_file(checks, "image", dir, "guest/image", R_OK, "make guest builds it");
	qemu = qemu_find(NULL, &err);
	if (qemu >= 0)
		(void)!readlink(fd_path(qemu, link), path, sizeof(path) - 1);
	works &= add_found(checks, "qemu", qemu, path, &err, "install qemu-system-x86");
	r = files_find(NULL, &files, &err);
	works &= add_found(checks, "virtiofsd", r, files.path, &err,
			   "install virtiofsd (Debian 12: qemu-system-common)");
	(void)json_array_append_new(checks, kvm_item(dir, qemu));
	if (rt)
		(void)json_array_append_new(checks, templates_item(rt));
	return json_pack("{s:b, s:o}", "works", works, "checks", checks);
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

static int run_check(struct cli *cli, const void *options, const struct option_args *args,
		     struct err *err)
{
	const struct check_options *o = options;
	AUTO_BUF struct buf out = { 0 };
	struct err ignored = { 0 };
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
	configured = globals_setup_runtime(cli, &ignored) == 0;
	root = check_document(configured ? &cli->runtime : NULL, &works);
	if (!root)
		return err_sys(err, -ENOMEM, "check");
	if (o->json) {
		r = out_json(root, 2, err);
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
	.description = "The exit code is 0 if class ns works here, for the user who asks.",
	.options = table,
	.flags = VERB_NO_RUNTIME,
	.run = run_check,
};
