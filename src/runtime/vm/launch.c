/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/vm/launch.h"

#include <sched.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "oci/pod.h"
#include "runtime/container.h"
#include "runtime/sandbox/limits.h"
#include "runtime/vm/describe.h"

#define UNKNOWN_MAX 8 /* annotations that are named: their author is anybody */

#define LAUNCH_INIT                                                                      \
	{                                                                                \
		.box = SANDBOX_LAUNCH_INIT, .program = -EBADF, .from = VM_PROGRAMS_INIT, \
		.template = TEMPLATE_INIT, .files = {                                    \
			.userns = -EBADF                                                 \
		}                                                                        \
	}

static void launch_done(struct launch_vm *l)
{
	auto_close_p(&l->program);
	vm_programs_done(&l->from);
	auto_close_p(&l->files.userns);
	template_done(&l->template);
	idmap_fds_done(&l->idmaps);
	sandbox_launch_done(&l->box);
}

uint64_t launch_now_ns(void)
{
	struct timespec now = { 0 };

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static int open_programs(struct launch_vm *l, const struct runtime *rt, struct err *err)
{
	int r;

	l->program = sandbox_program(rt, "caisson-vm", err);
	if (l->program < 0)
		return err_prefix(err, l->program, "class vm");
	r = files_find(l->config.virtiofsd, &l->files.program, err);
	if (r < 0)
		return err_prefix(err, r, "class vm");
	return vm_programs_open(&l->config, &l->from, err);
}

/* Without root everything is in the one user namespace, whose root serves the files. */
static int choose_ids(struct launch_vm *l, const struct oci_linux *spec, struct err *err)
{
	const struct files_program program = l->files.program;

	return l->box.unprivileged ? 0
				   : files_ids(&program, spec, l->box.ids.files, &l->files, err);
}

static int prepare(struct launch_vm *l, struct creation *cr, struct err *err)
{
	int r = namespaces_open(&cr->spec.linux, &l->box.joined, err);

	l->begin_ns = launch_now_ns();
	l->pod = oci_pod_role(cr->c->annotations) == OCI_POD_SANDBOX;
	if (r == 0)
		r = describe_vm_check(&cr->spec, false, err);
	if (r == 0 && cr->preserve_fds > 0)
		r = err_set(err, -ENOTSUP,
			    "--preserve-fds: descriptors above 2 do not reach into a machine");
	if (r == 0)
		r = vm_settings_get(cr->rt, cr->c->annotations, &l->config, err);
	vm_size_bound(&l->config, cr->c->cgroup);
	if (r == 0)
		r = vm_size_get(&l->config, cr->c->annotations, &cr->spec.linux.resources, &l->size,
				err);
	if (r == 0)
		l->room = vm_size_room(&l->config, &l->size);
	if (r == 0)
		r = share_rootfs_mode(cr->rt, &cr->spec, cr->c->rootfs, &l->rootfs, err);
	if (r == 0)
		r = sandbox_setting(cr->rt, &cr->spec, SHARE_WATCH, NULL, &l->watch, err);
	if (r == 0)
		r = open_programs(l, cr->rt, err);
	if (r == 0)
		r = idmap_fds_open(&cr->spec, &l->idmaps, err);
	if (r == 0)
		r = sandbox_launch_open(&l->box, cr, err);
	return r < 0 ? r : choose_ids(l, &cr->spec.linux, err);
}

/* Where there is none the machine boots. */
static int take_template(struct launch_vm *l, const struct runtime *rt, struct err *err)
{
	const struct template_plan plan = launch_plan(l);
	struct err why = { 0 };
	int r = -ENOENT;

	if (!l->config.templates)
		return 0;
	if (geteuid() != 0)
		(void)err_set(&why, r, "templates are root's");
	else if (l->config.type == MACHINE_Q35)
		(void)err_set(&why, r, "a machine of type q35 boots");
	else
		r = template_take(rt, &plan, &l->template, &why);
	if (r == -ENOENT)
		log_debug("class vm: no clone of a template: %s", why.msg);
	if (r < 0 && r != -ENOENT)
		*err = why;
	return r == -ENOENT ? 0 : r;
}

struct template_plan launch_plan(const struct launch_vm *l)
{
	return (struct template_plan){
		.accel = l->accel,
		.cpus = l->size.cpus,
		.memory = l->size.memory,
		.qemu = l->from.qemu,
		.kernel = l->from.kernel,
		.image = l->from.image,
		.nested = l->config.nested,
	};
}

/*
 * A template may be what no machine goes on from (another release of a library, a lack of memory):
 * as long as its clone has heard nothing of the container it never was there.
 */
static int launch_or_boot(struct launch_vm *l, struct sandbox *ret, struct err *err)
{
	AUTO(sandbox_limits_done) struct sandbox_limits limits = { 0 };
	struct creation *cr = l->box.cr;
	struct err why = { 0 };
	int r = sandbox_limits_keep(cr, &limits, err);

	if (r < 0)
		return r;
	r = sandbox_launch_run(&l->box, stage_vm, l, ret, &why);
	if (r == SANDBOX_NO_CLONE && sandbox_launch_may_again(&l->box)) {
		log_warning("container %s: a clone of a template has not come up, its machine "
			    "boots: %s",
			    cr->c->id, why.msg);
		template_done(&l->template);
		sandbox_limits_return(cr, &limits);
		r = sandbox_launch_again(&l->box, err);
		return r < 0 ? r : sandbox_launch_run(&l->box, stage_vm, l, ret, err);
	}
	if (r < 0)
		*err = why;
	return r == SANDBOX_NO_CLONE ? err_set(err, -EIO, "a clone of a template: %s", why.msg) : r;
}

static void tell_unknown(const json_t *annotations)
{
	const char *name = NULL;

	for (int i = 0; i < UNKNOWN_MAX && (name = vm_settings_unknown(annotations, name)); i++)
		log_warning("annotation %s: class vm has no such setting", name);
}

int launch_vm(struct creation *cr, struct sandbox *ret, struct err *err)
{
	AUTO(launch_done) struct launch_vm l = LAUNCH_INIT;
	const struct oci_namespace *net = &cr->spec.linux.ns[OCI_NS_NETWORK];
	int r = prepare(&l, cr, err);

	if (r == 0)
		r = vm_accel_choose(&l.config, &l.from, l.box.ids.guest, &l.accel, err);
	if (r < 0)
		return r;
	cr->c->accelerator = machine_accel_name(l.accel);
	tell_unknown(cr->c->annotations);
	if (!net->set)
		log_warning("class vm: a machine has no part in the host's network namespace; the "
			    "container has a loopback device alone");
	l.box.unshare = CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS | (net->path ? 0 : CLONE_NEWNET);
	r = take_template(&l, cr->rt, err);
	if (r < 0)
		return r;
	/* The staged child joins it while we move devices there. */
	cr->netns = l.box.joined.fd[OCI_NS_NETWORK];
	vm_devices_find(&cr->spec, cr->c->bundle, cr->c->rootfs, &l.devices);
	l.box.devices = l.devices.rules;
	l.box.devices_len = l.devices.len;
	return launch_or_boot(&l, ret, err);
}
